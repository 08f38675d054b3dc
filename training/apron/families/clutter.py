"""Clutter: abstract assemblies that are no particular thing; training outliers that say "some object"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.apron.families import surfaces
from training.apron.families.livery import (
    body_panels,
    draw_livery,
    hazard_stripes,
    logo_panel,
    vents,
    window_band,
)
from training.apron.families.resting import in_one_piece, stand
from training.apron.families.shapes import (
    KINDS,
    Skins,
    cage,
    draw_size,
    palette,
    pick,
    solid,
)
from training.apron.families.surfaces import sheet_metal
from training.apron.solids import Asset, Builder

_TRIANGLES = 2400


def clutter(rng: np.random.Generator) -> Asset:
    """Some object that never was: a random assembly of solids with any paint, in any pose, 0.4 to 5 m."""
    while True:
        b = Builder(rng)
        equipment = rng.random() < 0.45  # painted and built like something that works on an apron
        skins = _livery_palette(b) if equipment else palette(b)
        upright = rng.random() < (0.92 if equipment else 0.72)
        plan = _chassis if equipment and rng.random() < 0.6 else _PLANS[int(rng.choice(len(_PLANS), p=_WEIGHTS))]
        plan(b, skins)
        if rng.random() < 0.35:
            _trim(b, skins)
        asset = b.asset("clutter", shininess=float(rng.uniform(0.0, 0.8)))
        if len(asset.body.faces) <= _TRIANGLES:
            return stand(in_one_piece(asset), rng, upright)


def _livery_palette(b: Builder) -> Skins:
    """The colours and panels of ground support equipment, so that paint alone never tells known from unknown."""
    rng, livery = b.rng, draw_livery(b.rng)
    base, accent = b.paint(livery.base), b.paint(livery.accent)
    panels = [
        b.decal(vents(rng, livery.base)),
        b.decal(body_panels(rng, livery.base, w=96)),
        b.decal(hazard_stripes(rng)),
        b.decal(logo_panel(rng, livery, 96, 64)),
        b.decal(window_band(int(rng.integers(2, 6)), 96, 32)),
        b.decal(sheet_metal(rng, (0.62, 0.63, 0.64))),
    ]
    order = rng.permutation(len(panels))[: int(rng.integers(1, 5))]
    rest = [b.paint(livery.trim), b.steel, b.rubber, b.glass, accent, *(panels[i] for i in order)]
    rng.shuffle(rest)
    return [base, *rest[: int(rng.integers(2, 8))]]


def _cluster(b: Builder, skins: Skins) -> None:
    """Grow by sticking each solid to a face of an earlier one, often in mirrored pairs."""
    rng = b.rng
    mirrored = rng.random() < 0.6
    placed = [((0.0, 0.0, 0.0), draw_size(rng))]
    solid(b, skins, *placed[0])
    for _ in range(int(rng.integers(2, 9))):
        host, host_size = placed[int(rng.integers(len(placed)))]
        size = draw_size(rng, 0.7)
        size = (size[0] * 0.75, size[1] * 0.75, size[2] * 0.75)
        axis, sign = int(rng.integers(3)), int(rng.choice([-1, 1]))
        centre = [h + float(rng.uniform(-0.5, 0.5)) * hs for h, hs in zip(host, host_size, strict=True)]
        centre[axis] = host[axis] + sign * (host_size[axis] + size[axis] * 0.9) / 2
        at = (centre[0], centre[1], centre[2])
        placed.append((at, size))
        kind = int(rng.integers(KINDS))
        solid(b, skins, at, size, kind)
        if mirrored and abs(centre[1]) > size[1] * 0.4:
            solid(b, skins, (at[0], -at[1], at[2]), size, kind)


def _tower(b: Builder, skins: Skins) -> None:
    """Solids stacked upwards."""
    rng, z = b.rng, 0.0
    lean = rng.normal(0, 0.08, 2)
    narrow, base = rng.uniform(0.7, 1.1), rng.uniform(0.15, 0.6)
    for i in range(int(rng.integers(3, 9))):
        height, width = float(rng.uniform(0.08, 0.6)), float(base * narrow**i * rng.uniform(0.5, 1.3))
        depth = width * float(rng.uniform(0.6, 1.2))
        solid(b, skins, (lean[0] * z, lean[1] * z, z + height / 2), (width, depth, height))
        z += height * 0.97


def _chassis(b: Builder, skins: Skins) -> None:
    """A low deck with solids on it; on wheels, legs, skids or the ground."""
    rng = b.rng
    length, width, lift = float(rng.uniform(0.7, 2.2)), float(rng.uniform(0.5, 1.1)), float(rng.uniform(0.05, 0.4))
    deck = float(rng.uniform(0.04, 0.3))
    solid(b, skins, (0, 0, lift + deck / 2), (length, width, deck), int(rng.choice([0, 0, 0, 2, 4])))
    support = rng.integers(4)
    xs = np.linspace(-0.4, 0.4, int(rng.integers(2, 4))) * length
    for x in xs:
        if support == 0:
            b.axle(float(x), width * 0.9, lift * 0.8 + 0.03, 0.12 * width, pick(b, skins))
        elif support == 1:
            for y in (-0.42, 0.42):
                b.cylinder((x, y * width, 0), (x, y * width, lift + 0.01), 0.03, skins[-1], sides=6)
    if support == 2:
        for y in (-0.4, 0.4):
            b.box((0, y * width, lift / 2), (length * 1.05, 0.1 * width, lift), skins[-1])
    for _ in range(int(rng.integers(1, 7))):
        along, across = rng.uniform(0.1, 0.6), rng.uniform(0.15, 0.95)
        size = (length * float(along), width * float(across), float(rng.uniform(0.1, 0.9)))
        x = float(rng.uniform(-0.5, 0.5)) * (length - size[0])
        y = float(rng.uniform(-0.5, 0.5)) * (width - size[1])
        solid(b, skins, (x, y, lift + deck + size[2] / 2 - 0.01), size)


def _heap(b: Builder, skins: Skins) -> None:
    """Solids thrown on a pile, each turned its own way."""
    rng, alike = b.rng, b.rng.random() < 0.4
    kind = int(rng.integers(KINDS))
    for _ in range(int(rng.integers(4, 13))):
        x, y = rng.normal(0, 0.35, 2)
        size = draw_size(rng, 0.45)
        rest = 0.5 * min(size) + float(rng.uniform(0, 0.7)) * max(0.0, 0.6 - float(np.hypot(x, y)))
        with b.at(x, y, rest, yaw=rng.uniform(0, 6.3), pitch=rng.normal(0, 0.5), roll=rng.normal(0, 0.5)):
            solid(b, skins, (0, 0, 0), size, kind if alike else None)


def _skeleton(b: Builder, skins: Skins) -> None:
    """Thin limbs that branch from a trunk or from a hub, with things at their ends."""
    rng = b.rng
    tips = [np.zeros(3)]
    r, solids = float(rng.uniform(0.012, 0.05)), int(rng.integers(0, 5))
    for i in range(int(rng.integers(4, 14))):
        start = tips[int(rng.integers(len(tips)))] if i else tips[0]
        step = rng.normal(0, 0.35, 3) + np.array([0, 0, rng.uniform(-0.1, 0.4)])
        b.cylinder(
            start.tolist(), (start + step).tolist(), r, pick(b, skins), r1=r * float(rng.uniform(0.5, 1)), sides=6
        )
        tips.append(start + step)
    for _ in range(solids):
        tip = tips[int(rng.integers(1, len(tips)))]
        x, y, z = draw_size(rng, 0.5)
        solid(b, skins, (float(tip[0]), float(tip[1]), float(tip[2])), (x * 0.5, y * 0.5, z * 0.5))
    if rng.random() < 0.6:  # a base to stand on
        low = min(float(t[2]) for t in tips)
        solid(b, skins, (0, 0, low), (float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.3, 0.9)), 0.06), 4)
        b.cylinder((0, 0, low), (0, 0, 0.01), r * 1.3, skins[0], sides=6)


def _legs(b: Builder, skins: Skins) -> None:
    """Three to six splayed legs that carry a solid or a stack of two."""
    rng, n = b.rng, int(b.rng.integers(3, 7))
    splay, height, hub = rng.uniform(0.15, 0.8), rng.uniform(0.3, 1.3), rng.uniform(0.05, 0.35)
    r, knee = float(rng.uniform(0.01, 0.05)), rng.uniform(0.8, 1.6)
    for a in np.arange(n) * 2 * np.pi / n + rng.uniform(0, 1):
        way = np.array([np.cos(a), np.sin(a), 0])
        foot, top = way * (hub + splay), way * hub * 0.8 + [0, 0, height]
        middle = way * (hub + splay * 0.5) * knee + [0, 0, height * 0.55]
        b.tube([foot.tolist(), middle.tolist(), top.tolist()], r, pick(b, skins))
    solid(b, skins, (0, 0, height), (hub * 2.4, hub * 2.4, float(rng.uniform(0.04, 0.6))))
    if rng.random() < 0.6:
        size = draw_size(rng, 0.5)
        solid(b, skins, (0, 0, height + 0.2 + size[2] / 2), size)
        b.cylinder((0, 0, height), (0, 0, height + 0.25), 0.05, skins[-1], sides=6)


def _frame(b: Builder, skins: Skins) -> None:
    """One to three hollow frames, with something inside."""
    rng, x = b.rng, 0.0
    for _ in range(int(rng.integers(1, 4))):
        size = (float(rng.uniform(0.4, 1.4)), float(rng.uniform(0.3, 1)), float(rng.uniform(0.3, 1.6)))
        with b.at(x + size[0] / 2, 0, size[2] / 2):
            cage(b, skins, size)
            for _ in range(int(rng.integers(0, 4))):
                part = tuple(s * float(rng.uniform(0.15, 0.6)) for s in size)
                spot = tuple(float(rng.uniform(-0.3, 0.3)) * s for s in size)
                solid(b, skins, (spot[0], spot[1], spot[2]), (part[0], part[1], part[2]))
        x += size[0] * float(rng.choice([1.0, 0.6, 1.1]))


def _array(b: Builder, skins: Skins) -> None:
    """The same solid again and again: row, grid, ring or fan, with a base or a spine."""
    rng, kind, size = b.rng, int(b.rng.integers(KINDS)), draw_size(b.rng, 0.7)
    n, layout = int(rng.integers(3, 10)), int(rng.integers(4))
    gap, turn = float(rng.uniform(0.8, 1.7)), float(rng.normal(0, 0.3))
    state = rng.bit_generator.state
    for i in range(n):
        rng.bit_generator.state = state  # every copy draws the same shape
        if layout == 0:
            x, y, z, yaw, pitch = i * size[0] * gap, 0.0, 0.0, 0.0, i * turn * 0.5
        elif layout == 1:
            x, y, z, yaw, pitch = i % 3 * size[0] * gap, i // 3 * size[1] * gap, 0.0, 0.0, 0.0
        elif layout == 2:
            yaw, reach = i * 2 * np.pi / n, size[0] * gap
            x, y, z, pitch = reach * np.cos(yaw), reach * np.sin(yaw), 0.0, turn
        else:
            x, y, z, yaw, pitch = 0.0, 0.0, i * size[2] * gap * 0.7, i * turn, 0.0
        with b.at(x, y, z, yaw=yaw, pitch=pitch):
            solid(b, skins, (0, 0, 0), size, kind)
    if layout == 0 and rng.random() < 0.7:
        b.box(((n - 1) * size[0] * gap / 2, 0, -size[2] / 2), (n * size[0] * gap, size[1], size[2] * 0.15), skins[-1])
    elif layout >= 2:
        b.cylinder(
            (0, 0, -size[2] / 2),
            (0, 0, max(size[2], n * size[2] * gap * 0.7 * (layout == 3))),
            size[0] * 0.2,
            skins[-1],
            sides=10,
        )


def _boards(b: Builder, skins: Skins) -> None:
    """Plates leaning on each other or on posts; screens, hoardings, flat things."""
    rng = b.rng
    for i in range(int(rng.integers(1, 5))):
        size = (float(rng.uniform(0.5, 1.5)), float(rng.uniform(0.02, 0.09)), float(rng.uniform(0.3, 1.3)))
        lean = float(rng.choice([0, rng.uniform(-0.5, 0.5), np.pi / 2]))
        with b.at(rng.normal(0, 0.3), i * 0.18, size[2] / 2 * abs(np.cos(lean)), yaw=rng.normal(0, 0.5), roll=lean):
            solid(b, skins, (0, 0, 0), size, int(rng.choice([0, 2, 3, 9, 11])))
            for side in (-1, 1):
                if rng.random() < 0.5:
                    b.cylinder(
                        (side * size[0] * 0.4, 0, size[2] * 0.4),
                        (side * size[0] * 0.42, 0.5 * size[2], -size[2] / 2),
                        0.02,
                        skins[-1],
                        sides=5,
                    )


def _creature(b: Builder, skins: Skins) -> None:
    """A lumpy body with horns, fins or stumps: organic, though no animal."""
    rng = b.rng
    x, y, z = draw_size(rng, 0.45)
    solid(b, skins, (0, 0, z / 2), (x, y, z), int(rng.choice([8, 9, 10])))
    for _ in range(int(rng.integers(1, 8))):
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        root = np.array([0, 0, z / 2]) + way * np.array([x, y, z]) * 0.42
        r = min(x, y, z) * float(rng.uniform(0.06, 0.25))
        if rng.random() < 0.5:
            reach = way * float(rng.uniform(0.1, 0.6))
            b.cylinder(root, root + reach, r, pick(b, skins), r1=r * float(rng.uniform(0.05, 1.2)), sides=7)
        else:
            b.ellipsoid(root, (r * 2, r * float(rng.uniform(0.6, 2)), r * float(rng.uniform(0.6, 3))), pick(b, skins))


def _drape(b: Builder, skins: Skins) -> None:
    """Soft sheets and sacks lying over one or two solids."""
    rng = b.rng
    for _ in range(int(rng.integers(1, 4))):
        size = (float(rng.uniform(0.6, 1.6)), float(rng.uniform(0.5, 1.3)), float(rng.uniform(0.05, 0.6)))
        spot = (rng.normal(0, 0.25), rng.normal(0, 0.25), rng.uniform(0, 0.3))
        solid(b, skins, spot, size, int(rng.choice([13, 13, 9])))
    for _ in range(int(rng.integers(2, 6))):
        solid(b, skins, (rng.normal(0, 0.3), rng.normal(0, 0.3), 0.15), draw_size(rng, 0.4))


def _trim(b: Builder, skins: Skins) -> None:
    """Small extras: rails, hoses, lights, a beacon, a label plate."""
    rng = b.rng
    kind, h = int(rng.integers(4)), float(rng.uniform(0.1, 0.7))
    if kind == 0:
        foot = [(-0.5, -0.3, h), (0.5, -0.3, h), (0.5, 0.3, h), (-0.5, 0.3, h)][: int(rng.integers(2, 5))]
        b.railing(foot, float(rng.uniform(0.2, 0.6)), skins[-1], 0.015)
    elif kind == 1:
        path = np.cumsum(rng.normal(0, 0.2, (7, 3)), axis=0) + np.array([0, 0, h])
        b.tube(path.tolist(), float(rng.uniform(0.012, 0.04)), skins[-1], sides=5)
    elif kind == 2:
        for _ in range(int(rng.integers(1, 5))):
            glow = surfaces.any_colour(rng)
            b.lamp((rng.normal(0, 0.3), rng.normal(0, 0.3), h), (0.06, 0.08, 0.06), glow)
    else:
        b.box(
            (rng.normal(0, 0.2), rng.normal(0, 0.2), h),
            (0.4, 0.03, 0.25),
            skins[0],
            sides=b.decal(surfaces.lettering(rng, surfaces.any_colour(rng), surfaces.any_colour(rng), 64, 32)),
        )


_PLANS: list[Callable[[Builder, Skins], None]] = [
    _cluster,
    _tower,
    _chassis,
    _heap,
    _skeleton,
    _legs,
    _frame,
    _array,
    _boards,
    _creature,
    _drape,
]
_WEIGHTS = np.array([20, 10, 14, 10, 9, 7, 9, 10, 6, 8, 5]) / 108
