"""Scenery between the buildings: masts, fences, trees and cars; rows run along y."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np

from training.apron.solids import Asset, Builder, Rgb, Swatch, circle

_CAR_COLOURS: tuple[Rgb, ...] = (
    (0.85, 0.85, 0.84),
    (0.08, 0.08, 0.09),
    (0.45, 0.46, 0.48),
    (0.62, 0.64, 0.66),
    (0.10, 0.18, 0.40),
    (0.55, 0.06, 0.06),
    (0.25, 0.30, 0.26),
    (0.75, 0.70, 0.58),
)


def light_mast(rng: np.random.Generator) -> Asset:
    """An apron flood light mast, 20-30 m: tapered pole, head frame, floodlights."""
    b = Builder(rng)
    high = rng.uniform(20, 30)
    pole = b.paint(((0.62, 0.64, 0.65), (0.78, 0.78, 0.76), (0.42, 0.45, 0.44))[int(rng.integers(3))])
    b.box((0, 0, 0.4), (1.6, 1.6, 0.8), b.paint((0.58, 0.57, 0.54)))
    lattice = rng.random() < 0.3
    if lattice:
        feet, tops = [(s * 0.9, t * 0.9) for s, t in ((1, 1), (-1, 1), (-1, -1), (1, -1))], 0.45
        levels = np.linspace(0, 1, 9)
        for (x, y), (u, v) in zip(feet, [*feet[1:], feet[0]], strict=True):
            b.tube([(x, y, 0.8), (x * tops, y * tops, high)], 0.08, pole, sides=5)
            for k, (p, q) in enumerate(itertools.pairwise(levels)):
                s0, s1 = 1 - (1 - tops) * p, 1 - (1 - tops) * q
                ends = ((x, y), (u, v)) if k % 2 else ((u, v), (x, y))
                b.tube([(ends[0][0] * s0, ends[0][1] * s0, 0.8 + (high - 0.8) * p),
                        (ends[1][0] * s1, ends[1][1] * s1, 0.8 + (high - 0.8) * q)], 0.045, pole, sides=4)  # fmt: skip
    else:
        b.cylinder((0, 0, 0.8), (0, 0, high), rng.uniform(0.32, 0.48), pole, r1=0.16, sides=12)
        b.box((0.4, 0, 1.6), (0.1, 0.4, 1.1), b.steel)
    bands = b.paint((0.85, 0.10, 0.06))
    if rng.random() < 0.4:
        b.cylinder((0, 0, high * 0.9), (0, 0, high * 0.95), 0.6 if lattice else 0.30, bands, sides=10)
    rows, count = int(rng.integers(1, 3)), int(rng.integers(3, 7))
    span = count * 0.85
    warm = (1.0, 0.97, 0.90) if rng.random() < 0.6 else (1.0, 0.85, 0.55)
    faces = (0.0,) if rng.random() < 0.5 else (0.0, np.pi)
    for row in range(rows):
        z = high - 0.2 - 1.0 * row
        b.box((0, 0, z), (0.2, span + 0.4, 0.2), b.steel)
        for yaw in faces:
            for k in range(count):
                with b.at(y=-span / 2 + 0.85 * (k + 0.5), z=z, yaw=yaw, pitch=0.75):
                    b.box((0.42, 0, 0.05), (0.35, 0.66, 0.55), b.steel, taper=(0.8, 0.9))
                    b.lamp((0.62, 0, 0.03), (0.06, 0.58, 0.48), warm)
    b.railing([(-0.9, -1.2, high - 1.5 * rows), (-0.9, 1.2, high - 1.5 * rows)], 1.0, b.steel)
    b.box((-0.5, 0, high - 1.5 * rows), (1.0, 2.5, 0.08), b.steel)
    b.lamp((0, 0, high + 0.2), (0.25, 0.25, 0.35), (1.0, 0.08, 0.05))
    return b.asset("light_mast", 0.3)


def blast_fence(rng: np.random.Generator) -> Asset:
    """A jet blast fence: curved corrugated panels on struts, or a concrete wall with coloured blocks."""
    b = Builder(rng)
    bay, high, bays = rng.uniform(3.0, 4.5), rng.uniform(2.6, 4.8), int(rng.integers(9, 19))
    half = bay * bays / 2
    steel = rng.random() < 0.7
    rgb = (0.58, 0.60, 0.61) if steel else (0.66, 0.65, 0.61)
    noise = cv2.resize(rng.normal(size=(6, 8)).astype(np.float32), (64, 64))
    image = (np.clip(np.asarray(rgb) * (1 + 0.07 * noise[..., None]), 0, 1) * 255).astype(np.uint8)
    if steel:
        image = (image * np.where(np.arange(64) % 8 < 5, 1.0, 0.72)[:, None, None]).astype(np.uint8)
    image[:, :1] = image[:, -1:] = (70, 70, 70)
    panel, warn = b.decal(image), rng.random() < 0.6
    red, white = b.paint((0.82, 0.10, 0.07)), b.paint((0.90, 0.90, 0.88))
    q = np.linspace(0, 1, 5)
    x, z = high * (0.75 * (1 - q) ** 2 - 0.3), high * (0.07 + 0.93 * q**0.85)
    for k in range(bays):
        y = -half + bay * (k + 0.5)
        if steel:
            for i in range(4):
                run = (x[i] - x[i + 1], z[i + 1] - z[i])
                b.box(((x[i] + x[i + 1]) / 2, y, (z[i] + z[i + 1]) / 2), (0.08, bay * 0.985, float(np.hypot(*run))),
                      panel, pitch=-float(np.arctan2(*run)))  # fmt: skip
            b.tube([(x[-1], y - bay / 2, z[-1]), (-0.62 * high, y - bay / 2, 0.06)], 0.09, b.steel, sides=4)
            b.tube([(x[2], y - bay / 2, z[2]), (-0.3 * high, y - bay / 2, 0.06)], 0.07, b.steel, sides=4)
        else:
            b.box((0, y, high / 2), (0.8, bay * 0.985, high), panel, taper=(0.5, 1.0))
        if warn:
            at = float(x[-1]) if steel else 0.0
            b.box((at, y, high + 0.05), (0.45, bay, 0.5), red if k % 2 else white)
    if rng.random() < 0.5:
        for k in range(0, bays + 1, 4):
            b.lamp((float(x[-1]) if steel else 0.0, -half + bay * k, high + 0.4), (0.2, 0.2, 0.25), (1.0, 0.08, 0.05))
    return b.asset("blast_fence", 0.2)


def _leaves(rng: np.random.Generator, rgb: Rgb) -> np.ndarray:
    """Speckled foliage, lighter towards one end of the loft (the top)."""
    fine = rng.normal(size=(64, 64)) + 1.2 * cv2.resize(rng.normal(size=(16, 16)), (64, 64))
    light = np.linspace(0.55, 1.25, 64)[None, :]
    return (np.clip(np.asarray(rgb) * (light * (1 + 0.22 * fine))[..., None], 0, 1) * 255).astype(np.uint8)


def _crown(b: Builder, x: float, y: float, shape: Sequence[tuple[float, float]], paint: Swatch, lumpy: float) -> None:
    """A lumpy solid of revolution: ``shape`` lists (height, radius)."""
    rings = [circle(z, r, r, 0.0, 8) for z, r in shape]
    for ring, (z, r) in zip(rings[1:-1], list(shape)[1:-1], strict=True):
        ring[:, 1:] *= b.rng.uniform(1 - lumpy, 1 + lumpy, (8, 1))
        ring[:, 0] = z + b.rng.normal(size=8) * 0.15 * lumpy * r
    with b.at(x=x, y=y, yaw=b.rng.uniform(0, 6.3), pitch=-np.pi / 2):
        b.loft(np.stack(rings), paint)


def tree_row(rng: np.random.Generator) -> Asset:
    """A row of trees (broad-leaved, poplars or conifers) with bushes, 30-90 m along y."""
    b = Builder(rng)
    greens = ((0.20, 0.32, 0.10), (0.26, 0.36, 0.14), (0.13, 0.25, 0.12), (0.36, 0.36, 0.13), (0.16, 0.30, 0.16))
    paints = [b.decal(_leaves(rng, greens[int(rng.integers(len(greens)))])) for _ in range(3)]
    bark = b.paint((0.24, 0.19, 0.14), grain=0.5)
    kind = str(rng.choice(["broad", "broad", "poplar", "conifer", "mixed"]))
    y, end = 0.0, rng.uniform(30, 90)
    for _ in range(13):
        this = str(rng.choice(["broad", "poplar", "conifer"])) if kind == "mixed" else kind
        high = rng.uniform(6.5, 13) * (1.3 if this == "poplar" else 1.0)
        paint, x = paints[int(rng.integers(3))], rng.uniform(-1.5, 1.5)
        wide = high * {"broad": 0.36, "poplar": 0.12, "conifer": 0.22}[this] * rng.uniform(0.85, 1.2)
        b.cylinder((x, y, 0), (x, y, high * 0.5), 0.03 * high, bark, r1=0.015 * high, sides=6)
        profile: tuple[tuple[float, float], ...]
        if this == "conifer":
            profile = ((0.10, 0.2), (0.13, 1.0), (0.45, 0.62), (0.46, 0.75), (0.75, 0.35), (0.76, 0.45), (1.0, 0.01))
        elif this == "poplar":
            profile = ((0.10, 0.15), (0.2, 0.75), (0.45, 1.0), (0.75, 0.8), (0.92, 0.4), (1.0, 0.01))
        else:
            profile = ((0.26, 0.2), (0.36, 0.8), (0.55, 1.0), (0.75, 0.85), (0.92, 0.45), (1.0, 0.01))
        _crown(b, x, y, [(h * high, r * wide) for h, r in profile], paint, 0.22)
        if this == "broad":
            lump, side, low = rng.uniform(0.5, 0.75), float(rng.choice([-1, 1])), rng.uniform(0.05, 0.3) * high
            shape = [(low + h * high * lump, r * wide * lump) for h, r in profile]
            _crown(b, x + rng.uniform(-0.5, 0.5) * wide, y + side * wide * 0.6, shape, paint, 0.25)
        y += max(wide, 1.2) * rng.uniform(1.3, 2.6)
        if y > end:
            break
    return b.asset("tree_row", 0.0)


def parked_cars(rng: np.random.Generator) -> Asset:
    """A row of parked cars and vans side by side along y, noses towards +x or -x."""
    b = Builder(rng)
    tyre = np.full((64, 64, 3), 16, np.uint8)
    cv2.circle(tyre, (32, 32), 19, (150, 152, 155), -1)
    cv2.circle(tyre, (32, 32), 6, (60, 60, 62), -1)
    hub = b.decal(cv2.resize(tyre, (32, 32), interpolation=cv2.INTER_AREA))
    y, pitch = 0.0, rng.uniform(2.5, 2.9)
    for _ in range(int(rng.integers(8, 13))):
        y += pitch
        if rng.random() < 0.12:
            continue
        paint = b.paint(_CAR_COLOURS[int(rng.integers(len(_CAR_COLOURS)))])
        turn = (np.pi if rng.random() < 0.3 else 0.0) + rng.uniform(-0.04, 0.04)
        with b.at(x=rng.uniform(-0.3, 0.3), y=y, yaw=turn):
            _car(b, str(rng.choice(["hatch", "sedan", "suv", "van"])), paint, hub)
    return b.asset("parked_cars", 0.5)


def _car(b: Builder, kind: str, paint: Swatch, hub: Swatch) -> None:
    length, tall, belt, nose, front, rear, tail = {
        "hatch": (4.0, 1.48, 0.92, 0.70, 0.75, -1.35, -1.85), "sedan": (4.65, 1.45, 0.92, 0.70, 0.85, -1.1, -1.75),
        "suv": (4.5, 1.70, 1.08, 0.90, 0.85, -1.65, -2.1), "van": (5.1, 1.98, 1.15, 0.95, 1.35, -2.3, -2.5),
    }[kind]  # fmt: skip
    h, w = length / 2, 0.89 if kind != "van" else 0.97
    b.prism([(-h, 0.25), (h, 0.25), (h, nose - 0.1), (h - 0.15, nose), (front + 0.35, belt), (tail, belt),
             (-h + 0.1, belt - 0.06), (-h, belt - 0.2)], -w, w, paint)  # fmt: skip
    middle, size = (front + 0.35 + tail) / 2, front + 0.35 - tail
    slope = (front - 0.45 - rear) / size
    b.box((middle, 0, (belt + tall) / 2 - 0.02), (size, 2 * w - 0.08, tall - belt), b.glass, taper=(slope, 0.80))
    b.box((middle, 0, tall - 0.02), (size * slope, (2 * w - 0.08) * 0.81, 0.05), paint)
    for x in (-h * 0.60, h * 0.62):
        for side in (-1, 1):
            b.cylinder((x, side * (w - 0.2), 0.32), (x, side * (w + 0.01), 0.32), 0.32, b.rubber, sides=9, caps=hub)
    for side in (-1, 1):
        b.box((h - 0.02, side * (w - 0.22), nose - 0.12), (0.08, 0.34, 0.14), b.paint((0.85, 0.86, 0.84)))
        b.box((-h + 0.02, side * (w - 0.16), belt - 0.22), (0.08, 0.22, 0.2), b.paint((0.60, 0.05, 0.04)))
