"""What a bird's-eye network must be told of a rig: computed once from the calibration, used every tick."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.splat_table import RAY_FEATURES, DepthBins, NetworkRig, SplatTable, build_splat_table


@dataclass(frozen=True, slots=True, eq=False)
class BevView:
    """``rays`` [N, Hp, Wp, 3] float32, read-only (:meth:`NetworkRig.ray_features`), and the rig's splat table.

    Raises :class:`UsageError` when the rays are not those of the table's cameras and patches.
    """

    rays: np.ndarray
    table: SplatTable

    def __post_init__(self) -> None:
        rays = np.array(self.rays, np.float32)
        wanted = (self.table.cameras, *self.table.patch_grid, RAY_FEATURES)
        if rays.shape != wanted:
            raise UsageError(f"bird's-eye view: wanted rays {list(wanted)} as the splat table, got {list(rays.shape)}")
        rays.flags.writeable = False
        object.__setattr__(self, "rays", rays)


def bev_view(rig: NetworkRig, grid: BevGrid, bins: DepthBins, height_range_m: tuple[float, float]) -> BevView:
    """The view of ``rig`` on ``grid``; the other three are what the network was trained with (its manifest's ``bev``).

    Raises :class:`UsageError` when the rig sees nothing of the grid.
    """
    return BevView(rig.ray_features(), build_splat_table(rig, grid, bins, height_range_m))


def observed_only(view: BevView, observed: np.ndarray) -> BevView:
    """``view`` without what the patches not ``observed`` [N, Hp, Wp] bool (letterbox bars) would put on the grid.

    Raises :class:`UsageError` when nothing is left.
    """
    table = view.table
    kept = np.asarray(observed, bool).ravel()[table.patch]
    if not kept.any():
        raise UsageError("no observed patch of this rig sees the BEV grid: check the picture's shape and ego_from_cam")
    columns = {name: getattr(table, name)[kept] for name in ("patch", "depth_bin", "cell")}
    return BevView(view.rays, replace(table, **columns))
