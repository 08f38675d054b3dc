from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from eval.metrics.official import PooledBins, figures_of, frame_bins, sorted_quantiles
from eval.metrics.pixel import pixel_metrics


def frame(seed: int, unknown: int, known: int, gap: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.sort(rng.normal(gap, 1, unknown)).astype(np.float32), np.sort(rng.normal(0, 1, known)).astype(np.float32)


def test_quantiles_are_numpys() -> None:
    scores = frame(0, 1000, 1)[0]
    np.testing.assert_allclose(sorted_quantiles(scores, 384), np.quantile(scores.astype(float), np.linspace(0, 1, 384)))


def test_bins_lose_no_pixel() -> None:
    bins = frame_bins(*frame(1, 700, 5000))
    assert (bins.unknown.sum(), bins.known.sum()) == (700, 5000)
    assert len(bins.threshold) <= 2 * 384 + 1


def test_small_frames_are_nearly_exact() -> None:
    """Up to 384 pixels of a kind every score is an edge, but for rounding of the quantile's place."""
    unknown, known = frame(2, 200, 380)
    curve = PooledBins([frame_bins(unknown, known)]).curve()
    assert curve is not None
    figures = figures_of(curve)
    truth, score = np.repeat([1, 0], [200, 380]), np.concatenate([unknown, known])
    precision, recall, _ = precision_recall_curve(truth, score)
    assert figures.ap == pytest.approx(average_precision_score(truth, score), abs=1e-4)
    assert figures.auroc == pytest.approx(roc_auc_score(truth, score), abs=1e-4)
    assert figures.best_f1 == pytest.approx((2 * precision * recall / (precision + recall)).max(), abs=2e-3)
    exact = pixel_metrics(score, truth.astype(np.uint8))
    assert exact is not None
    assert figures.best_f1 == pytest.approx(exact.best_f1, abs=2e-3)
    assert figures.fpr95 == pytest.approx(exact.fpr95, abs=5e-3)


def test_weights_are_repetition() -> None:
    frames = [frame_bins(*frame(k, 500, 900, k / 2)) for k in range(4)]
    weighted = PooledBins(frames).curve(np.array([2, 0, 1, 1]))
    repeated = PooledBins([frames[0], frames[0], frames[2], frames[3]]).curve()
    assert weighted is not None
    assert repeated is not None
    assert figures_of(weighted) == figures_of(repeated)
    assert figures_of(weighted) != figures_of(PooledBins(frames).curve(np.ones(4)) or repeated)


def test_one_kind_of_pixel_says_nothing() -> None:
    unknown, known = frame(3, 50, 50)
    pooled = PooledBins([frame_bins(unknown, known[:0]), frame_bins(unknown[:0], known)])
    assert pooled.curve() is not None
    assert pooled.curve(np.array([1, 0])) is None
    assert pooled.curve(np.array([0, 1])) is None
