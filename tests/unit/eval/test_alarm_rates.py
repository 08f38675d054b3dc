from __future__ import annotations

import re

import numpy as np
import pytest

from airside.errors import UsageError
from eval.alarm_rates import (
    CleanScores,
    condition_rates,
    rate_interval,
    shift_rates,
    split_rates,
    split_summary,
    spoiled_rates,
)
from eval.calibration import evaluate, lines
from eval.metrics.drift import drift


def clean(seed: int, drives: int = 60, frames: int = 10, night: float = 0.0) -> CleanScores:
    """Exchangeable scores, but for ``night`` added on every fourth drive."""
    rng = np.random.default_rng(seed)
    drive = np.repeat(np.arange(drives), frames)
    condition = np.where(drive % 4 == 0, "night", "day")
    score = rng.normal(0, 1, len(drive)) + np.where(condition == "night", night, 0.0)
    return CleanScores(1 / (1 + np.exp(-score)), drive, condition)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_exchangeable_frames_keep_the_promise(alpha: float) -> None:
    found = split_summary(split_rates(clean(1), alpha, 50, np.random.default_rng(0)), alpha)
    assert found["mean_inside"]
    assert found["splits_inside"] >= 0.8
    assert found["realised_mean"] == pytest.approx(alpha, abs=0.03)


def test_the_interval_is_that_of_the_law() -> None:
    """By simulation: calibrate on 99, ask 200."""
    rng = np.random.default_rng(2)
    rates = []
    for _ in range(4000):
        scores = rng.random(299)
        rates.append((scores[99:] > np.sort(scores[:99])[-10]).mean())
    low, high = rate_interval(99, 200, 0.1)
    assert (low, high) == pytest.approx(np.quantile(rates, [0.025, 0.975]), abs=0.02)


def test_drives_are_never_on_both_sides() -> None:
    """Every drive has one score of its own: half of the drives lie above, whatever the split."""
    drive = np.repeat(np.arange(40), 5)
    scores = CleanScores(np.where(drive < 20, 0.2, 0.8) + drive / 1000, drive, np.full(len(drive), "day"))
    rates = {round(s.realised * 100) for s in split_rates(scores, 0.1, 20, np.random.default_rng(3))}
    assert all(rate % 5 == 0 for rate in rates)  # whole drives of the 20


def test_a_shift_is_seen_in_rate_and_drift() -> None:
    rng = np.random.default_rng(4)
    still = shift_rates(clean(5), "day", 0.05, rng)["conditions"]
    moved = shift_rates(clean(5, night=2.0), "day", 0.05, rng)["conditions"]
    assert not still["night"]["recalibrate"]
    assert moved["night"]["recalibrate"]
    assert not moved["day"]["recalibrate"]
    assert moved["night"]["realised"] > 0.3 > moved["day"]["realised"]
    assert condition_rates(clean(5, night=2.0), 0.05, 5, rng)["night"] > 0.1


def spoiled(seed: int, fog: float, drives: int = 60) -> CleanScores:
    """One picture a drive: fog raises its score, blur does not."""
    rng = np.random.default_rng(seed)
    kind = np.tile(["fog", "blur"], drives)
    score = rng.normal(0, 1, 2 * drives) + np.where(kind == "fog", fog, 0.0)
    return CleanScores(1 / (1 + np.exp(-score)), np.repeat(np.arange(drives), 2), kind)


def test_spoiled_pictures_are_seen_in_rate_and_drift() -> None:
    kinds = spoiled_rates(clean(5), spoiled(8, fog=2.5), 0.05, np.random.default_rng(0))["kinds"]
    assert list(kinds) == ["fog", "blur"]
    assert kinds["fog"]["recalibrate"]
    assert kinds["fog"]["realised"] > 0.5
    assert not kinds["blur"]["recalibrate"]
    assert kinds["blur"]["realised"] < 0.25
    assert kinds["fog"]["frames"] == 30  # of the drives that did not calibrate


def test_too_few_frames_for_a_promise_are_refused() -> None:
    with pytest.raises(UsageError, match="99 clean frames"):
        split_rates(clean(6, drives=4), 0.01, 1, np.random.default_rng(0))


def test_drift_is_a_share_of_pairs() -> None:
    found = drift(np.array([0.1, 0.2, 0.3]), np.array([0.15, 0.3]))
    assert found.chance == pytest.approx((1 + 2.5) / 6)
    assert not found.due
    assert drift(np.arange(30) / 100, np.arange(30) / 100 + 1).due
    assert not drift(np.arange(30) / 100 + 1, np.arange(30) / 100).due  # sunk: no more alarms than promised


@pytest.mark.parametrize("recent", [np.zeros(0), np.array([np.nan])])
def test_drift_of_nothing_is_refused(recent: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite scores"):
        drift(np.array([0.1]), recent)


def test_the_report_reads() -> None:
    words = "\n".join(lines(evaluate(clean(7), spoiled(9, fog=2.5), "default")))
    assert "600 clean frames of 60 drives" in words
    assert re.search(r"fog +\d.*recalibrate", words)
    assert "night" in words
