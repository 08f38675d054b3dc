"""Fuel vehicles: the refuelling tanker and the hydrant dispenser."""

from __future__ import annotations

import numpy as np

from training.apron.families.chassis import (
    any_cab,
    bonnet_cab,
    cab,
    cab_over,
    ladder,
    lightbar,
    scissor,
    truck_frame,
    unit_plate,
)
from training.apron.families.livery import (
    BLACK,
    RED,
    WHITE,
    YELLOW,
    Coat,
    Livery,
    body_panels,
    coat,
    draw_livery,
    ink,
    roller_shutter,
    sign,
)
from training.apron.solids import Asset, Builder, circle


def fuel_bowser(rng: np.random.Generator) -> Asset:
    """A refuelling tanker, or a hydrant dispenser with its lift platform and hose reels."""
    b = Builder(rng)
    livery = draw_livery(rng, ((WHITE, 0.6), ((0.72, 0.74, 0.75), 0.15), (YELLOW, 0.15), ((0.10, 0.38, 0.24), 0.1)))
    c = coat(b, livery)
    if rng.random() < 0.68:
        _tanker(b, c, livery)
    else:
        _dispenser(b, c, livery)
    return b.asset("fuel_bowser", 0.45)


def _tanker(b: Builder, c: Coat, livery: Livery) -> None:
    rng = b.rng
    shape, width, radius, frame_z = any_cab(rng), rng.uniform(2.4, 2.6), 0.50, 1.05
    tank_l = rng.uniform(5.0, 9.0)
    module = rng.uniform(0.9, 1.5)  # pump cabinet between cab and tank
    x0 = -shape.length - 0.12 - module
    x1 = x0 - tank_l
    rears = [x1 + 1.5] if tank_l < 6 else [x1 + 1.2, x1 + 2.6] if tank_l < 7.8 else [x1 + 0.9, x1 + 2.25, x1 + 3.6]
    cab(b, c, shape, width * 0.98, visor=bool(rng.random() < 0.4))
    truck_frame(b, c, rear_x=x1, width=width, top_z=frame_z, radius=radius, front_axle=-1.0, rear_axles=rears)
    ry, rz = width / 2 - 0.02, rng.uniform(0.72, 0.95)
    zc = frame_z + 0.10 + rz
    skin = np.full((64, 64, 3), 0, np.uint8)
    skin[:] = (np.asarray(livery.base) * 255).astype(np.uint8)
    for row in (13, 45):  # a coloured belt along both flanks
        skin[row : row + 6] = (np.asarray(livery.accent) * 255).astype(np.uint8)
    skin[:, ::16] = (skin[:, ::16] * 0.72).astype(np.uint8)
    shell = b.decal(skin)
    spread = ((0.0, 0.80), (0.06, 0.93), (0.18, 1.0), (tank_l - 0.18, 1.0), (tank_l - 0.06, 0.93), (tank_l, 0.80))
    power = rng.uniform(0.62, 0.95)  # from boxy to elliptical
    rings = []
    for x, k in spread:
        ring = circle(x1 + x, 1.0, 1.0, 0.0, 20)
        flat = np.sign(ring[:, 1:]) * np.abs(ring[:, 1:]) ** power
        ring[:, 1], ring[:, 2] = flat[:, 0] * ry * k, zc + flat[:, 1] * rz * k
        rings.append(ring)
    b.loft(np.stack(rings), shell)
    for x in np.linspace(x1 + 0.5, x0 - 0.5, 4):
        b.box((x, 0, frame_z + 0.06), (0.22, width * 0.75, 0.3), c.dark)
    top = zc + rz
    b.box(((x0 + x1) / 2, 0, top + 0.02), (tank_l - 0.3, 0.62, 0.06), b.steel)
    for x in np.linspace(x1 + 0.8, x0 - 0.8, int(rng.integers(2, 5))):
        b.cylinder((x, 0, top), (x, 0, top + 0.16), 0.27, b.steel, sides=10)
    if rng.random() < 0.7:
        for s in (-1, 1):
            b.railing([(x, s * 0.42, top - 0.02) for x in np.linspace(x1 + 0.3, x0 - 0.3, 4)], 0.45, c.trim, 0.022)
    ladder(b, x1 - 0.04, 0.45, 0.6, top + 0.4, b.steel, along_x=False)
    sill = frame_z - 0.45
    mz = rng.uniform(1.9, 2.3)
    shutter = b.decal(roller_shutter(rng, (0.62, 0.63, 0.64), 32, 64))
    b.box((x0 + module / 2, 0, (sill + mz) / 2), (module - 0.06, width * 0.98, mz - sill), c.base, sides=shutter)
    b.box((x0 + module / 2, 0, mz + 0.02), (module, width, 0.05), c.accent)
    for s in (-1, 1):  # side skirts with hose lockers
        span = x0 - max(rears) - radius - 0.25
        b.box((x0 - span / 2, s * (width / 2 - 0.16), frame_z - 0.28), (span * 0.94, 0.32, 0.46), c.base)
        if rng.random() < 0.6:
            x, z = x0 + module / 2, (sill + mz) / 2 + 0.1
            b.cylinder(
                (x, s * (width / 2 - 0.05), z),
                (x, s * (width / 2 + 0.06), z),
                min(0.36, module * 0.36),
                b.rubber,
                caps=c.accent,
                sides=14,
            )
    fuel = b.decal(sign(str(rng.choice(["JET A-1", "JET A-1", "AVGAS 100LL"])), WHITE, BLACK, 96, 32))
    name = b.decal(sign(livery.operator, *ink(livery), 128, 32))
    for s in (-1, 1):
        y = s * (ry + 0.012)
        b.box((x1 + tank_l * 0.68, y, zc + 0.02), (tank_l * 0.40, 0.03, 0.42), name)
        b.box((x1 + tank_l * 0.26, y, zc + 0.02), (1.25, 0.03, 0.36), fuel)
    b.box((x1 - 0.02, -0.35, zc), (0.03, 0.9, 0.32), fuel)
    red = b.paint(RED)
    b.cylinder(
        (x0 + module * 0.5, -width / 2 - 0.06, sill + 0.25),
        (x0 + module * 0.5, -width / 2 - 0.06, sill + 0.75),
        0.08,
        red,
        sides=8,
    )
    lightbar(b, -shape.hood - shape.rake - 0.4, shape.roof_z - 0.01, 1.2)
    unit_plate(b, livery, [((x1 - 0.02, 0.9, zc - 0.1), 0.0, 0.4)], 0.2)


def _dispenser(b: Builder, c: Coat, livery: Livery) -> None:
    rng = b.rng
    shape = bonnet_cab(rng, 2.2) if rng.random() < 0.4 else cab_over(rng, 2.3)
    width, radius, frame_z, body_l = rng.uniform(2.05, 2.35), 0.40, 0.82, rng.uniform(3.6, 4.8)
    x0, x1 = -shape.length - 0.1, -shape.length - 0.1 - body_l
    cab(b, c, shape, width * 0.97)
    truck_frame(b, c, rear_x=x1, width=width, top_z=frame_z, radius=radius, front_axle=-0.85, rear_axles=[x1 + 1.1])
    b.box(((x0 + x1) / 2, 0, frame_z + 0.03), (body_l, width * 0.97, 0.08), c.base, sides=c.hazard)
    panels = b.decal(body_panels(rng, livery.base, 2, 64, 64, livery.accent))
    high = rng.uniform(0.7, 1.0)
    b.box((x0 - 0.55, 0, frame_z + 0.05 + high / 2), (1.0, width * 0.94, high), c.base, sides=panels)
    lift = float(rng.choice([0.0, rng.uniform(0.6, 1.8)]))
    deck_l = body_l * rng.uniform(0.40, 0.5)
    xm, deck = x1 + deck_l / 2 + 0.15, frame_z + 0.75 + lift
    scissor(b, xm, frame_z + 0.1, deck - 0.06, deck_l * 0.85, width * 0.3, c.trim)
    b.box((xm, 0, deck), (deck_l, width * 0.9, 0.12), b.steel, sides=c.hazard)
    e, f = deck_l / 2 - 0.05, width * 0.42
    b.railing(
        [
            (xm + e, -f, deck),
            (xm + e, f, deck),
            (xm, f, deck),
            (xm - e, f, deck),
            (xm - e, -f, deck),
            (xm, -f, deck),
            (xm + e, -f, deck),
        ],
        1.1,
        b.paint(YELLOW) if rng.random() < 0.6 else c.accent,
        0.028,
    )
    b.box((xm + e - 0.2, 0, deck + 0.45), (0.3, width * 0.5, 0.8), c.base)
    x = x0 - 1.45
    for s in (-1, 1):
        b.cylinder(
            (x, s * 0.12, frame_z + 0.55),
            (x, s * (width / 2 - 0.08), frame_z + 0.55),
            0.44,
            b.rubber,
            caps=c.accent,
            sides=16,
        )
        b.cylinder(
            (x, s * (width / 2 - 0.09), frame_z + 0.55), (x, s * (width / 2), frame_z + 0.55), 0.16, b.steel, sides=8
        )
    b.cylinder((x1 + 0.45, -0.6, frame_z + 0.32), (x1 + 0.45, 0.6, frame_z + 0.32), 0.22, b.steel, sides=12)
    y = -width / 2 - 0.05  # the intake arm with its coupler
    b.tube(
        [(x0 - 0.4, y, frame_z + 0.2), (x0 - 0.3, y, 0.5), (x0 - 1.6, y, 0.42), (x0 - 1.9, y, 0.62)],
        0.06,
        b.rubber,
        sides=8,
    )
    b.cylinder((x0 - 1.9, y, 0.62), (x0 - 2.1, y, 0.66), 0.11, c.accent, sides=8)
    fuel = b.decal(sign("JET A-1", WHITE, BLACK, 96, 32))
    name = b.decal(sign(livery.operator, *ink(livery), 128, 32))
    for s in (-1, 1):
        b.box((xm, s * (width * 0.45 + 0.02), deck + 0.75), (deck_l * 0.8, 0.02, 0.34), name)
        b.box((x0 - 0.55, s * (width * 0.47 + 0.012), frame_z + high - 0.1), (0.9, 0.02, 0.24), fuel)
    lightbar(b, -shape.hood - shape.rake - 0.4, shape.roof_z - 0.01, 1.0)
    unit_plate(b, livery, [((x1 - 0.07, 0, frame_z - 0.1), 0.0, 0.4)], 0.18)
