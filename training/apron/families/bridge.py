"""The passenger boarding bridge between terminal and aircraft."""

from __future__ import annotations

import cv2
import numpy as np

from training.apron.solids import Asset, Builder, Rgb, Swatch

_WALLS: tuple[Rgb, ...] = ((0.82, 0.83, 0.83), (0.60, 0.63, 0.66), (0.86, 0.84, 0.76), (0.30, 0.42, 0.56),
                           (0.72, 0.76, 0.80))  # fmt: skip
_ADVERTS = (("VELORA BANK", (0, 70, 140)), ("mobikon 5G", (200, 20, 60)), ("NORDFELL", (20, 30, 40)),
            ("Aqualine", (0, 140, 150)), ("HOTEL MIRANTE", (120, 30, 90)))  # fmt: skip


def _wall(rng: np.random.Generator, rgb: Rgb, style: str) -> np.ndarray:
    """One tunnel side, 64 x 128 px: ribbed sheet, a window band, or full glazing."""
    noise = cv2.resize(rng.normal(size=(5, 9)).astype(np.float32), (128, 64))
    image = np.asarray(rgb) * 255 * (1 + 0.03 * noise[..., None])
    col = np.arange(128)
    if style == "ribbed":
        image *= (0.88 + 0.12 * ((col % 4) < 2))[None, :, None]
    elif style == "windows":
        image[22:40, (col % 16) > 3] = (38, 48, 58)
        image[:, col % 16 == 0] *= 0.86
    else:
        image[8:54] = (52, 72, 86)
        image[8:30, :] *= 1.25
        image[:, col % 16 < 2] = np.asarray(rgb) * 200
        image[30:32] = np.asarray(rgb) * 200
    image[:4] *= 0.75
    image[58:] *= 0.62
    return np.asarray(np.clip(image, 0, 255).astype(np.uint8))


def _sign(text: str, ink: tuple[int, int, int], ground: tuple[int, int, int], cols: int) -> np.ndarray:
    """A text panel, 64 px high before it is reduced."""
    image = np.full((64, cols * 2, 3), ground, np.uint8)
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 3)
    scale = min((cols * 2 - 16) / w, 42 / h)
    at = (int(cols - w * scale / 2), int(32 + h * scale / 2))
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, ink, max(3, int(4 * scale)), cv2.LINE_AA)
    return np.asarray(cv2.resize(image, (cols, 32), interpolation=cv2.INTER_AREA))


def _drive(b: Builder, x: float, under: float, paint: Swatch, hazard: Swatch) -> None:
    """The drive column: two telescopic legs on a steered bogie with large tyres."""
    steer = b.rng.uniform(-1.4, 1.4)
    for side in (-1, 1):
        y = side * 1.75
        b.box((x, y, under * 0.5 + 1.25), (0.42, 0.36, under + 0.6), paint)
        b.box((x, y, 0.5 * under + 0.2), (0.28, 0.24, under * 0.9), b.steel)
    b.box((x, 0, under - 0.18), (0.5, 3.8, 0.35), paint)
    b.box((x, 0, 1.15), (0.55, 3.9, 0.4), paint)
    b.cylinder((x, 0, 0.5), (x, 0, 1.2), 0.35, b.steel, sides=10)
    with b.at(x=x, yaw=steer):
        b.box((0, 0, 0.62), (0.7, 1.9, 0.35), hazard)
        for side in (-1, 1):
            for wheel in (-0.28, 0.28):
                b.wheel((0, side * 0.85 + wheel, 0.55), 0.55, 0.42)
        for side in (-1, 1):
            b.box((side * 0.85, 0, 0.35), (0.12, 2.7, 0.3), hazard)


def _stairs(b: Builder, x: float, floor: float, side: float, paint: Swatch) -> None:
    """Service stairs from a landing beside the cab down to the apron."""
    y = side * 2.15
    b.box((x, y, floor - 0.05), (1.1, 1.0, 0.08), b.steel)
    steps = max(8, int(floor / 0.24))
    run = floor * 1.05
    for k in range(steps):
        q = (k + 0.5) / steps
        b.box((x - 0.55 - run * q, y, floor * (1 - q)), (run / steps * 0.95, 0.85, 0.04), b.steel)
    for edge in (-0.45, 0.45):
        b.tube([(x - 0.5, y + edge, floor - 0.1), (x - 0.55 - run, y + edge, 0.08)], 0.07, paint, sides=4)
        foot = [(x - 0.55 - run * q, y + edge, floor * (1 - q)) for q in (0.0, 0.33, 0.66, 0.97)]
        b.railing([(x + 0.5, y + edge, floor), *foot], 1.0, paint)
    for edge in (-0.4, 0.4):
        b.cylinder((x - 0.5 - run, y + edge, 0), (x - 0.5 - run, y + edge, 0.18), 0.12, b.rubber, sides=8)


def _cab(b: Builder, wall: Swatch, glass: Swatch, bellows: Swatch, roof: Swatch, turn: float) -> None:
    """The rotating cab; local origin on its floor, at the pivot; the canopy looks along the turned x axis."""
    b.cylinder((0, 0, -0.35), (0, 0, 0.0), 2.05, b.steel, sides=16)
    b.cylinder((0, 0, 0.0), (0, 0, 2.75), 1.95, wall, sides=16)
    b.cylinder((0, 0, 2.75), (0, 0, 2.95), 2.1, roof, sides=16)
    with b.at(yaw=turn):
        b.box((1.1, 0, 1.3), (2.2, 3.3, 2.7), wall, sides=glass)
        b.box((1.1, 0, -0.15), (2.5, 3.3, 0.28), b.steel)
        b.box((1.2, 0, 2.74), (2.6, 3.5, 0.18), roof)
        for k in range(4):  # folding canopy: ribs of black fabric, each a little further out and lower
            grow = 1.0 - 0.03 * k
            b.box((2.35 + 0.26 * k, 0, 1.32 + 0.05 * k), (0.17, 3.3 * grow, 2.75 * grow), bellows)
            b.box((2.48 + 0.26 * k, 0, 1.32 + 0.05 * k), (0.12, 3.05 * grow, 2.55 * grow), b.rubber)
        b.box((3.3, 0, 0.02), (0.25, 2.6, 0.18), b.rubber)
        b.lamp((2.2, 1.5, 2.6), (0.2, 0.15, 0.12), (1.0, 0.96, 0.85))
        b.beacon((0.6, 0, 2.83), 0.11)


def jet_bridge(rng: np.random.Generator) -> Asset:
    """An apron-drive boarding bridge: rotunda, telescopic tunnel, drive column, cab; about 25-35 m."""
    b = Builder(rng)
    rgb = _WALLS[int(rng.integers(len(_WALLS)))]
    style = str(rng.choice(["ribbed", "windows", "windows", "glass"]))
    wall = b.decal(_wall(rng, rgb, style))
    plain, roof = b.paint(rgb), b.paint((0.75 * rgb[0], 0.75 * rgb[1], 0.75 * rgb[2]))
    frame = b.paint(((0.16, 0.20, 0.28), (0.90, 0.70, 0.05), (0.55, 0.56, 0.58))[int(rng.integers(3))])
    stripes = np.zeros((32, 64, 3), np.uint8) + 18
    col, row = np.meshgrid(np.arange(64), np.arange(32))
    stripes[(col + row) % 16 < 8] = (240, 190, 15)
    hazard = b.decal(stripes)
    panes = np.full((32, 32, 3), np.asarray(rgb) * 230, np.uint8)
    panes[6:18, 2:15] = panes[6:18, 17:30] = (30, 40, 48)
    cab_glass = b.decal(panes)
    bellows = b.paint((0.11, 0.11, 0.12) if rng.random() < 0.7 else (0.22, 0.24, 0.30), grain=0.4)

    high, low = rng.uniform(4.1, 4.9), rng.uniform(2.7, 4.7)
    reach = rng.uniform(18.0, 25.5)
    count = int(rng.choice([2, 3, 3]))
    pitch = float(np.arctan2(high - low, reach))
    b.box((0, 0, 0.15), (2.4, 2.4, 0.3), b.paint((0.55, 0.55, 0.53)))
    b.cylinder((0, 0, 0.2), (0, 0, high - 0.3), rng.uniform(0.55, 0.9), frame, sides=14)
    b.cylinder((0, 0, high - 0.4), (0, 0, high), 2.35, b.steel, sides=18)
    b.cylinder((0, 0, high), (0, 0, high + 3.0), 2.25, plain, sides=18)
    b.cylinder((0, 0, high + 3.0), (0, 0, high + 3.25), 2.5, roof, sides=18)
    if rng.random() < 0.7:  # the fixed walkway to the terminal
        b.box((-2.6, 0, high + 1.4), (3.2, 2.5, 2.8), wall, top=roof)
    number = f"{'ABCDEF'[int(rng.integers(6))]}{int(rng.integers(1, 60))}"
    ground = ((20, 20, 24), (240, 195, 0), (10, 60, 140))[int(rng.integers(3))]
    gate = b.decal(_sign(number, (20, 20, 24) if ground[0] > 200 else (250, 250, 250), ground, 64))
    for side in (-1, 1):
        b.box((1.2, side * 2.2, high + 3.9), (1.9, 0.12, 1.1), gate, lamp=rng.random() < 0.5)
        b.cylinder((1.2, side * 2.2, high + 3.1), (1.2, side * 2.2, high + 3.5), 0.05, b.steel, sides=5)

    length = reach / np.cos(pitch) - 1.0
    piece = length / count
    with b.at(z=high, pitch=pitch):
        for k in range(count):
            grow = 0.28 * k
            wide, tall = 2.35 + grow, 2.5 + grow
            start, end = 1.0 + piece * k - (1.2 if k else 0.0), 1.0 + piece * (k + 1)
            middle, size = (start + end) / 2, end - start
            b.box((middle, 0, 1.35), (size, wide, tall), plain, sides=wall, top=roof)
            b.box((middle, 0, 1.35 - tall / 2 - 0.1), (size, wide * 0.92, 0.24), frame)
            b.box((end - 0.1, 0, 1.35), (0.28, wide + 0.16, tall + 0.16), frame)
            if k:
                b.box((start + 0.1, 0, 1.35), (0.28, wide + 0.16, tall + 0.16), frame)
            for side in (-1, 1):
                b.box((middle, side * (wide / 2 - 0.1), 1.35 + tall / 2 + 0.07), (size, 0.1, 0.12), roof)
        b.tube([(1.2, 0.9, 2.95), (length * 0.5, 0.9, 3.0), (length * 0.9, 0.9, 3.2)], 0.06, b.rubber)
        if rng.random() < 0.5:
            name, colour = _ADVERTS[int(rng.integers(len(_ADVERTS)))]
            advert = b.decal(_sign(name, (255, 255, 255), colour, 128))
            at = 1.0 + piece * (count - 0.55)
            for side in (-1, 1):
                b.box((at, side * (1.2 + 0.14 * count), 1.4), (piece * 0.72, 0.06, 1.5), advert)
        for k in (0, count - 1):
            b.box((1.0 + piece * (k + 0.5), 0, 2.8 + 0.14 * k), (1.6, 1.3, 0.5), roof)
    drive = reach * rng.uniform(0.74, 0.82)
    _drive(b, drive, high - (high - low) * drive / reach - 0.35 - 0.14 * count, frame, hazard)
    turn = rng.uniform(-1.2, 1.2)
    with b.at(x=reach + 1.4, z=low):
        _cab(b, plain, cab_glass, bellows, roof, turn)
    _stairs(b, reach - 0.6, low, -1.0 if rng.random() < 0.5 else 1.0, frame)
    return b.asset("jet_bridge", 0.25)
