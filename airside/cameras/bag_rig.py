"""A recording of ROS 2 messages (rosbag2 in SQLite or MCAP, airside's own MCAP) as a rig."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Self

from airside.cameras.bag_messages import BagFile, BagMessage
from airside.cameras.bag_topics import image_topics, info_topics
from airside.cameras.recording import Arrival, FaultLog, bundles_of, tick_length_ns, ticks_until
from airside.cameras.ros_images import CameraInfo, UnknownEncodingError, camera_info_from, picture_from
from airside.cameras.stamps import CaptureClock
from airside.errors import InputError
from airside.messages import Frame, FrameBundle


class BagRig:
    """The messages of one recording, whose files follow one another.

    The clock of the ticks is the recorder's (log times), so that a picture is there when it was there on the vehicle:
    one that came late is late again. A frame's ``capture_ns`` is its header's stamp where that can be believed
    (:class:`CaptureClock`; ``clock_jump`` counts where that ends or the stamps run backwards), otherwise the log time
    (``log_time``, counted once a camera). Pictures are decoded when a tick looks at them: one that cannot be is counted
    as ``unreadable``, parts of a file as ``damaged`` or ``ended_early`` for every camera.

    ``told``: camera -> image topic, see :func:`image_topics` for what it raises. ``remarks`` (reason -> message) are
    counted for every camera.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[BagFile],
        cameras: Sequence[str],
        told: Mapping[str, str] | None = None,
        remarks: Mapping[str, str] | None = None,
    ) -> None:
        self.cameras = tuple(cameras)
        self._name = name
        self._files = tuple(files)
        self._log = FaultLog(cameras)
        self._types = {topic: kind for file in files for topic, kind in file.topics.items()}
        self._reading: Generator[BagMessage, None, None] | None = None
        try:
            self.topics = image_topics(self._types, cameras, told or {})
        except InputError as error:
            raise InputError(f"recording {name}: {error}") from None
        for camera in cameras:
            if camera not in self.topics:
                self._log.add(camera, "missing", "the recording has no topic of it")
        for reason, message in (remarks or {}).items():
            self._everywhere(reason, message)

    @property
    def faults(self) -> dict[str, Counter[str]]:
        return self._log.counts

    @property
    def last_faults(self) -> dict[str, str]:
        return self._log.last

    def expected_ticks(self, tick_ms: int) -> int | None:
        """About how many: the files tell their spans over all topics."""
        spans_ns = [file.span_ns for file in self._files if file.span_ns is not None]
        if not spans_ns:
            return None
        span_ns = max(last for _, last in spans_ns) - min(first for first, _ in spans_ns)
        return ticks_until(span_ns, tick_length_ns(tick_ms)) + 1

    def bundles(self, tick_ms: int) -> Iterator[FrameBundle]:
        """See :class:`RigRecording`. Of each camera one frame and one undecoded message are held."""
        self.close()
        play = _Play(self.topics, self._types, self._log)
        arrivals = play.arrivals(self._messages(set(self.topics.values())))
        yield from bundles_of(arrivals, self.cameras, tick_ms, self._log.jumped)
        if not play.decoded:
            said = f"none of {play.messages} pictures could be decoded; the last: {play.refusal}"
            raise InputError(f"recording {self._name}: {said if play.messages else 'it has no picture of the rig'}")

    def camera_infos(self) -> dict[str, CameraInfo]:
        """Camera -> the first sound calibration beside its pictures. Reads the recording until all are found."""
        topics = info_topics(self._types, self.topics)
        found: dict[str, CameraInfo] = {}
        for file in self._files:
            with closing(file.messages(set(topics.values()), self._everywhere)) as messages:
                while len(found) < len(topics) and (message := next(messages, None)) is not None:
                    self._add_info(message, topics, found)
        return found

    def close(self) -> None:
        """Files are open only while messages are read; a running :meth:`bundles` ends."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()

    def _messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        for file in self._files:
            reading = self._reading = file.messages(topics, self._everywhere)
            yield from reading
            if self._reading is not reading:
                return

    def _add_info(self, message: BagMessage, topics: Mapping[str, str], found: dict[str, CameraInfo]) -> None:
        for camera in [camera for camera, topic in topics.items() if topic == message.topic]:
            try:
                found.setdefault(camera, camera_info_from(message.data, message.topic))
            except InputError as error:
                self._log.add(camera, "unreadable", str(error))

    def _everywhere(self, reason: str, message: str) -> None:
        for camera in self.topics:
            self._log.add(camera, reason, message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Play:
    """One playing of a recording: its clocks and counts."""

    def __init__(self, topics: Mapping[str, str], types: Mapping[str, str], log: FaultLog) -> None:
        self.messages = 0
        self.decoded: Counter[str] = Counter()  # by camera
        self.refusal: InputError | None = None
        self._types = types
        self._log = log
        self._indexes: Counter[str] = Counter()
        self._clocks = {camera: CaptureClock() for camera in topics}
        self._without_stamp: set[str] = set()
        self._cameras: dict[str, list[str]] = {}  # by topic
        for camera, topic in topics.items():
            self._cameras.setdefault(topic, []).append(camera)

    def arrivals(self, messages: Iterable[BagMessage]) -> Iterator[Arrival]:
        for message in messages:
            for camera in self._cameras[message.topic]:
                frame = partial(self._frame, camera, message, self._indexes[camera])
                self._indexes[camera] += 1
                self.messages += 1
                yield Arrival(message.log_ns, camera, frame)

    def _frame(self, camera: str, message: BagMessage, index: int) -> Frame | None:
        try:
            picture = picture_from(self._types[message.topic], message.data, f"{message.topic} {index}")
        except InputError as error:
            if isinstance(error, UnknownEncodingError) and not self.decoded[camera]:
                raise  # so are all of them
            self.refusal = error
            self._log.add(camera, "unreadable", str(error))
            return None
        self.decoded[camera] += 1
        return Frame(camera, picture.image, self._capture_ns(camera, picture.stamp_ns, message.log_ns), index)

    def _capture_ns(self, camera: str, stamp_ns: int | None, log_ns: int) -> int:
        clock = self._clocks[camera]
        jumps = clock.jumps
        capture_ns = clock.capture_ns(stamp_ns, log_ns)
        if clock.jumps > jumps:
            self._log.jumped(camera, "its stamps ran backwards or leapt")
        if capture_ns != stamp_ns and camera not in self._without_stamp:
            self._without_stamp.add(camera)
            why = "has none" if stamp_ns is None else f"is {(log_ns - stamp_ns) / 1e9:.3f} s before the recorder's time"
            self._log.add(camera, "log_time", f"its stamp {why}: the recorder's time is taken")
        return capture_ns
