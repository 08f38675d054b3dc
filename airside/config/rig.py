"""The cameras of a vehicle: intrinsics, mounting, and how far to trust their ranges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airside.config.strict import load_settings, require
from airside.errors import UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam


@dataclass(frozen=True, slots=True)
class MountConfig:
    """Where a camera sits on the vehicle: its optical centre in ego metres, its angles as in ``ego_from_mounted_cam``
    (positive yaw left, positive pitch down, positive roll right side down)."""

    xyz_m: tuple[float, float, float]
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        require(self.xyz_m[2] > 0, f"xyz_m: the camera must be above the ground, got z = {self.xyz_m[2]}")

    @property
    def transform(self) -> RigidTransform:
        """``ego_from_cam``."""
        return ego_from_mounted_cam(self.xyz_m, yaw_deg=self.yaw_deg, pitch_deg=self.pitch_deg, roll_deg=self.roll_deg)


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """One camera of the rig: intrinsics in px (pixel centres at integers), mounting, and how far to trust ranges."""

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    ego_from_cam: MountConfig
    max_range_m: float

    def __post_init__(self) -> None:
        require(bool(self.name), "name: must not be empty")
        require(self.max_range_m > 0, f"max_range_m: must be positive, got {self.max_range_m}")
        _ = self.pinhole  # its own checks

    @property
    def pinhole(self) -> PinholeCamera:
        return PinholeCamera(fx=self.fx, fy=self.fy, cx=self.cx, cy=self.cy, width=self.width, height=self.height)


@dataclass(frozen=True, slots=True)
class RigConfig:
    """The cameras of one vehicle, by unique names."""

    cameras: tuple[CameraConfig, ...]

    def __post_init__(self) -> None:
        names = [camera.name for camera in self.cameras]
        require(bool(names), "cameras: at least one is needed")
        require(len(set(names)) == len(names), f"cameras: names must differ, got {', '.join(names)}")

    def camera(self, name: str) -> CameraConfig:
        """The camera called ``name``; :class:`UsageError` names those there are."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise UsageError(f"the rig has no camera {name!r}; it has: {', '.join(c.name for c in self.cameras)}")


def load_rig(path: str | Path) -> RigConfig:
    """The rig in the YAML file ``path``; :class:`UsageError` says what is wrong and where."""
    return load_settings(RigConfig, Path(path))
