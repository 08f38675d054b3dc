"""Curves and intervals as inline SVG: no script, no outside resource, sharp in print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

# Okabe and Ito's colours, told apart by most colour-blind readers; a second round is dashed
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#B07D00", "#555555", "#7B3FA0")
DASHES = ("", "7 4", "2 3")
WIDTH, HEIGHT = 470, 380
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 16, 48
_POINTS = 240  # kept of a curve
_ROW = 30


@dataclass(frozen=True, slots=True)
class Line:
    """A curve in data units, [K] each."""

    name: str
    x: np.ndarray
    y: np.ndarray


def stroke(index: int) -> str:
    """How the ``index``-th method is drawn, everywhere in the report."""
    dash = DASHES[index // len(COLOURS) % len(DASHES)]
    return f'stroke="{COLOURS[index % len(COLOURS)]}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def swatch(index: int) -> str:
    """A short piece of that line, for tables and legends."""
    line = f'<line x1="1" y1="6" x2="25" y2="6" {stroke(index)} stroke-width="3"/>'
    return f'<svg class="swatch" width="26" height="12" viewBox="0 0 26 12">{line}</svg>'


UNIT_TICKS = tuple((round(k / 5, 1), f"{k / 5:.1f}") for k in range(6))


def chart(
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    level: tuple[float, str] | None = None,
    x_ticks: Sequence[tuple[float, str]] = UNIT_TICKS,
) -> str:
    """Lines over the unit square; ``level``: a dotted horizontal line and its words; ``x_ticks``: place and word."""
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick, word in UNIT_TICKS:
        y = TOP + (1 - tick) * down
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + across}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{word}</text>')
    for tick, word in x_ticks:
        x = LEFT + tick * across
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + down}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + down + 18}" text-anchor="middle">{escape(word)}</text>')
    if level is not None:
        y = TOP + (1 - level[0]) * down
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + across}" y2="{y:.1f}" class="level"/>')
        words_y = y - 6 if level[0] < 0.1 else y + 15  # clear of the axis
        parts.append(f'<text x="{LEFT + across - 4}" y="{words_y:.1f}" text-anchor="end">{escape(level[1])}</text>')
    for index, line in enumerate(lines):
        xs, ys = _thinned(line)
        points = " ".join(f"{LEFT + a * across:.1f},{TOP + (1 - b) * down:.1f}" for a, b in zip(xs, ys, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" {stroke(index)} stroke-width="2.2"/>')
    parts.append(f'<rect x="{LEFT}" y="{TOP}" width="{across}" height="{down}" class="frame"/>')
    parts.append(
        f'<text x="{LEFT + across / 2}" y="{HEIGHT - 8}" text-anchor="middle" class="axis">{escape(x_label)}</text>'
    )
    turn = f'transform="translate(14 {TOP + down / 2}) rotate(-90)"'
    parts.append(f'<text {turn} text-anchor="middle" class="axis">{escape(y_label)}</text></svg>')
    return "".join(parts)


def _thinned(line: Line) -> tuple[np.ndarray, np.ndarray]:
    """At most about :data:`_POINTS` points, evenly along the drawn line."""
    if len(line.x) <= _POINTS:
        return line.x, line.y
    way = np.cumsum(np.hypot(np.diff(line.x, prepend=line.x[0]), np.diff(line.y, prepend=line.y[0])))
    kept = np.unique(np.searchsorted(way, np.linspace(0, way[-1], _POINTS)).clip(0, len(way) - 1))
    return line.x[kept], line.y[kept]


def interval_chart(title: str, rows: Sequence[tuple[str, int, float, Sequence[float] | None]]) -> str:
    """One row a method (name, index of its colour, value, interval) on a scale from 0 to 1."""
    width, left, right = 960, 170, 64
    across, height = width - left - right, len(rows) * _ROW + 34
    parts = [f'<svg class="chart wide" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">']
    for tick in np.linspace(0, 1, 11):
        x = left + tick * across
        parts.append(f'<line x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{height - 26}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{tick:.1f}</text>')
    for k, (name, index, value, interval) in enumerate(rows):
        y = 4 + _ROW * (k + 0.5)
        parts.append(f'<text x="{left - 12}" y="{y + 4:.1f}" text-anchor="end" class="axis">{escape(name)}</text>')
        if interval is not None:
            a, b = (left + v * across for v in interval)
            parts.append(
                f'<line x1="{a:.1f}" y1="{y}" x2="{b:.1f}" y2="{y}" {stroke(index)} stroke-width="5" opacity="0.45"/>'
            )
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<circle cx="{left + value * across:.1f}" cy="{y}" r="5.5" fill="{colour}"/>')
        parts.append(f'<text x="{width - right + 12}" y="{y + 4:.1f}" class="axis">{value:.3f}</text>')
    return "".join(parts) + "</svg>"


def difference_chart(title: str, rows: Sequence[tuple[str, float, Sequence[float] | None]]) -> str:
    """One row a name (value, interval) about a line at 0; losses in one colour, gains in another."""
    width, left, right = 960, 330, 64
    ends = [abs(v) for _, value, interval in rows for v in (value, *(interval or ()))]
    reach = max([0.05, *ends]) * 1.04
    across, height = width - left - right, len(rows) * _ROW + 34
    middle, scale = left + across / 2, across / 2 / reach
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if reach / s <= 6)
    parts = [f'<svg class="chart wide" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">']
    for k in range(-int(reach / step), int(reach / step) + 1):
        x, kind = middle + k * step * scale, "frame" if k == 0 else "grid"
        parts.append(f'<line x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{height - 26}" class="{kind}"/>')
        word = "0" if k == 0 else f"{k * step:+.2f}"
        parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle">{word}</text>')
    for k, (name, value, interval) in enumerate(rows):
        y, colour = 4 + _ROW * (k + 0.5), COLOURS[0] if value >= 0 else COLOURS[1]
        parts.append(f'<text x="{left - 12}" y="{y + 4:.1f}" text-anchor="end" class="axis">{escape(name)}</text>')
        if interval is not None:
            a, b = (middle + v * scale for v in interval)
            bar = f'stroke="{colour}" stroke-width="5" opacity="0.45"'
            parts.append(f'<line x1="{a:.1f}" y1="{y}" x2="{b:.1f}" y2="{y}" {bar}/>')
        parts.append(f'<circle cx="{middle + value * scale:.1f}" cy="{y}" r="5.5" fill="{colour}"/>')
        parts.append(f'<text x="{width - right + 12}" y="{y + 4:.1f}" class="axis">{value:+.3f}</text>')
    return "".join(parts) + "</svg>"


def matrix_chart(title: str, rows: Sequence[str], columns: Sequence[str], shares: np.ndarray) -> str:
    """``shares`` [rows, columns] in [0, 1] as shaded cells, the larger ones told in per cent."""
    cell, left, top = 30, 150, 132
    width, height = left + cell * len(columns) + 40, top + cell * len(rows) + 6
    parts = [f'<svg class="chart matrix" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">']
    for c, name in enumerate(columns):
        x = left + cell * (c + 0.5) + 4
        parts.append(f'<text transform="translate({x:.0f} {top - 8}) rotate(-60)">{escape(name)}</text>')
    for r, name in enumerate(rows):
        y = top + cell * r
        parts.append(f'<text x="{left - 8}" y="{y + 19}" text-anchor="end" class="axis">{escape(name)}</text>')
        for c in range(len(columns)):
            share = float(shares[r, c])
            x, dark = left + cell * c, share > 0.55
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="#0072B2" '
                f'fill-opacity="{max(share, 0.03):.3f}"/>'
            )
            if share >= 0.02:
                style = ' style="fill: #fff"' if dark else ""
                parts.append(
                    f'<text x="{x + cell / 2 - 0.5}" y="{y + 19}" text-anchor="middle"{style}>{share * 100:.0f}</text>'
                )
    return "".join(parts) + "</svg>"
