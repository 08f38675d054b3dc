"""What a run is fed with, tick by tick: a file's frames in turn, a rig's recording on its own clock, or the newest
frames of live cameras at a fixed period."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from airside.cameras.camera import Camera
from airside.cameras.live import LiveCamera
from airside.cameras.live_rig import LiveRig
from airside.cameras.recording import RigRecording
from airside.cameras.video import VideoCamera
from airside.messages import FrameBundle

FPS_OF_STILLS = 5.0
Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Feed:
    """``bundles`` ends with the source, or with the tick in hand once its argument says stop. ``live``: its clock is
    this machine's monotonic clock. ``faults`` counts what went wrong with the cameras so far."""

    bundles: Callable[[Stop], Iterator[FrameBundle]]
    live: bool
    expected_ticks: int | None
    film_fps: float
    faults: Callable[[], Counter[str]]
    last_fault: Callable[[], str | None]


def camera_feed(camera: Camera, tick_ms: int) -> Feed:
    """One camera. Every frame of a file is a tick; of a live camera the newest is, at each tick."""

    def of_file(stop: Stop) -> Iterator[FrameBundle]:
        return _until(stop, (FrameBundle(frame.capture_ns, (frame,)) for frame in camera.frames()))

    def of_live(stop: Stop) -> Iterator[FrameBundle]:
        assert isinstance(camera, LiveCamera)
        camera.next_frame(-1, tick_ms / 1e3)  # the first tick would only say that there is none
        for now_ns in tick_times(tick_ms / 1e3, stop):
            frame = camera.latest()
            yield FrameBundle(now_ns, () if frame is None else (frame,))

    live = isinstance(camera, LiveCamera)
    fps = min(max(camera.fps, 1.0), 240.0) if isinstance(camera, VideoCamera) else FPS_OF_STILLS
    return Feed(
        of_live if live else of_file,
        live,
        camera.expected_frames,
        1000 / tick_ms if live else fps,
        lambda: camera.faults,
        lambda: camera.last_fault,
    )


def recording_feed(recording: RigRecording, tick_ms: int) -> Feed:
    """What was recorded of a rig."""
    return Feed(
        lambda stop: _until(stop, recording.bundles(tick_ms)),
        False,
        recording.expected_ticks(tick_ms),
        1000 / tick_ms,
        lambda: _together(recording.faults),
        lambda: next(iter(recording.last_faults.values()), None),
    )


def live_feed(rig: LiveRig, tick_ms: int) -> Feed:
    """The cameras of a vehicle."""
    return Feed(
        lambda stop: (rig.newest(now_ns) for now_ns in tick_times(tick_ms / 1e3, stop)),
        True,
        None,
        1000 / tick_ms,
        lambda: _together(rig.faults),
        lambda: next(iter(rig.last_faults.values()), None),
    )


def tick_times(period_s: float, stop: Stop) -> Iterator[int]:
    """The monotonic clock's nanoseconds at each tick of a fixed grid; one that could not be kept is left out."""
    period_ns = round(period_s * 1e9)
    due_ns = time.monotonic_ns()
    while not stop():
        pause_s = (due_ns - time.monotonic_ns()) / 1e9
        if pause_s > 0:
            time.sleep(pause_s)
        if stop():
            return
        yield time.monotonic_ns()
        due_ns += period_ns
        behind_ns = time.monotonic_ns() - due_ns
        if behind_ns > 0:
            due_ns += -(-behind_ns // period_ns) * period_ns


def _until(stop: Stop, bundles: Iterable[FrameBundle]) -> Iterator[FrameBundle]:
    for bundle in bundles:
        yield bundle
        if stop():
            return


def _together(faults: Mapping[str, Counter[str]]) -> Counter[str]:
    return sum(faults.values(), Counter())
