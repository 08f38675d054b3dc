"""Whether the view can be trusted: pure functions, each giving one :class:`Health`; the worst of them counts.

BLIND: nothing may be concluded from the picture. DEGRADED: results come, but are worth less than usual.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from airside.messages import CameraStatus, Health, HealthState

OK = Health(HealthState.OK)

BLACK_P99 = 16  # of 255: the brightest hundredth of a covered or dead camera; a lit apron at night is far above
DARK_P99 = 48
BLANK_SPREAD = 3  # levels between the 1st and 99th percentile: fog on the lens, overexposure, a test colour
FLAT_SPREAD = 20
FROZEN_DEGRADED = 3  # equal pictures in a row: sensor noise alone makes two exposures differ
FROZEN_BLIND = 10

_ORDER = (HealthState.OK, HealthState.DEGRADED, HealthState.BLIND)
_SAMPLE_STEP = 4
_MEAN = np.full(3, 1 / 3)  # of a pixel's three values; several times as fast as asking NumPy for it


def picture_health(image: np.ndarray) -> Health:
    """Black, dark, blank or nearly blank pictures ([H, W, 3] uint8 RGB, at least 14 px a side)."""
    sample = image[::_SAMPLE_STEP, ::_SAMPLE_STEP].reshape(-1, 3)
    low, high = (float(v) for v in np.percentile(sample @ _MEAN, (1, 99)))
    if high < BLACK_P99:
        return Health(HealthState.BLIND, ("black_frame",))
    if high - low < BLANK_SPREAD:
        return Health(HealthState.BLIND, ("blank_frame",))
    if high < DARK_P99:
        return Health(HealthState.DEGRADED, ("dark_frame",))
    if high - low < FLAT_SPREAD:
        return Health(HealthState.DEGRADED, ("low_contrast",))
    return OK


def frozen_count(image: np.ndarray, previous: np.ndarray | None, count: int) -> int:
    """How many pictures in a row have been equal, ``image`` included, when ``count`` were up to ``previous``."""
    same = previous is not None and previous.shape == image.shape and bool(np.array_equal(previous, image))
    return count + 1 if same else 1


def frozen_health(count: int) -> Health:
    """From :func:`frozen_count`."""
    if count >= FROZEN_BLIND:
        return Health(HealthState.BLIND, ("frozen_frame",))
    if count >= FROZEN_DEGRADED:
        return Health(HealthState.DEGRADED, ("frozen_frame",))
    return OK


def scene_health(ood_score: np.ndarray, observed: np.ndarray, threshold: float, limit: float) -> Health:
    """Whole-scene novelty: the share of observed patches whose score exceeds ``threshold``, against ``limit``.

    ``ood_score`` [Hp, Wp] float in [0, 1], high = unknown; ``observed`` [Hp, Wp] bool. A score that is not finite
    makes the picture BLIND: the engine is not working. So does a picture of which nothing is observed.
    """
    seen = ood_score[observed]
    if seen.size == 0:
        return Health(HealthState.BLIND, ("nothing_observed",))
    if not np.isfinite(seen).all():
        return Health(HealthState.BLIND, ("score_not_finite",))
    if float((seen > threshold).mean()) > limit:
        return Health(HealthState.DEGRADED, ("novel_scene",))
    return OK


def worst(*parts: Health) -> Health:
    """The worst state of all ``parts`` with every reason, in order, each once."""
    state = max((part.state for part in parts), key=_ORDER.index, default=HealthState.OK)
    return Health(state, tuple(dict.fromkeys(reason for part in parts for reason in part.reasons)))


def rig_health(statuses: Sequence[CameraStatus], ahead: Collection[str]) -> Health:
    """The whole vehicle's, from its cameras'. BLIND when none of the cameras ``ahead`` shows anything; any other
    trouble is DEGRADED, its reasons prefixed with the camera's name. A single camera's is its own."""
    if len(statuses) == 1:
        return statuses[0].health
    reasons = tuple(f"{status.camera}_{reason}" for status in statuses for reason in status.health.reasons)
    blind = all(s.health.state is HealthState.BLIND for s in statuses if s.camera in ahead)
    if blind:
        return Health(HealthState.BLIND, reasons)
    return Health(HealthState.DEGRADED, reasons) if reasons else OK
