"""What of a picture is the object: by the bank's ground and sky, by the picture's own border, in the middle."""

from __future__ import annotations

import numpy as np
import pytest

from airside.bank.bank import ClassKind, KnownClass, PrototypeBank
from airside.bank.prototypes import unit
from airside.enrolment.foreground import KNOWN_STUFF, Background, patches_in_box, patches_without_hint
from airside.enrolment.learn import learn_class

GROUND, OBJECT, THING = 0, 1, 2  # axes of the tokens
SHAPE = (9, 14)


def _tokens(of: np.ndarray, seed: int = 0, spread: float = 0.03) -> np.ndarray:
    """Axis numbers [Hp, Wp] -> tokens [Hp, Wp, 8] near those axes."""
    return unit(np.eye(8)[of] + np.random.default_rng(seed).normal(0, spread, (*of.shape, 8)))


def _class(name: str, axis: int, kind: ClassKind) -> KnownClass:
    return learn_class(name, kind, [_tokens(np.full((1, 40), axis), k, 0.06)[0] for k in range(4)], ())


def _bank(*classes: KnownClass) -> PrototypeBank:
    return PrototypeBank("f" * 64, classes, (), np.zeros((0, 8), np.float32), ())


KNOWS_GROUND = Background(_bank(_class("tarmac", GROUND, ClassKind.STUFF), _class("tug", THING, ClassKind.THING)))
KNOWS_NOTHING = Background(_bank())


def _scene(*blocks: tuple[int, int, int, int], axis: int = OBJECT) -> np.ndarray:
    """Ground with ``axis`` in each block (row, column, rows, columns)."""
    of = np.full(SHAPE, GROUND)
    for row, column, rows, columns in blocks:
        of[row : row + rows, column : column + columns] = axis
    return of


def test_only_stuff_of_the_bank_is_background() -> None:
    of = _scene((2, 3, 3, 4))
    of[0, 0] = THING
    probability = KNOWS_GROUND.probability(_tokens(of))
    assert probability.shape == SHAPE
    assert (probability[of != GROUND] < 1e-3).all()
    assert np.median(probability[of == GROUND]) > KNOWN_STUFF


@pytest.mark.parametrize("background", [KNOWS_NOTHING, Background(_bank(_class("tug", GROUND, ClassKind.THING)))])
def test_without_stuff_nothing_is_background(background: Background) -> None:
    assert not background.probability(_tokens(_scene())).any()


def test_a_box_leaves_out_the_ground_in_it() -> None:
    of = _scene((3, 4, 3, 4))
    cover = np.zeros(SHAPE, np.float32)
    cover[2:7, 3:9] = 1
    cover[2, :] *= 0.5  # too little of the patch is in the box
    found = patches_in_box(_tokens(of), cover, KNOWS_GROUND)
    assert found[of == OBJECT].all()
    assert not found[cover < 0.55].any()
    assert found.sum() < 0.8 * (cover >= 0.55).sum()
    assert np.array_equal(patches_in_box(_tokens(of), cover, KNOWS_NOTHING), cover >= 0.55)


def test_a_box_of_which_too_little_is_left_stays_a_box() -> None:
    cover = np.zeros(SHAPE, np.float32)
    cover[2:7, 3:9] = 1
    thin = _tokens(np.full(SHAPE, GROUND)) * 0 + unit(np.eye(8)[GROUND])  # exactly what the bank knows
    assert KNOWS_GROUND.probability(thin).min() > KNOWN_STUFF
    assert np.array_equal(patches_in_box(thin, cover, KNOWS_GROUND), cover >= 0.55)


@pytest.mark.parametrize("background", [KNOWS_GROUND, KNOWS_NOTHING], ids=["bank", "border"])
@pytest.mark.parametrize("block", [(3, 5, 3, 4), (1, 1, 2, 3), (5, 9, 3, 3)])
def test_the_object_is_found_without_a_hint(block: tuple[int, int, int, int], background: Background) -> None:
    of = _scene(block)
    found = patches_without_hint(_tokens(of), np.ones(SHAPE, bool), background)
    assert found.dtype == bool
    assert found[of == OBJECT].all()
    assert (found & (of != OBJECT)).sum() <= 4  # a patch of noise beside it may join


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        ((3, 5, 3, 4), (0, 0, 2, 2)),  # larger, in the middle
        ((4, 6, 2, 2), (0, 12, 2, 2)),  # of equal size, in the middle
        ((1, 1, 7, 5), (4, 8, 1, 1)),  # much larger, aside
    ],
)
def test_one_object_is_chosen(wanted: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> None:
    found = patches_without_hint(_tokens(_scene(wanted, other)), np.ones(SHAPE, bool), KNOWS_GROUND)
    assert found[_scene(wanted) == OBJECT].all()
    assert not found[_scene(other) == OBJECT].any()


@pytest.mark.parametrize("background", [KNOWS_GROUND, KNOWS_NOTHING], ids=["bank", "border"])
def test_bars_beside_the_picture_are_never_the_object(background: Background) -> None:
    of = _scene((3, 5, 3, 4))
    of[:, :2] = 6  # a bar, strange to the bank and unlike all else
    observed = np.ones(SHAPE, bool)
    observed[:, :2] = False
    found = patches_without_hint(_tokens(of), observed, background)
    assert found[of == OBJECT].all()
    assert not found[~observed].any()


def test_a_bank_that_calls_all_strange_leaves_it_to_the_border() -> None:
    of = _scene((3, 5, 3, 4))
    of[of == GROUND] = 6  # a ground that the bank has never seen
    found = patches_without_hint(_tokens(of), np.ones(SHAPE, bool), KNOWS_GROUND)
    assert np.array_equal(found, of == OBJECT)


def test_a_picture_without_an_inside_is_all_object() -> None:
    tokens = _tokens(np.full((2, 2), GROUND))
    assert patches_without_hint(tokens, np.ones((2, 2), bool), KNOWS_NOTHING).all()
