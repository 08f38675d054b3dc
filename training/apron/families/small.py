"""Ramp workers, traffic cones and wheel chocks (the boarding bridge, also offered here, is in ``bridge``)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from training.apron.families.bridge import jet_bridge as jet_bridge
from training.apron.solids import Asset, Builder, Rgb, Swatch, circle

_UP = -np.pi / 2  # the pitch that turns local x up: rings along x then start at the front, and go over the left
_BRIGHT: tuple[Rgb, ...] = ((0.98, 0.42, 0.03), (0.80, 0.95, 0.05), (0.95, 0.85, 0.05), (0.95, 0.20, 0.12))
_CLOTH: tuple[Rgb, ...] = ((0.06, 0.08, 0.16), (0.10, 0.10, 0.11), (0.22, 0.24, 0.27), (0.12, 0.16, 0.30),
                           (0.28, 0.25, 0.20))  # fmt: skip
_SKIN: tuple[Rgb, ...] = ((0.86, 0.66, 0.54), (0.74, 0.53, 0.40), (0.52, 0.34, 0.23), (0.32, 0.20, 0.14))


def _pick(rng: np.random.Generator, colours: Sequence[Rgb]) -> Rgb:
    return colours[int(rng.integers(len(colours)))]


def _image(rgb: Rgb, rng: np.random.Generator, rows: int = 64, cols: int = 64) -> np.ndarray:
    """A slightly soiled plain picture to draw on."""
    noise = cv2.resize(rng.normal(size=(6, 6)).astype(np.float32), (cols, rows))
    return np.asarray(np.clip(np.asarray(rgb) * (1 + 0.05 * noise[..., None]), 0, 1) * 255, np.uint8)


def _limb(b: Builder, points: Sequence[np.ndarray], radii: Sequence[float], paint: Swatch, k: int = 8) -> None:
    """A tapered skin around a bent chain of points."""
    path = np.asarray(points, float)
    rings = []
    side = np.array((0.0, 1.0, 0.0))
    for i, radius in enumerate(radii):
        along = path[min(i + 1, len(path) - 1)] - path[max(i - 1, 0)]
        along /= max(float(np.linalg.norm(along)), 1e-9)
        e0 = side - along * float(side @ along)
        if np.linalg.norm(e0) < 0.2:
            e0 = np.array((1.0, 0.0, 0.0)) - along * along[0]
        e0 /= np.linalg.norm(e0)
        e1 = np.cross(along, e0)
        angle = np.linspace(0, 2 * np.pi, k, endpoint=False)[:, None]
        rings.append(path[i] + radius * (np.cos(angle) * e0 + np.sin(angle) * e1))
    b.loft(np.stack(rings), paint)


def _chain(start: np.ndarray, parts: Sequence[tuple[float, float, float]]) -> list[np.ndarray]:
    """Joints of a limb: each part is (length, swing forward, swing outward left), from hanging straight down."""
    points = [start]
    for length, swing, out in parts:
        step = np.array((np.sin(swing) * np.cos(out), np.sin(out), -np.cos(swing) * np.cos(out)))
        points.append(points[-1] + length * step)
    return points


def _vest(rng: np.random.Generator, bright: Rgb, under: Rgb, long: bool | np.bool_) -> np.ndarray:
    """High-visibility vest: the rows go around (front, left, back, right, front), the columns go up."""
    image = _image(bright, rng)
    silver = (205, 208, 210)
    for centre in (0, 32, 64):
        for strap in (-6, 6):
            image[max(centre + strap - 1, 0) : max(centre + strap + 2, 0), 26:] = silver
    for col in (12, 24) if long else (22,):
        image[:, col : col + 4] = silver
    image[[0, 63], :] = (60, 60, 60)
    for side in (16, 48):
        image[side - 4 : side + 5, 44:] = np.asarray(under) * 255
    image[:, 60:] = np.asarray(under) * 255
    return image


def _pose(rng: np.random.Generator) -> tuple[float, list[float], list[float], list[tuple[float, float, float]]]:
    """Lean of the trunk, thigh and shin swings (left, right), and per arm (upper, fore, outward) swings."""
    u = rng.uniform
    kind = str(rng.choice(["stand", "walk", "walk", "raised", "bend", "point", "crossed"]))
    lean, thigh, shin = u(-0.02, 0.08), [u(-0.06, 0.1), u(-0.06, 0.1)], [0.0, 0.0]
    shin = [thigh[0] - u(0, 0.12), thigh[1] - u(0, 0.12)]
    arms = [(u(-0.1, 0.2), u(0.1, 0.6), u(0.08, 0.25)), (u(-0.1, 0.2), u(0.1, 0.6), u(0.08, 0.25))]
    if kind == "walk":
        step = u(0.25, 0.5)
        thigh = [step, -step * 0.75] if rng.random() < 0.5 else [-step * 0.75, step]
        shin = [t - (0.1 if t > 0 else u(0.2, 0.6)) for t in thigh]
        arms = [(-1.1 * t, -1.1 * t + u(0.2, 0.8), 0.12) for t in thigh]
    elif kind == "raised":
        swing = u(2.0, 3.0) if rng.random() < 0.6 else u(1.2, 1.7)
        arms = [(swing + u(-0.3, 0.3), swing + u(0, 0.5), u(0.1, 0.7)) for _ in range(2)]
    elif kind == "bend":
        lean, knee = u(0.55, 1.15), u(0.1, 0.7)
        thigh, shin = [knee, knee + u(-0.2, 0.2)], [-knee * 0.8, -knee * 0.7]
        arms = [(u(0.2, 0.9), u(0.3, 1.2), u(0.05, 0.2)) for _ in range(2)]
    elif kind == "point":
        arms[int(rng.integers(2))] = (u(0.9, 1.7), u(1.2, 1.8), u(0.0, 1.1))
    elif kind == "crossed":
        arms = [(u(0.3, 0.6), u(1.4, 2.0), -0.1), (u(0.3, 0.6), u(1.4, 2.0), -0.1)]
    return lean, thigh, shin, arms


def person(rng: np.random.Generator) -> Asset:
    """A ramp worker or marshaller in high-visibility clothing, 1.55-1.95 m tall when upright."""
    b = Builder(rng)
    tall, girth = rng.uniform(1.55, 1.95), rng.uniform(0.92, 1.25)
    bright, cloth, tone = _pick(rng, _BRIGHT), _pick(rng, _CLOTH), _pick(rng, _SKIN)
    lean, thigh, shin, arms = _pose(rng)
    hi_vis_legs, long_vest = rng.random() < 0.35, rng.random() < 0.7 and max(np.abs(thigh)) < 0.3
    sleeve = bright if rng.random() < 0.4 else tone if rng.random() < 0.25 else _pick(rng, _CLOTH)
    legs, arm_paint = b.paint(bright if hi_vis_legs else cloth), b.paint(sleeve)
    skin, boots, silver = b.paint(tone), b.paint((0.10, 0.08, 0.07)), b.paint((0.80, 0.81, 0.82), grain=0.05)
    gloves = b.paint((0.75, 0.55, 0.12)) if rng.random() < 0.4 else skin
    vest = b.decal(_vest(rng, bright, sleeve if sleeve is not tone else cloth, long_vest))
    s = tall / 1.75

    feet = []
    for side, t, k in zip((1, -1), thigh, shin, strict=True):
        hip = np.array((0.0, side * 0.085 * s, 0.0))
        feet.append(_chain(hip, [(0.42 * s, t, side * 0.03), (0.42 * s, k, side * 0.01)]))
    hip_z = 0.075 * s - min(leg[-1][2] for leg in feet)
    with b.at(z=hip_z):
        for leg in feet:
            knee, ankle = leg[1], leg[2]
            up = (leg[0] * 0.5 + knee * 0.5, knee * 0.5 + ankle * 0.5)
            path = [leg[0] + (0, 0, 0.04), up[0], knee, up[1], ankle - (0, 0, 0.02)]
            _limb(b, path, [r * s * girth for r in (0.086, 0.082, 0.062, 0.062, 0.054)], legs)
            for q in (0.25, 0.6) if hi_vis_legs or rng.random() < 0.3 else ():
                p0, p1 = knee + (ankle - knee) * q, knee + (ankle - knee) * (q + 0.13)
                b.cylinder(p0, p1, 0.067 * s * girth, silver, sides=8)
            b.box(
                (ankle + np.array((0.055 * s, 0, -0.035 * s))).tolist(),
                (0.27 * s, 0.10 * s, 0.08 * s),
                boots,
                taper=(0.75, 0.9),
            )
        b.ellipsoid((0, 0, 0.02 * s), (0.12 * s * girth, 0.165 * s * girth**0.7, 0.13 * s), legs)
        with b.at(pitch=lean):
            level = np.array((-0.16 if long_vest else -0.09, 0.0, 0.12, 0.26, 0.40, 0.47, 0.51)) * s
            wide = np.array((0.192, 0.180, 0.166, 0.182, 0.200, 0.172, 0.065)) * s
            deep = np.array((0.140, 0.125, 0.115, 0.125, 0.115, 0.095, 0.060)) * s
            with b.at(pitch=_UP):
                rings = [circle(x, w * girth**0.6, d * girth, 0, 16) for x, w, d in zip(level, wide, deep, strict=True)]
                b.loft(np.stack(rings), vest)
            for side, (upper, fore, out) in zip((1, -1), arms, strict=True):
                joint = np.array((0.0, side * 0.178 * s * girth**0.6, 0.42 * s))
                b.ellipsoid(joint.tolist(), (0.070 * s * girth**0.5, 0.066 * s * girth**0.5, 0.066 * s), arm_paint)
                a = _chain(
                    joint,
                    [
                        (0.29 * s, upper + lean * 0.7, side * out),
                        (0.25 * s, fore + lean * 0.7, side * (out * 0.6 if fore < 1.3 else out - 0.35)),
                    ],
                )
                path = [a[0], a[0] * 0.5 + a[1] * 0.5, a[1], a[1] * 0.5 + a[2] * 0.5, a[2]]
                _limb(b, path, [r * s * girth**0.5 for r in (0.068, 0.057, 0.048, 0.044, 0.035)], arm_paint)
                p0, p1 = a[0] + (a[1] - a[0]) * 0.55, a[0] + (a[1] - a[0]) * 0.75
                b.cylinder(p0, p1, 0.060 * s * girth**0.5, silver, sides=8)
                fore_dir = (a[2] - a[1]) / np.linalg.norm(a[2] - a[1])
                hand = a[2] + fore_dir * 0.06 * s
                b.ellipsoid(hand.tolist(), (0.045 * s, 0.042 * s, 0.062 * s), gloves)
                _hold(b, hand, fore_dir, upper, s)
            with b.at(z=0.50 * s, pitch=-lean * 0.6):
                _head(b, s, skin, cloth)
    return b.asset("person", 0.1)


def _hold(b: Builder, hand: np.ndarray, along: np.ndarray, upper: float, s: float) -> None:
    """Marshalling wands, nearly always in raised hands."""
    if b.rng.random() > (0.85 if upper > 1.1 else 0.15):
        return
    glow = b.paint((1.0, 0.30, 0.05), grain=0.0)
    way = along * 0.7 + np.array((0.0, 0.0, 0.7 if upper > 1.1 else -0.2))
    way /= np.linalg.norm(way)
    b.cylinder(hand - way * 0.06, hand + way * 0.10, 0.02 * s, b.rubber, sides=7)
    b.cylinder(hand + way * 0.10, hand + way * 0.45, 0.026, glow, sides=7, lamp=True)


def _head(b: Builder, s: float, skin: Swatch, cloth: Rgb) -> None:
    """Neck, head, hair, cap or helmet, and ear defenders."""
    rng = b.rng
    b.cylinder((0, 0, -0.04 * s), (0.01, 0, 0.08 * s), 0.055 * s, skin, sides=8)
    middle = np.array((0.015, 0.0, 0.165 * s))
    b.ellipsoid(middle.tolist(), (0.098 * s, 0.077 * s, 0.122 * s), skin)
    b.box((middle + np.array((0.10 * s, 0, -0.015 * s))).tolist(), (0.025 * s, 0.02 * s, 0.04 * s), skin)
    style = str(rng.choice(["hair", "cap", "helmet", "helmet", "hood"]))
    if style == "hair":
        hair = b.paint(((0.08, 0.06, 0.05), (0.25, 0.16, 0.09), (0.55, 0.50, 0.45))[int(rng.integers(3))])
        b.ellipsoid(
            (middle + np.array((-0.018 * s, 0, 0.025 * s))).tolist(),
            (0.098 * s, 0.084 * s, 0.112 * s),
            hair,
            pitch=-0.4,
        )
    else:
        colour = ((0.92, 0.92, 0.90), (0.95, 0.80, 0.08), (0.10, 0.25, 0.60), (0.80, 0.10, 0.08), cloth)
        paint = b.paint(colour[4] if style == "hood" else colour[int(rng.integers(5))])
        b.ellipsoid(
            (middle + np.array((-0.012 * s, 0, 0.05 * s))).tolist(),
            (0.110 * s, 0.092 * s, 0.095 * s),
            paint,
            pitch=-0.15,
        )
        if style != "hood":
            b.box(
                (middle + np.array((0.115 * s, 0, 0.050 * s))).tolist(),
                (0.10 * s, 0.13 * s, 0.016 * s),
                paint,
                pitch=0.15,
            )
    if rng.random() < 0.75:
        cup = b.paint(((0.85, 0.12, 0.08), (0.95, 0.75, 0.05), (0.08, 0.08, 0.09))[int(rng.integers(3))])
        arc = [(0.0, 0.1 * s * np.cos(q), 0.15 * s + 0.145 * s * np.sin(q)) for q in np.linspace(0, np.pi, 7)]
        b.tube(arc, 0.012, b.rubber, sides=5)
        for side in (-1, 1):
            b.cylinder((0, side * 0.068 * s, 0.15 * s), (0, side * 0.120 * s, 0.15 * s), 0.043 * s, cup, sides=10)


def cone(rng: np.random.Generator) -> Asset:
    """A traffic cone with reflective bands, 0.3-1.0 m."""
    b = Builder(rng)
    height = float(rng.choice([0.32, 0.46, 0.50, 0.75, 0.75, 1.0])) * rng.uniform(0.95, 1.05)
    colour = _pick(rng, (*_BRIGHT[:1] * 4, (0.95, 0.28, 0.05), (0.85, 0.10, 0.06), (0.95, 0.85, 0.05)))
    foot = height * rng.uniform(0.48, 0.62)
    base = b.paint(colour) if rng.random() < 0.4 else b.rubber
    image = _image(colour, rng, 32, 128)
    bands = ((0.35, 0.55), (0.68, 0.85)) if rng.random() < 0.55 else ((0.45, 0.72),) if rng.random() < 0.85 else ()
    for low, high in bands:
        image[:, int(low * 128) : int(high * 128)] = (228, 230, 232)
    dirt = np.linspace(0.75, 1.0, 128) if rng.random() < 0.6 else np.ones(128)
    skin = b.decal((image * np.sqrt(dirt)[None, :, None]).astype(np.uint8))
    thick = 0.05 * height + 0.012
    h = foot / 2
    c = 0.75 if rng.random() < 0.6 else 0.55
    b.slab([(h, -c * h), (h, c * h), (c * h, h), (-c * h, h), (-h, c * h), (-h, -c * h), (-c * h, -h), (c * h, -h)],
           0, thick, base)  # fmt: skip
    wide, tip = foot * rng.uniform(0.36, 0.41), 0.035 + 0.02 * height
    with b.at(roll=0, pitch=_UP + rng.uniform(-0.02, 0.02)):
        rings = [(thick * 0.9, wide * 1.15), (thick * 1.4, wide)]
        rings += [(q * height, wide + (tip - wide) * q) for q in (0.3, 0.5, 0.75, 0.97)]
        b.loft(np.stack([circle(x, r, r, 0, 18) for x, r in [*rings, (height, tip * 0.8)]]), skin)
        b.cylinder((height * 0.99, 0, 0), (height * 1.004, 0, 0), tip * 0.55, b.rubber, sides=10)
    if rng.random() < 0.12:
        b.beacon((0, 0, height), 0.06)
    return b.asset("cone", 0.2)


def chocks(rng: np.random.Generator) -> Asset:
    """A pair of aircraft wheel chocks joined by a rope."""
    b = Builder(rng)
    high = rng.uniform(0.13, 0.24)
    wide, length, gap = high * rng.uniform(1.3, 1.8), rng.uniform(0.35, 0.95), rng.uniform(0.45, 1.1)
    style = str(rng.choice(["yellow", "striped", "striped", "rubber"]))
    yellow, black = (0.95, 0.76, 0.04), (0.06, 0.06, 0.06)
    image = _image(black if style == "rubber" else yellow, rng, 32, 128)
    col, row = np.meshgrid(np.arange(128), np.arange(32))
    if style == "striped":
        image[(col + row) % 36 < 18] = (16, 16, 17)
    elif style == "rubber":
        image[:, [*range(6, 20), *range(108, 122)]] = (236, 196, 20)
    body = b.decal(image.swapaxes(0, 1))  # a prism runs its paint across, not along
    ends = b.paint(yellow if style != "rubber" else black)
    for side in (-1, 1):
        lip = wide * rng.uniform(0.12, 0.3)
        turn = rng.uniform(-0.25, 0.25)
        with b.at(x=side * (gap / 2 + wide / 2), yaw=turn):
            half = length / 2
            profile = [(-wide / 2, 0.0), (wide / 2, 0.0), (wide / 2, 0.2 * high), (lip / 2, high), (-lip / 2, high),
                       (-wide / 2, 0.2 * high)]  # fmt: skip
            b.prism(profile, -half, half, body, side=ends)
            b.tube([(0, half, 0.5 * high), (0, half + 0.05, 0.6 * high), (0, half + 0.05, 0.25 * high)], 0.014, b.steel)
    rope = b.paint(((0.80, 0.72, 0.50), (0.15, 0.25, 0.65), (0.90, 0.40, 0.05))[int(rng.integers(3))])
    t = np.linspace(0, 1, 9)
    bow, slack = rng.uniform(0.05, 0.35), rng.uniform(0.0, 0.06)
    y = length / 2 + 0.05 + bow * np.sin(np.pi * t) + slack * np.sin(3 * np.pi * t)
    z = 0.012 + (0.45 * high) * np.abs(2 * t - 1) ** 6
    x = (2 * t - 1) * (gap / 2 + wide / 2)
    b.tube([(float(p), float(q), float(r)) for p, q, r in zip(x, y, z, strict=True)], 0.013, rope, sides=5)
    return b.asset("chocks", 0.15)
