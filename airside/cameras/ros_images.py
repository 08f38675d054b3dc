"""Pictures and calibrations out of ROS 2 messages (CDR)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

from airside.cameras.decode import MAX_PIXELS, MIN_SIDE_PX, decode_image
from airside.cameras.unpack import recording_library, unpacked_message
from airside.errors import InputError

COMPRESSED, RAW, INFO = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
TEXT = "std_msgs/msg/String"
_COMPRESSED_FORMATS = ("JPEG", "PNG")


class UnknownEncodingError(InputError):
    """Pixels laid out in a way airside does not know."""


@dataclass(frozen=True, slots=True)
class RosPicture:
    image: np.ndarray  # [H, W, 3] uint8 RGB
    stamp_ns: int | None  # the header's, when the picture was taken; ``None`` where it is 0


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """The parts of a ``sensor_msgs/CameraInfo`` that tell of the lens."""

    frame_id: str
    width: int
    height: int
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]  # 9, row by row


def picture_from(msgtype: str, data: bytes, name: str) -> RosPicture:
    """The picture in a ``CompressedImage`` (JPEG, PNG) or ``Image``; sizes are checked before pixels are decoded.

    ``name`` is how messages call it. Raises :class:`InputError` for anything that is no picture.
    """
    message = _message(msgtype, data, name)
    stamp = message.header.stamp
    stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
    if msgtype == COMPRESSED:
        image = decode_image(bytes(message.data), name, formats=_COMPRESSED_FORMATS)
    else:
        image = _from_raw(message, name)
    return RosPicture(image, stamp_ns or None)


def camera_info_from(data: bytes, name: str) -> CameraInfo:
    """The calibration in a ``CameraInfo``; :class:`InputError` where it is none."""
    message = _message(INFO, data, name)
    d, k = (tuple(float(value) for value in numbers) for numbers in (message.d, message.k))
    return CameraInfo(message.header.frame_id, message.width, message.height, message.distortion_model, d, k)


def text_from(data: bytes, name: str) -> str:
    """The text in a ``std_msgs/String``; :class:`InputError` where it is none."""
    return str(_message(TEXT, data, name).data)


def _message(msgtype: str, data: bytes, name: str) -> Any:
    try:
        return _typestore().deserialize_cdr(unpacked_message(data), msgtype)
    except (recording_library("rosbags.serde").SerdeError, InputError) as error:
        raise InputError(f"image {name}: a damaged message ({error})") from None


@cache
def _typestore() -> Any:
    typesys = recording_library("rosbags.typesys")
    return typesys.get_typestore(typesys.Stores.ROS2_JAZZY)


def _from_raw(message: Any, name: str) -> np.ndarray:
    """[H, W, 3] uint8 RGB of a ``sensor_msgs/Image``."""
    if message.encoding not in _ENCODINGS:
        raise UnknownEncodingError(
            f"image {name}: encoding {message.encoding!r} is not known; record it compressed, or with one of: "
            f"{', '.join(_ENCODINGS)}"
        )
    channels, to_rgb = _ENCODINGS[message.encoding]
    height, width, step, data = message.height, message.width, message.step, message.data
    if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE_PX:
        raise InputError(f"image {name}: {width} x {height} px is too large or too small to use")
    if step < width * channels or len(data) < step * height:
        raise InputError(
            f"image {name}: {len(data):,} bytes in rows of {step} are not {width} x {height} px of {message.encoding}"
        )
    rows = np.asarray(data[: step * height]).reshape(height, step)[:, : width * channels]
    try:
        return np.asarray(to_rgb(np.ascontiguousarray(rows).reshape(height, width, channels)))
    except cv2.error:
        raise InputError(f"image {name}: {width} x {height} px cannot be {message.encoding}") from None


def _converted(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda pixels: np.asarray(cv2.cvtColor(pixels, code))


def _alike(*names: str, channels: int, to_rgb: Callable[[np.ndarray], np.ndarray]) -> dict[str, tuple[int, Any]]:
    return dict.fromkeys(names, (channels, to_rgb))


# Encoding -> bytes a pixel, and [H, W, bytes] uint8 to [H, W, 3] uint8 RGB.
_ENCODINGS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    **_alike("rgb8", channels=3, to_rgb=lambda pixels: pixels),
    **_alike("bgr8", "8UC3", channels=3, to_rgb=_converted(cv2.COLOR_BGR2RGB)),
    **_alike("rgba8", channels=4, to_rgb=_converted(cv2.COLOR_RGBA2RGB)),
    **_alike("bgra8", "8UC4", channels=4, to_rgb=_converted(cv2.COLOR_BGRA2RGB)),
    **_alike("mono8", "8UC1", channels=1, to_rgb=_converted(cv2.COLOR_GRAY2RGB)),
    **_alike("bayer_rggb8", channels=1, to_rgb=_converted(cv2.COLOR_BayerRGGB2RGB)),
    **_alike("bayer_bggr8", channels=1, to_rgb=_converted(cv2.COLOR_BayerBGGR2RGB)),
    **_alike("bayer_gbrg8", channels=1, to_rgb=_converted(cv2.COLOR_BayerGBRG2RGB)),
    **_alike("bayer_grbg8", channels=1, to_rgb=_converted(cv2.COLOR_BayerGRBG2RGB)),
    **_alike("yuv422", "uyvy", channels=2, to_rgb=_converted(cv2.COLOR_YUV2RGB_UYVY)),
    **_alike("yuv422_yuy2", "yuyv", channels=2, to_rgb=_converted(cv2.COLOR_YUV2RGB_YUYV)),
}
