"""A rig from above: which ground its cameras see, how finely, and what nobody sees."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from airside.coverage import OBJECT_M, OBJECT_RANGE_M, CameraView, Coverage
from airside.drawing import (
    BOLD,
    INK,
    MEDIUM,
    MUTED,
    SEMIBOLD,
    TEAL,
    TEXT,
    Colour,
    fill_round,
    pill,
    pill_width,
    put_text,
    shortened,
    text_width,
)
from airside.overlay_bev_frame import SHIFT, Window, draw_vehicle, fixed_point, hatch

MAP, PANEL, MARGIN = 1000, 560, 28  # px
_REACH_M = 42.0  # of the map, to each side
_COARSE = 2
_RINGS_M = (10, 20, 30, 40)
_UNSEEN: Colour = (14, 18, 24)
_HATCH: Colour = (33, 41, 53)
_RING: Colour = (96, 110, 128)
_WARN: Colour = (255, 159, 28)
_FULL_PATCHES = 6.0  # across 2 m: as bright as it gets
_ARC_PATCHES = 3.0
_HUES: tuple[Colour, ...] = (  # neighbours in the list are easy to tell apart, also for the colour blind
    (255, 176, 59), (64, 156, 255), (52, 211, 190), (232, 106, 146), (154, 122, 255), (176, 214, 92), (102, 204, 238),
    (221, 132, 82),
)  # fmt: skip


def draw_coverage(coverage: Coverage, name: str, notes: Sequence[tuple[str, str]]) -> np.ndarray:
    """[H, W, 3] uint8 RGB: the map, ahead is up, and beside it the cameras' figures and ``notes`` (what, detail)."""
    canvas: np.ndarray = np.empty((MAP, MAP + PANEL, 3), np.uint8)
    canvas[:] = INK
    window = Window(MAP, MAP, MAP / (2 * _REACH_M), (0.0, 0.0))
    ground = canvas[:, :MAP]
    ground[:] = hatch(MAP, MAP, _UNSEEN, _HATCH)
    _draw_ground(ground, window, coverage)
    _draw_rings(ground, window, [math.radians(view.heading_deg) for view in coverage.views])
    for colour, view in zip(_colours(coverage), coverage.views, strict=True):
        _draw_arc(ground, window, view, colour)
    draw_vehicle(ground, window)
    _draw_names(ground, window, coverage)
    _draw_panel(canvas[:, MAP:], coverage, name, notes)
    return canvas


def _colours(coverage: Coverage) -> list[Colour]:
    return [_HUES[number % len(_HUES)] for number in range(len(coverage.views))]


def _draw_ground(ground: np.ndarray, window: Window, coverage: Coverage) -> None:
    """Seen ground, most in the colour of the camera that sees it most finely; the more patches, the brighter."""
    coarse = window.smaller(_COARSE)
    v, u = np.indices((coarse.height, coarse.width))
    x = coarse.centre_xy_m[0] - (v - coarse.height / 2 + 0.5) / coarse.px_per_m
    y = coarse.centre_xy_m[1] - (u - coarse.width / 2 + 0.5) / coarse.px_per_m
    xyz = np.stack([x, y, np.zeros(x.shape)], axis=-1)
    patches = np.stack([_patches_at(view, xyz) for view in coverage.views])
    weight = patches**2
    total = weight.sum(axis=0)
    hue = np.tensordot(weight, np.array(_colours(coverage), np.float64), (0, 0)) / np.maximum(total, 1e-9)[..., None]
    strength = np.where(total > 0, 0.16 + 0.66 * np.sqrt(np.clip(patches.max(axis=0) / _FULL_PATCHES, 0, 1)), 0.0)
    size = (window.width, window.height)
    cover = cv2.resize(strength.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[..., None]
    colour = cv2.resize(hue.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    plain = cv2.resize((total > 0).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[..., None]
    base = ground * (1 - plain) + np.array(INK, np.float32) * plain  # no hatch where somebody sees
    ground[:] = np.clip(base + (colour - base) * cover, 0, 255).astype(np.uint8)


def _patches_at(view: CameraView, xyz_ego_m: np.ndarray) -> np.ndarray:
    """[...] how many patches wide 2 m are that stand on each point; 0 where the camera does not see it."""
    depth = view.mounted.ego_from_cam.inverse().points(xyz_ego_m)[..., 2]
    return np.where(view.sees(xyz_ego_m), view.patches_across(OBJECT_M, 1.0) / np.maximum(depth, 0.5), 0.0)


def _draw_rings(ground: np.ndarray, window: Window, headings_rad: Sequence[float]) -> None:
    centre = fixed_point(window.uv_from_xy(np.zeros(2)))[0, 0].tolist()
    metres, stopping = _free_bearings(headings_rad)
    for ring_m in _RINGS_M:
        cv2.circle(ground, centre, round(ring_m * window.px_per_m * (1 << SHIFT)), _RING, 1, cv2.LINE_AA, SHIFT)
        _chip(ground, f"{ring_m} m", window, ring_m, metres, MUTED)
    for start in np.radians(np.arange(0, 360, 4.0)):
        turn = start + np.radians([0.0, 2.0])
        arc = OBJECT_RANGE_M * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        cv2.polylines(ground, [fixed_point(window.uv_from_xy(arc))], False, TEXT, 2, cv2.LINE_AA, SHIFT)
    _chip(ground, f"{OBJECT_RANGE_M:g} m: stopping from 25 km/h", window, OBJECT_RANGE_M, stopping, TEXT)


def _free_bearings(headings_rad: Sequence[float]) -> tuple[float, float]:
    """Two bearings behind the vehicle, one on each side, as far as can be from the names of the cameras."""
    side = np.radians(np.arange(100.0, 171.0, 5.0))
    both = []
    for sign in (-1, 1):
        away = np.abs((sign * side[:, None] - np.array(headings_rad) + np.pi) % (2 * np.pi) - np.pi).min(axis=1)
        both.append(float(sign * side[int(np.argmax(away))]))
    return both[0], both[1]


def _draw_arc(ground: np.ndarray, window: Window, view: CameraView, colour: Colour) -> None:
    """The edges of the field on the ground, and the line up to which 2 m are three patches or more."""
    pinhole, mount = view.config.pinhole, view.mounted.ego_from_cam
    u = np.linspace(-0.5, pinhole.width - 0.5, 61)
    rays = mount.directions(pinhole.ray_cam_from_uv(np.stack([u, np.full(u.shape, pinhole.cy)], axis=-1)))
    level = rays[:, :2] / np.maximum(np.hypot(rays[:, 0], rays[:, 1]), 1e-9)[:, None]
    start = mount.translation_m[:2]
    for edge in (level[0], level[-1]):
        line = start + np.linspace(0, min(view.max_range_m, 2 * _REACH_M), 2)[:, None] * edge
        cv2.polylines(ground, [fixed_point(window.uv_from_xy(line))], False, colour, 1, cv2.LINE_AA, SHIFT)
    along = np.maximum(level @ _unit(mount.rotation[:2, 2]), 1e-3)
    reach = np.minimum(view.range_with_patches_m(OBJECT_M, _ARC_PATCHES) / along, view.max_range_m)
    arc = start + reach[:, None] * level
    cv2.polylines(ground, [fixed_point(window.uv_from_xy(arc))], False, colour, 3, cv2.LINE_AA, SHIFT)


def _unit(xy: np.ndarray) -> np.ndarray:
    return np.asarray(xy / max(float(np.hypot(*xy)), 1e-9))


def _draw_names(ground: np.ndarray, window: Window, coverage: Coverage) -> None:
    """Each name in its camera's direction, farther out where a name is already there."""
    taken: list[tuple[float, float, float]] = []
    for colour, view in zip(_colours(coverage), coverage.views, strict=True):
        ahead = _unit(view.mounted.ego_from_cam.rotation[:2, 2])
        width = pill_width(view.name, 16)
        for range_m in (15.0, 18.5, 22.0, 32.0, 36.0, 12.0):
            u, v = (float(part) for part in window.uv_from_xy(view.mounted.cam_xy_m + range_m * ahead))
            if all(
                abs(v - there_v) > 30 or abs(u - there_u) > (width + wide) / 2 + 6 for there_u, there_v, wide in taken
            ):
                break
        taken.append((u, v, width))
        pill(ground, view.name, round(u - width / 2), round(v), 16, colour)


def _chip(ground: np.ndarray, text: str, window: Window, range_m: float, bearing_rad: float, colour: Colour) -> None:
    at = window.uv_from_xy(range_m * np.array([math.cos(bearing_rad), math.sin(bearing_rad)]))
    u, v, width = round(float(at[0])), round(float(at[1])), text_width(text, 14, MEDIUM)
    u = min(max(u, width // 2 + 12), window.width - width // 2 - 12)
    fill_round(ground, (u - width // 2 - 7, v - 11, u + width // 2 + 7, v + 11), 6, INK, 0.82)
    put_text(ground, text, u - width // 2, v, 14, colour, MEDIUM)


def _draw_panel(panel: np.ndarray, coverage: Coverage, name: str, notes: Sequence[tuple[str, str]]) -> None:
    right, size = PANEL - MARGIN, coverage.size
    put_text(panel, shortened(name, right - MARGIN, 30, BOLD), MARGIN, 48, 30, TEXT, BOLD)
    count = len(coverage.views)
    line = (
        f"{count} camera{'s' * (count != 1)} seen from above, ahead is up · network {size.width_px} x {size.height_px}"
    )
    put_text(panel, line, MARGIN, 82, 15, MUTED)
    columns = ((302, "field"), (366, "a patch"), (450, "2 m at 27 m"), (right, "ground"))
    top = 124
    for edge, head in columns:
        put_text(panel, head, edge - text_width(head, 13), top, 13, MUTED)
    step = min(46, max((MAP - 560) // count, 26))
    for row, (colour, view) in enumerate(zip(_colours(coverage), coverage.views, strict=True)):
        middle = top + 34 + row * step
        if middle > MAP - 390:
            put_text(panel, f"and {count - row} more", MARGIN + 22, middle, 15, MUTED)
            break
        fill_round(panel, (MARGIN, middle - 7, MARGIN + 14, middle + 7), 4, colour)
        put_text(panel, shortened(view.name, 172, 17, SEMIBOLD), MARGIN + 24, middle, 17, TEXT, SEMIBOLD)
        enough = view.patches_at_27_m >= _ARC_PATCHES
        ground = "none" if view.ground_from_m is None else f"{view.ground_from_m:.1f} m on"
        figures = (f"{view.fov_deg[0]:.0f}° x {view.fov_deg[1]:.0f}°", f"{view.deg_per_patch:.1f}°",
                   f"{view.patches_at_27_m:.1f}", ground)  # fmt: skip
        for (edge, head), text in zip(columns, figures, strict=True):
            shade = (TEAL if enough else MUTED) if head.startswith("2 m") else TEXT
            weight = BOLD if head.startswith("2 m") and enough else MEDIUM
            put_text(panel, text, edge - text_width(text, 16, weight), middle, 16, shade, weight)
    _draw_notes(panel, MAP - 370, notes)
    _draw_legend(panel, MAP - 92)


def _draw_notes(panel: np.ndarray, top: int, notes: Sequence[tuple[str, str]]) -> None:
    """What is to be warned of, each in two lines at most."""
    panel[top - 22, MARGIN : PANEL - MARGIN] = _HATCH
    if not notes:
        put_text(panel, "nothing to warn of", MARGIN, top + 4, 17, TEAL, SEMIBOLD)
        return
    bottom, width = MAP - 128, PANEL - 2 * MARGIN - 14
    for number, (what, detail) in enumerate(notes):
        lines = _two_lines(detail, width)
        if top + 24 + 20 * len(lines) > bottom:
            put_text(panel, f"and {len(notes) - number} more: airside doctor --rig", MARGIN + 14, top + 4, 14, MUTED)
            return
        fill_round(panel, (MARGIN, top - 6, MARGIN + 4, top + 14 + 20 * len(lines)), 2, _WARN)
        put_text(panel, what, MARGIN + 14, top + 4, 16, TEXT, SEMIBOLD)
        for row, line in enumerate(lines):
            put_text(panel, line, MARGIN + 14, top + 26 + 20 * row, 14, MUTED)
        top += 36 + 20 * len(lines)


def _two_lines(text: str, width: int) -> list[str]:
    if text_width(text, 14) <= width:
        return [text]
    words = text.split()
    count = next(n for n in range(len(words), -1, -1) if text_width(" ".join(words[:n]), 14) <= width)
    return [" ".join(words[:count]), shortened(" ".join(words[count:]), width, 14)]


def _draw_legend(panel: np.ndarray, top: int) -> None:
    width = 150
    ramp = 0.16 + 0.66 * np.sqrt(np.linspace(0, 1, width))
    shades = np.array(INK) + (np.array(TEXT) - np.array(INK)) * ramp[:, None]
    panel[top - 6 : top + 6, MARGIN : MARGIN + width] = shades.astype(np.uint8)
    put_text(panel, f"how many patches 2 m are wide there: 0 to {_FULL_PATCHES:g}", MARGIN + width + 12, top, 14, MUTED)
    panel[top + 24 : top + 27, MARGIN : MARGIN + width] = MUTED
    put_text(panel, f"up to here 2 m are {_ARC_PATCHES:g} patches or more", MARGIN + width + 12, top + 25, 14, MUTED)
    panel[top + 44 : top + 57, MARGIN : MARGIN + width] = hatch(13, width, _UNSEEN, _HATCH)
    put_text(panel, "ground that no camera sees", MARGIN + width + 12, top + 50, 14, MUTED)
