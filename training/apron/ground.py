"""The apron's surface: slabs, stains, tyre marks and painted markings, drawn once per world.

The same drawing yields the label map, so that every ground pixel's class is exact.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import cv2
import numpy as np

EXTENT_M = 240.0  # side of the square apron
TEXTURE_PX = 2560
_PX_PER_M = TEXTURE_PX / EXTENT_M

STAND_X_M = (-66.0, -22.0, 22.0, 66.0)  # lead-in lines; noses point to +y, the terminal
STAND_STOP_Y_M = 48.0  # where the nose wheel stops
SERVICE_ROAD_Y_M = -6.0


class Surface(enum.IntEnum):
    TARMAC = 0
    MARKING = 1
    GRASS = 2


@dataclass(frozen=True, slots=True)
class Ground:
    """``texture`` [T, T, 3] uint8 and ``labels`` [T, T] uint8 of :class:`Surface`; row 0 is y = +EXTENT/2."""

    texture: np.ndarray
    labels: np.ndarray
    tint: np.ndarray  # [3] mean colour: continues the apron beyond the texture

    def surface_at(self, xy_m: np.ndarray) -> np.ndarray:
        """Surface label of world points ``xy_m`` [..., 2]; grass outside the square."""
        col = ((xy_m[..., 0] + EXTENT_M / 2) * _PX_PER_M).astype(np.int32)
        row = ((EXTENT_M / 2 - xy_m[..., 1]) * _PX_PER_M).astype(np.int32)
        inside = (col >= 0) & (col < TEXTURE_PX) & (row >= 0) & (row < TEXTURE_PX)
        label = self.labels[np.clip(row, 0, TEXTURE_PX - 1), np.clip(col, 0, TEXTURE_PX - 1)]
        return np.where(inside, label, np.uint8(Surface.GRASS))


def _px(x_m: float, y_m: float) -> tuple[int, int]:
    return round((x_m + EXTENT_M / 2) * _PX_PER_M), round((EXTENT_M / 2 - y_m) * _PX_PER_M)


def _noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    small = rng.normal(size=(cells, cells)).astype(np.float32)
    return cv2.resize(small, (TEXTURE_PX, TEXTURE_PX), interpolation=cv2.INTER_CUBIC)


class _Painter:
    def __init__(self, rng: np.random.Generator, image: np.ndarray) -> None:
        self.rng, self.image = rng, image
        self.labels = np.zeros(image.shape[:2], np.uint8)
        self.wear = np.clip(0.86 + 0.13 * _noise(rng, 220), 0.35, 1.0)

    def line(
        self,
        points_m: list[tuple[float, float]],
        width_m: float,
        rgb: tuple[float, float, float],
        label: Surface | None = Surface.MARKING,
    ) -> None:
        mask = np.zeros(self.labels.shape, np.uint8)
        pts = np.array([_px(*p) for p in points_m], np.int32)
        thick = max(1, round(width_m * _PX_PER_M))
        cv2.polylines(mask, [pts], False, 255, thick, cv2.LINE_AA)
        self._apply(mask, rgb, label)

    def area(
        self, points_m: list[tuple[float, float]], rgb: tuple[float, float, float], label: Surface | None = None
    ) -> None:
        mask = np.zeros(self.labels.shape, np.uint8)
        cv2.fillPoly(mask, [np.array([_px(*p) for p in points_m], np.int32)], 255, cv2.LINE_AA)
        self._apply(mask, rgb, label)

    def text(self, text: str, x_m: float, y_m: float, height_m: float, rgb: tuple[float, float, float]) -> None:
        mask = np.zeros(self.labels.shape, np.uint8)
        scale = height_m * _PX_PER_M / 22
        thick = max(2, round(scale * 3))
        cv2.putText(mask, text, _px(x_m, y_m), cv2.FONT_HERSHEY_DUPLEX, scale, 255, thick, cv2.LINE_AA)
        self._apply(mask, rgb, Surface.MARKING)

    def _apply(self, mask: np.ndarray, rgb: tuple[float, float, float], label: Surface | None) -> None:
        x, y, w, h = cv2.boundingRect(mask)
        if w == 0:
            return
        part = np.s_[y : y + h, x : x + w]
        alpha = (mask[part].astype(np.float32) / 255 * self.wear[part])[..., None]
        self.image[part] = self.image[part] * (1 - alpha) + np.asarray(rgb, np.float32) * alpha
        if label is not None:
            self.labels[part][mask[part] > 127] = label


YELLOW, WHITE, RED, BLACK = (0.86, 0.66, 0.10), (0.86, 0.86, 0.84), (0.70, 0.13, 0.10), (0.08, 0.08, 0.08)


def draw_ground(rng: np.random.Generator) -> Ground:
    """A fresh apron surface: concrete or asphalt, its age, and the stand's markings."""
    concrete = rng.random() < 0.55
    base = np.array([0.64, 0.63, 0.60] if concrete else [0.36, 0.365, 0.375], np.float32)
    base *= rng.uniform(0.8, 1.2)
    base += rng.normal(0, 0.012, 3).astype(np.float32)
    tone = 1 + 0.05 * _noise(rng, 12) + 0.05 * _noise(rng, 90) + 0.055 * _noise(rng, TEXTURE_PX // 2)
    image = base * tone[..., None]
    paint = _Painter(rng, image)
    if concrete:
        _slabs(rng, image)
    _stains(rng, paint)
    _service_road(rng, paint)
    for number, x in enumerate(STAND_X_M):
        _stand(rng, paint, x, f"{rng.choice(list('ABCDEF'))}{number * 2 + int(rng.integers(1, 40))}")
    edge = round(rng.uniform(10, 26) * _PX_PER_M)
    grass = np.array([0.24, 0.33, 0.13], np.float32) * (1 + 0.16 * _noise(rng, 640)[-edge:, :, None])
    image[-edge:] = grass
    paint.labels[-edge:] = Surface.GRASS
    texture = (np.clip(image, 0, 1) * 255).astype(np.uint8)
    return Ground(texture, paint.labels, base)


def _slabs(rng: np.random.Generator, image: np.ndarray) -> None:
    pitch = rng.uniform(4.5, 7.5)
    count = int(EXTENT_M / pitch) + 1
    tone = cv2.resize(
        (1 + 0.045 * rng.normal(size=(count, count))).astype(np.float32),
        (TEXTURE_PX, TEXTURE_PX),
        interpolation=cv2.INTER_NEAREST,
    )
    image *= tone[..., None]
    for k in range(count + 1):
        a = round(k * TEXTURE_PX / count)
        image[max(a - 1, 0) : a + 1] *= 0.72
        image[:, max(a - 1, 0) : a + 1] *= 0.72


def _stains(rng: np.random.Generator, paint: _Painter) -> None:
    shade = np.ones(paint.labels.shape, np.float32)
    for _ in range(90):
        u, v = rng.integers(0, TEXTURE_PX, 2)
        axes = rng.integers(3, 34, 2)
        cv2.ellipse(
            shade,
            (int(u), int(v)),
            (int(axes[0]), int(axes[1])),
            float(rng.uniform(0, 180)),
            0,
            360,
            float(rng.uniform(0.62, 0.94)),
            -1,
            cv2.LINE_AA,
        )
    for _ in range(60):
        start = rng.uniform(-110, 110, 2)
        heading, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.02)
        steps = (
            np.cumsum(
                np.stack([np.cos(heading + bend * np.arange(28)), np.sin(heading + bend * np.arange(28))], 1)
                * rng.uniform(0.8, 2.2),
                axis=0,
            )
            + start
        )
        pts = np.array([_px(*p) for p in steps], np.int32)
        cv2.polylines(shade, [pts], False, float(rng.uniform(0.72, 0.93)), int(rng.integers(1, 5)), cv2.LINE_AA)
    shade = cv2.GaussianBlur(shade, (0, 0), 2.2)
    paint.image *= shade[..., None]


def _service_road(rng: np.random.Generator, paint: _Painter) -> None:
    y, half, x = SERVICE_ROAD_Y_M, float(rng.uniform(4.0, 6.0)), EXTENT_M / 2
    dark = tuple(float(c) for c in (np.array([0.22, 0.225, 0.235]) * rng.uniform(0.8, 1.3)))
    paint.area([(-x, y - half), (x, y - half), (x, y + half), (-x, y + half)], dark)
    for edge in (-half, half):
        paint.line([(-x, y + edge), (x, y + edge)], 0.25, WHITE)
    for k in np.arange(-x, x, 6.0):
        paint.line([(k, y), (k + 3.0, y)], 0.18, WHITE)
    for k in STAND_X_M:
        if rng.random() < 0.6:
            for stripe in np.arange(-half + 0.5, half - 0.3, 1.1):
                paint.line([(k + 14, y + stripe), (k + 18, y + stripe)], 0.5, WHITE)


def _stand(rng: np.random.Generator, paint: _Painter, x: float, name: str) -> None:
    stop = STAND_STOP_Y_M
    side = float(rng.choice((-1.0, 1.0)))
    angle = np.linspace(np.pi / 2, 0, 14)
    curve = [(x + side * 30 * (1 - np.cos(a)), -70 - 30 * np.sin(a)) for a in angle]
    width = float(rng.uniform(0.2, 0.4))
    if rng.random() < 0.5:
        paint.line([(x, -70.0), (x, stop + 3)], width + 0.3, BLACK)
    paint.line([*curve, (x, -70.0), (x, stop)], width, YELLOW)
    for k in range(int(rng.integers(2, 6))):
        paint.line([(x - 2.5, stop - 3.2 * k), (x + 2.5, stop - 3.2 * k)], 0.3, YELLOW)
    half = float(rng.uniform(17, 20.5))
    border = RED if rng.random() < 0.6 else WHITE
    outline = [(x - half, 2.0), (x - half, 40.0), (x - 7.0, 58.0), (x + 7.0, 58.0), (x + half, 40.0), (x + half, 2.0)]
    paint.line(outline, 0.25, border)
    if rng.random() < 0.6:
        for k in np.arange(0, 12, 1.6):
            paint.line([(x + half - 9, 42 + k * 0.3), (x + half - 9 + 5, 42 + k * 0.3 + 5)], 0.25, border)
    paint.text(name, x + 2.0, 8.0, 3.0, YELLOW)
    if rng.random() < 0.5:
        paint.text("NO PARKING", x - 16.0, 36.0, 1.6, RED)
    if rng.random() < 0.7:
        cx, cy = x - half + 5, 16.0
        corners = [(cx - 3, cy - 6), (cx + 3, cy - 6), (cx + 3, cy + 6), (cx - 3, cy + 6), (cx - 3, cy - 6)]
        paint.line(corners, 0.2, WHITE)
