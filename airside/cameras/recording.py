"""A rig's recording, played tick by tick on its own clock: the same recording gives the same ticks every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from airside.errors import UsageError
from airside.messages import Frame, FrameBundle

MAX_GAP_NS = 60_000_000_000  # nobody recorded for so long: the ticks go on behind it


class RigRecording(Protocol):
    """What was recorded of a rig, and a context manager that lets go of its files.

    ``faults`` counts by camera and reason what went wrong without ending the run, ``last_faults`` has the newest
    message of each camera that had one.
    """

    @property
    def cameras(self) -> tuple[str, ...]:
        """The rig's cameras, in its order; also those of which nothing was recorded."""
        ...

    @property
    def faults(self) -> Mapping[str, Counter[str]]: ...

    @property
    def last_faults(self) -> Mapping[str, str]: ...

    def expected_ticks(self, tick_ms: int) -> int | None:
        """How many ticks there should be; ``None`` where the recording does not say how long it is."""
        ...

    def bundles(self, tick_ms: int) -> Iterator[FrameBundle]:
        """One bundle every ``tick_ms`` of the recording's clock, from its first frame to the tick that has its last.

        A bundle holds of every camera the newest frame that had come by then, also one that an earlier tick has seen;
        a camera of which none has come is missing. Asked again, it begins again.

        Raises :class:`InputError` where not one frame can be used.
        """
        ...

    def close(self) -> None:
        """Let go of the files. Safe to call twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FaultLog:
    """Faults counted by camera and reason, and the newest message of each camera that had one."""

    def __init__(self, cameras: Iterable[str]) -> None:
        self.counts: dict[str, Counter[str]] = {camera: Counter() for camera in cameras}
        self.last: dict[str, str] = {}

    def add(self, camera: str, reason: str, message: str) -> None:
        self.counts[camera][reason] += 1
        self.last[camera] = f"camera {camera}: {message}"

    def jumped(self, camera: str, message: str) -> None:
        self.add(camera, "clock_jump", message)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A picture as it came: when, from whom, and how to get at it. Only those that a tick looks at are decoded."""

    at_ns: int
    camera: str
    frame: Callable[[], Frame | None]  # ``None``: it cannot be decoded (its source counts that)


def bundles_of(
    arrivals: Iterable[Arrival],
    cameras: tuple[str, ...],
    tick_ms: int,
    on_jump: Callable[[str, str], None] | None = None,
) -> Iterator[FrameBundle]:
    """The ticks of ``arrivals``, which come in the order of their times. One a little behind the clock has come now.

    With ``on_jump`` (camera, message) the arrivals' clock is one that may jump: where more than a minute is missing
    the ticks go on at the first one behind the gap, and what lies more than a minute behind is left out.
    """
    tick_ns = tick_length_ns(tick_ms)
    held: dict[str, Frame] = {}
    came: dict[str, Arrival] = {}
    now_ns: int | None = None
    for arrival in arrivals:
        if now_ns is None:
            now_ns = arrival.at_ns
        ahead_ns = arrival.at_ns - now_ns
        if on_jump is not None and ahead_ns < -MAX_GAP_NS:
            on_jump(arrival.camera, f"its clock went back by {-ahead_ns / 1e9:.1f} s: the picture is left out")
            continue
        if on_jump is not None and ahead_ns > MAX_GAP_NS:
            on_jump(arrival.camera, f"nothing was recorded for {ahead_ns / 1e9:.1f} s: the ticks go on behind it")
            yield _bundle(now_ns, came, held, cameras)
            now_ns += ticks_until(ahead_ns, tick_ns) * tick_ns
        while arrival.at_ns > now_ns:
            yield _bundle(now_ns, came, held, cameras)
            now_ns += tick_ns
        came[arrival.camera] = arrival
    if now_ns is not None:
        yield _bundle(now_ns, came, held, cameras)


def tick_length_ns(tick_ms: int) -> int:
    if tick_ms < 1:
        raise UsageError(f"a tick must last at least 1 ms, got {tick_ms}")
    return tick_ms * 1_000_000


def ticks_until(span_ns: int, tick_ns: int) -> int:
    """How many ticks after the first one lies the first that has what came ``span_ns`` after the beginning."""
    return -(-span_ns // tick_ns)


def _bundle(now_ns: int, came: dict[str, Arrival], held: dict[str, Frame], cameras: tuple[str, ...]) -> FrameBundle:
    """Decodes what ``came`` into ``held``. A picture that cannot be decoded leaves its camera with the one before."""
    for camera, arrival in came.items():
        frame = arrival.frame()
        if frame is not None:
            held[camera] = frame
    came.clear()
    return FrameBundle(now_ns, tuple(held[camera] for camera in cameras if camera in held))
