"""Where the vehicle's path runs in a camera's picture."""

from __future__ import annotations

import numpy as np

from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform

NEAR_PATCH_M = 0.45  # where a patch spans less, three by three of them are filled by what is 1.35 m wide
WINDOW_HEIGHT_M = 2.5  # over the ground: how much of what stands on the path a window must hold
Window = tuple[int, int, int, int]  # x, y, width, height, px: a part of a picture
_LEAST_GAIN = 2.1  # a window costs as much as a camera, and no smaller gain has been seen to be worth that


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


def path_window(
    camera: PinholeCamera,
    ego_from_cam: RigidTransform,
    network_px: tuple[int, int],
    half_width_m: float,
    from_m: float,
    reach_m: float,
) -> Window | None:
    """x, y, width, height of the part of ``camera``'s picture that holds the path straight ahead from ``from_m`` to
    ``reach_m`` in the ego frame and what stands on it: of the shape of ``network_px`` (width, height), no smaller, and
    no further from the picture's middle than need be. ``None`` where the picture does not hold that much, there is no
    such path, or a network of that size would not even see it twice as large as in the whole picture.

    A network's picture is small; what it is made from often is not. Looking once more, closely, where it matters most
    is what the fovea of an eye does.
    """
    if from_m >= reach_m:
        return None
    ends = np.array(
        [(x, y, z) for x in (from_m, reach_m) for y in (-half_width_m, half_width_m) for z in (0.0, WINDOW_HEIGHT_M)]
    )
    points = ego_from_cam.inverse().points(ends)
    if (points[:, 2] <= 0).any():
        return None
    uv = camera.uv_from_xyz_cam(points)
    low, high = np.floor(uv.min(axis=0) + 0.5), np.ceil(uv.max(axis=0) + 0.5)  # px, far sides exclusive
    picture = np.array([camera.width, camera.height], np.float64)
    network = np.array(network_px, np.float64)
    size = np.ceil(network * max(1.0, float(((high - low) / network).max())))
    if (low < 0).any() or (high > picture).any() or (size * _LEAST_GAIN > picture).any():
        return None
    middle = np.floor((picture - size) / 2)
    first = np.clip(np.clip(middle, high - size, low), 0, picture - size)
    x, y, width, height = (int(value) for value in (*first, *size))
    return x, y, width, height
