"""Run a feed through the pipeline into files: what ``airside run``, ``airside replay`` and ``airside demo`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from airside.commands.feeds import Feed
from airside.commands.live_duty import NO_DUTY, Duty
from airside.commands.run_files import RunFiles, make_out
from airside.commands.run_summary import RunSummary
from airside.commands.tick_pictures import Picture
from airside.errors import InputError, StorageError
from airside.messages import FrameBundle, TickRecord
from airside.pipeline import Pipeline, Tick
from airside.progress import Progress

_ADVICE = "with a rig its file must be that of these cameras (--rig); else give other pictures"


def watch(
    feed: Feed,
    pipeline: Pipeline,
    out: Path,
    *,
    picture: Picture | None,
    max_ticks: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_record: Callable[[TickRecord], None] = lambda record: None,
    duty: Duty = NO_DUTY,
) -> RunSummary:
    """Tick until the feed ends, ``max_ticks`` or ``stop()``; every file in ``out`` is finished on return.

    ``picture`` draws the film and the stills, ``None`` leaves them out. ``duty`` is what a live vehicle asks besides.
    Raises :class:`InputError` when the source has no frame, or none that can be used.
    """
    make_out(out)
    summary = RunSummary()
    summary.without = pipeline.without
    bundles = _timed(feed, summary, stop)
    bundle = next(bundles, None)
    if bundle is None and not stop():
        raise InputError("the source has no frame: give another one")
    expected = feed.expected_ticks
    total = max_ticks if expected is None else min(expected, max_ticks or expected)
    used, reasons, kept = False, "", True
    with (
        # NumPy's own threads wait busily for the next small product, on the cores that the network wants.
        threadpool_limits(1, user_api="blas"),
        RunFiles(out, fps=feed.film_fps) as files,
        duty.publishing(files.alerts) as publish,
        Progress("ticks", total) as progress,
    ):
        while bundle is not None:
            with duty.tick(pipeline) as workload:
                tick = pipeline.tick(bundle, workload, live=feed.live)
                with summary.stage("publish"):
                    publish(tick)
                if picture is not None:  # within the tick: drawing takes its time too
                    with summary.stage("overlay"):
                        drawn = picture(tick)
                    duty.drawn(tick, drawn)
                    if kept:
                        kept = _keep(drawn, tick, files, summary, duty)
            summary.add(tick)
            used, reasons = used or bool(tick.views), ", ".join(tick.record.health.reasons)
            on_record(tick.record)
            progress.step()
            bundle = next(bundles, None) if max_ticks is None or summary.ticks < max_ticks else None
        with summary.stage("closing"):
            files.close()
        summary.finish(feed.faults())
        if not used and not feed.live:  # a camera's silence has been said already
            raise InputError(f"no picture of the source could be used ({reasons}): {_ADVICE}")
        files.write_summary(summary.as_json())
    return summary


def _keep(drawn: np.ndarray, tick: Tick, files: RunFiles, summary: RunSummary, duty: Duty) -> bool:
    """Whether the disk has taken the picture for film and stills; once it has not, there is no film."""
    try:
        with summary.stage("video"):
            files.film(drawn)
        with summary.stage("stills"):
            files.still(drawn, tick.record)
    except StorageError as error:
        duty.not_kept(error)
        summary.filmed = False
        return False
    summary.filmed = True
    return True


def _timed(feed: Feed, summary: RunSummary, stop: Callable[[], bool]) -> Iterator[FrameBundle]:
    """Each bundle, the time to get it booked."""
    bundles = feed.bundles(stop)
    while True:
        with summary.stage("waiting" if feed.live else "decode"):
            bundle = next(bundles, None)
        if bundle is None:
            return
        yield bundle
