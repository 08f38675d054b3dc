"""Machines that reach up to a parked aircraft: belt loader, cargo loader, passenger stairs, catering truck."""

from __future__ import annotations

import math

import numpy as np

from training.apron.families.carts import container, container_paint
from training.apron.families.chassis import beam, glasshouse, ladder, ram, scissor, seat, stabilisers, unit_plate
from training.apron.families.lifts import catering_truck, passenger_stairs
from training.apron.families.livery import BLACK, WHITE, YELLOW, coat, draw_livery, roller_shutter, sign, vents
from training.apron.solids import Asset, Builder

__all__ = ["belt_loader", "cargo_loader", "catering_truck", "passenger_stairs"]


def belt_loader(rng: np.random.Generator) -> Asset:
    """A long inclined conveyor on a low chassis with the driver beside it."""
    b, livery = Builder(rng), draw_livery(rng)
    c = coat(b, livery)
    length, width, radius = rng.uniform(4.6, 5.8), rng.uniform(1.85, 2.2), rng.uniform(0.34, 0.40)
    half, belt_w = width / 2, rng.uniform(0.72, 0.92)
    seat_side = float(rng.choice([-1, 1], p=[0.2, 0.8]))
    belt_y = -seat_side * (half - belt_w / 2 - 0.08)
    front, rear = -0.85, -length + 0.8
    b.box((-length / 2, 0, 0.46), (length, width * 0.86, 0.26), c.dark)
    b.box((-length / 2, 0, 0.63), (length * 0.98, width * 0.9, 0.10), c.base)
    for x in (front, rear):
        b.axle(x, width - 0.22, radius, 0.24, c.trim)
        for s in (-1, 1):
            b.prism(
                [
                    (x - 0.62, 0.5),
                    (x - 0.44, 0.80),
                    (x + 0.44, 0.80),
                    (x + 0.62, 0.5),
                    (x + 0.42, 0.5),
                    (x + 0.36, 0.72),
                    (x - 0.36, 0.72),
                    (x - 0.42, 0.5),
                ],
                s * (half - 0.3),
                s * half,
                c.base,
            )
    panel = b.decal(vents(rng, livery.base, 2, 64, 32))
    y = seat_side * (half - 0.42)
    hood_z = rng.uniform(1.0, 1.2)
    hood_x0 = rear + 0.9 + rng.uniform(0.0, 0.3)
    b.prism(
        [(rear - 0.5, 0.6), (hood_x0, 0.6), (hood_x0 - 0.05, hood_z), (rear - 0.4, hood_z)], y - 0.40, y + 0.40, c.base
    )
    b.box(((rear + hood_x0) / 2 - 0.2, seat_side * (half - 0.01), 0.90), (0.95, 0.03, 0.26), panel)
    kind = str(rng.choice(["cab", "canopy", "open"], p=[0.45, 0.2, 0.35]))
    roof = rng.uniform(1.85, 2.05)
    if kind == "cab":
        glasshouse(b, c, -0.12, -1.5, 0.84, 0.62, roof, y=y, sill=0.42, rake=0.16, back_rake=0.05)
        b.beacon((-0.9, y, roof), 0.08)
    else:
        b.prism([(-0.5, 0.6), (-0.08, 0.6), (-0.10, 0.95), (-0.32, 1.05), (-0.5, 1.05)], y - 0.42, y + 0.42, c.base)
        seat(b, -1.15, y, 0.72, c.dark)
        if kind == "canopy":
            for x in (-0.3, -1.6):
                for s in (-1, 1):
                    b.cylinder((x, y + s * 0.38, 0.65), (x, y + s * 0.38, roof), 0.028, c.dark, sides=5)
            b.box((-0.92, y, roof), (1.6, 0.9, 0.06), c.base, taper=(0.95, 0.9))
            b.beacon((-0.9, y, roof + 0.03), 0.08)
        else:
            b.cylinder((rear, y, hood_z), (rear, y, 1.85), 0.02, c.dark, sides=5)
            b.beacon((rear, y, 1.85), 0.08)
    reach, angle = rng.uniform(6.8, 8.4), math.radians(rng.uniform(3, 17))
    low_z = rng.uniform(0.92, 1.02) + 0.06 * angle
    over = rng.uniform(0.55, 1.1)
    name = b.decal(sign(livery.operator, WHITE if sum(livery.accent) < 1.6 else BLACK, livery.accent, 128, 32))
    flat = (c.base, c.accent, b.paint(YELLOW))[int(rng.integers(3))]
    with b.at(x=-length - over, y=belt_y, z=low_z, pitch=-angle):
        b.box((reach / 2, 0, 0), (reach, belt_w, 0.20), flat)
        b.box((reach / 2, 0, 0.105), (reach - 0.05, belt_w - 0.14, 0.03), b.rubber)
        for x in np.linspace(0.7, reach - 0.7, 9):  # cleats that make the belt readable from above
            b.box((x, 0, 0.125), (0.06, belt_w - 0.16, 0.02), c.dark)
        for s in (-1, 1):
            b.box((reach / 2, s * belt_w / 2, 0.06), (reach, 0.06, 0.24), flat)
        b.box((reach * 0.55, 0, 0.03), (2.4, belt_w + 0.08, 0.18), c.accent, sides=name)
        b.box((reach * 0.22, 0, 0.03), (1.0, belt_w + 0.075, 0.16), c.hazard)
        for x in (0.0, reach):
            b.cylinder((x, -belt_w / 2 + 0.04, 0), (x, belt_w / 2 - 0.04, 0), 0.125, b.rubber, sides=10)
        for s in (-1, 1):
            b.cylinder(
                (reach + 0.05, s * belt_w / 2 - 0.08, 0),
                (reach + 0.05, s * belt_w / 2 + 0.08, 0),
                0.15,
                b.rubber,
                sides=8,
            )
        rail = int(rng.integers(3))
        sides: tuple[float, ...] = ((), (seat_side,), (-1.0, 1.0))[rail]
        for flank in sides:
            feet = [(x, flank * (belt_w / 2 + 0.05), 0.1) for x in np.linspace(reach * 0.35, reach - 0.5, 5)]
            b.railing(feet, rng.uniform(0.5, 0.9), b.paint(YELLOW), 0.022)
    for x, share in ((-length * 0.85, 0.0), (-length * 0.28, 1.0)):
        z = low_z + math.tan(angle) * (x + length + over) - 0.1
        for s in (-1, 1):
            beam(
                b,
                (x - 0.5 * share, belt_y + s * belt_w * 0.4, 0.66),
                (x, belt_y + s * belt_w * 0.4, z),
                0.08,
                0.12,
                c.trim,
            )
        if share:
            ram(b, (x - 1.1, belt_y, 0.66), (x, belt_y, z), 0.06, c.trim)
    b.box((0.04, 0, 0.46), (0.12, width * 0.98, 0.24), b.rubber, front=c.hazard)
    b.box((-length - 0.03, 0, 0.46), (0.08, width * 0.95, 0.2), b.rubber, back=c.hazard)
    unit_plate(b, livery, [((-length * 0.5, s * (half * 0.905), 0.55), s * math.pi / 2, 0.5) for s in (-1, 1)], 0.2)
    b.head_and_tail_lamps(0.0, -length - 0.02, half - 0.2, 0.68)
    return b.asset("belt_loader", 0.25)


def cargo_loader(rng: np.random.Generator) -> Asset:
    """A two-platform scissor loader: operator's bridge in front, container deck behind."""
    b, livery = Builder(rng), draw_livery(rng)
    c = coat(b, livery)
    length, width = rng.uniform(7.6, 9.4), rng.uniform(3.2, 3.8)
    bridge, half, radius = rng.uniform(2.3, 2.9), width / 2, rng.uniform(0.34, 0.42)
    bridge_z = rng.uniform(1.5, 3.6)
    deck_z = float(rng.choice([0.75, bridge_z, rng.uniform(0.75, bridge_z)]))
    metal = b.decal(np.rot90(roller_shutter(rng, (0.50, 0.51, 0.52))))
    panel = b.decal(vents(rng, livery.base, 3, 96, 32))
    for s in (-1, 1):
        b.prism(
            [(-length, 0.30), (-0.3, 0.30), (-0.1, 0.45), (-0.1, 0.66), (-length, 0.66)],
            s * (half - 0.42),
            s * half,
            c.base,
        )
        b.box((-length * 0.52, s * half, 0.49), (length * 0.34, 0.03, 0.26), panel)
        b.box((-length * 0.5, s * (half + 0.004), 0.335), (length * 0.96, 0.02, 0.07), c.hazard)
    for x in (-0.9, -bridge - 0.5, -length + 0.8):
        b.axle(x, width - 0.12, radius, 0.26, c.trim)
        b.box((x, 0, radius), (0.2, width - 0.5, 0.2), c.dark)
    b.box((-bridge / 2, 0, 0.42), (bridge, width - 0.8, 0.24), c.dark)
    b.box((-bridge - 0.4 - (length - bridge) / 2, 0, 0.40), (length - bridge - 0.8, width - 0.9, 0.16), c.dark)
    # main deck
    x1, x0 = -length, -bridge - 0.12
    middle, span, deck_w = (x0 + x1) / 2, x0 - x1, width - rng.uniform(0.5, 0.9)
    b.box((middle, 0, deck_z - 0.12), (span, deck_w, 0.24), c.base, top=metal, back=c.hazard)
    for s in (-1, 1):
        b.box((middle, s * deck_w / 2, deck_z + 0.02), (span, 0.10, 0.20), c.accent)
        for x in np.linspace(x1 + 0.4, x0 - 0.4, 4):
            b.box((x, s * (deck_w / 2 - 0.02), deck_z + 0.14), (0.14, 0.12, 0.10), c.trim)
    if deck_z > 1.0:
        scissor(b, middle, 0.52, deck_z - 0.26, min(span * 0.75, 3.6), deck_w / 2 - 0.2, c.trim)
    # bridge
    bridge_w = width - 0.1
    b.box((-bridge / 2, 0, bridge_z - 0.12), (bridge, bridge_w, 0.24), c.base, top=metal)
    b.box((0.06, 0, bridge_z - 0.1), (0.14, bridge_w * 0.98, 0.22), b.rubber)
    b.box((0.14, 0, bridge_z - 0.1), (0.02, bridge_w * 0.9, 0.12), c.hazard)
    scissor(b, -bridge / 2 - 0.05, 0.54, bridge_z - 0.26, bridge * 0.85, bridge_w / 2 - 0.3, c.trim)
    side = float(rng.choice([-1, 1]))
    walk = bridge_w / 2 - 0.06
    paint = b.paint(YELLOW) if rng.random() < 0.6 else c.accent
    for s in (-1, 1):
        b.railing([(x, s * walk, bridge_z) for x in np.linspace(-bridge + 0.05, -0.15, 4)], 1.1, paint, 0.028)
    y, top = side * (walk - 0.42), bridge_z + 2.05
    cabin = rng.random()
    if cabin < 0.45:
        glasshouse(b, c, -0.25, -1.35, 0.82, bridge_z, top, y=y, sill=0.75, rake=0.05, back_rake=0.05)
        b.beacon((-0.8, y, top), 0.09)
    else:
        b.box((-0.5, y, bridge_z + 0.55), (0.4, 0.7, 1.1), c.base, taper=(0.7, 1.0), back=b.glass)
        seat(b, -1.15, y, bridge_z + 0.25, c.dark, wheel=False)
        if cabin < 0.8:
            for x in (-0.3, -1.5):
                for s in (-1, 1):
                    b.cylinder((x, y + s * 0.38, bridge_z), (x, y + s * 0.38, top), 0.03, c.dark, sides=5)
            b.box((-0.9, y, top), (1.5, 0.95, 0.07), c.accent)
        b.beacon((-0.5, side * walk, bridge_z + 1.1), 0.08)
    name = b.decal(sign(livery.operator, WHITE if sum(livery.accent) < 1.6 else BLACK, livery.accent, 128, 32))
    for s in (-1, 1):
        b.box((-bridge / 2, s * (bridge_w / 2 + 0.01), bridge_z - 0.12), (bridge * 0.8, 0.02, 0.22), name)
    ladder(b, -bridge + 0.1, -side * (half + 0.02), 0.35, bridge_z, c.trim)
    if rng.random() < 0.55:
        stabilisers(b, (-0.25, -length + 0.3), half + 0.15, 0.5, c.trim)
    if rng.random() < 0.45:
        load, plate = container_paint(b, livery), b.decal(sign(livery.unit, BLACK, WHITE, 64, 32))
        count = int(rng.integers(1, 3)) if span > 4.6 else 1
        for k in range(count):
            with b.at(x=x0 - 0.95 - k * 1.75, z=deck_z + 0.02, yaw=math.pi / 2 * side):
                container(b, load, plate)
    unit_plate(b, livery, [((-bridge - 0.45, s * (half + 0.005), 0.52), s * math.pi / 2, 0.42) for s in (-1, 1)], 0.2)
    b.head_and_tail_lamps(-0.07, -length - 0.01, half - 0.2, 0.55)
    return b.asset("cargo_loader", 0.25)
