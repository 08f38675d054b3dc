from __future__ import annotations

import numpy as np
import pytest

from airside.bank.prototypes import unit
from eval.road.peers import LOGIT_TEMPERATURE, PEERS, SHRINKAGE, mahalanobis, max_logit
from eval.road.support import SupportPatches

CHANNELS, CLASSES, EACH = 32, 4, 60


def around(centre: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return unit(centre + 0.12 * rng.normal(size=(count, CHANNELS)))


@pytest.fixture
def support() -> SupportPatches:
    rng = np.random.default_rng(1)
    centres = np.eye(CHANNELS)[:CLASSES]
    return SupportPatches.from_classes([around(c, EACH, rng) for c in centres], tuple("abcd"))


OWN = [name for name in PEERS if not name.startswith("ood-")]


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_tells_what_it_never_saw(name: str, support: SupportPatches) -> None:
    if name not in OWN:
        pytest.importorskip("pytorch_ood")
    rng = np.random.default_rng(2)
    known, unknown = around(np.eye(CHANNELS)[1], 100, rng), around(np.eye(CHANNELS)[-1], 100, rng)
    score = PEERS[name](support)
    assert score(known).shape == (100,)
    assert np.isfinite(score(known)).all()
    assert np.median(score(unknown)) > np.quantile(score(known), 0.95)


def test_mahalanobis_is_the_shortest_distance_to_a_mean(support: SupportPatches) -> None:
    tokens = support.tokens.astype(np.float64)
    means = np.stack([tokens[support.class_index == k].mean(axis=0) for k in range(CLASSES)])
    inside = tokens - means[support.class_index]
    covariance = inside.T @ inside / len(inside)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / CHANNELS * np.eye(CHANNELS)
    inverse = np.linalg.inv(shrunk)
    wanted = [min(np.sqrt((t - m) @ inverse @ (t - m)) for m in means) for t in tokens[:7]]
    assert mahalanobis(support)(support.tokens[:7]) == pytest.approx(wanted, rel=1e-5)


def test_max_logit_is_a_fitted_classifier() -> None:
    """Two classes side by side: the means point between them, fitted directions lean apart, so that what lies in the
    middle resembles neither."""
    rng = np.random.default_rng(3)
    left, right = unit(np.eye(8)[0] + 0.2 * np.eye(8)[1]), unit(np.eye(8)[0] - 0.2 * np.eye(8)[1])
    tokens = [unit(c + 0.02 * rng.normal(size=(50, 8))) for c in (left, right)]
    score = max_logit(SupportPatches.from_classes(tokens, ("left", "right")))
    middle, both = np.eye(8, dtype=np.float32)[:1], np.stack([left, right]).astype(np.float32)
    assert score(middle)[0] > score(both).max() + 0.1
    assert score(both).min() >= -1 / LOGIT_TEMPERATURE
