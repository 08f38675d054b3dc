"""The files of a run: ``alerts.jsonl``, ``overlay.mp4``, ``stills/*.png`` and ``summary.json``."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from airside.alerts.jsonl import JsonLinesWriter
from airside.bank.durable import storage_error_from_os_error, write_durably
from airside.drawing import INK
from airside.errors import StorageError, UsageError
from airside.messages import Kind, Level, TickRecord
from airside.video_writer import VideoWriter

MAX_STILLS = 12
QUIET_TICKS = 5  # a level that was reached within so many ticks is no news


def make_out(out: Path) -> None:
    """Make the folder ``out``. Raises :class:`UsageError` where a file is in its place, :class:`StorageError` where
    the disk refuses."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: give a folder")
    try:
        (out / "stills").mkdir(parents=True, exist_ok=True)
    except NotADirectoryError:
        raise UsageError(f"--out {out}: a part of the path is a file: give a folder") from None
    except FileExistsError:
        raise UsageError(f"--out {out}: {out / 'stills'} is a file: give another folder") from None
    except OSError as error:
        raise storage_error_from_os_error("making the folder", out, error) from None


class RunFiles:
    """Made when the first frame is there, so that a source of no use leaves an earlier run's files alone."""

    def __init__(self, out: Path, *, fps: float) -> None:
        self._out, self._fps = out, fps
        self._film: VideoWriter | None = None
        self._size = (0, 0)
        self._recent: deque[Level] = deque(maxlen=QUIET_TICKS)
        self.stills: list[Path] = []
        try:
            for stale in (out / "summary.json", out / "overlay.mp4", *out.glob("stills/tick-*.png")):
                stale.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error_from_os_error("replacing the earlier run in", out, error) from None
        self.alerts = JsonLinesWriter(out / "alerts.jsonl")

    def film(self, picture: np.ndarray) -> None:
        """Append an overlay [H, W, 3] uint8 RGB; the first one sets the size, others are fitted into it."""
        if self._film is None:
            self._size = (picture.shape[1], picture.shape[0])
            self._film = VideoWriter(self._out / "overlay.mp4", fps=self._fps, size=self._size)
        self._film.write(_fitted(picture, self._size))

    def still(self, picture: np.ndarray, record: TickRecord) -> None:
        """Keep the first tick, and each in which something unknown reaches a level not seen just before."""
        unknown = max((s.level for s in record.sightings if s.region.kind is Kind.UNKNOWN), default=Level.NONE)
        news = unknown > max(self._recent, default=Level.NONE)
        self._recent.append(unknown)
        if len(self.stills) >= MAX_STILLS or not (news or not self.stills):
            return
        path = self._out / "stills" / f"tick-{record.tick:06d}-{record.level.name.lower()}.png"
        ok, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if not ok:
            raise StorageError(f"still {path}: cannot be encoded; run airside doctor")
        write_durably(path, data.tobytes())
        self.stills.append(path)

    def close(self) -> None:
        """Finish alerts and film."""
        try:
            if self._film is not None:
                self._film.close()
        finally:
            self.alerts.close()

    def write_summary(self, summary: dict[str, Any]) -> None:
        write_durably(self._out / "summary.json", (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(StorageError, UsageError):  # the error that brought us here is the one to show
            self.close()


def _fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``picture`` inside ``size`` (width, height), its shape kept, between dark bars."""
    width, height = size
    if picture.shape[:2] == (height, width):
        return picture
    zoom = min(width / picture.shape[1], height / picture.shape[0])
    inner = (max(1, round(picture.shape[1] * zoom)), max(1, round(picture.shape[0] * zoom)))
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = INK
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    return canvas
