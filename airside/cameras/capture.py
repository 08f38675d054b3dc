"""OpenCV's VideoCapture behind one door: quiet, with timeouts, and never decoding an oversized stream."""

from __future__ import annotations

import math
import os
from typing import Protocol

import cv2
import numpy as np

from airside.cameras.decode import MAX_PIXELS, MIN_SIDE_PX
from airside.errors import InputError

# Both libraries write to stderr by themselves, around any error airside raises. Whoever debugs a camera sets
# OPENCV_LOG_LEVEL or OPENCV_FFMPEG_LOGLEVEL and hears them again. Read by FFmpeg's glue at its first use.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that airside uses."""

    def isOpened(self) -> bool: ...  # OpenCV's name

    def get(self, propId: int, /) -> float: ...

    def grab(self) -> bool: ...

    def retrieve(self) -> tuple[bool, np.ndarray]: ...

    def release(self) -> None: ...


def open_file(path: str) -> Capture:
    """A video file. The caller asks ``isOpened``."""
    return cv2.VideoCapture(path, cv2.CAP_FFMPEG)  # a named backend: a path with % is no image glob


def open_device(path: str) -> Capture:
    """A Video4Linux device."""
    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the driver's queue would hand out old pictures
    return capture


def open_stream(url: str, timeout_s: float) -> Capture:
    """A network stream; opening and each read give up after ``timeout_s``."""
    timeout_ms = int(timeout_s * 1000)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)


def no_stamp(capture: Capture) -> int | None:
    """For sources that do not say when a picture was taken; what OpenCV tells of a stream is its own running time."""
    return None


def device_stamp_ns(capture: Capture) -> int | None:
    """When the driver took the grabbed picture, by the monotonic clock (Video4Linux' buffer stamp).

    ``None`` before the first one. A driver with another clock gives times that no one may believe unseen.
    """
    stamp_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
    return round(stamp_ms * 1e6) if math.isfinite(stamp_ms) and stamp_ms > 0 else None


def check_frame_size(capture: Capture, source: str, max_pixels: int = MAX_PIXELS) -> None:
    """Raise :class:`InputError` when the stream's header announces pictures too large or too small to use."""
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > max_pixels:
        raise InputError(
            f"video {source}: frames of {width} x {height} = {width * height:,} pixels are more than the "
            f"{max_pixels:,} allowed; scale it down first (nothing was decoded)"
        )
    if min(width, height) < MIN_SIDE_PX:
        raise InputError(
            f"video {source}: frames of {width} x {height} px are too small; at least {MIN_SIDE_PX} px on each side"
        )


def read_rgb(capture: Capture) -> np.ndarray | None:
    """The grabbed frame as [H, W, 3] uint8 RGB, or ``None`` when it cannot be decoded."""
    try:
        ok, picture = capture.retrieve()
        if not ok or picture is None or picture.size == 0 or picture.dtype != np.uint8:
            return None
        grey = picture.ndim == 2 or picture.shape[2] == 1
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB if grey else cv2.COLOR_BGR2RGB))
    except cv2.error:  # two channels, five: no picture that OpenCV knows
        return None
