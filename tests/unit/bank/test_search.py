"""The fast search gives what the definition gives, for every shape of bank, and refuses what is not a unit token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.bank.bank import PrototypeBank
from airside.bank.search import PrototypeIndex, class_similarity_reference
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
    for search in (index.class_similarity, index.mean_similarity, lambda t: index.nearest(t, 1)):
        with pytest.raises(UsageError, match=words):
            search(tokens)


@pytest.mark.parametrize("k", [0, 10])
def test_refuses_more_neighbours_than_there_are(k: int) -> None:
    index = PrototypeIndex(tiny_bank(np.random.default_rng(0)))  # 3 classes of 3
    with pytest.raises(UsageError, match="k from 1 to 9"):
        index.nearest(unit_rows(np.random.default_rng(1), 1, 8), k)
