"""Parked aircraft: turboprops and regional jets, narrow bodies, wide bodies, in liveries of invented airlines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from training.apron.families.aircraft_livery import Frame, Livery
from training.apron.solids import Asset, Builder, Swatch, circle

_Section = tuple[float, float, float, float, float, float]  # leading edge x, y, z; chord; thickness ratio; cant
_Paint = Callable[[np.ndarray], np.ndarray]  # points [..., 3] -> rgb [..., 3], each 0..1


def _skin(b: Builder, rings: np.ndarray, px: tuple[int, int], paint: _Paint, grain: float = 0.04) -> None:
    """A loft whose picture is painted in asset coordinates, so nothing on it is stretched."""
    over, (w, h) = 3, px
    closed = np.concatenate([rings, rings[:, :1]], axis=1)

    def sample(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        t = np.clip(((np.arange(size * over) + 0.5) / over - 1.5) / (size - 3), 0, 1) * (n - 1)
        i = np.minimum(t.astype(int), n - 2)
        return i, (t - i)[:, None]

    i, s = sample(closed.shape[0], w)
    along = closed[i] * (1 - s[..., None]) + closed[i + 1] * s[..., None]
    j, t = sample(closed.shape[1], h)
    points = (along[:, j] * (1 - t) + along[:, j + 1] * t).swapaxes(0, 1)
    image = paint(points).reshape(h, over, w, over, 3).mean(axis=(1, 3))
    dirt = cv2.resize(b.rng.normal(size=(5, 9)).astype(np.float32), (w, h)) * np.sin(np.linspace(0, np.pi, w)) ** 0.5
    dirt = np.abs(dirt) * -0.8 + 0.3 * b.rng.normal(size=(h, w))  # fades out where two skins meet
    b.loft(rings, b.decal((np.clip(image * (1 + grain * dirt[..., None]), 0, 1) * 255).astype(np.uint8)))


def _surface(b: Builder, sections: Sequence[_Section], paint: Swatch | _Paint, mirror: bool = False) -> None:
    """A wing-like surface through ``sections`` (from root to tip); ``mirror`` puts it on the right side."""
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    aft = 0.5 + 0.5 * np.sin(angle)
    thick = -np.sign(np.cos(angle).round(9)) * 1.3 * np.sqrt(aft) * (1 - aft)
    rings = []
    for x, y, z, chord, ratio, cant in sections:
        out = thick * chord * ratio
        ring = np.stack([x - aft * chord, y - np.sin(cant) * out, z + np.cos(cant) * out], axis=1)
        rings.append(np.roll(ring[::-1] * (1, -1, 1), 1, axis=0) if mirror else ring)
    if isinstance(paint, Swatch):
        b.loft(np.stack(rings), paint)
    else:
        _skin(b, np.stack(rings), (64, 64), paint)


def _fuselage(b: Builder, f: Frame, livery: Livery, droop: float) -> None:
    t = np.array((0.0, 0.012, 0.05, 0.10, 0.17, 0.25, 0.40, 0.52, 0.70, 0.86, 1.0))
    top = np.array((0.0, 0.10, 0.22, 0.31, 0.42, 0.52, 0.74, 0.86, 0.95, 0.985, 1.0)) * (1 - droop) + droop
    low = np.array((0.0, 0.10, 0.24, 0.37, 0.51, 0.63, 0.80, 0.89, 0.965, 0.99, 1.0)) * (-1 - droop) + droop
    wide = np.array((0.01, 0.13, 0.29, 0.42, 0.56, 0.67, 0.84, 0.92, 0.98, 0.995, 1.0))
    a, z = f.nose, f.length - f.tail
    middle = (f.nose + f.length - f.tail) / 2 + 1.0
    s = np.array((0.0, 0.12, 0.25, 0.40, 0.55, 0.70, 0.84, 0.94, 0.995, 1.0))
    d = np.concatenate([t * a, np.linspace(a, middle, 8)[1:], np.linspace(middle, z, 7)[1:], z + s[1:] * f.tail])
    flat = np.ones(13)
    tops = np.concatenate([top, flat, 1 - 0.24 * s[1:] ** 1.8])
    lows = np.concatenate([low, -flat, -1 + 1.50 * s[1:] ** 1.55])
    wides = np.concatenate([wide, flat, 1 - 0.88 * s[1:] ** 1.9])
    rings = np.stack([
        circle(f.x(q), w * f.radius, (hi - lo) / 2 * f.radius, f.axis_z + (hi + lo) / 2 * f.radius, 24)
        for q, hi, lo, w in zip(d, tops, lows, wides, strict=True)
    ])[::-1]  # fmt: skip
    cut = len(rings) - 18
    _skin(b, rings[cut:], (256, 96), livery.body)
    _skin(b, rings[: cut + 1], (256, 96), livery.body)


def _turbofan(b: Builder, x: float, y: float, z: float, radius: float, length: float, cowl: np.ndarray) -> None:
    """A nacelle with intake ring, fan, spinner and exhaust; (x, y, z) is the middle of the intake."""
    profile = (
        (-1.15, 0.001),
        (-1.0, 0.22),
        (-1.0, 0.42),
        (-0.78, 0.56),
        (-0.78, 0.80),
        (-0.5, 0.97),
        (-0.25, 1.0),
        (-0.07, 0.94),
        (0.0, 0.85),
        (-0.04, 0.78),
        (-0.22, 0.76),
        (-0.22, 0.25),
        (-0.08, 0.001),
    )
    lip, metal, dark = np.array((0.74, 0.75, 0.77)), np.array((0.34, 0.32, 0.30)), np.array((0.03, 0.03, 0.035))
    zones = np.array((metal, dark, metal, dark, cowl, cowl, cowl, lip, lip * 0.8, dark + 0.15, dark, dark))
    image = np.repeat(zones[(np.arange(192) / 16).astype(int)][None], 96, axis=0)
    image[:, 160:176] = np.where((np.arange(96) % 6 < 3)[:, None, None], 0.20, 0.05)  # fan blades
    image[:, 176:184] = 0.22
    image[:32, 184:188] = 0.9
    decal = b.decal((cv2.resize(np.clip(image, 0, 1), (64, 32), interpolation=cv2.INTER_AREA) * 255).astype(np.uint8))
    for side in (-1, 1):
        b.loft(np.stack([circle(x + u * length, r * radius, r * radius, z, 18, side * y) for u, r in profile]), decal)


def _propeller(b: Builder, x: float, y: float, z: float, radius: float, back: float, cowl: Swatch) -> None:
    """A slim turboprop nacelle with spinner and blades; (x, y, z) is the propeller hub."""
    blades = int(b.rng.choice([4, 5, 6]))
    image = np.full((32, 32, 3), 26, np.uint8)
    image[:4] = ((235, 200, 30), (235, 235, 235), (215, 40, 30))[b.rng.integers(3)]
    paint = b.decal(image)
    wide = 0.26 * radius
    profile = (
        (-back, 0.1),
        (-back * 0.8, 0.7),
        (-back * 0.5, 1.15),
        (-1.2, 1.1),
        (-0.5, 0.95),
        (-0.16, 0.72),
        (-0.15, 0.6),
        (0.1, 0.52),
        (0.4, 0.3),
        (0.55, 0.01),
    )
    for side in (-1, 1):
        rings = [circle(x + u, wide * r, wide * r * 1.2, z - max(0.0, r - 0.7) * 0.2, 14, side * y) for u, r in profile]
        b.loft(np.stack(rings), cowl)
        b.box((x - 0.25, side * y, z - 0.95 * wide), (0.3, wide, 0.3), b.rubber)
        start = b.rng.uniform(0, 2)
        for k in range(blades):
            with b.at(x, side * y, z, roll=start + 2 * np.pi * k / blades):
                b.box((0, 0, 0.53 * radius), (0.07, 0.16 * radius, 0.92 * radius), paint, yaw=0.5, taper=(0.5, 0.75))


def _wings(b: Builder, f: Frame, paint: Swatch, winglet: float, cant: float) -> None:
    tan, up = np.tan(f.sweep), np.tan(f.dihedral)
    side, knee = f.radius * 0.9, f.half_span * 0.37

    def at(y: float, chord: float, ratio: float) -> _Section:
        return f.x(f.wing_d + (y - side) * tan), y, f.wing_z + (y - side) * up, chord, ratio, f.dihedral

    tip = at(f.half_span, f.tip, 0.10)
    sections = [at(0.1 * f.radius, f.root, 0.15), at(side, f.root, 0.15), at(knee, f.kink, 0.12), tip]
    y, z, x = tip[1], tip[2], tip[0]
    for k in range(1, 5) if winglet > 0 else ():
        angle = cant * k / 4
        step = winglet * (0.12, 0.18, 0.3, 0.4)[k - 1]
        y, z, x = y + step * np.cos(angle), z + step * np.sin(angle), x - step * 0.85
        sections.append((x, y, z, f.tip * (0.85, 0.7, 0.55, 0.32)[k - 1], 0.09, angle))
    for mirror in (False, True):
        _surface(b, sections, paint, mirror)
        sign = -1 if mirror else 1
        glow = (0.1, 0.9, 0.25) if mirror else (0.95, 0.08, 0.05)
        b.lamp((tip[0] + 0.02, sign * tip[1] * 0.997, tip[2]), (0.22, 0.12, 0.10), glow)
        for q in (0.45, 0.62, 0.78) if f.sweep > 0.3 else ():  # flap track fairings
            yy = q * f.half_span
            chord = float(np.interp(yy, (side, knee, f.half_span), (f.root, f.kink, f.tip)))
            le = at(yy, chord, 0.1)
            b.ellipsoid(
                (le[0] - chord * 0.93, sign * yy, le[2] - 0.06 * chord),
                (chord * 0.22, 0.05 * f.radius + 0.05, 0.05 * chord + 0.05),
                paint,
            )


def _tail(b: Builder, f: Frame, livery: Livery, paint: Swatch) -> None:
    low, height = f.axis_z + f.radius * 0.7, f.fin_top - f.axis_z - f.radius
    end = f.x(f.length)
    root, lean = height * (0.98 if not f.t_tail else 0.9), 0.78 if f.sweep > 0.2 else 0.5
    top = root * (0.36 if not f.t_tail else 0.66)
    le = end + root + 0.06 * f.length * (0.5 if f.t_tail else 0.75)
    high = f.fin_top
    sections = [(le + 0.42 * height, 0.0, low, root + 0.42 * height, 0.07, np.pi / 2),
                (le - 0.12 * height, 0.0, low + 0.3 * f.radius + 0.12 * height, root * 0.92, 0.10, np.pi / 2),
                (le - lean * height * 0.97, 0.0, high - 0.03 * height, top, 0.10, np.pi / 2),
                (le - lean * height - top * 0.1, 0.0, high, top * 0.8, 0.06, np.pi / 2)]  # fmt: skip
    _surface(b, sections, livery.fin)
    half = f.half_span * (0.36 if f.sweep > 0.2 else 0.29)
    chord = half * (0.62 if f.sweep > 0.2 else 0.5)
    x, z = (le - lean * height + 0.1, high - 0.05) if f.t_tail else (le + 0.1 * chord, f.axis_z + 0.42 * f.radius)
    back = half * np.tan(f.sweep + 0.08)
    lift = z + half * np.tan(f.dihedral)
    plane = [(x, 0.02, z, chord, 0.09, 0.0), (x - back * 0.97, half * 0.97, lift, chord * 0.42, 0.08, 0.0),
             (x - back, half, lift, chord * 0.36, 0.04, 0.0)]  # fmt: skip
    for mirror in (False, True):
        _surface(b, plane, paint, mirror)


def _gear(b: Builder, f: Frame) -> None:
    hub = b.paint((0.72, 0.73, 0.74))
    small = f.wheel * 0.68
    x, belly = f.x(f.nose_gear_d), f.axis_z - f.radius * 0.8
    b.cylinder((x, 0, small), (x + 0.15, 0, belly), 0.11 * f.wheel + 0.04, hub, sides=8)
    b.tube([(x, 0, small * 1.8), (x - 0.35 * f.radius, 0, belly)], 0.05, hub)
    b.axle(x, small * 1.1, small, small * 0.5, hub)
    b.lamp((x + 0.2, 0, (small + belly) / 2 + 0.3), (0.08, 0.3, 0.14), (1.0, 0.97, 0.88))
    for y in (-0.28, 0.28):
        b.box((x - 0.3 * f.radius, y * f.radius, belly - 0.12 * f.radius), (0.7 * f.radius, 0.04, 0.4 * f.radius), hub)
    x = f.x(f.main_gear_d)
    for side in (-1, 1):
        y = side * f.track / 2
        top = f.wing_z if f.wing_z < f.axis_z else f.axis_z - 0.6 * f.radius
        b.cylinder((x, y, f.wheel), (x, y * 1.01, top), 0.17 * f.wheel + 0.05, hub, sides=8)
        b.tube([(x, y, f.wheel * 1.6), (x + 0.2, y - side * f.track * 0.16, top)], 0.06 + 0.04 * f.wheel, hub)
        b.box((x, y + side * 0.35 * f.wheel, f.wheel * 1.25 + (top - f.wheel) * 0.5),
              (1.1 * f.wheel + 0.2, 0.05, (top - f.wheel) * 0.75), hub, roll=side * -0.05)  # fmt: skip
        rows = {2: (0.0,), 4: (-1.1, 1.1), 6: (-2.15, 0.0, 2.15)}[f.bogie]
        if len(rows) > 1:
            b.box((x, y, f.wheel), (2.2 * f.wheel * (len(rows) - 1), 0.22, 0.22), hub)
        for row in rows:
            for off in (-0.52, 0.52):
                b.wheel((x + row * f.wheel, y + off * f.wheel * 1.1, f.wheel), f.wheel, f.wheel * 0.62, hub)


def _common(b: Builder, f: Frame, rear_door: bool = True) -> tuple[Livery, Swatch, Swatch]:
    """What all types share: fuselage, tail, gear, lamps; returns the livery, wing paint and belly paint."""
    rng = b.rng
    livery = Livery(rng, f, rear_door)
    wing = b.paint(tuple(np.array((0.62, 0.64, 0.66)) * rng.uniform(0.85, 1.15)), grain=0.08)
    belly = b.paint(tuple(livery.belly * 0.95), grain=0.1)
    _tail(b, f, livery, belly if livery.scheme == "solid" else wing)
    _fuselage(b, f, livery, float(rng.uniform(-0.34, -0.18)))
    _gear(b, f)
    for q in (0.22, 0.45, 0.62):
        b.box((f.x(f.length * q), 0, f.axis_z + f.radius + 0.12), (0.4, 0.05, 0.32), wing, taper=(0.5, 1))
    red = (0.95, 0.08, 0.05)
    b.lamp((f.x(f.length * 0.5), 0, f.axis_z + f.radius + 0.03), (0.25, 0.12, 0.14), red)
    b.lamp((f.x(f.length * 0.47), 0, f.axis_z - f.radius - 0.06), (0.25, 0.12, 0.14), red)
    return livery, wing, belly


def _fairing(b: Builder, f: Frame, paint: Swatch) -> None:
    """The bulge where a low wing meets the fuselage."""
    start, end = f.x(f.wing_d + f.root * 1.35), f.x(f.wing_d - 0.3 * f.root)
    u = np.array((0.02, 0.45, 0.8, 1.0, 1.0, 0.8, 0.45, 0.02))
    low = f.axis_z - f.radius * 0.38
    b.loft(np.stack([circle(x, f.radius * 1.02 * w**0.4, f.radius * 0.70 * w**0.4, low, 16)
                     for x, w in zip(np.linspace(start, end, 8), u, strict=True)]), paint)  # fmt: skip


def _underwing(b: Builder, f: Frame, livery: Livery, wing: Swatch, y: float, radius: float, length: float) -> None:
    """Two turbofans on pylons in front of and below the wing."""
    le = f.wing_d + (y - 0.9 * f.radius) * np.tan(f.sweep)
    wing_z = f.wing_z + (y - 0.9 * f.radius) * np.tan(f.dihedral)
    z = max(radius + 0.22 * radius + 0.25, wing_z - radius * 1.12)
    x = f.x(le - 0.66 * length)
    plain = livery.scheme == "solid" or b.rng.random() < 0.3
    _turbofan(b, x, y, z, radius, length, livery.accent if plain else livery.base)
    for side in (-1, 1):
        b.prism(
            [
                (x - 0.25 * length, z + 0.9 * radius),
                (x - 0.80 * length, z + 0.6 * radius),
                (f.x(le + 0.45 * f.kink), wing_z - 0.05),
                (f.x(le + 0.05 * f.kink), wing_z + 0.08),
                (x - 0.45 * length, z + 1.12 * radius),
            ],
            side * y - 0.08 * radius,
            side * y + 0.08 * radius,
            wing,
        )


def _jet(
    rng: np.random.Generator,
    length: float,
    radius: float,
    clearance: float,
    half_span: float,
    fin_top: float,
    **more: float,
) -> Frame:
    """Proportions of a low-wing jet; ``more`` overrides."""
    root = more.pop("root", 0.172 * length)
    wing_d = more.pop("wing_d", length * rng.uniform(0.315, 0.345))
    values: dict[str, float] = {
        "nose": 3.0 * radius, "tail": 5.4 * radius, "wing_z": clearance + 0.36 * radius, "kink": 0.62 * root,
        "tip": 0.24 * root, "sweep": rng.uniform(0.46, 0.55), "dihedral": rng.uniform(0.08, 0.115),
        "track": 3.6 * radius, "nose_gear_d": 2.45 * radius, "main_gear_d": wing_d + 0.94 * root, "wheel": 0.58,
        "bogie": 2, "window_pitch": 0.53, **more}  # fmt: skip
    return Frame(length=length, radius=radius, axis_z=clearance + radius, half_span=half_span, wing_d=wing_d,
                  root=root, fin_top=fin_top, t_tail=bool(values.pop("t_tail", 0)), bogie=int(values.pop("bogie")),
                  **values)  # fmt: skip


def aircraft_small(rng: np.random.Generator) -> Asset:
    """A turboprop (high or low wing) or a regional jet with engines at the tail."""
    b = Builder(rng)
    kind = str(rng.choice(["high", "high", "low", "jet", "jet"]))
    if kind == "jet":
        length, radius = rng.uniform(23.5, 26.8), rng.uniform(1.18, 1.36)
        f = _jet(rng, length, radius, rng.uniform(1.1, 1.35), length * rng.uniform(0.38, 0.41), length * 0.235,
                 t_tail=1, wing_d=length * 0.42, root=0.165 * length, wheel=0.37, tail=5.6 * radius, track=2.6 * radius,
                 nose_gear_d=2.2 * radius, window_pitch=0.78, sweep=0.42, nose=3.1 * radius)  # fmt: skip
        livery, wing, belly = _common(b, f, rear_door=False)
        _fairing(b, f, belly)
        _wings(b, f, wing, float(rng.choice([0.0, 1.2])), 1.35)
        x, y, z = f.x(length - f.tail * 0.98), radius * 1.72, f.axis_z + radius * 0.55
        _turbofan(b, x, y, z, 0.62 * radius, 2.6 * radius, livery.accent if rng.random() < 0.3 else livery.base)
        for side in (-1, 1):
            b.box((x - 1.2 * radius, side * radius * 0.95, z), (1.5 * radius, radius, 0.16 * radius), wing)
        return b.asset("aircraft_small", 0.5)
    high = kind == "high"
    length = rng.uniform(22.5, 27.5) if high else rng.uniform(20.0, 23.5)
    radius = rng.uniform(1.32, 1.42) if high else rng.uniform(1.12, 1.22)
    clearance = rng.uniform(1.0, 1.2) if high else rng.uniform(1.35, 1.55)
    half, root = rng.uniform(0.47, 0.53) * length, 0.105 * length
    wing_z = clearance + (1.95 if high else 0.3) * radius
    f = _jet(rng, length, radius, clearance, half, clearance + 2 * radius + 0.155 * length, t_tail=float(high),
             root=root, wing_d=0.41 * length, kink=root * 0.97, tip=root * 0.55, sweep=0.05,
             dihedral=0.035 if high else 0.12, wing_z=wing_z, wheel=0.42, tail=5.0 * radius, nose=2.7 * radius,
             track=(3.0 if high else 4.6) * radius, nose_gear_d=2.0 * radius, window_pitch=0.78,
             main_gear_d=0.41 * length + 0.62 * root)  # fmt: skip
    livery, wing, belly = _common(b, f)
    _wings(b, f, wing, 0.0, 0.0)
    y = f.track / 2 if not high else 0.30 * half
    hub_z = wing_z + (y - 0.9 * radius) * np.tan(f.dihedral) + (-0.25 if high else 0.25)
    cowl = b.paint(tuple(livery.accent if rng.random() < 0.4 else livery.base), 0.08)
    _propeller(b, f.x(f.wing_d - 2.1), y, hub_z, 1.95 if high else 1.65, 5.4, cowl)
    if high:
        for side in (-1, 1):
            b.ellipsoid(
                (f.x(f.main_gear_d), side * radius * 0.85, clearance + 0.42 * radius),
                (2.4, 0.55 * radius, 0.42 * radius),
                belly,
            )
        b.ellipsoid((f.x(f.wing_d + 0.5 * root), 0, wing_z - 0.1), (1.1 * root, 0.6 * radius, 0.3), belly)
    else:
        _fairing(b, f, belly)
    return b.asset("aircraft_small", 0.5)


def aircraft_medium(rng: np.random.Generator) -> Asset:
    """A narrow-body twin jet of the A320 / 737 size."""
    b = Builder(rng)
    radius = rng.uniform(1.90, 2.02)
    f = _jet(rng, rng.uniform(33.4, 40.0), radius, rng.uniform(1.5, 1.85), rng.uniform(16.6, 17.4),
             rng.uniform(11.6, 12.5), root=rng.uniform(6.0, 6.7))  # fmt: skip
    livery, wing, belly = _common(b, f)
    _fairing(b, f, belly)
    _wings(b, f, wing, float(rng.choice([0.0, 1.6, 2.6])), rng.uniform(1.1, 1.45))
    _underwing(b, f, livery, wing, rng.uniform(5.0, 5.8), rng.uniform(1.05, 1.25), rng.uniform(4.0, 4.7))
    return b.asset("aircraft_medium", 0.5)


def aircraft_large(rng: np.random.Generator) -> Asset:
    """A wide-body twin jet of the A330 / 787 / 777 size."""
    b = Builder(rng)
    radius, length = rng.uniform(2.8, 3.08), rng.uniform(60.0, 70.0)
    f = _jet(rng, length, radius, rng.uniform(2.0, 2.5), rng.uniform(28.8, 31.0), rng.uniform(16.6, 18.4),
             root=rng.uniform(10.5, 12.0), kink=rng.uniform(6.9, 7.6), tip=2.6, sweep=rng.uniform(0.53, 0.6),
             wheel=0.68, bogie=int(rng.choice([4, 4, 6])), tail=rng.uniform(5.8, 6.4) * radius)  # fmt: skip
    livery, wing, belly = _common(b, f)
    _fairing(b, f, belly)
    _wings(b, f, wing, float(rng.choice([0.0, 2.2, 3.0])), rng.uniform(0.5, 1.3))
    _underwing(b, f, livery, wing, rng.uniform(9.3, 9.9), rng.uniform(1.65, 1.95), rng.uniform(6.0, 7.0))
    return b.asset("aircraft_large", 0.5)
