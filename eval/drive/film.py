"""Drives as a film for people: the runtime's own picture of a rig, with the truth outlined over the top view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from airside.config import RigConfig, SiteConfig
from airside.drawing import INK, TEXT, fill_round, put_text, text_width
from airside.messages import Occupancy
from airside.overlay_bev_frame import SHIFT, fixed_point
from airside.overlay_rig import HEIGHT, WIDTH, draw_rig_overlay, layout_of
from airside.pipeline import Tick
from airside.progress import Progress
from airside.video_writer import VideoWriter
from eval.drive.running import Runner, watch_drive
from eval.drive.stored import StoredDrive, rig_of
from eval.drive.truth import TrueObject, truths_of
from training.apron_drives import TICK_S

_UNKNOWN, _KNOWN = (255, 255, 255), (120, 140, 150)


def film(drives: Sequence[StoredDrive], runner: Runner, path: Path, codec: str = "vp9") -> None:
    """Write the drives one after another, in real time. Raises as :class:`VideoWriter` does."""
    total = sum(drive.ticks for drive in drives)
    with (
        VideoWriter(path, fps=1 / TICK_S, size=(WIDTH, HEIGHT), codec=codec) as writer,
        Progress("pictures of the film", total) as progress,
    ):
        for drive in drives:
            filmed = _Filmed(drive, runner.site, writer, progress)
            watch_drive(drive, runner, filmed.add)


class _Filmed:
    def __init__(self, drive: StoredDrive, site: SiteConfig, writer: VideoWriter, progress: Progress) -> None:
        self._rig, self._site, self._truths = rig_of(drive.plan), site, truths_of(drive, site)
        self._name, self._writer, self._progress = drive.plan.name, writer, progress
        self._occupancy: Occupancy | None = None

    def add(self, number: int, tick: Tick, pictures: dict[str, np.ndarray]) -> None:
        self._occupancy = tick.occupancy or self._occupancy
        self._writer.write(
            picture(self._name, number, tick, pictures, self._occupancy, self._truths[number], self._site, self._rig)
        )
        self._progress.step()


def picture(
    name: str,
    number: int,
    tick: Tick,
    pictures: dict[str, np.ndarray],
    occupancy: Occupancy | None,
    truths: Sequence[TrueObject],
    site: SiteConfig,
    rig: RigConfig,
) -> np.ndarray:
    """[1080, 1920, 3] uint8 RGB: one tick of a drive."""
    canvas = draw_rig_overlay(pictures, tick.record, occupancy, site, rig)
    layout = layout_of(rig)
    x0, y0, x1, y1 = layout.map_box
    panel = canvas[y0:y1, x0:x1]
    for thing in sorted(truths, key=lambda t: t.unknown):
        corners = fixed_point(layout.window.uv_from_xy(np.array(thing.footprint_xy_m)))
        cv2.polylines(panel, [corners], True, _UNKNOWN if thing.unknown else _KNOWN, 1, cv2.LINE_AA, SHIFT)
    unknown = [thing for thing in truths if thing.unknown]
    words = f"{name}   {number * TICK_S:4.1f} s"
    words += "".join(f"   truth: {t.family.replace('_', ' ')} at {t.range_m:.1f} m" for t in unknown)
    fill_round(panel, (8, 8, 24 + text_width(words, 14), 34), 7, INK, 0.82)
    put_text(panel, words, 16, 21, 14, TEXT)
    return canvas
