"""Things that do not belong on an apron and that training never shows: luggage, animals, drones, ladders, ..."""

from __future__ import annotations

import numpy as np

from training.apron.families import surfaces
from training.apron.families.shapes import (
    grounded,
    hoop,
    lively,
    one_of,
    uniform,
)
from training.apron.families.unknown_animals import animal
from training.apron.families.unknown_litter import (
    bicycle,
    fallen_barrier,
    oil_drum,
    pallet_stack,
    tarpaulin,
)
from training.apron.families.unknown_luggage import fallen_suitcase
from training.apron.solids import Asset, Builder, Rgb, Swatch

__all__ = [
    "animal",
    "bicycle",
    "drone",
    "fallen_barrier",
    "fallen_suitcase",
    "ladder",
    "oil_drum",
    "pallet_stack",
    "tarpaulin",
    "tow_bar",
]


def drone(rng: np.random.Generator) -> Asset:
    """A quad-, hexa- or octocopter standing on its landing gear."""
    b = Builder(rng)
    arms, span = int(rng.choice([4, 4, 6, 6, 8])), uniform(rng, 0.6, 2.0)
    reach, up = span * 0.5 / (1 + uniform(rng, 0.4, 0.6)), span * uniform(rng, 0.18, 0.32)
    shell = b.paint(
        one_of(rng, ((0.90, 0.90, 0.91), (0.10, 0.10, 0.11), (0.32, 0.34, 0.36), (0.93, 0.55, 0.08), (0.75, 0.1, 0.1)))
    )
    carbon = b.decal(surfaces.chequer(rng, [(0.07, 0.07, 0.075), (0.12, 0.12, 0.125)], 32, 8))
    hub = span * uniform(rng, 0.10, 0.16)
    b.slab(
        [(hub * np.cos(a), hub * np.sin(a)) for a in np.arange(arms) * 2 * np.pi / arms + np.pi / arms],
        up - 0.3 * hub,
        up + 0.25 * hub,
        carbon,
        top=shell,
    )
    b.ellipsoid((0, 0, up + 0.25 * hub), (hub * 1.0, hub * 0.85, hub * uniform(rng, 0.3, 0.6)), shell)
    b.box((0, 0, up - 0.45 * hub), (hub * 1.3, hub * 0.9, hub * 0.5), b.rubber)
    guard = rng.random() < 0.25
    blade, twin = reach * uniform(rng, 0.40, 0.52) if arms < 8 else reach * 0.36, rng.random() < 0.2
    for i in range(arms):
        a = (i + 0.5) * 2 * np.pi / arms
        x, y = reach * np.cos(a), reach * np.sin(a)
        b.cylinder(
            (hub * 0.7 * np.cos(a), hub * 0.7 * np.sin(a), up), (x, y, up + 0.02 * span), 0.017 * span, carbon, sides=7
        )
        z = up + 0.055 * span
        b.cylinder((x, y, up - 0.01 * span), (x, y, z), 0.026 * span, shell if i % 2 else b.rubber, sides=10)
        spin = uniform(rng, 0, 3.14)
        for level in (z, up - 0.02 * span) if twin else (z,):
            for half in (0.0, np.pi):
                yaw = spin + half
                b.box(
                    (x + 0.5 * blade * np.cos(yaw), y + 0.5 * blade * np.sin(yaw), level),
                    (blade, 0.022 * span + 0.008, 0.006),
                    b.rubber,
                    yaw=yaw,
                    roll=0.25,
                )
        if guard:
            with b.at(x, y, up + 0.03 * span, roll=np.pi / 2):
                hoop(b, (0, 0, 0), blade * 1.08, 0.006 * span + 0.003, shell, 14, 4)
        b.lamp((x, y, up - 0.015 * span), (0.02, 0.02, 0.012), (0.1, 1.0, 0.2) if np.cos(a) < 0 else (1.0, 0.1, 0.05))
    for side in (-1, 1):
        y = side * hub * 1.5
        for x in (-0.7 * hub, 0.7 * hub):
            b.cylinder((x * 0.6, side * hub * 0.5, up - 0.2 * hub), (x, y, 0.012), 0.009 * span, carbon, sides=6)
        b.cylinder((-1.6 * hub, y, 0.014), (1.6 * hub, y, 0.014), 0.014, carbon, sides=6)
    if rng.random() < 0.7:
        b.box((hub * 0.7, 0, up - 0.8 * hub), (0.35 * hub, 0.5 * hub, 0.35 * hub), shell)
        b.cylinder((hub * 0.8, 0, up - 0.8 * hub), (hub * 1.0, 0, up - 0.8 * hub), 0.14 * hub, b.glass, sides=10)
    else:
        b.box((0, 0, up - 0.95 * hub), (1.2 * hub, 1.0 * hub, 0.6 * hub), b.paint(lively(rng)))
    return grounded(b.asset("drone", shininess=0.5))


def ladder(rng: np.random.Generator) -> Asset:
    """A straight ladder lying on the tarmac, an A-frame, or small wheeled maintenance steps."""
    b = Builder(rng)
    rail = b.paint(
        one_of(
            rng,
            (
                (0.70, 0.71, 0.72),
                (0.93, 0.60, 0.06),
                (0.90, 0.75, 0.08),
                (0.62, 0.47, 0.28),
                (0.70, 0.12, 0.08),
                (0.15, 0.35, 0.62),
            ),
        ),
        grain=0.2,
    )
    rung = rail if rng.random() < 0.4 else b.paint((0.72, 0.73, 0.74), grain=0.2)
    kind = int(rng.integers(3))
    if kind == 0:
        sections = int(rng.choice([1, 1, 2]))
        long, wide = uniform(rng, 2.2, 5.5), uniform(rng, 0.38, 0.5)
        for i in range(sections):
            _flight(
                b,
                [(-long / 2 + 0.3 * i, 0, 0.04 + 0.075 * i), (long / 2 + 0.3 * i, 0, 0.04 + 0.075 * i)],
                wide * (1 - 0.14 * i),
                rail,
                rung,
                0.28,
            )
        if rng.random() < 0.3:
            b.cylinder((long / 2 - 0.1, -wide, 0.04), (long / 2 - 0.1, wide, 0.04), 0.035, rail)
    elif kind == 1:
        tall, spread = uniform(rng, 1.2, 3.2), uniform(rng, 0.22, 0.34)
        low, high = uniform(rng, 0.5, 0.75), uniform(rng, 0.3, 0.4)
        _flight(b, [(tall * spread, 0, 0.0), (0.03, 0, tall)], low, rail, rung, 0.27, high, tread=0.08)
        _flight(
            b, [(-tall * spread, 0, 0.0), (-0.03, 0, tall)], low, rail, rung, 0.27 if rng.random() < 0.5 else 0.6, high
        )
        b.box((0, 0, tall), (0.24, high * 1.15, 0.05), b.paint(lively(rng)))
        for side in (-1, 1):
            b.cylinder(
                (-tall * spread * 0.6, side * low * 0.47, tall * 0.4),
                (tall * spread * 0.6, side * low * 0.47, tall * 0.4),
                0.012,
                b.steel,
                sides=5,
            )
            for x in (-1, 1):
                b.box((x * tall * spread, side * low / 2, 0.03), (0.07, 0.06, 0.06), b.rubber)
    else:
        tall, wide, run = uniform(rng, 1.0, 2.4), uniform(rng, 0.6, 0.9), uniform(rng, 0.6, 0.9)
        deck, slope = uniform(rng, 0.5, 0.9), run * tall * 0.75
        _flight(b, [(slope, 0, 0.1), (0, 0, tall)], wide, rail, rung, 0.22, tread=0.2)
        b.box(
            (-deck / 2, 0, tall),
            (deck, wide, 0.06),
            rung,
            top=b.decal(surfaces.lattice(rng, (0.4, 0.4, 0.42), (0.1, 0.1, 0.1), 32)),
        )
        for side in (-1, 1):
            y = side * wide / 2
            for top_x, foot in ((-deck, -deck - 0.15), (0.0, -0.05)):
                b.tube([(top_x, y, tall), (foot, y * 1.15, 0.09)], 0.028, rail)
            b.tube([(-deck - 0.15, y * 1.15, 0.12), (slope, y * 1.15, 0.12)], 0.03, rail)
            b.tube([(-deck - 0.1, y * 1.1, tall * 0.2), (-0.03, y * 1.02, tall * 0.9)], 0.02, rail)
            b.railing([(-deck, y, tall), (0.0, y, tall)], 1.0, rail, 0.02)
            b.tube([(0, y, tall + 1.0), (slope * 0.95, y, 0.95), (slope, y, 0.12)], 0.02, rail)
            for end in (-deck - 0.15, slope):
                b.wheel((end, y * 1.15, 0.09), 0.09, 0.05)
    return grounded(b.asset("ladder", shininess=0.5))


def _flight(
    b: Builder,
    line: list[tuple[float, float, float]],
    wide: float,
    rail: Swatch,
    rung: Swatch,
    gap: float,
    top_wide: float | None = None,
    tread: float = 0.0,
) -> None:
    """Two rails along ``line`` with rungs (or treads) between them."""
    p, q = (np.asarray(point) for point in line)
    far = wide if top_wide is None else top_wide
    long = float(np.linalg.norm(q - p))
    pitch = float(np.arctan2(-(q - p)[2], (q - p)[0]))
    for side in (-1, 1):
        skew = np.arctan2(side * (far - wide) / 2, long)
        middle = (p + q) / 2 + [0, side * (wide + far) / 4, 0]
        with b.at(middle[0], middle[1], middle[2], pitch=pitch):
            b.box((0, 0, 0), (long, 0.03, 0.075), rail, yaw=float(skew))
    for s in np.arange(gap * 0.6, long - 0.1, gap) / long:
        x, _, z = p + s * (q - p)
        half = (wide + s * (far - wide)) / 2
        if tread:
            b.box((x, 0, z), (tread, half * 2, 0.03), rung)
        else:
            b.cylinder((x, -half, z), (x, half, z), 0.016, rung, sides=6)


def tow_bar(rng: np.random.Generator) -> Asset:
    """A left-behind tow bar: long tube, two small wheels, tow head with pins at one end, eye at the other."""
    b = Builder(rng)
    long, r = uniform(rng, 3.0, 6.0), uniform(rng, 0.05, 0.085)
    colour = one_of(
        rng, ((0.93, 0.74, 0.05), (0.75, 0.10, 0.07), (0.90, 0.90, 0.88), (0.93, 0.48, 0.05), (0.12, 0.32, 0.62))
    )
    second: Rgb = (
        (0.9, 0.9, 0.88) if sum(colour) < 1.9 else ((0.75, 0.1, 0.07) if rng.random() < 0.5 else (0.07, 0.07, 0.07))
    )
    paint, head = b.paint(colour), b.paint(surfaces.tint(colour, 0.75) if rng.random() < 0.5 else (0.2, 0.2, 0.21))
    banded = b.decal(surfaces.stripes(rng, [colour, second], 64, np.pi / 2, uniform(rng, 3, 8)))
    tube = banded if rng.random() < 0.5 else paint
    wheel, z = uniform(rng, 0.14, 0.24), uniform(rng, 0.30, 0.42)
    dip = uniform(rng, 0.02, 0.12)
    ends = (-long / 2, dip), (long / 2, z)
    b.cylinder((ends[0][0], 0, ends[0][1] + r), (ends[1][0], 0, ends[1][1]), r, tube, sides=12)
    axle = uniform(rng, 0.08, 0.28) * long
    level = float(np.interp(axle, [-long / 2, long / 2], [dip + r, z]))
    track = uniform(rng, 0.5, 0.9)
    b.cylinder((axle, -track / 2, wheel), (axle, track / 2, wheel), 0.03, b.steel, sides=8)
    for side in (-1, 1):
        b.wheel((axle, side * track / 2, wheel), wheel, 0.10, hub=paint)
        b.tube([(axle, side * track * 0.4, wheel), (axle - 0.35, 0, level)], 0.028, paint)
    b.cylinder((axle, 0, wheel), (axle, 0, level + 0.05), 0.04, b.steel, sides=8)
    x, gap = long / 2, uniform(rng, 0.13, 0.24)
    b.box((x + 0.05, 0, z), (0.28, gap * 2.1, 0.16), head)
    for side in (-1, 1):
        b.prism(
            [
                (x + 0.12, z - 0.09),
                (x + 0.55, z - 0.05),
                (x + 0.62, z + 0.03),
                (x + 0.5, z + 0.09),
                (x + 0.12, z + 0.1),
            ],
            side * gap - 0.03,
            side * gap + 0.03,
            head,
        )
        b.cylinder(
            (x + 0.02, side * gap * 0.7, z - 0.12), (x + 0.02, side * gap * 0.7, z + 0.16), 0.03, b.steel, sides=8
        )
    b.cylinder((x + 0.5, -gap * 1.3, z), (x + 0.5, gap * 1.3, z), 0.03, b.steel, sides=8)
    b.cylinder((x - 0.3, 0, z + r), (x - 0.45, 0, z + 0.28), 0.02, b.steel, sides=6)
    with b.at(-long / 2 - 0.11, 0, dip + r, roll=np.pi / 2):
        hoop(b, (0, 0, 0), 0.10, 0.03, head, 10, 6)
    if rng.random() < 0.5:
        b.tube(
            [
                (-long / 2 + 0.5, 0, dip + 2 * r),
                (-long / 2 + 0.55, 0.12, dip + 2 * r + 0.1),
                (-long / 2 + 0.8, 0.12, dip + 2.2 * r + 0.1),
                (-long / 2 + 0.85, 0, dip + 2.2 * r),
            ],
            0.015,
            b.steel,
        )
    if rng.random() < 0.5:
        plate = b.decal(surfaces.lettering(rng, (0.92, 0.92, 0.9), (0.1, 0.1, 0.1), 64, 32))
        b.box((0, 0, (dip + z + r) / 2), (0.5, 0.01 + 2 * r, 0.13), paint, sides=plate)
    return grounded(b.asset("tow_bar", shininess=0.35))
