"""Bird's-eye IoU against scikit-learn, what counts, the constant prior against every constant answer, and refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from airside.geometry.bev_grid import BevGrid
from eval.metrics.bev import BevAccumulator, constant_prior, layer_iou, radius_cells

GRID = BevGrid(12, 10, 1.0)
LAYERS = ("vehicles", "drivable")


def random_frame(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((2, *GRID.shape)) < 0.4
    return truth ^ (rng.random(truth.shape) < 0.2), truth, rng.random(GRID.shape) < 0.8


@pytest.mark.parametrize("seed", range(4))
def test_one_frame_agrees_with_scikit_learn(seed: int) -> None:
    predicted, truth, mask = random_frame(seed)
    found = layer_iou(predicted[0], truth[0], mask)
    assert found.iou == pytest.approx(jaccard_score(truth[0][mask], predicted[0][mask]), abs=1e-12)
    assert found.everywhere == pytest.approx(jaccard_score(truth[0][mask], np.ones(mask.sum(), bool)), abs=1e-12)


def test_frames_are_pooled_within_the_radius_and_in_view() -> None:
    accumulator = BevAccumulator(LAYERS, GRID, radius_m=4.0)
    flat: list[list[np.ndarray]] = [[], []]
    x, y = np.moveaxis(GRID.centres_xy_m(), -1, 0)
    for seed in range(5):
        predicted, truth, visible = random_frame(seed)
        accumulator.add(predicted, truth, visible)
        counts = visible & (x**2 + y**2 <= 16)
        for name, values in enumerate((predicted, truth)):
            flat[name].append(values[:, counts])
    pooled = [np.concatenate(parts, axis=1) for parts in flat]
    result = accumulator.compute()
    assert tuple(result) == LAYERS
    for k, name in enumerate(LAYERS):
        assert result[name].iou == pytest.approx(jaccard_score(pooled[1][k], pooled[0][k]), abs=1e-12)
        assert result[name].cells == pooled[0].shape[1]
        assert result[name].positives == pooled[1][k].sum()
    assert result["vehicles"].iou != result["drivable"].iou


def test_perfect_is_one_wrong_is_zero_and_nothing_is_none() -> None:
    _, truth, mask = random_frame(0)
    assert layer_iou(truth[0], truth[0], mask).iou == 1
    assert layer_iou(~truth[0], truth[0], mask).iou == 0
    empty = np.zeros(GRID.shape, bool)
    assert layer_iou(empty, empty, mask).iou is None
    assert layer_iou(truth[0], truth[0], empty).everywhere is None
    assert layer_iou(empty, truth[0], ~truth[0]).iou is None  # the truth is out of view
    assert BevAccumulator(LAYERS, GRID, radius_m=4).compute()["vehicles"].iou is None


def test_a_mistake_out_of_view_or_out_of_reach_costs_nothing() -> None:
    accumulator = BevAccumulator(["one"], GRID, radius_m=3.0)
    truth = np.zeros((1, *GRID.shape), bool)
    truth[0, 6, 5] = True
    wrong = truth.copy()
    wrong[0, 0, 0] = wrong[0, 5, 5] = True
    visible = np.ones(GRID.shape, bool)
    visible[5, 5] = False
    accumulator.add(wrong, truth, visible)
    assert accumulator.compute()["one"].iou == 1


def test_cells_within_a_radius() -> None:
    grid = BevGrid()
    near = radius_cells(grid, 25)
    assert near.sum() * 0.25 == pytest.approx(np.pi * 25**2, rel=0.01)
    assert near[100, 149]
    assert not near[100, 150]
    np.testing.assert_array_equal(near, near[::-1, ::-1])


@pytest.mark.parametrize("seed", range(8))
def test_no_constant_answer_beats_the_prior(seed: int) -> None:
    grid = BevGrid(3, 3, 1.0)
    rng = np.random.default_rng(seed)
    frames = [(rng.random((1, 3, 3)) < rng.random((1, 3, 3)), rng.random((3, 3)) < 0.8) for _ in range(4)]

    def score(answer: np.ndarray) -> float:
        accumulator = BevAccumulator(["one"], grid, radius_m=9)
        for truth, visible in frames:
            accumulator.add(answer, truth, visible)
        return accumulator.compute()["one"].iou or 0.0

    answers = (np.array(bits, bool).reshape(1, 3, 3) for bits in itertools.product((False, True), repeat=9))
    best = score(constant_prior(frames, 1, grid, radius_m=9))
    assert best == pytest.approx(max(map(score, answers)), abs=1e-12)
    assert best < 1


def test_the_prior_is_per_layer_within_the_radius_and_empty_where_there_is_no_truth() -> None:
    truth = np.zeros((2, *GRID.shape), bool)
    truth[1] = True
    visible = np.ones(GRID.shape, bool)
    visible[6, 5] = False
    prior = constant_prior([(truth, visible)] * 2, 2, GRID, radius_m=3)
    assert not prior[0].any()
    np.testing.assert_array_equal(prior[1], radius_cells(GRID, 3) & visible)


def test_what_can_not_be_scored_is_refused() -> None:
    predicted, truth, visible = random_frame(0)
    accumulator = BevAccumulator(LAYERS, GRID, radius_m=4)
    accumulator.add(predicted, truth, visible)
    before = accumulator.compute()
    for bad, message in (
        ((predicted.astype(np.float32), truth, visible), "prediction: wanted bool"),
        ((predicted[:1], truth, visible), "prediction: wanted bool"),
        ((predicted, truth[:, :-1], visible), "truth: wanted bool"),
        ((predicted, truth.astype(np.uint8), visible), "truth: wanted bool"),
        ((predicted, truth, visible[:-1]), "visible: wanted bool"),
        ((predicted, truth, visible.astype(np.uint8)), "visible: wanted bool"),
    ):
        with pytest.raises(ValueError, match=message):
            accumulator.add(*bad)
    assert accumulator.compute() == before
    with pytest.raises(ValueError, match="mask: wanted bool"):
        layer_iou(predicted[0], truth[0], visible.astype(int))
    with pytest.raises(ValueError, match="prediction: wanted bool"):
        layer_iou(predicted[0, :-1], truth[0], visible)
    with pytest.raises(ValueError, match="truth: wanted bool"):
        constant_prior([(truth[0], visible)], 2, GRID, radius_m=4)
    with pytest.raises(ValueError, match="visible: wanted bool"):
        constant_prior([(truth, visible[:-1])], 2, GRID, radius_m=4)
    for radius in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="radius_m must be positive"):
            BevAccumulator(LAYERS, GRID, radius_m=radius)
    for layers in ([], ["one", "one"]):
        with pytest.raises(ValueError, match="layers must be named"):
            BevAccumulator(layers, GRID, radius_m=4)
