"""When the next tick is: each frame of a file in turn, or the newest of a live camera at a fixed period."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from airside.cameras.camera import Camera
from airside.cameras.live import LiveCamera
from airside.messages import FrameBundle


def bundles_for_ticks(camera: Camera, tick_ms: int, stop: Callable[[], bool]) -> Iterator[FrameBundle]:
    """One bundle a tick, until the source ends or ``stop()``; empty where a live camera has given no frame yet."""
    if isinstance(camera, LiveCamera):
        camera.next_frame(-1, tick_ms / 1e3)  # the first tick would only say that there is none
        for now_ns in tick_times(tick_ms / 1e3, stop):
            frame = camera.latest()
            yield FrameBundle(now_ns, () if frame is None else (frame,))
        return
    for frame in camera.frames():
        yield FrameBundle(frame.capture_ns, (frame,))
        if stop():
            return


def tick_times(period_s: float, stop: Callable[[], bool]) -> Iterator[int]:
    """The monotonic clock's nanoseconds at each tick of a fixed grid; one that could not be kept is left out."""
    period_ns = round(period_s * 1e9)
    due_ns = time.monotonic_ns()
    while not stop():
        pause_s = (due_ns - time.monotonic_ns()) / 1e9
        if pause_s > 0:
            time.sleep(pause_s)
        if stop():
            return
        now_ns = time.monotonic_ns()
        yield now_ns
        due_ns += period_ns
        behind_ns = time.monotonic_ns() - due_ns
        if behind_ns > 0:
            due_ns += -(-behind_ns // period_ns) * period_ns
