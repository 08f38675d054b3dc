"""Service lorries built around a tank of their own; passenger and fuel vehicles are re-exported here."""

from __future__ import annotations

import math

import numpy as np

from training.apron.families.cars import bus, service_van
from training.apron.families.chassis import (
    any_cab,
    bonnet_cab,
    cab,
    cab_over,
    glasshouse,
    ladder,
    lightbar,
    ram,
    scissor,
    truck_frame,
    unit_plate,
)
from training.apron.families.livery import (
    WHITE,
    YELLOW,
    Coat,
    coat,
    draw_livery,
    ink,
    logo_panel,
    sign,
    vents,
)
from training.apron.families.tankers import fuel_bowser
from training.apron.solids import Asset, Builder

__all__ = ["bus", "de_icer", "fuel_bowser", "lavatory_truck", "service_van"]


def lavatory_truck(rng: np.random.Generator) -> Asset:
    """A light lorry with a waste tank, a lift basket at the rear and fat hoses."""
    b, livery = Builder(rng), draw_livery(rng)
    c = coat(b, livery)
    shape = bonnet_cab(rng, rng.uniform(2.05, 2.25)) if rng.random() < 0.45 else cab_over(rng, rng.uniform(2.15, 2.35))
    width, radius, frame_z, tank_l = rng.uniform(1.95, 2.25), 0.37, 0.78, rng.uniform(2.2, 3.2)
    basket = rng.uniform(1.1, 1.4)
    x0 = -shape.length - 0.1
    x1, rear = x0 - tank_l, x0 - tank_l - basket - 0.1
    cab(b, c, shape, width * 0.96)
    truck_frame(b, c, rear_x=rear, width=width, top_z=frame_z, radius=radius, front_axle=-0.8, rear_axles=[rear + 1.25])
    b.box(((x0 + rear) / 2, 0, frame_z + 0.03), (x0 - rear, width * 0.95, 0.08), c.trim)
    half, high = width * 0.46, rng.uniform(1.0, 1.35)
    z0, z1 = frame_z + 0.07, frame_z + 0.07 + high
    name = b.decal(logo_panel(rng, livery, 128, 64))
    if rng.random() < 0.5:  # a tank with bevelled shoulders
        rings = [
            np.array(
                [
                    (x, 0, z0),
                    (x, half, z0),
                    (x, half, z1 - 0.35),
                    (x, half - 0.35, z1),
                    (x, -half + 0.35, z1),
                    (x, -half, z1 - 0.35),
                    (x, -half, z0),
                ]
            )
            for x in (x1, x0)
        ]
        b.loft(np.stack(rings), c.base)
        logo_h = high - 0.42
    else:
        b.prism([(x1, z0), (x0, z0), (x0, z1), (x1 + 0.6, z1), (x1, z1 - 0.45)], -half, half, c.base)
        logo_h = high - 0.5
    for s in (-1, 1):
        b.box(((x0 + x1) / 2 + 0.15, s * (half + 0.008), z0 + 0.06 + logo_h / 2), (tank_l * 0.66, 0.02, logo_h), name)
        b.box(((x0 + x1) / 2, s * (half + 0.03), z0 + 0.03), (tank_l, 0.02, 0.1), c.hazard)
    for x in np.linspace(x1 + 0.7, x0 - 0.5, 2):
        b.cylinder((x, 0, z1 - 0.02), (x, 0, z1 + 0.14), 0.22, b.steel, sides=10)
    hose = b.paint(((0.10, 0.22, 0.50), (0.50, 0.30, 0.10), (0.12, 0.30, 0.22))[int(rng.integers(3))])
    side = float(rng.choice([-1, 1]))
    lift = float(rng.choice([0.0, rng.uniform(0.5, 2.0)]))
    deck = frame_z + 0.12 + lift
    xm, e, f = rear + basket / 2, basket / 2 - 0.05, width * 0.42
    b.box((xm, 0, deck), (basket, width * 0.9, 0.1), b.steel, back=c.hazard, sides=c.hazard)
    rail = b.paint(YELLOW) if rng.random() < 0.6 else b.steel
    b.railing(
        [(xm + e, -f, deck), (xm + e, f, deck), (xm - e, f, deck), (xm - e, -f, deck), (xm + e, -f, deck)],
        1.05,
        rail,
        0.026,
    )
    b.box((xm - e + 0.1, 0, deck + 0.5), (0.16, width * 0.5, 0.5), c.base)
    if lift:
        scissor(b, xm, frame_z + 0.1, deck - 0.05, basket * 0.95, width * 0.3, c.trim)
    for k in range(int(rng.integers(1, 3))):  # the waste hose, stowed in a loop on the flank
        y = side * (half + 0.13 + 0.02 * k)
        arc = [
            (x1 + 0.35 + 0.5 * tank_l * t, y, z0 + 0.55 - 0.25 * k - 0.42 * math.sin(math.pi * t))
            for t in np.linspace(0, 1, 7)
        ]
        b.tube(
            [(x1 - 0.15, side * half * 0.7, z0 + 0.35), *arc, (arc[-1][0] + 0.05, side * half, arc[-1][2] + 0.2)],
            0.065,
            hose,
            sides=7,
        )
    b.tube(
        [
            (xm + e, side * f * 0.6, deck + 0.1),
            (xm, side * f * 0.6, deck + 0.75),
            (xm - e - 0.1, side * f * 0.6, deck + 0.5),
            (xm - e - 0.12, side * f * 0.6, deck - 0.15),
        ],
        0.065,
        hose,
        sides=7,
    )
    text = b.decal(sign(str(rng.choice(["LAVATORY", "TOILET", "WATER", "WASTE"])), *ink(livery), 96, 32))
    b.box((xm - e - 0.04, 0, deck + 0.78), (0.02, width * 0.6, 0.24), text)
    b.box((x0 + 0.02, 0, z1 - 0.15), (0.03, width * 0.6, 0.2), text)
    ladder(b, x1 + 0.5, -side * (half + 0.06), 0.5, z1, b.steel)
    lightbar(b, -shape.hood - shape.rake - 0.35, shape.roof_z - 0.01, 0.9)
    unit_plate(b, livery, [((x0 - 0.3, s * (half + 0.02), z1 - 0.5), s * math.pi / 2, 0.4) for s in (-1, 1)], 0.2)
    return b.asset("lavatory_truck", 0.3)


def de_icer(rng: np.random.Generator) -> Asset:
    """A fluid tank lorry with a long boom that carries a spray basket or cabin."""
    b, livery = Builder(rng), draw_livery(rng)
    c = coat(b, livery)
    shape, width, radius, frame_z = any_cab(rng), rng.uniform(2.35, 2.55), 0.48, 1.0
    tank_l, high, half = rng.uniform(4.2, 5.8), rng.uniform(1.25, 1.6), width * 0.48
    x0 = -shape.length - 0.15
    x1 = x0 - tank_l
    rear = x1 - rng.uniform(0.5, 1.1)
    rears = [rear + 1.6] if tank_l < 5.2 else [rear + 1.1, rear + 2.35]
    cab(b, c, shape, width * 0.98, visor=bool(rng.random() < 0.3))
    truck_frame(b, c, rear_x=rear, width=width, top_z=frame_z, radius=radius, front_axle=-0.95, rear_axles=rears)
    b.box(((x0 + rear) / 2, 0, frame_z + 0.04), (x0 - rear, width * 0.97, 0.1), c.trim)
    z0, z1 = frame_z + 0.09, frame_z + 0.09 + high
    cut = rng.uniform(0.2, 0.5)
    rings = [
        np.array(
            [
                (x, 0, z0),
                (x, half, z0),
                (x, half, z1 - cut),
                (x, half - cut, z1),
                (x, cut - half, z1),
                (x, -half, z1 - cut),
                (x, -half, z0),
            ]
        )
        for x in (x1, x0)
    ]
    b.loft(np.stack(rings), c.base)
    b.box(((x0 + x1) / 2, 0, z1 + 0.02), (tank_l * 0.96, 0.7, 0.05), b.steel)
    split, flank = tank_l * rng.uniform(0.26, 0.34), high - cut
    art = b.decal(logo_panel(rng, livery, 128, 64))
    heater = b.decal(vents(rng, livery.base, 2, 64, 64))
    fluid = b.decal(sign(str(rng.choice(["TYPE I", "TYPE IV", "DE-ICING", "GLYCOL"])), *ink(livery), 96, 32))
    for s in (-1, 1):
        y = s * (half + 0.01)
        b.box(((x0 + x1 - split) / 2, y, z0 + flank / 2 + 0.03), (tank_l - split - 0.15, 0.02, flank - 0.1), art)
        b.box((x0 - split / 2, y, z0 + flank / 2 + 0.03), (split - 0.12, 0.02, flank - 0.1), heater)
        b.box(((x0 + x1) / 2, s * (half + 0.02), z0 - 0.03), (tank_l, 0.03, 0.12), c.hazard)
        b.box((x0 - split / 2, s * (width / 2 - 0.16), 0.72), (split, 0.3, 0.5), c.base)
    b.box((x1 - 0.02, 0, z0 + high * 0.45), (0.03, width * 0.66, 0.26), fluid)
    for x in (x0 - 0.5, x0 - split):
        b.cylinder((x, half - cut - 0.15, z1), (x, half - cut - 0.15, z1 + 0.35), 0.09, b.steel, sides=8)
    ladder(b, x1 - 0.06, -0.5, 0.7, z1 + 0.3, b.steel, along_x=False)
    lightbar(b, -shape.hood - shape.rake - 0.4, shape.roof_z - 0.01, 1.2)
    unit_plate(b, livery, [((x1 - 0.02, 0.7, z1 - 0.2), 0.0, 0.4)], 0.2)
    _boom(b, c, x1 + rng.uniform(0.5, 0.9), max(z1, shape.roof_z - 0.3), z1, -0.7)
    return b.asset("de_icer", 0.35)


def _boom(b: Builder, c: Coat, x: float, pivot_z: float, tank_z: float, front_x: float) -> None:
    """Turret, telescopic boom, spray cabin or basket, and the nozzle; stowed over the cab or at work."""
    rng = b.rng
    stowed = rng.random() < 0.35
    rise = math.radians(2.0 if stowed else rng.uniform(14, 52))
    turn = 0.0 if stowed else float(rng.uniform(-0.9, 0.9))
    reach = (front_x - x) * float(rng.uniform(0.82, 0.95) if stowed else rng.uniform(0.8, 1.15))
    paint = (c.base, c.accent, c.trim, b.paint(WHITE))[int(rng.integers(4))]
    z = pivot_z + 0.45
    b.cylinder((x, 0, tank_z - 0.05), (x, 0, z - 0.2), 0.34, c.dark, sides=12)
    with b.at(x=x, z=z, yaw=turn):
        for s in (-1, 1):
            b.prism([(-0.35, -0.3), (0.3, -0.3), (0.18, 0.18), (-0.18, 0.18)], s * 0.2, s * 0.28, c.trim)
        with b.at(pitch=-rise):
            b.box((reach * 0.28, 0, 0), (reach * 0.62, 0.34, 0.36), paint)
            b.box((reach * 0.72, 0, 0), (reach * 0.56, 0.24, 0.26), b.steel)
            b.box((reach * 0.30, 0, 0.06), (0.5, 0.35, 0.2), c.hazard)
            b.tube([(0.1, 0.2, 0.16), (reach * 0.5, 0.2, 0.2), (reach * 0.97, 0.15, 0.1)], 0.04, b.rubber, sides=5)
        foot = (0.25, 0.0, -0.25)
        ram(b, foot, (reach * 0.3 * math.cos(rise), 0.0, reach * 0.3 * math.sin(rise) - 0.14), 0.09, c.dark)
        tip_x, tip_z = reach * math.cos(rise), reach * math.sin(rise)
        with b.at(x=tip_x, z=tip_z):
            b.box((0.1, 0, -0.1), (0.4, 0.4, 0.3), c.dark)
            if rng.random() < 0.55:
                glasshouse(b, c, 1.35, 0.2, 1.1, -0.25, 1.65, sill=0.45, rake=0.1, back_rake=0.05)
                b.beacon((0.7, 0, 1.65), 0.08)
                tool = (1.35, 0.9)
            else:
                b.box((0.75, 0, -0.2), (1.15, 1.2, 0.08), b.steel)
                b.box((0.75, 0, 0.05), (1.15, 1.2, 0.45), c.accent)
                b.railing(
                    [(0.2, -0.58, -0.2), (1.3, -0.58, -0.2), (1.3, 0.58, -0.2), (0.2, 0.58, -0.2), (0.2, -0.58, -0.2)],
                    1.1,
                    b.paint(YELLOW),
                    0.026,
                )
                tool = (1.3, 0.7)
            nose = float(rng.uniform(0.6, 1.1))
            b.tube([(tool[0] - 0.1, -0.3, tool[1] - 0.6), (tool[0] + nose, -0.3, tool[1] - 0.45)], 0.04, b.steel)
            b.cylinder(
                (tool[0] + nose, -0.3, tool[1] - 0.45),
                (tool[0] + nose + 0.25, -0.3, tool[1] - 0.5),
                0.08,
                c.trim,
                r1=0.12,
                sides=8,
            )
