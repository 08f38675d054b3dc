"""Another model: every class and guard is embedded anew from its kept pictures, and no threshold is carried over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.bank.bank import ClassKind, PrototypeBank
from airside.engine.onnx import OnnxEngine, load_engine
from airside.enrolment.enrol import migrate
from airside.enrolment.support import SupportImage, kept_crop, mask_from_box
from airside.errors import CorruptError, InputError
from tests.builders import apron_like_picture, tiny_bundle


@pytest.fixture
def other(tmp_path: Path) -> OnnxEngine:
    return load_engine(tiny_bundle(tmp_path / "other", seed=5), 1)


@pytest.fixture
def guarded(bank: PrototypeBank) -> PrototypeBank:
    """The bank with pictures of its guarded green patch."""
    image, box = apron_like_picture(np.random.default_rng(3), colour=(20, 160, 40))
    mask = mask_from_box(box, image.shape[:2], "")
    return replace(bank, guard_support=(("debris", kept_crop(SupportImage("", image, mask), mask)),))


def test_everything_is_embedded_anew(guarded: PrototypeBank, other: OnnxEngine) -> None:
    after = migrate(guarded, other)
    assert after.model_fingerprint == other.manifest.fingerprint != guarded.model_fingerprint
    assert after.calibrations == ()
    assert after.guard_support == guarded.guard_support
    assert set(after.guard_names) == {"debris"}
    assert len(after.guard_tokens) == len(after.guard_names) > 0
    for old, new in zip(guarded.classes, after.classes, strict=True):
        assert (new.name, new.kind, new.protected, new.support) == (old.name, old.kind, old.protected, old.support)
        assert not np.allclose(new.mean, old.mean, atol=0.1)  # another model's space
    assert after.classes[0].kind is ClassKind.STUFF


def test_the_new_model_gives_its_own_tokens(guarded: PrototypeBank, other: OnnxEngine) -> None:
    after = migrate(guarded, other)
    plain: np.ndarray = np.empty((2, 56, 98, 3), np.uint8)
    plain[0], plain[1] = (20, 30, 160), (20, 160, 40)
    blue, green = other.tokens(plain)[:, 0, 0]
    person = after.classes[2]
    assert (person.prototypes @ blue).max() > 0.98
    assert (after.guard_tokens @ green).max() > 0.98
    assert (after.guard_tokens @ green).mean() > (after.guard_tokens @ blue).mean()


def test_there_and_back(guarded: PrototypeBank, engine: OnnxEngine, other: OnnxEngine) -> None:
    back = migrate(migrate(guarded, other), engine)
    assert back.model_fingerprint == guarded.model_fingerprint
    for old, new in zip(guarded.classes, back.classes, strict=True):
        assert float(old.mean @ new.mean) > 0.97


def test_a_guard_without_pictures_is_gone(bank: PrototypeBank, other: OnnxEngine) -> None:
    """`airside bank migrate` warns of it: see tests/unit/commands/test_bank_command.py."""
    after = migrate(bank, other)
    assert after.guard_names == ()
    assert after.guard_tokens.shape == (0, 8)


def test_refuses_a_class_that_keeps_no_pictures(bank: PrototypeBank, other: OnnxEngine) -> None:
    bare = replace(bank, classes=(*bank.classes[:2], replace(bank.classes[2], support=())))
    with pytest.raises(InputError, match="class 'person' keeps no support crops; register it again"):
        migrate(bare, other)


def test_refuses_a_picture_that_is_damaged(bank: PrototypeBank, other: OnnxEngine) -> None:
    broken = tuple(replace(crop, jpeg=b"x") for crop in bank.classes[1].support)
    with pytest.raises(CorruptError, match="support crop sky #0 is damaged"):
        migrate(replace(bank, classes=(replace(bank.classes[1], support=broken),)), other)
