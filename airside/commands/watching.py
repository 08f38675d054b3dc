"""Run a camera through the pipeline into files: what ``airside run`` and ``airside demo`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from airside.cameras.camera import Camera
from airside.cameras.fit import fit_to_network
from airside.cameras.live import LiveCamera
from airside.cameras.video import VideoCamera
from airside.commands.pacing import bundles_for_ticks
from airside.commands.run_files import RunFiles, make_out
from airside.commands.run_summary import RunSummary
from airside.errors import InputError
from airside.messages import Frame, FrameBundle, TickRecord
from airside.overlay import draw_overlay
from airside.overlay_bev import BevPanel
from airside.pipeline import Pipeline, Tick
from airside.progress import Progress

FPS_OF_STILLS = 5.0
_NO_PICTURE = (224, 392, 3)  # shown where a camera has not given one yet
_ADVICE = "with a rig its file must be that of this camera (--rig); else give other pictures"


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
    items = _timed(bundles_for_ticks(camera, tick_ms, stop), summary, isinstance(camera, LiveCamera))
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
        bundle = first
        while bundle is not None:
            record = loop.tick(bundle, files)
            on_record(record)
            progress.step()
            bundle = next(items, None) if max_ticks is None or summary.ticks < max_ticks else None
        with summary.stage("closing"):
            files.close()
        summary.finish(camera.faults)
        loop.require_use()
        files.write_summary(summary.as_json())
    return summary


class _Loop:
    """One tick: look, publish, draw."""

    def __init__(self, camera: Camera, pipeline: Pipeline, summary: RunSummary) -> None:
        self._pipeline, self._summary = pipeline, summary
        self._live = isinstance(camera, LiveCamera)
        self._shown: Frame | None = None  # the newest frame that was looked at
        self._unusable: tuple[str, ...] = ()

    def tick(self, bundle: FrameBundle, files: RunFiles) -> TickRecord:
        stage = self._summary.stage
        tick = self._pipeline.tick(bundle, live=self._live)
        with stage("publish"):
            files.publish(tick.record)
        self._summary.add(tick)
        self._unusable = () if tick.views else tick.record.health.reasons
        with stage("overlay"):
            picture = self._drawn(tick)
        with stage("video"):
            files.film(picture)
        with stage("stills"):
            files.still(picture, tick.record)
        return tick.record

    def require_use(self) -> None:
        """A file none of whose pictures could be used is no source; a camera's silence has been said already."""
        if self._shown is None and not self._live:
            reasons = ", ".join(self._unusable) or "no frame"
            raise InputError(f"no picture of the source could be used ({reasons}): {_ADVICE}")

    def _drawn(self, tick: Tick) -> np.ndarray:
        if not tick.views:
            return self._blind(tick)
        view = tick.views[0]
        self._shown = view.frame
        panel = BevPanel(view.view, tick.bev) if view.view is not None else None
        return draw_overlay(view.frame, view.net, view.pixel_score, tick.record, tick.threshold, panel)

    def _blind(self, tick: Tick) -> np.ndarray:
        """Where no picture was looked at: black, as large as the last one."""
        shape = self._shown.image.shape if self._shown is not None else _NO_PICTURE
        frame = Frame(tick.record.cameras[0].camera, np.zeros(shape, np.uint8), tick.record.now_ns, tick.record.tick)
        net = fit_to_network(frame.image, _NO_PICTURE[0], _NO_PICTURE[1], 14)
        panel = BevPanel(None, None) if self._pipeline.mounted else None
        return draw_overlay(frame, net, np.zeros((16, 28), np.float32), tick.record, tick.threshold, panel)


def _timed(bundles: Iterator[FrameBundle], summary: RunSummary, live: bool) -> Iterator[FrameBundle]:
    """Each bundle, the time to get it booked."""
    while True:
        with summary.stage("waiting" if live else "decode"):
            bundle = next(bundles, None)
        if bundle is None:
            return
        yield bundle


def _film_fps(camera: Camera, tick_ms: int) -> float:
    if isinstance(camera, VideoCamera):
        return min(max(camera.fps, 1.0), 240.0)
    return 1000 / tick_ms if isinstance(camera, LiveCamera) else FPS_OF_STILLS
