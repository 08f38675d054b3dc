"""What was really there at each tick of a drive, as the vehicle would have to say it: in the ego frame, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airside.config import SiteConfig
from airside.messages import Box, Footprint
from eval.drive.stored import StoredDrive, Thing, frame_scale
from eval.metrics.polygons import distance_to_polygon_m, near_side_of
from training import bev_truth
from training.apron.families import PROTECTED
from training.rig_frames import VehiclePose

PATCH_PX = 14  # at the network's size
KNOWN_WITHIN_M = 70.0  # known things farther away explain no track


@dataclass(frozen=True, slots=True)
class TrueObject:
    """One thing at one tick. ``range_m`` is that of its nearest point; ``near_xy_m`` where the line of sight to the
    middle of what it covers meets its near side. Of every camera: visible ``patches`` of the whole picture as the
    network sees it, and the ``boxes_px`` around them in the frame.
    """

    thing: int
    family: str
    unknown: bool
    protected: bool
    size_m: tuple[float, float, float]  # length, width, height
    footprint_xy_m: Footprint
    near_xy_m: tuple[float, float]
    range_m: float
    on_path: bool  # ahead, and its footprint reaches into the site's corridor
    patches: tuple[float, ...]
    boxes_px: tuple[Box, ...]

    @property
    def largest_m(self) -> float:
        return max(self.size_m)

    @property
    def most_patches(self) -> float:
        """In the camera that shows most of it."""
        return max(self.patches, default=0.0)


def truths_of(drive: StoredDrive, site: SiteConfig) -> list[tuple[TrueObject, ...]]:
    """For each tick what stands there, in the order of the drive's things: all unknown ones, and the known ones within
    :data:`KNOWN_WITHIN_M`, without what the cameras show of them."""
    away_m = np.hypot(*(drive.poses[:, :, :2] - drive.ego[:, None, :2]).transpose(2, 0, 1))  # [T, K]
    return [
        tuple(
            _object(drive, tick, k, thing, site)
            for k, thing in enumerate(drive.things)
            if thing.unknown or away_m[tick, k] <= KNOWN_WITHIN_M
        )
        for tick in range(drive.ticks)
    ]


def _object(drive: StoredDrive, tick: int, k: int, thing: Thing, site: SiteConfig) -> TrueObject:
    ego_from_world = VehiclePose(*map(float, drive.ego[tick])).world_from_ego.inverse()
    x, y, yaw = map(float, drive.poses[tick, k])
    rectangle = bev_truth.Footprint(x, y, yaw, *thing.size_m[:2]).seen_from(ego_from_world)
    corners = rectangle.corners_xy_m()
    footprint = tuple((float(a), float(b)) for a, b in corners)
    half = site.corridor_half_width_m
    shown = range(len(drive.cameras)) if thing.unknown else ()
    ahead = corners[:, 0].max() > 0
    return TrueObject(
        thing=k,
        family=thing.family,
        unknown=thing.unknown,
        protected=thing.family in PROTECTED,
        size_m=thing.size_m,
        footprint_xy_m=footprint,
        near_xy_m=near_side_of(corners),
        range_m=distance_to_polygon_m((0.0, 0.0), corners),
        on_path=bool(ahead and corners[:, 1].min() <= half and corners[:, 1].max() >= -half),
        patches=tuple(float(drive.pixels[tick, n, k]) / (PATCH_PX * frame_scale(drive.cameras[n])) ** 2 for n in shown),
        boxes_px=tuple(_box(drive.boxes[tick, n, k]) for n in shown),
    )


def _box(px: np.ndarray) -> Box:
    left, top, right, bottom = map(float, px)
    return left, top, right, bottom
