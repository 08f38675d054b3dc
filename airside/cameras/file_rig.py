"""Pictures and videos of several cameras, one file or folder each, played together as a rig."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import attrgetter
from types import TracebackType
from typing import Self

from airside.cameras.recording import Arrival, bundles_of, tick_length_ns, ticks_until
from airside.cameras.stills import StillsCamera, capture_ns_at
from airside.cameras.video import VideoCamera
from airside.errors import InputError
from airside.messages import Frame, FrameBundle


class FileRig:
    """Cameras that all began at the same moment. One that ends before the others leaves its last frame standing, which
    then grows old.

    ``cameras`` names the rig's, in its order; of those without a file among ``files`` nothing comes (``missing``).
    """

    def __init__(self, files: Sequence[StillsCamera | VideoCamera], cameras: Sequence[str]) -> None:
        self.cameras = tuple(cameras)
        self._files = {file.name: file for file in files}
        self._missing = tuple(name for name in cameras if name not in self._files)

    @property
    def faults(self) -> dict[str, Counter[str]]:
        return {name: self._files[name].faults if name in self._files else Counter(missing=1) for name in self.cameras}

    @property
    def last_faults(self) -> dict[str, str]:
        said = {name: f"camera {name}: nothing of it was recorded" for name in self._missing}
        return said | {file.name: file.last_fault for file in self._files.values() if file.last_fault is not None}

    def expected_ticks(self, tick_ms: int) -> int | None:
        spans_ns = []
        for file in self._files.values():
            if file.expected_frames is None:
                return None
            spans_ns.append(capture_ns_at(file.expected_frames - 1, file.fps))
        return ticks_until(max(spans_ns), tick_length_ns(tick_ms)) + 1

    def bundles(self, tick_ms: int) -> Iterator[FrameBundle]:
        """See :class:`RigRecording`; the clock is 0 at the beginning. At most two frames of a camera are held."""
        unusable: list[InputError] = []
        played = False
        for bundle in bundles_of(self._arrivals(unusable), self.cameras, tick_ms):
            played = True
            yield bundle
        if not played:
            raise unusable[0] if unusable else InputError("the source has no frame: give another one")

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _arrivals(self, unusable: list[InputError]) -> Iterator[Arrival]:
        streams = [self._frames(file, unusable) for file in self._files.values()]
        for frame in heapq.merge(*streams, key=attrgetter("capture_ns")):
            yield Arrival(frame.capture_ns, frame.camera, lambda frame=frame: frame)  # type: ignore[misc]

    def _frames(self, file: StillsCamera | VideoCamera, unusable: list[InputError]) -> Iterator[Frame]:
        """One camera without a single usable picture does not stop the others."""
        try:
            yield from file.frames()
        except InputError as error:
            unusable.append(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
