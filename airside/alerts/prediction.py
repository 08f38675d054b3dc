"""A tick's record carried on to a later moment: tracks move with their velocities, nothing is decided anew."""

from __future__ import annotations

from dataclasses import replace

from airside.geometry.motion import carried
from airside.messages import Alert, TickRecord


def predict_record(record: TickRecord, at_ns: int) -> TickRecord:
    """``record`` as it stands at ``at_ns``, on the record's clock, marked ``predicted``.

    Positions move and covariances grow from the tick's own time on, at which tracks hold. Levels, reasons, health,
    times and number of the tick stay: a level is never raised, nor lowered, without a picture. Sightings stay, because
    some have a level and no track. Never ``valid`` from ``expires_ns`` on. A moment before the tick counts as the tick.
    """
    dt_s = max(0, at_ns - record.now_ns) / 1e9
    return replace(
        record,
        published_ns=at_ns,
        valid=record.valid and at_ns < record.expires_ns,
        alerts=tuple(Alert(carried(a.track, dt_s), a.level, a.reasons) for a in record.alerts),
        timing_ms={},
        predicted=True,
    )
