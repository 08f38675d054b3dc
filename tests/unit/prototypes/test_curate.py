from __future__ import annotations

import numpy as np

from airside.bank.prototypes import unit
from prototypes.curate import Curation, curated


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
