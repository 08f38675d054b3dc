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


def random_record(rng: np.random.Generator, tick: int) -> TickRecord:
    """Any record a drive could give: up to four tracked objects, of any kind, level and health."""
    health = Health(HealthState(rng.choice(list(HealthState))), tuple(rng.choice(["stale", "black"], rng.integers(3))))
    alerts = tuple(_random_alert(rng, number) for number in range(rng.integers(5)))
    capture_ns = int(1e9 + tick * 2e8 + rng.integers(1e6))
    return tick_record(
        tick,
        capture_ns=capture_ns,
        published_ns=capture_ns + int(rng.integers(1, 2e8)),
        expires_ns=capture_ns + int(6e8),
        valid=bool(rng.integers(2)),
        health=health,
        alerts=alerts,
    )


def _random_alert(rng: np.random.Generator, number: int) -> Alert:
    root = rng.normal(size=(4, 4))
    x_m, y_m = rng.uniform(-40, 40, 2)
    corners = np.array([[1.0, 0.5], [-1.0, 0.5], [-1.0, -0.5], [1.0, -0.5]]) * rng.uniform(0.3, 4) + (x_m, y_m)
    return alert(
        Level(int(rng.integers(5))),
        id=number + 1,
        kind=Kind(rng.choice(list(Kind))),
        nearest_class=str(rng.choice(["person", "bus", "belt_loader", "tarmac"])),
        confirmed=bool(rng.integers(2)),
        state=np.array([x_m, y_m, *rng.normal(size=2)]),
        covariance=root @ root.T,
        footprint_xy_m=tuple(map(tuple, corners.tolist())) if rng.integers(2) else (),
        height_m=float(rng.choice([0.0, rng.uniform(0.1, 4)])),
        ood_score=float(rng.uniform()),
    )
