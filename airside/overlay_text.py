"""The words on the overlay: labels beside the regions, the header with the engine's state, the legend below."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from airside.drawing import (
    BOLD,
    INK,
    MEDIUM,
    MUTED,
    REGULAR,
    SEMIBOLD,
    TEAL,
    TEXT,
    Colour,
    fill_round,
    pill,
    pill_width,
    put_text,
    ramp,
    shortened,
    text_width,
)
from airside.messages import HealthState, Kind, Level, Sighting, TickRecord

HEADER, FOOTER = 56, 40  # px
MAX_LABELS = 12  # more would hide the picture; every outline is drawn all the same

LEVEL_COLOURS: dict[Level, Colour] = {
    Level.NONE: (126, 140, 156),
    Level.NOTICE: (255, 202, 77),
    Level.CAUTION: (255, 159, 28),
    Level.SLOW_STOP: (255, 107, 44),
    Level.STOP: (255, 59, 72),
}
HEALTH_COLOURS: dict[HealthState, Colour] = {
    HealthState.OK: TEAL,
    HealthState.DEGRADED: (255, 159, 28),
    HealthState.BLIND: (255, 59, 72),
}

_HEAT_FROM, _HEAT_FULL, _HEAT_OPACITY = 0.36, 0.62, 0.46  # on the scale where the threshold is at one half
_GAP, _PAD = 8, 12
_TITLE, _DETAIL, _CHIP = 19, 15, 13  # text sizes in px
_LABEL_WIDTH = 420

_Rect = tuple[int, int, int, int]  # x0, y0, x1, y1, far sides exclusive


def sighting_colour(sighting: Sighting) -> Colour:
    """Unknown: amber to red by level. Known: teal, unless it is to be heeded."""
    if sighting.region.kind is Kind.KNOWN and sighting.level is Level.NONE:
        return TEAL
    return LEVEL_COLOURS[max(sighting.level, Level.NOTICE)]


def frame_colour(record: TickRecord) -> Colour | None:
    """The border of the picture: the worse of health and alert, ``None`` when neither asks for attention."""
    if record.health.state is HealthState.BLIND:
        return HEALTH_COLOURS[HealthState.BLIND]
    if record.level >= Level.CAUTION:
        return LEVEL_COLOURS[record.level]
    return HEALTH_COLOURS[record.health.state] if record.health.state is not HealthState.OK else None


def heat_level(score: np.ndarray, threshold: float) -> np.ndarray:
    """``ood_score`` [...] in [0, 1] on the scale of the colour bar, float32: 0.5 at the threshold.

    Each half of the scale is stretched by itself: calibrated thresholds sit close to 1.
    """
    below, above = score / threshold * 0.5, 0.5 + (score - threshold) / (1 - threshold) * 0.5
    return np.where(score < threshold, below, above).astype(np.float32)


def heat_opacity(heat: np.ndarray) -> np.ndarray:
    """How much of the colour shows, float32: nothing well below the threshold, rising smoothly through it."""
    rise = np.clip((heat - _HEAT_FROM) / (_HEAT_FULL - _HEAT_FROM), 0, 1)
    return np.asarray(rise * rise * (3 - 2 * rise) * _HEAT_OPACITY)


def words(code: str) -> str:
    """``belt_loader`` as ``belt loader``."""
    return code.replace("_", " ")


def detail_of(sighting: Sighting) -> str:
    """The second line of a label: likeness, range and bearing."""
    region, place = sighting.region, sighting.placement
    if region.kind is Kind.UNKNOWN:
        parts = [f"nearest {words(region.nearest_class)} {region.similarity:.2f}"]
    else:
        parts = [f"similarity {region.similarity:.2f}"]
    if place is None:
        return parts[0]
    parts.append(f"{place.range_m:.1f} m" if place.range_m < 99.95 else f"{place.range_m:.0f} m")
    degrees = round(math.degrees(place.bearing_rad))
    parts.append("ahead" if degrees == 0 else f"{abs(degrees)}° {'left' if degrees > 0 else 'right'}")
    return " · ".join(parts)


def draw_labels(picture: np.ndarray, sightings: Sequence[Sighting], to_canvas: np.ndarray) -> None:
    """Labels of the most urgent sightings, then the largest; each where it covers no other label if there is room."""
    urgent = sorted(sightings, key=lambda s: (-s.level, s.region.kind is Kind.KNOWN, -s.region.patches))[:MAX_LABELS]
    boxes = [_box_on(sighting, to_canvas) for sighting in urgent]
    taken: list[_Rect] = []
    for i, (sighting, box) in enumerate(zip(urgent, boxes, strict=True)):
        title, detail = words(sighting.region.name), detail_of(sighting)
        chip = sighting.level.name.replace("_", " ") if sighting.level > Level.NONE else ""
        title = shortened(title, _LABEL_WIDTH, _TITLE, SEMIBOLD)
        detail = shortened(detail, _LABEL_WIDTH, _DETAIL)
        title_width = text_width(title, _TITLE, SEMIBOLD) + (_GAP + 4 + pill_width(chip, _CHIP) if chip else 0)
        width = max(title_width, text_width(detail, _DETAIL)) + 2 * _PAD + 4
        spot = _spot(box, width, 56, picture.shape, taken, boxes[:i] + boxes[i + 1 :])
        taken.append(spot)
        _draw_label(picture, spot, title, detail, chip, sighting_colour(sighting))


def _draw_label(picture: np.ndarray, spot: _Rect, title: str, detail: str, chip: str, colour: Colour) -> None:
    left, top = spot[0], spot[1]
    fill_round(picture, spot, 9, INK, 0.80)
    fill_round(picture, (left + 5, top + 9, left + 9, spot[3] - 9), 2, colour)
    end = put_text(picture, title, left + _PAD + 4, top + 18, _TITLE, TEXT, SEMIBOLD)
    if chip:
        pill(picture, chip, end + _GAP + 2, top + 18, _CHIP, colour)
    put_text(picture, detail, left + _PAD + 4, top + 40, _DETAIL, (205, 212, 220), REGULAR)


def _box_on(sighting: Sighting, to_canvas: np.ndarray) -> _Rect:
    x0, y0, x1, y1 = (
        round(edge * float(to_canvas[axis % 2])) if math.isfinite(edge) else 0
        for axis, edge in enumerate(sighting.region.box_px)
    )
    return x0, y0, x1, y1


def _spot(
    box: _Rect, width: int, height: int, shape: tuple[int, ...], taken: Sequence[_Rect], others: Sequence[_Rect]
) -> _Rect:
    """The first free place around ``box``, inside the picture; the least covered one when none is free."""
    x0, y0, x1, y1 = box
    middle = (x0 + x1 - width) // 2
    above, below = y0 - height - _GAP, y1 + _GAP
    candidates = [
        (x0, above), (middle, above), (x1 - width, above), (x0, below), (middle, below), (x1 - width, below),
        (x1 + _GAP, y0), (x0 - width - _GAP, y0), (x0 + _GAP, y0 + _GAP), (x0, above - height - _GAP),
        (x0, below + height + _GAP),
    ]  # fmt: skip
    best: _Rect | None = None
    least = math.inf
    for order, (left, top) in enumerate(candidates):
        moved_left = min(max(left, 6), max(6, shape[1] - width - 6))
        moved_top = min(max(top, 6), max(6, shape[0] - height - 6))
        spot = (moved_left, moved_top, moved_left + width, moved_top + height)
        # Worst is a label over another, then one over another object, then over its own; and none far from its place.
        cost = 10.0 * sum(_overlap(spot, label) for label in taken) + 0.5 * _overlap(spot, box)
        cost += 2.0 * sum(_overlap(spot, other) for other in others)
        cost += 20.0 * (abs(moved_left - left) + 4 * abs(moved_top - top)) + order
        if cost < least:
            best, least = spot, cost
    assert best is not None  # the list of candidates is not empty
    return best


def _overlap(one: _Rect, other: _Rect) -> int:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(high, 0)


def draw_header(canvas: np.ndarray, record: TickRecord) -> None:
    """Camera, tick, bank and method on the left; health and alert level on the right."""
    middle = HEADER // 2
    left, right = draw_header_ends(canvas, record, 420)
    right -= 24
    facts = (
        ("camera", ", ".join(status.camera for status in record.cameras)), ("tick", str(record.tick)),
        ("bank", record.bank_snapshot[:12]), ("method", record.method),
    )  # fmt: skip
    for name, value in facts:
        start = put_text(canvas, name, left, middle, 14, MUTED) + 7
        value = shortened(value, max(0, min(190, right - start)), 16, MEDIUM)
        if start + text_width(value, 16, MEDIUM) > right:
            break
        left = put_text(canvas, value, start, middle, 16, TEXT, MEDIUM) + 24


def draw_header_ends(canvas: np.ndarray, record: TickRecord, widest_health: int) -> tuple[int, int]:
    """The name on the left, health (``widest_health`` px at most) and alert level on the right; the columns between."""
    middle, right = HEADER // 2, canvas.shape[1] - 18
    text, colour = verdict(record)
    right -= pill(canvas, text, right, middle, 20, colour, right=True) + 12
    state = record.health.state
    reasons = ", ".join(words(reason) for reason in record.health.reasons)
    health = shortened(state.value + (f": {reasons}" if reasons else ""), widest_health, 15, BOLD)
    right -= pill(canvas, health, right, middle, 15, HEALTH_COLOURS[state], right=True) + 8
    right -= text_width("health", 14)
    put_text(canvas, "health", right, middle, 14, MUTED)
    return put_text(canvas, "airside", 20, middle, 23, TEAL, BOLD) + 26, right


def verdict(record: TickRecord) -> tuple[str, Colour]:
    """No alert is said only of a view that was seen."""
    if not record.valid:
        return "NOT VALID", HEALTH_COLOURS[HealthState.BLIND]
    if record.level > Level.NONE:
        return record.level.name.replace("_", " "), LEVEL_COLOURS[record.level]
    if record.health.state is HealthState.BLIND:
        return "NO VIEW", HEALTH_COLOURS[HealthState.BLIND]
    return "NO ALERT", LEVEL_COLOURS[Level.NONE]


def draw_footer(canvas: np.ndarray, record: TickRecord, threshold: float) -> None:
    """What the colours mean, and how long the tick took."""
    middle, left = canvas.shape[0] - FOOTER // 2, 20
    for name, colours in (
        ("unknown, by alert level", [LEVEL_COLOURS[level] for level in Level if level > Level.NONE]),
        ("known", [TEAL]),
    ):
        for colour in colours:
            fill_round(canvas, (left, middle - 6, left + 12, middle + 6), 4, colour)
            left += 16
        left = put_text(canvas, name, left + 4, middle, 14, MUTED) + 26
    left = put_text(canvas, "novelty", left, middle, 14, MUTED) + 10
    bar = cv2.resize(ramp()[None, 92:], (180, 10), interpolation=cv2.INTER_LINEAR)  # the part the picture uses
    canvas[middle - 5 : middle + 5, left : left + 180] = bar
    mark = left + round(180 * (128 - 92) / (256 - 92))
    canvas[middle - 9 : middle + 9, mark - 1 : mark + 1] = TEXT
    put_text(canvas, f"alarm above {threshold:.4g}", left + 190, middle, 14, MUTED)
    total = sum(record.timing_ms.values())
    if total > 0:
        text = f"{total:.0f} ms a tick"
        put_text(canvas, text, canvas.shape[1] - 20 - text_width(text, 14), middle, 14, MUTED)
