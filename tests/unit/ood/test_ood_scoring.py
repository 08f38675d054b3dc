from dataclasses import replace

import numpy as np
import pytest

from airside.bank.search import SOFT_TEMPERATURE, Similarity
from airside.errors import InputError, UsageError
from airside.ood.calibration import TailModel
from airside.ood.logit import sigmoid
from airside.ood.scoring import (
    EVIDENCE_CENTRE,
    EVIDENCE_SCALE,
    GUARD_WEIGHT,
    METHODS,
    PROWL_FLAG_BELOW,
    PatchScores,
    ood_map,
    scorer,
)


@pytest.fixture
def tails() -> TailModel:
    rng = np.random.default_rng(0)
    held_out = [rng.normal(0.95, 0.01, 2000), rng.normal(0.6, 0.08, 2000), rng.normal(0.8, 0.03, 60)]
    return TailModel.fit(held_out, [200, 200, 8])


@pytest.fixture
def similarities() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    to_means = rng.uniform(-0.3, 1, (200, 3)).astype(np.float32)
    return to_means, np.clip(to_means + rng.uniform(0, 0.1, to_means.shape), -1, 1).astype(np.float32)


def _similarity(to_means: np.ndarray, to_prototypes: np.ndarray, to_guard: float = 0.0) -> Similarity:
    return Similarity(
        to_means,
        to_prototypes,
        0.5 * (to_means + to_prototypes[: len(to_means)]) if len(to_means) == len(to_prototypes) else to_prototypes,
        np.full(len(to_means), to_guard),
        np.zeros(to_means.shape[1], bool),
        np.zeros(to_means.shape[1]),
    )


def test_default_is_the_log_likelihood_of_the_mixture_against_the_guard() -> None:
    soft = np.array([[0.9, 0.2, 0.1], [0.4, 0.4, 0.4], [0.2, 0.1, 0.0]])
    guard = np.array([0.0, 0.5, 0.9])
    got = METHODS["default"](Similarity(soft, soft, soft, guard, np.zeros(3, bool), np.zeros(3)), None)
    for row, to_guard, ood in zip(soft, guard, got.ood_score, strict=True):
        known = SOFT_TEMPERATURE * np.log(sum(np.exp(s / SOFT_TEMPERATURE) for s in row))
        odds = np.exp((EVIDENCE_CENTRE - known + GUARD_WEIGHT * to_guard) / EVIDENCE_SCALE)
        assert ood == pytest.approx(odds / (1 + odds), rel=1e-4)
    assert got.class_index[0] == 0
    assert (np.diff(got.ood_score) > 0).all()


def test_a_class_in_doubt_convinces_alone_and_keeps_its_name() -> None:
    soft = np.array([[0.9, 0.3, 0.2], [0.1, 0.9, 0.3], [0.5, 0.5, 0.5]])
    guard, new = np.zeros(3), np.array([True, False, False])

    def told(margin: float, columns: slice = slice(None)) -> PatchScores:
        seen = soft[:, columns]
        margins = np.array([margin, 0.0, 0.0])[columns]
        return METHODS["default"](Similarity(seen, seen, seen, guard, new[columns], margins), None)

    without = told(0, slice(1, None))
    for margin in (-0.1, 0.0, 0.15, 0.8):
        got = told(margin)
        wanted = sigmoid((EVIDENCE_CENTRE - (soft[:, 0] - margin)) / EVIDENCE_SCALE)
        np.testing.assert_allclose(got.ood_score, np.minimum(wanted, without.ood_score), rtol=1e-5)
        assert got.class_index.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(told(0.8).ood_score, without.ood_score)  # then it is as if nobody had taught it
    alone = told(0.0, slice(0, 1))  # in a bank that knows nothing else
    np.testing.assert_allclose(alone.ood_score, sigmoid((EVIDENCE_CENTRE - soft[:, 0]) / EVIDENCE_SCALE), rtol=1e-5)


def test_prowl_and_knn_are_one_minus_the_best_cosine(similarities: tuple[np.ndarray, np.ndarray]) -> None:
    for method, used in (("prowl", similarities[0]), ("knn", similarities[1])):
        got = METHODS[method](_similarity(*similarities), None)
        for row, ood, index, similarity in zip(used, *got, strict=True):
            assert similarity == max(row)
            assert row[index] == max(row)
            assert ood == pytest.approx(min(max(1 - max(row), 0), 1), abs=1e-6)
    assert 1.0 - METHODS["prowl"].uncalibrated_threshold == pytest.approx(PROWL_FLAG_BELOW)


def test_tail_is_one_minus_the_best_tail_probability(
    tails: TailModel, similarities: tuple[np.ndarray, np.ndarray]
) -> None:
    got = METHODS["tail"](_similarity(*similarities), tails)
    probability = tails.tail_probability(similarities[1])
    within_data = np.abs(tails.tail_logit(similarities[1]).max(axis=1)) < 4.9
    assert within_data.sum() > 30
    np.testing.assert_allclose(got.ood_score[within_data], 1 - probability.max(axis=1)[within_data], atol=1e-4)
    np.testing.assert_array_equal(got.class_index, np.argmax(tails.tail_logit(similarities[1]), axis=1))
    np.testing.assert_array_equal(got.similarity, similarities[1][np.arange(200), got.class_index])
    # one similarity means different things for different classes: that is the point of calibrating
    assert METHODS["tail"](_similarity(np.zeros((1, 3)), np.array([[0.8, 0.0, 0.0]])), tails).ood_score[0] > 0.99
    assert METHODS["tail"](_similarity(np.zeros((1, 3)), np.array([[0.0, 0.8, 0.0]])), tails).ood_score[0] < 0.1


def test_tail_keeps_telling_certain_cases_apart(tails: TailModel) -> None:
    far = np.repeat(np.linspace(-1, 0.3, 400)[:, None], 3, axis=1)  # every class at log odds far below -5
    scores = METHODS["tail"](_similarity(far, far), tails).ood_score
    assert (np.diff(scores) <= 0).all()
    assert len(np.unique(scores)) > 350
    assert scores.max() < 1
    near = np.repeat(np.linspace(0.9, 1.0, 400)[:, None], 3, axis=1)
    assert len(np.unique(METHODS["tail"](_similarity(near, near), tails).ood_score)) == 400


def test_equal_tails_are_ordered_by_raw_similarity() -> None:
    twins = TailModel(np.array([[-3.0, 3.0], [-2.9, 3.1]]), np.array([[-9.0, 9.0], [-9.0, 9.0]]))
    tied = np.array([[0.4, 0.5]])
    log_odds = twins.tail_logit(tied)[0]
    assert log_odds[0] == pytest.approx(log_odds[1], abs=1e-9)
    assert METHODS["tail"](_similarity(tied, tied), twins).class_index[0] == 1


@pytest.mark.parametrize("method", sorted(METHODS))
def test_more_similar_is_never_more_unknown(
    method: str, tails: TailModel, similarities: tuple[np.ndarray, np.ndarray]
) -> None:
    nearer = [np.minimum(s + np.float32(0.05), 1) for s in similarities]
    before, after = (
        METHODS[method](_similarity(*similarities), tails).ood_score,
        METHODS[method](_similarity(*nearer), tails).ood_score,
    )
    assert (after <= before).all()
    assert (after < before).any()
    assert before.dtype == np.float32
    assert ((before >= 0) & (before <= 1)).all()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_permuting_classes_changes_only_their_numbers(method: str, similarities: tuple[np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(3)
    held, order = [rng.normal(m, 0.05, 500) for m in (0.7, 0.5, 0.6)], [2, 0, 1]
    straight = METHODS[method](_similarity(*similarities), TailModel.fit(held, [50] * 3))
    tails = TailModel.fit([held[i] for i in order], [50] * 3)
    permuted = METHODS[method](_similarity(similarities[0][:, order], similarities[1][:, order]), tails)
    np.testing.assert_allclose(permuted.ood_score, straight.ood_score, atol=1e-6)
    np.testing.assert_array_equal(np.array(order)[permuted.class_index], straight.class_index)


def test_scorers_refuse(tails: TailModel) -> None:
    good = np.zeros((4, 3), np.float32)
    for bad in (np.full((4, 3), np.nan), np.full((4, 3), np.inf)):
        with pytest.raises(InputError, match="not finite"):
            METHODS["prowl"](_similarity(bad, good), tails)
        with pytest.raises(InputError, match="not finite"):
            METHODS["prowl"](_similarity(good, bad), tails)
    with pytest.raises(UsageError, match="n_classes"):
        METHODS["prowl"](_similarity(good, good[:2]), tails)
    with pytest.raises(UsageError, match="n_classes"):
        METHODS["prowl"](_similarity(np.zeros((4, 0)), np.zeros((4, 0))), tails)
    with pytest.raises(UsageError, match="margin"):
        METHODS["default"](replace(_similarity(good, good), margin=np.zeros(2)), None)
    with pytest.raises(UsageError, match="doubt"):
        METHODS["default"](replace(_similarity(good, good), doubted=np.zeros(2, bool)), None)
    with pytest.raises(InputError, match="not finite"):
        METHODS["default"](replace(_similarity(good, good), margin=np.full(3, np.nan)), None)
    with pytest.raises(UsageError, match="tail model"):
        METHODS["tail"](_similarity(good, good), None)
    with pytest.raises(UsageError, match="default, tail, prowl, knn"):
        scorer("prowel")
    assert scorer("prowl") is METHODS["prowl"]


def test_map_is_laid_out_row_by_row() -> None:
    ood_score, similarity = np.arange(6, dtype=np.float32) / 6, np.ones(6, np.float32)
    scores = PatchScores(ood_score, np.array([0, 1, 0, 1, 0, 1], np.int32), similarity)
    laid = ood_map(scores, (2, 3), ("a", "b"))
    assert laid.ood_score[1, 0] == pytest.approx(0.5)
    assert laid.class_index.tolist() == [[0, 1, 0], [1, 0, 1]]
    with pytest.raises(UsageError, match="do not fill"):
        ood_map(scores, (2, 4), ("a", "b"))
    with pytest.raises(UsageError, match="no name"):
        ood_map(scores, (2, 3), ("a",))
