"""Intersection over union of bird's-eye layers, pooled over frames (Philion & Fidler, arXiv 2008.05711, section 5.2),
and the best answer that never looks at a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from airside.geometry.bev_grid import BevGrid


@dataclass(frozen=True, slots=True)
class LayerIou:
    """Cells of one layer, pooled. ``iou`` 0 is nothing right, 1 is perfect; ``None`` where neither prediction nor truth
    holds a cell. ``everywhere`` is the IoU of answering yes in every cell."""

    intersection: int
    union: int
    positives: int  # cells of the truth
    cells: int  # cells that count

    @property
    def iou(self) -> float | None:
        return self.intersection / self.union if self.union else None

    @property
    def everywhere(self) -> float | None:
        return self.positives / self.cells if self.cells else None


def layer_iou(predicted: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> LayerIou:
    """``predicted`` against ``truth`` where ``mask`` is true; all three bool of one shape.

    Raises ``ValueError`` on shapes that differ or arrays that are not bool (a probability needs its threshold first).
    """
    for name, array in (("prediction", predicted), ("truth", truth), ("mask", mask)):
        if array.dtype != np.bool_ or array.shape != truth.shape:
            raise ValueError(f"{name}: wanted bool {truth.shape}, got {array.dtype} {array.shape}")
    return LayerIou(
        intersection=int(np.count_nonzero(predicted & truth & mask)),
        union=int(np.count_nonzero((predicted | truth) & mask)),
        positives=int(np.count_nonzero(truth & mask)),
        cells=int(np.count_nonzero(mask)),
    )


def radius_cells(grid: BevGrid, radius_m: float) -> np.ndarray:
    """[X, Y] bool: cells whose centre is at most ``radius_m`` from the ego origin. ``ValueError`` unless positive."""
    if not radius_m > 0:
        raise ValueError(f"radius_m must be positive, got {radius_m}")
    return np.asarray(np.hypot(*np.moveaxis(grid.centres_xy_m(), -1, 0)) <= radius_m)


class BevAccumulator:
    """Pools frames per layer: every cell weighs the same, whichever frame it is from.

    A cell counts within ``radius_m`` of the ego origin and where the frame's ``visible`` is true.
    """

    def __init__(self, layers: Sequence[str], grid: BevGrid, *, radius_m: float) -> None:
        if not layers or len(set(layers)) != len(layers):
            raise ValueError(f"layers must be named, and differently, got {list(layers)}")
        self.layers, self.grid, self.radius_m = tuple(layers), grid, radius_m
        self._near = radius_cells(grid, radius_m)
        self._sums = dict.fromkeys(self.layers, LayerIou(0, 0, 0, 0))

    def add(self, predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray) -> None:
        """Take one frame: ``predicted`` and ``truth`` [L, X, Y] bool, L as in ``layers``; ``visible`` [X, Y] bool.

        Raises ``ValueError`` on another shape or dtype; a frame that is refused leaves the sums as they were.
        """
        mask = _mask(visible, self._near)
        _require_layers("prediction", predicted, len(self.layers), self.grid)
        _require_layers("truth", truth, len(self.layers), self.grid)
        for name, mine, wanted in zip(self.layers, predicted, truth, strict=True):
            one, total = layer_iou(mine, wanted, mask), self._sums[name]
            self._sums[name] = LayerIou(
                total.intersection + one.intersection,
                total.union + one.union,
                total.positives + one.positives,
                total.cells + one.cells,
            )

    def compute(self) -> dict[str, LayerIou]:
        """Layer -> its cells pooled over the frames taken so far."""
        return dict(self._sums)


def constant_prior(
    frames: Iterable[tuple[np.ndarray, np.ndarray]], layers: int, grid: BevGrid, *, radius_m: float
) -> np.ndarray:
    """[L, X, Y] bool: the one answer, the same for every frame, whose IoU on ``frames`` is the highest there is.

    ``frames`` are pairs of truth [L, X, Y] and ``visible`` [X, Y], both bool, best those of training; score the result
    as any prediction. With p of n visible frames having a cell, adding it to the answer raises the pooled IoU r exactly
    where p > r (n - p): so the best set is a cut of the cells sorted by p / n, and every cut is tried. Cells that were
    never visible are left out. Raises ``ValueError`` as :class:`BevAccumulator` does.
    """
    near = radius_cells(grid, radius_m)
    seen = np.zeros(grid.shape, np.int64)
    hits = np.zeros((layers, *grid.shape), np.int64)
    for truth, visible in frames:
        _require_layers("truth", truth, layers, grid)
        mask = _mask(visible, near)
        seen += mask
        hits += truth & mask
    return np.stack([_best_cut(layer, seen) for layer in hits])


def _best_cut(hits: np.ndarray, seen: np.ndarray) -> np.ndarray:
    cells = np.flatnonzero(hits)
    share = hits.ravel()[cells] / seen.ravel()[cells]
    order = cells[np.argsort(-share, kind="stable")]
    answer = np.zeros(hits.size, bool)
    if len(order):
        intersection = np.cumsum(hits.ravel()[order])
        union = hits.sum() + np.cumsum((seen - hits).ravel()[order])
        answer[order[: int(np.argmax(intersection / union)) + 1]] = True
    return answer.reshape(hits.shape)


def _mask(visible: np.ndarray, near: np.ndarray) -> np.ndarray:
    if visible.dtype != np.bool_ or visible.shape != near.shape:
        raise ValueError(f"visible: wanted bool {near.shape}, got {visible.dtype} {visible.shape}")
    return np.asarray(visible & near)


def _require_layers(name: str, array: np.ndarray, layers: int, grid: BevGrid) -> None:
    if array.dtype != np.bool_ or array.shape != (layers, *grid.shape):
        raise ValueError(f"{name}: wanted bool {(layers, *grid.shape)}, got {array.dtype} {array.shape}")
