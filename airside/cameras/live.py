"""A camera device or network stream: a reader thread keeps the newest frame and nothing else."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import cv2

from airside.cameras.capture import Capture, check_frame_size, no_stamp, read_rgb
from airside.cameras.stamps import CaptureClock
from airside.errors import InputError, UnavailableError
from airside.messages import Frame

_BREATHER_S = 0.01  # after a picture that cannot be decoded: a source may hand them out as fast as they are asked for


@dataclass(frozen=True, slots=True)
class LiveSource:
    """How to reach a live camera, and how messages name it: no passwords in ``label``.

    ``open`` raises :class:`UnavailableError` where it already knows why it cannot. ``stamp_ns`` is when the grabbed
    picture was taken by the monotonic clock, as far as the source itself says so.
    """

    open: Callable[[], Capture]
    label: str
    stamp_ns: Callable[[Capture], int | None] = no_stamp


class LiveCamera:
    """The newest frame wins: the reader overwrites, never queues, and counts what nobody looked at as ``skipped``.

    A failed read is counted as ``read_failed`` and the source is opened again every ``reconnect_s``; whoever waits
    in :meth:`frames` hears of it after ``timeout_s`` without a frame. A picture that cannot be decoded
    (``undecodable``) is counted and dropped; a source that gives nothing else for ``timeout_s`` is opened again.
    ``capture_ns`` is the source's own stamp where it has one that can be believed (``clock_jump`` counts where that
    ends), otherwise the monotonic clock when the frame arrived. Decoding costs more than anything else here: a picture
    that comes less than ``decode_gap_s`` after the last one is not decoded, and counts as skipped.

    Raises :class:`UnavailableError` when the source cannot be opened at first, :class:`InputError` when its pictures
    are of an unusable size. With ``must_open=False`` it raises neither and goes on trying: see :meth:`tried`.
    """

    def __init__(
        self,
        source: LiveSource,
        *,
        name: str,
        timeout_s: float = 5.0,
        reconnect_s: float = 1.0,
        decode_gap_s: float = 0.0,
        must_open: bool = True,
    ) -> None:
        self.name = name
        self.faults: Counter[str] = Counter()
        self.last_fault: str | None = None
        self.connected = False  # the source is open, which says nothing about its frames
        self._source = source
        self._timeout_s = timeout_s
        self._reconnect_s = reconnect_s
        self._decode_gap_ns = round(decode_gap_s * 1e9)
        self._clock = CaptureClock()
        self._latest: Frame | None = None
        self._next_index = 0  # over all openings: who has seen a frame waits for a higher one
        self._seen = -1  # index of the newest frame anyone took
        self._arrived = threading.Condition()
        self._tried = threading.Event()
        self._stop = threading.Event()
        capture = self._opened() if must_open else None
        self._reader = threading.Thread(target=self._read, args=(capture,), name=f"camera-{name}", daemon=True)
        self._reader.start()

    def tried(self, timeout_s: float) -> bool:
        """Waits until the source has been opened once, with or without success; False when that takes longer."""
        return self._tried.wait(timeout_s)

    def latest(self) -> Frame | None:
        """The newest frame, without waiting; ``None`` before the first. Its age is the caller's to judge."""
        with self._arrived:
            if self._latest is not None:
                self._seen = self._latest.index
            return self._latest

    def faults_now(self) -> Counter[str]:
        """A copy of ``faults``, which the reader goes on counting in: for whoever walks through them meanwhile."""
        with self._arrived:
            return Counter(self.faults)

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
                    f"camera {self._source.label}: no frame for {self._timeout_s:g} s; check its power and its cable"
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

    def ask_to_stop(self) -> None:
        """The first half of :meth:`close`, without waiting: so that many cameras end at the same time."""
        self._stop.set()
        with self._arrived:
            self._arrived.notify_all()

    def close(self, within_s: float | None = None) -> None:
        """Stop the reader. It lets go of the device itself: releasing under a running read crashes OpenCV.

        A read that hangs for longer than ``within_s`` (a second more than ``timeout_s`` where that is not given) must
        not hold the program: it is left behind (``abandoned``), in a thread that lets go of the device when the read
        comes back and ends with the program at the latest.
        """
        self.ask_to_stop()
        self._reader.join(self._timeout_s + 1.0 if within_s is None else within_s)
        if self._reader.is_alive():
            self._fault("abandoned", "its read hangs; left behind")

    def _has_news(self, last: int) -> bool:
        return self._stop.is_set() or (self._latest is not None and self._latest.index > last)

    def _opened(self) -> Capture:
        capture = self._source.open()
        try:
            if not capture.isOpened():
                raise UnavailableError(
                    f"camera {self._source.label}: cannot be opened; "
                    "check that it is connected, reachable and not in use"
                )
            check_frame_size(capture, self._source.label)
        except (UnavailableError, InputError):
            capture.release()
            raise
        self.connected = True
        self._tried.set()
        return capture

    def _read(self, capture: Capture | None) -> None:
        while not self._stop.is_set():
            try:
                capture = self._opened() if capture is None else capture
                try:
                    self._read_until_lost(capture)
                finally:
                    capture.release()
            except (UnavailableError, InputError) as fault:
                self._note("read_failed", str(fault))
            except Exception as error:  # a defect of a driver must not end the camera for good
                self._fault("read_failed", f"{type(error).__name__}: {error}")
            self.connected, capture = False, None
            self._tried.set()
            self._stop.wait(self._reconnect_s)
        if capture is not None:
            capture.release()

    def _read_until_lost(self, capture: Capture) -> None:
        """Frames until a read fails or all has been of no use for too long."""
        opened_ns = time.monotonic_ns()
        last_good_ns: int | None = None
        while not self._stop.is_set():
            arrival_ns = _grabbed_ns(capture)
            if arrival_ns is None:
                self._fault("read_failed", f"a read failed after {self._next_index} frames")
                return
            if last_good_ns is not None and arrival_ns - last_good_ns < self._decode_gap_ns:
                with self._arrived:
                    self.faults["skipped"] += 1
                continue
            frame = self._decoded(capture, arrival_ns)
            if frame is not None:
                self._publish(frame)
                last_good_ns = arrival_ns
            elif arrival_ns - (last_good_ns or opened_ns) > self._timeout_s * 1e9:
                self._fault("read_failed", f"nothing of use for {self._timeout_s:g} s; it is opened again")
                return

    def _decoded(self, capture: Capture, arrival_ns: int) -> Frame | None:
        jumps = self._clock.jumps
        capture_ns = self._clock.capture_ns(self._source.stamp_ns(capture), arrival_ns)
        if self._clock.jumps > jumps:
            self._fault("clock_jump", "its clock jumped")
        image = read_rgb(capture)
        if image is None:
            self._fault("undecodable", f"a picture after {self._next_index} frames cannot be decoded")
            self._stop.wait(_BREATHER_S)
            return None
        return Frame(self.name, image, capture_ns, self._next_index)

    def _publish(self, frame: Frame) -> None:
        with self._arrived:
            if self._latest is not None and self._latest.index > self._seen:
                self.faults["skipped"] += 1
            self._latest = frame
            self._next_index = frame.index + 1
            self._arrived.notify_all()

    def _fault(self, reason: str, message: str) -> None:
        self._note(reason, f"camera {self._source.label}: {message}")

    def _note(self, reason: str, said: str) -> None:
        with self._arrived:
            self.faults[reason] += 1
            self.last_fault = said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _grabbed_ns(capture: Capture) -> int | None:
    """The monotonic clock when the next picture was there, before decoding takes its own time; ``None``: none came."""
    try:
        grabbed = capture.grab()
        return time.monotonic_ns() if grabbed else None
    except cv2.error:
        return None
