"""What a camera is to the rest of airside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from airside.messages import Frame


@runtime_checkable
class Camera(Protocol):
    """A source of frames, and a context manager that lets go of the device or file.

    ``faults`` counts, by reason, what went wrong without ending the run (``unreadable``, ``ended_early``,
    ``read_failed``, ``skipped`` for live frames that a newer one replaced); ``last_fault`` is the newest message.
    """

    name: str
    faults: Counter[str]
    last_fault: str | None

    @property
    def expected_frames(self) -> int | None:
        """How many frames there should be; ``None`` where the source does not end or does not say."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Frames in order. A file source ends and starts again at its beginning when asked again; a live one waits
        for the next unseen frame, always the newest, and raises :class:`UnavailableError` when none comes in time.
        """
        ...

    def close(self) -> None:
        """Let go of the source. Safe to call twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
