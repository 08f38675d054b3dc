"""The threshold of a site: from clean frames, such that at most a share alpha of clean frames alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from airside.errors import UsageError

ALPHA = 0.01  # promised share of clean frames that alarm, where nobody asks for another
ALPHA_PATH = 0.03  # promised share of clean paths in which a single frame finds something unfamiliar
_ROUNDING = 1e-9  # (n + 1) * alpha is meant as written in decimals: 100 * 0.01 is 1


def clean_frames_needed(alpha: float) -> int:
    """The least number of clean frames that can promise ``alpha``: ``1 / alpha - 1``, rounded up."""
    if not 0.0 < alpha < 1.0:
        raise UsageError(f"alpha must lie between 0 and 1, got {alpha}")
    return max(math.ceil(1.0 / alpha - 1.0 - _ROUNDING), 1)


def threshold_from_clean(frame_scores: Sequence[float] | np.ndarray, alpha: float) -> float:
    """Split conformal threshold: the ``ceil((n + 1)(1 - alpha))``-th smallest of n clean ``frame_scores`` [n].

    A frame alarms when its score *exceeds* the threshold, so ties only lower the rate. For frames exchangeable with
    these, the alarm rate is at most alpha on average over calibrations; the rate that one calibration realises follows
    Beta(n + 1 - k, k), k the rank above, and alarms among m frames are beta-binomial (Vovk 2012; Angelopoulos and
    Bates, arXiv 2107.07511, sec. 3.2). Frames of one drive are not exchangeable: calibrate on many, test on others.

    Raises :class:`UsageError` on too few frames (naming how many are needed), on a score that is not finite, and where
    the threshold would be 1, which no score can exceed: such a site would be silently blind.
    """
    needed = clean_frames_needed(alpha)
    scores = np.sort(np.asarray(frame_scores, np.float64).reshape(-1))
    if not np.isfinite(scores).all():
        raise UsageError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} clean frame scores are not finite")
    if len(scores) < needed:
        raise UsageError(f"alpha {alpha:g} needs at least {needed} clean frames, got {len(scores)}; record more")
    rank = len(scores) + 1 - math.floor((len(scores) + 1) * alpha + _ROUNDING)
    threshold = float(scores[rank - 1])
    if threshold >= 1.0:
        raise UsageError(
            f"{int((scores >= 1.0).sum())} of {len(scores)} clean frames score 1: nothing could ever alarm; "
            "look at those frames, and enrol what they show or use another method"
        )
    return threshold
