"""Dolly trains: baggage carts, container dollies and pallet dollies on draw bars."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.apron.families.livery import (
    BLACK,
    WHITE,
    Coat,
    Livery,
    body_panels,
    coat,
    curtain,
    draw_livery,
    logo_panel,
    roller_shutter,
    sign,
)
from training.apron.solids import Asset, Builder, Rgb, Swatch

LUGGAGE: tuple[Rgb, ...] = (
    (0.09, 0.09, 0.11),
    (0.12, 0.20, 0.38),
    (0.50, 0.10, 0.12),
    (0.18, 0.36, 0.33),
    (0.55, 0.55, 0.56),
    (0.36, 0.24, 0.15),
    (0.70, 0.30, 0.42),
    (0.75, 0.62, 0.18),
    (0.30, 0.12, 0.34),
)


@dataclass(frozen=True, slots=True)
class _Train:
    """What all vehicles of one train have in common."""

    length: float
    width: float
    deck_z: float
    radius: float
    height: float
    fill: float


def dolly_train(rng: np.random.Generator) -> Asset:
    """Two to four coupled dollies of one kind, on a gentle curve."""
    b, livery = Builder(rng), draw_livery(rng)
    c = coat(b, livery)
    kind = str(rng.choice(["canopy", "open", "container", "pallet"], p=[0.33, 0.27, 0.28, 0.12]))
    count = int(rng.integers(2, 5)) if kind != "pallet" else int(rng.integers(2, 4))
    length, width = {
        "canopy": (rng.uniform(2.5, 3.1), rng.uniform(1.4, 1.65)),
        "open": (rng.uniform(2.4, 3.0), rng.uniform(1.35, 1.6)),
        "container": (rng.uniform(1.75, 2.0), rng.uniform(2.2, 2.4)),
        "pallet": (3.4, 2.5),
    }[kind]
    train = _Train(
        float(length),
        float(width),
        float(rng.uniform(0.46, 0.54)),
        float(rng.uniform(0.19, 0.24)),
        float(rng.uniform(1.75, 2.05)),
        float(rng.choice([0.0, 0.5, 0.8, 1.0], p=[0.15, 0.2, 0.3, 0.35])),
    )
    bags = (
        [b.paint(LUGGAGE[i]) for i in rng.choice(len(LUGGAGE), 6, replace=False)] if kind in ("canopy", "open") else []
    )
    rollers = b.decal(np.rot90(roller_shutter(rng, (0.50, 0.51, 0.52)))) if kind in ("container", "pallet") else b.steel
    cloth_rgb = (livery.accent, (0.10, 0.22, 0.45), (0.45, 0.46, 0.48), (0.80, 0.80, 0.78))[int(rng.integers(4))]
    cloth = b.decal(curtain(rng, cloth_rgb, 96, 64))
    load = container_paint(b, livery) if kind == "container" else (cloth, cloth, cloth)
    plate = b.decal(sign(livery.unit, BLACK, WHITE, 64, 32))
    turn, bend = float(rng.normal(0, 0.05)), float(rng.normal(0, 0.07))
    x = y = yaw = 0.0
    bar = float(rng.uniform(0.75, 1.1))
    open_side = int(rng.choice([-1, 0, 1]))
    for _ in range(count):
        with b.at(x, y, 0, yaw):
            _running_gear(b, c, train, bar, wide=kind in ("container", "pallet"))
            with b.at(x=-bar - train.length / 2):
                if kind == "canopy":
                    _canopy_cart(b, c, train, bags, cloth, open_side, plate)
                elif kind == "open":
                    _open_cart(b, c, train, bags, plate)
                elif kind == "container":
                    _container_dolly(b, c, train, rollers, load, plate)
                else:
                    _pallet_dolly(b, c, train, rollers, cloth)
        total = bar + train.length + 0.12
        x, y = x - total * math.cos(yaw), y - total * math.sin(yaw)
        yaw += turn + bend + float(rng.normal(0, 0.03))
    return b.asset("dolly_train", 0.2)


def _running_gear(b: Builder, c: Coat, t: _Train, bar: float, wide: bool) -> None:
    """Draw bar, frame, four small wheels and the rear hitch; the eye of the bar is at the origin."""
    z = 0.30
    b.tube([(0.0, 0, z + 0.08), (-0.25, 0, z), (-bar - 0.35, 0, z)], 0.035, c.dark)
    b.box((0.02, 0, z + 0.09), (0.14, 0.14, 0.05), b.steel)
    middle, rear = -bar - t.length / 2, -bar - t.length
    for s in (-1, 1):
        b.box((middle, s * (t.width / 2 - 0.06), t.deck_z - 0.09), (t.length, 0.12, 0.14), c.base)
        b.box((middle, s * t.width * 0.2, z + 0.02), (t.length * 0.9, 0.08, 0.12), c.dark)
    inset = 0.32 if wide else 0.48
    for x in (-bar - inset, rear + inset):
        for s in (-1, 1):
            y = s * (t.width / 2 - 0.16)
            b.cylinder((x, y - 0.07, t.radius), (x, y + 0.07, t.radius), t.radius, b.rubber, sides=12)
            b.cylinder((x, y - 0.075, t.radius), (x, y + 0.075, t.radius), t.radius * 0.55, b.steel, sides=8)
        b.box((x, 0, t.radius), (0.1, t.width - 0.4, 0.1), c.dark)
        b.box((x, 0, z), (0.3, t.width * 0.55, 0.1), c.dark)
    b.box((rear - 0.06, 0, z + 0.06), (0.16, 0.14, 0.08), c.dark)


def _pile(b: Builder, t: _Train, bags: list[Swatch], z: float, top: float) -> None:
    """Suitcases and holdalls in layers, tidier below than above."""
    rng = b.rng
    level = 0
    while z < top - 0.15 and level < 4:
        x, height = -t.length / 2 + 0.12, float(rng.uniform(0.24, 0.40))
        while x < t.length / 2 - 0.45:
            long = float(rng.uniform(0.32, 0.62))
            for side in (-1, 1):
                if rng.random() < t.fill * (1.0 - 0.22 * level):
                    deep = float(rng.uniform(0.75, 1.0)) * (t.width / 2 - 0.16)
                    b.box(
                        (x + long / 2, side * deep / 2 + float(rng.normal(0, 0.02)), z + height / 2),
                        (long * 0.94, deep * 0.96, height * float(rng.uniform(0.8, 1.0))),
                        bags[int(rng.integers(len(bags)))],
                        yaw=float(rng.normal(0, 0.03 + 0.05 * level)),
                        taper=(float(rng.uniform(0.88, 1.0)), float(rng.uniform(0.88, 1.0))),
                    )
            x += long
        z, level = z + height, level + 1


def _canopy_cart(
    b: Builder, c: Coat, t: _Train, bags: list[Swatch], cloth: Swatch, open_side: int, plate: Swatch
) -> None:
    half_l, half_w, z, top = t.length / 2, t.width / 2, t.deck_z, t.height
    b.box((0, 0, z), (t.length, t.width, 0.06), b.steel)
    for s in (-1, 1):
        b.box((s * half_l, 0, (z + top) / 2), (0.05, t.width, top - z), c.base)
        b.box((s * (half_l + 0.03), 0, (z + top) / 2), (0.012, 0.6, 0.3), plate)
        b.box((0, s * half_w, z + 0.02), (t.length, 0.04, 0.12), c.base)
        for k in (-1, 1):
            b.box((k * half_l * 0.995, s * half_w, (z + top) / 2), (0.07, 0.06, top - z), c.dark)
        if s != open_side:
            b.box((0, s * (half_w - 0.01), (z + top) / 2 + 0.03), (t.length - 0.1, 0.04, top - z - 0.16), cloth)
        else:
            b.box((-half_l * 0.82, s * (half_w - 0.01), (z + top) / 2), (t.length * 0.14, 0.07, top - z - 0.1), cloth)
            b.box((half_l * 0.82, s * (half_w - 0.01), (z + top) / 2), (t.length * 0.14, 0.07, top - z - 0.1), cloth)
            b.box((0, s * (half_w - 0.01), top - 0.10), (t.length, 0.04, 0.16), cloth)
    b.box((0, 0, top + 0.03), (t.length + 0.12, t.width + 0.08, 0.08), c.base, taper=(0.97, 0.86))
    if open_side:
        _pile(b, t, bags, z + 0.03, top - 0.25)


def _open_cart(b: Builder, c: Coat, t: _Train, bags: list[Swatch], plate: Swatch) -> None:
    half_l, half_w, z = t.length / 2, t.width / 2, t.deck_z
    b.box((0, 0, z), (t.length, t.width, 0.06), b.steel)
    for s in (-1, 1):
        top = z + 0.85
        b.tube(
            [
                (s * half_l, -half_w + 0.05, z),
                (s * half_l, -half_w + 0.05, top),
                (s * half_l, half_w - 0.05, top),
                (s * half_l, half_w - 0.05, z),
            ],
            0.03,
            c.base,
        )
        for k in (0.33, 0.66):
            b.box((s * half_l, 0, z + 0.85 * k), (0.03, t.width - 0.1, 0.09), c.base)
        b.box((s * (half_l + 0.02), 0, z + 0.56), (0.012, 0.42, 0.2), plate)
        b.box((0, s * half_w, z + 0.02), (t.length, 0.04, 0.10), c.accent)
    _pile(b, t, bags, z + 0.03, z + 1.15)


def container_paint(b: Builder, livery: Livery) -> tuple[Swatch, Swatch, Swatch]:
    """Paints of an air freight container: flank with code, door with straps, plain aluminium."""
    rng = b.rng
    metal: Rgb = (0.66, 0.67, 0.68) if rng.random() < 0.75 else (0.82, 0.82, 0.80)
    hull = Livery(metal, livery.accent, livery.trim, livery.operator, livery.unit)
    flank = b.decal(logo_panel(rng, hull, 96, 96))
    door = b.decal(body_panels(rng, metal, 2, 64, 64, livery.accent if rng.random() < 0.5 else None))
    return flank, door, b.paint(metal)


def _container_dolly(
    b: Builder, c: Coat, t: _Train, rollers: Swatch, load: tuple[Swatch, Swatch, Swatch], plate: Swatch
) -> None:
    rng = b.rng
    half_l, half_w, z = t.length / 2, t.width / 2, t.deck_z
    b.box((0, 0, z), (t.length, t.width, 0.09), c.base, top=rollers)
    for k in (-1, 1):
        b.box((k * (half_l - 0.04), 0, z + 0.09), (0.06, t.width * 0.9, 0.10), c.accent)
        for s in (-1, 1):
            b.box((k * (half_l - 0.06), s * (half_w - 0.06), z + 0.12), (0.12, 0.10, 0.16), c.trim)
    if rng.random() > t.fill:
        return
    with b.at(z=z + 0.07, yaw=math.copysign(math.pi / 2, rng.random() - 0.5)):
        container(b, load, plate)


def container(b: Builder, load: tuple[Swatch, Swatch, Swatch], plate: Swatch) -> None:
    """A lower deck container standing on the origin, its slanted wall towards +x."""
    flank, door, metal = load
    profile = [(-0.98, 0), (0.53, 0), (0.98, 0.47), (0.98, 1.60), (-0.98, 1.60)]
    b.prism(profile, -0.76, 0.76, metal, side=door)
    b.box((-0.99, 0, 0.84), (0.02, 1.44, 1.44), flank)
    b.box((0.99, 0, 1.06), (0.02, 1.44, 1.02), flank)
    b.box((0, 0, 0.02), (1.55, 1.56, 0.05), b.steel)
    for x in (-0.97, 0.97):
        for y in (-0.76, 0.76):
            b.box((x, y, 0.85 if x < 0 else 1.05), (0.06, 0.05, 1.5 if x < 0 else 1.1), b.steel)
    for s in (-1, 1):
        b.box((-0.3, s * 0.77, 1.3), (0.5, 0.012, 0.22), plate, yaw=0 if s < 0 else math.pi)


def _pallet_dolly(b: Builder, c: Coat, t: _Train, rollers: Swatch, cloth: Swatch) -> None:
    rng = b.rng
    half_l, z = t.length / 2, t.deck_z
    b.box((0, 0, z), (t.length, t.width, 0.09), c.base, top=rollers)
    for k in (-1, 1):
        b.box((k * (half_l - 0.04), 0, z + 0.09), (0.06, t.width * 0.9, 0.10), c.accent)
    if rng.random() > t.fill:
        return
    b.box((0, 0, z + 0.09), (3.18, 2.36, 0.05), b.steel)
    height = float(rng.uniform(0.9, 1.6))
    b.box((0, 0, z + 0.11 + height / 2), (3.0, 2.2, height), cloth, taper=(0.93, 0.9), top=c.trim)
    for x in (-1.0, 0.0, 1.0):
        b.box((x, 0, z + 0.11 + height / 2), (0.05, 2.24, height + 0.03), c.dark, taper=(1.0, 0.9))
    b.box((0, 0, z + 0.11 + height * 0.45), (3.0, 2.2, 0.05), c.dark, taper=(0.99, 0.99))
