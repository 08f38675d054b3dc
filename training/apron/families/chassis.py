"""Running gear and cabs shared by the ground support families."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.apron.families.livery import BLACK, WHITE, YELLOW, Coat, Livery, sign
from training.apron.solids import Builder, Swatch, Xyz

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CabShape:
    """Side view of a cab: lengths from the bumper backwards, heights above the ground; metres."""

    length: float
    floor_z: float
    nose_z: float  # upper front edge of the grille
    hood: float  # length of the bonnet
    belt_z: float  # lower edge of the windows
    rake: float  # horizontal run of the windscreen
    roof_z: float


def cab_over(rng: np.random.Generator, roof_z: float = 2.75) -> CabShape:
    """A flat-faced lorry cab."""
    k = float(rng.uniform(0.95, 1.06))
    belt = 0.55 * roof_z
    return CabShape(1.75 * k, 0.55, belt - 0.05, 0.05, belt, float(rng.uniform(0.14, 0.34)), roof_z * k)


def low_cab(rng: np.random.Generator, roof_z: float = 1.95) -> CabShape:
    """A crouching cab that passes under a platform."""
    belt = 0.38 + 0.36 * roof_z
    return CabShape(
        float(rng.uniform(1.6, 1.85)), 0.38, belt - 0.06, 0.08, belt, float(rng.uniform(0.22, 0.42)), roof_z
    )


def bonnet_cab(rng: np.random.Generator, roof_z: float = 2.25) -> CabShape:
    """A light van or pickup cab with an engine bonnet."""
    belt = 0.57 * roof_z
    hood = float(rng.uniform(0.6, 1.0))
    return CabShape(hood + 1.85, 0.42, belt - 0.16, hood, belt, float(rng.uniform(0.5, 0.75)), roof_z)


def any_cab(rng: np.random.Generator) -> CabShape:
    """One of the three cab kinds, as tall as on a heavy lorry."""
    kind = int(rng.integers(4))
    if kind == 0:
        return bonnet_cab(rng, float(rng.uniform(2.3, 2.55)))
    if kind == 1:
        return low_cab(rng, float(rng.uniform(2.1, 2.3)))
    return cab_over(rng, float(rng.uniform(2.45, 2.85)))


def plates(b: Builder, outline: Sequence[Point], half_width: float, paint: Swatch, thick: float = 0.014) -> None:
    """The same thin (x, z) plate on both flanks: windows, door seams, arches."""
    for side in (-1, 1):
        b.prism(outline, side * (half_width - 0.01), side * (half_width + thick), paint)


def slope(b: Builder, low: Point, high: Point, half_width: float, paint: Swatch, thick: float = 0.014) -> None:
    """A thin panel on a sloping face between two (x, z) points; it swells forward when ``low`` is the lower end."""
    dx, dz = high[0] - low[0], high[1] - low[1]
    length = math.hypot(dx, dz)
    nx, nz = dz / length * thick, -dx / length * thick
    b.prism([low, (low[0] + nx, low[1] + nz), (high[0] + nx, high[1] + nz), high], -half_width, half_width, paint)


def lerp(a: Point, c: Point, t: float) -> Point:
    """The point a fraction ``t`` of the way from ``a`` to ``c``."""
    return a[0] + t * (c[0] - a[0]), a[1] + t * (c[1] - a[1])


def beam(b: Builder, p0: Xyz, p1: Xyz, width: float, depth: float, paint: Swatch) -> None:
    """A rectangular bar between two points with the same y."""
    dx, dz = p1[0] - p0[0], p1[2] - p0[2]
    middle = [(p0[i] + p1[i]) / 2 for i in range(3)]
    b.box(middle, (math.hypot(dx, dz), width, depth), paint, pitch=-math.atan2(dz, dx))


def ram(b: Builder, p0: Xyz, p1: Xyz, radius: float, paint: Swatch) -> None:
    """A hydraulic cylinder and its bright rod."""
    half = [(p0[i] + p1[i]) / 2 for i in range(3)]
    b.cylinder(p0, half, radius, paint, sides=8)
    b.cylinder(half, p1, radius * 0.6, b.steel, sides=6)


def scissor(b: Builder, x: float, z0: float, z1: float, arm: float, half_width: float, paint: Swatch) -> None:
    """Crossing lift arms about ``x`` between two heights, as many storeys as the arms need."""
    rise = max(z1 - z0, 0.05)
    storeys = max(1, math.ceil(rise / (0.80 * arm)))
    step = rise / storeys
    run = math.sqrt(max(arm**2 - step**2, (0.4 * arm) ** 2)) / 2
    for k in range(storeys):
        low, high = z0 + k * step, z0 + (k + 1) * step
        for side in (-1, 1):
            y = side * half_width
            beam(b, (x - run, y, low), (x + run, y, high), 0.07, 0.15, paint)
            beam(b, (x + run, y - side * 0.08, low), (x - run, y - side * 0.08, high), 0.07, 0.15, paint)
        b.cylinder((x, -half_width, (low + high) / 2), (x, half_width, (low + high) / 2), 0.05, b.steel, sides=6)
    ram(b, (x - run * 0.7, 0, z0), (x + run * 0.3, 0, z0 + 0.65 * step), 0.08, b.steel)


def arch(b: Builder, x: float, half_width: float, radius: float, centre_z: float, dark: Swatch) -> None:
    """A dark wheel opening on both flanks of a body."""
    angle = np.linspace(0, np.pi, 9)
    outline = [(x + radius * math.cos(a), centre_z + radius * math.sin(a)) for a in angle]
    plates(b, outline, half_width, dark, 0.006)


def mudguard(b: Builder, x: float, track: float, radius: float, width: float, paint: Swatch) -> None:
    """Curved guards above both wheels of an axle."""
    angle = np.linspace(0.15 * np.pi, 0.85 * np.pi, 6)
    ring = [
        (x + r * math.cos(a), radius + r * math.sin(a))
        for r, sweep in ((radius * 1.28, angle), (radius * 1.2, angle[::-1]))
        for a in sweep
    ]
    for side in (-1, 1):
        b.prism(ring, side * track / 2 - width / 2, side * track / 2 + width / 2, paint)


def mirrors(b: Builder, x: float, half_width: float, z: float, paint: Swatch, size: float = 1.0) -> None:
    """Door mirrors on arms."""
    for side in (-1, 1):
        y = side * (half_width + 0.16 * size)
        b.tube([(x - 0.05, side * half_width, z + 0.1), (x, y, z + 0.14 * size)], 0.02, paint, sides=4)
        b.box((x, y, z - 0.05), (0.08, 0.17 * size, 0.34 * size), paint, back=b.glass)


def lightbar(b: Builder, x: float, z: float, width: float) -> None:
    """A roof bar with amber lamps at both ends."""
    b.box((x, 0, z + 0.03), (0.16, width, 0.06), b.rubber)
    for side in (-1, 1):
        b.lamp((x, side * width * 0.36, z + 0.10), (0.2, width * 0.28, 0.11), (1.0, 0.62, 0.05))


def unit_plate(b: Builder, livery: Livery, places: Sequence[tuple[Xyz, float, float]], height: float = 0.22) -> None:
    """The unit number on thin plates at (centre, yaw, width)."""
    inks = (WHITE, BLACK) if sum(livery.base) < 1.5 else (BLACK, YELLOW if livery.base != YELLOW else WHITE)
    plate = b.decal(sign(livery.unit, inks[0], inks[1], 64, 32))
    for centre, yaw, width in places:
        b.box(centre, (0.012, width, height), plate, yaw=yaw)


def ladder(b: Builder, x: float, y: float, z0: float, z1: float, paint: Swatch, along_x: bool = True) -> None:
    """A vertical ladder; its rungs run along x or along y."""
    dx, dy = (0.19, 0.0) if along_x else (0.0, 0.19)
    for s in (-1, 1):
        b.cylinder((x + s * dx, y + s * dy, z0), (x + s * dx, y + s * dy, z1), 0.022, paint, sides=4)
    for z in np.arange(z0 + 0.12, z1, 0.3):
        b.cylinder((x - dx, y - dy, z), (x + dx, y + dy, z), 0.018, paint, sides=4)


def seat(b: Builder, x: float, y: float, z: float, paint: Swatch, wheel: bool = True) -> None:
    """A driver's seat facing +x with a steering wheel."""
    b.box((x, y, z + 0.12), (0.46, 0.46, 0.24), paint)
    b.box((x - 0.24, y, z + 0.42), (0.12, 0.46, 0.55), paint, pitch=-0.12)
    if wheel:
        b.cylinder((x + 0.62, y, z + 0.05), (x + 0.45, y, z + 0.48), 0.025, b.steel, sides=4)
        b.cylinder((x + 0.455, y, z + 0.475), (x + 0.445, y, z + 0.50), 0.19, b.rubber, sides=10)


def stabilisers(b: Builder, xs: Sequence[float], half_width: float, z: float, paint: Swatch) -> None:
    """Outrigger legs with round feet."""
    for x in xs:
        for side in (-1, 1):
            y = side * half_width
            b.box((x, side * (half_width - 0.12), z), (0.16, 0.34, 0.16), paint)
            b.cylinder((x, y, 0.05), (x, y, z + 0.12), 0.05, b.steel, sides=6)
            b.cylinder((x, y, 0.0), (x, y, 0.05), 0.15, paint, sides=8)


def cab(
    b: Builder,
    c: Coat,
    shape: CabShape,
    width: float,
    *,
    front_x: float = 0.0,
    y: float = 0.0,
    visor: bool = False,
    band: bool = True,
    glazed_back: bool = True,
    lamps: bool = True,
) -> None:
    """A closed driver's cab behind ``front_x``: shell, glass, door seams, grille, bumper, mirrors, lamps."""
    s, half = shape, width / 2
    xw, xr = -s.hood, -s.hood - s.rake  # foot and head of the windscreen
    roof = s.roof_z
    with b.at(x=front_x, y=y):
        b.prism(
            [
                (-s.length, s.floor_z),
                (-0.02, s.floor_z),
                (0.0, s.floor_z + 0.25),
                (-0.03, s.nose_z),
                (xw, s.belt_z),
                (xr, roof - 0.07),
                (xr - 0.16, roof),
                (-s.length + 0.05, roof - 0.02),
                (-s.length, roof - 0.12),
            ],
            -half,
            half,
            c.base,
        )
        slope(
            b,
            lerp((xw, s.belt_z), (xr, roof - 0.07), 0.04),
            lerp((xw, s.belt_z), (xr, roof - 0.07), 0.93),
            half - 0.07,
            b.glass,
        )
        pillar = -s.length + 0.16
        low, high = s.belt_z + 0.03, roof - 0.17
        a0 = lerp((xw, s.belt_z), (xr, roof - 0.07), 0.06)[0] - 0.13
        a1 = lerp((xw, s.belt_z), (xr, roof - 0.07), 0.86)[0] - 0.11
        plates(b, [(pillar, low), (a0, low), (a1, high), (pillar + 0.05, high)], half, b.glass)
        door = min(a0, xw - 0.1)
        for x in (door + 0.02, pillar - 0.05):
            plates(
                b,
                [(x - 0.011, s.floor_z + 0.12), (x + 0.011, s.floor_z + 0.12), (x + 0.011, low), (x - 0.011, low)],
                half,
                c.dark,
                0.004,
            )
        if s.length > s.hood + 1.35:  # a quarter pillar divides the side glass
            x = lerp((a0, 0), (pillar, 0), 0.42)[0]
            plates(b, [(x - 0.03, low), (x + 0.03, low), (x + 0.03, high), (x - 0.03, high)], half, c.base, 0.02)
        plates(
            b,
            [
                (pillar + 0.04, low - 0.16),
                (pillar + 0.2, low - 0.16),
                (pillar + 0.2, low - 0.11),
                (pillar + 0.04, low - 0.11),
            ],
            half,
            c.dark,
            0.03,
        )
        if band:
            z = s.floor_z + 0.42 * (s.belt_z - s.floor_z)
            plates(b, [(-s.length, z), (-0.04, z), (-0.04, z + 0.14), (-s.length, z + 0.20)], half, c.accent, 0.006)
        if glazed_back:
            b.box((-s.length - 0.005, 0, (low + high) / 2), (0.02, width * 0.6, (high - low) * 0.8), b.glass)
        grille = (s.nose_z - s.floor_z - 0.3) * 0.45
        b.box((-0.015, 0, s.floor_z + 0.32 + grille / 2), (0.05, width * 0.62, grille), c.dark)
        b.box((0.04, 0, s.floor_z + 0.10), (0.16, width * 1.01, 0.24), c.trim)
        b.box((0.13, 0, s.floor_z + 0.10), (0.015, 0.52, 0.11), b.paint(WHITE))
        mirrors(b, xw - 0.12, half, s.belt_z + 0.32, c.dark, 1.1 if s.roof_z > 2.2 else 0.8)
        if visor:
            b.box((xr + 0.06, 0, roof - 0.06), (0.24, width * 0.94, 0.04), c.accent, pitch=0.35)
        if lamps:
            for side in (-1, 1):
                b.lamp((0.005, side * (half - 0.2), s.floor_z + 0.38), (0.05, 0.26, 0.16), (1.0, 0.97, 0.85))
                b.lamp((0.005, side * (half - 0.04), s.floor_z + 0.40), (0.05, 0.07, 0.14), (1.0, 0.62, 0.05))


def truck_frame(
    b: Builder,
    c: Coat,
    *,
    rear_x: float,
    width: float,
    top_z: float,
    radius: float,
    front_axle: float,
    rear_axles: Sequence[float],
    hub: Swatch | None = None,
) -> None:
    """Ladder frame from the bumper to ``rear_x`` with axles, mudguards, side boxes, rear bar and tail lamps."""
    deep = 0.26
    for side in (-1, 1):
        b.box((rear_x / 2 - 0.2, side * 0.42, top_z - deep / 2), (-rear_x - 0.3, 0.12, deep), c.dark)
    for x in np.linspace(rear_x + 0.15, -0.6, 4):
        b.box((x, 0, top_z - deep / 2), (0.14, 0.8, 0.2), c.dark)
    b.axle(front_axle, width - 0.30, radius, 0.27, hub)
    b.box((front_axle, 0, radius), (0.14, width - 0.5, 0.14), c.dark)
    for x in rear_axles:
        b.axle(x, width - 0.50, radius, 0.50, hub)
        b.box((x, 0, radius), (0.16, width - 0.7, 0.16), c.dark)
        mudguard(b, x, width - 0.5, radius, 0.54, c.dark)
    gap0, gap1 = front_axle - radius - 0.45, max(rear_axles) + radius + 0.3
    if gap0 - gap1 > 0.9:
        middle, span = (gap0 + gap1) / 2, gap0 - gap1
        for side in (-1, 1):
            y = side * (width / 2 - 0.28)
            b.box((middle + 0.2 * span, y, top_z - 0.36), (0.46 * span, 0.44, 0.46), b.steel if side < 0 else c.dark)
            b.box((middle - 0.27 * span, y, top_z - 0.34), (0.34 * span, 0.42, 0.40), c.dark)
    b.box((rear_x, 0, 0.52), (0.1, width * 0.94, 0.16), c.trim, back=c.hazard)
    for side in (-1, 1):
        b.box((rear_x + 0.05, side * (width / 2 - 0.30), top_z - 0.17), (0.06, 0.46, 0.17), c.dark)
        b.lamp((rear_x - 0.01, side * (width / 2 - 0.30), top_z - 0.17), (0.05, 0.32, 0.12), (0.85, 0.06, 0.04))


def glasshouse(
    b: Builder,
    c: Coat,
    x0: float,
    x1: float,
    width: float,
    z0: float,
    z1: float,
    *,
    y: float = 0.0,
    sill: float = 0.1,
    rake: float = 0.18,
    back_rake: float = 0.1,
    roof: Swatch | None = None,
    shell: Swatch | None = None,
) -> None:
    """A small cab glazed all round between ``x0`` (front) and ``x1``, with ``sill`` metres of sheet below the glass."""
    half, zs, eave = width / 2, z0 + sill, z1 - 0.07
    front, rear = ((x0, zs), (x0 - rake, eave)), ((x1, zs), (x1 + back_rake, eave))
    with b.at(y=y):
        b.prism([(x1, z0), (x0, z0), *front, *rear[::-1]], -half, half, shell or c.base)
        slope(b, lerp(*front, 0.06), lerp(*front, 0.92), half - 0.06, b.glass)
        slope(b, lerp(*rear, 0.92), lerp(*rear, 0.08), half - 0.08, b.glass)
        middle = (x0 - rake * 0.5 + x1 + back_rake * 0.5) / 2 - 0.05 * (x0 - x1)
        f0, f1, r0, r1 = lerp(*front, 0.06), lerp(*front, 0.92), lerp(*rear, 0.06), lerp(*rear, 0.92)
        plates(
            b,
            [(middle + 0.04, f0[1]), (f0[0] - 0.08, f0[1]), (f1[0] - 0.07, f1[1]), (middle + 0.04, f1[1])],
            half,
            b.glass,
        )
        plates(
            b,
            [(r0[0] + 0.08, r0[1]), (middle - 0.03, r0[1]), (middle - 0.03, r1[1]), (r1[0] + 0.07, r1[1])],
            half,
            b.glass,
        )
        b.box(
            ((x0 - rake + x1 + back_rake) / 2, 0, z1 - 0.035),
            (x0 - rake - x1 - back_rake + 0.16, width + 0.08, 0.075),
            roof or c.base,
            taper=(0.96, 0.94),
        )
