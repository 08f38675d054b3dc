"""A constant-velocity Kalman filter on the ground plane: state x, y (m), vx, vy (m/s)."""

from __future__ import annotations

import numpy as np

_POSITION = np.eye(2, 4)


def corrected(
    state: np.ndarray, covariance: np.ndarray, xy_m: np.ndarray, xy_covariance_m2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """After a position [2] with its covariance [2, 2] has been seen. Joseph's form: it stays symmetric and positive."""
    gain = np.linalg.solve(covariance[:2, :2] + xy_covariance_m2, covariance[:2]).T
    rest = np.eye(4) - gain @ _POSITION
    return (
        state + gain @ (xy_m - state[:2]),
        rest @ covariance @ rest.T + gain @ xy_covariance_m2 @ gain.T,
    )
