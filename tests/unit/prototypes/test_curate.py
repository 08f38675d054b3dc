from __future__ import annotations

import numpy as np
import pytest

from airside.bank.prototypes import unit
from prototypes import curate
from prototypes.curate import Curation, curated, farthest_first


def cluster(rng: np.random.Generator, axis: int, count: int, spread: float = 0.25) -> np.ndarray:
    """[count, 12] float32, unit length, about one axis."""
    return unit(np.eye(12)[axis] + spread * rng.normal(size=(count, 12)))


def test_duplicates_and_strangers_go_and_the_rest_stays() -> None:
    rng = np.random.default_rng(0)
    cars, trees = [cluster(rng, 0, 20) for _ in range(3)], [cluster(rng, 1, 20) for _ in range(3)]
    stranger = unit(trees[0][:1] + 0.05 * rng.normal(size=(1, 12)))  # a tree labelled car
    tokens = {"car": [np.concatenate([cars[0], cars[0][:5], stranger]), *cars[1:]], "tree": trees}
    kept, report = curated(tokens)
    assert report == (Curation("car", 66, 5, 1), Curation("tree", 60, 0, 0))
    np.testing.assert_array_equal(kept["car"][0], cars[0])
    np.testing.assert_array_equal(kept["tree"][2], trees[2])


def test_one_picture_or_one_class_has_no_outliers() -> None:
    rng = np.random.default_rng(1)
    single = {"car": [cluster(rng, 0, 8)], "tree": [cluster(rng, 0, 8), cluster(rng, 0, 8)]}
    assert [c.outliers for c in curated({"tree": single["tree"]})[1]] == [0]
    assert curated(single)[1][0].outliers == 0


def test_a_class_of_few_patches_keeps_them_all() -> None:
    rng = np.random.default_rng(2)
    trees = [cluster(rng, 1, 20, 0.02) for _ in range(2)]
    kept, report = curated({"car": [trees[0][:1], trees[0][:1]], "tree": trees})
    assert sum(map(len, kept["car"])) == 2
    assert report[0] == Curation("car", 2, 0, 0)


def test_a_coreset_leaves_nothing_far_away() -> None:
    """Many patches of one look and few of another: a tenth drawn at random mostly misses the rare look."""
    rng = np.random.default_rng(3)
    common, rare = cluster(rng, 0, 190, 0.05), cluster(rng, 1, 10, 0.05)
    tokens = np.concatenate([common, rare])
    chosen = farthest_first(tokens, 20)
    assert len(set(chosen.tolist())) == 20
    nearest = (tokens @ tokens[chosen].T).max(axis=1)
    for _ in range(20):
        drawn = tokens[rng.permutation(len(tokens))[:20]]
        assert nearest.min() >= (tokens @ drawn.T).max(axis=1).min()
    assert len(farthest_first(rare, 99)) == 10


def test_curation_counts_what_the_coreset_leaves_out() -> None:
    rng = np.random.default_rng(4)
    cars, trees = [cluster(rng, 0, 30) for _ in range(3)], [cluster(rng, 1, 4) for _ in range(2)]
    kept, report = curated({"car": cars, "tree": trees}, coreset_share=0.2)
    assert report == (Curation("car", 90, 0, 0, 72), Curation("tree", 8, 0, 0, 0))
    assert [len(kept["car"]), sum(map(len, kept["car"])), sum(map(len, kept["tree"]))] == [3, 18, 8]


def test_near_duplicates_are_found_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    pictures = [cluster(rng, 0, 30)]
    pictures = [np.concatenate([pictures[0], pictures[0][::-1]]), pictures[0][:7]]
    whole = curated({"car": pictures})
    monkeypatch.setattr(curate, "_BLOCK", 8)
    blocks = curated({"car": pictures})
    assert whole[1] == blocks[1] == (Curation("car", 67, 37, 0),)
    np.testing.assert_array_equal(whole[0]["car"][0], blocks[0]["car"][0])
