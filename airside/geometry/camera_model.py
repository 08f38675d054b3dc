"""The pinhole camera: pixels to viewing rays and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from airside.errors import MismatchError, UsageError

_ASPECT_TOLERANCE = 1.02


def same_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one (width, height) is the other scaled, within 2 %: else it is another camera or a crop."""
    stretch = (size[0] / size[1]) / (other[0] / other[1])
    return 1 / _ASPECT_TOLERANCE <= stretch <= _ASPECT_TOLERANCE


@dataclass(frozen=True, slots=True)
class PinholeCamera:
    """Intrinsics in pixels of an undistorted picture of ``width`` x ``height``; pixel centres at integers.

    Raises :class:`UsageError` when a focal length or a size is not positive, or a number is not finite.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("fx", "fy", "cx", "cy", "width", "height"):
            if not math.isfinite(getattr(self, name)):
                raise UsageError(f"camera {name} must be a finite number, got {getattr(self, name)}")
        for name in ("fx", "fy", "width", "height"):
            if getattr(self, name) <= 0:
                raise UsageError(f"camera {name} must be positive, got {getattr(self, name)}")

    def ray_cam_from_uv(self, uv_px: np.ndarray) -> np.ndarray:
        """Unit viewing rays [..., 3] in the camera frame (x right, y down, z forward) of pixels [..., 2]."""
        uv = np.asarray(uv_px, np.float64)
        if uv.ndim < 1 or uv.shape[-1] != 2:
            raise UsageError(f"wanted pixels [..., 2], got {list(uv.shape)}")
        ray = np.stack(
            [(uv[..., 0] - self.cx) / self.fx, (uv[..., 1] - self.cy) / self.fy, np.ones(uv.shape[:-1])], axis=-1
        )
        return np.asarray(ray / np.linalg.norm(ray, axis=-1, keepdims=True))

    def uv_from_xyz_cam(self, xyz_cam_m: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of points [..., 3] in the camera frame; NaN for points that are not in front of it.

        Pixels may lie outside the picture: the caller knows what that means for it.
        """
        xyz = np.asarray(xyz_cam_m, np.float64)
        if xyz.ndim < 1 or xyz.shape[-1] != 3:
            raise UsageError(f"wanted points [..., 3], got {list(xyz.shape)}")
        depth = np.where(xyz[..., 2] > 0, xyz[..., 2], np.nan)
        return np.stack([xyz[..., 0] / depth * self.fx + self.cx, xyz[..., 1] / depth * self.fy + self.cy], axis=-1)

    def in_picture(self, uv_px: np.ndarray) -> np.ndarray:
        """[...] bool: pixels [..., 2] inside the picture, half a pixel beyond the outer centres; NaN is outside."""
        uv = np.asarray(uv_px, np.float64)
        return np.asarray(((uv >= -0.5) & (uv < (self.width - 0.5, self.height - 0.5))).all(axis=-1))

    def scaled_to(self, width: int, height: int) -> PinholeCamera:
        """The same camera delivering ``width`` x ``height`` pixels.

        Raises :class:`MismatchError` when the shape differs by more than 2 %: then it is another camera or a crop.
        """
        if not same_shape((width, height), (self.width, self.height)):
            raise MismatchError(
                f"the rig describes a camera of {self.width} x {self.height} px, but its pictures are "
                f"{width} x {height}: another shape; give the rig file of this camera (--rig)"
            )
        su, sv = width / self.width, height / self.height
        return replace(
            self,
            fx=self.fx * su,
            fy=self.fy * sv,
            cx=(self.cx + 0.5) * su - 0.5,
            cy=(self.cy + 0.5) * sv - 0.5,
            width=width,
            height=height,
        )
