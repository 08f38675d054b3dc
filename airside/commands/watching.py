"""Run a camera through the pipeline into files: what ``airside run`` and ``airside demo`` share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from airside.cameras.camera import Camera
from airside.cameras.fit import fit_to_network
from airside.cameras.live import LiveCamera
from airside.cameras.video import VideoCamera
from airside.commands.pacing import frames_for_ticks
from airside.commands.run_files import RunFiles, make_out
from airside.commands.run_summary import RunSummary
from airside.errors import InputError
from airside.messages import Frame, NetworkInput, TickRecord
from airside.overlay import draw_overlay
from airside.overlay_bev import BevPanel
from airside.pipeline import Pipeline
from airside.progress import Progress

FPS_OF_STILLS = 5.0
_NO_PICTURE = (224, 392, 3)  # shown where a camera has not given one yet


def watch(
    camera: Camera,
    pipeline: Pipeline,
    out: Path,
    *,
    tick_ms: int = 200,
    max_ticks: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_record: Callable[[TickRecord], None] = lambda record: None,
) -> RunSummary:
    """Tick until the source ends, ``max_ticks`` or ``stop()``; every file in ``out`` is finished on return.

    Raises :class:`InputError` when the source has no frame, or none that can be used.
    """
    make_out(out)
    summary = RunSummary()
    summary.without = pipeline.without
    items = _timed(frames_for_ticks(camera, tick_ms, stop), summary, isinstance(camera, LiveCamera))
    first = next(items, None)
    if first is None and not stop():
        raise InputError("the source has no frame: give another one")
    expected = camera.expected_frames
    total = max_ticks if expected is None else min(expected, max_ticks or expected)
    loop = _Loop(camera, pipeline, summary)
    with (
        # NumPy's own threads wait busily for the next small product, on the cores that the network wants.
        threadpool_limits(1, user_api="blas"),
        RunFiles(out, fps=_film_fps(camera, tick_ms)) as files,
        Progress("ticks", total) as progress,
    ):
        item = first
        while item is not None:
            record = loop.tick(item[0], files)
            summary.add(record)
            on_record(record)
            progress.step()
            item = next(items, None) if max_ticks is None or summary.ticks < max_ticks else None
        with summary.stage("closing"):
            files.close()
        summary.finish(camera.faults)
        loop.require_use()
        files.write_summary(summary.as_json())
    return summary


@dataclass(frozen=True, slots=True)
class _View:
    """A record and what to draw behind it."""

    record: TickRecord
    frame: Frame
    net: NetworkInput
    score: np.ndarray  # [h, w] float32 in [0, 1], high = unknown
    threshold: float
    panel: BevPanel | None


class _Loop:
    """One tick: look, publish, draw."""

    def __init__(self, camera: Camera, pipeline: Pipeline, summary: RunSummary) -> None:
        self._camera, self._pipeline, self._summary = camera, pipeline, summary
        self._live = isinstance(camera, LiveCamera)
        self._shape: tuple[int, ...] = _NO_PICTURE
        self._used = 0
        self._refusal: InputError | None = None

    def tick(self, frame: Frame | None, files: RunFiles) -> TickRecord:
        stage = self._summary.stage
        view = self._look(frame) if frame is not None else self._blind(time.monotonic_ns(), "no_frame")
        with stage("publish"):
            files.publish(view.record)
        with stage("overlay"):
            # A map that is not finite reads as unknown; the drawing wants its threshold inside (0, 1).
            score = np.nan_to_num(view.score, nan=1.0, posinf=1.0, neginf=1.0)
            threshold = float(np.clip(view.threshold, 1e-3, 1 - 1e-3))
            picture = draw_overlay(view.frame, view.net, score, view.record, threshold, view.panel)
        with stage("video"):
            files.film(picture)
        with stage("stills"):
            files.still(picture, view.record)
        return view.record

    def require_use(self) -> None:
        """A file none of whose pictures could be used is no source; a camera's silence has been said already."""
        if self._used == 0 and self._refusal is not None and not self._live:
            raise self._refusal

    def _look(self, frame: Frame) -> _View:
        try:
            tick = self._pipeline.tick(frame, live=self._live)
        except InputError as refusal:  # this picture is of no use; the next one may be
            self._refusal = refusal
            self._summary.faults["unusable"] += 1
            return self._blind(time.monotonic_ns() if self._live else frame.capture_ns, "frame_unusable")
        self._shape, self._used = frame.image.shape, self._used + 1
        panel = BevPanel(tick.view, tick.bev) if tick.view is not None else None
        return _View(tick.record, frame, tick.net, tick.pixel_score, tick.threshold, panel)

    def _blind(self, now_ns: int, reason: str) -> _View:
        record = self._pipeline.blind_record(self._camera.name, now_ns, reason)
        frame = Frame(self._camera.name, np.zeros(self._shape, np.uint8), now_ns, record.tick)
        net = fit_to_network(frame.image, _NO_PICTURE[0], _NO_PICTURE[1], 14)
        panel = BevPanel(None, None) if self._pipeline.mounted else None
        return _View(record, frame, net, np.zeros((16, 28), np.float32), 0.5, panel)


def _timed(items: Iterator[Frame | None], summary: RunSummary, live: bool) -> Iterator[tuple[Frame | None]]:
    """Each item in a tuple of its own (``None`` is an item too), the time to get it booked."""
    while True:
        with summary.stage("waiting" if live else "decode"):
            try:
                item = next(items)
            except StopIteration:
                return
        yield (item,)


def _film_fps(camera: Camera, tick_ms: int) -> float:
    if isinstance(camera, VideoCamera):
        return min(max(camera.fps, 1.0), 240.0)
    return 1000 / tick_ms if isinstance(camera, LiveCamera) else FPS_OF_STILLS
