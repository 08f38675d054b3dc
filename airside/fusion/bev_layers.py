"""One camera's tick seen from above: what the bird's-eye network tells, and the novelty lifted by the same geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airside.engine.bev_spec import BevSpec
from airside.engine.engine import BevMaps
from airside.fusion.mounted import MountedView
from airside.geometry.bev_grid import BevGrid
from airside.geometry.bev_view import BevView, bev_view, observed_only
from airside.geometry.lift_map import lift_map
from airside.geometry.splat_table import NetworkRig


@dataclass(frozen=True, slots=True)
class BevLayers:
    """``layers`` [L, X, Y] float32 probabilities in [0, 1], named by ``names``; ``unknown`` [X, Y] float32
    ``ood_score`` in [0, 1], high = unknown. A cell nothing was seen of is NaN in ``unknown``: never free."""

    grid: BevGrid
    names: tuple[str, ...]
    layers: np.ndarray
    unknown: np.ndarray


def view_from_above(view: MountedView, spec: BevSpec) -> BevView:
    """What the network must be told of one mounted camera; patches that are not observed are lifted nowhere.

    Raises :class:`airside.errors.UsageError` when the camera sees nothing of the grid.
    """
    rig = NetworkRig([view.network], [view.ego_from_cam], view.patch_px)
    return observed_only(bev_view(rig, spec.grid, spec.bins, spec.height_range_m), view.observed[None])


def bev_layers(maps: BevMaps, spec: BevSpec, above: BevView, ood_score: np.ndarray) -> BevLayers:
    """``ood_score`` [Hp, Wp] float of the one camera behind ``maps``, whose view is ``above``."""
    unknown = lift_map(ood_score[None], maps.depth_probability, above.table)
    return BevLayers(spec.grid, spec.layers, maps.layers, unknown)
