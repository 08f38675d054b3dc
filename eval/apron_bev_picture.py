"""The bird's-eye benchmark to look at: all cameras of a rig, what was there, and what the network says."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from airside.config import RigConfig
from airside.drawing import INK, MUTED, TEAL, TEXT, Colour, fill_round, put_text, text_width
from airside.errors import InputError
from airside.geometry.bev_grid import BevGrid
from airside.overlay_bev_frame import SHIFT, Window, draw_vehicle, fixed_point
from eval.bev_frames import BevFrame
from eval.bev_heads import truth_of
from eval.bev_scores import THRESHOLD
from eval.metrics.bev import layer_iou, radius_cells
from eval.sheet import GAP_PX, caption, hatched, headings, in_a_column, in_a_row, paper

ROWS = 4
MIN_VEHICLES_M2 = 15.0  # in the truth of a stop worth showing
PANEL_PX, REACH_M, SCORED_M = 480, 30.0, 25.0
RINGS_M = (10, 20)
_SEEN: Colour = (40, 49, 62)
_RING: Colour = (120, 134, 152)
_SCORED: Colour = (243, 160, 25)
_OUTLINE: Colour = (255, 255, 255)
_LAYERS: dict[str, tuple[Colour, float]] = {  # bottom to top: colour and opacity at probability 1
    "drivable": ((84, 104, 128), 0.95),
    "markings": ((236, 226, 190), 0.9),
    "vehicles": (TEAL, 0.9),
}


@dataclass
class BevPick:
    """Keeps up to :data:`ROWS` of the stops it is offered, one a condition, with vehicles around them."""

    layers: tuple[str, ...]
    grid: BevGrid
    kept: list[tuple[BevFrame, np.ndarray]] = field(default_factory=list)

    def offer(self, frame: BevFrame, probabilities: np.ndarray) -> None:
        """``probabilities`` [L, X, Y] of ``layers``."""
        vehicles_m2 = np.count_nonzero(truth_of(frame.layers, ("vehicles",)) & frame.visible) * self.grid.cell_m**2
        shown = {other.condition for other, _ in self.kept}
        if len(self.kept) < ROWS and frame.condition not in shown and vehicles_m2 >= MIN_VEHICLES_M2:
            self.kept.append((frame, probabilities))


def bev_sheet(pick: BevPick, rig: RigConfig) -> np.ndarray:
    """[*, *, 3] uint8 RGB. Raises :class:`InputError` where no stop was worth keeping."""
    if not pick.kept:
        raise InputError("no stop has enough vehicles around it to be worth a picture; evaluate more --frames")
    names, grid = [camera.name for camera in rig.cameras], pick.grid
    parts: list[np.ndarray] = []
    for frame, probabilities in pick.kept:
        truth = truth_of(frame.layers, pick.layers)
        cameras = _mosaic(frame.rgb, names)
        panels = [
            bev_panel(layers.astype(np.float32), frame.visible, pick.layers, grid) for layers in (truth, probabilities)
        ]
        if "vehicles" in pick.layers:
            _outline(panels[1], truth[pick.layers.index("vehicles")] & frame.visible, grid)
        row = in_a_row([cameras, *panels])
        if not parts:
            titles = ("cameras", "truth", "network, and the true vehicles' outlines")
            parts += [headings(list(zip(titles, (cameras.shape[1], PANEL_PX, PANEL_PX), strict=True)))]
        parts += [caption(_words(frame, truth, probabilities, pick.layers, grid), row.shape[1]), row]
        parts += [paper(GAP_PX, row.shape[1])]
    return in_a_column([*parts, _legend(pick.layers, parts[0].shape[1])])


def bev_panel(layers: np.ndarray, visible: np.ndarray, names: tuple[str, ...], grid: BevGrid) -> np.ndarray:
    """[PANEL_PX, PANEL_PX, 3] uint8 RGB: ``layers`` [L, X, Y] float in [0, 1] around the vehicle, its front up.

    Cells that are not ``visible`` [X, Y] are hatched.
    """
    window = Window(PANEL_PX, PANEL_PX, PANEL_PX / (2 * REACH_M), (0.0, 0.0))
    panel = np.empty((PANEL_PX, PANEL_PX, 3), np.float32)
    panel[:] = _SEEN
    for name, (colour, opacity) in _LAYERS.items():
        if name in names:
            share = _on_panel(layers[names.index(name)].astype(np.float32), grid, window)
            panel += (np.array(colour, np.float32) - panel) * (_contrast(share) * opacity)[..., None]
    shown = panel.round().astype(np.uint8)
    unseen = _on_panel((~visible).astype(np.float32), grid, window, outside=1.0) > 0.5
    shown[unseen] = hatched(PANEL_PX, PANEL_PX)[unseen]
    _draw_rings(shown, window)
    draw_vehicle(shown, window)
    return shown


def _on_panel(cells: np.ndarray, grid: BevGrid, window: Window, outside: float = 0.0) -> np.ndarray:
    """[PANEL_PX, PANEL_PX] float32: every pixel the value of its cell of ``cells`` [X, Y]."""
    v, u = np.indices((window.height, window.width))
    x_m = window.centre_xy_m[0] + (window.height / 2 - 0.5 - v) / window.px_per_m
    y_m = window.centre_xy_m[1] + (window.width / 2 - 0.5 - u) / window.px_per_m
    flat = grid.flat_from_xy(np.stack([x_m, y_m], axis=-1))
    return np.where(flat >= 0, cells.ravel()[np.maximum(flat, 0)], np.float32(outside))


def _contrast(share: np.ndarray) -> np.ndarray:
    """A probability as an opacity, half at one half: doubt recedes, certainty stands out."""
    rise = np.clip((share - 0.2) / 0.6, 0, 1)
    return np.asarray(rise * rise * (3 - 2 * rise))


def _outline(panel: np.ndarray, cells: np.ndarray, grid: BevGrid) -> None:
    window = Window(PANEL_PX, PANEL_PX, PANEL_PX / (2 * REACH_M), (0.0, 0.0))
    mask = _on_panel(cells.astype(np.float32), grid, window).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(panel, outlines, -1, _OUTLINE, 1, cv2.LINE_AA)


def _draw_rings(panel: np.ndarray, window: Window) -> None:
    centre = fixed_point(window.uv_from_xy(np.zeros(2)))[0, 0].tolist()
    for ring_m, colour in (*((ring, _RING) for ring in RINGS_M), (SCORED_M, _SCORED)):
        cv2.circle(panel, centre, round(ring_m * window.px_per_m * (1 << SHIFT)), colour, 1, cv2.LINE_AA, SHIFT)
        text = f"{ring_m:g} m"
        u, v = (round(float(p)) for p in window.uv_from_xy(ring_m * np.array([np.cos(0.6), -np.sin(0.6)])))
        width = text_width(text, 13)
        fill_round(panel, (u - width // 2 - 5, v - 9, u + width - width // 2 + 5, v + 9), 6, INK, 0.75)
        put_text(panel, text, u - width // 2, v, 13, TEXT)


def _mosaic(rgb: np.ndarray, names: list[str]) -> np.ndarray:
    """[PANEL_PX, *, 3]: the cameras two by two, each with its name."""
    rows = -(-len(rgb) // 2)
    height = (PANEL_PX - GAP_PX * (rows - 1)) // rows
    width = round(height * rgb.shape[2] / rgb.shape[1])
    sheet = paper(PANEL_PX, 2 * width + GAP_PX)
    for k, (image, name) in enumerate(zip(rgb, names, strict=True)):
        top, left = (k // 2) * (height + GAP_PX), (k % 2) * (width + GAP_PX)
        cell = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        words = name.replace("_", " ")
        fill_round(cell, (6, 6, 18 + text_width(words, 13), 26), 6, INK, 0.7)
        put_text(cell, words, 12, 16, 13, TEXT)
        sheet[top : top + height, left : left + width] = cell
    return sheet


def _words(
    frame: BevFrame, truth: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...], grid: BevGrid
) -> list[str]:
    mask = frame.visible & radius_cells(grid, SCORED_M)
    told = [frame.condition.replace("_", " "), f"IoU within {SCORED_M:g} m:"]
    for k, name in enumerate(names):
        iou = layer_iou(probabilities[k] >= THRESHOLD, truth[k], mask).iou
        told.append(f"{name} {'-' if iou is None else f'{iou:.2f}'}")
    return told


def _legend(names: tuple[str, ...], width: int) -> np.ndarray:
    strip = paper(34, width)
    left = 0
    for name, (colour, _) in _LAYERS.items():
        if name in names:
            fill_round(strip, (left, 9, left + 16, 25), 4, colour)
            left = put_text(strip, name, left + 24, 17, 14, MUTED) + 26
    fill_round(strip, (left, 9, left + 16, 25), 4, _SEEN)
    left = put_text(strip, "in view, none of these", left + 24, 17, 14, MUTED) + 26
    strip[9:25, left : left + 16] = hatched(16, 16)
    left = put_text(strip, "no camera sees it: not counted", left + 24, 17, 14, MUTED) + 26
    strip[16:18, left : left + 22] = _SCORED
    left = put_text(strip, f"{SCORED_M:g} m, scored inside", left + 30, 17, 14, MUTED) + 26
    put_text(strip, "front up", left, 17, 14, MUTED)
    return strip
