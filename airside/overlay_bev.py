"""The bird's-eye panel beside the camera's picture: what is known of the ground, and where the unknown stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from airside.drawing import INK, MEDIUM, MUTED, SEMIBOLD, TEAL, TEXT, Colour, fill_round, put_text, ramp, text_width
from airside.fusion.bev_layers import BevLayers
from airside.fusion.mounted import MountedView
from airside.messages import Kind, Sighting
from airside.overlay_bev_frame import (
    SHIFT,
    Window,
    draw_field,
    draw_rings,
    draw_vehicle,
    field_of_view,
    fixed_point,
    half_view_of,
    hatch,
    heading_of,
)
from airside.overlay_text import heat_level, heat_opacity, sighting_colour, words

PANEL_WIDTH = 520
_REACH_M = 48.0  # the view is drawn this far, or as far as ranges are told
_COARSE = 3
_UNSEEN: Colour = (14, 18, 24)
_HATCH: Colour = (33, 41, 53)
_RIM: Colour = (84, 97, 114)  # around the legend's swatches: the darkest are as dark as what is behind them
_SEEN: Colour = (40, 49, 62)
_LAYERS: dict[str, tuple[Colour, float]] = {  # bottom to top: colour and opacity at probability 1
    "drivable": ((66, 82, 101), 0.95),
    "markings": ((236, 226, 190), 0.85),
    "vehicles": (TEAL, 0.70),
}
_MAX_LABELS = 6
_RAMP_PLANES = ramp().T.astype(np.float32)  # [3, 256]
_SEEN_WEIGHT = 0.10  # of the cells around: seen from here on, as lifted patches leave gaps between them


@dataclass(frozen=True, slots=True)
class BevPanel:
    """What the panel shows: ``view`` is ``None`` while there is no picture, ``layers`` where the model has none."""

    view: MountedView | None
    layers: BevLayers | None


def draw_bev(panel: np.ndarray, shown: BevPanel, sightings: Sequence[Sighting], threshold: float) -> None:
    """Fill ``panel`` [H, W, 3] uint8 RGB. What the camera does not see stays dark and hatched: never free."""
    panel[:] = hatch(panel.shape[0], panel.shape[1], _UNSEEN, _HATCH)
    heading = heading_of(shown.view) if shown.view is not None else 0.0
    window = Window.towards(heading, *panel.shape[:2])
    field = None
    if shown.view is not None:
        field = field_of_view(shown.view, min(shown.view.max_range_m, _REACH_M))
        _blend_ground(panel, window, field, shown.layers, threshold)
    draw_rings(panel, window, heading, half_view_of(shown.view) if shown.view is not None else 0.0)
    if field is not None:
        draw_field(panel, window, field)
    _draw_footprints(panel, window, sightings)
    draw_vehicle(panel, window)
    _draw_labels(panel, window, sightings)
    _draw_words(panel, shown.layers)


def _blend_ground(
    panel: np.ndarray, window: Window, field_xy_m: np.ndarray, layers: BevLayers | None, threshold: float
) -> None:
    """The seen ground with its layers and the heat of the unknown, mixed at coarse size."""
    coarse = window.smaller(_COARSE)
    size = (coarse.width, coarse.height)
    seen = np.zeros((coarse.height, coarse.width), np.float32)
    cv2.fillPoly(seen, [fixed_point(coarse.uv_from_xy(field_xy_m))], 1.0, cv2.LINE_8, SHIFT)
    colour = np.empty((3, *seen.shape), np.float32)
    colour[:] = np.array(_SEEN, np.float32)[:, None, None]
    if layers is not None:
        matrix = _cells_to_panel(layers, coarse)

        def on_panel(cells: np.ndarray) -> np.ndarray:
            return np.asarray(cv2.warpAffine(cells, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0))

        for name, (tint, opacity) in _LAYERS.items():
            if name in layers.names:
                share = on_panel(layers.layers[layers.names.index(name)])
                _mix(colour, np.array(tint, np.float32)[:, None, None], _contrast(share) * opacity)
        score, weight = _filled(layers.unknown)
        seen *= np.clip(on_panel(weight) / _SEEN_WEIGHT, 0, 1)
        heat = heat_level(on_panel(score), threshold)
        _mix(colour, _RAMP_PLANES[:, (heat * 255).astype(np.uint8)], heat_opacity(heat) * 1.6)
    seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), 1.2))
    full = panel.shape[1::-1]
    ground = cv2.resize(cv2.convertScaleAbs(cv2.merge(list(colour))), full, interpolation=cv2.INTER_LINEAR)
    share = cv2.resize(cv2.convertScaleAbs(seen * 255), full, interpolation=cv2.INTER_LINEAR)
    share = cv2.merge([share, share, share])
    cv2.multiply(ground, share, dst=ground, scale=1 / 255)
    cv2.multiply(panel, cv2.bitwise_not(share, dst=share), dst=panel, scale=1 / 255)
    cv2.add(panel, ground, dst=panel)


def _cells_to_panel(layers: BevLayers, window: Window) -> np.ndarray:
    """[2, 3]: (column, row) of a cell map [X, Y], that is (iy, ix), to panel pixels."""
    grid = layers.grid
    cells = np.array([(0, 0), (1, 0), (0, 1)])
    uv = window.uv_from_xy(grid.xy_from_index(cells[:, ::-1]))
    return np.column_stack([uv[1] - uv[0], uv[2] - uv[0], uv[0]])


def _filled(unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``unknown`` [X, Y] with NaN -> the greatest score of each cell and those around it, softened, so that a small
    thing is not averaged away; and how much of each neighbourhood was seen."""
    there = np.isfinite(unknown).astype(np.float32)
    peaks = cv2.dilate(np.nan_to_num(unknown, nan=0.0), np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(peaks, (0, 0), 0.7)), np.asarray(cv2.GaussianBlur(there, (0, 0), 1.8))


def _contrast(share: np.ndarray) -> np.ndarray:
    """A probability as an opacity: doubt recedes, certainty stands out."""
    rise = np.clip((share - 0.2) / 0.6, 0, 1)
    return np.asarray(rise * rise * (3 - 2 * rise))


def _mix(colour: np.ndarray, tint: np.ndarray, opacity: np.ndarray) -> None:
    """Lay ``tint`` [3, h, w] or [3, 1, 1] over ``colour`` [3, h, w], by ``opacity`` [h, w]."""
    colour += (tint - colour) * np.clip(opacity, 0, 1)


def _draw_footprints(panel: np.ndarray, window: Window, sightings: Sequence[Sighting]) -> None:
    """Known ones first: an unknown one is never hidden."""
    glow = np.zeros_like(panel)
    for sighting in sorted(sightings, key=lambda s: (s.region.kind is Kind.UNKNOWN, s.level)):
        if sighting.placement is None or len(sighting.placement.footprint_xy_m) < 3:
            continue
        corners = fixed_point(window.uv_from_xy(np.array(sighting.placement.footprint_xy_m)))
        colour = sighting_colour(sighting)
        unknown = sighting.region.kind is Kind.UNKNOWN
        cv2.fillPoly(glow, [corners], tuple(round(c * (0.55 if unknown else 0.1)) for c in colour), cv2.LINE_AA, SHIFT)
        cv2.polylines(panel, [corners], True, colour, 3 if unknown else 1, cv2.LINE_AA, SHIFT)
    cv2.add(panel, glow, dst=panel)


def _draw_labels(panel: np.ndarray, window: Window, sightings: Sequence[Sighting]) -> None:
    """Name and range of the most urgent places, each where it hides no other label."""
    taken: list[tuple[int, int, int, int]] = []
    urgent = sorted(sightings, key=lambda s: (-s.level, s.region.kind is Kind.KNOWN, -s.region.patches))
    for sighting in urgent:
        place = sighting.placement
        if place is None or len(place.footprint_xy_m) < 3 or len(taken) == _MAX_LABELS:
            continue
        corners = window.uv_from_xy(np.array(place.footprint_xy_m))
        (u0, v0), (u1, v1) = corners.min(axis=0), corners.max(axis=0)
        name, metres = words(sighting.region.name), f"{place.range_m:.1f} m"
        width = text_width(name, 14, SEMIBOLD) + text_width(metres, 13) + 26
        if u1 < 0 or v1 < 36 or u0 >= window.width or v0 >= window.height - 40 or width > window.width:
            continue
        middle = round(float(v0 + v1) / 2)
        for left, row in ((round(u1) + 8, middle), (round(u0) - 8 - width, middle), (round(u0), round(v0) - 18)):
            box = (left, row - 12, left + width, row + 12)
            inside = left >= 4 and box[2] <= window.width - 4 and box[1] >= 36 and box[3] <= window.height - 40
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                fill_round(panel, box, 6, INK, 0.78)
                end = put_text(panel, name, left + 9, row, 14, sighting_colour(sighting), SEMIBOLD)
                put_text(panel, metres, end + 8, row, 13, TEXT)
                break


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _draw_words(panel: np.ndarray, layers: BevLayers | None) -> None:
    """Title above, what the colours mean below."""
    height, width = panel.shape[:2]
    fill_round(panel, (0, 0, width, 32), 0, INK, 0.8)
    end = put_text(panel, "bird's-eye view", 14, 16, 15, TEXT, MEDIUM)
    put_text(panel, "front up · rings 10 m apart", end + 12, 16, 13, MUTED)
    fill_round(panel, (0, height - 36, width, height), 0, INK, 0.8)
    known = [(name, tint) for name, (tint, _) in _LAYERS.items() if layers is not None and name in layers.names]
    marks = [*known, ("novelty", tuple(ramp()[190].tolist()))] if layers is not None else [("in view", _SEEN)]
    left, middle = 14, height - 18
    for name, tint in marks:
        fill_round(panel, (left - 1, middle - 7, left + 13, middle + 7), 5, _RIM)
        fill_round(panel, (left, middle - 6, left + 12, middle + 6), 4, tint)
        left = put_text(panel, name, left + 18, middle, 13, MUTED) + 14
    swatch = panel[max(middle - 6, 0) : max(middle + 6, 0), left : left + 12]
    swatch[:] = hatch(swatch.shape[0], swatch.shape[1], _UNSEEN, (96, 108, 124), 5)
    put_text(panel, "not seen", left + 18, middle, 13, MUTED)
