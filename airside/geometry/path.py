"""Where the vehicle's path runs in a camera's picture."""

from __future__ import annotations

import numpy as np

from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform

NEAR_PATCH_M = 0.45  # where a patch spans less, three by three of them are filled by what is 1.35 m wide


def path_patches(
    camera: PinholeCamera,
    ego_from_cam: RigidTransform,
    patch_px: int,
    half_width_m: float,
    reach_m: float,
    least_patch_m: float = NEAR_PATCH_M,
) -> np.ndarray:
    """[Hp, Wp] bool: the patches of a picture of the network's size whose lower edge, in its middle, sees level ground
    straight ahead of the vehicle, at most ``half_width_m`` aside and ``reach_m`` away in the ego frame, and so far from
    the camera that a patch spans ``least_patch_m`` there; and those right above them. What stands there has its foot
    in one of them, or, far away, where a patch holds many metres of ground, shows itself in the next one. Nearer, a
    thing fills a whole neighbourhood of patches, and single odd ones are details of markings."""
    rows, columns = camera.height // patch_px, camera.width // patch_px
    row, column = np.indices((rows, columns))
    uv = np.stack([(column + 0.5) * patch_px, (row + 1.0) * patch_px], axis=-1) - 0.5
    ray = ego_from_cam.directions(camera.ray_cam_from_uv(uv))
    height_m = float(ego_from_cam.translation_m[2])
    down = np.where(ray[..., 2] < 0, -ray[..., 2], np.nan)
    x, y = (ego_from_cam.translation_m[axis] + ray[..., axis] * height_m / down for axis in (0, 1))
    path = (x > 0) & (np.hypot(x, y) <= reach_m) & (np.abs(y) <= half_width_m)
    path &= height_m / down * np.linalg.norm(ray[..., :2], axis=-1) * patch_px >= least_patch_m * camera.fx
    path[:-1] |= path[1:]
    return np.asarray(path)
