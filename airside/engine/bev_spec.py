"""What a bundle says of its bird's-eye view: everything a rig's view must be computed with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.splat_table import DepthBins


@dataclass(frozen=True, slots=True)
class BevSpec:
    """``layers`` names the L layers in their order; ``height_range_m`` over the ground is what gets splatted.

    Raises :class:`UsageError` when layers are missing or named twice, or heights do not run from low to high.
    """

    grid: BevGrid
    bins: DepthBins
    height_range_m: tuple[float, float]
    layers: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.layers or len(set(self.layers)) != len(self.layers):
            raise UsageError(f"BEV layers: wanted one or more different names, got {list(self.layers)}")
        if not self.height_range_m[0] < self.height_range_m[1]:
            raise UsageError(f"height_range_m must run from low to high, got {self.height_range_m}")

    def as_json(self) -> dict[str, Any]:
        return {
            "cells_x": self.grid.cells_x,
            "cells_y": self.grid.cells_y,
            "cell_m": self.grid.cell_m,
            "depth_edges_m": list(self.bins.edges_m),
            "height_range_m": list(self.height_range_m),
            "layers": list(self.layers),
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> BevSpec:
        """Raises :class:`KeyError`, :class:`TypeError`, :class:`ValueError` or :class:`UsageError` on anything else
        than :meth:`as_json` gives."""
        lowest, highest = raw["height_range_m"]
        return cls(
            grid=BevGrid(raw["cells_x"], raw["cells_y"], float(raw["cell_m"])),
            bins=DepthBins(tuple(float(edge) for edge in raw["depth_edges_m"])),
            height_range_m=(float(lowest), float(highest)),
            layers=tuple(str(layer) for layer in raw["layers"]),
        )
