"""Where a region is: depth and the ground plane, each where it is right."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from airside.fusion.footprint import footprint_from_foot, footprint_from_points
from airside.fusion.mounted import MountedView
from airside.fusion.region_depth import percentile, region_points
from airside.geometry.ground import placement_from_region
from airside.messages import Placement, RangeSource, Region

NEAR_PERCENTILE = 15  # of a surface's ranges: its near side, and not one odd pixel
DEPTH_ERROR = 0.10  # one sigma of a depth network, as a share of the range
FOOT_ERROR_PATCHES = 0.25  # one sigma of where a region ends, in the picture
PITCH_ERROR_RAD = 0.005  # one sigma of a mounting
ACROSS_PATCHES = 0.5  # one sigma of where a region's near side is seen, sideways
AGREE_SIGMA = 2.0


def place(region: Region, view: MountedView, depth_m: np.ndarray | None) -> Placement | None:
    """The near side of ``region`` in the ego frame, and the ground it covers; ``None`` where nothing can be told.

    ``depth_m`` [Hd, Wd] float32 is metric depth over the network's picture, ``None`` without a depth head.

    Two witnesses. The ground plane: the ray through the region's foot comes down at a range that is exact for what
    stands on flat ground, and errs with the square of the range. Depth: the near side of the region's own pixels,
    which needs no foot, and errs in proportion to the range.

    - Both, and within ``AGREE_SIGMA`` of each other: their mean, weighted by what each is known to err.
    - Depth much nearer than the ground: the foot is hidden, cut off or in the air, so that its ray passes over the
      thing and comes down behind it. Depth is right.
    - Depth much further than the ground: one would have to see through the tarmac. The ground's range is the most that
      the foot's pixel can have, whatever stands there: a flat thing on the ground, say, that depth has not noticed.
      The ground is right.
    - So where they disagree the nearer one is taken, which is also the side to err on.
    - Only one of them says something within ``max_range_m``: that one. Depth beyond it is no range, but the ground may
      still be right (as above); a foot at the horizon is no range, but depth may be.
    """
    ground = placement_from_region(region, view.frame, view.ego_from_cam, view.max_range_m)
    points = region_points(region, view, depth_m) if depth_m is not None else np.zeros((0, 3))
    if len(points) == 0:
        return None if ground is None else _on_foot(ground, region, view)
    seen = points[:, :2] - view.cam_xy_m
    ranges = np.hypot(*seen.T)  # ascending
    by_depth = percentile(ranges, NEAR_PERCENTILE)
    near = np.searchsorted(ranges, percentile(ranges, 2 * NEAR_PERCENTILE), side="right")
    heading = seen[:near].mean(axis=0)
    heading /= max(float(np.hypot(*heading)), 1e-6)
    chosen, source = by_depth, RangeSource.DEPTH
    if ground is not None:
        by_ground = math.dist(ground.xyz_ego_m[:2], view.cam_xy_m)
        chosen, source = _joined(by_depth, by_ground, view)
        if source is RangeSource.GROUND:
            scaled = footprint_from_points(points, view.cam_xy_m, by_ground / by_depth)
            return _measured(replace(ground, source=source, footprint_xy_m=scaled), region, view)
    x_m, y_m = (view.cam_xy_m + heading * chosen).tolist()
    range_m = math.hypot(x_m, y_m)
    if range_m > view.max_range_m:
        return None if ground is None else _on_foot(ground, region, view)
    footprint = footprint_from_points(points, view.cam_xy_m, chosen / by_depth)
    return _measured(Placement(range_m, math.atan2(y_m, x_m), (x_m, y_m, 0.0), source, footprint), region, view)


def _on_foot(ground: Placement, region: Region, view: MountedView) -> Placement:
    footprint = footprint_from_foot(region, view) or ()
    return _measured(replace(ground, source=RangeSource.GROUND, footprint_xy_m=footprint), region, view)


def _joined(by_depth: float, by_ground: float, view: MountedView) -> tuple[float, RangeSource]:
    """Two ranges from the camera in metres -> the one to use."""
    ground_sigma, depth_sigma = _ground_sigma_m(by_ground, view), DEPTH_ERROR * by_depth
    if abs(by_depth - by_ground) > AGREE_SIGMA * math.hypot(ground_sigma, depth_sigma):
        return (by_depth, RangeSource.DEPTH) if by_depth < by_ground else (by_ground, RangeSource.GROUND)
    weight = ground_sigma**2 / (ground_sigma**2 + depth_sigma**2)
    return weight * by_depth + (1 - weight) * by_ground, RangeSource.BOTH


def _measured(placement: Placement, region: Region, view: MountedView) -> Placement:
    """``placement`` with how well it is known, along the ray and across it, and the height of the region's top."""
    away = np.array(placement.xyz_ego_m[:2]) - view.cam_xy_m
    range_m = max(float(np.hypot(*away)), 1e-3)
    ground, depth = _ground_sigma_m(range_m, view), DEPTH_ERROR * range_m
    along_m = {
        RangeSource.GROUND: ground,
        RangeSource.DEPTH: depth,
        RangeSource.BOTH: ground * depth / math.hypot(ground, depth),
    }[placement.source]
    across_m = range_m * ACROSS_PATCHES * view.patch_px / view.network.fx
    axis = away / range_m
    side = np.array([-axis[1], axis[0]])
    covariance = np.outer(axis, axis) * along_m**2 + np.outer(side, side) * across_m**2
    return replace(
        placement,
        covariance_m2=(float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])),
        height_m=_height_m(region, range_m, view),
    )


def _ground_sigma_m(range_m: float, view: MountedView) -> float:
    """One sigma of a range told by the foot: it is seen atan(height / range) below the horizon, and d range / d angle =
    (range^2 + height^2) / height."""
    height_m = float(view.ego_from_cam.translation_m[2])
    foot_error_rad = FOOT_ERROR_PATCHES * view.patch_px / view.network.fy + PITCH_ERROR_RAD
    return (range_m**2 + height_m**2) / height_m * foot_error_rad


def _height_m(region: Region, range_m: float, view: MountedView) -> float:
    """Of the region's top over the ground, were it upright at ``range_m`` from the camera."""
    x0, y0, x1, _ = region.box_px
    ray = view.ego_from_cam.directions(view.frame.ray_cam_from_uv(np.array([(x0 + x1 - 1) / 2, y0])))
    level = max(float(np.hypot(ray[0], ray[1])), 1e-3)
    return max(float(view.ego_from_cam.translation_m[2] + ray[2] / level * range_m), 0.0)
