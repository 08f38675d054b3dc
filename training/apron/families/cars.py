"""Vehicles that carry people across the apron: the low-floor bus and the service van, pickup or follow-me car."""

from __future__ import annotations

import numpy as np

from training.apron.families.chassis import arch, lerp, lightbar, mirrors, plates, slope, unit_plate
from training.apron.families.livery import (
    BLACK,
    ORANGE,
    RED,
    WHITE,
    YELLOW,
    Coat,
    Livery,
    chequer,
    coat,
    draw_livery,
    logo_panel,
    sign,
    vents,
    window_band,
)
from training.apron.solids import Asset, Builder


def bus(rng: np.random.Generator) -> Asset:
    """An apron bus: long, wide and low, glass all along and several double doors."""
    b = Builder(rng)
    livery = draw_livery(rng, ((WHITE, 0.62), ((0.72, 0.74, 0.75), 0.14), (YELLOW, 0.10), ((0.08, 0.20, 0.46), 0.14)))
    c = coat(b, livery)
    length, width, top = rng.uniform(10.8, 14.2), rng.uniform(2.6, 3.1), rng.uniform(2.75, 3.1)
    half, radius, floor = width / 2, 0.46, 0.26
    rake = rng.uniform(0.18, 0.5)
    belt, head = rng.uniform(1.0, 1.2), top - 0.34
    b.prism(
        [
            (-length + 0.05, floor),
            (-0.1, floor),
            (0.0, 0.5),
            (0.0, belt - 0.1),
            (-rake, head + 0.1),
            (-rake - 0.22, top),
            (-length + 0.3, top),
            (-length + 0.06, head),
            (-length, belt),
        ],
        -half,
        half,
        c.base,
    )
    foot, crest = (0.0, belt - 0.1), (-rake, head + 0.1)
    slope(b, lerp(foot, crest, 0.02), lerp(foot, crest, 0.82), half - 0.08, b.glass)
    board = b.decal(
        sign(
            str(rng.choice(["GATE B12", "ARRIVALS", "TERMINAL 2", "GATE A7", "CREW", "TRANSFER"])),
            (1.0, 0.75, 0.1),
            BLACK,
            128,
            32,
        )
    )
    b.box((-rake + 0.03, 0, head - 0.02), (0.06, width * 0.62, 0.2), board)
    band = b.decal(window_band(5, 160, 64, (0.04, 0.045, 0.05)))
    x0, x1 = -0.55 - rake * 0.5, -length + 0.35
    tall = head - belt + 0.1
    for s in (-1, 1):
        for k in range(2):
            span = (x0 - x1) / 2
            b.box((x0 - span * (k + 0.5), s * half, belt + tall / 2), (span + 0.01, 0.024, tall), band)
        plates(
            b,
            [(-0.06, belt + 0.02), (-rake * 0.75, head - 0.02), (x0 - 0.05, head - 0.02), (x0 - 0.05, belt + 0.02)],
            half,
            b.glass,
        )
    doors = b.decal(window_band(2, 32, 64, (0.10, 0.105, 0.11), sill=0.06))
    front, rear = -rng.uniform(2.0, 2.7), -length + rng.uniform(2.4, 3.2)
    count = int(rng.integers(2, 4))
    spots = np.linspace(front - 1.35, rear + 1.35, count) if count > 2 else np.array([front - 1.6, rear + 1.6])
    both = rng.random() < 0.75
    for s in (-1, 1) if both else (-1,):
        for x in spots:
            b.box((x, s * half, (floor + head) / 2 + 0.06), (1.55, 0.05, head - floor + 0.02), doors)
            b.box((x, s * half, (floor + head) / 2 + 0.06), (0.05, 0.065, head - floor + 0.02), c.dark)
    for x in (front, rear):
        arch(b, x, half, radius * 1.25, radius * 0.95, c.dark)
        b.axle(x, width - 0.30, radius, 0.34, b.steel)
    name = b.decal(logo_panel(rng, livery, 128, 32))
    stripe = rng.uniform(0.10, 0.2)
    for s in (-1, 1):
        y = s * (half + 0.006)
        b.box((-length / 2, y, head + 0.14), (length * 0.88, 0.02, 0.16), c.accent)
        b.box((-length / 2, y, floor + 0.10), (length * 0.97, 0.02, stripe), c.accent)
        if rng.random() < 0.9:
            free = (spots[0] + spots[1]) / 2
            b.box(
                (free, s * (half + 0.012), (floor + belt) / 2 + 0.1), (abs(spots[0] - spots[1]) - 1.8, 0.02, 0.5), name
            )
    b.box((-length - 0.005, 0, (belt + head) / 2 + 0.05), (0.03, width * 0.78, tall * 0.75), b.glass, pitch=0.03)
    b.box((-length, 0, 0.68), (0.04, width * 0.7, 0.4), b.decal(vents(rng, livery.base, 3, 64, 32)))
    for x, size in ((-length * 0.3, 1.9), (-length * 0.72, 2.3)):
        if rng.random() < 0.8:
            b.box(
                (x, 0, top + 0.10),
                (size, width * 0.62, 0.22),
                c.base if rng.random() < 0.5 else b.steel,
                taper=(0.9, 0.85),
            )
    b.box((0.04, 0, 0.42), (0.10, width * 0.96, 0.24), c.dark)
    b.box((-length + 0.01, 0, 0.42), (0.12, width * 0.96, 0.24), c.dark)
    mirrors(b, 0.12, half - 0.1, head - 0.25, c.dark, 1.2)
    b.head_and_tail_lamps(0.01, -length - 0.0, half - 0.26, 0.72)
    b.beacon((-1.0, 0, top))
    plate = ((0.01, half * 0.55, belt - 0.22), 0.0, 0.45)
    unit_plate(b, livery, [plate, ((-length - 0.01, -half * 0.6, belt - 0.12), 0.0, 0.45)], 0.2)
    return b.asset("bus", 0.6)


def service_van(rng: np.random.Generator) -> Asset:
    """A follow-me car, a crew van or an airside pickup with chequers, signs and a light bar."""
    b = Builder(rng)
    livery = draw_livery(rng, ((WHITE, 0.45), (YELLOW, 0.35), (ORANGE, 0.08), ((0.72, 0.74, 0.75), 0.12)))
    c = coat(b, livery)
    kind = str(rng.choice(["van", "pickup", "car"], p=[0.42, 0.33, 0.25]))
    if kind == "van":
        length, width, top = rng.uniform(4.9, 6.2), rng.uniform(1.9, 2.05), rng.uniform(1.95, 2.65)
        hood, rake, belt, back = rng.uniform(0.75, 1.0), rng.uniform(0.55, 0.8), 1.22, 0.08
        radius = 0.34
    elif kind == "pickup":
        length, width, top = rng.uniform(5.0, 5.6), rng.uniform(1.82, 1.98), rng.uniform(1.75, 1.9)
        hood, rake, belt, back = rng.uniform(1.15, 1.35), rng.uniform(0.6, 0.75), 1.15, 0.12
        radius = 0.38
    else:
        length, width, top = rng.uniform(4.2, 4.8), rng.uniform(1.78, 1.88), rng.uniform(1.5, 1.72)
        hood, rake, belt, back = rng.uniform(1.05, 1.2), rng.uniform(0.65, 0.8), 0.98, rng.uniform(0.2, 0.5)
        radius = 0.33
    half, floor = width / 2, 0.24 if kind != "pickup" else 0.34
    crew = kind != "pickup" or rng.random() < 0.6
    tail = -length if kind != "pickup" else -hood - rake - (2.0 if crew else 1.3)
    lower = [
        (-length, floor),
        (-0.08, floor),
        (0, floor + 0.2),
        (-0.02, belt - 0.32),
        (-0.12, belt - 0.2),
        (-hood, belt - 0.02),
    ]
    if kind == "pickup":
        lower += [
            (tail, belt),
            (tail, 0.75),
            (-length + 0.08, 0.75),
            (-length + 0.08, belt - 0.12),
            (-length, belt - 0.12),
        ]
    else:
        lower += [(-length, belt)]
    b.prism(lower, -half, half, c.base)
    top_half = half - (0.10 if kind != "van" else 0.05)
    foot, crest = (-hood - 0.02, belt - 0.03), (-hood - rake, top - 0.06)
    rear = ((tail, belt - 0.03), (tail + back, top - 0.06))
    b.prism(
        [rear[0], foot, crest, (crest[0] - 0.14, top), (rear[1][0] + 0.14, top), rear[1]], -top_half, top_half, c.base
    )
    slope(b, lerp(foot, crest, 0.04), lerp(foot, crest, 0.94), top_half - 0.06, b.glass)
    slope(b, lerp(*rear[::-1], 0.1), lerp(*rear[::-1], 0.6 if kind != "van" else 0.5), top_half - 0.1, b.glass)
    low, high = belt + 0.03, min(top - 0.12, belt + 0.75)
    _side_glass(b, c, kind, crew, (foot, crest), rear, low, high, top_half)
    for x in (-0.85 if kind != "van" else -0.9, -length + (0.95 if kind != "van" else 1.05)):
        arch(b, x, half, radius * 1.22, radius, c.dark)
        b.axle(x, width - 0.20, radius, 0.22, b.steel)
    if kind == "pickup":
        for s in (-1, 1):
            b.box(((tail - length) / 2, s * (half - 0.05), belt - 0.3), (abs(tail + length), 0.10, 0.40), c.base)
        b.box(((tail - length) / 2, 0, 0.77), (abs(tail + length) - 0.1, width - 0.2, 0.03), c.dark)
    doors = [-hood - 0.18, -hood - rake - 0.75] + ([-hood - rake - 1.7] if crew else [])
    for x in doors:
        plates(
            b,
            [(x - 0.01, floor + 0.12), (x + 0.01, floor + 0.12), (x + 0.01, low), (x - 0.01, low)],
            half,
            c.dark,
            0.004,
        )
    for x in doors[1:]:
        plates(
            b,
            [(x + 0.06, belt - 0.08), (x + 0.22, belt - 0.08), (x + 0.22, belt - 0.04), (x + 0.06, belt - 0.04)],
            half,
            c.dark,
            0.03,
        )
    _markings(b, c, livery, kind, length, half, floor, belt)
    follow = (kind != "van" and rng.random() < 0.6) or rng.random() < 0.2
    x_roof = crest[0] - 0.55
    if follow:
        board = b.decal(sign("FOLLOW ME", BLACK, YELLOW, 128, 32))
        b.box((x_roof - 0.35, 0, top + 0.30), (0.10, width * 0.72, 0.36), c.dark, front=board, back=board)
        for s in (-1, 1):
            b.cylinder(
                (x_roof - 0.35, s * 0.4, top - 0.02), (x_roof - 0.35, s * 0.4, top + 0.15), 0.025, c.dark, sides=4
            )
    if rng.random() < 0.7:
        lightbar(b, x_roof + 0.25, top, width * 0.62)
    else:
        b.beacon((x_roof + 0.2, 0, top))
    b.cylinder((x_roof - 0.9, 0.3, top - 0.05), (x_roof - 1.0, 0.3, top + 0.6), 0.012, c.dark, sides=4)
    dark = c.dark if rng.random() < 0.6 else c.trim
    b.box((0.02, 0, floor + 0.14), (0.12, width * 0.98, 0.24), dark)
    b.box((-length - 0.01, 0, floor + 0.16), (0.10, width * 0.98, 0.20), dark)
    b.box((-0.02, 0, belt - 0.42), (0.05, width * 0.5, 0.16), c.dark)
    for x in (0.085, -length - 0.065):
        b.box((x, 0, floor + 0.18), (0.012, 0.5, 0.11), b.paint(WHITE))
    mirrors(b, -hood - 0.25, half - 0.04, belt + 0.12, c.dark, 0.6)
    for s in (-1, 1):
        b.lamp((-0.03, s * (half - 0.22), belt - 0.40), (0.08, 0.32, 0.15), (1.0, 0.97, 0.85))
        b.lamp((-length - 0.005, s * (half - 0.1), belt - 0.28), (0.05, 0.14, 0.28), (0.85, 0.06, 0.04))
    return b.asset("service_van", 0.65)


def _side_glass(
    b: Builder,
    c: Coat,
    kind: str,
    crew: bool,
    front: tuple[tuple[float, float], tuple[float, float]],
    rear: tuple[tuple[float, float], tuple[float, float]],
    low: float,
    high: float,
    half: float,
) -> None:
    """The side windows between the windscreen and the rear pillar, divided by body-coloured posts."""

    def along(edge: tuple[tuple[float, float], tuple[float, float]], z: float) -> float:
        return edge[0][0] + (z - edge[0][1]) / (edge[1][1] - edge[0][1]) * (edge[1][0] - edge[0][0])

    glazed = kind != "van" or b.rng.random() < 0.55
    a0, a1 = along(front, low) - 0.13, along(front, high) - 0.12
    r0, r1 = along(rear, low) + 0.14, along(rear, high) + 0.14
    if kind == "van" and not glazed:
        r0 = r1 = a1 - 0.85
    plates(b, [(r0, low), (a0, low), (a1, high), (r1, high)], half, b.glass)
    posts = [a1 - 0.78] + ([a1 - 1.70] if crew else []) + ([a1 - 2.7] if kind == "van" else [])
    for x in posts:
        if x > r1 + 0.3:
            plates(b, [(x - 0.04, low), (x + 0.04, low), (x + 0.04, high), (x - 0.04, high)], half, c.base, 0.02)


def _markings(
    b: Builder, c: Coat, livery: Livery, kind: str, length: float, half: float, floor: float, belt: float
) -> None:
    """Chequers, a stripe or an operator's sign on the flanks, and the unit number fore and aft."""
    rng = b.rng
    z0 = floor + 0.36
    style = rng.random()
    if style < 0.55:
        colours = ((YELLOW, BLACK), (WHITE, RED), (WHITE, ORANGE), (YELLOW, (0.08, 0.20, 0.55)))[int(rng.integers(4))]
        band = b.decal(chequer(rng, 2, 14, *colours, 192, 32))
        for s in (-1, 1):
            b.box((-length / 2, s * (half + 0.004), z0 + 0.17), (length * 0.34, 0.012, 0.30), band)
            b.box((-length + 0.22, s * (half + 0.004), belt - 0.32), (0.34, 0.012, 0.24), band)
            b.box((-0.24, s * (half + 0.004), belt - 0.46), (0.30, 0.012, 0.2), band)
        hood = ((-0.12, belt - 0.2), (-0.72, belt - 0.095))
        slope(b, lerp(*hood, 0.15), lerp(*hood, 0.85), half * 0.8, band, 0.02)
    else:
        plates(
            b,
            [(-length + 0.03, z0), (-0.06, z0), (-0.06, z0 + 0.10), (-length + 0.03, z0 + 0.22)],
            half,
            c.accent,
            0.003,
        )
    name = b.decal(sign(livery.operator, WHITE if sum(livery.accent) < 1.6 else BLACK, livery.accent, 128, 32))
    for s in (-1, 1):
        wide = 1.15 if kind != "van" else 1.5
        b.box((-length * 0.50, s * (half + 0.008), belt - 0.20), (wide, 0.012, 0.2), name)
    b.box((-length - 0.01, 0, floor + 0.36), (0.03, half * 1.7, 0.16), c.hazard)
    unit_plate(b, livery, [((-length - 0.012, -half * 0.5, belt - 0.28), 0.0, 0.34)], 0.17)
