"""Overlay pictures to an .mp4 file, complete or not there at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from airside.cameras.capture import open_file
from airside.errors import StorageError, UsageError

# OpenCV's wheel has no H.264 encoder. VP9 in .mp4 opens in today's browsers but takes about half a second of one core
# for a frame of 1280 x 816; MPEG-4 part 2 takes 10 ms and opens in players (VLC, mpv) only.
CODECS = {"vp9": "vp09", "mpeg4": "mp4v"}
_MIN_FREE_BYTES = 16 << 20
_CHECK_EVERY = 25  # frames


class VideoWriter:
    """Writes [H, W, 3] uint8 RGB pictures of one even size to ``path``.

    The film grows under a temporary name beside ``path`` and takes its place in :meth:`close`, once it has been
    opened and found to hold every frame: OpenCV itself does not report a full disk. Leaving the ``with`` block by an
    error removes it. Raises :class:`StorageError` when it cannot be written, :class:`UsageError` on a wrong call.
    """

    def __init__(self, path: str | Path, *, fps: float, size: tuple[int, int], codec: str = "mpeg4") -> None:
        self._path = Path(path)
        self._partial = self._path.with_name(f".{self._path.stem}.{os.getpid()}.partial.mp4")
        self._width, self._height = size
        self._frames = 0
        self._writer: cv2.VideoWriter | None = None
        if codec not in CODECS:
            raise UsageError(f"video codec {codec!r} is unknown; choose one of: {', '.join(CODECS)}")
        if self._path.suffix.lower() != ".mp4":
            raise UsageError(f"video {path}: the name must end in .mp4")
        if not 0 < fps <= 240:
            raise UsageError(f"video {path}: fps must lie between 0 and 240, got {fps}")
        if self._width <= 0 or self._height <= 0 or self._width % 2 or self._height % 2:
            raise UsageError(f"video {path}: the size must be even, got {self._width} x {self._height}")
        try:
            self._partial.touch()  # an honest reason, which OpenCV would not give
        except OSError as error:
            raise self._storage_error(error.strerror or str(error)) from None
        self._check_space()
        writer = cv2.VideoWriter(str(self._partial), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*CODECS[codec]), fps, size)
        if not writer.isOpened():
            self._partial.unlink(missing_ok=True)
            raise self._storage_error(f"the {codec} encoder could not start writing")
        self._writer = writer

    def write(self, picture: np.ndarray) -> None:
        """Append one picture."""
        if picture.shape != (self._height, self._width, 3) or picture.dtype != np.uint8:
            raise UsageError(
                f"video {self._path}: wanted a picture [{self._height}, {self._width}, 3] uint8, "
                f"got {list(picture.shape)} {picture.dtype}"
            )
        if self._writer is None:
            raise UsageError(f"video {self._path}: already closed")
        if self._frames % _CHECK_EVERY == 0:
            self._check_space()
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        self._frames += 1

    def close(self) -> None:
        """Finish the film and give it its name. Safe to call twice."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        try:
            if self._frames == 0:
                raise UsageError(f"video {self._path}: not one picture was written")
            found = _frames_in(self._partial)
            if found != self._frames:
                raise self._storage_error(f"only {found} of {self._frames} frames arrived; is the disk full?")
            with self._partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(self._partial, self._path)
        except OSError as error:
            raise self._storage_error(error.strerror or str(error)) from None
        finally:
            self._partial.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove what was written so far."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._partial.unlink(missing_ok=True)

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._partial.parent).free
        if free < _MIN_FREE_BYTES:
            self.discard()
            raise self._storage_error(f"{free:,} bytes free, {_MIN_FREE_BYTES:,} needed")

    def _storage_error(self, reason: str) -> StorageError:
        return StorageError(f"video {self._path}: {reason}; free space or choose another --out and run again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()


def _frames_in(path: Path) -> int:
    """Frames by the film's own index, which is written last; 0 when it or the first frame is missing."""
    capture = open_file(str(path))
    try:
        if not capture.isOpened() or not capture.grab():
            return 0
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        capture.release()
