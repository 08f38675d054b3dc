"""A bank as arrays and a JSON table, with its guarded pictures, and back; what does not add up is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airside.bank.bank import PrototypeBank
from airside.bank.contents import DTYPE_AND_NDIM, arrays_from_bank, bank_from_contents, meta_from_bank
from airside.bank.snapshot import bank_digest
from airside.errors import UsageError
from tests.builders import support_crop, tiny_bank


def _bank(groups: tuple[str, ...] = ("debris", "person", "debris")) -> PrototypeBank:
    rng = np.random.default_rng(0)
    guarded = tuple((name, support_crop(rng, 8 + k)) for k, name in enumerate(groups))
    return replace(tiny_bank(rng), guard_support=guarded)


def _contents(bank: PrototypeBank) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return json.loads(json.dumps(meta_from_bank(bank), allow_nan=False)), arrays_from_bank(bank)


@pytest.mark.parametrize("groups", [(), ("debris",), ("debris", "person", "debris")])
def test_what_goes_in_comes_out(groups: tuple[str, ...]) -> None:
    bank = _bank(groups)
    meta, arrays = _contents(bank)
    assert {name: (a.dtype.str, a.ndim) for name, a in arrays.items()} == DTYPE_AND_NDIM
    back = bank_from_contents(meta, arrays)
    assert bank_digest(back) == bank_digest(bank)
    assert back.guard_support == bank.guard_support
    assert [c.support for c in back.classes] == [c.support for c in bank.classes]
    assert math.isnan(back.calibrations[1].threshold)
    assert np.array_equal(back.guard_tokens, bank.guard_tokens)


def test_a_table_older_than_the_number_of_pictures_is_read() -> None:
    meta, arrays = _contents(_bank())
    assert [c.pictures for c in bank_from_contents(meta, arrays).classes] == [30, 30, 30]
    for known in meta["classes"]:
        del known["pictures"]
    assert [c.pictures for c in bank_from_contents(meta, arrays).classes] == [0, 0, 0]


def test_guarded_pictures_count_in_the_digest() -> None:
    bank = _bank()
    (_, crop), *rest = bank.guard_support
    others = [
        (),
        bank.guard_support[::-1],
        (("animal", crop), *rest),
        (("debris", support_crop(np.random.default_rng(9))), *rest),
    ]
    digests = {bank_digest(replace(bank, guard_support=other)) for other in others}
    assert len(digests | {bank_digest(bank)}) == 5


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda meta: meta["guard_support"].pop(), ValueError),
        (lambda meta: meta["guard_support"].append(meta["guard_support"][0]), ValueError),
        (lambda meta: meta["guard_support"][0].update(jpeg_bytes=-1), ValueError),
        (lambda meta: meta["guard_support"][0].update(jpeg_bytes="9"), ValueError),
        (lambda meta: meta["guard_support"][0].update(sha256="x"), UsageError),
        (lambda meta: meta["guard_support"][0].pop("name"), KeyError),
        (lambda meta: meta.pop("guard_support"), KeyError),
        (lambda meta: meta.update(guard_support=5), TypeError),
        (lambda meta: meta["guard_names"].pop(), UsageError),
        (lambda meta: meta["classes"].pop(), ValueError),
        (lambda meta: meta["classes"][0].update(prototypes=99), ValueError),
        (lambda meta: meta["classes"][0].update(kind="animal"), ValueError),
    ],
)
def test_refuses_what_does_not_add_up(spoil: Callable[[dict[str, Any]], object], error: type[Exception]) -> None:
    meta, arrays = _contents(_bank())
    spoil(meta)
    with pytest.raises(error):
        bank_from_contents(meta, arrays)
