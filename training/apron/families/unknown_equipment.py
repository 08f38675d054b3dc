"""Equipment whose type training never shows: robots, lifts, containers, carts and other loose machines."""

from __future__ import annotations

import itertools

import numpy as np

from training.apron.families import surfaces
from training.apron.families.shapes import lively, oblong, uniform
from training.apron.families.unknown_luggage import trolley_case
from training.apron.families.unknown_machines import (
    cable_reel,
    forklift,
    inspection_robot,
    mobile_crane_hoist,
)
from training.apron.solids import Asset, Builder, Rgb

__all__ = [
    "baggage_robot",
    "cable_reel",
    "forklift",
    "hand_cart",
    "inspection_robot",
    "loose_container",
    "mobile_crane_hoist",
    "portable_generator",
    "scissor_lift",
]


def _glow_band(b: Builder, x: float, y: float, z: float, rgb: Rgb) -> None:
    """A light strip along both flanks and the nose."""
    for side in (-1, 1):
        b.lamp((0, side * y, z), (1.4 * x, 0.02, 0.045), rgb)
    b.lamp((x, 0, z), (0.02, 1.3 * y, 0.045), rgb)


def baggage_robot(rng: np.random.Generator) -> Asset:
    """A low autonomous carrier with a rounded shell, sensors, light strips, perhaps with bags on its deck."""
    b = Builder(rng)
    length, width, height = uniform(rng, 1.5, 3.0), uniform(rng, 0.85, 1.5), uniform(rng, 0.38, 0.75)
    shell = b.paint(
        surfaces.jitter(
            rng,
            ((0.90, 0.91, 0.92), (0.80, 0.83, 0.86), (0.13, 0.14, 0.16), (0.93, 0.60, 0.08))[int(rng.integers(4))],
            0.03,
        ),
        grain=0.06,
    )
    dark, accent = b.paint((0.07, 0.075, 0.085), grain=0.2), b.paint(lively(rng), grain=0.06)
    glow: Rgb = ((0.15, 0.75, 1.0), (0.25, 1.0, 0.55), (0.55, 0.6, 1.0))[int(rng.integers(3))]
    clear, soft = 0.09, uniform(rng, 0.15, 0.35) * width
    b.slab(oblong(length * 0.97, width * 0.95, soft), clear * 0.6, clear + 0.14 * height, dark)
    layers = np.array([(0.10, 1.0), (0.45, 1.0), (0.72, 0.985), (0.88, 0.95), (0.97, 0.88), (1.0, 0.80)])
    steps = [(clear + (height - clear) * level, grow) for level, grow in layers]
    for (z0, g0), (z1, _) in itertools.pairwise(steps):
        outline = [(x * (1 - (1 - g0) * 0.5), y * g0) for x, y in oblong(length, width, soft, 6)]
        b.slab(
            outline,
            z0,
            z1 + 0.002,
            accent if 0.44 < (z0 - clear) / (height - clear) < 0.5 and rng.random() < 0.5 else shell,
            top=shell,
        )
    for x in (-0.32 * length, 0.32 * length):
        b.axle(x, width * 0.86, min(0.16, height * 0.35), 0.12)
    _glow_band(b, length / 2 + 0.002, width / 2 + 0.004, clear + 0.36 * (height - clear), glow)
    b.box((length / 2 - 0.01, 0, clear + 0.62 * (height - clear)), (0.05, width * 0.55, 0.10 * height), b.glass)
    for x, y in ((0.42, 0.36), (-0.42, -0.36)):  # lidar pucks
        if rng.random() < 0.8:
            b.cylinder(
                (x * length, y * width, height - 0.05), (x * length, y * width, height + 0.07), 0.06, dark, sides=12
            )
    style = int(rng.integers(4))
    if style == 0:
        b.box((0, 0, height + 0.015), (length * 0.66, width * 0.7, 0.05), dark)
        for x in np.arange(-0.3, 0.31, 0.1) * length:
            b.cylinder((x, -width * 0.33, height + 0.04), (x, width * 0.33, height + 0.04), 0.03, b.steel, sides=8)
    elif style == 1:
        for i in range(int(rng.integers(1, 4))):
            _suitcase(b, (-0.25 + 0.27 * i) * length, uniform(rng, -0.1, 0.1), height + 0.01, uniform(rng, 0.5, 0.75))
    elif style == 2:
        mast = uniform(rng, 0.35, 0.9)
        b.cylinder((0.36 * length, 0, height - 0.03), (0.36 * length, 0, height + mast), 0.04, dark)
        b.box((0.36 * length, 0, height + mast), (0.14, 0.34, 0.22), shell, front=b.glass)
        b.lamp((0.36 * length, 0, height + mast + 0.13), (0.08, 0.3, 0.03), glow)
    else:
        b.slab(
            oblong(length * 0.55, width * 0.72, 0.08),
            height - 0.02,
            height + uniform(rng, 0.25, 0.55),
            accent,
            top=shell,
        )
    return b.asset("baggage_robot", shininess=0.6)


def _suitcase(b: Builder, x: float, y: float, z: float, long: float) -> None:
    deep = uniform(b.rng, 0.22, 0.28)
    with b.at(x, y, z + deep / 2, yaw=uniform(b.rng, -0.3, 0.3), roll=np.pi / 2):
        trolley_case(b, (long * 0.66, deep, long), hard=bool(b.rng.random() < 0.5), pulled=False)


def scissor_lift(rng: np.random.Generator) -> Asset:
    """An aerial work platform: wheeled chassis, crossed arms, basket with a railing; lowered or raised."""
    b = Builder(rng)
    length, width = uniform(rng, 1.8, 2.9), uniform(rng, 0.8, 1.3)
    pairs, angle = int(rng.integers(3, 6)), float(rng.choice([uniform(rng, 0.06, 0.14), uniform(rng, 0.25, 0.52)]))
    paint = b.paint(
        surfaces.jitter(
            rng,
            ((0.93, 0.42, 0.04), (0.08, 0.30, 0.65), (0.90, 0.75, 0.05), (0.72, 0.10, 0.08), (0.45, 0.75, 0.15))[
                int(rng.integers(5))
            ],
            0.03,
        )
    )
    arm = paint if rng.random() < 0.4 else b.paint((0.30, 0.31, 0.33))
    r, deck = uniform(rng, 0.17, 0.26), 0.0
    for x in (-0.38 * length, 0.38 * length):
        b.axle(x, width * 0.88, r, 0.17, hub=paint)
    logo = b.decal(surfaces.lettering(rng, (0.9, 0.9, 0.9), (0.1, 0.1, 0.12), 96, 32))
    b.box((0, 0, r + 0.16), (length * 0.94, width * 0.72, 0.34), paint)
    b.box((0, 0, r + 0.18), (length * 0.45, width * 0.74, 0.18), paint, sides=logo)
    for side in (-1, 1):
        b.box((0.30 * length * side, 0, r + 0.05), (0.05, width * 0.8, 0.2), b.rubber)
    run, low = length * 0.86, r + 0.36
    rise = run * np.sin(angle)
    half = run * np.cos(angle) / 2
    for i in range(pairs):
        for y in (-0.26 * width, 0.26 * width):
            z = low + (i + 0.5) * rise
            b.box((0, y * 1.12, z), (run, 0.05, 0.10), arm, pitch=-angle)
            b.box((0, y, z), (run, 0.05, 0.10), arm, pitch=angle)
        b.cylinder((0, -0.32 * width, z), (0, 0.32 * width, z), 0.035, b.steel, sides=8)
        for x in (-half, half):
            b.cylinder((x, -0.31 * width, low + i * rise), (x, 0.31 * width, low + i * rise), 0.03, b.steel, sides=6)
    if pairs and angle > 0.2:
        b.cylinder((-half * 0.6, 0, low), (half * 0.2, 0, low + rise * 0.9), 0.05, b.steel, sides=8)
    deck = low + pairs * rise + 0.08
    b.box(
        (0, 0, deck),
        (length, width * 0.95, 0.12),
        paint,
        sides=b.decal(surfaces.stripes(rng, [(0.95, 0.8, 0.05), (0.06, 0.06, 0.06)], 32, np.pi / 4, 4))
        if rng.random() < 0.35
        else paint,
    )
    hx, hy = length * 0.48, width * 0.45
    rail = paint if rng.random() < 0.5 else b.paint((0.75, 0.76, 0.77))
    foot = [(x, -hy, deck + 0.05) for x in np.linspace(-hx, hx, 4)] + [
        (x, hy, deck + 0.05) for x in np.linspace(hx, -hx, 4)
    ]
    b.railing([*foot, foot[0]], 1.05, rail, 0.022)
    b.box((hx * 0.9, hy * 0.6, deck + 1.0), (0.16, 0.22, 0.25), b.rubber)
    if rng.random() < 0.5:
        b.beacon((-hx * 0.9, 0, r + 0.34), 0.06)
    return b.asset("scissor_lift", shininess=0.35)


def loose_container(rng: np.random.Generator) -> Asset:
    """A unit load device left on the tarmac: slanted corner(s), aluminium panels, curtain or door, base edge."""
    b = Builder(rng)
    depth, base, height = 1.53, float(rng.choice([1.56, 1.56, 1.40, 2.44])), uniform(rng, 1.14, 1.63)
    wing = uniform(rng, 0.35, 0.45)
    both = base > 2 or rng.random() < 0.2
    tone = uniform(rng, 0.6, 0.8)
    skin = (
        surfaces.jitter(rng, (tone, tone, tone + 0.02), 0.015)
        if rng.random() < 0.75
        else surfaces.jitter(
            rng, ((0.78, 0.77, 0.70), (0.35, 0.45, 0.58), (0.85, 0.86, 0.86))[int(rng.integers(3))], 0.03
        )
    )
    panel = b.decal(surfaces.sheet_metal(rng, skin, 96))
    plain, edge = b.paint(skin, grain=0.2), b.paint(surfaces.tint(skin, uniform(rng, 0.55, 0.8)), grain=0.2)
    code = ("AKE", "AKH", "DPE", "PKC", "RKN")[int(rng.integers(5))] + f"{rng.integers(10000, 99999)}"
    label = b.decal(surfaces.lettering(rng, skin, (0.10, 0.14, 0.30), 128, 32, code))
    cut = uniform(rng, 0.38, 0.5)
    z0 = 0.06
    left = [(-base / 2, z0), (base / 2, z0), (base / 2 + wing, z0 + cut), (base / 2 + wing, height)]
    right = [(-base / 2 - wing, height), (-base / 2 - wing, z0 + cut)] if both else [(-base / 2, height)]
    b.prism(left + right, -depth / 2, depth / 2, panel, side=panel)
    b.box((0, 0, 0.035), (base * 1.02, depth * 1.03, 0.07), edge)
    outline = left + right
    for y in (-depth / 2, depth / 2):
        points = [(x, y, z) for x, z in outline]
        b.tube([*points, points[0]], 0.028, edge, sides=4)
    for x, z in outline[2:]:
        b.cylinder((x, -depth / 2, z), (x, depth / 2, z), 0.028, edge, sides=4)
    face = int(rng.choice([-1, 1]))  # the side with the door
    middle, wide, tall = 0.0, base * 0.90, (height - z0) * 0.86
    for x in np.linspace(-0.5, 0.5, 4) * base:
        b.box((x, -face * depth / 2, (height + z0) / 2), (0.05, 0.02, height - z0), edge)
    door = int(rng.integers(3))
    if door == 0:  # curtain with straps
        colour = surfaces.jitter(
            rng,
            ((0.10, 0.22, 0.50), (0.75, 0.73, 0.62), (0.65, 0.10, 0.08), (0.12, 0.36, 0.24), (0.55, 0.57, 0.60))[
                int(rng.integers(5))
            ],
            0.03,
        )
        b.box(
            (middle, face * (depth / 2 + 0.012), z0 + tall / 2 + 0.06),
            (wide, 0.035, tall),
            b.decal(surfaces.cloth(rng, colour, 64, 4)),
        )
        strap = b.paint((0.85, 0.5, 0.08) if rng.random() < 0.5 else (0.1, 0.1, 0.1))
        for s in (-0.3, 0.0, 0.3):
            b.box((middle + s * wide, face * (depth / 2 + 0.03), z0 + tall / 2 + 0.06), (0.05, 0.02, tall), strap)
    elif door == 1:  # solid door with bars
        b.box(
            (middle, face * (depth / 2 + 0.012), z0 + tall / 2 + 0.06),
            (wide, 0.03, tall),
            edge,
            sides=b.decal(surfaces.sheet_metal(rng, surfaces.tint(skin, 0.92), 64, ribs=5)),
        )
        for s in (0.35, 0.65):
            b.box((middle, face * (depth / 2 + 0.035), z0 + s * tall), (wide * 1.02, 0.03, 0.05), b.steel)
    else:  # net over an opening full of bags
        b.box(
            (middle, face * (depth / 2 + 0.008), z0 + tall / 2 + 0.06),
            (wide, 0.02, tall),
            edge,
            sides=b.decal(surfaces.lattice(rng, (0.75, 0.55, 0.15), (0.10, 0.10, 0.12), 64, 8, 0.2)),
        )
    for side in (-1, 1):
        b.box(
            (0.1, side * (depth / 2 + 0.02 + 0.02 * (side == face)), height * 0.80),
            (base * 0.55, 0.008, height * 0.16),
            plain,
            sides=label,
        )
    if rng.random() < 0.5:  # airline colour patch on the slanted side's wall
        b.box(
            (base / 2 + wing, 0, (height + cut) / 2 + 0.02),
            (0.01, depth * 0.5, height * 0.3),
            plain,
            front=b.decal(surfaces.collage(rng, [(0.9, 0.9, 0.9), lively(rng), lively(rng)], 64)),
        )
    return b.asset("loose_container", shininess=0.5)


def portable_generator(rng: np.random.Generator) -> Asset:
    """A generator cabinet on a skid or small trailer; often a light tower with four floodlights on a mast."""
    b = Builder(rng)
    length, width, height = uniform(rng, 1.1, 2.3), uniform(rng, 0.7, 1.1), uniform(rng, 0.75, 1.2)
    body = lively(rng)
    paint, dark = b.paint(body), b.paint((0.09, 0.09, 0.10), grain=0.25)
    grille = b.decal(surfaces.stripes(rng, [surfaces.tint(body, 0.7), (0.03, 0.03, 0.03)], 32, np.pi / 2, 7))
    plate = b.decal(surfaces.lettering(rng, body, (0.95, 0.95, 0.95) if sum(body) < 1.6 else (0.08, 0.08, 0.1), 96, 32))
    trailer = rng.random() < 0.55
    z = uniform(rng, 0.28, 0.4) if trailer else 0.14
    if trailer:
        r = z * 0.95
        b.axle(-0.05 * length, width + 0.12, r, 0.17)
        for side in (-1, 1):
            b.box((-0.05 * length, side * (width / 2 + 0.06), 2 * r + 0.03), (2.3 * r, 0.22, 0.04), dark)
        b.tube([(length * 0.45, 0.25, z), (length * 0.95, 0, z), (length * 0.45, -0.25, z)], 0.035, dark)
        b.cylinder((length * 0.9, 0, 0), (length * 0.9, 0, z + 0.3), 0.03, b.steel)
        b.wheel((length * 0.9, 0, 0.08), 0.08, 0.06)
    else:
        for side in (-1, 1):
            b.box((0, side * width * 0.38, 0.07), (length * 1.06, 0.12, 0.14), dark)
    chamfer = uniform(rng, 0.05, 0.25) * height
    profile = [
        (-length / 2, z),
        (length / 2, z),
        (length / 2, z + height - chamfer),
        (length / 2 - chamfer, z + height),
        (-length / 2 + chamfer * 0.4, z + height),
        (-length / 2, z + height - chamfer * 0.4),
    ]
    b.prism(profile, -width / 2, width / 2, paint)
    for side in (-1, 1):
        b.box(
            (-0.22 * length, side * width / 2, z + 0.45 * height),
            (0.38 * length, 0.02, 0.55 * height),
            dark,
            sides=grille,
        )
        b.box(
            (0.2 * length, side * width / 2, z + 0.55 * height),
            (0.42 * length, 0.012, 0.22 * height),
            paint,
            sides=plate,
        )
        b.box((0.0, side * width / 2, z + 0.45 * height), (0.015, 0.016, 0.8 * height), dark)
    b.box(
        (length / 2, 0, z + 0.45 * height),
        (0.02, width * 0.6, 0.4 * height),
        dark,
        front=b.decal(
            surfaces.collage(rng, [(0.12, 0.12, 0.13), (0.8, 0.8, 0.8), (0.7, 0.1, 0.1), (0.2, 0.6, 0.3)], 32)
        ),
    )
    b.cylinder(
        (-0.35 * length, 0.2 * width, z + height - 0.03), (-0.35 * length, 0.2 * width, z + height + 0.22), 0.045, dark
    )
    if rng.random() < 0.65:
        mast = uniform(rng, 1.0, 4.2)
        x, top = uniform(rng, -0.2, 0.2) * length, z + height + mast
        for i, (low, high) in enumerate(((0, 0.45), (0.4, 0.75), (0.7, 1.0))):
            b.box(
                (x, 0, z + height + mast * (low + high) / 2),
                (0.14 - 0.035 * i, 0.14 - 0.035 * i, mast * (high - low)),
                b.steel if i else dark,
            )
        b.box((x, 0, top), (0.08, 1.1, 0.08), b.steel)
        flat = b.paint((0.12, 0.12, 0.12))
        for y in (-0.5, -0.17, 0.17, 0.5):
            b.box((x + 0.06, y, top - 0.02), (0.14, 0.28, 0.30), flat, pitch=0.35)
            b.lamp((x + 0.135, y, top - 0.05), (0.015, 0.23, 0.24), (1.0, 0.96, 0.85))
        for sx, sy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):  # stabilisers
            b.tube(
                [
                    (sx * length * 0.42, sy * width * 0.4, z + 0.08),
                    (sx * length * 0.46, sy * (width * 0.5 + 0.35), z + 0.08),
                    (sx * length * 0.46, sy * (width * 0.5 + 0.35), 0.0),
                ],
                0.03,
                dark,
            )
    elif rng.random() < 0.6:  # lifting bail
        b.tube([(-0.25, 0, z + height), (0, 0, z + height + 0.2), (0.25, 0, z + height)], 0.025, b.steel)
    return b.asset("portable_generator", shininess=0.4)


def hand_cart(rng: np.random.Generator) -> Asset:
    """A platform trolley or a bellman cart on castors, with cases, cartons or hanging bags."""
    b = Builder(rng)
    length, width, deck = uniform(rng, 0.85, 1.4), uniform(rng, 0.5, 0.75), uniform(rng, 0.18, 0.28)
    bellman = rng.random() < 0.4
    brass = b.paint(((0.80, 0.62, 0.22), (0.70, 0.71, 0.72))[int(rng.integers(2))], grain=0.15)
    rail = brass if bellman else b.paint(lively(rng))
    carpet = (0.45, 0.06, 0.08) if bellman else ((0.30, 0.32, 0.34), (0.50, 0.37, 0.22))[int(rng.integers(2))]
    floor = b.decal(surfaces.cloth(rng, carpet, 32) if bellman else surfaces.wood(rng, carpet, 64, 4))
    b.box((0, 0, deck), (length, width, 0.05), rail, top=floor)
    r = uniform(rng, 0.06, 0.10)
    for x in (-0.38, 0.38):
        b.axle(x * length, width * 0.8, r, 0.045)
        for y in (-0.4, 0.4):
            b.cylinder((x * length, y * width, r), (x * length, y * width, deck), 0.025, b.steel, sides=6)
    if bellman:
        top = uniform(rng, 1.5, 1.85)
        for y in (-0.42, 0.42):
            arc = [
                (-0.46 * length, y * width, deck),
                (-0.46 * length, y * width, top * 0.75),
                (-0.40 * length, y * width, top * 0.87),
                (-0.25 * length, y * width * 0.8, top * 0.96),
                (0, 0, top),
                (0.25 * length, y * width * 0.8, top * 0.96),
                (0.40 * length, y * width, top * 0.87),
                (0.46 * length, y * width, top * 0.75),
                (0.46 * length, y * width, deck),
            ]
            b.tube(arc, 0.02, brass)
        b.ellipsoid((0, 0, top + 0.03), (0.04, 0.04, 0.04), brass)
        b.cylinder((-0.4 * length, 0, top * 0.86), (0.4 * length, 0, top * 0.86), 0.016, brass, sides=6)
        for i in range(int(rng.integers(0, 4))):
            b.box(
                (-0.15 * length + 0.15 * i, 0, top * 0.58),
                (0.09, width * 0.75, top * 0.5),
                b.decal(surfaces.cloth(rng, surfaces.any_colour(rng), 32)),
                taper=(0.5, 0.7),
            )
    else:
        tall = uniform(rng, 0.85, 1.1)
        for end in (-1, 1) if rng.random() < 0.3 else (-1,):
            x = end * 0.48 * length
            b.tube(
                [
                    (x, -0.42 * width, deck),
                    (x * 1.06, -0.42 * width, tall),
                    (x * 1.06, 0.42 * width, tall),
                    (x, 0.42 * width, deck),
                ],
                0.018,
                rail,
            )
            b.cylinder(
                (x * 1.03, -0.42 * width, tall * 0.6), (x * 1.03, 0.42 * width, tall * 0.6), 0.015, rail, sides=6
            )
    z, stack = deck + 0.025, int(rng.integers(0, 5))
    for i in range(stack):
        x = (i % 2 - 0.5) * 0.48 * length if stack > 1 else 0.0
        level = z + (i // 2) * 0.28
        if rng.random() < 0.5:
            _suitcase(b, x, 0, level, min(width * 0.9, 0.6))
        else:
            card = surfaces.jitter(rng, (0.62, 0.46, 0.29), 0.04)
            b.box(
                (x, 0, level + 0.135),
                (0.42 * length, width * 0.8, 0.27),
                b.paint(card),
                top=b.paint(surfaces.tint(card, 0.85)),
                yaw=uniform(rng, -0.1, 0.1),
            )
            b.box((x, 0, level + 0.14), (0.43 * length, 0.06, 0.264), b.paint((0.75, 0.66, 0.48)))
    return b.asset("hand_cart", shininess=0.55 if bellman else 0.3)
