"""Lenses that bend straight lines: viewing rays from pixels and pixels from points, by OpenCV's and ROS's models.

With x = X/Z, y = Y/Z, r = sqrt(x^2 + y^2), and t the angle to the optical axis:

``plumb_bob``    k1 k2 p1 p2 [k3]           (x, y) * (1 + k1 r^2 + k2 r^4 + k3 r^6), and the tangential part of p1, p2
``rational``     k1 k2 p1 p2 k3 k4 k5 k6    the same over (1 + k4 r^2 + k5 r^4 + k6 r^6); ROS: ``rational_polynomial``
``equidistant``  k1 k2 k3 k4                t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8) from the axis; OpenCV: ``fisheye``

The polynomials are fits: far enough from the axis they turn back, and two rays would share a pixel. Here a lens ends
where it first does (``limit``): whatever lies beyond is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.polynomial import Polynomial

from airside.errors import UsageError
from airside.geometry.camera_model import PinholeCamera

COEFFICIENT_COUNTS: dict[str, tuple[int, ...]] = {"plumb_bob": (4, 5), "rational": (8,), "equidistant": (4,)}
_WIDEST_RAD = {"plumb_bob": math.radians(89.0), "rational": math.radians(89.0), "equidistant": math.radians(179.0)}

_TABLE_STEPS = 2048
_NEWTON_STEPS = 12
_SOLVED = 1e-9  # focal lengths, or of the distance from the middle: far below a thousandth of a pixel
_NOTHING = 1e-15  # what a term of a polynomial that starts with 1 does not change
_MOST = 1e6  # of a coefficient
_ROUND = np.linspace(0, 2 * np.pi, 72, endpoint=False)


@dataclass(frozen=True, slots=True)
class DistortedCamera:
    """Intrinsics as of :class:`PinholeCamera`, bent by ``model`` with its ``coefficients``.

    Raises :class:`UsageError` for a model that is not known, a number of coefficients that is not the model's, one that
    is not finite, and coefficients under which the middle of the picture is already folded.
    """

    intrinsics: PinholeCamera
    model: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        check_coefficients(self.model, self.coefficients)
        _ = self.limit_rad

    @property
    def limit_rad(self) -> float:
        """The angle to the optical axis at which the lens ends."""
        return _bend(self.model, self.coefficients).limit_rad

    def ray_cam_from_uv(self, uv_px: np.ndarray) -> np.ndarray:
        """Unit viewing rays [..., 3] in the camera frame of pixels [..., 2]; NaN where the lens shows nothing."""
        uv = np.asarray(uv_px, np.float64)
        if uv.ndim < 1 or uv.shape[-1] != 2:
            raise UsageError(f"wanted pixels [..., 2], got {list(uv.shape)}")
        k = self.intrinsics
        return _bend(self.model, self.coefficients).ray((uv - (k.cx, k.cy)) / (k.fx, k.fy))

    def uv_from_xyz_cam(self, xyz_cam_m: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 3] in the camera frame; NaN for points beyond the end of the lens.

        Pixels may lie outside the picture, as :meth:`PinholeCamera.uv_from_xyz_cam`. A fisheye sees behind itself.
        """
        xyz = np.asarray(xyz_cam_m, np.float64)
        if xyz.ndim < 1 or xyz.shape[-1] != 3:
            raise UsageError(f"wanted points [..., 3], got {list(xyz.shape)}")
        k = self.intrinsics
        return _bend(self.model, self.coefficients).bent(xyz) * (k.fx, k.fy) + (k.cx, k.cy)

    def in_picture(self, uv_px: np.ndarray) -> np.ndarray:
        """[...] bool, as :meth:`PinholeCamera.in_picture`."""
        return self.intrinsics.in_picture(uv_px)

    def scaled_to(self, width: int, height: int) -> DistortedCamera:
        """The same camera delivering ``width`` x ``height`` pixels; raises as :meth:`PinholeCamera.scaled_to`."""
        return replace(self, intrinsics=self.intrinsics.scaled_to(width, height))


def check_coefficients(model: str, coefficients: Sequence[float]) -> None:
    """Raise :class:`UsageError` unless they are as many as ``model`` takes, and finite."""
    if model not in COEFFICIENT_COUNTS:
        raise UsageError(f"distortion model {model!r} is not known; known: {', '.join(COEFFICIENT_COUNTS)}")
    counts = COEFFICIENT_COUNTS[model]
    if len(coefficients) not in counts:
        wanted = " or ".join(map(str, counts))
        raise UsageError(f"coefficients: {model} takes {wanted}, got {len(coefficients)}")
    if not all(abs(value) <= _MOST for value in coefficients):  # NaN neither
        raise UsageError(f"coefficients: wanted finite numbers up to {_MOST:g}, got {list(coefficients)}")


class _Radial:
    """A profile ``g(q) = q * numerator / denominator``, both polynomials in q^2, lowest power first. It is used from
    q = 0 as far as ``limit``, where it first stops rising, or the end of ``grid`` (increasing, from 0)."""

    def __init__(self, numerator: Sequence[float], denominator: Sequence[float], grid: np.ndarray) -> None:
        top, bottom, s = Polynomial(numerator), Polynomial(denominator), Polynomial([0.0, 1.0])
        self._top, self._bottom = top, bottom
        self._turning = top * bottom + 2 * s * (top.deriv() * bottom - top * bottom.deriv())  # of dg/dq, over bottom^2
        self._q = grid
        self.end_at(_first_root((self._turning, bottom), float(grid[-1])))

    def end_at(self, limit: float) -> None:
        """Let the profile end at ``limit`` at the latest."""
        q = np.append(self._q[self._q < limit], limit)
        rising = np.append(True, np.diff(self.value(q)) > 0)
        self._q = q if rising.all() else q[: int(np.argmin(rising))]
        self._g = self.value(self._q)
        self.limit = float(self._q[-1])

    def factor(self, q: np.ndarray) -> np.ndarray:
        """g / q."""
        return np.asarray(self._top(q * q) / self._bottom(q * q))

    def value(self, q: np.ndarray) -> np.ndarray:
        return np.asarray(q * self.factor(q))

    def slope(self, q: np.ndarray) -> np.ndarray:
        """dg / dq."""
        return np.asarray(self._turning(q * q) / self._bottom(q * q) ** 2)

    def near(self, g: np.ndarray) -> np.ndarray:
        """q from g to a few digits, the limit for all that lies beyond it."""
        return np.asarray(np.interp(g, self._g, self._q))

    def inverse(self, g: np.ndarray) -> np.ndarray:
        """q from g; NaN beyond the limit."""
        q = self.near(g)
        for _ in range(_NEWTON_STEPS):
            slope = self.slope(q)
            q = np.clip(q - _quotient(self.value(q) - g, slope), 0, self.limit)
        return np.where(np.abs(self.value(q) - g) <= _SOLVED * np.maximum(1.0, g), q, np.nan)


def _first_root(polynomials: Iterable[Polynomial], widest: float) -> float:
    """The smallest positive q below ``widest`` at which one of the polynomials in q^2 vanishes, else ``widest``."""
    ends = [widest]
    for polynomial in polynomials:
        reach = np.abs(polynomial.coef) * widest ** (2.0 * np.arange(len(polynomial.coef)))
        roots = Polynomial(np.trim_zeros(np.where(reach < _NOTHING, 0.0, polynomial.coef), "b")).roots()
        real = roots[(np.abs(roots.imag) <= 1e-9 * np.abs(roots)) & (roots.real > 0)].real
        ends += (np.sqrt(real) * (1 - 1e-9)).tolist()  # just before it: a quotient has no value at its pole
    return float(min(ends))


class _Equidistant:
    def __init__(self, coefficients: Sequence[float]) -> None:
        self._radial = _Radial((1.0, *coefficients), (1.0,), np.linspace(0, _WIDEST_RAD["equidistant"], _TABLE_STEPS))
        self.limit_rad = self._radial.limit

    def bent(self, xyz: np.ndarray) -> np.ndarray:
        off = np.hypot(xyz[..., 0], xyz[..., 1])
        angle = np.arctan2(off, xyz[..., 2])
        seen = (angle < self.limit_rad) & (xyz != 0).any(axis=-1)
        distance = self._radial.value(np.where(seen, angle, 0.0))
        return np.where(seen[..., None], xyz[..., :2] * _quotient(distance, off)[..., None], np.nan)

    def ray(self, xy: np.ndarray) -> np.ndarray:
        distance = np.hypot(xy[..., 0], xy[..., 1])
        angle = self._radial.inverse(distance)
        return np.concatenate([xy * _quotient(np.sin(angle), distance)[..., None], np.cos(angle)[..., None]], axis=-1)


class _BrownConrady:
    """Plumb bob and rational: radial over x, y = X/Z, Y/Z, and a tangential part for a lens that sits askew."""

    def __init__(self, model: str, coefficients: Sequence[float]) -> None:
        k1, k2, self._p1, self._p2, *rest = coefficients
        k3, k4, k5, k6 = (*rest, 0.0, 0.0, 0.0, 0.0)[:4]
        grid = np.tan(np.linspace(0, _WIDEST_RAD[model], _TABLE_STEPS))
        self._radial = _Radial((1.0, k1, k2, k3), (1.0, k4, k5, k6), grid)
        if self._p1 or self._p2:
            self._end_before_a_fold(grid[1:])
        self.limit_rad = math.atan(self._radial.limit)

    def bent(self, xyz: np.ndarray) -> np.ndarray:
        depth = np.where(xyz[..., 2] > 0, xyz[..., 2], np.nan)
        xy = xyz[..., :2] / depth[..., None]
        r = np.hypot(xy[..., 0], xy[..., 1])
        return self._forward(np.where((r < self._radial.limit)[..., None], xy, np.nan))

    def ray(self, xy: np.ndarray) -> np.ndarray:
        found = self._solve(xy)
        ray = np.concatenate([found, np.ones((*found.shape[:-1], 1))], axis=-1)
        ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
        return np.where(np.isnan(found).any(axis=-1, keepdims=True), np.nan, ray)

    def _forward(self, xy: np.ndarray) -> np.ndarray:
        x, y = xy[..., 0], xy[..., 1]
        s, p1, p2 = x * x + y * y, self._p1, self._p2
        tangential = [2 * p1 * x * y + p2 * (s + 2 * x * x), p1 * (s + 2 * y * y) + 2 * p2 * x * y]
        return np.asarray(xy * self._radial.factor(np.sqrt(s))[..., None] + np.stack(tangential, axis=-1))

    def _jacobian(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Its entries xx, xy = yx, yy."""
        x, y = xy[..., 0], xy[..., 1]
        r = np.hypot(x, y)
        factor = self._radial.factor(r)
        bend = _quotient(self._radial.slope(r) - factor, r * r)
        p1, p2 = self._p1, self._p2
        xx = factor + bend * x * x + 2 * p1 * y + 6 * p2 * x
        yy = factor + bend * y * y + 6 * p1 * y + 2 * p2 * x
        return xx, bend * x * y + 2 * p1 * x + 2 * p2 * y, yy

    def _end_before_a_fold(self, radii: np.ndarray) -> None:
        """The tangential part may turn the picture over earlier than the radial one does, on one side first."""
        radii = np.append(radii[radii < self._radial.limit], self._radial.limit)
        xx, xy, yy = self._jacobian(radii[:, None, None] * np.stack([np.cos(_ROUND), np.sin(_ROUND)], axis=-1))
        folded = ((xx * yy - xy * xy).min(axis=1) <= 0) | ((xx + yy).min(axis=1) <= 0)
        if folded.any():
            first = int(np.argmax(folded))
            self._radial.end_at(float(radii[first - 1]) if first else 0.0)

    def _solve(self, target: np.ndarray) -> np.ndarray:
        """x, y [..., 2] that :meth:`_forward` takes to ``target``; NaN where none within the lens does."""
        distance = np.hypot(target[..., 0], target[..., 1])
        found = target * np.where(distance > 0, _quotient(self._radial.near(distance), distance), 1.0)[..., None]
        for _ in range(_NEWTON_STEPS):
            miss = self._forward(found) - target
            xx, xy, yy = self._jacobian(found)
            step = np.stack([yy * miss[..., 0] - xy * miss[..., 1], xx * miss[..., 1] - xy * miss[..., 0]], axis=-1)
            found = found - _quotient(step, (xx * yy - xy * xy)[..., None])
            r = np.hypot(found[..., 0], found[..., 1])
            found = found * np.where(r > self._radial.limit, _quotient(self._radial.limit, r), 1.0)[..., None]
        solved = np.abs(self._forward(found) - target).max(axis=-1) <= _SOLVED * np.maximum(1.0, distance)
        return np.where(solved[..., None], found, np.nan)


def _quotient(above: np.ndarray | float, below: np.ndarray) -> np.ndarray:
    """``above / below``, 0 where ``below`` vanishes."""
    nothing = np.abs(below) <= 1e-12
    return np.where(nothing, 0.0, above / np.where(nothing, 1.0, below))


@lru_cache(maxsize=64)
def _bend(model: str, coefficients: tuple[float, ...]) -> _Equidistant | _BrownConrady:
    bend = _Equidistant(coefficients) if model == "equidistant" else _BrownConrady(model, coefficients)
    if not bend.limit_rad > math.radians(1.0):
        raise UsageError(
            f"coefficients: with {list(coefficients)} the {model} lens folds back {math.degrees(bend.limit_rad):.2g} "
            "degrees from its middle; check their order and the model"
        )
    return bend
