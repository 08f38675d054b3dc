"""Cameras played in real time, with every fault that a camera on a vehicle has: switched on and off while they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from airside.cameras.capture import device_stamp_ns
from airside.cameras.live import LiveSource

DELAY_S = 1.0
BURST_S = 0.8  # an intermittent camera gives pictures for so long, then none for so long
_LEAPS_S = (0.0, -5.0, 3600.0, -2.0)  # the clock that jumps: one after the other, a second each


def _present(camera: PacedCamera, index: int) -> np.ndarray | None:
    return camera.picture(index)


def _delayed(camera: PacedCamera, index: int) -> np.ndarray | None:
    return camera.picture(index - round(DELAY_S * camera.fps))


def _frozen(camera: PacedCamera, index: int) -> np.ndarray | None:
    return camera.picture(camera.switched_at_index)


def _black(camera: PacedCamera, index: int) -> np.ndarray | None:
    return np.zeros_like(camera.picture(index))


def _undecodable(camera: PacedCamera, index: int) -> np.ndarray | None:
    garbage = np.random.default_rng(index).integers(0, 256, 5000, np.uint8)
    return cv2.imdecode(garbage, cv2.IMREAD_COLOR)  # None, as with a camera's own broken JPEG


def _noise(camera: PacedCamera, index: int) -> np.ndarray | None:
    return np.random.default_rng(index).integers(0, 256, camera.picture(index).shape, np.uint8)


def _half_size(camera: PacedCamera, index: int) -> np.ndarray | None:
    return np.ascontiguousarray(camera.picture(index)[::2, ::2])


def _never(since_start_s: float) -> bool:
    return False


def _every_other_burst(since_start_s: float) -> bool:
    return int(since_start_s / BURST_S) % 2 == 1


def _true_clock(since_switch_s: float) -> float:
    return 0.0


def _late_clock(since_switch_s: float) -> float:
    return -DELAY_S


def _leaping_clock(since_switch_s: float) -> float:
    return _LEAPS_S[int(1 + since_switch_s) % len(_LEAPS_S)]


@dataclass(frozen=True, slots=True)
class Fault:
    """How a camera behaves: what it shows (BGR, ``None``: cannot be decoded), how fast, and what its stamps say."""

    shows: Callable[[PacedCamera, int], np.ndarray | None] = _present
    reads: bool = True
    fps: float | None = None  # instead of the camera's own
    drops: Callable[[float], bool] = _never  # of the seconds since the start
    stamp_error_s: Callable[[float], float] = _true_clock  # of the seconds since the fault began


FAULTS: dict[str, Fault] = {
    "none": Fault(),
    "off": Fault(reads=False),
    "frozen": Fault(shows=_frozen),
    "black": Fault(shows=_black),
    "garbage": Fault(shows=_undecodable),
    "noise": Fault(shows=_noise),
    "wrong_size": Fault(shows=_half_size),
    "slow": Fault(fps=1.0),
    "delayed": Fault(shows=_delayed, stamp_error_s=_late_clock),
    "intermittent": Fault(drops=_every_other_burst),
    "clock_jump": Fault(stamp_error_s=_leaping_clock),
}


class PacedCamera:
    """A camera that takes ``pictures`` in turn, ``fps`` a second of the real clock, each stamped with its own time.

    ``pictures`` are [H, W, 3] uint8 RGB, or JPEG or PNG bytes that are decoded at every read as a camera's would be.
    Give at least two that differ: one alone looks frozen. :attr:`fault` may be set at any time, from any thread, to a
    name in :data:`FAULTS`; the next picture has it.
    """

    def __init__(self, pictures: Sequence[np.ndarray | bytes], fps: float, *, label: str = "paced") -> None:
        self.fps = fps
        self.label = label
        self.start_ns = time.monotonic_ns()
        self.switched_at_index = 0
        self.switched_ns = self.start_ns
        self._fault = "none"
        self._pictures = [
            np.frombuffer(picture, np.uint8) if isinstance(picture, bytes) else np.ascontiguousarray(picture[..., ::-1])
            for picture in pictures
        ]

    @property
    def fault(self) -> str:
        return self._fault

    @fault.setter
    def fault(self, name: str) -> None:
        if name not in FAULTS:
            raise ValueError(f"no fault {name!r}; there are: {', '.join(FAULTS)}")
        self.switched_ns = time.monotonic_ns()
        self.switched_at_index = int((self.switched_ns - self.start_ns) / 1e9 * self.fps)
        self._fault = name

    @property
    def source(self) -> LiveSource:
        """For :class:`LiveRig` and :class:`LiveCamera`: every opening gives a new capture of this camera."""
        return LiveSource(lambda: PacedCapture(self), self.label, device_stamp_ns)

    def picture(self, index: int) -> np.ndarray:
        """[H, W, 3] uint8 BGR."""
        picture = self._pictures[index % len(self._pictures)]
        return cv2.imdecode(picture, cv2.IMREAD_COLOR) if picture.ndim == 1 else picture


class PacedCapture:
    """A running capture of a :class:`PacedCamera`, as OpenCV's would be."""

    def __init__(self, camera: PacedCamera) -> None:
        self._camera = camera
        self._index = 0
        self._stamp_ns = 0

    def isOpened(self) -> bool:
        return FAULTS[self._camera.fault].reads

    def get(self, propId: int, /) -> float:
        if propId == cv2.CAP_PROP_POS_MSEC:
            return self._stamp_ns / 1e6
        height, width = self._camera.picture(0).shape[:2]
        return {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}.get(propId, 0.0)

    def grab(self) -> bool:
        """Waits until the next picture is due. A reader that was slow finds the newest, not those it missed."""
        camera = self._camera
        while True:
            fault = FAULTS[camera.fault]
            if not fault.reads:
                return False
            fps = fault.fps or camera.fps
            due = (int((time.monotonic_ns() - camera.start_ns) / 1e9 * fps) + 1) / fps  # seconds since the start
            time.sleep(max(0.0, due - (time.monotonic_ns() - camera.start_ns) / 1e9))
            if not fault.drops(due):
                break
        due_ns = camera.start_ns + round(due * 1e9)
        self._index = round(due * camera.fps)
        error_s = fault.stamp_error_s(max(0, due_ns - camera.switched_ns) / 1e9)
        self._stamp_ns = due_ns + round(error_s * 1e9)
        return FAULTS[camera.fault].reads

    def retrieve(self) -> tuple[bool, np.ndarray]:
        picture = FAULTS[self._camera.fault].shows(self._camera, self._index)
        return (False, np.empty((0, 0, 3), np.uint8)) if picture is None else (True, picture)

    def release(self) -> None:
        """Nothing is held."""
