"""Suitcases and bags, also for carts and robots to carry; lost luggage is a type training never shows."""

from __future__ import annotations

import numpy as np

from training.apron.families import surfaces
from training.apron.families.shapes import (
    grounded,
    lively,
    oblong,
    one_of,
    resting,
    sheet,
    uniform,
)
from training.apron.solids import Asset, Builder, Rgb, circle


def fallen_suitcase(rng: np.random.Generator) -> Asset:
    """One to four suitcases and bags that fell off a cart: flat, on their side, leaning, one perhaps burst open."""
    b = Builder(rng)
    count = int(rng.choice([1, 1, 2, 2, 3, 4]))
    for i in range(count):
        angle, reach = uniform(rng, 0, 6.28), (0.0 if count == 1 else uniform(rng, 0.3, 0.42) * count**0.5)
        x, y = reach * np.cos(angle + i * 6.28 / count), reach * np.sin(angle + i * 6.28 / count)
        kind = int(rng.integers(4))
        yaw = uniform(rng, 0, 6.28)
        if kind < 2:
            size = (uniform(rng, 0.38, 0.55), uniform(rng, 0.22, 0.34), uniform(rng, 0.55, 0.82))
            pitch, roll = (
                (0.0, np.pi / 2),
                (0.0, -np.pi / 2),
                (np.pi / 2, 0.0),
                (0.0, 0.0),
                (uniform(rng, 0.9, 1.3), 0.2),
            )[int(rng.choice(5, p=[0.3, 0.25, 0.2, 0.1, 0.15]))]
            with b.at(x, y, resting(size, pitch, roll), yaw=yaw, pitch=pitch, roll=roll):
                trolley_case(b, size, hard=kind == 0)
        elif kind == 2:
            with b.at(x, y, 0, yaw=yaw):
                _duffel(b)
        elif rng.random() < 0.5:
            with b.at(x, y, 0, yaw=yaw):
                _open_case(b)
        else:
            with b.at(x, y, 0.0, yaw=yaw):
                _backpack(b)
    return grounded(b.asset("fallen_suitcase", shininess=0.35))


def _case_colour(rng: np.random.Generator) -> Rgb:
    return one_of(
        rng,
        (
            (0.06, 0.06, 0.07),
            (0.08, 0.12, 0.28),
            (0.45, 0.06, 0.08),
            (0.70, 0.09, 0.08),
            (0.35, 0.36, 0.38),
            (0.72, 0.73, 0.75),
            (0.80, 0.50, 0.15),
            (0.10, 0.38, 0.38),
            (0.75, 0.35, 0.50),
            (0.30, 0.22, 0.15),
            (0.20, 0.50, 0.75),
            (0.55, 0.70, 0.20),
        ),
        0.03,
    )


def trolley_case(b: Builder, size: tuple[float, float, float], hard: bool, pulled: bool = True) -> None:
    """A case centred on its middle: x wide, y deep, z tall (handle up)."""
    rng, (w, d, h) = b.rng, size
    colour = _case_colour(rng)
    ribs = int(rng.choice([0, 5, 8]))
    skin = b.decal(surfaces.sheet_metal(rng, colour, 64, ribs, False) if hard else surfaces.cloth(rng, colour, 64, 4))
    trim, z = b.paint(surfaces.tint(colour, 0.45)), h / 2 - 0.03
    with b.at(roll=np.pi / 2):  # rounded outline seen from its broad side
        b.slab([(x, y) for x, y in oblong(w, h - 0.06, min(w, h) * 0.14)], -d / 2 + 0.02, d / 2 - 0.02, trim, top=skin)
        b.slab(oblong(w * 0.93, (h - 0.06) * 0.95, w * 0.11), -d / 2, d / 2, trim, top=skin)
        b.slab(oblong(w + 0.012, h - 0.05, w * 0.14), -0.012, 0.012, b.rubber)
    if not hard:
        b.box((0, d / 2 + 0.015, -0.1 * h), (w * 0.75, 0.05, h * 0.42), skin, taper=(0.9, 1))
        b.box((0, d / 2 + 0.012, 0.25 * h), (w * 0.75, 0.04, h * 0.2), skin)
    for sx in (-1, 1):
        for sy in (-1, 1):
            spot = sx * w * 0.38, sy * d * 0.32, -h / 2 + 0.025
            b.cylinder(
                (spot[0], spot[1] - 0.015, spot[2]), (spot[0], spot[1] + 0.015, spot[2]), 0.028, b.rubber, sides=7
            )
    if pulled and rng.random() < 0.5:
        pull = uniform(rng, 0.15, 0.4)
        b.tube(
            [(-0.1, -d * 0.3, z), (-0.1, -d * 0.3, z + pull), (0.1, -d * 0.3, z + pull), (0.1, -d * 0.3, z)],
            0.011,
            b.steel,
        )
    b.tube([(-0.09, 0, z - 0.01), (-0.07, 0, z + 0.03), (0.07, 0, z + 0.03), (0.09, 0, z - 0.01)], 0.013, b.rubber)
    if rng.random() < 0.5:
        b.box((0.06, d / 2 + 0.01, 0.3 * h), (0.05, 0.03, 0.11), b.paint((0.9, 0.9, 0.88)))
    if rng.random() < 0.3:
        b.box((0, 0, 0), (0.05, d + 0.02, h - 0.03), b.paint(lively(rng)))


def _duffel(b: Builder) -> None:
    rng = b.rng
    long, r = uniform(rng, 0.55, 0.95), uniform(rng, 0.15, 0.22)
    colour = _case_colour(rng)
    x = np.linspace(-long / 2, long / 2, 8)
    grow = np.sin(np.linspace(0.55, np.pi - 0.55, 8)) ** 0.4 * (1 + rng.normal(0, 0.04, 8))
    plain = (
        surfaces.plaid(rng, [colour, (0.9, 0.9, 0.9), (0.1, 0.2, 0.5)], 64)
        if rng.random() < 0.2
        else surfaces.cloth(rng, colour, 64, 6)
    )
    b.loft(
        np.stack([circle(float(s), r * g * 1.15, r * g * 0.85, r * 0.85, 12) for s, g in zip(x, grow, strict=True)]),
        b.decal(plain),
    )
    strap = b.paint(surfaces.tint(colour, 0.5))
    for s in (-0.18, 0.18):
        ring = circle(s * long, r * 1.19, r * 0.88, r * 0.86, 14)
        b.tube([*ring.tolist(), ring[0].tolist()], 0.014, strap, sides=4)
    b.tube(
        [
            (-0.18 * long, 0.02, 1.7 * r),
            (-0.08 * long, 0.1, 2.1 * r),
            (0.08 * long, 0.12, 2.1 * r),
            (0.18 * long, 0.02, 1.7 * r),
        ],
        0.014,
        strap,
        sides=5,
    )


def _backpack(b: Builder) -> None:
    rng = b.rng
    tall, wide, deep = uniform(rng, 0.42, 0.7), uniform(rng, 0.28, 0.38), uniform(rng, 0.18, 0.28)
    colour = _case_colour(rng)
    skin, strap = b.decal(surfaces.cloth(rng, colour, 64, 5)), b.paint(surfaces.tint(colour, 0.45))
    x = np.linspace(-tall / 2, tall / 2, 7)
    grow = (0.86, 1.0, 1.02, 1.0, 0.97, 0.85, 0.5)
    b.loft(
        np.stack([circle(float(s), wide / 2 * g, deep / 2 * g, deep / 2, 12) for s, g in zip(x, grow, strict=True)]),
        skin,
    )
    b.box((-0.12 * tall, 0, deep * 0.98), (tall * 0.45, wide * 0.7, deep * 0.3), skin, taper=(0.85, 0.85))
    b.box((-0.12 * tall, 0, deep * 1.05), (tall * 0.42, 0.012, deep * 0.2), strap)
    b.tube(
        [(0.45 * tall, -0.04, deep * 0.6), (0.53 * tall, 0, deep * 0.6), (0.45 * tall, 0.04, deep * 0.6)], 0.01, strap
    )
    for side in (-1, 1):
        b.tube(
            [
                (0.4 * tall, side * 0.07, 0.3 * deep),
                (0.2 * tall, side * (wide * 0.62), 0.03),
                (-0.3 * tall, side * wide * 0.55, 0.03),
            ],
            0.02,
            strap,
            sides=5,
        )


def _open_case(b: Builder) -> None:
    """A burst case: two shells, clothes spilling out."""
    rng = b.rng
    w, long, d, lid = uniform(rng, 0.42, 0.55), uniform(rng, 0.6, 0.8), 0.13, uniform(rng, 1.2, 2.6)
    colour = _case_colour(rng)
    shell, lining = b.paint(colour), b.paint(surfaces.tint(colour, 0.35))
    b.box((0, 0, d / 2), (w, long, d), shell, top=lining)
    with b.at(-w / 2, 0, d, pitch=-lid):
        b.box((w / 2, 0, d / 2), (w, long, d), lining, top=shell, sides=shell, front=shell)
    for _ in range(int(rng.integers(4, 9))):
        rag = b.decal(
            surfaces.cloth(
                rng,
                one_of(
                    rng,
                    (
                        (0.85, 0.85, 0.83),
                        (0.15, 0.2, 0.35),
                        (0.55, 0.15, 0.15),
                        (0.4, 0.5, 0.6),
                        (0.1, 0.1, 0.1),
                        (0.7, 0.62, 0.45),
                        (0.3, 0.4, 0.3),
                    ),
                    0.05,
                ),
                32,
            )
        )
        x, y = rng.normal(0.12, 0.22), rng.normal(0, 0.25)
        inside = abs(x) < w / 2 and abs(y) < long / 2
        with b.at(x, y, d + 0.03 if inside else 0.03, yaw=uniform(rng, 0, 6.28)):
            sheet(b, rag, (uniform(rng, 0.25, 0.5), uniform(rng, 0.2, 0.4), 0.09))
