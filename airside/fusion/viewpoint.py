"""Everything that depends on mounting, frame size and model alone: made once, for all ticks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airside.config import CameraConfig
from airside.engine.bundle import Manifest
from airside.fusion.bev_layers import view_from_above
from airside.fusion.mounted import MountedView, mounted_view
from airside.fusion.region_depth import metric_depth
from airside.geometry.bev_view import BevView
from airside.messages import NetworkInput


@dataclass(frozen=True, slots=True, eq=False)
class Viewpoint:
    """One mounted camera; ``above`` is ``None`` where the model has no bird's-eye view."""

    view: MountedView
    above: BevView | None
    depth_focal_px: float | None

    def depth_m(self, depth: np.ndarray | None) -> np.ndarray | None:
        """The network's depth [Hd, Wd] in metres along this camera's optical axis."""
        if depth is None or self.depth_focal_px is None:
            return None
        return metric_depth(depth, self.view.network.fx, self.depth_focal_px)


def viewpoint(mount: CameraConfig, manifest: Manifest, frame_shape: tuple[int, ...], net: NetworkInput) -> Viewpoint:
    """Raises as :func:`mounted_view` and :func:`view_from_above`."""
    view = mounted_view(mount, frame_shape, net)
    above = view_from_above(view, manifest.bev) if manifest.bev is not None else None
    return Viewpoint(view, above, manifest.depth_focal_px)


def lacking(mount: CameraConfig | None, manifest: Manifest) -> tuple[str, ...]:
    """What a run does without, and what stands in for it: to be said once, not every tick."""
    if mount is None:
        return ("no rig: no ranges, bearings and bird's-eye view; levels go by the place in the picture",)
    found = []
    if manifest.depth_focal_px is None:
        found.append(f"model {manifest.name} has no depth: ranges come from the ground plane alone")
    if manifest.bev is None:
        found.append(f"model {manifest.name} has no bird's-eye view: seen from above there are places only")
    return tuple(found)
