"""The smallest rectangle round a footprint on the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class OrientedBox:
    """A rectangle on the ground plane of the ego frame: its middle, the direction of its long side, its sides.

    ``yaw_rad`` lies in (-pi/2, pi/2]: a rectangle does not tell its front from its back.
    """

    centre_xy_m: tuple[float, float]
    yaw_rad: float
    length_m: float  # along yaw
    width_m: float


def oriented_box(polygon_xy_m: np.ndarray) -> OrientedBox:
    """Of all rectangles round the convex polygon [K, 2] (K >= 3) the one with the smallest area.

    It has a side in common with the polygon; of equal ones the first side's is taken.
    """
    corners = np.asarray(polygon_xy_m, np.float64)
    sides = np.roll(corners, -1, axis=0) - corners
    angles = [math.atan2(dy, dx) for dx, dy in sides.tolist() if dx or dy] or [0.0]
    low, high, angle = min((_extent(corners, a) for a in angles), key=lambda e: float(np.prod(e[1] - e[0])))
    along, across = (high - low).tolist()
    yaw = angle if along >= across else angle + math.pi / 2
    x, y = (_turned((low + high)[None] / 2, angle)[0]).tolist()
    return OrientedBox((x, y), _half_turn(yaw), max(along, across), min(along, across))


def _extent(corners: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Lower and upper bounds [2] of ``corners`` in axes turned by ``angle``."""
    turned = _turned(corners, -angle)
    return turned.min(axis=0), turned.max(axis=0), angle


def _turned(xy: np.ndarray, angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.asarray(xy @ np.array([[c, s], [-s, c]]))


def _half_turn(angle: float) -> float:
    angle = math.remainder(angle, math.pi)  # [-pi/2, pi/2]
    return angle if angle > -math.pi / 2 else math.pi / 2
