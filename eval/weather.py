"""Water on the way and on the lens: rain, and the spray of de-icing fluid, at the three strengths of the corruptions.

Drawn by hand, not simulated: rain as falling streaks over a veil, with drops on the glass that blur what is behind them
(after Garg and Nayar 2007; Halder et al., arXiv 1908.10335); de-icing spray as drifting mist with a tinted film in
blots on the lens (type I fluid is orange, type II straw, type IV green).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from airside.errors import UsageError
from training.corruptions import STRENGTHS

RAIN_VEIL = (0.10, 0.20, 0.32)  # contrast lost to rain too far to be seen
RAIN_STREAKS = (0.004, 0.010, 0.020)  # share of the pixels where a streak begins
RAIN_DROPS = (6, 16, 34)  # on the glass, of 1.5 to 4 % of the width
SPRAY_MIST = (0.18, 0.36, 0.55)  # contrast lost to the mist, in the mean
SPRAY_BLOTS = (4, 9, 16)  # of fluid on the glass, of 4 to 11 % of the width
FLUIDS_RGB = ((0.93, 0.62, 0.36), (0.86, 0.84, 0.55), (0.62, 0.82, 0.60))

Weather = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def weathered(image: np.ndarray, name: str, strength: int, rng: np.random.Generator) -> np.ndarray:
    """``image`` [H, W, 3] uint8 RGB in ``rain`` or ``deicing_spray``: a new array like it. Raises
    :class:`UsageError` on another name, strength or image."""
    if name not in WEATHERS or strength not in STRENGTHS:
        raise UsageError(f"wanted one of {', '.join(WEATHERS)} at 1, 2 or 3, got {name!r} at {strength!r}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise UsageError(f"wanted an image [H, W, 3] uint8, got {list(image.shape)} {image.dtype}")
    light = WEATHERS[name](image.astype(np.float32) / np.float32(255), strength - 1, rng)
    return np.asarray(np.rint(np.clip(light, 0, 1) * 255), np.uint8)


def _rain(light: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    height, width = light.shape[:2]
    veil = np.float32(RAIN_VEIL[k])
    grey = light.mean(axis=2, keepdims=True)
    wet = (light * 0.8 + grey * 0.2) * (1 - veil) + veil * np.float32(0.62)
    length = max(5, round(0.035 * width))
    kernel = np.zeros((length, length), np.float32)
    lean = rng.uniform(-0.25, 0.25) * length
    cv2.line(kernel, (round(length / 2 - lean), 0), (round(length / 2 + lean), length - 1), 1.0, 1, cv2.LINE_AA)
    begun = (rng.random((height, width), np.float32) < RAIN_STREAKS[k] / 4).astype(np.float32)
    streaks = np.clip(cv2.filter2D(begun, -1, kernel / kernel.max()), 0, 1)[..., None] * np.float32(0.45)
    return _through_drops(wet * (1 - streaks) + np.float32(0.85) * streaks, RAIN_DROPS[k], (0.015, 0.04), rng)


def _deicing_spray(light: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    height, width = light.shape[:2]
    fluid = np.array(FLUIDS_RGB[rng.integers(len(FLUIDS_RGB))], np.float32)
    mist_rgb = np.float32(0.55) + np.float32(0.45) * fluid
    drift = cv2.resize(rng.random((4, 6), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    mist = np.clip(np.float32(SPRAY_MIST[k]) * (0.4 + 1.2 * drift), 0, 0.95)[..., None]
    behind = light * (1 - mist) + mist_rgb * mist
    dry = np.zeros((height, width), np.float32)
    for _ in range(SPRAY_BLOTS[k]):
        size = rng.uniform(0.04, 0.11) * width
        centre = (round(rng.uniform(0, width)), round(rng.uniform(0, height)))
        cv2.ellipse(dry, centre, (round(size / 2), round(size * rng.uniform(0.5, 1.4))), 0, 0, 360, 1.0, -1)
    film = cv2.GaussianBlur(dry, (0, 0), max(1.0, 0.012 * width))[..., None]
    blurred = cv2.GaussianBlur(behind, (0, 0), max(1.0, 0.02 * width)) * np.float32(0.65) + fluid * np.float32(0.3)
    return np.asarray(behind * (1 - film) + blurred * film)


def _through_drops(light: np.ndarray, count: int, sizes: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """``count`` drops on the glass, each a small upside-down picture of what is around it, softly bounded."""
    height, width = light.shape[:2]
    lens = np.zeros((height, width), np.float32)
    for _ in range(count):
        radius = max(2, round(rng.uniform(*sizes) * width / 2))
        cv2.circle(lens, (round(rng.uniform(0, width)), round(rng.uniform(0, height))), radius, 1.0, -1)
    soft = cv2.GaussianBlur(lens, (0, 0), max(1.0, 0.004 * width))[..., None]
    upside_down = cv2.GaussianBlur(light[::-1], (0, 0), max(1.0, 0.02 * width))
    return np.asarray(light * (1 - soft) + (0.6 * upside_down + 0.4 * cv2.blur(light, (9, 9))) * soft)


WEATHERS: dict[str, Weather] = {"rain": _rain, "deicing_spray": _deicing_spray}
