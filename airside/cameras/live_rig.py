"""All cameras of a vehicle at once: one reader each, and the newest frame of each whenever somebody asks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from airside.cameras.live import LiveCamera, LiveSource
from airside.cameras.sources import live_source
from airside.errors import UnavailableError
from airside.messages import FrameBundle

SKIPPED = "skipped"  # newest wins: no trouble


def decode_gap_s(tick_ms: int) -> float:
    """Half a tick: of a fast camera only what a tick may look at is decoded."""
    return tick_ms / 2000


class LiveRig:
    """A camera that does not open, or is lost, is tried again every ``reconnect_s`` while the others go on.

    ``decode_gap_s``: see :func:`decode_gap_s`. Faults are those of :class:`LiveCamera`.

    Raises :class:`UnavailableError` where not a single camera has opened within ``timeout_s``.
    """

    def __init__(
        self,
        sources: Mapping[str, LiveSource],
        *,
        timeout_s: float = 5.0,
        reconnect_s: float = 1.0,
        decode_gap_s: float = 0.0,
    ) -> None:
        self._cameras = {
            name: LiveCamera(
                source,
                name=name,
                timeout_s=timeout_s,
                reconnect_s=reconnect_s,
                decode_gap_s=decode_gap_s,
                must_open=False,
            )
            for name, source in sources.items()
        }
        self._told = {name: Counter[str]() for name in sources}  # the faults of the ticks so far
        self._patience_s = timeout_s + 1.0
        deadline = time.monotonic() + self._patience_s
        for camera in self._cameras.values():
            camera.tried(max(0.0, deadline - time.monotonic()))
        if not any(camera.connected or camera.latest() for camera in self._cameras.values()):
            self.close()
            reasons = [f"camera {name}: {said}" for name, said in self.last_faults.items()]
            raise UnavailableError(f"no camera of the rig has opened; {'; '.join(reasons) or 'none answered'}")

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._cameras)

    @property
    def connected(self) -> dict[str, bool]:
        """Of each camera whether it is open now; that says nothing about its frames."""
        return {name: camera.connected for name, camera in self._cameras.items()}

    @property
    def faults(self) -> dict[str, Counter[str]]:
        """As they are now: copies."""
        return {name: camera.faults_now() for name, camera in self._cameras.items()}

    @property
    def last_faults(self) -> dict[str, str]:
        return {name: camera.last_fault for name, camera in self._cameras.items() if camera.last_fault is not None}

    def newest(self, now_ns: int) -> FrameBundle:
        """Of each camera its newest frame, however old, without waiting; a camera that never gave one is missing. Its
        troubles are the faults counted since this was last asked."""
        frames = tuple(frame for camera in self._cameras.values() if (frame := camera.latest()) is not None)
        now = self.faults
        troubles = tuple(
            (name, reason) for name, counts in now.items() for reason in counts - self._told[name] if reason != SKIPPED
        )
        self._told = now
        return FrameBundle(now_ns, frames, troubles)

    def close(self) -> None:
        """Stop all readers at the same time, within a second more than ``timeout_s``. Safe to call twice."""
        for camera in self._cameras.values():
            camera.ask_to_stop()
        deadline = time.monotonic() + self._patience_s
        for camera in self._cameras.values():
            camera.close(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_live_rig(sources: Mapping[str, str], *, timeout_s: float = 5.0, decode_gap_s: float = 0.0) -> LiveRig:
    """The rig whose cameras are at ``sources`` (camera -> /dev/video0, its number, or rtsp://...).

    Raises :class:`UsageError` for a source of another kind, :class:`UnavailableError` where none of them opens.
    """
    ways = {name: live_source(source, timeout_s) for name, source in sources.items()}
    return LiveRig(ways, timeout_s=timeout_s, decode_gap_s=decode_gap_s)
