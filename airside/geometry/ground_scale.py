"""Metres for a relative depth map: the ground it shows must lie where the camera's mounting puts the ground."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np

from airside.errors import InputError, UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform

MIN_GROUND_PIXELS = 100
MIN_GROUND_SPREAD = 1.2  # furthest through nearest ground depth, 5th and 95th percentile
MIN_INLIER_SHARE = 0.5
ON_PLANE = 0.1  # a ground pixel whose depth is within 10 % of the plane's agrees with it
_TRIALS = 256
_SAMPLE = 4000
_INLIER_WIDTH = 2.5 * 1.4826  # 2.5 sigma of normal noise, as a multiple of the median residual
_ROUNDING = 1e-9
_REFINEMENTS = 3


class RelativeKind(enum.StrEnum):
    DEPTH = "depth"  # proportional to depth: one scale
    INVERSE_DEPTH = "inverse_depth"  # affine in 1 / depth, high = near, as Depth Anything's relative output


@dataclass(frozen=True, slots=True)
class GroundScale:
    """``1 / depth_m = scale * r + shift``, r the relative map where it is inverse depth, else 1 over it."""

    kind: RelativeKind
    scale: float  # 1 / metre per unit of r, positive
    shift_per_m: float  # 0 for DEPTH
    ground_pixels: int  # what the fit had to go by
    inlier_share: float  # of them on the plane within ON_PLANE, in [MIN_INLIER_SHARE, 1]
    relative_error: float  # median of |depth / plane depth - 1| over the inliers

    def depth_m(self, relative: np.ndarray) -> np.ndarray:
        """Metric depth along the optical axis, float32, of a relative map of any shape.

        ``inf`` where it says infinitely far or beyond; NaN where the map is not finite, or not positive as a depth.
        """
        r, usable = _inverse(np.asarray(relative, np.float64), self.kind)
        inverse = np.where(usable, self.scale * r + self.shift_per_m, np.nan)
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(np.where(inverse <= 0, np.inf, 1 / inverse), np.float32)


def plane_depth_m(camera: PinholeCamera, ego_from_cam: RigidTransform) -> np.ndarray:
    """Depth along the optical axis [height, width] float64, metres, at which each pixel sees the plane z = 0 of ego.

    NaN at and above the horizon. Raises :class:`UsageError` when the camera is not above the ground.
    """
    height_m = float(ego_from_cam.translation_m[2])
    if height_m <= 0:
        raise UsageError(f"the camera must be mounted above the ground (z = 0), its height is {height_m} m")
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    ray_cam = camera.ray_cam_from_uv(np.stack([u, v], axis=-1))
    down = -ego_from_cam.directions(ray_cam)[..., 2]
    out = np.full(down.shape, np.nan)
    np.divide(height_m * ray_cam[..., 2], down, out=out, where=down > 0)
    return out


def fit_ground_scale(
    relative: np.ndarray,
    ground: np.ndarray,
    camera: PinholeCamera,
    ego_from_cam: RigidTransform,
    *,
    kind: RelativeKind,
    max_depth_m: float,
) -> GroundScale:
    """The scale (and for inverse depth the shift) with which the ground of ``relative`` lies on the plane z = 0.

    ``relative`` [H, W] float, ``ground`` [H, W] bool, where the picture shows flat ground; ``camera`` describes these
    pixels (see ``scaled_to``). Only ground the plane puts within ``max_depth_m`` is used: further out a small error of
    the mounting's pitch is many metres. Relative residuals; least median of squares over pairs of pixels with a fixed
    seed, then least squares over the inliers: something less than half of the mask may be other things than ground.

    Raises :class:`UsageError` on shapes, types and limits that do not fit; :class:`InputError` where the picture cannot
    give the scale: fewer than ``MIN_GROUND_PIXELS`` usable pixels, ground too short in depth, a map that does not vary
    or runs the other way, less than half of it on one plane.
    """
    wanted = (camera.height, camera.width)
    if relative.shape != wanted or ground.shape != wanted or ground.dtype != np.bool_:
        raise UsageError(
            f"wanted a relative map and a bool ground mask {list(wanted)} as the camera, got "
            f"{relative.dtype} {list(relative.shape)} and {ground.dtype} {list(ground.shape)}"
        )
    if not max_depth_m > 0 or math.isinf(max_depth_m):
        raise UsageError(f"max_depth_m must be a positive number of metres, got {max_depth_m}")
    plane_m = plane_depth_m(camera, ego_from_cam)
    r, usable = _inverse(np.asarray(relative, np.float64), kind)
    usable &= ground & (plane_m <= max_depth_m)
    ground_pixels = int(np.count_nonzero(usable))
    if ground_pixels < MIN_GROUND_PIXELS:
        raise InputError(
            f"{ground_pixels} usable ground pixels within {max_depth_m:g} m, at least {MIN_GROUND_PIXELS} are needed: "
            "check the ground mask and the mounting, or raise max_depth_m"
        )
    r, target = r[usable], 1 / plane_m[usable]
    nearest, furthest = np.percentile(target, [95, 5])
    if nearest < MIN_GROUND_SPREAD * furthest:
        raise InputError(
            f"the ground reaches only from {1 / nearest:.2f} to {1 / furthest:.2f} m: too short to fit a scale, "
            f"wanted a factor of {MIN_GROUND_SPREAD}; use a picture that shows more ground"
        )
    scale, shift = _robust_line(r, target, with_shift=kind is RelativeKind.INVERSE_DEPTH)
    if scale <= 0:
        raise InputError(
            f"the map runs the wrong way over the ground for kind {kind.value}, or does not vary there: "
            "an inverse depth must be high where near, a depth high where far"
        )
    error = np.abs((scale * r + shift) / target - 1)
    on_plane = error <= ON_PLANE
    inlier_share = float(np.mean(on_plane))
    if inlier_share < MIN_INLIER_SHARE:
        raise InputError(
            f"only {inlier_share:.0%} of the ground lies within {ON_PLANE:.0%} of one plane, wanted "
            f"{MIN_INLIER_SHARE:.0%}: check the ground mask, the mounting and the kind of map"
        )
    return GroundScale(
        kind=kind,
        scale=scale,
        shift_per_m=shift,
        ground_pixels=ground_pixels,
        inlier_share=inlier_share,
        relative_error=float(np.median(error[on_plane])),
    )


def _inverse(relative: np.ndarray, kind: RelativeKind) -> tuple[np.ndarray, np.ndarray]:
    """What is proportional or affine to 1 / depth, and where it may be used (elsewhere its value means nothing)."""
    if kind is RelativeKind.INVERSE_DEPTH:
        usable = np.isfinite(relative)
        return np.where(usable, relative, 0.0), usable
    usable = np.isfinite(relative) & (relative > 0)
    return np.divide(1.0, relative, out=np.zeros(relative.shape), where=usable), usable


def _robust_line(r: np.ndarray, target: np.ndarray, *, with_shift: bool) -> tuple[float, float]:
    """(scale, shift) with ``scale * r + shift`` near ``target``, relatively; a scale not positive where there is none.

    All [K] float64. Rousseeuw, Least Median of Squares Regression, 1984; then reweighted least squares.
    """
    line = _least_median_line(r, target) if with_shift else (float(np.median(target / r)), 0.0)
    if line[0] <= 0:
        return line
    for _ in range(_REFINEMENTS):
        residual = np.abs((line[0] * r + line[1]) / target - 1)
        inlier = residual <= _INLIER_WIDTH * float(np.median(residual)) + _ROUNDING
        columns = [r / target, 1 / target] if with_shift else [r / target]
        design = np.stack(columns, axis=1)[inlier]
        solution = np.linalg.lstsq(design, np.ones(len(design)), rcond=None)[0]
        line = float(solution[0]), float(solution[1]) if with_shift else 0.0
    return line


def _least_median_line(r: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    if len(r) > _SAMPLE:
        sample = rng.choice(len(r), _SAMPLE, replace=False)
        r, target = r[sample], target[sample]
    order = np.argsort(r)
    low = order[rng.integers(0, len(r) // 2, _TRIALS)]
    high = order[rng.integers(len(r) // 2, len(r), _TRIALS)]
    distinct = r[high] > r[low]
    best, best_median = (0.0, float(np.median(target))), math.inf
    for i, j in zip(low[distinct], high[distinct], strict=True):
        scale = (target[j] - target[i]) / (r[j] - r[i])
        shift = target[i] - scale * r[i]
        median = float(np.median(np.abs((scale * r + shift) / target - 1)))
        if median < best_median:
            best, best_median = (float(scale), float(shift)), median
    return best
