import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom

from airside.errors import UsageError
from airside.ood.conformal import clean_frames_needed, threshold_from_clean


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 0.99), min_size=9, max_size=80), st.sampled_from([0.1, 0.2, 0.5]))
def test_is_the_order_statistic(scores: list[float], alpha: float) -> None:
    rank = math.ceil(round((len(scores) + 1) * (1 - alpha), 9))
    threshold = threshold_from_clean(scores, alpha)
    assert threshold == sorted(scores)[rank - 1]
    assert sum(s > threshold for s in scores) <= alpha * (len(scores) + 1)


@pytest.mark.parametrize(("alpha", "needed"), [(0.01, 99), (0.05, 19), (0.1, 9), (0.5, 1), (0.03, 33), (0.9, 1)])
def test_number_of_clean_frames(alpha: float, needed: int) -> None:
    assert clean_frames_needed(alpha) == needed
    scores = np.linspace(0, 0.9, needed)
    assert 0 <= threshold_from_clean(scores, alpha) <= 0.9
    if needed > 1:
        with pytest.raises(UsageError, match=f"at least {needed} clean frames, got {needed - 1}"):
            threshold_from_clean(scores[1:], alpha)


def test_alarms_over_exchangeable_draws_are_beta_binomial() -> None:
    rng = np.random.default_rng(7)
    n, frames, alpha, trials = 99, 200, 0.05, 4000
    counts = np.empty(trials, int)
    for t in range(trials):
        draw = rng.permuted(rng.beta(2, 5, n + frames))
        counts[t] = (draw[n:] > threshold_from_clean(draw[:n], alpha)).sum()
    rank = math.ceil(round((n + 1) * (1 - alpha), 9))
    law = betabinom(frames, n + 1 - rank, rank)
    standard_error = law.std() / frames / math.sqrt(trials)
    assert counts.mean() / frames <= alpha + 3 * standard_error
    # Kolmogorov distance of the empirical law; 1.63 / sqrt(trials) is the 1 % point (conservative: discrete)
    support = np.arange(frames + 1)
    empirical = np.searchsorted(np.sort(counts), support, side="right") / trials
    assert np.abs(empirical - law.cdf(support)).max() < 1.63 / math.sqrt(trials)
    wrong = betabinom(frames, n + 2 - rank, rank - 1)  # one rank off is told apart
    assert np.abs(empirical - wrong.cdf(support)).max() > 1.63 / math.sqrt(trials)


def test_ties_never_raise_the_rate() -> None:
    rng = np.random.default_rng(8)
    rates = []
    for _ in range(500):
        draw = rng.integers(0, 4, 299) / 5
        rates.append((draw[99:] > threshold_from_clean(draw[:99], 0.1)).mean())
    assert np.mean(rates) <= 0.1


@pytest.mark.parametrize(
    ("scores", "alpha", "message"),
    [
        ([0.1] * 98 + [np.nan], 0.01, "1 of 99 .* not finite"),
        ([0.1] * 98 + [np.inf], 0.01, "not finite"),
        ([], 0.5, "at least 1 clean frames"),
        ([0.5] * 10, 0.0, "between 0 and 1"),
        ([0.5] * 10, 1.0, "between 0 and 1"),
        ([0.5] * 10, math.nan, "between 0 and 1"),
        ([0.5] * 10 + [1.0] * 9, 0.1, "9 of 19 clean frames score 1"),
    ],
)
def test_refuses(scores: list[float], alpha: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        threshold_from_clean(scores, alpha)
