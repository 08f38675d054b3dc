"""The picture a person looks at: camera image, novelty heat map, outlined and named regions, state of the engine;
beside it, where a rig tells where things are, the same seen from above."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from airside.drawing import INK, SEMIBOLD, TEAL, TEXT, fill_round, put_text, ramp, shortened, smooth_closed
from airside.errors import UsageError
from airside.messages import Frame, Kind, Level, NetworkInput, Sighting, TickRecord
from airside.overlay_bev import PANEL_WIDTH, BevPanel, draw_bev
from airside.overlay_text import (
    FOOTER,
    HEADER,
    LEVEL_COLOURS,
    draw_footer,
    draw_header,
    draw_labels,
    frame_colour,
    heat_level,
    heat_opacity,
    sighting_colour,
)

WIDTH = 1280
MAX_PICTURE_HEIGHT = 1280

_BAND = 16  # coarse rows that are laid over the picture at once
_COARSE = 4  # heat and glow are soft: a quarter of the size loses nothing and costs a sixteenth
_KNOWN_OPACITY, _GLOW_OPACITY = 0.10, 0.75
_SHIFT = 4  # sub-pixel bits of OpenCV's drawing calls


def draw_overlay(
    frame: Frame,
    fitted: NetworkInput,
    ood_score: np.ndarray,
    record: TickRecord,
    threshold: float,
    panel: BevPanel | None = None,
) -> np.ndarray:
    """One tick as a picture: [H, 1280, 3] uint8 RGB, H even (a header, the camera's picture, a legend).

    With a ``panel`` it is wider by the bird's-eye view, :data:`airside.overlay_bev.PANEL_WIDTH`.

    ``ood_score`` is any [h, w] float map in [0, 1], high = unknown, over the network's picture: the patch grid or a
    finer one. Heat starts to show well below ``threshold``, which takes the middle of the colour bar. Raises
    :class:`UsageError` on a map or threshold out of range.
    """
    if ood_score.ndim != 2 or 0 in ood_score.shape or not np.isfinite(ood_score).all():
        raise UsageError(f"wanted a finite score map [h, w], got {list(ood_score.shape)}")
    if not 0 < threshold < 1:
        raise UsageError(f"the threshold must lie between 0 and 1, got {threshold}")
    height, width = frame.image.shape[:2]
    zoom = min(WIDTH / width, MAX_PICTURE_HEIGHT / height)
    shown_width, shown_height = max(1, round(width * zoom)), max(1, round(height * zoom))
    shown_height += (HEADER + shown_height + FOOTER) % 2  # video codecs halve the colour planes
    to_canvas = np.array([shown_width / width, shown_height / height])

    all_width = WIDTH if panel is None else WIDTH + PANEL_WIDTH
    canvas = np.empty((HEADER + shown_height + FOOTER, all_width, 3), np.uint8)
    canvas[:HEADER] = canvas[HEADER + shown_height :] = INK
    left = (WIDTH - shown_width) // 2
    canvas[HEADER : HEADER + shown_height, :left] = INK
    canvas[HEADER : HEADER + shown_height, left + shown_width : WIDTH] = INK
    picture = canvas[HEADER : HEADER + shown_height, left : left + shown_width]
    shrinking = shown_width < width
    picture[:] = cv2.resize(
        frame.image, (shown_width, shown_height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    )

    outlines = [_outline_on(sighting, to_canvas) for sighting in record.sightings]
    _blend_soft(picture, _heat(ood_score, fitted, to_canvas, picture.shape, threshold), record.sightings, outlines)
    _draw_outlines(picture, record.sightings, outlines)
    draw_labels(picture, record.sightings, to_canvas)
    border = frame_colour(record)
    if border is not None:
        cv2.rectangle(picture, (1, 1), (shown_width - 2, shown_height - 2), border, 3)
    if panel is not None:
        draw_bev(canvas[HEADER : HEADER + shown_height, WIDTH:], panel, record.sightings, threshold)
    draw_header(canvas, record)
    draw_footer(canvas, record, threshold)
    return canvas


def one_above_other(before: np.ndarray, after: np.ndarray, captions: tuple[str, str]) -> np.ndarray:
    """Two overlays ([H, W, 3] uint8 RGB), each under its caption, as one still."""
    gap, bar = 16, 72
    width = max(before.shape[1], after.shape[1]) + 2 * gap
    canvas = np.empty((before.shape[0] + after.shape[0] + 2 * bar + gap, width, 3), np.uint8)
    canvas[:] = INK
    top = 0
    for picture, caption, colour in zip((before, after), captions, (LEVEL_COLOURS[Level.STOP], TEAL), strict=True):
        fill_round(canvas, (gap, top + 20, gap + 6, top + bar - 18), 3, colour)
        put_text(canvas, shortened(caption, width - 3 * gap - 40, 28, SEMIBOLD), gap + 20, top + 37, 28, TEXT, SEMIBOLD)
        top += bar
        canvas[top : top + picture.shape[0], gap : gap + picture.shape[1]] = picture
        top += picture.shape[0]
    return canvas


def _outline_on(sighting: Sighting, to_canvas: np.ndarray) -> np.ndarray:
    """[K, 2] float32 in the shown picture's pixels, corners rounded off."""
    outline = np.asarray(sighting.region.outline_px, np.float64).reshape(-1, 2)
    return smooth_closed(((outline + 0.5) * to_canvas - 0.5).astype(np.float32))


def _heat(
    score: np.ndarray, fitted: NetworkInput, to_canvas: np.ndarray, shape: tuple[int, ...], threshold: float
) -> np.ndarray:
    """[h, w] float32 at coarse size: 0 none, 0.5 at the threshold, 1 certain."""
    level = heat_level(score, threshold)
    observed = cv2.resize(fitted.observed.astype(np.uint8), level.shape[::-1], interpolation=cv2.INTER_NEAREST)
    level[observed == 0] = 0

    # map cell -> network px -> frame px -> shown px -> coarse px, all with centres at integers
    cell = np.array([fitted.image.shape[1] / score.shape[1], fitted.image.shape[0] / score.shape[0]])
    gain = cell * np.array(fitted.scale) * to_canvas / _COARSE
    first = (0.5 * cell - 0.5) * np.array(fitted.scale) + np.array(fitted.offset_px)  # frame px of cell 0
    shift = (first + 0.5) * to_canvas / _COARSE - 0.5
    matrix = np.array([[gain[0], 0, shift[0]], [0, gain[1], shift[1]]])
    size = (max(1, -(-shape[1] // _COARSE)), max(1, -(-shape[0] // _COARSE)))
    heat = cv2.warpAffine(level, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    softness = max(0.8, float(gain.max()) * 0.3)
    return np.asarray(np.clip(cv2.GaussianBlur(heat, (0, 0), softness), 0, 1))


def _blend_soft(
    picture: np.ndarray, heat: np.ndarray, sightings: Sequence[Sighting], outlines: Sequence[np.ndarray]
) -> None:
    """Everything without a sharp edge, mixed at coarse size: the heat, a breath of teal on known things, the glow."""
    colour = ramp()[(heat * 255).astype(np.uint8)].astype(np.float32)
    opacity = heat_opacity(heat)
    glow = np.zeros(heat.shape, np.float32)
    glow_colour = np.zeros((*heat.shape, 3), np.float32)
    for sighting, outline in zip(sightings, outlines, strict=True):
        if len(outline) < 2:
            continue
        tint, corners = sighting_colour(sighting), [_fixed_point((outline + 0.5) / _COARSE - 0.5)]
        if sighting.region.kind is Kind.KNOWN:
            cv2.fillPoly(colour, corners, tint, cv2.LINE_8, _SHIFT)
            cv2.fillPoly(opacity, corners, _KNOWN_OPACITY, cv2.LINE_8, _SHIFT)
        cv2.polylines(glow, corners, True, _GLOW_OPACITY, 3, cv2.LINE_8, _SHIFT)
        cv2.polylines(glow_colour, corners, True, tint, 17, cv2.LINE_8, _SHIFT)  # wider: the blur fades into colour
    if not (opacity.any() or glow.any()):
        return
    glow = np.asarray(cv2.GaussianBlur(glow, (0, 0), 2.4))

    # Glow over heat over picture, colours already multiplied by their share: one multiply and one add at full size.
    share = opacity * (1 - glow)
    light = cv2.merge([colour[..., k] * share + glow_colour[..., k] * glow for k in range(3)])
    _lay_over(picture, cv2.convertScaleAbs(light), cv2.convertScaleAbs((1 - opacity) * (1 - glow) * 255))


def _lay_over(picture: np.ndarray, light: np.ndarray, rest: np.ndarray) -> None:
    """``picture`` times ``rest`` [h, w] plus ``light`` [h, w, 3], uint8 at coarse size, where that changes anything:
    most of a picture is familiar."""
    changed = cv2.dilate(((rest < 255) | light.any(axis=2)).astype(np.uint8), np.ones((3, 3), np.uint8))
    for top in range(0, len(rest), _BAND):
        columns = np.flatnonzero(changed[top : top + _BAND].any(axis=0))
        if not len(columns):
            continue
        cells = top, min(top + _BAND, len(rest)), int(columns[0]), int(columns[-1]) + 1
        y0, y1, x0, x1 = (at * _COARSE for at in cells)
        below = picture[y0:y1, x0:x1]
        height, width = below.shape[:2]
        dimmed = cv2.multiply(below, cv2.merge([_enlarged(rest, *cells)[:height, :width]] * 3), scale=1 / 255)
        below[:] = cv2.add(dimmed, _enlarged(light, *cells)[:height, :width])


def _enlarged(coarse: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """A part of ``coarse`` as it is when all of it is enlarged: a cell on every side takes part and is cut off."""
    above, before = min(top, 1), min(left, 1)
    part = coarse[top - above : bottom + 1, left - before : right + 1]
    full = cv2.resize(part, None, fx=_COARSE, fy=_COARSE, interpolation=cv2.INTER_LINEAR)
    y, x = above * _COARSE, before * _COARSE
    return full[y : y + (bottom - top) * _COARSE, x : x + (right - left) * _COARSE]


def _fixed_point(points: np.ndarray) -> np.ndarray:
    fixed = np.round(np.clip(points, -1e5, 1e5) * (1 << _SHIFT))
    return np.asarray(fixed, np.int32).reshape(-1, 1, 2)


def _draw_outlines(picture: np.ndarray, sightings: Sequence[Sighting], outlines: Sequence[np.ndarray]) -> None:
    for sighting, outline in zip(sightings, outlines, strict=True):
        if len(outline) >= 2:
            thick = 2 if sighting.region.kind is Kind.KNOWN else 3
            line = [_fixed_point(outline)]
            cv2.polylines(picture, line, True, sighting_colour(sighting), thick, cv2.LINE_AA, _SHIFT)
