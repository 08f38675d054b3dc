"""Lost and blown-about things that training never shows: pallets, drums, barriers, tarpaulins, bicycles."""

from __future__ import annotations

import numpy as np

from training.apron.families import surfaces
from training.apron.families.shapes import grounded, hoop, lively, one_of, uniform
from training.apron.solids import Asset, Builder, Rgb, Swatch, circle


def _pallet(b: Builder, z: float, pine: Swatch, light: bool) -> None:
    for y in np.linspace(-0.35, 0.35, 5 if light else 7):
        b.box((0, y, z + 0.133), (1.2, 0.10 if not light else 0.13, 0.022), pine)
    for x in (-0.53, 0.0, 0.53):
        b.box((x, 0, z + 0.111), (0.14, 0.8, 0.022), pine)
        if light:
            b.box((x, 0, z + 0.055), (0.13, 0.8, 0.09), pine)
        else:
            for y in (-0.35, 0.0, 0.35):
                b.box((x, y, z + 0.061), (0.14, 0.10, 0.078), pine)
    for y in (-0.35, 0.0, 0.35):
        b.box((0, y, z + 0.011), (1.2, 0.10, 0.022), pine)


def pallet_stack(rng: np.random.Generator) -> Asset:
    """Empty wooden pallets, or one pallet with cartons, sacks or a shrink-wrapped load."""
    b = Builder(rng)
    tone = one_of(rng, ((0.66, 0.52, 0.35), (0.55, 0.45, 0.33), (0.46, 0.43, 0.38), (0.10, 0.30, 0.60)), 0.04)
    pine = b.decal(surfaces.wood(rng, tone, 64, 1))
    load = int(rng.integers(5))
    count = int(rng.integers(2, 11)) if load == 0 else 1
    for i in range(count):
        with b.at(rng.normal(0, 0.02), rng.normal(0, 0.02), 0, yaw=rng.normal(0, 0.03)):
            _pallet(b, i * 0.145, pine, light=count > 3)
    z = count * 0.145
    card = surfaces.jitter(rng, (0.62, 0.46, 0.29), 0.05)
    if load in (1, 2):
        tape = b.decal(
            surfaces.collage(rng, [card, surfaces.tint(card, 0.9), (0.75, 0.68, 0.52), (0.15, 0.15, 0.15)], 64)
        )
        plain = [b.paint(surfaces.jitter(rng, card, 0.03)) for _ in range(3)]
        nx, ny, tall = int(rng.integers(2, 4)), 2, uniform(rng, 0.22, 0.45)
        for level in range(int(rng.integers(1, 5))):
            for i in range(nx):
                for j in range(ny):
                    if level and rng.random() < 0.12:
                        continue
                    spot = ((i + 0.5) / nx - 0.5) * 1.16, ((j + 0.5) / ny - 0.5) * 0.78, z + (level + 0.5) * tall
                    b.box(
                        spot,
                        (1.14 / nx, 0.76 / ny, tall * 0.985),
                        plain[int(rng.integers(3))],
                        yaw=rng.normal(0, 0.03),
                        sides=tape if rng.random() < 0.5 else None,
                    )
    elif load == 3:
        tall = uniform(rng, 0.6, 1.6)
        base = one_of(rng, ((0.75, 0.77, 0.79), (0.08, 0.08, 0.09), (0.70, 0.64, 0.55), (0.55, 0.62, 0.70)))
        film = surfaces.cloth(rng, base, 96, 22, 3)
        b.box(
            (0, 0, z + tall / 2),
            (1.16, 0.78, tall),
            b.decal(film),
            taper=(uniform(rng, 0.9, 1.0), uniform(rng, 0.9, 1.0)),
        )
        b.box(
            (0.0, 0, z + tall * 0.6),
            (0.3, 0.795, 0.22),
            b.paint(base),
            sides=b.decal(surfaces.lettering(rng, (0.93, 0.93, 0.9), (0.08, 0.08, 0.08), 64, 32)),
        )
        if rng.random() < 0.5:
            b.box((0, 0, z + tall * 0.5), (1.18, 0.06, tall * 1.01), b.paint(lively(rng)))
    elif load == 4:
        sack = b.decal(
            surfaces.cloth(rng, one_of(rng, ((0.85, 0.84, 0.80), (0.68, 0.58, 0.42), (0.75, 0.76, 0.55))), 64, 5)
        )
        for level in range(int(rng.integers(1, 5))):
            for x in (-0.39, 0.0, 0.39):
                for y in (-0.2, 0.2):
                    with b.at(x + rng.normal(0, 0.015), y, z + 0.075 + level * 0.14, yaw=rng.normal(0, 0.06)):
                        _sack(b, 0.42, 0.43, 0.155, sack)
    return b.asset("pallet_stack", shininess=0.2)


def _sack(b: Builder, x: float, y: float, z: float, paint: Swatch) -> None:
    """A filled bag, flat and pillow-like."""
    rings = []
    for s, g in ((-0.5, 0.35), (-0.42, 0.85), (-0.1, 1.0), (0.15, 0.97), (0.42, 0.85), (0.5, 0.35)):
        ring = circle(s * x, 1, 1, 0, 10)
        ring[:, 1:] = np.sign(ring[:, 1:]) * np.abs(ring[:, 1:]) ** 0.6 * [y / 2 * (0.8 + 0.2 * g), z / 2 * g]
        rings.append(ring)
    b.loft(np.stack(rings), paint)


def _drum(b: Builder, r: float, tall: float, side: Swatch, lid: Swatch, ring: Swatch) -> None:
    b.cylinder((0, 0, -tall / 2), (0, 0, tall / 2), r, side, sides=20, caps=lid)
    for z in (-0.5, -0.17, 0.17, 0.5):
        b.cylinder(
            (0, 0, z * tall * 0.985 - 0.014), (0, 0, z * tall * 0.985 + 0.014), r * 1.03, ring, sides=20, caps=lid
        )
    b.cylinder((0.55 * r, 0, tall / 2), (0.55 * r, 0, tall / 2 + 0.03), 0.04, b.steel, sides=8)
    b.cylinder((-0.6 * r, 0, tall / 2), (-0.6 * r, 0, tall / 2 + 0.025), 0.025, b.steel, sides=8)


def oil_drum(rng: np.random.Generator) -> Asset:
    """One to five steel or plastic drums; some may have toppled, perhaps a puddle."""
    b = Builder(rng)
    count = int(rng.choice([1, 1, 2, 3, 4, 5]))
    kinds = []
    for _ in range(int(rng.integers(1, 3))):
        colour = one_of(
            rng,
            (
                (0.07, 0.22, 0.55),
                (0.70, 0.08, 0.06),
                (0.10, 0.35, 0.18),
                (0.08, 0.08, 0.09),
                (0.90, 0.72, 0.05),
                (0.60, 0.61, 0.62),
                (0.85, 0.40, 0.05),
                (0.85, 0.85, 0.83),
            ),
        )
        worn = surfaces.rust(rng, colour, 64) if rng.random() < 0.4 else surfaces.sheet_metal(rng, colour, 64, 0, False)
        if rng.random() < 0.6:
            h = int(rng.integers(18, 30))
            worn[20 : 20 + h, 4:36] = surfaces.lettering(
                rng, one_of(rng, ((0.92, 0.9, 0.85), (0.95, 0.75, 0.1))), (0.08, 0.08, 0.08), 32, h
            )
        kinds.append(
            (b.decal(worn), b.paint(surfaces.tint(colour, 0.8), grain=0.3), b.paint(surfaces.tint(colour, 0.9)))
        )
    gap = uniform(rng, 0.62, 0.85)
    spots = [(0.0, 0.0), (gap, 0.1), (0.45 * gap, 0.85 * gap), (-0.5 * gap, 0.85 * gap), (1.45 * gap, 0.95 * gap)][
        :count
    ]
    fallen = int(rng.integers(count)) if rng.random() < 0.55 else -1
    for i, (x, y) in enumerate(spots):
        r, tall = 0.29 * uniform(rng, 0.97, 1.03), uniform(rng, 0.85, 0.93)
        side, lid, ring = kinds[int(rng.integers(len(kinds)))]
        if i == fallen:
            with b.at(
                x - 0.35 * (count > 1), y - 0.45 * (count > 1), r * 1.03, yaw=uniform(rng, -0.6, 0.6), pitch=np.pi / 2
            ):
                _drum(b, r, tall, side, lid, ring)
            if rng.random() < 0.5:
                angle = np.linspace(0, 2 * np.pi, 15)[:-1]
                pool = uniform(rng, 0.3, 0.7) * (1 + 0.25 * rng.normal(size=14).clip(-1.5, 1.5))
                b.slab(
                    [(x + 0.3 + q * np.cos(a), y - 0.4 + q * np.sin(a)) for q, a in zip(pool, angle, strict=True)],
                    0.0,
                    0.006,
                    b.paint((0.035, 0.03, 0.03)),
                )
        else:
            with b.at(x, y, tall / 2 + 0.008, yaw=uniform(rng, 0, 6.28)):
                _drum(b, r, tall, side, lid, ring)
    return grounded(b.asset("oil_drum", shininess=0.45))


def fallen_barrier(rng: np.random.Generator) -> Asset:
    """Water-filled plastic barriers, a crowd-control gate or a fence panel, toppled or blown askew."""
    b = Builder(rng)
    kind = int(rng.integers(3))
    if kind == 0:
        colours = (
            ((0.80, 0.10, 0.06), (0.92, 0.92, 0.90)),
            ((0.93, 0.42, 0.04), (0.92, 0.92, 0.90)),
            ((0.93, 0.76, 0.05), (0.93, 0.42, 0.04)),
        )[int(rng.integers(3))]
        tall, wide, long = uniform(rng, 0.6, 1.05), uniform(rng, 0.38, 0.58), uniform(rng, 1.0, 2.0)
        x = 0.0
        for i in range(int(rng.integers(1, 4))):
            down = rng.random() < 0.6
            colour = surfaces.jitter(rng, colours[i % 2], 0.02)
            roll = np.pi / 2 + np.arctan2(0.36 * wide, 0.84 * tall) if down else 0.0  # rests on base and top edge
            lift = 0.5 * wide * np.sin(roll) - 0.16 * tall * min(0.0, np.cos(roll))
            with b.at(x, rng.normal(0, 0.2), lift, yaw=rng.normal(0, 0.35), roll=roll):
                _jersey(b, long, wide, tall, colour)
            x += long * uniform(rng, 1.0, 1.15)
    else:
        panels = int(rng.choice([1, 1, 2]))
        for i in range(panels):
            tall = uniform(rng, 0.95, 1.15) if kind == 1 else uniform(rng, 1.1, 2.0)
            flat = i == 0 or rng.random() < 0.4
            roll = np.pi / 2 + np.arctan2(0.31, tall) if flat else 0.0  # rests on its feet and its top rail
            with b.at(i * 0.5, i * 0.9, 0.31 * np.sin(roll), yaw=rng.normal(0, 0.4), roll=roll):
                _gate(b, tall) if kind == 1 else _fence(b, tall)
    return grounded(b.asset("fallen_barrier", shininess=0.3))


def _jersey(b: Builder, long: float, wide: float, tall: float, colour: Rgb) -> None:
    """A hollow plastic barrier block along x with slots, plug and end tenons."""
    rng, paint = b.rng, b.paint(colour, grain=0.15)
    shade, h = b.paint(surfaces.tint(colour, 0.45)), wide / 2
    section = [
        (-h, 0.0),
        (h, 0.0),
        (h, 0.16 * tall),
        (0.55 * h, 0.36 * tall),
        (0.36 * h, 0.94 * tall),
        (0.28 * h, tall),
        (-0.28 * h, tall),
        (-0.36 * h, 0.94 * tall),
        (-0.55 * h, 0.36 * tall),
        (-h, 0.16 * tall),
    ]
    with b.at(yaw=np.pi / 2):
        b.prism(section, -long / 2, long / 2, paint)
        for x in (-0.28, 0.28):
            b.box((0, x * long, 0.03 * tall), (wide * 1.02, long * 0.16, 0.07 * tall), shade)
        for x in (-0.25, 0.25):
            b.box((0, x * long, 0.62 * tall), (0.92 * h, long * 0.2, 0.14 * tall), shade)
        b.box((0, long / 2 + 0.02, 0.5 * tall), (0.3 * h, 0.06, 0.8 * tall), shade)
        b.cylinder((0, 0, tall), (0, 0, tall + 0.03), 0.06, shade, sides=10)
        if rng.random() < 0.5:
            strip = b.decal(surfaces.stripes(rng, [(0.9, 0.9, 0.9), (0.8, 0.08, 0.05)], 32, np.pi / 4, 4))
            b.box((0, 0, 0.82 * tall), (0.84 * h, long * 0.7, 0.09 * tall), paint, front=strip, back=strip)


def _gate(b: Builder, tall: float) -> None:
    """A crowd-control gate: bent tube frame, upright bars, two feet."""
    rng = b.rng
    long = uniform(rng, 1.8, 2.5)
    paint = b.steel if rng.random() < 0.6 else b.paint(lively(rng))
    x = long / 2
    frame = [
        (-x, 0, 0.15),
        (-x, 0, tall - 0.12),
        (-x + 0.12, 0, tall),
        (x - 0.12, 0, tall),
        (x, 0, tall - 0.12),
        (x, 0, 0.15),
        (-x, 0, 0.15),
    ]
    b.tube(frame, 0.021, paint, sides=7)
    for s in np.linspace(-x, x, int(rng.integers(12, 20)))[1:-1]:
        b.cylinder((s, 0, 0.15), (s, 0, tall), 0.009, paint, sides=5)
    for s in (-0.36 * long, 0.36 * long):
        b.tube([(s, -0.3, 0.02), (s, -0.22, 0.08), (s, 0, 0.16), (s, 0.22, 0.08), (s, 0.3, 0.02)], 0.02, paint)
    if rng.random() < 0.5:
        sign = b.decal(surfaces.lettering(rng, lively(rng), (0.95, 0.95, 0.95), 96, 32))
        b.box((0, 0, tall * 0.65), (long * 0.6, 0.03, 0.25), paint, sides=sign)


def _fence(b: Builder, tall: float) -> None:
    """A site fence panel: tube frame, wire grid or printed sheet, block feet."""
    rng = b.rng
    long = uniform(rng, 2.2, 3.5)
    x = long / 2
    b.tube([(-x, 0, 0.05), (-x, 0, tall), (x, 0, tall), (x, 0, 0.05)], 0.022, b.steel, sides=7)
    b.cylinder((-x, 0, 0.18), (x, 0, 0.18), 0.02, b.steel, sides=6)
    if rng.random() < 0.5:
        b.box(
            (0, 0, tall / 2 + 0.1),
            (long * 0.97, 0.01, tall - 0.22),
            b.decal(
                surfaces.cloth(
                    rng,
                    one_of(rng, ((0.12, 0.35, 0.20), (0.10, 0.25, 0.55), (0.85, 0.40, 0.05), (0.85, 0.86, 0.86))),
                    64,
                    6,
                )
            ),
        )
    for s in np.linspace(-x, x, int(rng.integers(16, 26)))[1:-1]:
        b.cylinder((s, 0, 0.18), (s, 0, tall), 0.006, b.steel, sides=4)
    for z in np.linspace(0.18, tall, 6)[1:-1]:
        b.cylinder((-x, 0.008, z), (x, 0.008, z), 0.006, b.steel, sides=4)
    foot = b.paint((0.35, 0.34, 0.33), grain=0.3) if rng.random() < 0.6 else b.paint((0.85, 0.40, 0.06))
    for s in (-x, x):
        b.box((s, 0, 0.06), (0.22, 0.62, 0.12), foot, taper=(0.85, 0.9))


def tarpaulin(rng: np.random.Generator) -> Asset:
    """A crumpled sheet blown onto the apron: a low heap of folds, edges flat, a rope or two."""
    b = Builder(rng)
    long, wide = uniform(rng, 1.2, 4.2), uniform(rng, 0.9, 3.0)
    tall = min(long, wide) * uniform(rng, 0.14, 0.32)
    colour = one_of(
        rng,
        (
            (0.08, 0.25, 0.60),
            (0.10, 0.38, 0.20),
            (0.65, 0.66, 0.68),
            (0.85, 0.40, 0.06),
            (0.86, 0.86, 0.84),
            (0.12, 0.12, 0.13),
            (0.42, 0.40, 0.28),
            (0.70, 0.72, 0.70),
        ),
    )
    skin = b.decal(surfaces.cloth(rng, colour, 128, int(rng.integers(7, 14))))
    n, m = 24, 22
    u, v = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, m), indexing="ij")
    height = np.zeros((n, m))
    for _ in range(int(rng.integers(2, 6))):  # what lies under it, and how it bunched
        cu, cv, s = uniform(rng, -0.6, 0.6), uniform(rng, -0.6, 0.6), uniform(rng, 0.25, 0.6)
        height += uniform(rng, 0.3, 1.0) * np.exp(-((u - cu) ** 2 + (v - cv) ** 2) / s**2)
    height = np.tanh(1.2 * height)
    for _ in range(int(rng.integers(4, 9))):  # folds run as ridges
        angle, phase, pitch = uniform(rng, 0, np.pi), uniform(rng, 0, 6.28), uniform(rng, 5, 13)
        bow = uniform(rng, -2, 2) * (u * np.sin(angle) - v * np.cos(angle)) ** 2
        ridge = 1 - np.abs(np.sin(0.5 * (pitch * (u * np.cos(angle) + v * np.sin(angle)) + phase + bow)))
        height += 0.35 * uniform(rng, 0.3, 1.0) * ridge**2 * (0.25 + height.clip(0, 1))
    height += 0.05 * surfaces.smooth_noise(rng, m, n, (9, 9)).T if n == m else 0.05 * rng.normal(size=(n, m))
    edge = np.clip(1 - np.maximum(np.abs(u), np.abs(v)) ** 6, 0.03, 1)
    height = 0.012 + tall * np.clip(height / height.max(), 0.0, 1) * edge
    warp_x = u * long / 2 * (1 + 0.08 * surfaces.smooth_noise(rng, n, m, (4, 5)))
    warp_y = v * wide / 2 * (1 + 0.14 * surfaces.smooth_noise(rng, n, m, (6, 4)))
    top = np.stack([warp_x, warp_y, height], -1)
    floor = np.stack([warp_x, warp_y, np.zeros_like(height)], -1)
    b.loft(np.concatenate([floor[:, [0, m - 1]], top[:, ::-1]], axis=1), skin)
    rope = b.paint((0.80, 0.78, 0.70) if rng.random() < 0.6 else (0.85, 0.35, 0.05))
    for i in (0, n - 1):
        if rng.random() < 0.6:
            start = top[i, int(rng.integers(m))]
            path = start + np.cumsum(
                np.insert(rng.normal(0, 0.16, (6, 3)) * [1, 1, 0] + [np.sign(i - 1) * 0.06, 0, 0], 0, 0, axis=0), 0
            )
            path[:, 2] = 0.012
            b.tube(path.tolist(), 0.012, rope, sides=5)
    return grounded(b.asset("tarpaulin", shininess=0.3))


def bicycle(rng: np.random.Generator) -> Asset:
    """A bicycle on its stand or lying on its side."""
    b = Builder(rng)
    paint = b.paint(
        one_of(
            rng,
            (
                (0.70, 0.08, 0.07),
                (0.08, 0.25, 0.55),
                (0.10, 0.40, 0.25),
                (0.07, 0.07, 0.08),
                (0.85, 0.85, 0.86),
                (0.93, 0.72, 0.06),
                (0.30, 0.65, 0.62),
            ),
        ),
        grain=0.08,
    )
    lying = rng.random() < 0.5
    roll = float(rng.choice([-1, 1])) * uniform(rng, 1.33, 1.42) if lying else uniform(rng, 0.08, 0.16)
    r, base = uniform(rng, 0.29, 0.35), uniform(rng, 0.98, 1.12)
    tyre = uniform(rng, 0.016, 0.03)
    rear, front = (-base / 2, 0.0, r), (base / 2, 0.0, r)
    steer = uniform(rng, 0.3, 0.9) if lying else uniform(rng, -0.2, 0.3)
    crank, seat, neck = (-0.08, 0.0, 0.29), (-0.22, 0.0, 0.86), (0.34, 0.0, 0.80)
    with b.at(roll=roll):
        _cycle_wheel(b, rear, r, tyre)
        down = 0.62 if rng.random() < 0.5 else 0.45  # gents' or step-through frame
        seat_joint = (-0.19, 0.0, 0.74)
        b.tube([crank, seat_joint], 0.018, paint, sides=8)
        b.tube([(neck[0] + 0.03, 0, neck[2] - 0.13), crank], 0.021, paint, sides=8)
        b.tube([neck, seat_joint if down > 0.5 else (-0.14, 0.0, 0.5)], 0.018, paint, sides=8)
        for side in (-1, 1):
            b.tube(
                [
                    (crank[0], side * 0.03, crank[2]),
                    (rear[0], side * 0.05, r),
                    (seat_joint[0], side * 0.02, seat_joint[2]),
                ],
                0.010,
                paint,
            )
        b.tube([seat_joint, seat], 0.014, b.steel)
        b.prism(
            [
                (seat[0] - 0.13, 0.86),
                (seat[0] + 0.15, 0.88),
                (seat[0] + 0.15, 0.90),
                (seat[0] - 0.1, 0.93),
                (seat[0] - 0.14, 0.91),
            ],
            -0.06,
            0.06,
            b.rubber,
        )
        b.cylinder((crank[0], 0.035, crank[2]), (crank[0], 0.05, crank[2]), 0.095, b.steel, sides=14)
        spin = uniform(rng, 0, 6.28)
        for side in (-1, 1):
            px, pz = crank[0] + side * 0.17 * np.cos(spin), crank[2] + side * 0.17 * np.sin(spin)
            b.tube([(crank[0], side * 0.07, crank[2]), (px, side * 0.07, pz)], 0.011, b.steel)
            b.box((px, side * 0.12, pz), (0.09, 0.09, 0.022), b.rubber)
        for z in (0.09, -0.02):
            b.tube([(crank[0], 0.045, crank[2] + z), (rear[0], 0.045, r + z * 0.4)], 0.005, b.rubber, sides=4)
        with b.at(neck[0], 0, 0, yaw=steer):
            fork = front[0] - neck[0]
            _cycle_wheel(b, (fork, 0.0, r), r, tyre)
            for side in (-1, 1):
                b.tube([(0.03, side * 0.045, 0.70), (fork, side * 0.05, r)], 0.012, paint)
            b.tube([(0.05, 0, 0.64), (-0.02, 0, 0.95)], 0.019, paint, sides=8)
            bar = uniform(rng, 0.24, 0.32)
            back = uniform(rng, -0.15, 0.08)
            b.tube([(back, -bar, 0.98), (0.03, -0.08, 0.97), (0.03, 0.08, 0.97), (back, bar, 0.98)], 0.013, b.steel)
            for side in (-1, 1):
                b.tube([(back, side * bar, 0.98), (back * 1.3 - 0.04, side * (bar + 0.06), 0.98)], 0.019, b.rubber)
            b.lamp((0.1, 0, 0.86), (0.04, 0.06, 0.06), (1.0, 0.97, 0.85))
            if rng.random() < 0.35:
                wicker = b.decal(surfaces.lattice(rng, (0.45, 0.33, 0.2), (0.12, 0.09, 0.06), 32, 6, 0.4))
                b.box((0.2, 0, 0.84), (0.22, 0.29, 0.19), wicker, taper=(1.15, 1.15))
        if rng.random() < 0.4:
            b.box((rear[0] + 0.02, 0, 2 * r + 0.07), (0.38, 0.14, 0.02), b.steel)
            for side in (-1, 1):
                b.tube([(rear[0] - 0.1, side * 0.06, 2 * r + 0.07), (rear[0], side * 0.06, r)], 0.006, b.steel, sides=4)
        if not lying:
            b.tube([(-0.2, -0.03, 0.28), (-0.22, 0.24, 0.03)], 0.011, b.steel)
    return grounded(b.asset("bicycle", shininess=0.5))


def _cycle_wheel(b: Builder, centre: tuple[float, float, float], r: float, tyre: float) -> None:
    x, y, z = centre
    hoop(b, centre, r - tyre, tyre, b.rubber, 22, 5)
    hoop(b, centre, r - 2.2 * tyre, tyre * 0.6, b.steel, 22, 4)
    b.cylinder((x, -0.05, z), (x, 0.05, z), 0.022, b.steel, sides=8)
    for i, a in enumerate(np.arange(14) * 2 * np.pi / 14):
        b.cylinder(
            (x, 0.03 * (-1) ** i, z),
            (x + (r - 2 * tyre) * np.cos(a), y, z + (r - 2 * tyre) * np.sin(a)),
            0.0028,
            b.steel,
            sides=3,
        )
