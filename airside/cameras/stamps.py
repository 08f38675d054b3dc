"""When was a picture taken: the source's own stamp where it can be believed, otherwise when it arrived."""

from __future__ import annotations

MAX_LATENCY_NS = 10_000_000_000  # a stamp older than this belongs to another clock


class CaptureClock:
    """Judges the stamps of one camera, one after the other.

    A stamp is believed where ``0 <= arrival - stamp < 10 s``. ``jumps`` counts how often the stamps ran backwards, or
    stopped being believable.
    """

    def __init__(self) -> None:
        self.jumps = 0
        self._believed_ns: int | None = None  # the last stamp, while stamps can be believed

    def capture_ns(self, stamp_ns: int | None, arrival_ns: int) -> int:
        """The capture time of a picture that came at ``arrival_ns``; ``stamp_ns`` is ``None`` where it has none."""
        believed = stamp_ns if stamp_ns is not None and 0 <= arrival_ns - stamp_ns < MAX_LATENCY_NS else None
        before, self._believed_ns = self._believed_ns, believed
        if before is not None and (believed is None or believed < before):
            self.jumps += 1
        return arrival_ns if believed is None else believed
