"""The fast search gives what the definition gives, for every shape of bank, and refuses what is not a unit token."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.bank.bank import ClassKind, PrototypeBank
from airside.bank.prototypes import TOKENS_PER_PROTOTYPE
from airside.bank.search import (
    DOUBT_PASSES,
    DOUBT_UNGUARDED,
    FAMILIAR,
    GUARD_PROTOTYPES,
    SOFT_TEMPERATURE,
    PrototypeIndex,
    centre_of,
    class_similarity_reference,
    seen_from,
)
from airside.errors import UsageError
from tests.builders import tiny_bank, tiny_class, unit_rows


def _uneven_bank(rng: np.random.Generator, counts: list[int], channels: int) -> PrototypeBank:
    classes = tuple(
        tiny_class(rng, f"class{i}", channels=channels, prototypes=n, crops=0) for i, n in enumerate(counts)
    )
    return replace(tiny_bank(rng, 0, channels), classes=classes)


@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(1, 5), max_size=5),
    channels=st.integers(1, 9),
    tokens=st.integers(0, 7),
)
@settings(max_examples=60, deadline=None)
def test_class_similarity_agrees_with_the_reference(seed: int, counts: list[int], channels: int, tokens: int) -> None:
    rng = np.random.default_rng(seed)
    bank = _uneven_bank(rng, counts, channels)
    query = unit_rows(rng, tokens, channels)
    fast = PrototypeIndex(bank).class_similarity(query)
    assert fast.dtype == np.float32
    assert fast.shape == (tokens, len(counts))
    assert fast.flags.c_contiguous
    np.testing.assert_allclose(fast, class_similarity_reference(query, bank), atol=1e-6)


def test_another_token_gives_another_answer() -> None:
    rng = np.random.default_rng(0)
    index = PrototypeIndex(_uneven_bank(rng, [2, 3], 8))
    a, b = unit_rows(rng, 2, 8)
    assert not np.allclose(index.class_similarity(a[None]), index.class_similarity(b[None]), atol=1e-3)


def test_a_prototype_finds_its_own_class() -> None:
    rng = np.random.default_rng(0)
    index = PrototypeIndex(_uneven_bank(rng, [4, 1, 7, 3], 16))
    similarity = index.class_similarity(index.prototypes)
    assert np.array_equal(similarity.argmax(axis=1), index.class_of_prototype)
    np.testing.assert_allclose(similarity.max(axis=1), 1.0, atol=1e-5)


def test_mean_similarity_is_the_cosine_with_each_mean() -> None:
    rng = np.random.default_rng(0)
    bank = _uneven_bank(rng, [2, 3, 1], 8)
    tokens = unit_rows(rng, 5, 8)
    wanted = [[float(np.dot(known.mean, token)) for known in bank.classes] for token in tokens]
    np.testing.assert_allclose(PrototypeIndex(bank).mean_similarity(tokens), wanted, atol=1e-6)
    assert PrototypeIndex(tiny_bank(rng, 0)).mean_similarity(tokens).shape == (5, 0)


def test_nearest_agrees_with_sorting_all_cosines() -> None:
    rng = np.random.default_rng(0)
    index = PrototypeIndex(_uneven_bank(rng, [4, 1, 7], 16))
    tokens = unit_rows(rng, 20, 16)
    found = index.nearest(tokens, 5)
    cosines = tokens @ index.prototypes.T
    order = np.argsort(-cosines, axis=1)[:, :5]
    assert np.array_equal(found.prototype_index, order)
    assert np.array_equal(found.class_index, index.class_of_prototype[order])
    np.testing.assert_allclose(found.similarity, np.take_along_axis(cosines, order, axis=1), atol=1e-6)
    assert np.array_equal(index.nearest(tokens[::2], 1).prototype_index[:, 0], order[::2, 0])  # a strided view


NAN_TOKEN = np.full((1, 8), np.nan, np.float32)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (np.zeros((1, 7), np.float32), r"shape \[any, 8\], got float32 \(1, 7\)"),
        (np.zeros(8, np.float32), "shape"),
        (np.zeros((1, 8), np.float64), "float64"),
        (np.zeros((1, 8), np.float32), "unit length; 1 of 1"),
        (np.full((2, 8), 1.0, np.float32), "2 of 2"),
        (NAN_TOKEN, "finite"),
        (NAN_TOKEN * np.inf, "finite"),
    ],
)
def test_refuses_tokens_that_are_not_unit_vectors_of_the_model(tokens: np.ndarray, words: str) -> None:
    index = PrototypeIndex(tiny_bank(np.random.default_rng(0)))
    for search in (index.class_similarity, index.mean_similarity, index.similarity, lambda t: index.nearest(t, 1)):
        with pytest.raises(UsageError, match=words):
            search(tokens)


@pytest.mark.parametrize("k", [0, 10])
def test_refuses_more_neighbours_than_there_are(k: int) -> None:
    index = PrototypeIndex(tiny_bank(np.random.default_rng(0)))  # 3 classes of 3
    with pytest.raises(UsageError, match="k from 1 to 9"):
        index.nearest(unit_rows(np.random.default_rng(1), 1, 8), k)


def _guarded_bank(rng: np.random.Generator, counts: list[int], guards: int) -> PrototypeBank:
    """Guard patches of three groups in turn; ``class0`` is a class as well where there are classes."""
    names = tuple(("class0", "debris", "animal")[k % 3] for k in range(guards))
    return replace(_uneven_bank(rng, counts, 8), guard_tokens=unit_rows(rng, guards, 8), guard_names=names)


@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.lists(st.integers(1, 5), max_size=4),
    tokens=st.integers(0, 5),
    guards=st.integers(0, 7),
)
@settings(max_examples=60, deadline=None)
def test_similarity_agrees_with_one_number_at_a_time(seed: int, counts: list[int], tokens: int, guards: int) -> None:
    rng = np.random.default_rng(seed)
    bank = _guarded_bank(rng, counts, guards)
    query = unit_rows(rng, tokens, 8)
    found = PrototypeIndex(bank).similarity(query)
    assert found.to_means.shape == found.to_prototypes.shape == found.soft.shape == (tokens, len(counts))
    assert found.to_guard.shape == (tokens,)
    rows = zip(bank.guard_names, bank.guard_tokens.astype(float), strict=True)
    apart = [row for name, row in rows if name not in bank.names]
    centre = centre_of(bank).astype(float)

    def seen(a: np.ndarray, b: np.ndarray) -> float:
        """The cosine about the centre, by its definition."""
        return float((a - centre) @ (b - centre) / np.linalg.norm(a - centre) / np.linalg.norm(b - centre))

    guard = None if not apart else sum(apart) / np.linalg.norm(sum(apart))
    for t, token in enumerate(query.astype(float)):
        assert found.to_guard[t] == pytest.approx(0.0 if guard is None else seen(token, guard), abs=1e-4)
        for c, known in enumerate(bank.classes):
            cosines = [float(token @ p) for p in known.prototypes.astype(float)]
            mass = sum(math.exp(seen(token, p) / SOFT_TEMPERATURE) for p in known.prototypes.astype(float))
            mass /= len(cosines)
            assert found.soft[t, c] == pytest.approx(SOFT_TEMPERATURE * math.log(mass), abs=1e-4)
            assert found.to_prototypes[t, c] == pytest.approx(max(cosines), abs=1e-5)
            assert found.to_means[t, c] == pytest.approx(float(token @ known.mean.astype(float)), abs=1e-5)


def test_the_soft_maximum_lies_between_mean_and_maximum() -> None:
    rng = np.random.default_rng(0)
    bank, query = _uneven_bank(rng, [1, 5], 8), unit_rows(rng, 9, 8)
    index = PrototypeIndex(bank)
    found = index.similarity(query)
    one, five = (seen_from(index.centre, c.prototypes, query, c.prototypes @ query.T) for c in bank.classes)
    np.testing.assert_allclose(found.soft[:, 0], one[0], atol=1e-6)  # one prototype: no choice
    assert (found.soft[:, 1] < five.max(axis=0)).all()
    assert (found.soft[:, 1] > five.mean(axis=0)).all()


def _leaning_bank(rng: np.random.Generator, lean: float, classes: int = 8) -> PrototypeBank:
    """Classes about axes of their own that all lean towards one more."""
    bank = tiny_bank(rng, classes, 16)
    axes = np.eye(16, dtype=np.float32)[:classes] + lean * np.eye(16, dtype=np.float32)[-1]
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    known = (replace(c, prototypes=a[None], mean=a) for c, a in zip(bank.classes, axes, strict=True))
    return replace(bank, classes=tuple(known))


def test_classes_that_share_nothing_are_seen_from_the_origin() -> None:
    rng = np.random.default_rng(0)
    assert not centre_of(_leaning_bank(rng, 0.0)).any()
    assert not centre_of(tiny_bank(rng, 0)).any()
    assert not centre_of(tiny_bank(rng, 1)).any()


def test_what_all_classes_share_makes_nothing_known() -> None:
    """The shared axis alone, which is of no class, resembles all of them a little: their sum must not know it."""
    rng = np.random.default_rng(0)
    bank = _leaning_bank(rng, 1.5)
    index = PrototypeIndex(bank)
    shared, member = np.eye(16, dtype=np.float32)[-1:], bank.classes[0].mean[None]
    assert (index.prototypes @ shared.T).min() > 0.8
    both = np.concatenate([shared, member])

    def lead(by_class: np.ndarray) -> float:
        """How much better known the member is than what all share, summed over classes: [2, classes]."""
        known = SOFT_TEMPERATURE * np.log(np.exp(by_class / SOFT_TEMPERATURE).sum(axis=1))
        return float(known[1] - known[0])

    assert lead(both @ index.prototypes.T) < 0.1  # about the origin
    assert lead(index.similarity(both).soft) > 0.25


def test_a_class_in_doubt_moves_no_centre() -> None:
    rng = np.random.default_rng(0)
    bank = _leaning_bank(rng, 1.5)
    doubted = replace(bank, classes=(*bank.classes, tiny_class(rng, "new", channels=16, pictures=5)))
    settled = replace(bank, classes=(*bank.classes, tiny_class(rng, "new", channels=16, pictures=50)))
    np.testing.assert_array_equal(centre_of(doubted), centre_of(bank))
    assert not np.allclose(centre_of(settled), centre_of(bank), atol=1e-3)


def test_the_guard_leaves_out_groups_that_are_classes() -> None:
    rng = np.random.default_rng(0)
    bank, query = _guarded_bank(rng, [2, 2], 6), unit_rows(rng, 4, 8)
    guard = PrototypeIndex(bank).similarity(query).to_guard
    without = replace(bank, classes=bank.classes[1:])  # class0 is only guarded now: it counts
    assert not np.allclose(PrototypeIndex(without).similarity(query).to_guard, guard, atol=1e-3)
    own = replace(bank, guard_names=("class0", "class1") * 3)
    assert not PrototypeIndex(own).similarity(query).to_guard.any()


def test_the_guard_has_prototypes_of_its_own() -> None:
    """Two kinds of debris far apart: their common mean would resemble neither."""
    rng = np.random.default_rng(0)
    axes = np.eye(8, dtype=np.float32)[:2]
    tokens = np.repeat(axes, 40, axis=0) + rng.normal(0, 0.02, (80, 8)).astype(np.float32)
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    bank = replace(_uneven_bank(rng, [2], 8), guard_tokens=tokens, guard_names=("debris",) * len(tokens))
    index = PrototypeIndex(bank)
    assert len(index.guard) == len(tokens) // TOKENS_PER_PROTOTYPE < GUARD_PROTOTYPES
    assert ((index.guard @ axes.T).max(axis=1) > 0.99).all()
    assert not index.centre.any()  # of one class
    for token, found in zip(axes, index.similarity(axes).to_guard, strict=True):
        cosines = (index.guard @ token).astype(float)
        mass = sum(math.exp(cosine / SOFT_TEMPERATURE) for cosine in cosines) / len(cosines)
        assert found == pytest.approx(SOFT_TEMPERATURE * math.log(mass), abs=1e-5)


@pytest.mark.parametrize(("pictures", "doubted"), [(0, False), (1, True), (5, True), (19, True), (20, False)])
def test_a_class_of_few_pictures_is_doubted(pictures: int, doubted: bool) -> None:
    rng = np.random.default_rng(0)
    bank = replace(tiny_bank(rng, 1), classes=(tiny_class(rng, "many"), tiny_class(rng, "new", pictures=pictures)))
    bank = replace(bank, guard_tokens=bank.guard_tokens[:0], guard_names=())
    index = PrototypeIndex(bank)
    np.testing.assert_allclose(index.margin, [0, DOUBT_UNGUARDED if doubted else 0], atol=1e-6)
    assert index.doubted.tolist() == [False, doubted]
    np.testing.assert_array_equal(index.similarity(bank.classes[0].prototypes).margin, index.margin)
    ground = replace(bank.classes[1], kind=ClassKind.STUFF)
    assert not PrototypeIndex(replace(bank, classes=(bank.classes[0], ground))).margin.any()


def test_few_of_what_is_guarded_pass_as_a_class_in_doubt() -> None:
    rng = np.random.default_rng(0)
    bank = replace(
        tiny_bank(rng, 2, 16),
        classes=(tiny_class(rng, "a", channels=16), tiny_class(rng, "new", channels=16, pictures=5)),
    )
    guarded = unit_rows(rng, 1000, 16)
    index = PrototypeIndex(replace(bank, guard_tokens=guarded, guard_names=("debris",) * 1000))
    margin = float(index.margin[1])
    soft = index.similarity(guarded).soft[:, 1]
    assert (soft - margin > FAMILIAR).mean() == pytest.approx(DOUBT_PASSES, abs=2e-3)
