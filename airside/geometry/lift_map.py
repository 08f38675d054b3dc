"""Maps on patches, lifted to the bird's-eye grid by the splat table; where no patch tells anything stays NaN."""

from __future__ import annotations

import numpy as np

from airside.errors import MismatchError, UsageError
from airside.geometry.splat_table import DepthBins, SplatTable


def lift_map(
    patch_map: np.ndarray, depth_probability: np.ndarray, table: SplatTable, *, min_mass: float = 0.05
) -> np.ndarray:
    """``patch_map`` [N, Hp, Wp] seen from above: [X, Y] float32, the mean of a cell's patches weighted by depth mass.

    The result lies between the least and the greatest value that reached the cell, so an ``ood_score`` stays one.
    ``depth_probability`` [N, D, Hp, Wp] says where along its ray each patch is: a network's softmax, or
    :func:`depth_probability_from_metric`. A cell is NaN, *unobserved*, where less than ``min_mass`` patches' worth of
    depth mass lands in it; NaN in ``patch_map`` marks patches that are not observed (letterbox bars, a stale camera).

    Raises :class:`MismatchError` when a shape is not the table's, :class:`UsageError` when a value is infinite, a mass
    is negative or not finite, or ``min_mass`` is not positive.
    """
    if not min_mass > 0:
        raise UsageError(f"min_mass must be positive, got {min_mass}: cells without any mass are never observed")
    values = np.asarray(patch_map, np.float64)
    mass = np.asarray(depth_probability, np.float64)
    rows, columns = table.patch_grid
    _require_shape("patch_map", values, (table.cameras, rows, columns))
    _require_shape("depth_probability", mass, (table.cameras, table.bins.count, rows, columns))
    if np.isinf(values).any():
        raise UsageError("patch_map holds infinite values; mark patches that are not observed with NaN")
    if not (np.isfinite(mass) & (mass >= 0)).all():
        raise UsageError("depth_probability must be finite and not negative")
    of_row = values.ravel()[table.patch]
    weight = mass.transpose(0, 2, 3, 1).reshape(table.patches, -1)[table.patch, table.depth_bin]
    weight = np.where(np.isnan(of_row), 0.0, weight)
    cells = table.grid.cells
    total = np.bincount(table.cell, weights=weight, minlength=cells)
    summed = np.bincount(table.cell, weights=weight * np.nan_to_num(of_row), minlength=cells)
    lifted = np.full(cells, np.nan)
    np.divide(summed, total, out=lifted, where=total >= min_mass)
    return lifted.reshape(table.grid.shape).astype(np.float32)


def reach_map(depth_probability: np.ndarray, table: SplatTable) -> np.ndarray:
    """How surely the rig sees as far as each cell: [X, Y] float32 in [0, 1], 0 where no ray of the table goes.

    A ray gets as far as a bin unless what it meets is nearer: one minus the ``depth_probability`` [N, D, Hp, Wp] of the
    bins before it. A cell counts by the ray that gets there most surely. So what lies behind a thing is not reached.

    Raises :class:`MismatchError` when the shape is not the table's.
    """
    mass = np.asarray(depth_probability, np.float64)
    _require_shape("depth_probability", mass, (table.cameras, table.bins.count, *table.patch_grid))
    reached = 1 - (np.cumsum(mass, axis=1) - mass)
    of_row = reached.transpose(0, 2, 3, 1).reshape(table.patches, -1)[table.patch, table.depth_bin]
    found = np.zeros(table.grid.cells, np.float32)
    if len(of_row):
        first = np.flatnonzero(np.diff(table.cell, prepend=-1))
        found[table.cell[first]] = np.maximum.reduceat(of_row, first)
    return np.clip(found, 0, 1).reshape(table.grid.shape)


def depth_probability_from_metric(depth_m: np.ndarray, patch_grid: tuple[int, int], bins: DepthBins) -> np.ndarray:
    """Metric depth [N, H, W] along the optical axis (lidar, Metric3D, a depth head) as [N, D, Hp, Wp] float32.

    H and W are multiples of the patch grid, or the grid itself. A pixel's depth is split linearly between the two bins
    whose centres enclose it, and a patch averages its measured pixels. Pixels that are NaN, infinite or not positive
    were not measured and count for nothing; measured depths outside the bins take their share of the mass away. So a
    patch sums to 1 at most, and to 0 where nothing was measured.

    Raises :class:`MismatchError` when the shape does not fit the patch grid.
    """
    depth = np.asarray(depth_m, np.float64)
    rows, columns = patch_grid
    if depth.ndim != 3 or depth.shape[1] % rows or depth.shape[2] % columns or not depth.size:
        raise MismatchError(f"wanted depth [N, H, W] in multiples of the patch grid {rows} x {columns}, got "
                            f"{list(depth.shape)}")  # fmt: skip
    cameras, height, width = depth.shape
    measured = np.isfinite(depth) & (depth > 0)
    inside = measured & (depth >= bins.edges_m[0]) & (depth <= bins.edges_m[-1])
    camera, v, u = np.nonzero(inside)
    centres = bins.centres_m
    position = np.interp(depth[inside], centres, np.arange(bins.count))
    below = np.floor(position).astype(np.int64)
    share_above = position - below
    shape = (cameras, bins.count, rows, columns)
    patch = (v // (height // rows), u // (width // columns))
    mass = np.zeros(int(np.prod(shape)))
    for at, share in ((below, 1 - share_above), (np.minimum(below + 1, bins.count - 1), share_above)):
        mass += np.bincount(np.ravel_multi_index((camera, at, *patch), shape), share, len(mass))
    mass = mass.reshape(shape)
    pixels = measured.reshape(cameras, rows, height // rows, columns, width // columns).sum(axis=(2, 4))
    mass /= np.maximum(pixels, 1)[:, None]
    return mass.astype(np.float32)


def _require_shape(name: str, array: np.ndarray, wanted: tuple[int, ...]) -> None:
    if array.shape != wanted:
        raise MismatchError(f"{name}: this rig's table wants {list(wanted)}, got {list(array.shape)}")
