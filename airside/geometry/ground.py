"""Where things stand: a region's foot carried along its viewing ray to the ground plane."""

from __future__ import annotations

import math

import numpy as np

from airside.errors import UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform
from airside.messages import Placement, Region


def placement_from_region(
    region: Region, camera: PinholeCamera, ego_from_cam: RigidTransform, max_range_m: float
) -> Placement | None:
    """The place of ``region`` on the ground plane ``z = 0`` of the ego frame, or ``None``.

    The foot is the lowest point of the outline (the middle of it where the outline's lower edge is level), so the
    place is that of the nearest visible edge, and right for things that stand on flat ground. ``None`` when the ray
    does not come down (at or above the horizon) or comes down beyond ``max_range_m``: near the horizon a single
    pixel is many metres. ``camera`` must describe the pixels the region is given in (see ``scaled_to``).
    """
    if not max_range_m > 0:
        raise UsageError(f"max_range_m must be positive, got {max_range_m}")
    xyz = ground_point_from_uv(foot_uv_px(region), camera, ego_from_cam)
    if xyz is None:
        return None
    x_m, y_m, _ = xyz
    range_m = math.hypot(x_m, y_m)
    if range_m > max_range_m:
        return None
    return Placement(range_m=range_m, bearing_rad=math.atan2(y_m, x_m), xyz_ego_m=xyz)


def foot_uv_px(region: Region) -> tuple[float, float]:
    """The lowest point of the outline, in the frame's pixels; of the box where there is no outline."""
    outline = np.asarray(region.outline_px, np.float64).reshape(-1, 2)
    outline = outline[np.isfinite(outline).all(axis=1)]
    if len(outline) == 0:
        x0, _, x1, y1 = region.box_px
        return (x0 + x1 - 1) / 2, y1 - 0.5  # the box's far edges are exclusive, half a pixel past the last centre
    v_max = float(outline[:, 1].max())
    lowest = outline[outline[:, 1] >= v_max - 0.5, 0]
    return float(lowest.min() + lowest.max()) / 2, v_max


def ground_point_from_uv(
    uv_px: tuple[float, float], camera: PinholeCamera, ego_from_cam: RigidTransform
) -> tuple[float, float, float] | None:
    """The point (x, y, 0) in the ego frame that pixel ``uv_px`` sees on the ground; ``None`` if it sees none."""
    ray_ego = ego_from_cam.directions(camera.ray_cam_from_uv(np.asarray(uv_px)))
    height_m = float(ego_from_cam.translation_m[2])
    if not (height_m > 0 and ray_ego[2] < 0 and math.isfinite(ray_ego[2])):
        return None
    point = ego_from_cam.translation_m + ray_ego * (height_m / -float(ray_ego[2]))
    if not np.isfinite(point).all():
        return None
    return float(point[0]), float(point[1]), 0.0
