"""Depth metrics against scikit-learn and a loop, what counts, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_percentage_error, root_mean_squared_error

from eval.metrics.depth import DepthAccumulator, depth_metrics


def random_pair(seed: int, shape: tuple[int, ...] = (9, 13)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 60, shape).astype(np.float32)
    return (truth * rng.lognormal(0, 0.4, shape)).astype(np.float32), truth


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn_and_a_loop(seed: int) -> None:
    depth, truth = random_pair(seed)
    metrics = depth_metrics(depth, truth, max_depth_m=80)
    assert metrics is not None
    d, t = depth.ravel().astype(np.float64), truth.ravel().astype(np.float64)
    assert metrics.abs_rel == pytest.approx(mean_absolute_percentage_error(t, d), rel=1e-12)
    assert metrics.rmse_m == pytest.approx(root_mean_squared_error(t, d), rel=1e-12)
    for power, delta in enumerate((metrics.delta1, metrics.delta2, metrics.delta3), start=1):
        within = [max(a / b, b / a) < 1.25**power for a, b in zip(d, t, strict=True)]
        assert delta == pytest.approx(np.mean(within), abs=1e-12)
    assert metrics.delta1 < metrics.delta2 < metrics.delta3 < 1
    assert metrics.pixels == truth.size


def test_perfect_is_exact() -> None:
    _, truth = random_pair(0)
    metrics = depth_metrics(truth, truth, max_depth_m=80)
    assert metrics is not None
    assert (metrics.abs_rel, metrics.rmse_m, metrics.delta1, metrics.delta2, metrics.delta3) == (0, 0, 1, 1, 1)


@pytest.mark.parametrize(
    ("factor", "deltas"),
    [(1.24, (1, 1, 1)), (1.25, (0, 1, 1)), (0.8, (0, 1, 1)), (1.5625, (0, 0, 1)), (2.0, (0, 0, 0)), (0.5, (0, 0, 0))],
)
def test_deltas_are_ratios_in_both_directions_and_strict(factor: float, deltas: tuple[int, int, int]) -> None:
    truth = np.array([2.0, 4.0, 8.0])
    metrics = depth_metrics(truth * factor, truth, max_depth_m=80)
    assert metrics is not None
    assert (metrics.delta1, metrics.delta2, metrics.delta3) == deltas
    assert metrics.abs_rel == pytest.approx(abs(factor - 1))


def test_only_valid_truth_in_range_and_under_the_mask_counts() -> None:
    truth = np.array([10.0, 20.0, 0.0, -1.0, np.nan, np.inf, 45.0, 45.1, 30.0])
    depth = np.array([11.0, 20.0, np.nan, 1.0, 1.0, 1.0, 45.0, np.inf, 0.0])
    mask = np.array([True] * 8 + [False])
    metrics = depth_metrics(depth, truth, max_depth_m=45, mask=mask)
    assert metrics is not None
    assert metrics.pixels == 3
    assert metrics.abs_rel == pytest.approx(0.1 / 3)
    assert metrics.rmse_m == pytest.approx(math.sqrt(1 / 3))


def test_frames_are_pooled_by_pixel() -> None:
    frames = [random_pair(seed, (seed + 1, 7)) for seed in range(4)]
    accumulator = DepthAccumulator(max_depth_m=50)
    for depth, truth in frames:
        accumulator.add(depth, truth)
    together = depth_metrics(
        np.concatenate([d for d, _ in frames]), np.concatenate([t for _, t in frames]), max_depth_m=50
    )
    pooled = accumulator.compute()
    assert pooled is not None
    assert together is not None
    assert pooled.pixels == together.pixels < sum(t.size for _, t in frames)
    assert (pooled.delta1, pooled.delta2, pooled.delta3) == (together.delta1, together.delta2, together.delta3)
    assert (pooled.abs_rel, pooled.rmse_m) == pytest.approx((together.abs_rel, together.rmse_m), rel=1e-12)


@pytest.mark.parametrize("truth", [np.zeros((3, 4)), np.full((3, 4), np.nan), np.full((3, 4), 99.0), np.zeros((0, 4))])
def test_nothing_to_say(truth: np.ndarray) -> None:
    assert depth_metrics(np.ones(truth.shape), truth, max_depth_m=80) is None
    assert DepthAccumulator(max_depth_m=80).compute() is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -3.0])
def test_refuses_a_depth_that_is_none_and_keeps_its_sums(value: float) -> None:
    depth, truth = random_pair(1)
    accumulator = DepthAccumulator(max_depth_m=80)
    accumulator.add(depth, truth)
    before = accumulator.compute()
    broken = depth.copy()
    broken[2, 3:5] = value
    with pytest.raises(ValueError, match="2 of the 117 pixels"):
        accumulator.add(broken, truth)
    assert accumulator.compute() == before


@pytest.mark.parametrize(
    ("depth", "mask", "limit", "message"),
    [
        (np.ones((3, 4)), None, 80, "differ in shape"),
        (np.ones((4, 3)), np.ones((3, 4), bool), 80, "bool mask"),
        (np.ones((4, 3)), np.ones((4, 3)), 80, "bool mask"),
        (np.ones((4, 3)), None, 0, "max_depth_m"),
        (np.ones((4, 3)), None, math.nan, "max_depth_m"),
    ],
)
def test_refuses(depth: np.ndarray, mask: np.ndarray | None, limit: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        depth_metrics(depth, np.ones((4, 3)), max_depth_m=limit, mask=mask)
