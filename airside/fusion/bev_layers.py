"""A rig's tick seen from above: what the bird's-eye network tells, and the novelty lifted by the same geometry."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from airside.cameras.fit import fit_to_network
from airside.cameras.rectify import Rectifier
from airside.config import CameraConfig
from airside.engine.bev_spec import BevSpec
from airside.engine.bundle import Manifest
from airside.engine.engine import BevMaps
from airside.errors import UsageError
from airside.fusion.mounted import mounted_view
from airside.geometry.bev_grid import BevGrid
from airside.geometry.bev_view import BevView, bev_view, observed_only
from airside.geometry.lift_map import depth_probability_from_metric, lift_map, reach_map
from airside.geometry.splat_table import NetworkRig


@dataclass(frozen=True, slots=True)
class BevLayers:
    """``layers`` [L, X, Y] float32 probabilities in [0, 1], named by ``names``; ``unknown`` [X, Y] float32
    ``ood_score`` in [0, 1], high = unknown. A cell nothing was seen of is NaN in ``unknown``: never free. ``reach``
    [X, Y] float32 in [0, 1]: how surely the cameras see as far as the cell."""

    grid: BevGrid
    names: tuple[str, ...]
    layers: np.ndarray
    unknown: np.ndarray
    reach: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class RigAbove:
    """What the bird's-eye network must be told of the ``cameras`` of a rig, in their order."""

    cameras: tuple[str, ...]
    view: BevView

    def seen_by(self, observed: Collection[str]) -> BevView | None:
        """The view while only the cameras ``observed`` deliver: the others' patches are lifted nowhere. ``None`` where
        nothing of the grid is left."""
        grid = self.view.table.patch_grid
        there = np.array([name in observed for name in self.cameras])
        if there.all():
            return self.view
        try:
            return observed_only(self.view, np.broadcast_to(there[:, None, None], (len(there), *grid)))
        except UsageError:  # no observed patch sees the grid
            return None


def rig_above(cameras: Sequence[CameraConfig], manifest: Manifest) -> RigAbove | None:
    """Worked out once from calibration and model; letterbox bars, and what a lens does not show, are lifted nowhere.
    ``None`` for a model without a bird's-eye view.

    Raises :class:`airside.errors.UsageError` when the cameras see nothing of the grid.
    """
    spec = manifest.bev
    if spec is None:
        return None
    rig, observed = network_rig(cameras, manifest)
    whole = observed_only(bev_view(rig, spec.grid, spec.bins, spec.height_range_m), observed)
    return RigAbove(tuple(camera.name for camera in cameras), whole)


def network_rig(cameras: Sequence[CameraConfig], manifest: Manifest) -> tuple[NetworkRig, np.ndarray]:
    """``cameras`` as a network of ``manifest`` sees their pictures, and which patches are no letterbox bars: [N, Hp,
    Wp] bool."""
    views = []
    for camera in cameras:
        blank = np.zeros((camera.pinhole.height, camera.pinhole.width, 3), np.uint8)
        net = fit_to_network(blank, manifest.height_px, manifest.width_px, manifest.patch_px)
        net = Rectifier(camera).observed(net, *blank.shape[:2])
        views.append(mounted_view(camera, blank.shape, net))
    rig = NetworkRig([view.network for view in views], [view.ego_from_cam for view in views], manifest.patch_px)
    return rig, np.stack([view.observed for view in views])


def nothing_seen(spec: BevSpec) -> BevLayers:
    """The view of a tick that saw nothing: no cell is observed."""
    cells = spec.grid.shape
    nowhere = np.zeros(cells, np.float32)
    return BevLayers(
        spec.grid, spec.layers, np.zeros((len(spec.layers), *cells), np.float32), nowhere * np.nan, nowhere
    )


def measured_depth(depth_m: Sequence[np.ndarray | None], manifest: Manifest) -> np.ndarray | None:
    """What the bird's-eye network is told of metric depth [Hd, Wd], of each camera (``None``: nothing was measured):
    [N, D, Hp, Wp] float32; ``None`` where no camera has any. For a model with a bird's-eye view."""
    spec, (rows, columns) = manifest.bev, manifest.grid
    assert spec is not None
    measured = np.zeros((len(depth_m), spec.bins.count, rows, columns), np.float32)
    there = [number for number, depth in enumerate(depth_m) if depth is not None]
    if not there:
        return None
    known = np.stack([depth for depth in depth_m if depth is not None])
    measured[there] = depth_probability_from_metric(known, (rows, columns), spec.bins)
    return measured


def bev_layers(maps: BevMaps, spec: BevSpec, above: BevView, ood_score: np.ndarray) -> BevLayers:
    """``ood_score`` [N, Hp, Wp] float of the cameras behind ``maps``, whose view is ``above``."""
    unknown = lift_map(ood_score, maps.depth_probability, above.table)
    reach = reach_map(maps.depth_probability, above.table)
    return BevLayers(spec.grid, spec.layers, maps.layers, unknown, reach)
