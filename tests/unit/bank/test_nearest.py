"""Beyond the exact size the lists still find the nearest, and every cosine they give is the true one."""

from __future__ import annotations

import numpy as np
import pytest

from airside.bank import nearest
from airside.bank.nearest import EXACT_UP_TO, NearestIndex
from tests.builders import unit_rows


def _clustered(seed: int, rows: int, channels: int = 32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = unit_rows(np.random.default_rng(1), 200, channels)
    points = centres[rng.integers(0, len(centres), rows)] + rng.normal(0, 0.1, (rows, channels))
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("k", [1, 5])
def test_lists_find_what_the_exact_search_finds(k: int) -> None:
    prototypes, tokens = _clustered(2, 6000), _clustered(3, 200)
    exact, lists = NearestIndex(prototypes), NearestIndex(prototypes, exact_up_to=1000)
    assert exact.probes == 0 < lists.probes
    wanted, row = exact.search(tokens, k)
    similarity, found = lists.search(tokens, k)
    recall = np.mean([len(set(a) & set(b)) / k for a, b in zip(row, found, strict=True)])
    assert recall >= 0.99
    np.testing.assert_allclose(similarity, np.einsum("tc,tkc->tk", tokens, prototypes[found]), atol=1e-5)
    assert (np.diff(similarity, axis=1) <= 0).all()
    assert np.abs(lists.search(-tokens, k)[0] - wanted).max() > 0.1


def test_the_same_bank_gives_the_same_answer() -> None:
    prototypes, tokens = _clustered(2, 6000), _clustered(3, 50)
    first, second = (NearestIndex(prototypes, exact_up_to=1000).search(tokens, 3) for _ in range(2))
    np.testing.assert_array_equal(first[1], second[1])


def test_more_than_the_lists_hold_is_found_too() -> None:
    prototypes, tokens = _clustered(2, 3000), _clustered(3, 5)
    similarity, row = NearestIndex(prototypes, exact_up_to=1000).search(tokens, 3000)
    assert (np.sort(row, axis=1) == np.arange(3000)).all()
    np.testing.assert_allclose(similarity, NearestIndex(prototypes).search(tokens, 3000)[0], atol=1e-5)


def test_small_banks_are_searched_exactly() -> None:
    assert NearestIndex(unit_rows(np.random.default_rng(0), EXACT_UP_TO, 4)).probes == 0


def test_a_bank_that_does_not_cluster_stays_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "PROBES", (2,))
    noise = unit_rows(np.random.default_rng(0), 3000, 64)
    assert NearestIndex(noise, exact_up_to=1000).probes == 0
