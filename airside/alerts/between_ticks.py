"""The time between two ticks, filled with predicted records on the wire."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from airside.alerts.prediction import predict_record
from airside.alerts.publishers import Publisher
from airside.messages import Occupancy, TickRecord

_GRACE = 1.3  # periods to wait after a prediction: the next tick, due about now, makes another one needless


class BetweenTicks:
    """Wraps the publisher of a wire: each tick's record goes out at once, and until the next one comes the tracks are
    carried on by their velocities, ``rate_hz`` times a second.

    ``now_ns`` is the records' clock. When a record expires with no follower, one last prediction, no longer valid,
    goes out, and then silence: a loop that hangs must not look alive.
    """

    def __init__(self, wire: Publisher, rate_hz: float, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._wire, self._now_ns = wire, now_ns
        self._period_s = 1.0 / rate_hz
        self._changed = threading.Condition()  # guards all below, and the order on the wire
        self._latest: TickRecord | None = None
        self._count, self._closed = 0, False
        self._fault: str | None = None
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="airside-between-ticks", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        return self._wire.name

    @property
    def fault(self) -> str | None:
        return self._fault if self._fault is not None else self._wire.fault

    @property
    def dropped(self) -> int:
        return self._wire.dropped + self._lost

    def publish(self, record: TickRecord, occupancy: Occupancy | None) -> None:
        """The tick's own record."""
        with self._changed:
            self._latest, self._count = record, self._count + 1
            self._changed.notify()
            self._wire.publish(record, occupancy)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=2.0)
        self._wire.close()

    def _run(self) -> None:
        seen, wait_s = 0, self._period_s
        with self._changed:
            while not self._closed:
                self._changed.wait(wait_s if self._latest is not None else None)
                if self._count != seen or self._latest is None:  # a tick came: the wait begins anew
                    seen, wait_s = self._count, self._period_s
                    continue
                self._send(self._latest)
                wait_s = self._period_s * _GRACE

    def _send(self, latest: TickRecord) -> None:
        try:
            predicted = predict_record(latest, self._now_ns())
            self._wire.publish(predicted, None)
            self._fault = None
        except Exception as error:  # the tick's own thread says it
            self._fault, self._lost = f"{type(error).__name__}: {error}", self._lost + 1
            return
        if predicted.published_ns >= latest.expires_ns:
            self._latest = None
