"""What flows on the arrows of the pipeline: one frozen value type each, NumPy inside.

Axis letters: N cameras, H W image, Hp Wp patch grid, C embedding width, P prototypes, K outline points, X Y cells.
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
class FrameBundle:
    """What one tick looks at: of every camera its newest frame, also one that an earlier tick has seen.

    A camera that has not delivered yet is missing. ``now_ns`` is the tick's own time on the frames' clock.
    ``troubles`` are (camera, reason code) of what its reader met since the tick before.
    """

    now_ns: int
    frames: tuple[Frame, ...]  # at most one a camera
    troubles: tuple[tuple[str, str], ...] = ()


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
    faint: bool = False  # unknown by the path's own, lower threshold alone
    begins: bool = True  # an object; else it may only be one that is being tracked

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
    covariance_m2: tuple[float, float, float] = (0.0, 0.0, 0.0)  # xx, xy, yy of the near side in ego; zeros: not told
    height_m: float = 0.0  # of the highest visible point over the ground; zero: not told


class Level(enum.IntEnum):
    NONE = 0
    NOTICE = 1
    CAUTION = 2
    SLOW_STOP = 3
    STOP = 4


@dataclass(frozen=True, slots=True)
class Sighting:
    """A region in one camera's picture with its place (``None`` where the rig gives no ground plane) and what to do.

    ``track_id``: the object it belongs to, whose level it then has.
    """

    camera: str
    region: Region
    placement: Placement | None
    level: Level
    reasons: tuple[str, ...]
    track_id: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One object on the ground in one tick, from all the sightings that show it.

    ``xy_m`` [2] and ``covariance_m2`` [2, 2] float64 are its near side in the ego frame; ``sightings`` number those of
    the tick. ``faint``: unknown, and all that say so are faint or a part of something known; ``begins``: one of them
    does.
    """

    kind: Kind
    nearest_class: str
    protected: bool
    xy_m: np.ndarray
    covariance_m2: np.ndarray
    footprint_xy_m: Footprint
    height_m: float
    similarity: float
    ood_score: float
    cameras: tuple[str, ...]
    sightings: tuple[int, ...]
    faint: bool = False
    begins: bool = True


@dataclass(frozen=True, slots=True)
class Track:
    """One object on the ground, over time and over all cameras, in the ego frame at the tick's time.

    ``state`` [4] and ``covariance`` [4, 4] float64 are x, y (metres, its near side) and their velocity (metres a
    second, relative to the vehicle). ``cameras`` saw it in this tick; none: it is carried on by its velocity.
    """

    id: int
    kind: Kind
    nearest_class: str
    protected: bool
    confirmed: bool
    state: np.ndarray
    covariance: np.ndarray
    footprint_xy_m: Footprint
    height_m: float
    similarity: float
    ood_score: float
    cameras: tuple[str, ...]
    first_ns: int
    seen_ns: int
    faint: bool = False  # unknown, and no newer observation that said so was more than faint

    @property
    def name(self) -> str:
        return "unknown" if self.kind is Kind.UNKNOWN else self.nearest_class

    @property
    def range_m(self) -> float:
        return float(np.hypot(self.state[0], self.state[1]))

    @property
    def bearing_rad(self) -> float:
        return float(np.arctan2(self.state[1], self.state[0]))


@dataclass(frozen=True, slots=True)
class Alert:
    """A tracked object and what to do about it."""

    track: Track
    level: Level
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The ground seen from above. ``cells`` [X, Y] int8: -1 *unobserved*, which is never free; else 0 (free) to 100
    (occupied by something unknown or a vehicle). X runs forward, Y left, from ``corner_xy_m`` in the ego frame."""

    cell_m: float
    corner_xy_m: tuple[float, float]
    cells: np.ndarray


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
class CameraStatus:
    """One camera in one tick. What a camera that was not ``observed`` would have shown is unknown, never free."""

    camera: str
    health: Health
    capture_ns: int | None  # of its newest frame; ``None``: none has come
    observed: bool  # its picture was looked at in this tick


@dataclass(frozen=True, slots=True)
class TickRecord:
    """Everything one tick says. Published every tick, also when nothing was seen: silence never reads as clear.

    ``alerts`` are the tracked objects, ``sightings`` what the single pictures showed. ``predicted``: sent between two
    ticks; tracks carried on by their velocities, no picture looked at.
    """

    tick: int
    now_ns: int  # the tick's own time, on the frames' clock
    capture_ns: int  # of the newest frame looked at, in this tick or the latest that did; ``now_ns`` before the first
    published_ns: int
    valid: bool
    expires_ns: int
    health: Health
    cameras: tuple[CameraStatus, ...]
    bank_snapshot: str
    model_fingerprint: str
    method: str
    sightings: tuple[Sighting, ...]
    alerts: tuple[Alert, ...]
    timing_ms: dict[str, float]  # stage -> milliseconds
    predicted: bool = False

    @property
    def level(self) -> Level:
        """The highest of all alerts and sightings."""
        levels = (*(alert.level for alert in self.alerts), *(sighting.level for sighting in self.sightings))
        return max(levels, default=Level.NONE)
