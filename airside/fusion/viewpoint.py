"""Everything that depends on mounting, frame size and model alone: made once, for all ticks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from airside.config import CameraConfig
from airside.engine.bundle import Manifest
from airside.fusion.mounted import MountedView, mounted_view
from airside.fusion.region_depth import metric_depth
from airside.geometry.path import NEAR_PATCH_M, Window, path_patches, path_window
from airside.messages import NetworkInput


@dataclass(frozen=True, slots=True, eq=False)
class Viewpoint:
    """One mounted camera."""

    view: MountedView
    depth_focal_px: float | None

    def depth_m(self, depth: np.ndarray | None) -> np.ndarray | None:
        """The network's depth [Hd, Wd] in metres along this camera's optical axis."""
        if depth is None or self.depth_focal_px is None:
            return None
        return metric_depth(depth, self.view.network.fx, self.depth_focal_px)


def viewpoint(mount: CameraConfig, manifest: Manifest, frame_shape: tuple[int, ...], net: NetworkInput) -> Viewpoint:
    """Raises as :func:`mounted_view`."""
    return Viewpoint(mounted_view(mount, frame_shape, net), manifest.depth_focal_px)


@lru_cache(maxsize=32)
def path_of(view: MountedView, half_width_m: float, reach_m: float, least_patch_m: float = NEAR_PATCH_M) -> np.ndarray:
    """[Hp, Wp] bool, read-only: the observed ones of :func:`path_patches`, within the camera's own range."""
    reach_m = min(reach_m, view.max_range_m)
    path = path_patches(view.network, view.ego_from_cam, view.patch_px, half_width_m, reach_m, least_patch_m)
    path &= view.observed
    path.flags.writeable = False
    return path


def window_of(views: Sequence[MountedView | None], half_width_m: float, reach_m: float) -> tuple[int, Window] | None:
    """Which of ``views`` has the finest :func:`path_window`, and that window in its frame; the far path begins where a
    patch of the whole picture gets coarse. ``None`` where no frame has much more to show than its network's picture."""
    found = []
    for k, view in enumerate(views):
        window = _window_in(view, half_width_m, reach_m) if view is not None else None
        if view is not None and window is not None:
            found.append((view.frame.fx / window[2], k, window))
    if not found:
        return None
    _, k, window = max(found)
    return k, window


@lru_cache(maxsize=32)
def _window_in(view: MountedView, half_width_m: float, reach_m: float) -> Window | None:
    from_m = float(view.ego_from_cam.translation_m[0]) + NEAR_PATCH_M * view.network.fx / view.patch_px
    size = view.network.width, view.network.height
    return path_window(view.frame, view.ego_from_cam, size, half_width_m, from_m, min(reach_m, view.max_range_m))


def looked_at(places_xy_m: np.ndarray, views: Collection[MountedView]) -> np.ndarray:
    """[K] bool: whether one of ``views`` holds the ground at a place [K, 2] in ego metres, within its range."""
    ground = np.column_stack([places_xy_m, np.zeros(len(places_xy_m))])
    seen = np.zeros(len(ground), bool)
    for view in views:
        uv = view.frame.uv_from_xyz_cam(view.ego_from_cam.inverse().points(ground))
        seen |= view.frame.in_picture(uv) & (np.hypot(*places_xy_m.T) <= view.max_range_m)
    return seen


def lacking(mounts: Collection[CameraConfig], manifest: Manifest, path_threshold: float | None) -> tuple[str, ...]:
    """What a run does without, and what stands in for it: to be said once, not every tick."""
    if not mounts:
        return ("no rig: no ranges, bearings and bird's-eye view; levels go by the place in the picture",)
    found = []
    if manifest.depth_focal_px is None:
        found.append(f"model {manifest.name} has no depth: ranges come from the ground plane alone")
    if manifest.bev is None:
        found.append(f"model {manifest.name} has no bird's-eye view: seen from above there are places only")
    if path_threshold is None:
        found.append(
            "the bank has no threshold for the path: far things on it are told late, and nothing is looked at more "
            "closely; airside bank calibrate CLEAN --rig FILE --camera NAME gives it one"
        )
    return tuple(found)
