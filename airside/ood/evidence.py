"""The region score: a scan statistic over the patch grid that knows no threshold.

What split conformal calibrates (the frame's maximum) and what a region is judged by are the same function, so a
region alarms exactly where the calibrated statistic exceeds the site's threshold.
"""

from __future__ import annotations

import cv2
import numpy as np

from airside.errors import InputError, UsageError
from airside.messages import OodMap
from airside.ood.logit import logit, sigmoid

_WINDOW = np.ones((3, 3), np.uint8)


def patch_evidence(ood_score: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
    """Mean log odds of each patch's 3x3 neighbourhood, as a score again: one odd patch among known ones is outvoted.

    ``ood_score`` [Hp, Wp] in [0, 1], ``observed`` [Hp, Wp] bool (``None``: all) -> [Hp, Wp] float64 in [0, 1], high =
    unknown. A patch at the border takes the best complete window that contains it, so that every value rests on nine
    patches and the rim is no noisier than the middle. Where no complete window exists (a picture under three patches
    wide) the mean is over what there is. Unobserved patches give no evidence and get 0.

    Raises :class:`InputError` on a score that is not finite, :class:`UsageError` on shapes that differ.
    """
    if ood_score.ndim != 2 or (observed is not None and observed.shape != ood_score.shape):
        raise UsageError(f"score and observed must share [Hp, Wp], got {ood_score.shape}")
    if not np.isfinite(ood_score).all():
        raise InputError("the score map holds values that are not finite")
    seen = np.ones(ood_score.shape, np.float64) if observed is None else observed.astype(np.float64)
    count = _sum3x3(seen)
    mean = _sum3x3(logit(ood_score) * seen) / np.maximum(count, 1.0)
    complete = np.where(count == 9, mean, -np.inf)
    best_containing = cv2.dilate(complete, _WINDOW, borderType=cv2.BORDER_CONSTANT, borderValue=-np.inf)
    out = np.where(count == 9, mean, np.where(np.isfinite(best_containing), best_containing, mean))
    return np.where(seen > 0, sigmoid(out), 0.0)


def frame_region_score(ood_map: OodMap, observed: np.ndarray | None = None) -> float:
    """The greatest evidence in the frame, in [0, 1]: what split conformal calibrates (:mod:`airside.ood.conformal`).

    No region's score exceeds it, and where it exceeds the threshold a region with that very score is reported, unless
    the region is smaller than ``RegionRules.min_patches_unknown``: that rule can only lower the alarm rate.
    """
    return float(patch_evidence(ood_map.ood_score, observed).max())


def _sum3x3(values: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.boxFilter(values, cv2.CV_64F, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT))
