"""A class that would take guarded patches is told, one that is far from them is not; so is overlap with old classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airside.bank.bank import ClassKind, KnownClass, PrototypeBank
from airside.bank.prototypes import unit
from airside.enrolment.guard import Hidden, hidden_by, overlaps
from airside.enrolment.learn import learn_class

TARMAC, PERSON, DEBRIS, NEW, ANIMAL = range(5)  # axes of the tokens


def _around(axis: int, count: int = 40, seed: int = 0) -> np.ndarray:
    return unit(np.eye(8)[np.full(count, axis)] + np.random.default_rng([axis, seed]).normal(0, 0.06, (count, 8)))


def _class(name: str, *axes: int, protected: bool = False) -> KnownClass:
    images = [np.concatenate([_around(a, 30, k) for a in axes]) for k in range(4)]
    return learn_class(name, ClassKind.THING, images, (), protected=protected)


@pytest.fixture(scope="module")
def bank() -> PrototypeBank:
    guard = np.concatenate([_around(PERSON, 10, 50), _around(DEBRIS, 20, 51), _around(ANIMAL, 5, 52)])
    return PrototypeBank(
        "f" * 64,
        (_class("tarmac", TARMAC), _class("person", PERSON, protected=True)),
        (),
        guard,
        ("person",) * 10 + ("debris",) * 20 + ("animal",) * 5,
    )


def _hidden(bank: PrototypeBank, new: KnownClass) -> tuple[Hidden, ...]:
    others = tuple(c for c in bank.classes if c.name != new.name)
    return hidden_by(replace(bank, classes=(*others, new)), new)


@pytest.mark.parametrize(
    ("axes", "wanted"),
    [
        ((NEW,), []),
        ((DEBRIS,), ["debris"]),
        ((ANIMAL, NEW), ["animal"]),
        ((DEBRIS, ANIMAL), ["debris", "animal"]),
        ((TARMAC,), []),
    ],
)
def test_who_is_hidden(bank: PrototypeBank, axes: tuple[int, ...], wanted: list[str]) -> None:
    found = _hidden(bank, _class("tug", *axes))
    assert sorted(h.name for h in found) == sorted(wanted)
    assert [h.share for h in found] == sorted((h.share for h in found), reverse=True)
    for h in found:
        assert h.share > 0.5
        assert h.patches == bank.guard_names.count(h.name)


def test_a_class_of_the_guard_itself_hides_it(bank: PrototypeBank) -> None:
    debris = bank.guard_tokens[10:30]
    found = _hidden(bank, learn_class("tug", ClassKind.THING, [debris[:10], debris[10:]], ()))
    assert [h.name for h in found] == ["debris"]


def test_a_new_class_may_not_hide_a_group_by_taking_its_name(bank: PrototypeBank) -> None:
    assert [h.name for h in _hidden(bank, _class("debris", DEBRIS))] == ["debris"]


def test_a_protected_class_hides_nobody_of_its_own_name(bank: PrototypeBank) -> None:
    assert _hidden(bank, _class("person", PERSON, protected=True)) == ()
    assert [h.name for h in _hidden(bank, _class("person", PERSON))] == ["person"]
    assert [h.name for h in _hidden(bank, _class("person", PERSON, DEBRIS, protected=True))] == ["debris"]


def test_a_few_patches_hide_nobody(bank: PrototypeBank) -> None:
    mixed = np.concatenate([_around(DEBRIS, 3, 53), _around(NEW + 2, 20, 54)])
    few = replace(bank, guard_tokens=mixed, guard_names=("debris",) * len(mixed))
    assert _hidden(few, _class("tug", DEBRIS)) == ()
    assert _hidden(replace(few, guard_tokens=mixed[:6], guard_names=("debris",) * 6), _class("tug", DEBRIS)) != ()


def test_no_guard_no_finding(bank: PrototypeBank) -> None:
    bare = replace(bank, guard_tokens=np.zeros((0, 8), np.float32), guard_names=())
    assert _hidden(bare, _class("tug", DEBRIS)) == ()


def test_overlap(bank: PrototypeBank) -> None:
    tokens = np.concatenate([_around(TARMAC, 30, 60), _around(PERSON, 60, 61), _around(NEW, 10, 62)])
    found = overlaps(bank, tokens)
    assert {o.name for o in found} <= {"tarmac", "person"}
    assert found[0].name == "person"
    assert 0.25 < found[0].share < 0.6  # half of known patches lie above their class's median
    assert overlaps(bank, _around(NEW)) == ()


def test_overlap_of_nothing(bank: PrototypeBank) -> None:
    assert overlaps(bank, np.zeros((0, 8), np.float32)) == ()
    assert overlaps(replace(bank, classes=()), _around(TARMAC)) == ()
