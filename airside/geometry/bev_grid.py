"""The bird's-eye grid: square cells on the ground plane of the ego frame, index to metres and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airside.errors import UsageError

LAYERS = ("vehicles", "drivable", "markings")  # of the bird's-eye view, in the order of every array that stacks them


@dataclass(frozen=True, slots=True)
class BevGrid:
    """``cells_x`` x ``cells_y`` square cells of ``cell_m`` metres, centred on the ego origin.

    Axis X runs forward and axis Y to the left, as the ego frame does: cell (0, 0) is the rearmost, rightmost one. A
    cell holds its lower edges, not its upper ones. Flat numbers run over Y first: ``ix * cells_y + iy``.

    Raises :class:`UsageError` when a number of cells or their size is not positive.
    """

    cells_x: int = 200
    cells_y: int = 200
    cell_m: float = 0.5

    def __post_init__(self) -> None:
        for name in ("cells_x", "cells_y"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise UsageError(f"BEV grid: {name} must be a positive whole number, got {value!r}")
        if not (math.isfinite(self.cell_m) and self.cell_m > 0):
            raise UsageError(f"BEV grid: cell_m must be positive and finite, got {self.cell_m}")

    @property
    def shape(self) -> tuple[int, int]:
        """(X, Y)."""
        return self.cells_x, self.cells_y

    @property
    def cells(self) -> int:
        """X * Y."""
        return self.cells_x * self.cells_y

    @property
    def corner_xy_m(self) -> tuple[float, float]:
        """The lower corner of cell (0, 0) in the ego frame."""
        return -self.cells_x * self.cell_m / 2, -self.cells_y * self.cell_m / 2

    def index_from_xy(self, xy_ego_m: np.ndarray) -> np.ndarray:
        """Cells [..., 2] int64 of points [..., 2] in ego metres; (-1, -1) outside the grid and where not finite."""
        xy = _pairs(xy_ego_m, "points")
        position = np.floor((np.where(np.isfinite(xy), xy, np.inf) - self.corner_xy_m) / self.cell_m)
        inside = ((position >= 0) & (position < self.shape)).all(axis=-1, keepdims=True)
        return np.where(inside, position, -1).astype(np.int64)

    def flat_from_xy(self, xy_ego_m: np.ndarray) -> np.ndarray:
        """Flat cell numbers [...] int64 of points [..., 2] in ego metres; -1 outside the grid."""
        index = self.index_from_xy(xy_ego_m)
        return np.where(index[..., 0] < 0, -1, index[..., 0] * self.cells_y + index[..., 1])

    def xy_from_index(self, index: np.ndarray) -> np.ndarray:
        """Centres [..., 2] float64 in ego metres of cells [..., 2]; indices outside the grid are carried on."""
        centre: np.ndarray = (_pairs(index, "cells") + 0.5) * self.cell_m + self.corner_xy_m
        return centre

    def centres_xy_m(self) -> np.ndarray:
        """[X, Y, 2] float64: the centre of every cell in ego metres."""
        return self.xy_from_index(np.moveaxis(np.indices(self.shape), 0, -1))


def _pairs(values: np.ndarray, what: str) -> np.ndarray:
    pairs = np.asarray(values, np.float64)
    if pairs.ndim < 1 or pairs.shape[-1] != 2:
        raise UsageError(f"wanted {what} [..., 2], got {list(pairs.shape)}")
    return pairs
