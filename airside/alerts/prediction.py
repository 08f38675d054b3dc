"""A tick's record carried on to a later moment: tracks move with their velocities, nothing is decided anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airside.messages import Alert, TickRecord, Track

ACCELERATION_MPS2 = 1.5  # standard deviation of what constant velocity leaves out, per axis


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
        alerts=tuple(Alert(_carried(a.track, dt_s), a.level, a.reasons) for a in record.alerts),
        timing_ms={},
        predicted=True,
    )


def _carried(track: Track, dt_s: float) -> Track:
    moves = np.eye(4)
    moves[0, 2] = moves[1, 3] = dt_s
    gain = np.array([[dt_s**2 / 2, 0.0], [0.0, dt_s**2 / 2], [dt_s, 0.0], [0.0, dt_s]])
    dx, dy = (track.state[2:] * dt_s).tolist()
    return replace(
        track,
        state=moves @ track.state,
        covariance=moves @ track.covariance @ moves.T + gain @ gain.T * ACCELERATION_MPS2**2,
        footprint_xy_m=tuple((x + dx, y + dy) for x, y in track.footprint_xy_m),
        cameras=(),
    )
