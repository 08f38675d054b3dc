"""Paint for ground support equipment: colour schemes and the small pictures (decals) that go on panels.

All operator names are invented. Every picture is RGB uint8, 256 px at most on a side.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from training.apron.solids import Builder, Rgb, Swatch

WHITE: Rgb = (0.88, 0.88, 0.86)
YELLOW: Rgb = (0.93, 0.72, 0.05)
ORANGE: Rgb = (0.90, 0.36, 0.05)
BLACK: Rgb = (0.05, 0.05, 0.055)
DARK: Rgb = (0.13, 0.135, 0.14)
GREY: Rgb = (0.52, 0.53, 0.54)
RED: Rgb = (0.74, 0.09, 0.09)
GLASS: Rgb = (0.07, 0.10, 0.13)

BASES: tuple[tuple[Rgb, float], ...] = (
    (WHITE, 0.44),
    (YELLOW, 0.18),
    ((0.72, 0.74, 0.75), 0.09),
    ((0.08, 0.20, 0.46), 0.07),
    (ORANGE, 0.06),
    ((0.10, 0.38, 0.24), 0.05),
    (RED, 0.05),
    ((0.40, 0.42, 0.44), 0.06),
)
ACCENTS: tuple[Rgb, ...] = (
    (0.06, 0.16, 0.44),
    (0.05, 0.36, 0.66),
    (0.72, 0.07, 0.10),
    (0.06, 0.40, 0.25),
    ORANGE,
    YELLOW,
    (0.34, 0.12, 0.42),
    (0.02, 0.50, 0.52),
    (0.16, 0.18, 0.21),
)
OPERATORS: tuple[str, ...] = (
    "RAMPORA",
    "VELOGROUND",
    "KESTREL GH",
    "SOLARIQ",
    "APRONEX",
    "POLARWING",
    "ALTAVIO",
    "JETTERRA",
    "BLUEHAWK",
    "SKYHAUL",
    "MERIDIQ",
    "TORVANE",
    "LUMAJET",
    "GROUNDLY",
)


@dataclass(frozen=True, slots=True)
class Livery:
    """One operator's colours: body, stripes and lettering, and small metal parts."""

    base: Rgb
    accent: Rgb
    trim: Rgb
    operator: str
    unit: str


@dataclass(frozen=True, slots=True)
class Coat:
    """The livery as swatches of one builder."""

    base: Swatch
    accent: Swatch
    trim: Swatch
    dark: Swatch
    hazard: Swatch


def draw_livery(rng: np.random.Generator, bases: tuple[tuple[Rgb, float], ...] = BASES) -> Livery:
    """A random operator's colours, slightly faded; ``bases`` are (colour, weight) choices for the body."""
    weight = np.array([w for _, w in bases])
    base = bases[int(rng.choice(len(bases), p=weight / weight.sum()))][0]
    contrast = [c for c in ACCENTS if np.abs(np.subtract(c, base)).sum() > 0.5]
    accent = contrast[int(rng.integers(len(contrast)))]
    trim = (DARK, GREY, YELLOW, (0.30, 0.31, 0.33))[int(rng.integers(4))]
    fade = float(rng.uniform(0.88, 1.06))
    tint = rng.normal(0, 0.012, 3)
    faded = np.clip(np.asarray(base) * fade + tint, 0, 0.93)
    operator = OPERATORS[int(rng.integers(len(OPERATORS)))]
    unit = f"{'ABCDEGHKLPT'[int(rng.integers(11))]}{int(rng.integers(11, 989))}"
    return Livery((float(faded[0]), float(faded[1]), float(faded[2])), accent, trim, operator, unit)


def coat(b: Builder, livery: Livery) -> Coat:
    """Mix the livery's paints for this builder (5 cells of the atlas)."""
    stripes = (YELLOW, BLACK) if b.rng.random() < 0.7 else (WHITE, RED)
    hazard = b.decal(hazard_stripes(b.rng, 64, 32, stripes[0], stripes[1]))
    return Coat(b.paint(livery.base), b.paint(livery.accent), b.paint(livery.trim), b.paint(DARK), hazard)


def ink(livery: Livery) -> tuple[Rgb, Rgb]:
    """Lettering colour and plate colour for a board in the operator's accent."""
    return (WHITE if sum(livery.accent) < 1.6 else BLACK), livery.accent


def _canvas(rgb: Rgb, w: int, h: int) -> np.ndarray:
    return np.tile((np.clip(np.asarray(rgb), 0, 1) * 255).astype(np.uint8), (h, w, 1))


def _bgr(rgb: Rgb) -> Any:
    return tuple(int(255 * min(max(c, 0.0), 1.0)) for c in rgb)


def grime(rng: np.random.Generator, image: np.ndarray, amount: float = 0.10) -> np.ndarray:
    """The picture with soft dirt, fine scratches and streaks running down from the top."""
    h, w = image.shape[:2]
    blotch = cv2.resize(rng.normal(size=(max(2, h // 12), max(2, w // 12))).astype(np.float32), (w, h))
    streak = np.repeat(cv2.GaussianBlur(rng.normal(size=(1, w)).astype(np.float32), (3, 1), 0), h, axis=0)
    streak = np.minimum(streak, 0) * np.linspace(0, 1, h, dtype=np.float32)[:, None]
    shade = 1 + amount * (0.4 * blotch + 0.7 * streak) - amount * np.linspace(-0.3, 0.8, h)[:, None]
    return np.asarray(np.clip(image * shade[..., None], 0, 255).astype(np.uint8))


def hazard_stripes(
    rng: np.random.Generator, w: int = 64, h: int = 32, light: Rgb = YELLOW, dark: Rgb = BLACK
) -> np.ndarray:
    """Diagonal warning stripes."""
    y, x = np.mgrid[0:h, 0:w]
    lean = 1 if rng.random() < 0.5 else -1
    mask = ((x + lean * y) // 8) % 2 == 0
    image = np.where(mask[..., None], _canvas(light, w, h), _canvas(dark, w, h))
    return grime(rng, image, 0.15)


def chequer(
    rng: np.random.Generator,
    rows: int = 2,
    cols: int = 8,
    light: Rgb = YELLOW,
    dark: Rgb = BLACK,
    w: int = 128,
    h: int = 32,
) -> np.ndarray:
    """A chequer board, the marking of follow-me and airside vehicles."""
    y, x = np.mgrid[0:h, 0:w]
    mask = (x * cols // w + y * rows // h) % 2 == 0
    return grime(rng, np.where(mask[..., None], _canvas(light, w, h), _canvas(dark, w, h)), 0.1)


def put_text(image: np.ndarray, text: str, rgb: Rgb, box: tuple[int, int, int, int]) -> None:
    """Write ``text`` as large as fits into ``box`` (x, y, w, h) of the picture, in place."""
    x, y, w, h = box
    font = cv2.FONT_HERSHEY_SIMPLEX
    thick = 2 if h >= 18 else 1
    (tw, th), _ = cv2.getTextSize(text, font, 1.0, thick)
    scale = min(w / max(tw, 1), 0.9 * h / max(th, 1))
    origin = (int(x + (w - scale * tw) / 2), int(y + (h + scale * th) / 2))
    cv2.putText(image, text, origin, font, scale, _bgr(rgb), thick, cv2.LINE_AA)


def sign(text: str, fg: Rgb = BLACK, bg: Rgb = YELLOW, w: int = 64, h: int = 32) -> np.ndarray:
    """A plate with one line of lettering."""
    image = _canvas(bg, w, h)
    put_text(image, text, fg, (4, 4, w - 8, h - 8))
    return image


def window_band(
    n: int, w: int = 128, h: int = 32, frame: Rgb = BLACK, glass: Rgb = GLASS, sill: float = 0.1
) -> np.ndarray:
    """``n`` panes in a row, divided by pillars, with a hint of sky in the glass."""
    image = _canvas(frame, w, h).astype(np.float32)
    edges = np.linspace(0, w, n + 1)
    top, low = int(h * sill), int(h * (1 - sill))
    sky = np.linspace(1.9, 0.8, max(low - top, 1))[:, None, None]
    for a, z in itertools.pairwise(edges):
        image[top:low, int(a) + 2 : int(z) - 1] = np.asarray(glass) * 255 * sky
    slope = (np.mgrid[0:h, 0:w][1] + 0.8 * np.mgrid[0:h, 0:w][0]) % (w * 0.43) < w * 0.07
    image[slope] *= 1.35
    return np.asarray(np.clip(image, 0, 255).astype(np.uint8))


def vents(rng: np.random.Generator, base: Rgb, columns: int = 2, w: int = 64, h: int = 64) -> np.ndarray:
    """A body panel with columns of cooling louvres."""
    image = _canvas(base, w, h)
    edge = w / columns
    for k in range(columns):
        x0, x1 = int(k * edge + 5), int((k + 1) * edge - 5)
        for y in range(7, h - 8, 5):
            image[y : y + 3, x0:x1] = 22
            image[y + 3, x0:x1] = np.clip(image[y + 3, x0:x1] * 1.25, 0, 255)
    cv2.rectangle(image, (1, 1), (w - 2, h - 2), _bgr((base[0] * 0.5, base[1] * 0.5, base[2] * 0.5)), 1)
    return grime(rng, image)


def roller_shutter(rng: np.random.Generator, base: Rgb = (0.66, 0.67, 0.68), w: int = 64, h: int = 64) -> np.ndarray:
    """A slatted roller door with its guide rails and handle bar."""
    image = _canvas(base, w, h).astype(np.float32)
    image *= (0.86 + 0.18 * np.cos(np.arange(h) * 2 * np.pi / 5))[:, None, None]
    image[:, :4] *= 0.5
    image[:, -4:] *= 0.5
    image[-4:] *= 0.4
    return grime(rng, np.clip(image, 0, 255).astype(np.uint8))


def body_panels(
    rng: np.random.Generator,
    base: Rgb,
    n: int = 3,
    w: int = 128,
    h: int = 64,
    band: Rgb | None = None,
    latches: bool = True,
) -> np.ndarray:
    """Sheet metal with ``n`` doors: seams, latches, and an optional colour band along the lower third."""
    image = _canvas(base, w, h)
    if band is not None:
        image[int(h * 0.62) : int(h * 0.80)] = _bgr(band)
    seam = _bgr((base[0] * 0.42, base[1] * 0.42, base[2] * 0.42))
    for k in range(n):
        x0, x1 = int(k * w / n), int((k + 1) * w / n) - 1
        cv2.rectangle(image, (x0, 1), (x1, h - 2), seam, 1)
        if latches:
            image[h // 2 - 2 : h // 2 + 2, x1 - 8 : x1 - 3] = 25
    return grime(rng, image)


def logo_panel(rng: np.random.Generator, livery: Livery, w: int = 128, h: int = 64) -> np.ndarray:
    """A body side with the operator's mark: swoosh, blocks, disc or stripes, and the name."""
    image = _canvas(livery.base, w, h)
    accent, second = _bgr(livery.accent), _bgr(ACCENTS[int(rng.integers(len(ACCENTS)))])
    kind = int(rng.integers(5))
    ink: Rgb = livery.accent
    text = (int(w * 0.08), int(h * 0.16), int(w * 0.84), int(h * 0.34))
    if kind == 0:
        t = np.linspace(0, 1, 24)
        upper = np.stack([t * w, h * (0.98 - 0.55 * t**2)], 1)
        cv2.fillPoly(image, [np.concatenate([upper, [[w, h * 0.80]], [[0, h]]]).astype(np.int32)], accent)
        cv2.polylines(image, [(upper - (0, 3)).astype(np.int32)], False, second, 2, cv2.LINE_AA)
    elif kind == 1:
        corner = np.array([[w * 0.62, 0], [w, 0], [w, h], [w * 0.38, h]], np.int32)
        cv2.fillPoly(image, [corner], accent)
        cv2.fillPoly(image, [(corner[[0, 3, 3, 0]] - [[8, 0], [8, 0], [2, 0], [2, 0]]).astype(np.int32)], second)
        text = (int(w * 0.04), int(h * 0.30), int(w * 0.44), int(h * 0.34))
    elif kind == 2:
        cv2.circle(image, (int(h * 0.42), h // 2), int(h * 0.30), accent, -1, cv2.LINE_AA)
        cv2.ellipse(image, (int(h * 0.42), int(h * 0.52)), (int(h * 0.30), int(h * 0.12)), -25, 0, 180, second, 3)
        text = (int(h * 0.80), int(h * 0.30), int(w - h * 0.9), int(h * 0.40))
    elif kind == 3:
        for k, colour in enumerate((accent, second, accent)):
            image[int(h * (0.60 + 0.11 * k)) : int(h * (0.68 + 0.11 * k))] = colour
    else:
        image[:] = accent
        ink = WHITE if sum(livery.accent) < 1.6 else BLACK
        text = (int(w * 0.08), int(h * 0.28), int(w * 0.84), int(h * 0.44))
    put_text(image, livery.operator, ink, text)
    return grime(rng, image, 0.08)


def curtain(rng: np.random.Generator, base: Rgb, w: int = 64, h: int = 32) -> np.ndarray:
    """Hanging tarpaulin with folds and tie-down straps."""
    fold = np.cumsum(rng.normal(size=w)).astype(np.float32)
    fold = np.sin(fold * 0.5 + np.arange(w) * 0.55)
    image = _canvas(base, w, h) * (0.86 + 0.14 * fold)[None, :, None]
    image[:, :: max(8, w // 4)] *= 0.5
    image[-2:] *= 0.5
    return grime(rng, np.clip(image, 0, 255).astype(np.uint8), 0.2)
