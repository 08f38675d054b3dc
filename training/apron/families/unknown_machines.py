"""More equipment whose type training never shows: inspection robot, forklift, cable reel, hoist."""

from __future__ import annotations

import numpy as np

from training.apron.families import surfaces
from training.apron.families.shapes import grounded, limb, lively, one_of, uniform
from training.apron.solids import Asset, Builder, Swatch


def inspection_robot(rng: np.random.Generator) -> Asset:
    """A four-legged or tracked robot with a sensor mast."""
    b = Builder(rng)
    shell = b.paint(
        one_of(
            rng, ((0.93, 0.73, 0.05), (0.90, 0.90, 0.91), (0.85, 0.30, 0.08), (0.25, 0.30, 0.22), (0.16, 0.17, 0.18))
        ),
        grain=0.08,
    )
    dark = b.paint((0.08, 0.085, 0.09), grain=0.2)
    top = _quadruped(b, shell, dark) if rng.random() < 0.5 else _tracked(b, shell, dark)
    if rng.random() < 0.8:
        _sensor_mast(b, uniform(rng, -0.2, 0.2), top, shell, dark)
    return b.asset("inspection_robot", shininess=0.5)


def _quadruped(b: Builder, shell: Swatch, dark: Swatch) -> float:
    rng = b.rng
    length, width, hip = uniform(rng, 0.8, 1.25), uniform(rng, 0.24, 0.36), uniform(rng, 0.5, 0.75)
    tall = uniform(rng, 0.15, 0.24)
    h = tall / 2
    profile = [
        (-0.5 * length, -0.6 * h),
        (-0.4 * length, -h),
        (0.4 * length, -h),
        (0.53 * length, -0.2 * h),
        (0.5 * length, 0.6 * h),
        (0.42 * length, h),
        (-0.42 * length, h),
        (-0.52 * length, 0.4 * h),
    ]
    b.prism([(x, z + hip) for x, z in profile], -width / 2, width / 2, shell)
    b.box((0, 0, hip), (length * 0.6, width * 1.02, tall * 0.45), dark)
    b.box((0.5 * length, 0, hip + 0.1 * h), (0.05, width * 0.7, tall * 0.55), b.glass)
    b.box((0, 0, hip + h + 0.02), (length * 0.55, width * 0.75, 0.05), dark)
    reach, r = hip * uniform(rng, 0.28, 0.42), uniform(rng, 0.032, 0.048)
    for x in (0.38 * length, -0.38 * length):
        stride = uniform(rng, -0.12, 0.12)
        for side in (-1, 1):
            y, foot = side * (width / 2 + 0.07), x + stride * side
            b.cylinder((x, side * width * 0.35, hip), (x, y + side * 0.04, hip), 0.07, dark, sides=12)
            knee = (x - reach, y, hip * 0.52)
            limb(b, [(x, y, hip), (x - reach * 0.5, y, hip * 0.77), knee], [r * 1.5, r * 1.5, r * 1.05], shell)
            b.ellipsoid(knee, (r * 1.2, r * 1.1, r * 1.2), dark)
            b.tube([knee, (foot, y, 0.03)], r * 0.65, dark, sides=7)
            b.ellipsoid((foot, y, 0.035), (0.045, 0.035, 0.035), b.rubber)
    b.lamp((0.52 * length, 0.3 * width, hip), (0.02, 0.05, 0.03), (0.8, 0.95, 1.0))
    return hip + h + 0.04


def _tracked(b: Builder, shell: Swatch, dark: Swatch) -> float:
    rng = b.rng
    length, width, tall = uniform(rng, 0.8, 1.6), uniform(rng, 0.55, 0.95), uniform(rng, 0.24, 0.38)
    belt = b.decal(surfaces.stripes(rng, [(0.05, 0.05, 0.055), (0.12, 0.12, 0.125)], 32, 0.0, 5))
    r, wide = tall / 2, uniform(rng, 0.11, 0.18)
    angles = np.linspace(-np.pi / 2, np.pi / 2, 7)
    nose = rng.random() < 0.5  # raised nose
    loop = [(length / 2 - r + r * np.cos(a), r * (1.35 if nose else 1) + r * 0.75 * np.sin(a)) for a in angles]
    loop += [(-length / 2 + r - r * np.cos(a), r - r * np.sin(a)) for a in angles]
    for side in (-1, 1):
        y = side * (width / 2 - wide / 2)
        b.prism(loop, y - wide / 2, y + wide / 2, belt, side=dark)
        for x in np.linspace(-length / 2 + r, length / 2 - r, 4):
            b.cylinder((x, y - wide * 0.53, r * 1.05), (x, y + wide * 0.53, r * 1.05), r * 0.5, b.steel, sides=10)
    inner = width - 2 * wide
    b.box((0, 0, r * 1.35), (length * 0.82, inner * 0.98, tall * 0.75), shell, taper=(0.9, 1.0))
    top = r * 1.35 + tall * 0.375 + 0.1
    b.box((-0.05 * length, 0, top - 0.05), (length * 0.6, inner * 1.15, 0.11), shell, taper=(0.85, 0.9))
    b.box((0.41 * length, 0, r * 1.5), (0.04, inner * 0.7, tall * 0.3), b.glass)
    b.lamp((0.42 * length, 0.35 * inner, r * 1.9), (0.03, 0.07, 0.05), (1.0, 0.97, 0.9))
    if rng.random() < 0.45:  # arm
        elbow = (0.05 * length, 0.18, top + uniform(rng, 0.3, 0.6))
        hand = (0.55 * length, 0.18, top + uniform(rng, 0.0, 0.5))
        b.cylinder((-0.25 * length, 0.18, top - 0.02), (-0.25 * length, 0.18, top + 0.1), 0.08, dark)
        b.tube([(-0.25 * length, 0.18, top + 0.06), elbow, hand], 0.035, shell, sides=8)
        b.ellipsoid(elbow, (0.06, 0.06, 0.06), dark)
        for side in (-1, 1):
            b.box((hand[0] + 0.08, 0.18 + side * 0.04, hand[2]), (0.18, 0.02, 0.04), dark)
    return top


def _sensor_mast(b: Builder, x: float, z: float, shell: Swatch, dark: Swatch) -> None:
    rng = b.rng
    tall = uniform(rng, 0.15, 1.0)
    b.cylinder((x, 0, z - 0.03), (x, 0, z + tall), 0.028, dark, sides=8)
    b.cylinder((x, 0, z - 0.02), (x, 0, z + 0.04), 0.07, dark)
    head = z + tall
    if rng.random() < 0.5:
        b.box((x, 0, head + 0.07), (0.16, 0.22, 0.15), shell)
        b.cylinder((x + 0.07, 0.05, head + 0.07), (x + 0.12, 0.05, head + 0.07), 0.04, b.glass)
        b.cylinder((x + 0.07, -0.05, head + 0.07), (x + 0.12, -0.05, head + 0.07), 0.03, b.glass)
    else:
        b.ellipsoid((x, 0, head + 0.08), (0.11, 0.11, 0.12), shell)
        b.box((x + 0.09, 0, head + 0.09), (0.05, 0.1, 0.09), b.glass)
    if rng.random() < 0.6:
        b.cylinder((x - 0.15, 0.08, z), (x - 0.18, 0.08, z + uniform(rng, 0.3, 0.6)), 0.007, dark, sides=4)
    if rng.random() < 0.4:
        b.lamp((x, 0, head + 0.2), (0.05, 0.05, 0.04), (0.2, 1.0, 0.5))


def forklift(rng: np.random.Generator) -> Asset:
    """A counterbalanced truck: mast and forks in front, driver's guard, heavy round stern; sometimes loaded."""
    b = Builder(rng)
    body = one_of(
        rng,
        (
            (0.95, 0.55, 0.03),
            (0.93, 0.76, 0.06),
            (0.72, 0.10, 0.07),
            (0.35, 0.55, 0.20),
            (0.80, 0.80, 0.78),
            (0.10, 0.30, 0.55),
        ),
    )
    paint, dark = b.paint(body), b.paint((0.11, 0.11, 0.12), grain=0.25)
    length, width, roof = uniform(rng, 1.7, 2.6), uniform(rng, 1.0, 1.35), uniform(rng, 2.0, 2.3)
    r0, r1 = uniform(rng, 0.27, 0.36), uniform(rng, 0.21, 0.27)
    nose, tail, belly = length / 2, -length / 2, 0.14
    for side in (-1, 1):
        b.wheel((nose - r0 * 0.9, side * (width / 2 - 0.11), r0), r0, 0.24, hub=paint)
        b.wheel((tail + 0.42, side * (width / 2 - 0.13), r1), r1, 0.20, hub=paint)
    seat = uniform(rng, 0.85, 1.0)
    stern = [
        (tail + 0.08, belly + 0.10),
        (tail + 0.62, belly + 0.32),
        (tail + 0.75, seat),
        (tail + 0.15, seat + 0.06),
        (tail, seat - 0.16),
        (tail - 0.03, belly + 0.45),
    ]
    b.prism(stern, -width * 0.47, width * 0.47, b.paint(surfaces.tint(body, 0.55) if rng.random() < 0.4 else body))
    cowl = [
        (tail + 0.6, belly + 0.05),
        (nose - 0.1, belly),
        (nose - 0.05, 0.75),
        (nose - 0.3, 0.95),
        (nose - 0.42, 0.5),
        (tail + 1.0, 0.5),
        (tail + 0.95, seat),
        (tail + 0.6, seat),
    ]
    b.prism(cowl, -width * 0.42, width * 0.42, paint)
    b.box((tail + 0.8, 0, seat + 0.06), (0.45, 0.48, 0.12), dark)
    b.box((tail + 0.58, 0, seat + 0.32), (0.1, 0.46, 0.5), dark, pitch=-0.12)
    b.tube([(nose - 0.3, 0, 0.9), (nose - 0.5, 0, 1.15)], 0.025, dark)
    b.cylinder((nose - 0.52, 0, 1.14), (nose - 0.49, 0, 1.17), 0.17, dark, sides=14)
    hy = width * 0.42
    for side in (-1, 1):  # driver's guard
        b.tube(
            [
                (nose - 0.12, side * hy, 0.75),
                (nose - 0.45, side * hy * 0.95, roof),
                (tail + 0.35, side * hy * 0.95, roof),
                (tail + 0.12, side * hy, seat),
            ],
            0.035,
            dark,
            sides=6,
        )
    for x in np.linspace(nose - 0.45, tail + 0.35, 7):
        b.box((x, 0, roof), (0.05, hy * 1.9, 0.04), dark)
    b.beacon((tail + 0.4, 0, roof + 0.02), 0.07)
    for side in (-1, 1):
        b.lamp((nose - 0.42, side * hy * 0.8, roof - 0.08), (0.06, 0.16, 0.12), (1.0, 0.97, 0.85))
        b.lamp((tail - 0.02, side * width * 0.3, seat - 0.25), (0.06, 0.16, 0.10), (0.85, 0.06, 0.04))
    mast, lift = uniform(rng, 2.0, 2.35), float(rng.choice([0.06, uniform(rng, 0.1, 1.3)]))
    x = nose + 0.06
    for side in (-1, 1):
        b.box((x, side * 0.32, mast / 2 + 0.08), (0.12, 0.07, mast), dark)
        b.box((x + 0.05, side * 0.25, mast / 2 + 0.08 + lift * 0.5), (0.09, 0.06, mast), b.steel)
        b.cylinder((x, side * 0.15, 0.3), (x, side * 0.15, mast * 0.9), 0.03, b.steel, sides=8)
    for z in (0.25, mast * 0.55, mast):
        b.box((x, 0, z), (0.08, 0.66, 0.09), dark)
    for z in (lift + 0.12, lift + 0.45):
        b.box((x + 0.14, 0, z), (0.05, width * 0.85, 0.1), dark)
    for y in np.linspace(-0.4, 0.4, 5) * width:
        b.cylinder((x + 0.14, y, lift + 0.45), (x + 0.14, y, lift + 1.1), 0.018, dark, sides=5)
    b.box((x + 0.14, 0, lift + 1.1), (0.04, width * 0.85, 0.05), dark)
    fork, gap = uniform(rng, 0.95, 1.25), uniform(rng, 0.2, 0.32)
    for side in (-1, 1):
        b.box((x + 0.19, side * gap, lift + 0.26), (0.05, 0.12, 0.5), b.steel)
        b.prism(
            [
                (x + 0.17, lift),
                (x + 0.17 + fork, lift + 0.02),
                (x + 0.17 + fork, lift + 0.03),
                (x + 0.17, lift + 0.055),
            ],
            side * gap - 0.06,
            side * gap + 0.06,
            b.steel,
        )
    if rng.random() < 0.35:  # a load
        tall, card = uniform(rng, 0.4, 1.1), surfaces.jitter(rng, (0.62, 0.46, 0.29), 0.06)
        pine = b.decal(surfaces.wood(rng, (0.66, 0.52, 0.35), 32, 3))
        b.box((x + 0.72, 0, lift + 0.12), (1.0, 1.1, 0.14), pine)
        b.box(
            (x + 0.72, 0, lift + 0.19 + tall / 2),
            (0.95, 1.02, tall),
            b.decal(surfaces.collage(rng, [card, surfaces.tint(card, 0.85), (0.75, 0.66, 0.48)], 64)),
        )
    return b.asset("forklift", shininess=0.4)


def cable_reel(rng: np.random.Generator) -> Asset:
    """A wooden or plastic cable drum, rolled onto its rim or lying flat, full or half empty."""
    b = Builder(rng)
    radius = float(np.exp(rng.uniform(np.log(0.32), np.log(1.15))))
    width, thick = radius * uniform(rng, 0.8, 1.5), max(0.03, radius * uniform(rng, 0.05, 0.09))
    if rng.random() < 0.7:
        tone = one_of(rng, ((0.62, 0.47, 0.30), (0.50, 0.40, 0.29), (0.45, 0.43, 0.40), (0.70, 0.58, 0.40)), 0.03)
        face = b.decal(surfaces.wood(rng, tone, 128, int(rng.integers(6, 12))))
        rim = b.paint(surfaces.tint(tone, 0.8), grain=0.3)
    else:
        tone = one_of(
            rng, ((0.10, 0.30, 0.60), (0.85, 0.45, 0.05), (0.12, 0.12, 0.13), (0.55, 0.10, 0.08), (0.4, 0.42, 0.43))
        )
        face = rim = b.paint(tone)
    cable = one_of(
        rng,
        (
            (0.05, 0.05, 0.055),
            (0.85, 0.40, 0.05),
            (0.10, 0.25, 0.55),
            (0.55, 0.56, 0.58),
            (0.70, 0.10, 0.08),
            (0.75, 0.70, 0.10),
        ),
        0.02,
    )
    wound = b.decal(surfaces.stripes(rng, [cable, surfaces.tint(cable, 0.55)], 128, np.pi / 2, uniform(rng, 24, 44)))
    bare = rng.random() < 0.2
    core = radius * (uniform(rng, 0.35, 0.5) if bare else uniform(rng, 0.6, 0.92))
    flat = rng.random() < 0.25
    pose = {"roll": np.pi / 2, "z": width / 2} if flat else {"z": radius, "pitch": uniform(rng, 0, 6.28)}
    with b.at(**pose):
        b.cylinder((0, -width / 2 + thick, 0), (0, width / 2 - thick, 0), core, face if bare else wound, sides=20)
        hole = b.paint((0.03, 0.03, 0.03))
        for side in (-1, 1):
            y0, y1 = side * (width / 2 - thick), side * width / 2
            b.cylinder((0, min(y0, y1), 0), (0, max(y0, y1), 0), radius, rim, sides=28, caps=face)
            y2 = y1 + side * 0.012
            b.cylinder((0, min(y1, y2), 0), (0, max(y1, y2), 0), radius * 0.16, b.steel, sides=12)
            b.cylinder((0, min(y1, y2) - 0.004, 0), (0, max(y1, y2) + 0.004, 0), radius * 0.09, hole, sides=10)
            bolts = int(rng.integers(4, 9))
            for a in np.arange(bolts) * 2 * np.pi / bolts:
                x, z = 0.42 * radius * np.cos(a), 0.42 * radius * np.sin(a)
                b.cylinder((x, min(y1, y2), z), (x, max(y1, y2), z), radius * 0.035, b.steel, sides=6)
            if rng.random() < 0.6:
                mark = b.decal(surfaces.lettering(rng, tone, (0.1, 0.1, 0.1), 64, 32))
                b.box((0, y1 + side * 0.003, radius * 0.68), (radius * 0.7, 0.006, radius * 0.24), rim, sides=mark)
    if not flat and not bare and rng.random() < 0.6:  # the loose end
        r, y = max(0.012, radius * 0.03), uniform(rng, -0.3, 0.3) * width
        run = uniform(rng, 0.3, 1.2)
        way = [
            (core * 0.95, y, radius),
            (core * 0.98, y, radius * 0.4),
            (core * 1.1, y, r),
            (core + run * 0.6, y + 0.15, r),
            (core + run, y - 0.1, r),
        ]
        b.tube(way, r, b.paint(cable), sides=6)
    return grounded(b.asset("cable_reel", shininess=0.15))


def _chain(b: Builder, x: float, z0: float, z1: float) -> None:
    """A hanging chain with a hook at its lower end ``z1``."""
    n = max(2, int((z0 - z1) / 0.07))
    for i, z in enumerate(np.linspace(z0, z1 + 0.12, n)):
        b.box((x, 0, z), (0.045, 0.014, (z0 - z1) / n * 1.1) if i % 2 else (0.014, 0.045, (z0 - z1) / n * 1.1), b.steel)
    hook = [(x, 0, z1 + 0.13), (x + 0.04, 0, z1 + 0.08), (x + 0.04, 0, z1 + 0.03), (x, 0, z1), (x - 0.04, 0, z1 + 0.03)]
    b.tube(hook, 0.016, b.steel, sides=6)


def mobile_crane_hoist(rng: np.random.Generator) -> Asset:
    """An engine hoist with a raised boom, or a rolling gantry frame; chain, hook and castors."""
    b = Builder(rng)
    paint = b.paint(
        one_of(
            rng, ((0.72, 0.08, 0.06), (0.93, 0.72, 0.05), (0.90, 0.42, 0.05), (0.08, 0.28, 0.58), (0.25, 0.27, 0.29))
        )
    )
    dark = b.paint((0.09, 0.09, 0.10), grain=0.25)
    bar, castor = uniform(rng, 0.07, 0.12), uniform(rng, 0.06, 0.10)
    base = 2 * castor + bar / 2
    feet: list[tuple[float, float]] = []
    if rng.random() < 0.5:
        legs, post, reach = uniform(rng, 1.3, 1.9), uniform(rng, 1.2, 1.7), uniform(rng, 1.1, 1.7)
        rise, splay = uniform(rng, 0.0, 0.75), uniform(rng, 0.35, 0.6)
        for side in (-1, 1):
            yaw = np.arctan2(side * (splay - 0.3), legs)
            b.box((legs / 2, side * (0.3 + splay) / 2, base), (np.hypot(legs, splay - 0.3), bar, bar), paint, yaw=yaw)
            feet += [(legs, side * splay), (0.0, side * 0.36)]
        b.box((0, 0, base), (bar * 1.2, 0.78, bar * 1.05), paint)
        top = base + post
        b.box((0, 0, base + post / 2), (bar * 1.2, bar * 1.2, post), paint)
        for side in (-1, 1):
            b.tube([(-0.02, side * 0.33, base), (0, side * 0.04, base + post * 0.55)], 0.03, paint)
        tip = (reach * np.cos(rise), top + reach * np.sin(rise))
        b.box((tip[0] * 0.45, 0, top + (tip[1] - top) * 0.45), (reach * 1.1, bar * 1.1, bar * 1.2), paint, pitch=-rise)
        b.box((tip[0] * 0.8, 0, top + (tip[1] - top) * 0.8), (reach * 0.5, bar * 0.8, bar * 0.9), dark, pitch=-rise)
        mid = (tip[0] * 0.42, 0, top + (tip[1] - top) * 0.42)
        low = (0.08, 0, base + post * 0.45)
        half = [(p + q) / 2 for p, q in zip(low, mid, strict=True)]
        b.cylinder(low, half, 0.05, dark)
        b.cylinder(half, mid, 0.025, b.steel)
        b.tube([(0.0, 0, base + post * 0.55), (-0.35, 0, base + post * 0.75)], 0.018, b.steel)
        _chain(b, tip[0] * 1.0, tip[1] - 0.03, max(0.35, tip[1] - uniform(rng, 0.3, 0.9)))
    else:
        span, tall, foot = uniform(rng, 1.8, 3.6), uniform(rng, 1.9, 3.2), uniform(rng, 1.0, 1.7)
        for x in (-span / 2, span / 2):
            b.box((x, 0, base), (bar, foot, bar), paint)
            for side in (-1, 1):
                b.tube([(x, side * foot * 0.42, base), (x, side * 0.06, tall)], bar * 0.42, paint, sides=8)
                feet.append((x, side * foot * 0.46))
            b.box((x, 0, base + (tall - base) * 0.45), (bar * 0.7, foot * 0.5, bar * 0.7), paint)
            b.tube([(x, 0, tall * 0.72), (x * 0.72, 0, tall)], 0.025, paint)
        beam = uniform(rng, 0.14, 0.22)
        stripe = b.decal(surfaces.stripes(rng, [(0.95, 0.8, 0.05), (0.06, 0.06, 0.06)], 32, np.pi / 4, 4))
        web = stripe if rng.random() < 0.3 else b.paint(lively(rng)) if rng.random() < 0.4 else paint
        for z in (0.0, beam):
            b.box((0, 0, tall + z), (span * 1.12, 0.12, 0.02), web)
        b.box((0, 0, tall + beam / 2), (span * 1.12, 0.025, beam), web)
        x = uniform(rng, -0.3, 0.3) * span
        b.box((x, 0, tall - 0.06), (0.16, 0.2, 0.14), dark)
        b.box((x, 0, tall - 0.22), (0.2, 0.16, 0.2), b.paint(lively(rng)))
        _chain(b, x, tall - 0.3, tall - uniform(rng, 0.7, 1.5))
    for fx, fy in feet:
        b.wheel((fx, fy, castor), castor, 0.05)
        b.cylinder((fx, fy, castor), (fx, fy, base), 0.03, b.steel, sides=6)
    return b.asset("mobile_crane_hoist", shininess=0.35)
