"""When the next tick is: each frame of a file in turn, or the newest of a live camera at a fixed period."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from airside.cameras.camera import Camera
from airside.cameras.live import LiveCamera
from airside.messages import Frame


def frames_for_ticks(camera: Camera, tick_ms: int, stop: Callable[[], bool]) -> Iterator[Frame | None]:
    """One item a tick, until the source ends or ``stop()``; ``None`` where a live camera gave no frame in time."""
    if isinstance(camera, LiveCamera):
        yield from _newest(camera, tick_ms / 1e3, stop)
        return
    for frame in camera.frames():
        yield frame
        if stop():
            return


def _newest(camera: LiveCamera, period_s: float, stop: Callable[[], bool]) -> Iterator[Frame | None]:
    """A tick begins a period after the last one began and waits a further period at most, so that a camera as fast as
    the ticks never misses one by jitter."""
    last = -1
    begins = time.monotonic()
    while not stop():
        pause_s = begins - time.monotonic()
        if pause_s > 0:
            time.sleep(pause_s)
        frame = camera.next_frame(last, period_s)
        if stop():
            return
        # Without a frame the whole period has passed: the next tick begins now. After a late one the pace starts anew.
        begins = time.monotonic() + (period_s if frame is not None else 0.0)
        if frame is not None:
            last = frame.index
        yield frame
