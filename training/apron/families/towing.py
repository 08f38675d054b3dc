"""Tractors and what they tow: baggage tractor, pushback tug, dolly train, ground power unit."""

from __future__ import annotations

import math

import numpy as np

from training.apron.families.carts import dolly_train
from training.apron.families.chassis import arch, glasshouse, mirrors, plates, ram, seat, slope, unit_plate
from training.apron.families.livery import (
    BLACK,
    WHITE,
    YELLOW,
    Coat,
    Livery,
    body_panels,
    coat,
    draw_livery,
    sign,
    vents,
)
from training.apron.solids import Asset, Builder

__all__ = ["baggage_tractor", "dolly_train", "ground_power_unit", "pushback_tug"]


def baggage_tractor(rng: np.random.Generator) -> Asset:
    """A small tow tractor: short bonnet, driver amidships, low rear deck and hitch."""
    b, livery = Builder(rng), draw_livery(rng)
    c = coat(b, livery)
    length, width, radius = rng.uniform(2.75, 3.4), rng.uniform(1.30, 1.60), rng.uniform(0.30, 0.37)
    hood, hood_z = rng.uniform(0.95, 1.2), rng.uniform(0.92, 1.08)
    well, deck_z = hood + 0.62, rng.uniform(0.66, 0.80)
    half, roof_z = width / 2, rng.uniform(1.86, 2.1)
    cowl_z = hood_z + 0.10
    kind = str(rng.choice(["open", "canopy", "cab"], p=[0.25, 0.4, 0.35]))
    b.prism(
        [
            (-length, 0.26),
            (-0.06, 0.24),
            (0, 0.42),
            (-0.05, hood_z - 0.22),
            (-0.2, hood_z - 0.02),
            (-hood, cowl_z),
            (-hood - 0.07, cowl_z),
            (-hood - 0.12, 0.42),
            (-well, 0.42),
            (-well - 0.05, deck_z + 0.10),
            (-well - 0.55, deck_z + 0.10),
            (-well - 0.62, deck_z),
            (-length + 0.04, deck_z - 0.03),
        ],
        -half,
        half,
        c.base,
    )
    plates(b, [(-length + 0.05, 0.40), (-0.02, 0.40), (-0.03, 0.50), (-length + 0.05, 0.50)], half, c.accent, 0.005)
    axles = (-0.62, -length + 0.55)
    hub = b.paint(WHITE) if rng.random() < 0.4 else b.steel
    for x in axles:
        arch(b, x, half, radius * 1.2, radius, c.dark)
        b.axle(x, width - 0.16, radius, 0.24, hub)
    b.box((0.05, 0, 0.42), (0.14, width * 0.98, 0.24), b.rubber, front=c.hazard if rng.random() < 0.5 else None)
    b.box((-0.02, 0, hood_z - 0.30), (0.05, width * 0.56, 0.22), c.dark)
    if rng.random() < 0.6:
        louvre = b.decal(vents(rng, livery.base, 2, 64, 32))
        for s in (-1, 1):
            b.box((-hood + 0.22, s * half, hood_z - 0.17), (0.36, 0.02, 0.20), louvre)
    unit_plate(
        b, livery, [((-hood * 0.55, s * (half + 0.004), hood_z - 0.17), s * math.pi / 2, 0.34) for s in (-1, 1)], 0.17
    )
    seat(b, -well - 0.28, width * 0.22, deck_z + 0.08, c.dark)
    if kind != "cab":
        b.box((-well - 0.28, -width * 0.22, deck_z + 0.2), (0.46, 0.46, 0.22), c.dark)
        b.box((-well - 0.54, 0, deck_z + 0.42), (0.10, width * 0.9, 0.42), c.dark, pitch=-0.1)
    foot, head = (-hood - 0.02, cowl_z), (-hood - 0.26, roof_z - 0.05)
    if kind == "open":
        top = (foot[0] - 0.10, cowl_z + 0.36)
        slope(b, foot, top, half * 0.8, b.glass, 0.03)
        post = (-well - 0.66, half - 0.12, deck_z)
        b.cylinder(post, (post[0], post[1], 1.75), 0.02, c.dark, sides=5)
        b.beacon((post[0], post[1], 1.75))
        roof_z = cowl_z + 0.36
    else:
        rear = -well - 0.60
        if kind == "cab":
            glasshouse(
                b,
                c,
                -hood - 0.02,
                rear,
                width * 0.98,
                deck_z + 0.1,
                roof_z,
                sill=cowl_z - deck_z - 0.05,
                rake=0.24,
                back_rake=0.06,
            )
            plates(
                b, [(-well, 0.45), (-hood - 0.08, 0.45), (-hood - 0.08, cowl_z), (-well, cowl_z)], half * 0.99, c.base
            )
        else:
            slope(b, (foot[0], foot[1]), (head[0] + 0.02, head[1] - 0.06), half * 0.86, b.glass, 0.03)
            for s in (-1, 1):
                b.tube([(foot[0], s * (half - 0.06), cowl_z), (head[0], s * (half - 0.06), head[1])], 0.035, c.dark)
                b.tube([(rear, s * (half - 0.06), deck_z), (rear + 0.06, s * (half - 0.06), head[1])], 0.035, c.dark)
            roof = c.accent if rng.random() < 0.4 else c.base
            b.box(
                ((head[0] + rear) / 2 + 0.03, 0, roof_z - 0.02),
                (head[0] - rear + 0.34, width * 0.98, 0.08),
                roof,
                taper=(0.93, 0.9),
            )
        b.beacon(((head[0] + rear) / 2, 0, roof_z + 0.0), 0.08)
    mirrors(b, foot[0] - 0.06, half - 0.02, cowl_z + 0.22, c.dark, 0.6)
    for s in (-1, 1):
        b.lamp((-0.035, s * (half - 0.17), hood_z - 0.30), (0.06, 0.17, 0.15), (1.0, 0.97, 0.85))
        b.lamp((-length + 0.02, s * (half - 0.13), deck_z - 0.14), (0.05, 0.12, 0.14), (0.85, 0.06, 0.04))
    if rng.random() < 0.5:  # a cargo rail around the rear deck
        x0, x1, y = -length + 0.1, -well - 0.72, half - 0.08
        b.railing([(x1, y, deck_z), (x0, y, deck_z), (x0, -y, deck_z), (x1, -y, deck_z)], 0.28, c.trim, 0.018)
    b.box((-length - 0.05, 0, 0.42), (0.16, 0.3, 0.22), c.dark)
    b.cylinder((-length - 0.1, 0, 0.28), (-length - 0.1, 0, 0.62), 0.03, b.steel, sides=6)
    return b.asset("baggage_tractor", 0.3)


def pushback_tug(rng: np.random.Generator) -> Asset:
    """An aircraft tractor: a heavy low slab, either with towbar hooks or with a nose wheel cradle."""
    b = Builder(rng)
    livery = draw_livery(rng)
    c = coat(b, livery)
    if rng.random() < 0.5:
        _towbar_tug(b, c, livery)
    else:
        _towbarless_tug(b, c, livery)
    return b.asset("pushback_tug", 0.3)


def _towbar_tug(b: Builder, c: Coat, livery: Livery) -> None:
    rng = b.rng
    length, width = rng.uniform(4.8, 7.6), rng.uniform(2.2, 2.9)
    deck, radius, half = rng.uniform(1.05, 1.35), rng.uniform(0.42, 0.56), width / 2
    end = deck - rng.uniform(0.0, 0.25)
    b.prism(
        [
            (-length + 0.15, 0.28),
            (-0.15, 0.28),
            (0, 0.45),
            (0, end - 0.1),
            (-0.12, end),
            (-length * 0.3, deck),
            (-length * 0.7, deck),
            (-length + 0.12, end),
            (-length, end - 0.1),
            (-length, 0.45),
        ],
        -half,
        half,
        c.base,
    )
    plates(b, [(-length + 0.02, 0.5), (-0.02, 0.5), (-0.02, 0.66), (-length + 0.02, 0.66)], half, c.accent, 0.005)
    for x in (-length * 0.20, -length * 0.80):
        arch(b, x, half, radius * 1.22, radius, c.dark)
        b.axle(x, width - 0.34, radius, 0.40, c.trim)
    panel = b.decal(vents(rng, livery.base, 3, 96, 32))
    for s in (-1, 1):
        b.box((-length * 0.5, s * half, deck * 0.76), (length * 0.26, 0.03, deck * 0.32), panel)
        b.box((-length * 0.5, s * (half + 0.05), 0.40), (0.7, 0.2, 0.06), c.dark)
    b.box((-length * 0.62, 0, deck + 0.02), (length * 0.2, width * 0.55, 0.05), panel)
    for x in (0.04, -length - 0.04):
        b.box((x, 0, 0.56), (0.12, width * 0.96, 0.30), b.rubber, front=c.hazard, back=c.hazard)
        b.box((x, 0, 0.42), (0.42, 0.34, 0.14), c.dark)
        b.cylinder((x + math.copysign(0.14, x), 0, 0.32), (x + math.copysign(0.14, x), 0, 0.62), 0.04, b.steel, sides=6)
    roof = deck + rng.uniform(0.75, 1.0)
    kind = int(rng.integers(3))
    span = rng.uniform(1.3, 1.6)
    wide = width * (0.5 if kind == 0 else 0.92 if kind == 1 else 0.48)
    y = half - wide / 2 - 0.06 if kind != 1 else 0.0
    spots = [(-0.35, y)] if kind < 2 else [(-0.3, y), (-length + 0.3 + span, y)]
    for k, (x, yc) in enumerate(spots):
        low = end - 0.04 if k == 0 else end - 0.06
        glasshouse(
            b,
            c,
            x,
            x - span,
            wide,
            low,
            roof,
            y=yc,
            sill=0.16,
            rake=0.16 if k == 0 else 0.08,
            back_rake=0.08 if k == 0 else 0.16,
            roof=c.accent if rng.random() < 0.3 else None,
        )
        b.beacon((x - span * 0.55, yc, roof))
        b.lamp((x - 0.12, yc + wide * 0.3, roof + 0.03), (0.1, 0.16, 0.1), (1.0, 0.97, 0.85))
        b.lamp((x - 0.12, yc - wide * 0.3, roof + 0.03), (0.1, 0.16, 0.1), (1.0, 0.97, 0.85))
    if rng.random() < 0.6:
        x0, x1, yr = -0.45 - span, -length + (0.4 if kind < 2 else 0.5 + span), -half + 0.1
        b.railing(
            [(x, yr, deck - 0.05) for x in np.linspace(x0, x1, 4)], 0.55, c.trim if rng.random() < 0.5 else c.accent
        )
    b.cylinder(
        (-length * 0.68, -half * 0.55, deck), (-length * 0.68, -half * 0.55, deck + 0.55), 0.06, b.steel, sides=8
    )
    unit_plate(
        b, livery, [((-length * 0.36, s * (half + 0.006), deck * 0.78), s * math.pi / 2, 0.55) for s in (-1, 1)], 0.27
    )
    b.head_and_tail_lamps(0.01, -length - 0.01, half - 0.3, end - 0.22)


def _towbarless_tug(b: Builder, c: Coat, livery: Livery) -> None:
    rng = b.rng
    length, width = rng.uniform(6.2, 8.8), rng.uniform(2.9, 3.8)
    deck, radius, half = rng.uniform(0.95, 1.2), rng.uniform(0.46, 0.56), width / 2
    throat, depth = rng.uniform(0.62, 0.78), length * rng.uniform(0.36, 0.44)
    x_throat = -length + depth
    low = deck * 0.86
    b.prism(
        [
            (x_throat - 0.3, 0.30),
            (-0.2, 0.30),
            (0, 0.48),
            (-0.04, low * 0.9),
            (-0.5, deck),
            (x_throat, deck),
            (x_throat - 0.3, low),
        ],
        -half,
        half,
        c.base,
    )
    for s in (-1, 1):  # the arms that reach around the nose wheel
        b.prism(
            [
                (-length + 0.2, 0.30),
                (x_throat, 0.30),
                (x_throat, low),
                (-length + 0.35, low),
                (-length, low * 0.72),
                (-length, 0.45),
            ],
            s * throat,
            s * half,
            c.base,
        )
        b.box((-length - 0.01, s * (half + throat) / 2, 0.45), (0.06, half - throat, 0.18), c.dark, back=c.hazard)
        b.box(
            (x_throat - depth * 0.5, s * (half + throat) / 2, low + 0.015),
            (depth * 0.7, (half - throat) * 0.7, 0.03),
            c.dark,
        )
        b.lamp((-length + 0.02, s * (half - 0.25), low * 0.66), (0.06, 0.2, 0.1), (0.85, 0.06, 0.04))
        b.lamp((0.0, s * (half - 0.4), low * 0.72), (0.06, 0.32, 0.14), (1.0, 0.97, 0.85))
        ram(
            b, (x_throat - 0.2, s * throat * 0.8, 0.75), (x_throat - depth * 0.62, s * throat * 0.86, 0.5), 0.07, c.trim
        )
        b.box((x_throat - depth * 0.45, s * (throat - 0.12), 0.45), (depth * 0.45, 0.2, 0.34), c.trim)
    plates(b, [(-length + 0.05, 0.5), (-0.05, 0.5), (-0.05, 0.64), (-length + 0.05, 0.64)], half, c.accent, 0.005)
    b.box((x_throat - depth * 0.30, 0, 0.30), (depth * 0.42, throat * 1.7, 0.12), c.dark)  # cradle floor
    b.box((x_throat - depth * 0.62, 0, 0.24), (depth * 0.30, throat * 1.6, 0.07), c.trim, pitch=-0.22)  # ramp
    b.box((x_throat - 0.12, 0, 0.70), (0.25, throat * 1.7, 0.5), c.dark, back=c.hazard)
    for x in (-length * 0.17, -length + depth * 0.42):
        arch(b, x, half, radius * 1.2, radius, c.dark)
        b.axle(x, width - 0.34, radius, 0.40, c.trim)
    b.box((0.03, 0, 0.52), (0.14, width * 0.94, 0.26), b.rubber, front=c.hazard)
    cab_w = width * rng.choice([0.5, 0.88])
    span, roof = rng.uniform(1.5, 1.9), deck + rng.uniform(0.62, 0.95)
    y = float(rng.choice([0.0, half - cab_w / 2 - 0.15])) if cab_w < width * 0.6 else 0.0
    glasshouse(b, c, -0.4, -0.4 - span, cab_w, deck - 0.12, roof, y=y, sill=0.14, rake=0.34, back_rake=0.12)
    b.beacon((-0.4 - span * 0.6, y + cab_w * 0.3, roof))
    b.beacon((-0.4 - span * 0.6, y - cab_w * 0.3, roof))
    grid = b.decal(vents(rng, livery.base, 2, 64, 64))
    x_hood = (-0.55 - span + x_throat) / 2
    b.box(
        (x_hood, 0, deck + 0.08), (abs(x_throat + 0.7 + span), width * 0.72, 0.2), c.base, top=grid, taper=(0.95, 0.92)
    )
    for s in (-1, 1):
        b.box((x_hood, s * half, deck * 0.7), (1.1, 0.03, deck * 0.4), grid)
    b.cylinder((x_hood - 0.3, -half * 0.8, deck), (x_hood - 0.3, -half * 0.8, deck + 0.5), 0.06, b.steel, sides=8)
    unit_plate(
        b, livery, [((-length * 0.34, s * (half + 0.006), deck * 0.75), s * math.pi / 2, 0.6) for s in (-1, 1)], 0.3
    )
    mirrors(b, -0.75, half - 0.2, deck + 0.4, c.dark, 0.8)


def ground_power_unit(rng: np.random.Generator) -> Asset:
    """A towed generator: a louvred box on small wheels with a cable on its flank."""
    b, livery = Builder(rng), draw_livery(rng)
    c = coat(b, livery)
    electric = rng.random() < 0.25
    length, width, top = rng.uniform(2.6, 3.7), rng.uniform(1.45, 1.85), rng.uniform(1.45, 1.95)
    floor, radius, half = rng.uniform(0.42, 0.52), rng.uniform(0.25, 0.32), width / 2
    b.box((-length / 2, 0, floor - 0.06), (length + 0.08, width * 0.96, 0.16), c.dark)
    slant = rng.uniform(0.0, 0.35)
    b.prism(
        [
            (-length, floor),
            (0, floor),
            (0, top - 0.25 - slant),
            (-0.12 - slant * 0.6, top),
            (-length + 0.12, top),
            (-length, top - 0.12),
        ],
        -half,
        half,
        c.base,
    )
    for x in (-0.45, -length + 0.5):
        b.axle(x, width - 0.10, radius, 0.18, b.paint(WHITE) if rng.random() < 0.5 else None)
        b.box((x, 0, radius), (0.1, width * 0.8, 0.1), c.dark)
    louvre = b.decal(vents(rng, livery.base, 2, 64, 64))
    doors = b.decal(body_panels(rng, livery.base, 2, 96, 64, livery.accent))
    split = length * rng.uniform(0.36, 0.46)
    tall = top - floor
    for s in (-1, 1):
        y = s * (half + 0.008)
        b.box((-split / 2 - 0.08, y, floor + tall * 0.44), (split - 0.2, 0.02, tall * 0.62), louvre)
        b.box((-(length + split) / 2, y, floor + tall * 0.5), (length - split - 0.15, 0.02, tall * 0.84), doors)
        b.box((-length / 2, y, floor + 0.05), (length, 0.026, 0.10), c.hazard)
    b.box((0.005, 0, floor + tall * 0.34), (0.03, width * 0.7, tall * 0.45), louvre)
    b.box((-length - 0.005, 0, floor + tall * 0.5), (0.03, width * 0.8, tall * 0.75), louvre)
    text = "e-GPU 90 kVA" if electric else str(rng.choice(["GPU 28V", "400 Hz", "GPU 90kVA", "POWER UNIT"]))
    name = b.decal(sign(livery.operator, WHITE if sum(livery.accent) < 1.6 else BLACK, livery.accent, 128, 32))
    label = b.decal(sign(text, BLACK, YELLOW, 96, 32))
    for s in (-1, 1):
        b.box((-(length + split) / 2, s * (half + 0.014), top - 0.22), (length * 0.40, 0.02, 0.20), name)
        b.box((-split * 0.55, s * (half + 0.014), top - 0.34 - slant * 0.3), (0.62, 0.02, 0.17), label)
    b.box((-length - 0.01, 0, floor + 0.06), (0.03, width * 0.98, 0.14), c.hazard)
    side = int(rng.choice([-1, 1]))  # the control desk and the stowed cable
    desk = -length * 0.72
    b.box((desk, side * (half + 0.03), floor + tall * 0.62), (0.62, 0.06, 0.36), c.dark)
    for k in range(3):
        b.lamp(
            (desk - 0.2 + 0.2 * k, side * (half + 0.065), floor + tall * 0.68),
            (0.07, 0.02, 0.07),
            ((0.1, 0.9, 0.2), (1.0, 0.62, 0.05), (0.85, 0.06, 0.04))[k],
        )
    x0, x1, y, z = -length * 0.24, -length * 0.52, side * (half + 0.10), floor + tall * 0.56
    turns = int(rng.integers(2, 4))
    for k in range(turns):
        sag, d = 0.16 + 0.10 * k, 0.05 * k
        arc = [
            (x0 + (x1 - x0) * t, y + side * d, z - (sag + 0.2) * math.sin(math.pi * t) + 0.12 * math.cos(math.pi * t))
            for t in np.linspace(0, 1, 9)
        ]
        b.tube(arc, 0.035, b.rubber)
    for x in (x0, x1):
        b.box((x, side * (half + 0.1), z + 0.05), (0.1, 0.28, 0.07), c.trim)
    b.box((x0 + 0.05, y, z - 0.12), (0.12, 0.14, 0.3), b.paint(YELLOW))
    if electric:
        b.box((-length * 0.5, 0, top + 0.03), (length * 0.6, width * 0.7, 0.06), b.paint((0.16, 0.60, 0.28)))
    else:
        grid = b.decal(vents(rng, (0.35, 0.36, 0.37), 3, 64, 32))
        b.box((-split / 2 - 0.2, 0, top + 0.03), (split * 0.8, width * 0.7, 0.08), c.base, top=grid)
        x, y = -length * 0.70, half * 0.5
        b.tube([(x, y, top), (x, y, top + 0.22), (x - 0.16, y, top + 0.34)], 0.055, b.steel, sides=8)
    for x in (-0.3, -length + 0.3):
        b.box((x, 0, top + 0.05), (0.05, 0.24, 0.1), c.dark)
    if rng.random() < 0.6:
        b.beacon((-length * 0.5, -half * 0.7, top), 0.08)
    bar = rng.uniform(0.9, 1.3)
    lift = float(rng.choice([0.0, 0.9]))  # the bar is parked upright or lies ready to be towed
    tip = (0.1 + bar * math.cos(lift), 0.34 + bar * math.sin(lift))
    for s in (-1, 1):
        b.tube([(0.02, s * half * 0.6, 0.36), (tip[0], 0, tip[1])], 0.035, c.trim)
    b.cylinder((tip[0], -0.06, tip[1]), (tip[0], 0.06, tip[1]), 0.09, b.steel, sides=8)
    for s in (-1, 1):
        b.lamp((-length - 0.03, s * (half - 0.16), floor + 0.18), (0.04, 0.18, 0.1), (0.85, 0.06, 0.04))
    return b.asset("ground_power_unit", 0.3)
