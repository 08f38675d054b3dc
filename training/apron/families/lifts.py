"""Vehicles that lift people and meals to the cabin doors: passenger stairs and the catering truck."""

from __future__ import annotations

import itertools
import math

import numpy as np

from training.apron.families.chassis import (
    beam,
    cab,
    cab_over,
    ladder,
    lightbar,
    low_cab,
    ram,
    scissor,
    stabilisers,
    truck_frame,
    unit_plate,
)
from training.apron.families.livery import (
    BLACK,
    WHITE,
    YELLOW,
    Coat,
    Livery,
    coat,
    draw_livery,
    logo_panel,
    roller_shutter,
    sign,
)
from training.apron.solids import Asset, Builder


def passenger_stairs(rng: np.random.Generator) -> Asset:
    """Mobile boarding stairs, towed or built on a light lorry; the platform is at the front (+x)."""
    b = Builder(rng)
    livery = draw_livery(rng)
    c = coat(b, livery)
    driven = rng.random() < 0.6
    height = float(rng.uniform(2.5, 4.4) if driven else rng.uniform(2.2, 3.8))
    platform, width = float(rng.uniform(1.5, 2.1)), float(rng.uniform(1.5, 1.9))
    foot_z, angle = 0.34, math.radians(rng.uniform(30, 36))
    head, foot = -platform, -platform - (height - foot_z) / math.tan(angle)
    with b.at(x=0.35):
        _flight(b, c, livery, (foot, foot_z), (head, height), width)
        _landing(b, c, livery, platform, width, height)
        if rng.random() < 0.4:
            _canopy(b, c, (foot, foot_z), (head, height), width, full=bool(rng.random() < 0.6))
    rear = foot + 0.5
    if driven:
        shape = low_cab(rng, min(height - 0.40, float(rng.uniform(1.95, 2.15))))
        wide = float(rng.uniform(1.95, 2.2))
        front = 0.15
        with b.at(x=front):
            cab(b, c, shape, wide, glazed_back=False)
            truck_frame(
                b,
                c,
                rear_x=rear - front,
                width=wide,
                top_z=0.66,
                radius=0.37,
                front_axle=-0.75,
                rear_axles=[rear + 1.2 - front],
            )
            stabilisers(b, (-shape.length - 0.3, rear + 0.35 - front), wide / 2 + 0.05, 0.5, c.trim)
        x_post, deck = -shape.length - 0.05, 0.68
        b.box(((rear - shape.length) / 2 + 0.1, 0, 0.62), (-rear - shape.length + 0.4, wide * 0.96, 0.10), c.base)
        box_z = 0.45 * (height - 0.6)
        b.box((x_post - 0.55, 0, 0.66 + box_z / 2), (0.8, wide * 0.8, box_z), c.base)
    else:
        wide, deck = width + 0.35, 0.52
        x_post = -0.35
        for s in (-1, 1):
            b.box((rear / 2, s * (wide / 2 - 0.3), 0.46), (-rear - 0.1, 0.12, 0.16), c.base)
        for x in (-0.7, rear + 0.5):
            b.axle(x, wide - 0.1, 0.30, 0.2, b.paint(WHITE))
            b.box((x, 0, 0.34), (0.14, wide - 0.3, 0.12), c.dark)
        for x in np.linspace(rear + 0.1, -0.15, 4):
            b.box((x, 0, 0.46), (0.1, wide - 0.6, 0.12), c.base)
        stabilisers(b, (-0.2, rear + 1.2), wide / 2 + 0.1, 0.46, b.paint(YELLOW))
        for s in (-1, 1):
            b.tube([(rear, s * 0.4, 0.42), (rear - 1.1, 0, 0.38)], 0.035, c.trim)
        b.cylinder((rear - 1.15, 0, 0.30), (rear - 1.15, 0, 0.46), 0.07, b.steel, sides=8)
    top = height - 0.2
    for s in (-1, 1):
        y = s * (width / 2 - 0.12)
        for x in (x_post, x_post - 0.25 if driven else -platform - 0.05):
            beam(b, (x, y, deck), (min(x, -0.1), y, top), 0.12, 0.14, c.trim)
        if not driven:
            beam(b, (-platform - 0.05, y, deck), (-0.35, y, top), 0.06, 0.08, c.trim)
        mid = (x_post + foot) * 0.5
        z_mid = foot_z + (mid - foot - 0.35) * math.tan(angle) - 0.25
        beam(b, (mid, y, deck), (mid, y, z_mid), 0.10, 0.12, c.trim)
        ram(b, (mid - 0.5, y * 0.6, deck), (x_post - 0.4, y * 0.6, top - 0.45), 0.06, c.accent)
    unit_plate(
        b,
        livery,
        [((foot * 0.5 + 0.2, s * (width / 2 + 0.075), height * 0.5 + 0.1), s * math.pi / 2, 0.5) for s in (-1, 1)],
        0.26,
    )
    return b.asset("passenger_stairs", 0.25)


def _flight(
    b: Builder, c: Coat, livery: Livery, low: tuple[float, float], high: tuple[float, float], width: float
) -> None:
    """Treads, soffit, stringers and balustrades of one flight going up towards +x."""
    run, rise = high[0] - low[0], high[1] - low[1]
    n = round(rise / 0.21)
    edge = b.paint(YELLOW)
    for k in range(n):
        x, z = low[0] + (k + 0.5) * run / n, low[1] + k * rise / n
        b.box((x, 0, z), (run / n + 0.03, width - 0.1, 0.045), b.steel, back=edge)
    b.prism(
        [(low[0], low[1] - 0.22), (high[0], high[1] - 0.26), (high[0], high[1] - 0.20), (low[0], low[1] - 0.15)],
        -width / 2 + 0.08,
        width / 2 - 0.08,
        c.dark,
    )
    solid = b.rng.random() < 0.6
    tall = 1.05
    for s in (-1, 1):
        y = s * width / 2
        ends = (y, y + s * 0.06)
        b.prism(
            [
                (low[0] - 0.1, low[1] - 0.24),
                (high[0], high[1] - 0.30),
                (high[0], high[1] + 0.10),
                (low[0] - 0.1, low[1] + 0.14),
            ],
            *ends,
            c.accent,
        )
        if solid:
            b.prism(
                [
                    (low[0] - 0.05, low[1] + 0.12),
                    (high[0], high[1] + 0.08),
                    (high[0], high[1] + tall - 0.12),
                    (low[0] - 0.05, low[1] + tall - 0.25),
                ],
                y + s * 0.01,
                y + s * 0.05,
                c.base,
            )
        feet = [(low[0] + t * run, y + s * 0.03, low[1] + t * rise) for t in np.linspace(0.0, 1.0, 6)]
        b.railing(feet, tall, b.steel if solid else edge, 0.026)


def _landing(b: Builder, c: Coat, livery: Livery, length: float, width: float, z: float) -> None:
    """The platform at the aircraft door with its rubber bumper and name boards."""
    b.box((-length / 2, 0, z - 0.1), (length, width + 0.16, 0.2), c.accent, top=b.steel)
    b.box((0.06, 0, z - 0.08), (0.16, width + 0.2, 0.20), b.rubber)
    board = b.decal(logo_panel(b.rng, livery, 128, 64))
    for s in (-1, 1):
        y = s * (width / 2 + 0.04)
        b.box((-length / 2 - 0.04, y, z + 0.52), (length - 0.1, 0.05, 0.94), c.base, sides=board)
        b.railing([(x, y, z) for x in (-length, -length / 2, 0.0)], 1.1, b.steel, 0.03)
        b.box((0.03, s * (width / 2 - 0.04), z + 0.62), (0.10, 0.12, 1.1), b.rubber)


def _canopy(b: Builder, c: Coat, low: tuple[float, float], high: tuple[float, float], width: float, full: bool) -> None:
    """A weather roof over the landing, or over the whole flight, on hoops."""
    half, tall = width / 2 + 0.02, 2.15
    cover = b.paint((0.80, 0.83, 0.85)) if b.rng.random() < 0.6 else c.accent
    z = high[1] + tall
    line = [(0.05, z), (high[0], z)]
    if full:
        line.append((low[0] + 0.5, low[1] + tall + 0.5 * (high[1] - low[1]) / (high[0] - low[0])))
    for (x0, z0), (x1, z1) in itertools.pairwise(line):
        b.prism([(x1, z1), (x0, z0), (x0, z0 + 0.05), (x1, z1 + 0.05)], -half - 0.1, half + 0.1, cover)
        for s in (-1, 1):
            b.prism(
                [(x1, z1 - 0.28), (x0, z0 - 0.28), (x0, z0 + 0.02), (x1, z1 + 0.02)], s * half, s * (half + 0.05), cover
            )
    for (x0, z0), (x1, z1) in itertools.pairwise(line):
        for t in np.linspace(0, 1, 4):
            x, top = x0 + t * (x1 - x0), z0 + t * (z1 - z0)
            for s in (-1, 1):
                b.cylinder(
                    (x, s * (half + 0.03), top - tall + 0.1), (x, s * (half + 0.03), top), 0.025, b.steel, sides=4
                )


def catering_truck(rng: np.random.Generator) -> Asset:
    """A high-lift box van: scissor arms between the lorry frame and the box, platform over the cab."""
    b, livery = Builder(rng), draw_livery(rng, ((WHITE, 0.75), ((0.72, 0.74, 0.75), 0.15), (YELLOW, 0.1)))
    c = coat(b, livery)
    width, box_l, box_h = rng.uniform(2.35, 2.55), rng.uniform(5.0, 6.8), rng.uniform(2.1, 2.45)
    shape = low_cab(rng, rng.uniform(2.0, 2.25)) if rng.random() < 0.7 else cab_over(rng, 2.45)
    radius, frame_z = 0.46, 0.98
    lift = float(rng.choice([0.0, rng.uniform(0.7, 3.6)], p=[0.4, 0.6]))
    floor = 1.22 + lift
    x0, x1 = -shape.length - 0.15, -shape.length - 0.15 - box_l
    cab(b, c, shape, width * 0.97, visor=bool(rng.random() < 0.4))
    truck_frame(
        b,
        c,
        rear_x=x1 + 0.15,
        width=width,
        top_z=frame_z,
        radius=radius,
        front_axle=-0.95,
        rear_axles=[x1 + rng.uniform(1.4, 1.8)],
    )
    middle = (x0 + x1) / 2
    b.box((middle, 0, frame_z + 0.02), (box_l * 0.9, width * 0.42, 0.1), c.trim)
    if lift > 0.3:
        scissor(b, middle, frame_z + 0.08, floor - 0.16, box_l * 0.62, width * 0.34, c.trim)
    stabilisers(b, (x0 - 0.2, x1 + 0.7), width / 2 + (0.12 if lift else -0.02), 0.62, c.trim)
    art = b.decal(logo_panel(rng, livery, 192, 96))
    shutter = b.decal(roller_shutter(rng, (0.66, 0.67, 0.68), 64, 64))
    b.box((middle, 0, floor - 0.08), (box_l, width * 0.94, 0.16), c.dark)
    b.box((middle, 0, floor + box_h / 2), (box_l, width, box_h), c.base, sides=art, taper=(1.0, 0.995))
    b.box((x1 - 0.015, 0, floor + box_h * 0.47), (0.03, width * 0.82, box_h * 0.84), shutter)
    b.box((x0 + 0.015, 0, floor + box_h * 0.46), (0.03, width * 0.42, box_h * 0.82), shutter)
    edge = c.accent if rng.random() < 0.5 else c.trim
    for x in (x0, x1):
        for s in (-1, 1):
            b.box((x, s * width / 2, floor + box_h / 2), (0.09, 0.06, box_h), edge)
    for s in (-1, 1):
        b.box((middle, s * width / 2, floor + 0.05), (box_l + 0.05, 0.05, 0.10), edge)
        b.box((middle, s * width / 2, floor + box_h - 0.03), (box_l + 0.05, 0.05, 0.08), edge)
        b.lamp((x1 + 0.02, s * (width / 2 - 0.1), floor + box_h - 0.06), (0.06, 0.12, 0.05), (0.85, 0.06, 0.04))
    b.box((x1 - 0.02, 0, floor + 0.02), (0.05, width * 0.96, 0.16), c.hazard)
    reach = min(1.9, shape.length + 0.1) if floor > shape.roof_z + 0.25 else 0.28
    deck_w = width * rng.uniform(0.72, 0.98)
    b.box((x0 + reach / 2, 0, floor - 0.06), (reach, deck_w, 0.12), b.steel, sides=c.hazard)
    b.box((x0 + reach + 0.05, 0, floor - 0.06), (0.12, deck_w + 0.1, 0.2), b.rubber)
    rail = b.paint(YELLOW) if rng.random() < 0.6 else b.steel
    if reach > 1:
        for s in (-1, 1):
            b.railing(
                [(x, s * (deck_w / 2 - 0.04), floor) for x in np.linspace(x0 + 0.05, x0 + reach, 3)], 1.1, rail, 0.028
            )
            b.box((x0 + reach * 0.45, s * deck_w * 0.36, floor - 0.16), (reach * 0.9, 0.08, 0.12), c.trim)
    else:
        y = deck_w / 2 - 0.04
        b.railing([(x0 + reach, y, floor), (x0 + reach, 0, floor), (x0 + reach, -y, floor)], 1.1, rail, 0.028)
    if rng.random() < 0.5 and floor + box_h > shape.roof_z + 1.3:
        b.box((x0 + 0.22, 0, floor + box_h - 0.18), (0.42, width * 0.6, 0.42), c.base, front=c.dark, taper=(0.8, 0.95))
    number = b.decal(sign(livery.unit, BLACK, WHITE, 64, 32))
    b.box((x1 - 0.04, width * 0.30, floor + box_h - 0.16), (0.02, 0.5, 0.2), number)
    b.box((-0.5 * shape.length, 0, shape.roof_z + 0.02), (0.3, 0.5, 0.04), c.dark)
    unit_plate(
        b,
        livery,
        [
            ((-shape.length * 0.55, s * (width * 0.485 + 0.02), shape.floor_z + 0.36), s * math.pi / 2, 0.4)
            for s in (-1, 1)
        ],
        0.18,
    )
    ladder(b, x0 - 0.3, width / 2 - 0.05, 0.4, 1.1, c.trim)
    if lift < 0.3 or reach < 1:
        lightbar(b, -shape.hood - shape.rake - 0.35, shape.roof_z - 0.01, 1.1)
    else:
        b.beacon((x0 - 0.1, 0, floor + box_h), 0.1)
    return b.asset("catering_truck", 0.3)
