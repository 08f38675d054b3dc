"""How far apart two places are, measured by how well they are known."""

from __future__ import annotations

import numpy as np

GATE2 = 9.21  # of a squared Mahalanobis distance: chi-squared, 2 degrees of freedom, 99 %


def mahalanobis2(difference_m: np.ndarray, covariance_m2: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances [...] of differences [..., 2] with regular covariances [..., 2, 2]."""
    dx, dy = difference_m[..., 0], difference_m[..., 1]
    xx, xy, yy = covariance_m2[..., 0, 0], covariance_m2[..., 0, 1], covariance_m2[..., 1, 1]
    return np.asarray((yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / (xx * yy - xy**2))
