"""Parts of a contact sheet: tiles in rows on dark paper, headings over them, legends under them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from airside.drawing import INK, MUTED, SEMIBOLD, TEXT, put_text, text_width
from airside.overlay_bev_frame import hatch

GAP_PX, MARGIN_PX = 8, 20
_BAR_PX = 14
_HATCH = ((18, 23, 30), (44, 53, 66))


def paper(height: int, width: int) -> np.ndarray:
    """[height, width, 3] uint8, dark."""
    sheet = np.empty((height, width, 3), np.uint8)
    sheet[:] = INK
    return sheet


def hatched(height: int, width: int) -> np.ndarray:
    """[height, width, 3] uint8: nothing is known here."""
    return hatch(height, width, *_HATCH, 9)


def in_a_row(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """``tiles`` [H, *, 3] of one height side by side."""
    gap = paper(tiles[0].shape[0], GAP_PX)
    return np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)


def in_a_column(parts: Sequence[np.ndarray]) -> np.ndarray:
    """``parts`` [*, W, 3] of one width under each other, in a margin."""
    column = np.concatenate(list(parts), axis=0)
    return cv2.copyMakeBorder(column, *(MARGIN_PX,) * 4, cv2.BORDER_CONSTANT, value=INK)


def headings(titles: Sequence[tuple[str, int]]) -> np.ndarray:
    """A strip of (title, width of its tile)."""
    strip = paper(34, sum(width for _, width in titles) + GAP_PX * (len(titles) - 1))
    left = 0
    for title, width in titles:
        put_text(strip, title, left, 16, 18, TEXT, SEMIBOLD)
        left += width + GAP_PX
    return strip


def caption(words: Sequence[str], width: int) -> np.ndarray:
    """A strip over a row: what it shows first, then how well."""
    strip = paper(30, width)
    left = 0
    for k, part in enumerate(words):
        left = put_text(strip, part, left, 17, 15, TEXT if k == 0 else MUTED) + 22
    return strip


def colour_bar(
    title: str, width: int, colours: Callable[[np.ndarray], np.ndarray], values: np.ndarray, ticks: dict[float, str]
) -> np.ndarray:
    """[52, width, 3]: ``title`` and a bar of ``colours`` over ``values`` [K], ``ticks`` (value -> word) below it."""
    strip = paper(52, width)
    put_text(strip, title, 0, 10, 14, MUTED)
    bar = colours(np.interp(np.linspace(0, 1, width - 40), np.linspace(0, 1, len(values)), values)[None])
    strip[20 : 20 + _BAR_PX, : width - 40] = bar
    for value, word in ticks.items():
        at = round(float(np.interp(value, values, np.linspace(0, width - 41, len(values)))))
        strip[20 + _BAR_PX : 24 + _BAR_PX, at : at + 1] = MUTED
        put_text(strip, word, min(max(at - text_width(word, 13) // 2, 0), width - text_width(word, 13)), 45, 13, MUTED)
    return strip
