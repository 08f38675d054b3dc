"""Where a thing on the ground plane will be: constant velocity; state x, y (m), vx, vy (m/s)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airside.messages import Footprint, Track

ACCELERATION_MPS2 = 1.5  # one sigma: a tractor brakes, a person turns


def predicted(
    state: np.ndarray, covariance: np.ndarray, dt_s: float, acceleration_mps2: float
) -> tuple[np.ndarray, np.ndarray]:
    """``state`` [4] and ``covariance`` [4, 4], ``dt_s`` later; one sigma of white acceleration in each direction."""
    move = np.eye(4)
    move[0, 2] = move[1, 3] = dt_s
    push = np.concatenate([np.eye(2) * dt_s**2 / 2, np.eye(2) * dt_s]) * acceleration_mps2
    return move @ state, move @ covariance @ move.T + push @ push.T


def carried(track: Track, dt_s: float) -> Track:
    """``track`` after ``dt_s`` seconds in which nobody looked."""
    state, covariance = predicted(track.state, track.covariance, dt_s, ACCELERATION_MPS2)
    moved = state[:2] - track.state[:2]
    return replace(
        track,
        state=state,
        covariance=covariance,
        footprint_xy_m=shifted(track.footprint_xy_m, moved),
        cameras=(),
    )


def shifted(footprint: Footprint, by_m: np.ndarray) -> Footprint:
    return tuple((x + float(by_m[0]), y + float(by_m[1])) for x, y in footprint)
