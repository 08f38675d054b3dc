"""A camera device or network stream: a reader thread keeps the newest frame and nothing else."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Self

import cv2

from airside.cameras.capture import Capture, check_frame_size, read_rgb
from airside.errors import InputError, UnavailableError
from airside.messages import Frame


class LiveCamera:
    """The newest frame wins: the reader overwrites, never queues, and counts what nobody looked at as ``skipped``.

    A failed read is counted as ``read_failed`` and the source is opened again every ``reconnect_s``; whoever waits
    in :meth:`frames` hears of it after ``timeout_s`` without a frame. ``capture_ns`` is the monotonic clock when the
    frame arrived. ``source`` is how messages name the camera: no passwords in it.

    Raises :class:`UnavailableError` when the source cannot be opened at first, :class:`InputError` when its pictures
    are of an unusable size.
    """

    def __init__(
        self,
        open_capture: Callable[[], Capture],
        *,
        name: str,
        source: str,
        timeout_s: float = 5.0,
        reconnect_s: float = 1.0,
    ) -> None:
        self.name = name
        self.faults: Counter[str] = Counter()
        self.last_fault: str | None = None
        self._open_capture = open_capture
        self._source = source
        self._timeout_s = timeout_s
        self._reconnect_s = reconnect_s
        self._latest: Frame | None = None
        self._seen = -1  # index of the newest frame anyone took
        self._arrived = threading.Condition()
        self._stop = threading.Event()
        capture = self._opened()
        self._reader = threading.Thread(target=self._read, args=(capture,), name=f"camera-{name}", daemon=True)
        self._reader.start()

    def latest(self) -> Frame | None:
        """The newest frame, without waiting; ``None`` before the first. Its age is the caller's to judge."""
        with self._arrived:
            if self._latest is not None:
                self._seen = self._latest.index
            return self._latest

    @property
    def expected_frames(self) -> int | None:
        return None

    def frames(self) -> Iterator[Frame]:
        """Each time the newest frame not yet seen; waits for it at most ``timeout_s``."""
        last = -1
        while True:
            frame = self.next_frame(last, self._timeout_s)
            if self._stop.is_set():
                return
            if frame is None:
                raise UnavailableError(
                    f"camera {self._source}: no frame for {self._timeout_s:g} s; check its power and its cable"
                    + (f" ({self.last_fault})" if self.last_fault else "")
                )
            last = frame.index
            yield frame

    def next_frame(self, after: int, timeout_s: float) -> Frame | None:
        """The newest frame with an index above ``after``; ``None`` when none has come within ``timeout_s``."""
        with self._arrived:
            self._arrived.wait_for(partial(self._has_news, after), timeout_s)
            frame = self._latest
            if self._stop.is_set() or frame is None or frame.index <= after:
                return None
            self._seen = frame.index
            return frame

    def close(self) -> None:
        """Stop the reader. It lets go of the device itself: releasing under a running read crashes OpenCV."""
        self._stop.set()
        with self._arrived:
            self._arrived.notify_all()
        self._reader.join(self._timeout_s + 1.0)  # a read that hangs longer must not hold the program

    def _has_news(self, last: int) -> bool:
        return self._stop.is_set() or (self._latest is not None and self._latest.index > last)

    def _opened(self) -> Capture:
        capture = self._open_capture()
        try:
            if not capture.isOpened():
                raise UnavailableError(
                    f"camera {self._source}: cannot be opened; check that it is connected, reachable and not in use"
                )
            check_frame_size(capture, self._source)
        except (UnavailableError, InputError):
            capture.release()
            raise
        return capture

    def _read(self, first: Capture) -> None:
        capture: Capture | None = first
        index = 0
        while not self._stop.is_set():
            if capture is None:
                capture = self._reopened()
                continue
            frame = self._next_frame(capture, index)
            if frame is None:
                self._fault(f"camera {self._source}: a read failed after {index} frames")
                capture.release()
                capture = None
                self._stop.wait(self._reconnect_s)
                continue
            with self._arrived:
                if self._latest is not None and self._latest.index > self._seen:
                    self.faults["skipped"] += 1
                self._latest = frame
                self._arrived.notify_all()
            index += 1
        if capture is not None:
            capture.release()

    def _next_frame(self, capture: Capture, index: int) -> Frame | None:
        try:
            if not capture.grab():
                return None
        except cv2.error:
            return None
        capture_ns = time.monotonic_ns()  # before decoding, which takes its own time
        image = read_rgb(capture)
        return None if image is None else Frame(self.name, image, capture_ns, index)

    def _reopened(self) -> Capture | None:
        try:
            return self._opened()
        except (UnavailableError, InputError) as fault:
            self._fault(str(fault))
            self._stop.wait(self._reconnect_s)
            return None

    def _fault(self, message: str) -> None:
        with self._arrived:
            self.faults["read_failed"] += 1
            self.last_fault = message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
