import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from airside.bank.bank import ClassKind, KnownClass, SupportCrop
from airside.errors import UsageError
from airside.ood.calibration import LEVELS, TailModel, effective_samples, tail_logit_reference
from airside.ood.logit import logit, sigmoid, soft_limit


def known_class(name: str, held_out: np.ndarray, images: int) -> KnownClass:
    unit = np.eye(4, dtype=np.float32)
    crops = tuple(SupportCrop(b"jpeg", b"png", f"{i:064x}") for i in range(images))
    return KnownClass(name, ClassKind.THING, False, unit, unit[0], np.sort(held_out).astype(np.float32), crops, 20)


@pytest.fixture
def held_out() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(0.9, 0.02, 3000), rng.beta(6, 3, 3000), rng.normal(0.6, 0.05, 40), np.empty(0)]


@pytest.fixture
def model(held_out: list[np.ndarray]) -> TailModel:
    return TailModel.fit(held_out, [400, 400, 5, 1])


def test_fast_path_equals_the_reference(model: TailModel) -> None:
    similarity = np.random.default_rng(2).uniform(-1.0, 1.0, (60, 4)).astype(np.float32)
    slow = [[tail_logit_reference(model, float(s), c) for c, s in enumerate(row)] for row in similarity]
    np.testing.assert_allclose(model.tail_logit(similarity), slow, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.tail_probability(similarity), 1 / (1 + np.exp(-np.array(slow))), atol=1e-12)
    assert not np.allclose(model.tail_logit(similarity[::-1]), slow)


def test_large_class_keeps_its_own_quantiles(held_out: list[np.ndarray], model: TailModel) -> None:
    for index in (0, 1):
        # 3000 of 3000 + 40 samples' worth: within about a tenth of the spread of the empirical quantiles
        own = np.quantile(held_out[index], LEVELS[1:-1])
        spread = np.quantile(held_out[index], 0.75) - np.quantile(held_out[index], 0.25)
        assert np.abs(model.similarity[index, 2:-2] - own).max() < 0.1 * spread


def test_fresh_patches_of_a_class_get_uniform_probabilities() -> None:
    rng = np.random.default_rng(3)
    model = TailModel.fit([rng.normal(0.9, 0.02, 4000), rng.beta(6, 3, 4000)], [500, 500])
    fresh = np.column_stack([rng.normal(0.9, 0.02, 500), rng.beta(6, 3, 500)])
    probability = model.tail_probability(fresh)
    for index in (0, 1):
        assert kstest(probability[:, index], "uniform").pvalue > 0.01
    assert kstest(model.tail_probability(fresh[:, ::-1])[:, 0], "uniform").pvalue < 1e-6


def test_small_class_lies_between_itself_and_the_pool(held_out: list[np.ndarray]) -> None:
    def median(images: int) -> float:
        fitted = TailModel.fit([*held_out[:2], held_out[2]], [400, 400, images])
        return float(np.interp(0.0, fitted.logits[2], fitted.similarity[2]))

    own, pool = float(np.median(held_out[2])), (float(np.median(held_out[0])) + float(np.median(held_out[1]))) / 2
    assert own - 0.01 < median(5) < median(2) < median(1) < pool
    assert median(5) == pytest.approx(own, abs=0.03)  # the location is its own early


def test_class_without_held_out_patches_takes_the_pool(model: TailModel, held_out: list[np.ndarray]) -> None:
    median = np.interp(0.0, model.logits[3], model.similarity[3])
    assert min(np.median(h) for h in held_out[:3]) < median < max(np.median(h) for h in held_out[:3])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1, 1, width=32), max_size=60), min_size=1, max_size=4).filter(any),
    st.integers(1, 30),
)
def test_any_held_out_set_gives_strictly_rising_tails(samples: list[list[float]], images: int) -> None:
    model = TailModel.fit([np.array(s) for s in samples], [images] * len(samples))
    query = np.repeat(np.linspace(-1, 1, 201)[:, None], len(samples), axis=1)
    log_odds = model.tail_logit(query)
    assert np.isfinite(log_odds).all()
    assert (np.diff(log_odds, axis=0) > 0).all()
    assert (np.diff(model.tail_probability(query), axis=0) >= 0).all()


def test_permuting_classes_permutes_columns(held_out: list[np.ndarray]) -> None:
    order, images = [2, 0, 3, 1], [400, 300, 5, 1]
    query = np.random.default_rng(5).uniform(-1, 1, (30, 4))
    straight = TailModel.fit(held_out, images).tail_logit(query)
    permuted = TailModel.fit([held_out[i] for i in order], [images[i] for i in order]).tail_logit(query[:, order])
    np.testing.assert_allclose(permuted, straight[:, order], rtol=1e-9)


def test_classes_of_a_bank_count_their_support_images(held_out: list[np.ndarray]) -> None:
    classes = [known_class("a", held_out[0], 0), known_class("b", held_out[2], 2)]
    values = [c.held_out_similarity for c in classes]
    from_bank = TailModel.from_classes(classes)
    np.testing.assert_array_equal(from_bank.similarity, TailModel.fit(values, [None, 2]).similarity)
    assert not np.array_equal(from_bank.similarity, TailModel.fit(values, [None, None]).similarity)


def test_images_bound_what_samples_are_worth() -> None:
    assert effective_samples(1000, 5) == 40
    assert effective_samples(12, 5) == 12
    assert effective_samples(1000, None) == 1000


@pytest.mark.parametrize(
    ("held_out", "images", "message"),
    [
        ([], [], "no class has held-out"),
        ([np.empty(0)], [3], "no class has held-out"),
        ([np.array([0.5, np.nan])], [3], "finite cosines"),
        ([np.array([0.5, 1.5])], [3], "finite cosines"),
        ([np.array([0.5, 0.6])], [3, 4], "one image count"),
    ],
)
def test_fit_refuses(held_out: list[np.ndarray], images: list[int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TailModel.fit(held_out, images)


def test_tail_refuses_another_number_of_classes(model: TailModel) -> None:
    with pytest.raises(UsageError, match=r"\[T, 4\]"):
        model.tail_probability(np.zeros((5, 3)))


def test_log_odds_scale() -> None:
    x = np.linspace(-200, 200, 4001)
    np.testing.assert_allclose(logit(sigmoid(x[np.abs(x) < 13])), x[np.abs(x) < 13], atol=1e-6)
    limited = soft_limit(x)
    assert (np.diff(limited) > 0).all()
    np.testing.assert_array_equal(limited[np.abs(x) <= 5], x[np.abs(x) <= 5])
    assert np.abs(limited).max() < 10.3
    assert sigmoid(np.array([-np.inf, np.inf])).tolist() == [0.0, 1.0]
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
