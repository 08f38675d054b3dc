"""A video file as a camera."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from airside.cameras.capture import Capture, check_frame_size, open_file, read_rgb
from airside.cameras.stills import capture_ns_at
from airside.errors import InputError
from airside.messages import Frame

_FPS_WHEN_UNKNOWN = 25.0
_MISSING_FRAMES_ALLOWED = 2  # some containers announce their length from duration and rate, off by one or two


class VideoCamera:
    """Frames of a video file at the file's own rate (25 Hz where it tells none).

    A file that stops before its announced length is played as far as it goes and counted as ``ended_early``.
    Raises :class:`InputError` at once for a file that is missing, empty, no video, oversized or without one frame.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        self.name = name
        self.faults: Counter[str] = Counter()
        self.last_fault: str | None = None
        self._path = path
        self._capture: Capture | None = None
        _check_file(path)
        capture = self._open()
        try:
            told = capture.get(cv2.CAP_PROP_FPS)
            self.fps = told if math.isfinite(told) and 0 < told <= 1000 else _FPS_WHEN_UNKNOWN
            self._announced_frames = int(max(0, capture.get(cv2.CAP_PROP_FRAME_COUNT)))
            if not capture.grab() or read_rgb(capture) is None:
                raise _damaged(path)
        finally:
            capture.release()

    @property
    def expected_frames(self) -> int | None:
        return self._announced_frames or None

    def frames(self) -> Iterator[Frame]:
        """Every frame from the beginning."""
        self.close()
        capture = self._capture = self._open()
        index = 0
        while capture is self._capture and capture.grab():
            image = read_rgb(capture)
            if image is None:
                self._fault("unreadable", f"video {self._path}: frame {index} cannot be decoded")
            else:
                yield Frame(self.name, image, capture_ns_at(index, self.fps), index)
            index += 1
        if capture is self._capture:
            if index < self._announced_frames - _MISSING_FRAMES_ALLOWED:
                self._fault(
                    "ended_early", f"video {self._path}: ended after {index} of {self._announced_frames} frames"
                )
            self.close()

    def close(self) -> None:
        """Let go of the file; a running :meth:`frames` ends."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _open(self) -> Capture:
        capture = open_file(str(self._path))
        try:
            if not capture.isOpened():
                raise _damaged(self._path)
            check_frame_size(capture, str(self._path))
        except InputError:
            capture.release()
            raise
        return capture

    def _fault(self, reason: str, message: str) -> None:
        self.faults[reason] += 1
        self.last_fault = message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_file(path: Path) -> None:
    """FFmpeg answers every one of these with the same silence."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"video {path}: the file is empty; copy it again from its source")
    except PermissionError:
        raise InputError(f"video {path}: no permission to read it; run: chmod +r '{path}'") from None
    except OSError as error:
        raise InputError(f"video {path}: cannot be read ({error.strerror}); check the path and the disk") from None


def _damaged(path: Path) -> InputError:
    return InputError(
        f"video {path}: truncated, damaged or of an unknown codec: not one frame can be decoded; "
        "copy it again from its source, or convert it with: ffmpeg -i IN -c:v libx264 OUT.mp4"
    )
