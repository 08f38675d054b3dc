"""What flows on the arrows of the pipeline: one frozen value type each, NumPy inside.

Axis letters: N cameras, H W image, Hp Wp patch grid, C embedding width, P prototypes, K outline points.
Polarity: ``similarity`` high = known; ``ood_score`` in [0, 1], high = unknown. Frames of reference: ``ego``
(x forward, y left, z up, origin on the ground), ``px`` (u right, v down, pixel centres at integers).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in px, x1 and y1 exclusive
Footprint = tuple[tuple[float, float], ...]  # corners (x, y) in ego metres of a convex polygon; none: not known


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from one camera."""

    camera: str
    image: np.ndarray  # [H, W, 3] uint8 RGB
    capture_ns: int  # monotonic clock, at capture
    index: int  # running number within the source


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """A frame as the network sees it, and the way back to the frame's own pixels.

    ``frame_px = input_px * scale + offset``, per axis (u, v). Patches outside the picture (letterbox bars) are
    not ``observed``: nothing may be concluded from them.
    """

    image: np.ndarray  # [H, W, 3] uint8 RGB, the network's size
    scale: tuple[float, float]
    offset_px: tuple[float, float]
    observed: np.ndarray  # [Hp, Wp] bool


@dataclass(frozen=True, slots=True)
class OodMap:
    """How unfamiliar every patch is, and what it looks like most."""

    ood_score: np.ndarray  # [Hp, Wp] float32 in [0, 1], high = unknown
    similarity: np.ndarray  # [Hp, Wp] float32, cosine with the nearest prototype of the named class
    class_index: np.ndarray  # [Hp, Wp] int32 into class_names
    class_names: tuple[str, ...]


class Kind(enum.StrEnum):
    UNKNOWN = "unknown"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Region:
    """One connected object in one picture: unknown, or a known thing under its name."""

    kind: Kind
    nearest_class: str
    similarity: float  # mean cosine with the nearest class, high = known
    ood_score: float  # region score in [0, 1], high = unknown
    patches: float  # size in patches
    box_px: Box  # in the frame's pixels
    outline_px: np.ndarray  # [K, 2] float32 closed outline in the frame's pixels

    @property
    def name(self) -> str:
        return "unknown" if self.kind is Kind.UNKNOWN else self.nearest_class


class RangeSource(enum.StrEnum):
    """What a range was told from."""

    GROUND = "ground"  # the ray through the foot, where it meets the ground plane
    DEPTH = "depth"  # the depth of the region's own pixels
    BOTH = "both"  # they agree: their weighted mean


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a region stands on the ground, in the ego frame: its near side, and what it is seen to cover."""

    range_m: float  # horizontal distance from the ego origin
    bearing_rad: float  # 0 ahead, positive to the left
    xyz_ego_m: tuple[float, float, float]
    source: RangeSource = RangeSource.GROUND
    footprint_xy_m: Footprint = ()


class Level(enum.IntEnum):
    NONE = 0
    NOTICE = 1
    CAUTION = 2
    SLOW_STOP = 3
    STOP = 4


@dataclass(frozen=True, slots=True)
class Sighting:
    """A region with its place (``None`` where the rig gives no ground plane) and what to do about it."""

    region: Region
    placement: Placement | None
    level: Level
    reasons: tuple[str, ...]


class HealthState(enum.StrEnum):
    OK = "OK"
    DEGRADED = "DEGRADED"
    BLIND = "BLIND"


@dataclass(frozen=True, slots=True)
class Health:
    """Its own axis: a DEGRADED engine never reads as a clear view."""

    state: HealthState
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TickRecord:
    """Everything one tick says. Published every tick, also when nothing was seen: silence never reads as clear."""

    tick: int
    camera: str
    capture_ns: int
    published_ns: int
    valid: bool
    expires_ns: int
    health: Health
    bank_snapshot: str
    model_fingerprint: str
    method: str
    sightings: tuple[Sighting, ...]
    timing_ms: dict[str, float]  # stage -> milliseconds

    @property
    def level(self) -> Level:
        return max((s.level for s in self.sightings), default=Level.NONE)
