"""Prototypes are of unit length and the same every time; held-out similarity really holds a picture out."""

from __future__ import annotations

import numpy as np
import pytest

from airside.bank.bank import ClassKind
from airside.bank.prototypes import prototypes_from_tokens, unit
from airside.enrolment import learn
from airside.enrolment.learn import FOLDS, held_out_similarities, learn_class
from airside.errors import InputError, UsageError
from tests.builders import support_crop, unit_rows


def _around(axis: int, count: int, seed: int, spread: float = 0.15) -> np.ndarray:
    """[count, 8] unit-length tokens near one axis."""
    tokens = np.random.default_rng(seed).normal(0, spread, (count, 8))
    tokens[:, axis] += 1
    return unit(tokens)


def test_unit_length() -> None:
    vectors = np.array([[3.0, 4.0], [0.0, -2.0], [0.0, 0.0]])
    found = unit(vectors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, -1.0], [0.0, 0.0]], atol=1e-7)


@pytest.mark.parametrize(("tokens", "count", "wanted"), [(1, 16, 1), (7, 16, 1), (8, 16, 2), (40, 16, 10), (400, 5, 5)])
def test_prototypes(tokens: int, count: int, wanted: int) -> None:
    rows = unit_rows(np.random.default_rng(0), tokens, 8)
    found = prototypes_from_tokens(rows, count)
    assert (found.shape, found.dtype) == ((wanted, 8), np.float32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.array_equal(found, prototypes_from_tokens(rows.copy(), count))
    assert not np.allclose(found, prototypes_from_tokens(-rows, count), atol=0.1)


def test_every_cluster_has_its_prototype() -> None:
    tokens = np.concatenate([_around(axis, 40, axis, spread=0.05) for axis in range(4)])
    nearest = (prototypes_from_tokens(tokens, 4) @ np.eye(8, dtype=np.float32)).max(axis=0)
    assert (nearest[:4] > 0.95).all()
    assert (nearest[4:] < 0.3).all()


@pytest.mark.parametrize("images", [2, 5, FOLDS, FOLDS + 3])
def test_held_out_agrees_with_leaving_out_one_by_one(images: int) -> None:
    by_image = [unit_rows(np.random.default_rng(k), 9 + k, 8) for k in range(images)]
    groups = min(images, FOLDS)
    wanted: list[float] = []
    for k, mine in enumerate(by_image):
        rest = np.concatenate([t for j, t in enumerate(by_image) if j % groups != k % groups])
        prototypes = prototypes_from_tokens(rest, 3)
        wanted += [max(float(p @ token) for p in prototypes) for token in mine]
    found = held_out_similarities(by_image, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, sorted(wanted), atol=1e-5)


def test_a_picture_unlike_the_others_is_not_explained_by_itself() -> None:
    alike = [_around(0, 30, k) for k in range(3)]
    found = held_out_similarities([*alike, _around(5, 20, 9)])
    assert len(found) == 110
    assert (found[:20] < 0.6).all()
    assert (found[20:] > 0.75).all()
    assert held_out_similarities(alike).min() > 0.75


@pytest.mark.parametrize("images", [[], [_around(0, 30, 0)], [_around(0, 30, 0), np.zeros((0, 8), np.float32)]])
def test_one_picture_alone_holds_nothing_out(images: list[np.ndarray]) -> None:
    assert held_out_similarities(images).shape == (0,)


def test_many_similarities_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [unit_rows(np.random.default_rng(k), 120, 8) for k in range(2)]
    whole = held_out_similarities(images)
    monkeypatch.setattr(learn, "MAX_HELD_OUT", 25)
    thin = held_out_similarities(images)
    assert len(thin) == 25
    assert (thin[0], thin[-1]) == (whole[0], whole[-1])
    assert np.isin(thin, whole).all()
    np.testing.assert_allclose(np.median(thin), np.median(whole), atol=0.02)


def test_a_learnt_class() -> None:
    images = [_around(2, 20, 0), np.zeros((0, 8), np.float32), _around(2, 20, 1)]
    crops = [support_crop(np.random.default_rng(k)) for k in range(2)]
    known = learn_class("tug", ClassKind.STUFF, images, crops, protected=True, prototypes=3)
    assert (known.name, known.kind, known.protected, known.support) == ("tug", ClassKind.STUFF, True, tuple(crops))
    assert len(known.prototypes) == 3
    assert len(known.held_out_similarity) == 40
    np.testing.assert_allclose(known.mean, unit(np.concatenate(images).mean(axis=0)), atol=1e-6)
    assert known.mean.argmax() == 2
    assert not learn_class("tug", ClassKind.THING, images, ()).protected


@pytest.mark.parametrize("images", [[], [np.zeros((0, 8), np.float32)] * 3])
def test_refuses_pictures_without_a_patch(images: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"class 'tug': .* show it larger"):
        learn_class("tug", ClassKind.THING, images, ())


def test_refuses_a_name_no_bank_takes() -> None:
    with pytest.raises(UsageError, match="printable"):
        learn_class("a\nb", ClassKind.THING, [_around(0, 9, 0)], ())
