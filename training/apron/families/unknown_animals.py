"""Animals that wander onto an apron and that training never shows."""

from __future__ import annotations

import numpy as np

from training.apron.families import surfaces
from training.apron.families.shapes import grounded, limb, lively, one_of, uniform
from training.apron.solids import Asset, Builder, Rgb, Swatch, circle


def animal(rng: np.random.Generator) -> Asset:
    """A dog, deer, goat or large wading bird standing on the apron."""
    b = Builder(rng)
    kind = int(rng.integers(4))
    (_dog, _deer, _goat, _bird)[kind](b)
    return grounded(b.asset("animal", shininess=0.05))


def _trunk(b: Builder, long: float, back: float, deep: float, wide: float, skin: Swatch, tuck: float) -> None:
    """Barrel of a quadruped: rump at -x, chest at +x, belly tucked up towards the rump."""
    x = np.array([-0.53, -0.48, -0.36, -0.12, 0.14, 0.34, 0.46, 0.53]) * long
    half = np.array([0.30, 0.72, 0.92, 0.90, 1.0, 1.0, 0.72, 0.32]) * deep / 2
    half[2:4] *= 1 - tuck
    side = np.array([0.35, 0.8, 0.95, 1.0, 1.05, 0.95, 0.7, 0.3]) * wide / 2
    top = back + np.array([-0.10, -0.02, 0.0, -0.02, 0.0, 0.03, -0.02, -0.10]) * deep
    b.loft(
        np.stack(
            [
                circle(float(px), float(s), float(h), float(t - h), 14)
                for px, s, h, t in zip(x, side, half, top, strict=True)
            ]
        ),
        skin,
    )


def _leg_pairs(
    b: Builder, long: float, back: float, deep: float, wide: float, r: float, fore: Swatch, hoof: Swatch
) -> None:
    """Four jointed legs in mid stride."""
    rng, hip = b.rng, back - 0.45 * deep
    for side in (-1, 1):
        y = side * wide * 0.30
        step = uniform(rng, -0.12, 0.12) * back
        x = 0.33 * long
        limb(
            b,
            [
                (x, y, hip),
                (x - 0.01, y, hip * 0.72),
                (x + step * 0.5, y, hip * 0.45),
                (x + step, y, hip * 0.08),
                (x + step + r * 0.8, y, 0.0),
            ],
            [r * 2.1, r * 1.7, r, r * 0.75, r],
            fore,
            k=7,
        )
        b.box((x + step + r, y, 0.02), (r * 3, r * 2.2, 0.04), hoof, taper=(0.8, 0.8))
        step, x = uniform(rng, -0.12, 0.12) * back, -0.38 * long
        limb(
            b,
            [
                (x, y, hip + 0.1 * deep),
                (x + 0.04 * long, y, hip * 0.75),
                (x - 0.07 * long + step * 0.5, y, hip * 0.45),
                (x - 0.03 * long + step, y, hip * 0.08),
                (x - 0.02 * long + step + r, y, 0.0),
            ],
            [r * 2.9, r * 2.3, r * 1.05, r * 0.8, r],
            fore,
            k=7,
        )
        b.box((x - 0.02 * long + step + r, y, 0.02), (r * 3, r * 2.2, 0.04), hoof, taper=(0.8, 0.8))


def _head(
    b: Builder, at: tuple[float, float], long: float, down: float, skin: Swatch, dark: Swatch, ears: float, droop: float
) -> None:
    """Skull, muzzle, nose, eyes and two ears; the nose points forward and ``down``."""
    with b.at(at[0], 0, at[1], pitch=down):
        rings = [
            circle(x * long, y * long, z * long, c * long, 10)
            for x, y, z, c in (
                (-0.22, 0.10, 0.12, 0.02),
                (-0.08, 0.23, 0.24, 0.02),
                (0.14, 0.23, 0.23, 0.0),
                (0.34, 0.15, 0.16, -0.05),
                (0.62, 0.12, 0.12, -0.08),
                (0.74, 0.09, 0.08, -0.08),
            )
        ]
        b.loft(np.stack(rings), skin)
        b.ellipsoid((0.75 * long, 0, -0.04 * long), (0.05 * long, 0.07 * long, 0.05 * long), dark)
        for side in (-1, 1):
            b.ellipsoid((0.24 * long, side * 0.18 * long, 0.09 * long), (0.04 * long, 0.03 * long, 0.04 * long), dark)
            root = (-0.05 * long, side * 0.16 * long, 0.18 * long)
            tip = (-0.15 * long, side * (0.2 + 0.5 * droop) * long, 0.2 * long + ears * (1 - 1.6 * droop))
            b.cylinder(root, tip, 0.11 * long, skin, r1=0.02 * long, sides=6)


def _dog(b: Builder) -> None:
    rng = b.rng
    back = uniform(rng, 0.42, 0.75)
    coat = one_of(
        rng, ((0.45, 0.30, 0.16), (0.08, 0.07, 0.07), (0.72, 0.58, 0.38), (0.80, 0.76, 0.68), (0.35, 0.33, 0.32))
    )
    other: Rgb = ((0.9, 0.88, 0.84), (0.12, 0.09, 0.08), (0.35, 0.22, 0.12))[int(rng.integers(3))]
    skin = b.decal(surfaces.fur(rng, coat, other, 64, float(rng.choice([0, 0.15, 0.4]))))
    leg = b.decal(surfaces.fur(rng, surfaces.jitter(rng, coat, 0.02), px=32))
    dark = b.paint((0.04, 0.035, 0.035))
    long, deep, wide = back * uniform(rng, 1.0, 1.25), back * uniform(rng, 0.38, 0.46), back * uniform(rng, 0.26, 0.36)
    _trunk(b, long, back, deep, wide, skin, uniform(rng, 0.05, 0.25))
    _leg_pairs(b, long, back, deep, wide, back * 0.045, leg, leg)
    low = rng.random() < 0.25  # sniffing
    top = (0.64 * long, back * (0.75 if low else uniform(rng, 1.08, 1.2)))
    limb(
        b,
        [
            (0.36 * long, 0, back - 0.35 * deep),
            (0.51 * long, 0, (back - 0.15 * deep + top[1]) / 2),
            (top[0], 0, top[1]),
        ],
        [0.40 * deep, 0.34 * deep, 0.27 * deep],
        skin,
        wide=0.85,
    )
    _head(
        b,
        (top[0] + 0.04 * back, top[1]),
        back * uniform(rng, 0.36, 0.44),
        0.9 if low else uniform(rng, 0.0, 0.35),
        skin,
        dark,
        back * 0.16,
        uniform(rng, 0, 1),
    )
    tail = uniform(rng, -0.5, 0.9)
    x = -0.5 * long
    limb(
        b,
        [
            (x, 0, back - 0.15 * deep),
            (x - 0.2 * back, 0, back + 0.1 * tail * back),
            (x - 0.36 * back, 0, back + 0.4 * tail * back),
        ],
        [0.04 * back, 0.045 * back, 0.015 * back],
        skin,
        k=6,
    )
    if rng.random() < 0.4:
        b.cylinder(
            (0.50 * long, 0, back - 0.02), (0.55 * long, 0, back + 0.04), 0.3 * deep, b.paint(lively(rng)), sides=10
        )


def _deer(b: Builder) -> None:
    rng = b.rng
    back = uniform(rng, 0.75, 1.3)
    coat = one_of(rng, ((0.48, 0.31, 0.17), (0.40, 0.29, 0.20), (0.58, 0.38, 0.20)))
    skin = b.decal(surfaces.fur(rng, coat, (0.88, 0.82, 0.72), 64, float(rng.choice([0, 0.06, 0.12]))))
    dark, pale = b.paint((0.05, 0.045, 0.04)), b.paint((0.88, 0.84, 0.76))
    long, deep, wide = back * uniform(rng, 0.95, 1.1), back * 0.38, back * 0.27
    _trunk(b, long, back, deep, wide, skin, 0.12)
    _leg_pairs(b, long, back, deep, wide, back * 0.028, skin, dark)
    grazing = rng.random() < 0.2
    top = (0.85 * long, back * 0.45) if grazing else (uniform(rng, 0.70, 0.84) * long, back * uniform(rng, 1.25, 1.4))
    limb(
        b,
        [
            (0.38 * long, 0, back - 0.3 * deep),
            (0.50 * long, 0, (2 * back + top[1]) / 3),
            (0.6 * top[0] + 0.22 * long, 0, 0.3 * back + 0.7 * top[1]),
            (top[0], 0, top[1]),
        ],
        [0.40 * deep, 0.30 * deep, 0.22 * deep, 0.19 * deep],
        skin,
    )
    skull, down = back * 0.27, 1.1 if grazing else uniform(rng, 0.15, 0.5)
    _head(b, top, skull, down, skin, dark, skull * 0.5, 0.45)
    b.ellipsoid((-0.52 * long, 0, back - 0.32 * deep), (0.06 * back, 0.25 * wide, 0.2 * deep), pale)
    b.cylinder(
        (-0.5 * long, 0, back - 0.1 * deep),
        (-0.62 * long, 0, back - 0.35 * deep),
        0.035 * back,
        pale,
        r1=0.015,
        sides=6,
    )
    if rng.random() < 0.6:
        horn, reach = b.paint((0.52, 0.43, 0.32)), uniform(rng, 0.3, 0.75)
        with b.at(top[0], 0, top[1], pitch=down * 0.5):
            for side in (-1, 1):
                main = [
                    (0.0, side * 0.05, 0.2 * skull),
                    (-0.12 * reach, side * 0.3 * reach, 0.2 * skull + 0.4 * reach),
                    (0.02, side * 0.5 * reach, 0.2 * skull + 0.75 * reach),
                    (0.18 * reach, side * 0.45 * reach, reach),
                ]
                b.tube(main, 0.016 * back, horn, sides=5)
                for joint in main[1:3]:
                    b.cylinder(
                        joint,
                        (joint[0] + 0.22 * reach, joint[1] * 1.05, joint[2] + 0.2 * reach),
                        0.013 * back,
                        horn,
                        r1=0.004,
                        sides=5,
                    )


def _goat(b: Builder) -> None:
    rng = b.rng
    back = uniform(rng, 0.6, 0.85)
    coat = one_of(rng, ((0.86, 0.83, 0.76), (0.12, 0.11, 0.10), (0.48, 0.33, 0.20), (0.45, 0.44, 0.43)))
    skin = b.decal(
        surfaces.fur(
            rng,
            coat,
            (0.15, 0.12, 0.10) if sum(coat) > 1 else (0.85, 0.83, 0.8),
            64,
            float(rng.choice([0, 0.25, 0.45])),
        )
    )
    dark, horn = b.paint((0.06, 0.055, 0.05)), b.paint((0.36, 0.31, 0.25))
    long, deep, wide = back * uniform(rng, 1.05, 1.2), back * 0.50, back * 0.40
    _trunk(b, long, back, deep, wide, skin, 0.0)
    _leg_pairs(b, long, back, deep, wide, back * 0.038, skin, dark)
    top = (0.68 * long, back * uniform(rng, 1.15, 1.3))
    limb(
        b,
        [(0.36 * long, 0, back - 0.35 * deep), (0.54 * long, 0, (back + top[1]) / 2 - 0.05), (top[0], 0, top[1])],
        [0.36 * deep, 0.26 * deep, 0.20 * deep],
        skin,
    )
    skull, down = back * 0.36, uniform(rng, 0.35, 0.7)
    _head(b, top, skull, down, skin, dark, skull * 0.25, 0.8)
    with b.at(top[0], 0, top[1], pitch=down * 0.4):
        curl = uniform(rng, 0.5, 1.3)
        for side in (-1, 1):
            b.tube(
                [
                    (0, side * 0.035, 0.18 * skull),
                    (-0.12 * skull, side * 0.06, 0.18 * skull + 0.45 * skull * curl),
                    (-0.5 * skull * curl, side * 0.10, 0.2 * skull + 0.7 * skull * curl),
                    (-0.9 * skull * curl, side * 0.14, 0.2 * skull + 0.5 * skull * curl),
                ],
                0.02,
                horn,
                sides=6,
            )
        b.cylinder((0.55 * skull, 0, -0.2 * skull), (0.5 * skull, 0, -0.6 * skull), 0.1 * skull, skin, r1=0.01, sides=6)
    b.cylinder(
        (-0.5 * long, 0, back - 0.1 * deep), (-0.6 * long, 0, back + 0.1 * deep), 0.035 * back, skin, r1=0.02, sides=6
    )


def _bird(b: Builder) -> None:
    """Stork, crane or heron: long legs, folded wings, long neck and bill."""
    rng = b.rng
    tall = uniform(rng, 0.55, 0.85)  # body height
    coat = one_of(rng, ((0.90, 0.89, 0.86), (0.55, 0.57, 0.60), (0.40, 0.36, 0.32)), 0.02)
    skin, wing = (
        b.decal(surfaces.fur(rng, coat, px=64)),
        b.decal(
            surfaces.fur(rng, one_of(rng, ((0.07, 0.07, 0.08), (0.35, 0.37, 0.40), (0.22, 0.18, 0.15))), coat, 64, 0.3)
        ),
    )
    bare = b.paint(one_of(rng, ((0.80, 0.20, 0.08), (0.15, 0.14, 0.13), (0.75, 0.62, 0.15)), 0.02))
    long = tall * uniform(rng, 0.65, 0.9)
    r = long * 0.22
    limb(
        b,
        [
            (-0.55 * long, 0, tall - 0.35 * r),
            (-0.25 * long, 0, tall),
            (0.1 * long, 0, tall + 0.15 * r),
            (0.35 * long, 0, tall + 0.45 * r),
            (0.48 * long, 0, tall + 0.9 * r),
        ],
        [0.15 * r, 0.8 * r, r, 0.75 * r, 0.35 * r],
        skin,
        k=12,
    )
    for side in (-1, 1):
        with b.at(-0.2 * long, side * r * 0.75, tall + 0.2 * r, pitch=-0.15, yaw=side * 0.08):
            b.loft(
                np.stack(
                    [
                        circle(x * long, w * r, h * r, 0, 8)
                        for x, w, h in (
                            (-0.55, 0.04, 0.1),
                            (-0.3, 0.16, 0.4),
                            (0.05, 0.25, 0.7),
                            (0.35, 0.2, 0.65),
                            (0.5, 0.05, 0.2),
                        )
                    ]
                ),
                wing,
            )
        y, step = side * r * 0.45, uniform(rng, -0.12, 0.12)
        b.tube([(0, y, tall - 0.6 * r), (-0.05 * long, y, tall * 0.45), (step, y, 0.015)], 0.011, bare, sides=6)
        for toe in (-0.6, 0.0, 0.6):
            b.cylinder(
                (step, y, 0.012), (step + 0.09 * np.cos(toe), y + 0.09 * np.sin(toe), 0.006), 0.008, bare, sides=4
            )
    neck = uniform(rng, 0.35, 0.65)
    x, z = 0.45 * long, tall + 0.7 * r
    limb(
        b,
        [
            (x, 0, z),
            (x + 0.12 * long, 0, z + 0.25 * neck),
            (x + 0.02 * long, 0, z + 0.65 * neck),
            (x + 0.1 * long, 0, z + neck),
        ],
        [0.45 * r, 0.26 * r, 0.2 * r, 0.2 * r],
        skin,
    )
    hx, hz = x + 0.14 * long, z + neck
    b.ellipsoid((hx, 0, hz), (0.06, 0.035, 0.04), skin)
    b.cylinder((hx + 0.03, 0, hz), (hx + uniform(rng, 0.16, 0.26), 0, hz - 0.03), 0.02, bare, r1=0.003, sides=6)
