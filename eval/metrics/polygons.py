"""Distances to convex polygons on the ground plane."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_Corners = np.ndarray | Sequence[tuple[float, float]]


def distance_to_polygon_m(xy_m: tuple[float, float], corners_xy_m: _Corners) -> float:
    """From a point to a convex polygon [K, 2], K >= 3, whichever way round; 0 inside."""
    corners = np.asarray(corners_xy_m, np.float64)
    edges = np.roll(corners, -1, axis=0) - corners
    away = np.asarray(xy_m, np.float64) - corners
    side = edges[:, 0] * away[:, 1] - edges[:, 1] * away[:, 0]
    if (side >= 0).all() or (side <= 0).all():
        return 0.0
    lengths = np.maximum((edges**2).sum(axis=1), 1e-12)
    share = np.clip((away * edges).sum(axis=1) / lengths, 0, 1)
    return float(np.hypot(*(away - share[:, None] * edges).T).min())


def near_side_of(corners_xy_m: _Corners) -> tuple[float, float]:
    """Where the ray from the origin to the middle of what a convex polygon covers of the horizon first meets it; the
    origin itself when it lies inside."""
    corners = np.asarray(corners_xy_m, np.float64)
    if distance_to_polygon_m((0.0, 0.0), corners) == 0:
        return 0.0, 0.0
    centre = corners.mean(axis=0)
    straight = math.atan2(centre[1], centre[0])
    off = np.angle(np.exp(1j * (np.arctan2(corners[:, 1], corners[:, 0]) - straight)))
    bearing = straight + float(off.min() + off.max()) / 2
    ray = np.array([math.cos(bearing), math.sin(bearing)])
    following = np.roll(corners, -1, axis=0)
    ranges = [r for a, b in zip(corners, following, strict=True) if (r := _meets(ray, a, b)) is not None]
    nearest = min(ranges)
    return float(nearest * ray[0]), float(nearest * ray[1])


def _meets(ray: np.ndarray, a: np.ndarray, b: np.ndarray) -> float | None:
    """How far along ``ray`` from the origin it crosses the side from ``a`` to ``b``."""
    side = b - a
    cross = ray[0] * side[1] - ray[1] * side[0]
    if abs(cross) < 1e-12:
        return None
    along = (a[0] * side[1] - a[1] * side[0]) / cross
    share = (a[0] * ray[1] - a[1] * ray[0]) / cross
    return float(along) if along > 0 and -1e-9 <= share <= 1 + 1e-9 else None
