"""Pictures, intrinsics and mountings as ROS 2 messages, for the recording: pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from airside.alerts.ros2_messages import FRAME_ID, header_at
from airside.alerts.ros2_types import CAMERA_INFO, PICTURE, TRANSFORMS, Ros2Types
from airside.errors import InputError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform

_QUICK_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class RecordedCamera:
    """How the pictures of the camera ``name`` came to be: undistorted, mounted at ``ego_from_cam``."""

    name: str
    pinhole: PinholeCamera
    ego_from_cam: RigidTransform


def optical_frame(camera: str) -> str:
    """The ROS frame of a camera's pictures: x right, y down, z forward."""
    return f"{camera}_optical"


def compressed_image(types: Ros2Types, image: np.ndarray, frame_id: str, stamp_ns: int, quality: int | None) -> Any:
    """``image`` [H, W, 3] uint8 RGB as a ``sensor_msgs/CompressedImage`` with a JPEG of ``quality`` 1 to 100, or with a
    PNG where that is ``None``.

    Raises :class:`InputError` for an array that is no picture.
    """
    kind, options = ("png", _QUICK_PNG) if quality is None else ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, quality])
    try:
        ok, data = cv2.imencode(f".{kind}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        ok, data = False, np.empty(0, np.uint8)
    if not ok:
        raise InputError(f"{frame_id}: {image.dtype} {list(image.shape)} is no picture; wanted uint8 [H, W, 3]")
    return types.make(PICTURE, header=header_at(types, stamp_ns, frame_id), format=kind, data=data.ravel())


def camera_info(types: Ros2Types, camera: RecordedCamera, stamp_ns: int) -> Any:
    """``sensor_msgs/CameraInfo`` of an undistorted camera."""
    p = camera.pinhole
    k = np.array([[p.fx, 0, p.cx], [0, p.fy, p.cy], [0, 0, 1]], np.float64)
    whole = types.make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return types.make(
        CAMERA_INFO,
        header=header_at(types, stamp_ns, optical_frame(camera.name)),
        height=p.height,
        width=p.width,
        distortion_model="plumb_bob",
        d=np.zeros(5, np.float64),
        k=k.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([k, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=whole,
    )


def static_transforms(types: Ros2Types, cameras: Sequence[RecordedCamera], stamp_ns: int) -> Any:
    """``tf2_msgs/TFMessage``: where each camera sits on the vehicle."""
    return types.make(TRANSFORMS, transforms=[_transform(types, camera, stamp_ns) for camera in cameras])


def quaternion_xyzw(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """The unit quaternion of a rotation [3, 3], w not negative."""
    m = np.asarray(rotation, np.float64)
    # Each row of this symmetric matrix is the quaternion times 4 of its own part: the largest is the safest.
    rows = np.array([
        [1 + m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
        [m[1, 0] + m[0, 1], 1 - m[0, 0] + m[1, 1] - m[2, 2], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]],
        [m[0, 2] + m[2, 0], m[2, 1] + m[1, 2], 1 - m[0, 0] - m[1, 1] + m[2, 2], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + m[0, 0] + m[1, 1] + m[2, 2]],
    ])  # fmt: skip
    row = rows[int(np.argmax(np.diag(rows)))]
    x, y, z, w = (row / np.linalg.norm(row) * math.copysign(1.0, row[3])).tolist()
    return x, y, z, w


def _transform(types: Ros2Types, camera: RecordedCamera, stamp_ns: int) -> Any:
    x, y, z = camera.ego_from_cam.translation_m.tolist()
    qx, qy, qz, qw = quaternion_xyzw(camera.ego_from_cam.rotation)
    moved = types.make(
        "geometry_msgs/msg/Transform",
        translation=types.make("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
        rotation=types.make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
    )
    return types.make(
        "geometry_msgs/msg/TransformStamped",
        header=header_at(types, stamp_ns, FRAME_ID),
        child_frame_id=optical_frame(camera.name),
        transform=moved,
    )
