"""Tick records, sightings and tracks with sensible values, for tests that care about a few of their fields."""

from __future__ import annotations

from typing import Any

import numpy as np

from airside.messages import Alert, CameraStatus, Health, HealthState, Kind, Level, TickRecord, Track

SQUARE_M = ((9.0, 1.0), (9.0, 2.5), (10.26, 2.5), (10.26, 1.0))


def tick_record(tick: int = 0, **changes: Any) -> TickRecord:
    """One camera ``front``, healthy unless ``health`` says otherwise, that saw nothing."""
    health = changes.get("health", Health(HealthState.OK))
    plain: dict[str, Any] = {
        "tick": tick, "now_ns": 1, "capture_ns": 1, "published_ns": 2, "valid": True, "expires_ns": 3, "health": health,
        "cameras": (CameraStatus("front", health, 1, observed=True),), "bank_snapshot": "abc",
        "model_fingerprint": "def", "method": "default", "sightings": (), "alerts": (), "timing_ms": {},
    }  # fmt: skip
    return TickRecord(**(plain | changes))


def track(x_m: float = 9.4, y_m: float = 0.2, **changes: Any) -> Track:
    """A confirmed unknown object that the camera ``front`` sees."""
    plain: dict[str, Any] = {
        "id": 1, "kind": Kind.UNKNOWN, "nearest_class": "cone", "protected": False, "confirmed": True,
        "state": np.array([x_m, y_m, -2.0, 0.0]), "covariance": np.diag([0.5, 0.1, 1.0, 1.0]),
        "footprint_xy_m": SQUARE_M, "height_m": 1.2, "similarity": 0.41, "ood_score": 0.93, "cameras": ("front",),
        "first_ns": 0, "seen_ns": 1,
    }  # fmt: skip
    return Track(**(plain | changes))


def alert(level: Level = Level.STOP, **changes: Any) -> Alert:
    return Alert(track(**changes), level, ("unknown_in_stop_distance",))
