"""A live camera, played by an invented device: newest frame wins, losses are counted, silence is heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from airside.cameras.live import LiveCamera, LiveSource
from airside.errors import InputError, UnavailableError


class Device:
    """Hands out one frame per permit; ``None`` in ``script`` is a failed read."""

    def __init__(self, script: list[int | None], *, opens: bool = True, size: int = 20, raises: bool = False) -> None:
        self.script = iter(script)
        self.opens, self.size, self.raises = opens, size, raises
        self.permits = threading.Semaphore(0)
        self.released = threading.Event()
        self.reading = False

    def isOpened(self) -> bool:
        return self.opens

    def get(self, prop: int, /) -> float:
        return self.size if prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT) else 0.0

    def grab(self) -> bool:
        self.reading = True
        while not self.permits.acquire(timeout=0.05):
            if self.released.is_set():
                raise AssertionError("released under a running read")
            if self.raises:
                break
        self.value = next(self.script, None)
        self.reading = False
        if self.value is None and self.raises:
            raise cv2.error("broken")
        return self.value is not None

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.full((20, 20, 3), self.value, np.uint8)

    def release(self) -> None:
        assert not self.reading
        self.released.set()


def camera_of(*devices: Device, timeout_s: float = 2.0) -> LiveCamera:
    queue: Iterator[Device] = iter(devices)
    spare = Device([], opens=False)
    source = LiveSource(lambda: next(queue, spare), "invented")
    return LiveCamera(source, name="front", timeout_s=timeout_s, reconnect_s=0.01)


def wait_until(condition) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "did not happen within 5 s"
        time.sleep(0.002)


def stop(camera: LiveCamera, *devices: Device) -> None:
    """Let a waiting read come back so that the reader can end."""
    ending = threading.Thread(target=camera.close)
    ending.start()
    for device in devices:
        device.permits.release()
    ending.join(5)
    assert not ending.is_alive()


def test_newest_frame_wins_and_the_rest_is_counted() -> None:
    device = Device([1, 2, 3, 4, 5, 6])
    camera = camera_of(device)
    assert camera.latest() is None
    frames = camera.frames()
    device.permits.release()
    before = time.monotonic_ns()
    first = next(frames)
    assert first.image[0, 0, 0] == 1
    assert abs(first.capture_ns - before) < 2_000_000_000
    device.permits.release(3)
    wait_until(lambda: camera.faults["skipped"] == 2)
    newest = next(frames)
    assert (int(newest.image[0, 0, 0]), newest.index) == (4, 3)
    assert newest.capture_ns > first.capture_ns
    latest = camera.latest()
    assert latest is not None
    assert latest.index == 3
    stop(camera, device)
    assert list(frames) == []
    assert device.released.is_set()


def test_silence_is_heard_and_the_source_may_come_back() -> None:
    device = Device([7, 8])
    camera = camera_of(device, timeout_s=0.1)
    with pytest.raises(UnavailableError, match=r"camera invented: no frame for 0\.1 s"):
        next(camera.frames())
    device.permits.release()
    wait_until(lambda: camera.latest() is not None)
    assert next(camera.frames()).image[0, 0, 0] == 7
    stop(camera, device)


@pytest.mark.parametrize("raises", [False, True])
def test_a_failed_read_opens_again(raises: bool) -> None:
    broken, mended = Device([1, None], raises=raises), Device([9])
    mended.permits.release()
    broken.permits.release(2)
    camera = camera_of(broken, mended)
    wait_until(lambda: (f := camera.latest()) is not None and f.image[0, 0, 0] == 9)
    assert camera.faults["read_failed"] == 1
    assert broken.released.is_set()
    stop(camera, mended)


def test_a_lost_source_is_named_in_the_error() -> None:
    broken = Device([None])
    broken.permits.release()
    camera = camera_of(broken, timeout_s=0.2)
    with pytest.raises(UnavailableError, match=r"no frame for 0\.2 s.*cannot be opened"):
        next(camera.frames())
    assert camera.faults["read_failed"] >= 2
    camera.close()
    camera.close()


def test_refuses_what_does_not_open_or_is_too_large() -> None:
    closed, large = Device([], opens=False), Device([], size=30_000)
    with pytest.raises(UnavailableError, match="cannot be opened"):
        camera_of(closed)
    with pytest.raises(InputError, match="900,000,000 pixels"):
        camera_of(large)
    assert closed.released.is_set()
    assert large.released.is_set()


def test_context_manager_closes() -> None:
    device = Device([1])
    device.permits.release(5)
    with camera_of(device) as camera:
        next(camera.frames())
    assert list(camera.frames()) == []


def test_pictures_that_follow_too_soon_are_not_decoded() -> None:
    device = Device([1, 2, 3, 4, 5])
    device.permits.release(5)
    camera = LiveCamera(LiveSource(lambda: device, "invented"), name="front", decode_gap_s=3600.0)
    wait_until(lambda: camera.faults["skipped"] == 4)
    frame = camera.latest()
    assert frame is not None
    assert (int(frame.image[0, 0, 0]), frame.index) == (1, 0)
    stop(camera, device)


@pytest.mark.parametrize("channels", [2, 5])
def test_a_picture_with_no_known_channels_is_dropped_and_the_next_one_comes(channels: int) -> None:
    class Odd(Device):
        def retrieve(self) -> tuple[bool, np.ndarray]:
            return True, np.full((20, 20, channels if self.value == 7 else 3), self.value, np.uint8)

    device = Odd([7, 8])
    camera = camera_of(device)
    device.permits.release(2)
    wait_until(lambda: (frame := camera.latest()) is not None and frame.image[0, 0, 0] == 8)
    assert camera.faults["undecodable"] == 1
    stop(camera, device)


def test_a_driver_s_defect_ends_no_camera() -> None:
    class Defect(Device):
        def retrieve(self) -> tuple[bool, np.ndarray]:
            if self.value == 9:
                raise RuntimeError("a defect")
            return super().retrieve()

    class Refusing(Device):
        def isOpened(self) -> bool:
            raise RuntimeError("cannot even say so")

    device, after = Defect([6, 7, 9]), Device([8])
    camera = camera_of(device, Refusing([]), after)
    device.permits.release(3)
    wait_until(lambda: camera.faults["read_failed"] == 2)
    assert "RuntimeError" in str(camera.last_fault)
    assert device.released.is_set()
    last = camera.latest()
    assert last is not None
    after.permits.release()
    newer = camera.next_frame(last.index, 5.0)  # the numbers go on, or nobody would look at it
    assert newer is not None
    assert (newer.index, newer.image[0, 0, 0]) == (last.index + 1, 8)
    stop(camera, after)
