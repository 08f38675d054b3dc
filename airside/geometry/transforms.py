"""Rigid transforms, named target first: ``ego_from_cam`` takes camera coordinates to ego coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airside.errors import UsageError

_ORTHONORMAL_TOLERANCE = 1e-6
_UNIT_TOLERANCE = 1e-3  # quaternions are written with few digits

# The optical frame (x right, y down, z forward) seen from a body frame looking the same way (x forward, y left, z up).
_BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True, slots=True, eq=False)
class RigidTransform:
    """``b_from_a``: a rotation [3, 3] and a translation [3] in metres, both float64 and read-only.

    Raises :class:`UsageError` on wrong shapes, numbers that are not finite, and a rotation that is not orthonormal
    and right-handed (a mirror or a scale, say).
    """

    rotation: np.ndarray
    translation_m: np.ndarray

    def __post_init__(self) -> None:
        rotation = np.array(self.rotation, np.float64)
        translation = np.array(self.translation_m, np.float64)
        if rotation.shape != (3, 3):
            raise UsageError(f"wanted a rotation [3, 3], got {list(rotation.shape)}")
        if translation.shape != (3,):
            raise UsageError(f"wanted a translation [3], got {list(translation.shape)}")
        if not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
            raise UsageError("a rigid transform must hold finite numbers only")
        error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        if error > _ORTHONORMAL_TOLERANCE:
            raise UsageError(f"the rotation is not orthonormal: R R^T differs from the identity by {error:.2g}")
        if np.linalg.det(rotation) < 0:
            raise UsageError("the rotation is left-handed (determinant -1): one axis is mirrored")
        rotation.flags.writeable = False
        translation.flags.writeable = False
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "translation_m", translation)

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> RigidTransform:
        """From a homogeneous [4, 4]; anything else, a [3, 3] too, raises :class:`UsageError`."""
        values = np.asarray(matrix, np.float64)
        if values.shape != (4, 4):
            raise UsageError(f"wanted a rigid transform [4, 4], got {list(values.shape)}")
        if not np.array_equal(values[3], [0.0, 0.0, 0.0, 1.0]):
            raise UsageError(f"the last row of a rigid transform must be 0 0 0 1, got {values[3].tolist()}")
        return cls(values[:3, :3], values[:3, 3])

    @property
    def matrix(self) -> np.ndarray:
        """[4, 4] float64, homogeneous."""
        out = np.eye(4)
        out[:3, :3] = self.rotation
        out[:3, 3] = self.translation_m
        return out

    def points(self, xyz_m: np.ndarray) -> np.ndarray:
        """Points [..., 3] in metres, from the source frame to the target frame."""
        return np.asarray(np.asarray(xyz_m, np.float64) @ self.rotation.T + self.translation_m)

    def directions(self, xyz: np.ndarray) -> np.ndarray:
        """Directions [..., 3]: rotated, not moved."""
        return np.asarray(np.asarray(xyz, np.float64) @ self.rotation.T)

    def inverse(self) -> RigidTransform:
        """``a_from_b``."""
        return RigidTransform(self.rotation.T, -self.rotation.T @ self.translation_m)

    def __matmul__(self, other: RigidTransform) -> RigidTransform:
        """``c_from_b @ b_from_a`` is ``c_from_a``."""
        return RigidTransform(self.rotation @ other.rotation, self.points(other.translation_m))


def ego_from_mounted_cam(
    xyz_m: tuple[float, float, float], *, yaw_deg: float, pitch_deg: float, roll_deg: float
) -> RigidTransform:
    """``ego_from_cam`` of a camera whose optical centre is at ``xyz_m`` in the ego frame.

    With all angles zero it looks straight ahead. Angles are REP-103's, applied roll, then pitch, then yaw: positive
    yaw looks to the left, positive pitch looks DOWN, positive roll lowers the camera's right side.
    """
    yaw, pitch, roll = (math.radians(angle) for angle in (yaw_deg, pitch_deg, roll_deg))
    about_z = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    about_y = np.array([[math.cos(pitch), 0, math.sin(pitch)], [0, 1, 0], [-math.sin(pitch), 0, math.cos(pitch)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(roll), -math.sin(roll)], [0, math.sin(roll), math.cos(roll)]])
    return RigidTransform(about_z @ about_y @ about_x @ _BODY_FROM_OPTICAL, np.array(xyz_m))


def angles_from_rotation(ego_from_cam: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch, roll in degrees of a rotation [3, 3], the way back of :func:`ego_from_mounted_cam`.

    A camera that looks straight down or up has no yaw beside its roll: the roll is 0 then.
    """
    r = np.asarray(ego_from_cam, np.float64) @ _BODY_FROM_OPTICAL.T
    level = math.hypot(r[0, 0], r[1, 0])
    pitch = math.atan2(-r[2, 0], level)
    if level < 1e-9:
        return math.degrees(math.atan2(-r[0, 1], r[1, 1])), math.degrees(pitch), 0.0
    yaw, roll = math.atan2(r[1, 0], r[0, 0]), math.atan2(r[2, 1], r[2, 2])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def rotation_from_quaternion(wxyz: Sequence[float]) -> np.ndarray:
    """[3, 3] of a unit quaternion (w, x, y, z). Raises :class:`UsageError` unless its length is 1, to a thousandth."""
    quaternion = np.array(wxyz, np.float64)
    if quaternion.shape != (4,) or not np.isfinite(quaternion).all():
        raise UsageError(f"wanted a quaternion w, x, y, z of finite numbers, got {list(wxyz)}")
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1) > _UNIT_TOLERANCE:
        raise UsageError(f"the quaternion {list(wxyz)} (w, x, y, z) is no rotation: its length is {length:.4g}, not 1")
    w, x, y, z = quaternion / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
