"""The cameras of a vehicle: lens, mounting, source, and how far to trust their ranges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airside.config.strict import load_settings, require
from airside.errors import UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.distortion import DistortedCamera
from airside.geometry.transforms import (
    RigidTransform,
    angles_from_rotation,
    ego_from_mounted_cam,
    rotation_from_quaternion,
)
from airside.geometry.virtual_pinhole import virtual_pinhole

LensModel = Literal["pinhole", "plumb_bob", "rational", "equidistant"]
_MOST_PIXELS, _LONGEST_SIDE_PX = 50_000_000, (1 << 15) - 1  # nothing larger is decoded, nor can be rectified


@dataclass(frozen=True, slots=True)
class MountConfig:
    """Where a camera sits on the vehicle: its optical centre in ego metres, its angles as in ``ego_from_mounted_cam``
    (positive yaw left, positive pitch down, positive roll right side down).

    ``rotation_wxyz`` is another way to write the three angles: the quaternion of ``ego_from_cam``, optical frame, as
    nuScenes and static transforms have it. It is turned into them, and is ``None`` from then on.
    """

    xyz_m: tuple[float, float, float]
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    rotation_wxyz: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        require(self.xyz_m[2] > 0, f"xyz_m: the camera must be above the ground, got z = {self.xyz_m[2]}")
        if self.rotation_wxyz is not None:
            angles = self.yaw_deg, self.pitch_deg, self.roll_deg
            require(not any(angles), "rotation_wxyz: give it or yaw_deg, pitch_deg and roll_deg, not both")
            angles = angles_from_rotation(rotation_from_quaternion(self.rotation_wxyz))
            for name, value in zip(("yaw_deg", "pitch_deg", "roll_deg"), angles, strict=True):
                object.__setattr__(self, name, value)
            object.__setattr__(self, "rotation_wxyz", None)

    @classmethod
    def from_transform(cls, ego_from_cam: RigidTransform) -> MountConfig:
        """The mounting whose ``transform`` is ``ego_from_cam``."""
        x, y, z = (float(part) for part in ego_from_cam.translation_m)
        return cls((x, y, z), *angles_from_rotation(ego_from_cam.rotation))

    @property
    def transform(self) -> RigidTransform:
        """``ego_from_cam``."""
        return ego_from_mounted_cam(self.xyz_m, yaw_deg=self.yaw_deg, pitch_deg=self.pitch_deg, roll_deg=self.roll_deg)


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """One camera of the rig: intrinsics in px (pixel centres at integers), mounting, and how far to trust ranges.

    ``model`` and ``coefficients`` as in :mod:`airside.geometry.distortion`; a pinhole has none. Pictures of any other
    lens are made into those of a pinhole before anything looks at them: ``pinhole_fov_deg`` wide (horizontally; by
    default as wide as the picture allows, at most 110) and ``pinhole_size_px`` (width, height; by default as the
    picture) large. ``source``: the device, stream, folder or video it delivers through; ``rate_hz``: how often.
    ``None`` and empty: not told.
    """

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    ego_from_cam: MountConfig
    max_range_m: float
    model: LensModel = "pinhole"
    coefficients: tuple[float, ...] = ()
    pinhole_fov_deg: float | None = None
    pinhole_size_px: tuple[int, int] | None = None
    source: str = ""
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        require(bool(self.name), "name: must not be empty")
        require(self.max_range_m > 0, f"max_range_m: must be positive, got {self.max_range_m}")
        require(self.rate_hz is None or self.rate_hz > 0, f"rate_hz: must be positive, got {self.rate_hz}")
        for width, height in ((self.width, self.height), self.pinhole_size_px or (1, 1)):
            usable = max(width, height) <= _LONGEST_SIDE_PX and width * height <= _MOST_PIXELS
            require(usable, f"width, height: {width} x {height} px is more than a picture may have")
        if self.model == "pinhole":
            require(not self.coefficients, f"coefficients: a pinhole takes none, got {len(self.coefficients)}")
            require(self.pinhole_fov_deg is None, "pinhole_fov_deg: a pinhole is used as it is; leave the key out")
            require(self.pinhole_size_px is None, "pinhole_size_px: a pinhole is used as it is; leave the key out")
        _ = self.pinhole  # its own checks, and those of the lens

    @property
    def lens(self) -> DistortedCamera | None:
        """The camera of the pictures as they are taken; ``None`` where that is :attr:`pinhole` itself."""
        return None if self.model == "pinhole" else DistortedCamera(self._intrinsics, self.model, self.coefficients)

    @property
    def pinhole(self) -> PinholeCamera:
        """The camera of the pictures as everything after ``airside.cameras`` sees them."""
        lens = self.lens
        if lens is None:
            return self._intrinsics
        return virtual_pinhole(lens, self.pinhole_size_px or (self.width, self.height), self.pinhole_fov_deg)

    @property
    def _intrinsics(self) -> PinholeCamera:
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
