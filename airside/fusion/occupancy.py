"""The ground as a planner wants it: free, occupied, or not observed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from airside.fusion.bev_layers import BevLayers
from airside.messages import Footprint, Kind, Occupancy, Track

UNOBSERVED = -1
REACHED = 0.5  # a cell is observed where a ray gets there more surely than not
_BLOCKING = "vehicles"  # of the network's layers
_SHIFT = 4  # sub-pixel bits of OpenCV's drawing calls


def occupancy(bev: BevLayers, tracks: Sequence[Track]) -> Occupancy:
    """Cells by the greater of novelty and vehicle probability; what was not seen, or lies behind something, stays
    *unobserved*. The footprints of unknown objects that were seen are occupied, whatever the maps say of them."""
    filled = np.nan_to_num(bev.unknown, nan=0.0)
    if _BLOCKING in bev.names:
        filled = np.maximum(filled, bev.layers[bev.names.index(_BLOCKING)])
    seen = np.isfinite(bev.unknown) & (bev.reach >= REACHED)
    cells = np.where(seen, np.round(filled * 100), UNOBSERVED).astype(np.int8)
    for track in tracks:
        if track.kind is Kind.UNKNOWN and len(track.footprint_xy_m) >= 3:
            _fill(cells, track.footprint_xy_m, bev)
    return Occupancy(bev.grid.cell_m, bev.grid.corner_xy_m, cells)


def _fill(cells: np.ndarray, footprint: Footprint, bev: BevLayers) -> None:
    at = (np.array(footprint) - bev.grid.corner_xy_m) / bev.grid.cell_m - 0.5
    corners = np.round(np.clip(at[:, ::-1], -1e4, 1e4) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(cells.view(np.uint8), [corners], 100, cv2.LINE_8, _SHIFT)
