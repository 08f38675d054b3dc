"""Small painted pictures (RGB uint8) for decals: wood, sheet metal, cloth, fur, stripes, lettering and such."""

from __future__ import annotations

import itertools
import string

import cv2
import numpy as np

from training.apron.solids import Rgb

Colours = list[Rgb]


def smooth_noise(rng: np.random.Generator, height: int, width: int, bumps: tuple[int, int]) -> np.ndarray:
    """Soft noise [height, width] of about unit variance with ``bumps`` = (rows, columns) of blobs."""
    coarse = rng.normal(size=(max(bumps[0], 2), max(bumps[1], 2))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def tint(rgb: Rgb, factor: float) -> Rgb:
    """The colour made darker (< 1) or lighter (> 1)."""
    r, g, b = (float(np.clip(c * factor, 0, 1)) for c in rgb)
    return r, g, b


def jitter(rng: np.random.Generator, rgb: Rgb, amount: float = 0.05) -> Rgb:
    """The colour, a little off."""
    r, g, b = np.clip(np.asarray(rgb) + rng.normal(0, amount, 3), 0.02, 0.98)
    return float(r), float(g), float(b)


def any_colour(rng: np.random.Generator) -> Rgb:
    """Some colour: greys, whites, darks, muted and saturated ones all occur often."""
    mood = rng.random()
    if mood < 0.3:
        grey = float(rng.choice([rng.uniform(0.04, 0.2), rng.uniform(0.25, 0.65), rng.uniform(0.7, 0.95)]))
        return jitter(rng, (grey, grey, grey), 0.015)
    saturation, value = (
        (rng.uniform(0.15, 0.5), rng.uniform(0.25, 0.8))
        if mood < 0.6
        else (rng.uniform(0.6, 1.0), rng.uniform(0.35, 0.95))
    )
    hue = rng.uniform(0, 180)
    pixel = np.array([[[hue, 255 * saturation, 255 * value]]], np.uint8)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0] / 255.0
    return float(r), float(g), float(b)


def shaded(rgb: Rgb, factor: np.ndarray) -> np.ndarray:
    """A picture of one colour multiplied by ``factor`` [H, W]."""
    return np.asarray(np.clip(np.asarray(rgb, np.float32) * factor[..., None], 0, 1) * 255, np.uint8)


def by_index(rng: np.random.Generator, colours: Colours, index: np.ndarray, dirt: float = 0.06) -> np.ndarray:
    """A picture that takes ``colours[index]`` per pixel, with soft dirt over it."""
    picture = np.asarray(colours, np.float32)[index % len(colours)]
    h, w = index.shape
    soil = 1 + dirt * smooth_noise(rng, h, w, (5, 5)) + dirt * 0.4 * rng.normal(size=(h, w))
    return np.asarray(np.clip(picture * soil[..., None], 0, 1) * 255, np.uint8)


def wood(rng: np.random.Generator, rgb: Rgb, px: int = 64, planks: int = 1) -> np.ndarray:
    """Grain along u, split into ``planks`` boards across v."""
    factor = 1 + 0.10 * smooth_noise(rng, px, px, (px // 3, 3)) + 0.06 * smooth_noise(rng, px, px, (px // 2, 6))
    edges = np.linspace(0, px, planks + 1).astype(int)
    for low, high in itertools.pairwise(edges):
        factor[low:high] *= rng.uniform(0.85, 1.12)
        if planks > 1:
            factor[low : low + 2] *= 0.35
    return shaded(rgb, factor)


def sheet_metal(rng: np.random.Generator, rgb: Rgb, px: int = 64, ribs: int = 0, rivets: bool = True) -> np.ndarray:
    """Brushed or painted sheet with rivet rows, scratches and optional upright ribs."""
    factor = 1 + 0.05 * smooth_noise(rng, px, px, (4, px // 2)) + 0.06 * smooth_noise(rng, px, px, (4, 4))
    if ribs:
        factor *= 1 + 0.22 * np.sin(np.linspace(0, 2 * np.pi * ribs, px))[None, :]
    factor[:2], factor[-2:], factor[:, :1], factor[:, -1:] = 0.55, 0.5, 0.6, 0.6
    if rivets:
        factor[4 : px - 3 : 8, 4], factor[4 : px - 3 : 8, px - 5] = 0.55, 0.55
        factor[5, 4 : px - 3 : 8], factor[px - 6, 4 : px - 3 : 8] = 0.55, 0.55
    for _ in range(int(rng.integers(0, 5))):
        a = rng.integers(0, px, 2)
        b = a + rng.integers(-px // 4, px // 4 + 1, 2)
        scratch = cv2.line(np.zeros((px, px), np.float32), a.tolist(), b.tolist(), 1.0, 1, cv2.LINE_AA)
        factor = factor * (1 + rng.uniform(-0.15, 0.2) * scratch)
    return shaded(rgb, factor)


def cloth(rng: np.random.Generator, rgb: Rgb, px: int = 64, folds: int = 5, across: int = 0) -> np.ndarray:
    """Woven or plastic sheet with soft creases: ``folds`` of them down the picture, ``across`` (or so) along it."""
    weave = 0.05 * ((np.arange(px)[:, None] + np.arange(px)[None]) % 2)
    folded = np.abs(smooth_noise(rng, px, px, (folds, across or folds + 2)))
    return shaded(rgb, 0.82 + 0.22 * folded + weave)


def plaid(rng: np.random.Generator, colours: Colours, px: int = 64) -> np.ndarray:
    """Crossing bands of colour, as on rugs and cheap bags."""
    bands = rng.integers(0, len(colours), int(rng.integers(5, 12)))
    line = cv2.resize(bands.astype(np.float32)[None], (px, 1), interpolation=cv2.INTER_NEAREST)[0].astype(int)
    palette = np.asarray(colours, np.float32)
    mixed = 0.5 * palette[line][None, :] + 0.5 * palette[line][:, None]
    return np.asarray(np.clip(mixed, 0, 1) * 255, np.uint8)


def fur(rng: np.random.Generator, rgb: Rgb, other: Rgb | None = None, px: int = 64, spots: float = 0.0) -> np.ndarray:
    """Short hair along u; ``other`` colours patches (``spots`` 0..1 of the area)."""
    picture = np.tile(np.asarray(rgb, np.float32), (px, px, 1))
    if other is not None and spots > 0:
        field = smooth_noise(rng, px, px, (5, 5))
        soft = 1 / (1 + np.exp(-8 * (field - np.quantile(field, 1 - spots))))
        picture += soft[..., None] * (np.asarray(other, np.float32) - picture)
    strands = 1 + 0.16 * smooth_noise(rng, px, px, (px, px // 5)) + 0.10 * smooth_noise(rng, px, px, (6, 6))
    return np.asarray(np.clip(picture * strands[..., None], 0, 1) * 255, np.uint8)


def stripes(
    rng: np.random.Generator, colours: Colours, px: int = 64, angle: float = 0.0, count: float = 6
) -> np.ndarray:
    """``count`` bands across the picture, turned by ``angle`` (0: bands stand upright)."""
    v, u = np.mgrid[0:px, 0:px] / px
    return by_index(rng, colours, np.floor((u * np.cos(angle) + v * np.sin(angle) + 2) * count).astype(int))


def chequer(rng: np.random.Generator, colours: Colours, px: int = 64, count: int = 6) -> np.ndarray:
    """A chessboard."""
    v, u = np.mgrid[0:px, 0:px] * count // px
    return by_index(rng, colours, (u + v).astype(int))


def dots(rng: np.random.Generator, ground: Rgb, ink: Rgb, px: int = 64, count: int = 5) -> np.ndarray:
    """A regular grid of round dots or holes."""
    v, u = (np.mgrid[0:px, 0:px] / px * count) % 1 - 0.5
    return by_index(rng, [ground, ink], (np.hypot(u, v) < rng.uniform(0.2, 0.42)).astype(int))


def patches(rng: np.random.Generator, colours: Colours, px: int = 64) -> np.ndarray:
    """Irregular blots (camouflage, stains, marble)."""
    field = smooth_noise(rng, px, px, tuple(rng.integers(3, 12, 2).tolist()))
    field += 0.5 * smooth_noise(rng, px, px, (14, 14))
    return by_index(rng, colours, np.floor(field * rng.uniform(1, 2.5) + 50).astype(int))


def rust(rng: np.random.Generator, rgb: Rgb, px: int = 64) -> np.ndarray:
    """Paint over which rust has spread."""
    field = smooth_noise(rng, px, px, (6, 6)) + 0.6 * smooth_noise(rng, px, px, (18, 18))
    level = rng.uniform(-0.5, 1.2)
    index = (field > level).astype(int) + (field > level + 0.6).astype(int)
    return by_index(rng, [rgb, (0.45, 0.24, 0.12), (0.26, 0.13, 0.08)], index, 0.12)


def lettering(
    rng: np.random.Generator, ground: Rgb, ink: Rgb, width: int = 128, height: int = 64, text: str | None = None
) -> np.ndarray:
    """One or two lines of print on a plain ground (random words unless ``text`` is given)."""
    picture = shaded(ground, 1 + 0.04 * smooth_noise(rng, height, width, (4, 4)))
    alphabet = list(string.ascii_uppercase + string.digits)
    words = [int(rng.integers(2, 8)) for _ in range(rng.integers(1, 3))]
    lines = [text] if text else ["".join(rng.choice(alphabet, n)) for n in words]
    colour = tuple(int(255 * c) for c in ink)
    face = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    for row, line in enumerate(lines):
        (w, h), _ = cv2.getTextSize(line, face, 1.0, 2)
        scale = min(0.86 * width / w, 0.7 * height / len(lines) / h)
        y = int(height * (row + 0.5) / len(lines) + h * scale / 2)
        x = int((width - w * scale) * rng.uniform(0.2, 0.8))
        cv2.putText(picture, line, (x, y), face, scale, colour, max(1, round(2 * scale)), cv2.LINE_AA)
    return picture


def collage(rng: np.random.Generator, colours: Colours, px: int = 64) -> np.ndarray:
    """Random rectangles, lines and discs: stickers, panels, switches, an advertisement."""
    picture = shaded(colours[0], 1 + 0.05 * smooth_noise(rng, px, px, (4, 4)))
    for _ in range(int(rng.integers(3, 14))):
        a, b = rng.integers(0, px, (2, 2))
        colour = tuple(int(255 * c) for c in colours[int(rng.integers(len(colours)))])
        kind, thick = rng.integers(3), int(rng.choice([-1, -1, 1, 2, 3]))
        if kind == 0:
            cv2.rectangle(picture, a.tolist(), b.tolist(), colour, thick)
        elif kind == 1:
            cv2.circle(picture, a.tolist(), int(rng.integers(2, px // 4)), colour, thick, cv2.LINE_AA)
        else:
            cv2.line(picture, a.tolist(), b.tolist(), colour, abs(thick), cv2.LINE_AA)
    return picture


def lattice(
    rng: np.random.Generator, bars: Rgb, gap: Rgb, px: int = 64, count: int = 7, width: float = 0.2
) -> np.ndarray:
    """Crossed bars in front of a dark gap: mesh, grille, grating."""
    v, u = (np.mgrid[0:px, 0:px] / px * count) % 1
    hit = (u < width) | (v < width)
    return by_index(rng, [gap, bars], hit.astype(int), 0.08)


def any_surface(rng: np.random.Generator, colours: Colours, px: int = 64) -> np.ndarray:
    """One of all these surfaces, made from the given colours (two or more)."""
    first, second = colours[0], colours[1]
    kind = int(rng.integers(16))
    if kind == 0:
        return wood(rng, jitter(rng, (0.55, 0.4, 0.25), 0.08), px, int(rng.integers(1, 7)))
    if kind in (1, 2):
        return sheet_metal(rng, first, px, int(rng.choice([0, 0, 4, 9])), bool(rng.random() < 0.6))
    if kind == 3:
        return cloth(rng, first, px, int(rng.integers(3, 10)))
    if kind == 4:
        return plaid(rng, colours, px)
    if kind == 5:
        return fur(rng, first, second, px, float(rng.uniform(0, 0.6)))
    if kind in (6, 7):
        angle = float(rng.choice([0, np.pi / 2, np.pi / 4, rng.uniform(0, np.pi)]))
        return stripes(rng, colours[: int(rng.integers(2, 4))], px, angle, float(rng.uniform(2, 10)))
    if kind == 8:
        return chequer(rng, colours[: int(rng.integers(2, 4))], px, int(rng.integers(2, 9)))
    if kind == 9:
        return dots(rng, first, second, px, int(rng.integers(2, 8)))
    if kind in (10, 11):
        return patches(rng, colours, px)
    if kind == 12:
        return rust(rng, first, px)
    if kind == 13:
        return lettering(rng, first, second, px, px)
    if kind == 14:
        return collage(rng, colours, px)
    return lattice(rng, first, second, px, int(rng.integers(3, 10)), float(rng.uniform(0.1, 0.5)))
