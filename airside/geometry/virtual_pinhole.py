"""The pinhole camera that a distorted one is made into."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from airside.errors import UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.distortion import DistortedCamera

WIDEST_BY_DEFAULT_DEG = 110.0  # beyond it a flat picture spends its pixels on its edges
WIDEST_DEG, NARROWEST_DEG = 160.0, 1.0
_BISECTIONS = 24
_BORDER_STEPS = 65


@lru_cache(maxsize=64)
def virtual_pinhole(lens: DistortedCamera, size_px: tuple[int, int], fov_deg: float | None = None) -> PinholeCamera:
    """The pinhole of the lens's optical axis, which is its middle, ``size_px`` (width, height) with square pixels.

    ``fov_deg``: its width; by default as wide as it can be while the lens shows every pixel of it, at most 110 degrees.
    Raises :class:`UsageError` for an angle outside 1 to 160 degrees, and for a lens whose own picture lacks its middle.
    """
    if not _all_seen(lens, _pinhole(size_px, NARROWEST_DEG)):
        k = lens.intrinsics
        raise UsageError(
            f"cx, cy: the optical axis ({k.cx:g}, {k.cy:g}) must lie well within the {k.width} x {k.height} px picture"
        )
    if fov_deg is None:
        return _pinhole(size_px, _widest_all_seen(lens, size_px))
    if not NARROWEST_DEG <= fov_deg <= WIDEST_DEG:
        raise UsageError(f"pinhole_fov_deg: wanted {NARROWEST_DEG:g} to {WIDEST_DEG:g} degrees, got {fov_deg:g}")
    return _pinhole(size_px, fov_deg)


def seen_by_lens(pinhole: PinholeCamera, lens: DistortedCamera, uv_px: np.ndarray) -> np.ndarray:
    """[...] bool: whether the lens's picture shows what the pixels [..., 2] of ``pinhole`` would."""
    return lens.in_picture(lens.uv_from_xyz_cam(pinhole.ray_cam_from_uv(uv_px)))


def _widest_all_seen(lens: DistortedCamera, size_px: tuple[int, int]) -> float:
    if _all_seen(lens, _pinhole(size_px, WIDEST_BY_DEFAULT_DEG)):
        return WIDEST_BY_DEFAULT_DEG
    low, high = NARROWEST_DEG, WIDEST_BY_DEFAULT_DEG
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _all_seen(lens, _pinhole(size_px, middle)) else (low, middle)
    return low


def _all_seen(lens: DistortedCamera, pinhole: PinholeCamera) -> bool:
    """The rim decides: what a lens shows of a flat picture has no holes."""
    u = np.linspace(-0.5, pinhole.width - 0.5 - 1e-6, _BORDER_STEPS)
    v = np.linspace(-0.5, pinhole.height - 0.5 - 1e-6, _BORDER_STEPS)
    rim = [np.stack(np.broadcast_arrays(u, end), axis=-1) for end in (v[0], v[-1])]
    rim += [np.stack(np.broadcast_arrays(end, v), axis=-1) for end in (u[0], u[-1])]
    return bool(seen_by_lens(pinhole, lens, np.concatenate(rim)).all())


def _pinhole(size_px: tuple[int, int], fov_deg: float) -> PinholeCamera:
    width, height = size_px
    focal = width / 2 / math.tan(math.radians(fov_deg) / 2)
    return PinholeCamera(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
