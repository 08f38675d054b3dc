"""Shapes the unknown types and the clutter share; ``solid`` fills a given box with some shape in some paint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.apron.families import surfaces
from training.apron.solids import Asset, Builder, Mesh, Rgb, Swatch, Xyz, circle

Skins = list[Swatch]
Box = tuple[float, float, float]
KINDS = 15


LIVELY: tuple[Rgb, ...] = (
    (0.95, 0.55, 0.03),
    (0.93, 0.76, 0.06),
    (0.05, 0.28, 0.62),
    (0.72, 0.08, 0.07),
    (0.10, 0.45, 0.20),
    (0.88, 0.89, 0.90),
    (0.20, 0.55, 0.62),
    (0.16, 0.17, 0.19),
)


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A plain float between the two."""
    return float(rng.uniform(low, high))


def one_of(rng: np.random.Generator, colours: Sequence[Rgb], amount: float = 0.03) -> Rgb:
    """One of the colours, a little off."""
    return surfaces.jitter(rng, colours[int(rng.integers(len(colours)))], amount)


def lively(rng: np.random.Generator) -> Rgb:
    """A colour machines are painted in."""
    return one_of(rng, LIVELY)


def oblong(length: float, width: float, round_off: float, n: int = 4) -> list[tuple[float, float]]:
    """A rectangle with rounded corners, counter-clockwise from above."""
    points = []
    for sx, sy, quarter in ((1, 1, 0), (-1, 1, 1), (-1, -1, 2), (1, -1, 3)):
        for a in np.linspace(0, np.pi / 2, n) + quarter * np.pi / 2:
            points.append(
                (
                    sx * (length / 2 - round_off) + round_off * float(np.cos(a)),
                    sy * (width / 2 - round_off) + round_off * float(np.sin(a)),
                )
            )
    return points


def limb(
    b: Builder, path: Sequence[Xyz], radii: Sequence[float], paint: Swatch, *, wide: float = 1.0, k: int = 8
) -> None:
    """A smooth round body along ``path``, which bends in its x-z plane only; ``wide`` stretches it in y."""
    points, angle = np.asarray(path, float), np.linspace(0, 2 * np.pi, k, endpoint=False)
    way = np.gradient(points[:, [0, 2]], axis=0)
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    rings = []
    for point, (tx, tz), r in zip(points, way, radii, strict=True):
        rise = -r * np.cos(angle)
        rings.append(np.stack([point[0] - tz * rise, point[1] + wide * r * np.sin(angle), point[2] + tx * rise], 1))
    b.loft(np.stack(rings), paint)


def hoop(b: Builder, centre: Xyz, radius: float, thick: float, paint: Swatch, n: int = 16, sides: int = 5) -> None:
    """A ring of tube standing in the x-z plane (its axle lies along y)."""
    angle = np.linspace(0, 2 * np.pi, n + 1)
    b.tube(
        [(centre[0] + radius * np.cos(a), centre[1], centre[2] + radius * np.sin(a)) for a in angle],
        thick,
        paint,
        sides=sides,
    )


def grounded(asset: Asset) -> Asset:
    """The asset moved up or down until its lowest point touches the ground."""
    low = np.array([0, 0, asset.body.vertices[:, 2].min()], np.float32)

    def moved(mesh: Mesh) -> Mesh:
        return replace(mesh, vertices=mesh.vertices - low)

    return replace(asset, body=moved(asset.body), lamps=None if asset.lamps is None else moved(asset.lamps))


def resting(size: Xyz, pitch: float, roll: float) -> float:
    """How high the centre of a box lies when it stands on the ground with this pitch and roll."""
    weights = (abs(np.sin(pitch)), abs(np.cos(pitch) * np.sin(roll)), abs(np.cos(pitch) * np.cos(roll)))
    return float(np.dot(size, weights)) / 2


def palette(b: Builder) -> Skins:
    """One to eight paints of a random object, the main one first."""
    rng = b.rng
    colours = [surfaces.any_colour(rng) for _ in range(int(rng.integers(2, 5)))]
    skins = []
    for _ in range(int(rng.integers(1, 7))):
        rng.shuffle(colours)
        if rng.random() < 0.5:
            skins.append(b.paint(colours[0], grain=float(rng.uniform(0.02, 0.45))))
        else:
            px = int(rng.choice([32, 64, 64, 96]))
            skins.append(b.decal(surfaces.any_surface(rng, colours, px)))
    if rng.random() < 0.3:
        skins += [b.rubber, b.steel]
    return skins


def pick(b: Builder, skins: Skins) -> Swatch:
    return skins[min(int(b.rng.exponential(1.3)), len(skins) - 1)]


def _outline(rng: np.random.Generator, sx: float, sz: float) -> list[tuple[float, float]]:
    """A random simple polygon that fills sx by sz around the origin."""
    n = int(rng.integers(3, 11))
    angle = np.sort((np.arange(n) + rng.uniform(-0.35, 0.35, n)) * 2 * np.pi / n)
    radius = rng.uniform(0.35, 1.0, n) if rng.random() < 0.5 else np.ones(n)
    if rng.random() < 0.25:  # star, cross or gear
        radius = np.where(np.arange(n) % 2 == 0, 1.0, rng.uniform(0.35, 0.8))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    points = (points - points.min(axis=0)) / np.ptp(points, axis=0) - 0.5
    return [(float(px * sx), float(pz * sz)) for px, pz in points]


def _notched(rng: np.random.Generator, sx: float, sz: float) -> list[tuple[float, float]]:
    """An L, U, T, step or arch profile that fills sx by sz around the origin."""
    a, c, d = rng.uniform(0.15, 0.45), rng.uniform(0.55, 0.85), rng.uniform(0.2, 0.75)
    shapes = [
        [(0, 0), (1, 0), (1, d), (a, d), (a, 1), (0, 1)],
        [(0, 0), (1, 0), (1, 1), (c, 1), (c, d), (a, d), (a, 1), (0, 1)],
        [(a, 0), (c, 0), (c, d), (1, d), (1, 1), (0, 1), (0, d), (a, d)],
        [(0, 0), (1, 0), (1, d / 2), (c, d / 2), (c, d), (a, d), (a, 1), (0, 1)],
        [(0, 0), (a, 0), (a, d), (0.5, (1 + d) / 2), (c, d), (c, 0), (1, 0), (1, d), (0.5, 1), (0, d)],
        [(0, 0), (1, 0), (1, d), (c, 1), (a, 1), (0, d)],
    ]
    flip = rng.random() < 0.5
    shape = shapes[int(rng.integers(len(shapes)))]
    return [((0.5 - px if flip else px - 0.5) * sx, (pz - 0.5) * sz) for px, pz in shape]


def solid(b: Builder, skins: Skins, centre: Box, size: Box, kind: int | None = None) -> None:
    """One random solid that about fills the box ``size`` around ``centre``."""
    rng, (x, y, z) = b.rng, size
    paint, other = pick(b, skins), pick(b, skins)
    kind = int(rng.integers(KINDS)) if kind is None else kind
    with b.at(*centre):
        if kind in (0, 1):
            taper = (1.0, 1.0) if rng.random() < 0.6 else (float(rng.uniform(0.1, 1)), float(rng.uniform(0.1, 1)))
            b.box((0, 0, 0), size, paint, taper=taper, top=other, front=pick(b, skins))
        elif kind == 2:
            b.prism(_outline(rng, x, z), -y / 2, y / 2, paint, side=other)
        elif kind == 3:
            b.prism(_notched(rng, x, z), -y / 2, y / 2, paint, side=other)
        elif kind == 4:
            b.slab(_outline(rng, x, y), -z / 2, z / 2, paint, top=other)
        elif kind == 5:
            r = min(x, y) / 2
            b.cylinder(
                (0, 0, -z / 2),
                (0, 0, z / 2),
                r,
                paint,
                r1=r * float(rng.choice([1, 1, 0.02, rng.random()])),
                sides=int(rng.choice([5, 6, 8, 14])),
                caps=other,
            )
        elif kind == 6:
            r = min(y, z) / 2
            b.cylinder(
                (-x / 2, 0, 0),
                (x / 2, 0, 0),
                r,
                paint,
                r1=r * float(rng.choice([1, 1, rng.random()])),
                sides=int(rng.choice([6, 10, 14])),
                caps=other,
            )
        elif kind == 7:
            r = min(x, z) / 2
            b.cylinder((0, -y / 2, 0), (0, y / 2, 0), r, paint, sides=int(rng.choice([8, 12, 16])), caps=other)
        elif kind == 8:
            b.ellipsoid((0, 0, 0), (x / 2, y / 2, z / 2), paint)
        elif kind == 9:
            _pod(b, paint, x, y, z)
        elif kind == 10:
            with b.at(pitch=-np.pi / 2):
                _pod(b, paint, z, y, x)
        elif kind == 11:
            cage(b, skins, size)
        elif kind == 12:
            _hoop(b, paint, size)
        elif kind == 13:
            sheet(b, paint, size)
        else:
            side = np.stack([np.linspace(-x / 2, x / 2, 6), *(rng.uniform(-s / 2, s / 2, 6) for s in (y, z))], 1)
            b.tube(side.tolist(), 0.03 * max(size) * float(rng.uniform(0.5, 2)), paint, sides=6)


def _pod(b: Builder, paint: Swatch, x: float, y: float, z: float) -> None:
    """A turned or lumpy body along x: vase, hull, boulder, sack."""
    rng, n, k = b.rng, int(b.rng.integers(4, 9)), int(b.rng.integers(5, 15))
    spread = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, 4), rng.uniform(0.25, 1, 4))
    if rng.random() < 0.5:
        spread *= np.sin(np.linspace(0.12, np.pi - 0.12, n)) ** 0.5
    square, lumps = rng.uniform(0.4, 1.0), 0.12 * (rng.random() < 0.4)
    rings = []
    for station, r in zip(np.linspace(-x / 2, x / 2, n), spread / spread.max(), strict=True):
        ring = circle(float(station), 1, 1, 0, k)
        flat = np.sign(ring[:, 1:]) * np.abs(ring[:, 1:]) ** square
        ring[:, 1:] = flat * (1 + lumps * rng.normal(size=(k, 1))) * r * np.array([y, z]) / 2
        rings.append(ring)
    b.loft(np.stack(rings), paint)


def cage(b: Builder, skins: Skins, size: Box) -> None:
    """The edges of a box as tubes or bars, some of its sides filled."""
    rng, paint, r = b.rng, pick(b, skins), max(size) * float(b.rng.uniform(0.008, 0.035))
    corner = {
        (i, j, k): (i * size[0] / 2, j * size[1] / 2, k * size[2] / 2)
        for i in (-1, 1)
        for j in (-1, 1)
        for k in (-1, 1)
    }
    sides = int(rng.choice([4, 6]))
    for p, at_p in corner.items():
        for axis in range(3):
            if p[axis] < 0:
                q = [1 if i == axis else c for i, c in enumerate(p)]
                b.cylinder(at_p, corner[q[0], q[1], q[2]], r, paint, sides=sides)
    for axis in range(3):
        if rng.random() < 0.3:
            thin = [s * 0.98 for s in size]
            thin[axis] = r
            middle = [0.0, 0.0, 0.0]
            middle[axis] = size[axis] / 2 * float(rng.choice([-1, 0, 1]))
            b.box(middle, thin, pick(b, skins))
        elif rng.random() < 0.4:
            pair = [p for p in corner if p[axis] < 0][:2]
            b.cylinder(corner[pair[0]], tuple(-c for c in corner[pair[0]]), r * 0.8, paint, sides=4)


def _hoop(b: Builder, paint: Swatch, size: Box) -> None:
    """A ring or an arch, standing or lying."""
    rng, n = b.rng, int(b.rng.integers(7, 16))
    angle = np.linspace(0, float(rng.choice([2 * np.pi, np.pi, rng.uniform(2, 6)])), n)
    flat = rng.random() < 0.4
    ring = [
        (np.cos(a) * size[0] / 2, np.sin(a) * size[1] / 2 if flat else 0.0, 0.0 if flat else np.sin(a) * size[2] / 2)
        for a in angle
    ]
    b.tube(ring, max(size) * float(rng.uniform(0.015, 0.09)), paint, sides=6)


def sheet(b: Builder, paint: Swatch, size: Box) -> None:
    """A buckled plate or cloth."""
    rng, (x, y, z) = b.rng, size
    n, m = int(rng.integers(4, 10)), int(rng.integers(3, 7))
    wave = rng.normal(0, 0.3 * z, (n, m)) * rng.uniform(0.1, 1.2)
    rim = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, 4), rng.uniform(0.6, 1, 4))
    thick = 0.015 * max(size)
    rings = []
    for i, station in enumerate(np.linspace(-x / 2, x / 2, n)):
        ys = np.linspace(-y / 2, y / 2, m) * rim[i]
        low = np.stack([np.full(m, station), ys, wave[i] - thick], 1)
        high = np.stack([np.full(m, station), ys, wave[i] + thick], 1)
        rings.append(np.concatenate([low, high[::-1]]))
    b.loft(np.stack(rings), paint)


def draw_size(rng: np.random.Generator, spread: float = 0.6) -> Box:
    x, y, z = np.exp(rng.normal(0, spread, 3)) * 0.4
    return float(x), float(y), float(z)
