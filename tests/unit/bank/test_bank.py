"""The bank as a value: it takes what is right, refuses the rest in words, and cannot be changed afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airside.bank.bank import Calibration, KnownClass, PrototypeBank, SupportCrop
from airside.errors import MismatchError, UsageError
from tests.builders import tiny_bank, tiny_class, unit_rows

Refused = list[tuple[Callable[[], object], str]]


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _class(**changes: Any) -> KnownClass:
    return replace(tiny_class(_rng(), "tug"), **changes)


def _bank(**changes: Any) -> PrototypeBank:
    return replace(tiny_bank(_rng()), **changes)


def _with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[0] = np.nan
    return array


GOOD_CLASS, GOOD_BANK = _class(), _bank()

REFUSED: Refused = [
    (lambda: SupportCrop(b"", b"m", "0" * 64), "jpeg"),
    (lambda: SupportCrop(b"j", "m", "0" * 64), "mask_png"),  # type: ignore[arg-type]
    (lambda: SupportCrop(b"j", b"m", "0" * 63), "64 lower-case hex"),
    (lambda: SupportCrop(b"j", b"m", "G" * 64), "64 lower-case hex"),
    (lambda: _class(name=""), "printable"),
    (lambda: _class(name=" tug"), "printable"),
    (lambda: _class(name="tug\n"), "printable"),
    (lambda: _class(name="\ud800"), "printable"),
    (lambda: _class(name="x" * 201), "printable"),
    (lambda: _class(name=3), "printable"),
    (lambda: _class(kind="thing"), "ClassKind"),
    (lambda: _class(protected=1), "True or False"),
    (lambda: _class(pictures=-1), "int >= 0"),
    (lambda: _class(pictures=2.0), "int >= 0"),
    (lambda: _class(support=[]), "tuple of SupportCrop"),
    (lambda: _class(support=(b"j",)), r"support\[0\]"),
    (lambda: _class(prototypes=np.zeros((0, 8), np.float32)), "P and C >= 1"),
    (lambda: _class(prototypes=GOOD_CLASS.prototypes.astype(np.float64)), "float32 array of shape .*float64"),
    (lambda: _class(prototypes=GOOD_CLASS.prototypes.tolist()), "float32 array"),
    (lambda: _class(prototypes=GOOD_CLASS.prototypes[0]), r"shape \[any, any\]"),
    (lambda: _class(prototypes=_with_nan(GOOD_CLASS.prototypes)), "1 of 24 NaN"),
    (lambda: _class(prototypes=GOOD_CLASS.prototypes * np.float32(1.01)), "unit length"),
    (lambda: _class(mean=GOOD_CLASS.mean[:7]), r"shape \[8\]"),
    (lambda: _class(mean=np.zeros(8, np.float32)), "unit length"),
    (lambda: _class(held_out_similarity=np.array([0.5, 1.1], np.float32)), r"\[-1, 1\]; got 1.1"),
    (lambda: _class(held_out_similarity=np.array([0.5, 0.4], np.float32)), "ascending"),
    (lambda: _class(held_out_similarity=np.array([np.inf], np.float32)), "finite"),
    (lambda: Calibration("", 0.5, 0.01, 5), "printable"),
    (lambda: Calibration("default", math.inf, 0.01, 5), "threshold"),
    (lambda: Calibration("default", 0.5, 1.5, 5), "alpha"),
    (lambda: Calibration("default", 0.5, 0.01, -1), "clean_frames"),
    (lambda: Calibration("default", 0.5, 0.01, 2.0), "clean_frames"),  # type: ignore[arg-type]
    (lambda: _bank(model_fingerprint=""), "model_fingerprint"),
    (lambda: _bank(classes=[]), "tuple of KnownClass"),
    (lambda: _bank(classes=(1,)), r"classes\[0\]: wanted KnownClass"),
    (lambda: _bank(calibrations=(1,)), "Calibration"),
    (lambda: _bank(classes=(GOOD_CLASS, GOOD_CLASS)), "several of 'tug'"),
    (lambda: _bank(calibrations=GOOD_BANK.calibrations * 2), "several of 'default.2', 'prowl'"),
    (lambda: _bank(guard_names=("one",)), r"shape \[1, any\]"),
    (lambda: _bank(guard_names=("one", "")), "guard_names"),
    (lambda: _bank(guard_tokens=GOOD_BANK.guard_tokens * np.float32(2)), "unit length"),
    (lambda: _bank(guard_tokens=unit_rows(_rng(), 2, 9)), "8 channels, but guard_tokens has 9"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_refuses_what_does_not_fit(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


def test_takes_a_bank_with_no_classes_and_no_guard() -> None:
    bank = PrototypeBank("f", (), (), np.zeros((0, 8), np.float32), ())
    assert bank.names == ()
    assert bank.channels == 8


def test_takes_an_uncalibrated_threshold() -> None:
    assert math.isnan(Calibration("default", math.nan, math.nan, 0).threshold)


def test_arrays_are_copies_that_cannot_be_written() -> None:
    mine = unit_rows(_rng(), 3, 8)
    known = _class(prototypes=mine)
    before = known.prototypes.copy()
    mine[:] = 0
    assert np.array_equal(known.prototypes, before)
    with pytest.raises(ValueError, match="read-only"):
        known.prototypes[0, 0] = 1


def test_another_model_is_refused_with_the_mending_command() -> None:
    GOOD_BANK.require_model("f" * 64, "BANK", "MODEL")
    with pytest.raises(MismatchError, match="airside bank migrate --bank BANK --model MODEL"):
        GOOD_BANK.require_model("0" * 64, "BANK", "MODEL")
