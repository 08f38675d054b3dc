"""Ink for the overlay: type, pills, panels and colours on [H, W, 3] uint8 RGB arrays, drawn in place.

Type is OpenCV 5's built-in variable sans (Rubik): scalable, weighted, Unicode, and in the wheel already.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

Colour = tuple[int, int, int]  # RGB, 0 to 255

INK: Colour = (13, 17, 23)
TEXT: Colour = (240, 244, 248)
MUTED: Colour = (150, 161, 175)
TEAL: Colour = (52, 211, 190)

REGULAR, MEDIUM, SEMIBOLD, BOLD = 400, 500, 600, 700

# Nine evenly spaced stops of a perceptually even ramp, dark violet to amber: order survives grey printing and
# the common kinds of colour blindness.
_RAMP_STOPS = np.array(
    [(38, 12, 81), (76, 12, 107), (115, 25, 110), (154, 40, 101), (190, 55, 84),
     (221, 81, 58), (243, 120, 25), (252, 160, 10), (250, 200, 48)], np.float64,
)  # fmt: skip


@cache
def ramp() -> np.ndarray:
    """[256, 3] uint8 RGB colours of the novelty score, low to high."""
    at = np.linspace(0, len(_RAMP_STOPS) - 1, 256)
    stops = np.arange(len(_RAMP_STOPS))
    table = np.stack([np.interp(at, stops, _RAMP_STOPS[:, c]) for c in range(3)], axis=1).round().astype(np.uint8)
    table.flags.writeable = False
    return table


@cache
def _face() -> cv2.FontFace:
    return cv2.FontFace("sans")


@cache
def _capital_height(size: int, weight: int) -> int:
    """Height in px of a capital above the baseline, measured on paper: the font reports whole lines only."""
    paper = np.zeros((2 * size, 2 * size, 3), np.uint8)
    cv2.putText(paper, "H", (0, size + size // 2), (255, 255, 255), _face(), size, weight)
    rows = np.flatnonzero(paper.max(axis=(1, 2)) > 127)
    return int(rows[-1] - rows[0] + 1)


def text_width(text: str, size: int, weight: int = REGULAR) -> int:
    """Width in px of ``text`` at ``size`` px."""
    if not text:
        return 0
    x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _face(), size, weight)
    return int(x + width)


def put_text(
    image: np.ndarray, text: str, left: int, middle: int, size: int, colour: Colour = TEXT, weight: int = REGULAR
) -> int:
    """Write ``text`` with its capitals centred on row ``middle``; returns the column after it."""
    baseline = middle + (_capital_height(size, weight) + 1) // 2
    if text:
        # The wrap range keeps a label that leaves the picture on its own line instead of starting a second one.
        cv2.putText(image, text, (left, baseline), colour, _face(), size, weight, 0, (0, 1 << 20))
    return left + text_width(text, size, weight)


def shortened(text: str, width: int, size: int, weight: int = REGULAR) -> str:
    """``text``, cut with an ellipsis where it would be wider than ``width`` px."""
    if text_width(text, size, weight) <= width:
        return text
    while text and text_width(text + "…", size, weight) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def fill_round(
    image: np.ndarray, box: tuple[int, int, int, int], radius: int, colour: Colour, opacity: float = 1.0
) -> None:
    """A rounded rectangle (x0, y0, x1, y1; far sides exclusive), laid over the picture; parts outside are cut."""
    x0, y0, x1, y1 = box
    height, width = image.shape[:2]
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if left >= right or top >= bottom:
        return
    cover = _round_mask(x1 - x0, y1 - y0, radius)[top - y0 : bottom - y0, left - x0 : right - x0] * opacity
    below = image[top:bottom, left:right]
    paint = np.empty_like(below, order="C")
    paint[:] = colour
    below[:] = cv2.blendLinear(np.ascontiguousarray(below), paint, 1 - cover, cover)


def pill(
    image: np.ndarray,
    text: str,
    left: int,
    middle: int,
    size: int,
    colour: Colour,
    *,
    ink: Colour = INK,
    right: bool = False,
) -> int:
    """A filled pill with ``text``, starting at ``left`` (ending there if ``right``); returns its width."""
    pad, height = round(size * 0.62), round(size * 1.62)
    width = text_width(text, size, BOLD) + 2 * pad
    x = left - width if right else left
    fill_round(image, (x, middle - height // 2, x + width, middle - height // 2 + height), height // 2, colour)
    put_text(image, text, x + pad, middle, size, ink, BOLD)
    return width


def pill_width(text: str, size: int) -> int:
    """Width in px of :func:`pill`."""
    return text_width(text, size, BOLD) + 2 * round(size * 0.62)


def smooth_closed(outline_px: np.ndarray, rounds: int = 2) -> np.ndarray:
    """Chaikin's corner cutting of a closed polygon [K, 2]: [K * 2**rounds, 2], inside the hull of the first."""
    points = np.asarray(outline_px, np.float32).reshape(-1, 2)
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack([points * 0.75 + following * 0.25, points * 0.25 + following * 0.75], axis=1).reshape(-1, 2)
    return points


@cache
def _round_mask(width: int, height: int, radius: int) -> np.ndarray:
    """[height, width] float32 in [0, 1]: a rounded rectangle, its corners anti-aliased by distance."""
    radius = min(radius, width // 2, height // 2)
    x = np.abs(np.arange(width) - (width - 1) / 2) - (width / 2 - radius)
    y = np.abs(np.arange(height) - (height - 1) / 2) - (height / 2 - radius)
    distance = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None])
    return np.asarray(np.clip(radius - distance + 0.5, 0, 1), np.float32)
