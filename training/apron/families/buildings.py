"""Buildings around the apron (with the yard scenery offered here too).

They face +x; the long side lies along y, and both long sides are painted.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np

from training.apron.families.yard import blast_fence as blast_fence
from training.apron.families.yard import light_mast as light_mast
from training.apron.families.yard import parked_cars as parked_cars
from training.apron.families.yard import tree_row as tree_row
from training.apron.solids import Asset, Builder, Rgb

_FACADES: tuple[Rgb, ...] = ((0.80, 0.80, 0.78), (0.62, 0.64, 0.66), (0.72, 0.66, 0.56), (0.45, 0.48, 0.52),
                             (0.55, 0.38, 0.30))  # fmt: skip
_LOGOS = ("AIRPORT", "ARRIVALS", "TERMINAL A", "GATEWAY", "TERMINAL 2", "AEROPARK")
_OWNERS = ("SKYTEK MRO", "AEROSERV", "VELDORA TECH", "KESTRIS", "MERIVANE", "JETCARE")


def _pick(rng: np.random.Generator, colours: Sequence[Rgb]) -> Rgb:
    return colours[int(rng.integers(len(colours)))]


def _shade(rgb: Rgb, gain: float, lift: float = 0.0) -> Rgb:
    return rgb[0] * gain + lift, rgb[1] * gain + lift, rgb[2] * gain + lift


def _image(rng: np.random.Generator, rgb: Rgb, rows: int, cols: int, grain: float = 0.05) -> np.ndarray:
    noise = cv2.resize(rng.normal(size=(6, 8)).astype(np.float32), (cols, rows))
    return np.asarray(np.clip(np.asarray(rgb) * (1 + grain * noise[..., None]), 0, 1) * 255, np.uint8)


def _text(text: str, ink: tuple[int, int, int], ground: tuple[int, int, int], rows: int, cols: int) -> np.ndarray:
    image = np.full((rows * 2, cols * 2, 3), ground, np.uint8)
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 3)
    scale = min((cols * 2 - 12) / w, rows * 1.35 / h)
    at = (int(cols - w * scale / 2), int(rows + h * scale / 2))
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, ink, max(2, int(3.5 * scale)), cv2.LINE_AA)
    return np.asarray(cv2.resize(image, (cols, rows), interpolation=cv2.INTER_AREA))


def _glazing(rng: np.random.Generator, frame: Rgb, floors: int, panes: int, tint: Rgb) -> np.ndarray:
    """One bay of curtain wall, 64 x 64: glass with a reflected sky, mullions, and dim rooms behind."""
    image = _image(rng, tint, 64, 64, 0.25).astype(float)
    image *= np.linspace(1.45, 0.75, 64)[:, None, None]
    for k in range(floors):
        low, high = 64 * k // floors, 64 * (k + 1) // floors
        for pane in range(panes):
            left, right = 64 * pane // panes, 64 * (pane + 1) // panes
            image[low:high, left:right] *= rng.uniform(0.78, 1.15)
            if rng.random() < 0.12:
                image[low:high, left:right] = (150, 140, 110)
            image[low:high, left : left + 1] = np.asarray(frame) * 215
        image[low : low + 3] = np.asarray(frame) * 235
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _ribs(image: np.ndarray, step: int, depth: float) -> np.ndarray:
    """Vertical corrugation on a picture."""
    shade = np.where(np.arange(image.shape[1]) % step < step // 2, 1.0, 1.0 - depth)
    return np.asarray(image * shade[None, :, None], np.uint8)


def terminal(rng: np.random.Generator) -> Asset:
    """A passenger terminal: glass facade in bays over a service floor, roof line, gate numbers."""
    b = Builder(rng)
    wall = _pick(rng, _FACADES)
    tint = _pick(rng, ((0.16, 0.26, 0.32), (0.12, 0.18, 0.22), (0.14, 0.28, 0.26), (0.25, 0.30, 0.34)))
    bay, bays = rng.uniform(7.0, 10.0), int(rng.integers(7, 13))
    base, glass, depth = rng.uniform(4.0, 5.2), rng.uniform(6.0, 11.0), rng.uniform(18.0, 30.0)
    panes = int(rng.integers(4, 8))
    glazing = [b.decal(_glazing(rng, wall, int(rng.integers(2, 4)), panes, tint)) for _ in range(2)]
    plain, dark, roof = b.paint(wall), b.paint((0.20, 0.21, 0.22)), b.paint((0.56, 0.58, 0.60))
    service = []
    for shutter in (True, False):
        image = _image(rng, _shade(wall, 0.8), 32, 64)
        image[:3] = (60, 62, 64)
        if shutter:
            image[9:, 18:46] = (118, 122, 126)
            image[9::3, 18:46] = (96, 99, 102)
        else:
            image[13:, 8:15] = (50, 58, 66)
            image[8:17, 24:56] = (40, 48, 55)
        image[29:] = (72, 71, 68)
        service.append(b.decal(image))
    half = bay * bays / 2
    gate = int(rng.integers(1, 40))
    letter = "ABCDE"[int(rng.integers(5))]
    ground = ((20, 22, 26), (242, 196, 10), (15, 60, 130))[int(rng.integers(3))]
    ink = (20, 20, 20) if ground[0] > 200 else (250, 250, 250)
    lit = rng.random() < 0.6
    overhang = rng.uniform(0.0, 2.0)
    top = base + glass
    b.box((0, 0, base + glass / 2), (depth - 0.2, 2 * half - 0.2, glass), plain)
    for k in range(bays):
        y = -half + bay * (k + 0.5)
        front = service[int(rng.random() < 0.4)]
        b.box((0, y, base / 2), (depth - overhang * 2, bay, base), plain, front=front, back=front)
        pane = glazing[int(rng.random() < 0.3)]
        b.box((0, y, base + glass / 2), (depth, bay * 0.975, glass * 0.97), plain, front=pane, back=pane)
        b.box((0, y - bay / 2, base + glass / 2), (depth + 0.5, 0.35, glass), roof)
        if overhang > 0.6:
            for side in (-1, 1):
                b.cylinder((side * (depth / 2 - 0.4), y, 0), (side * (depth / 2 - 0.4), y, base), 0.28, plain, sides=8)
        if k % 2 == 1 and k < 11:
            sign = b.decal(_text(f"{letter}{gate + k // 2}", ink, ground, 32, 32 if k > 3 else 64))
            for side in (-1, 1):
                b.box((side * (depth / 2 + 0.35), y, base + 0.2), (0.3, 2.6, 1.5), sign, lamp=lit)
    b.box((0, 0, base), (depth + 0.3, 2 * half, 0.5), dark)
    b.box((0, half, top / 2), (depth + 0.6, 0.5, top), plain)
    b.box((0, -half, top / 2), (depth + 0.6, 0.5, top), plain)
    style = str(rng.choice(["flat", "wave", "wing"]))
    eave = rng.uniform(1.0, 3.0)
    q = np.linspace(-1, 1, 13)
    if style == "flat":
        b.box((0, 0, top + 0.5), (depth + 2 * eave, 2 * half + 2, 1.0), roof)
    else:
        rise = rng.uniform(1.5, 4.0)
        up = rise * (1 - q**2) if style == "wave" else rise * (0.35 + 0.65 * q**2) - rise * 0.3
        x = q * (depth / 2 + eave)
        outline = [(float(i), float(top + 0.6 + j)) for i, j in zip(x, up, strict=True)]
        outline += [(float(x[-1]), top - 0.1), (float(x[0]), top - 0.1)]
        b.prism(outline, -half - 1.2, half + 1.2, roof, side=plain)
    high = top + (1.0 if style == "flat" else 2.2)
    for _ in range(int(rng.integers(3, 8))):
        size = rng.uniform((2, 2.5, 1.2), (5, 7, 2.6))
        at = (rng.uniform(-0.3, 0.3) * depth, rng.uniform(-0.85, 0.85) * half, high + size[2] / 2 - 0.3)
        b.box(at, size.tolist(), dark if rng.random() < 0.4 else plain)
    if rng.random() < 0.6:
        name = b.decal(_text(_LOGOS[int(rng.integers(len(_LOGOS)))], (250, 250, 250), (30, 50, 90), 32, 128))
        for side in (-1, 1):
            b.box((side * (depth / 2 + eave - 0.3), 0, high + 0.8), (0.3, 14, 2.6), name, lamp=lit)
    return b.asset("terminal", 0.4)


def hangar(rng: np.random.Generator) -> Asset:
    """A maintenance hangar with big sliding doors, arched, gabled or flat."""
    b = Builder(rng)
    wall = _pick(rng, (*_FACADES[:4], (0.35, 0.45, 0.55), (0.75, 0.78, 0.80), (0.30, 0.42, 0.36)))
    half, depth, eaves = rng.uniform(22, 40), rng.uniform(35, 60), rng.uniform(11, 18)
    rise = rng.uniform(2.0, 7.0)
    style = str(rng.choice(["arch", "gable", "flat"]))
    sheet = b.decal(_ribs(_image(rng, wall, 64, 128), 4, 0.14))
    roof = b.decal(_ribs(_image(rng, _shade(wall, 0.72, 0.08), 32, 64), 4, 0.12))
    trim = b.paint(_pick(rng, ((0.10, 0.22, 0.45), (0.60, 0.10, 0.10), (0.25, 0.26, 0.28), (0.05, 0.35, 0.30))))
    q = np.linspace(-1, 1, 15 if style == "arch" else 3)
    up = rise * np.sqrt(np.maximum(1.15 - q**2, 0.15)) if style == "arch" else rise * (1 - np.abs(q))
    up = np.full(3, 1.0) if style == "flat" else up
    outline = [(float(y), float(eaves + u)) for y, u in zip(q * half, up, strict=True)]
    with b.at(yaw=np.pi / 2):  # the prism's profile plane turns to face x
        b.prism([(-half, 0.0), (half, 0.0), *outline[::-1]], -depth / 2, depth / 2, sheet)
        for (x0, z0), (x1, z1) in itertools.pairwise(outline):
            b.prism([(x0, z0), (x1, z1), (x1, z1 + 0.5), (x0, z0 + 0.5)], -depth / 2 - 0.5, depth / 2 + 0.5, roof)
    leaf = _ribs(_image(rng, _shade(wall, 0.9, 0.06) if rng.random() < 0.6 else wall, 96, 64), 8, 0.10)
    leaf[8:30, 6:58] = (52, 66, 78)
    leaf[8:30, [19, 32, 45]] = np.asarray(wall) * 220
    leaf[:2] = leaf[-4:] = (58, 58, 58)
    leaf[:, :2] = leaf[:, -2:] = (70, 70, 72)
    panel = b.decal(leaf)
    leaves, door_half, tall = int(rng.integers(6, 10)), half * rng.uniform(0.78, 0.92), eaves * rng.uniform(0.80, 0.92)
    wide = 2 * door_half / leaves
    gap = int(rng.integers(0, leaves - 1)) if rng.random() < 0.6 else -1
    for side in (-1, 1):
        b.box((side * (depth / 2 + 0.02), 0, tall / 2), (0.1, 2 * door_half, tall), b.paint((0.05, 0.05, 0.055)))
        for k in range(leaves):
            slide = wide * (k - gap) if gap >= 0 and gap <= k < gap + 2 and side > 0 else 0.0
            at = -door_half + wide * (k + 0.5) - (wide * 1.9 if slide else 0) * (1 if gap > leaves / 2 else -1)
            b.box((side * (depth / 2 + 0.35 + 0.3 * (k % 2)), at, tall / 2), (0.25, wide, tall), panel)
        b.box((side * (depth / 2 + 0.6), 0, tall + 0.5), (1.2, 2 * door_half + 3, 1.0), trim)
    for side in (-1, 1):
        b.box((0, side * (half + 0.1), 0.9), (depth, 0.3, 1.8), trim)
        for x in np.linspace(-0.4, 0.4, 5) * depth:
            b.box((x, side * (half + 0.2), eaves * 0.5), (0.5, 0.4, eaves), trim)
    name = b.decal(_text(_OWNERS[int(rng.integers(len(_OWNERS)))], (250, 250, 250), (28, 44, 84), 32, 192))
    for side in (-1, 1):
        b.box((side * (depth / 2 + 0.5), 0, tall + 0.5 + (eaves - tall) * 0.65), (1.1, half * 0.8, 1.6), name)
    annex = rng.uniform(3.5, 7.0)
    window = _image(rng, wall, 32, 128)
    window[9:20, np.arange(128) % 12 > 3] = (40, 50, 60)
    office, side = b.decal(window), 1 if rng.random() < 0.5 else -1
    b.box((0, side * (half + annex / 2), 2.0), (depth * 0.8, annex, 4.0), sheet, sides=office, front=office,
          back=office, top=roof)  # fmt: skip
    for y in (-0.85, -0.6, 0.6, 0.85):
        b.lamp((depth / 2 + 1.2, y * half, tall + 1.0), (0.3, 0.9, 0.3), (1.0, 0.95, 0.80))
    return b.asset("hangar", 0.3)


def control_tower(rng: np.random.Generator) -> Asset:
    """A control tower: shaft, outward-leaning glass cab, antennas, and an office block at its foot."""
    b = Builder(rng)
    wall = _pick(rng, _FACADES[:4])
    sides = int(rng.choice([6, 8, 8, 12]))
    high, thick = rng.uniform(24, 52), rng.uniform(2.4, 3.8)
    image = _image(rng, wall, 128, 32)
    image[:: int(rng.integers(10, 20))] = np.asarray(wall) * 190
    if rng.random() < 0.6:
        image[10:120:8, 13:18] = image[12:120:8, 13:18] = (40, 48, 56)
    shaft, plain, white = b.decal(image), b.paint(wall), b.paint((0.88, 0.88, 0.87))
    panes = np.full((32, 128, 3), (46, 76, 84), np.uint8)
    panes[:12] = (78, 112, 122)
    panes[:, :: 128 // sides] = panes[:, 1 :: 128 // sides] = 215
    cab = b.decal(panes)
    neck = rng.uniform(0.75, 1.0)
    b.cylinder((0, 0, 0), (0, 0, high), thick, shaft, r1=thick * neck, sides=sides * 2)
    wide = thick * neck * rng.uniform(1.35, 1.7)
    b.cylinder((0, 0, high - 3.2), (0, 0, high), thick * neck, plain, r1=wide, sides=sides)
    b.cylinder((0, 0, high), (0, 0, high + 3.0), wide * 1.04, white, sides=sides)
    ring, turn = wide * 1.25, np.linspace(0, 2 * np.pi, sides + 1)
    deck = [(ring * np.cos(t), ring * np.sin(t), high + 3.1) for t in turn]
    b.cylinder((0, 0, high + 2.9), (0, 0, high + 3.1), wide * 1.28, b.steel, sides=sides)
    b.railing(deck, 1.1, b.steel, radius=0.04)
    b.cylinder((0, 0, high + 3.1), (0, 0, high + 4.0), wide * 0.98, white, sides=sides)
    b.cylinder((0, 0, high + 4.0), (0, 0, high + 7.0), wide * 0.98, cab, r1=wide * 1.2, sides=sides, caps=white)
    b.cylinder((0, 0, high + 7.0), (0, 0, high + 7.9), wide * 1.3, white, r1=wide * 1.15, sides=sides)
    for _ in range(int(rng.integers(3, 7))):
        x, y = rng.uniform(-0.7, 0.7, 2) * wide
        b.cylinder((x, y, high + 7.8), (x, y, high + rng.uniform(9.5, 13)), 0.06, b.steel, sides=5)
    if rng.random() < 0.5:
        b.ellipsoid((0, 0, high + 9.2), (1.2, 1.2, 1.3), white)
    b.lamp((0, 0, high + 8.2), (0.35, 0.35, 0.5), (1.0, 0.08, 0.05))
    office = _image(rng, wall, 32, 128)
    office[6:13, np.arange(128) % 10 > 2] = office[19:27, np.arange(128) % 10 > 2] = (42, 54, 64)
    face = b.decal(office)
    length, width, tall = rng.uniform(20, 38), rng.uniform(10, 16), rng.uniform(6.5, 8.5)
    off = (rng.uniform(-3, 3), rng.uniform(-0.25, 0.25) * length, tall / 2)
    b.box(off, (width, length, tall), plain, front=face, back=face, sides=face, top=b.steel)
    b.box((off[0], off[1], tall + 0.25), (width + 0.4, length + 0.4, 0.5), white, top=b.steel)
    return b.asset("control_tower", 0.35)
