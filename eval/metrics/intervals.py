"""Exact and near-exact confidence intervals of shares and of rates."""

from __future__ import annotations

import math

from scipy.stats import chi2, norm


def wilson(hits: int, tries: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) score interval of a share; (0, 1) where nothing was tried.

    Raises ``ValueError`` unless ``0 <= hits <= tries``.
    """
    if not 0 <= hits <= tries:
        raise ValueError(f"hits out of tries wanted, got {hits} of {tries}")
    if tries == 0:
        return 0.0, 1.0
    z = float(norm.ppf((1 + confidence) / 2))
    share = hits / tries
    middle = share + z * z / (2 * tries)
    reach = z * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries * tries))
    whole = 1 + z * z / tries
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)


def poisson(events: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval (Garwood 1936) of a count's mean. Raises ``ValueError`` for a negative count."""
    if events < 0:
        raise ValueError(f"a count is not negative, got {events}")
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * events + 2)) / 2
