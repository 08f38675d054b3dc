"""The scale evidence adds up on: log odds, kept finite and kept apart near 0 and 1."""

from __future__ import annotations

import numpy as np

KNEE = 5.0  # probability 1/149: about the deepest tail that a class's held-out patches can show
_EDGE = 1e-6  # scores of exactly 0 or 1 (a clipped 1 - cosine) become +-13.8


def logit(probability: np.ndarray) -> np.ndarray:
    """Log odds of ``probability`` (any shape, in [0, 1]), float64, bounded to about +-13.8."""
    p = np.clip(np.asarray(probability, np.float64), _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    """Inverse of :func:`logit`, float64 in [0, 1]; never overflows, and -inf gives 0."""
    x = np.asarray(log_odds, np.float64)
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, e) / (1.0 + e))


def soft_limit(log_odds: np.ndarray, knee: float = KNEE) -> np.ndarray:
    """``x`` itself up to ``+-knee``, logarithmic beyond, with continuous slope; strictly increasing, any shape.

    Beyond the knee every tail is extrapolation. A linear one runs to a logit of 100, where a float32 probability
    is exactly 1 and all unknown patches tie; this keeps 0..200 within 0..10.3, where float32 still tells them apart.
    """
    x = np.asarray(log_odds, np.float64)
    over = np.maximum(np.abs(x) - knee, 0.0)
    return np.asarray(np.sign(x) * (np.minimum(np.abs(x), knee) + np.log1p(over)))
