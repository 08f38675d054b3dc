import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from eval.metrics.pixel import PixelAccumulator, pixel_metrics


def by_sklearn(score: np.ndarray, label: np.ndarray) -> tuple[float, float, float]:
    used = label != 255
    truth, values = label[used], score[used].astype(np.float32)
    false_rate, true_rate, _ = roc_curve(truth, values, drop_intermediate=False)
    fpr95 = false_rate[np.flatnonzero(true_rate >= 0.95 - 1e-12)[0]]
    return average_precision_score(truth, values), roc_auc_score(truth, values), float(fpr95)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 400), st.sampled_from([1, 2, 5, 50, None]), st.floats(0.02, 0.9))
def test_equals_scikit_learn(seed: int, pixels: int, levels: int | None, share: float) -> None:
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(pixels) < share, 1, 0).astype(np.uint8)
    label[rng.random(pixels) < 0.1] = 255
    score = rng.normal(0, 1, pixels) + (label == 1)
    if levels is not None:
        score = np.floor(score * levels) / levels  # many ties
    got = pixel_metrics(score, label)
    if not (label == 1).any() or not (label == 0).any():
        assert got is None
        return
    assert got is not None
    np.testing.assert_allclose((got.ap, got.auroc, got.fpr95), by_sklearn(score, label), rtol=1e-9, atol=1e-12)
    assert (got.positives, got.negatives) == ((label == 1).sum(), (label == 0).sum())


def test_frames_pool_into_one() -> None:
    rng = np.random.default_rng(1)
    score = rng.random((6, 20, 30)).astype(np.float32)
    label = rng.choice([0, 0, 0, 1, 255], score.shape).astype(np.uint8)
    label[0][label[0] == 1] = 0  # a clean frame adds known pixels only
    accumulator = PixelAccumulator()
    assert accumulator.compute() is None
    for s, y in zip(score, label, strict=True):
        accumulator.add(s, y)
    pooled = accumulator.compute()
    assert pooled == pixel_metrics(score, label)
    assert accumulator.compute() == pooled
    assert pooled != pixel_metrics(1 - score, label)


def test_what_perfect_and_worst_mean() -> None:
    label = np.array([0, 0, 0, 1], np.uint8)
    perfect = pixel_metrics(np.array([0.1, 0.2, 0.3, 0.4]), label)
    worst = pixel_metrics(np.array([0.4, 0.3, 0.2, 0.1]), label)
    assert perfect is not None
    assert worst is not None
    assert (perfect.ap, perfect.auroc, perfect.fpr95) == (1, 1, 0)
    assert (worst.ap, worst.auroc, worst.fpr95) == (0.25, 0, 1)


def test_probabilities_next_to_one_stay_apart() -> None:
    score = np.array([1 - 1e-7, 1 - 3e-7, 1 - 5e-7, 1e-30])
    got = pixel_metrics(score, np.array([1, 0, 0, 0], np.uint8))
    assert got is not None
    assert got.ap == 1


def test_nothing_to_say_is_none() -> None:
    assert pixel_metrics(np.zeros(3), np.zeros(3, np.uint8)) is None
    assert pixel_metrics(np.zeros(3), np.ones(3, np.uint8)) is None
    assert pixel_metrics(np.zeros(3), np.full(3, 255, np.uint8)) is None


@pytest.mark.parametrize(
    ("score", "label", "message"),
    [
        (np.zeros(3), np.zeros(4, np.uint8), "shape"),
        (np.zeros(2), np.array([0, 2], np.uint8), "got 2"),
        (np.array([0.0, np.nan]), np.array([0, 1], np.uint8), "finite"),
        (np.array([np.inf, 0.0]), np.array([0, 1], np.uint8), "finite"),
        (np.array([1e300, 0.0]), np.array([0, 1], np.uint8), "finite"),
    ],
)
def test_refuses(score: np.ndarray, label: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pixel_metrics(score, label)


def test_ignored_pixels_may_hold_anything() -> None:
    got = pixel_metrics(np.array([0.1, 0.9, np.nan]), np.array([0, 1, 255], np.uint8))
    assert got is not None
    assert got.ap == 1
