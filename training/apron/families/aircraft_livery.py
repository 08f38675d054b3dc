"""The paint of parked aircraft: liveries of invented airlines, computed for points on the airframe."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.apron.solids import Rgb

_COLOURS: tuple[tuple[Rgb, Rgb], ...] = (
    ((0.04, 0.13, 0.40), (0.85, 0.12, 0.12)), ((0.72, 0.05, 0.08), (0.95, 0.75, 0.10)),
    ((0.02, 0.35, 0.22), (0.80, 0.66, 0.25)), ((0.03, 0.45, 0.70), (0.96, 0.96, 0.96)),
    ((0.95, 0.45, 0.05), (0.15, 0.15, 0.20)), ((0.30, 0.10, 0.42), (0.95, 0.60, 0.10)),
    ((0.10, 0.10, 0.13), (0.88, 0.20, 0.15)), ((0.00, 0.55, 0.55), (0.95, 0.85, 0.20)),
    ((0.96, 0.80, 0.05), (0.05, 0.12, 0.35)), ((0.45, 0.05, 0.15), (0.85, 0.85, 0.88)),
    ((0.15, 0.50, 0.12), (0.95, 0.95, 0.30)), ((0.90, 0.12, 0.45), (0.25, 0.12, 0.45)),
)  # fmt: skip
_NAMES = (("Vel", "Mer", "Sol", "Kes", "Tal", "Zeph", "Orb", "Cal", "Lum", "Bor", "Pel", "Dar", "Ist", "Quil"),
          ("anis", "idor", "vane", "tra", "vik", "yrion", "ella", "dora", "arq", "eon", "una", "mere", "ovar"),
          ("", "", " AIR", " JET", " AIRLINES", " AIRWAYS"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """The proportions of one aircraft in metres; ``d`` means distance behind the tip of the nose."""

    length: float
    radius: float
    axis_z: float
    nose: float  # length of the nose and of the tail cone
    tail: float
    half_span: float
    wing_d: float  # leading edge at the side of the fuselage
    wing_z: float
    root: float  # chords
    kink: float
    tip: float
    sweep: float
    dihedral: float
    fin_top: float
    t_tail: bool
    track: float
    nose_gear_d: float
    main_gear_d: float
    wheel: float
    bogie: int
    window_pitch: float

    def x(self, d: float) -> float:
        return self.length / 2 - d


def _mask_text(text: str, u: np.ndarray, v: np.ndarray, bold: bool) -> np.ndarray:
    """1 where ``text``, stretched over the unit square (u to the right, v up), has ink."""
    font, thick = (cv2.FONT_HERSHEY_DUPLEX, 7) if bold else (cv2.FONT_HERSHEY_TRIPLEX, 4)
    (w, h), base = cv2.getTextSize(text, font, 2.0, thick)
    canvas = np.zeros((h + base, w + 8), np.uint8)
    cv2.putText(canvas, text, (2, h), font, 2.0, 1, thick, cv2.LINE_8)
    row = ((1 - v) * canvas.shape[0]).astype(int)
    col = (u * canvas.shape[1]).astype(int)
    inside = (row >= 0) & (row < canvas.shape[0]) & (col >= 0) & (col < canvas.shape[1])
    return np.asarray(inside & (canvas[row * inside, col * inside] > 0))


class Livery:
    """How one airline paints its aircraft."""

    def __init__(self, rng: np.random.Generator, f: Frame, rear_door: bool) -> None:
        self.f = f
        accent, second = (np.array(c) for c in _COLOURS[rng.integers(len(_COLOURS))])
        if rng.random() < 0.4:
            second = np.clip(accent * 0.45 + 0.45, 0, 1)
        white = np.array((0.88, 0.89, 0.90)) * rng.uniform(0.9, 1.0)
        schemes = ["cheat", "cheat", "tail", "tail", "wave", "wave", "belly", "plain", "plain", "metal", "solid"]
        self.scheme = str(rng.choice(schemes))
        self.accent, self.second = accent, second
        self.base = {"solid": accent, "metal": np.array((0.60, 0.62, 0.65))}.get(self.scheme, white)
        self.belly = np.array((0.58, 0.60, 0.62)) if rng.random() < 0.6 and self.scheme != "solid" else self.base
        if self.scheme == "belly":
            self.belly = accent
        self.ink = white if self.scheme == "solid" else accent if accent.mean() < 0.6 else second * 0.6
        self.title = "".join(part[rng.integers(len(part))] for part in _NAMES)
        self.title = self.title.upper() if rng.random() < 0.6 else self.title.title()
        self.bold = bool(rng.random() < 0.7)
        self.title_h = rng.uniform(0.32, 0.58)
        self.title_d = f.nose * rng.uniform(1.15, 1.35)
        self.registration = "".join(chr(65 + c) for c in rng.integers(0, 26, 5))
        self.registration = self.registration[:2] + "-" + self.registration[2:]
        self.slope, self.shape = rng.uniform(0.3, 1.2), rng.uniform(2.2, 5.0)
        self.fin_style = int(rng.integers(6))
        self.fin_base = self.base if rng.random() < 0.15 and self.scheme != "solid" else accent
        self.window_h = 0.17
        self.mark_doors = rng.random() < 0.35
        self.radome = rng.random() < 0.08
        door = min(0.45, 0.28 * f.radius)
        front = f.nose * 0.86
        rear = f.length - f.tail * rng.uniform(0.86, 0.98)
        self.doors = [(front, door, 0), (rear, door, 0)] if rear_door else [(front, door, 0)]
        if f.length > 31:
            self.doors += [(f.wing_d + f.root * 0.35 + k, 0.27, 1) for k in ((0.0, 0.9) if f.radius < 2.4 else ())]
        if f.length > 50:
            self.doors += [(f.length * q, door, 0) for q in (0.30, 0.60)]

    def body(self, p: np.ndarray) -> np.ndarray:
        """The colour of the fuselage at points [..., 3]."""
        f = self.f
        d, y, h = f.length / 2 - p[..., 0], p[..., 1], (p[..., 2] - f.axis_z) / f.radius
        q = d / f.length
        col = np.broadcast_to(self.base, p.shape).copy()
        window = self.window_h
        if self.scheme == "belly":
            col[h < -0.55 + 0.35 * np.cos(q * 5 * self.slope + 1) * (q < 0.9)] = self.belly
        else:
            col[h < -0.50] = self.belly
        if self.scheme == "cheat":
            col[np.abs(h - window + 0.02) < 0.17] = self.accent
            col[np.abs(h - window + 0.27) < 0.045] = self.second
        elif self.scheme == "metal":
            for k, c in enumerate((self.accent, np.array((0.9, 0.9, 0.9)), self.second)):
                col[np.abs(h - window + 0.22 + 0.12 * k) < 0.06] = c
        elif self.scheme in ("tail", "wave"):
            edge = d + f.radius * self.slope * 2.0 * h - (f.length - f.tail * 1.05)
            if self.scheme == "wave":
                edge = (2.3 * np.clip(q, 0, 1) ** self.shape - 1.05 - h) * f.radius * 2
            col[edge > 0] = self.accent
            col[np.abs(edge + 0.30 * f.radius) < 0.14 * f.radius] = self.second
        if self.radome:
            col[d < 0.09 * f.nose] = (0.10, 0.10, 0.11)
        seam = np.abs((d / 2.6) % 1 - 0.5) * 2.6 > 1.28
        col[seam] *= 0.95
        rise = (h - window) * f.radius
        cabin = (d > f.nose * 1.02) & (d < f.length - f.tail * 0.93)
        for at, half, small in self.doors:
            low, high = (-0.45, 0.60) if small else (-0.80, 1.02)
            off = np.maximum(np.abs(d - at) - half, np.maximum(low - rise, rise - high))
            line = np.abs(off) < 0.055
            shade = self.ink if self.mark_doors else np.array((0.32, 0.33, 0.35))
            col[line] = 0.25 * col[line] + 0.75 * shade
            cabin &= np.abs(d - at) > half + 0.12
            if not small:
                col[(np.abs(d - at) < 0.1) & (np.abs(rise - 0.2) < 0.15)] = (0.07, 0.08, 0.10)
        for at in (0.26, 0.68) if f.length > 31 else ():
            off = np.maximum(np.abs(d - at * f.length) - 0.9, np.abs(h + 0.52) * f.radius - 0.3 * f.radius)
            col[(np.abs(off) < 0.04) & (y < 0)] *= 0.6
        pane = (((d / f.window_pitch) % 1 - 0.5) * f.window_pitch / 0.14) ** 4 + (rise / 0.19) ** 4
        col[cabin & (pane < 1.7)] = np.array((0.45, 0.47, 0.5))
        col[cabin & (pane < 1)] = (0.06, 0.07, 0.09)
        text_len = self.title_h * f.radius * 0.62 * len(self.title)
        for word, start, size, low in (
            (self.title, self.title_d, text_len, window + 0.18),
            (self.registration, f.length - f.tail * 0.75, f.radius * 1.1, window - 0.26),
        ):
            tall = self.title_h if word is self.title else 0.21
            u = np.where(y > 0, (d - start) / size, (start + size - d) / size)
            ink = self.ink if word is self.title else np.where(col.mean(axis=-1, keepdims=True) > 0.5, 0.12, 0.85)
            written = _mask_text(word, u, (h - low) / tall, self.bold)
            col = np.where(written[..., None], ink, col)
        t = d / f.nose
        scale = min(1.05, 2.1 / f.radius)  # a wide body's cockpit is no larger than a narrow body's
        sill = 0.25 + 0.12 * t
        top, end = 0.27 + 0.36 * scale, 0.14 + 0.43 * scale
        edge = t + 0.25 * (top - 0.03 - h)
        glass = (h > sill) & (h < top) & (t > 0.12) & (edge < end)
        bar = (np.abs(y) < 0.05) | (np.abs(t - end + 0.20 * scale) * f.nose < 0.09)
        bar |= np.abs(t - end + 0.095 * scale) * f.nose < 0.06
        col[(h > sill - 0.035) & (h < top + 0.035) & (t > 0.1) & (edge < end + 0.015)] = (0.22, 0.23, 0.25)
        col[glass] = (0.04, 0.05, 0.07)
        col[glass & bar] = (0.30, 0.31, 0.33)
        col[d > f.length - 0.16] = (0.05, 0.05, 0.05)
        return col * (1 - 0.07 * np.clip(-h, 0, 1))[..., None]

    def fin(self, p: np.ndarray) -> np.ndarray:
        """The colour of the fin at points [..., 3]."""
        f = self.f
        low = f.axis_z + f.radius
        v = (p[..., 2] - low) / (f.fin_top - low)
        u = (p[..., 0] - f.x(f.length)) / (f.fin_top - low) - 0.5 + 0.45 * v
        col = np.broadcast_to(self.fin_base, p.shape).copy()
        mark = self.second if np.abs(self.second - self.fin_base).max() > 0.25 else np.array((0.93, 0.93, 0.93))
        disc = np.hypot(u, v - 0.55)
        if self.fin_style == 0:
            col[disc < 0.26] = mark
            col[(disc < 0.18) & (v - 0.55 < 0.8 * u)] = self.fin_base
        elif self.fin_style == 1:
            col[(np.abs(v - 0.35 + 0.5 * u) < 0.07) | (np.abs(v - 0.60 + 0.5 * u) < 0.07)] = mark
        elif self.fin_style == 2:
            col[v > 0.5 + 0.6 * u] = mark
        elif self.fin_style == 3:
            col[(disc < 0.30) & (np.hypot(u + 0.10, v - 0.66) > 0.24)] = mark
        elif self.fin_style == 4:
            col[np.abs(np.abs(v - 0.5) + np.abs(u) - 0.2) < 0.07] = mark
        else:
            col[((v * 5) % 1 < 0.4) & (v > 0.3)] = mark
        rudder = (p[..., 0] - f.x(f.length)) / (f.fin_top - low) + 0.52 * v
        col[np.abs(rudder - 0.33) < 0.012] *= 0.6
        return col
