"""Registering with a tiny engine: what is learnt, what is noticed, what is refused, and that a bank never changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airside.bank.bank import ClassKind, KnownClass, PrototypeBank
from airside.bank.snapshot import bank_digest
from airside.engine.onnx import OnnxEngine
from airside.enrolment.enrol import EnrolmentReport, enrol
from airside.enrolment.support import SupportImage, decode_crop, mask_from_box, pixels_sha256
from airside.errors import InputError, RefusedError, UsageError
from airside.knowledge import knowledge_from_bank, map_from_tokens
from tests.builders import apron_like_picture

RED, GREEN, VIOLET, WHITE = (200, 40, 30), (20, 160, 40), (150, 20, 220), (250, 250, 250)
CYAN = (10, 200, 220)


def _pictures(
    count: int, colour: tuple[int, int, int] = RED, *, seed: int = 1, hint: bool = True
) -> list[SupportImage]:
    rng = np.random.default_rng(seed)
    made = []
    for k in range(count):
        image, box = apron_like_picture(rng, colour=colour)
        mask = mask_from_box(box, image.shape[:2], "") if hint else None
        made.append(SupportImage(f"{k}.png", image, mask))
    return made


def _class(bank: PrototypeBank, name: str) -> KnownClass:
    return next(c for c in bank.classes if c.name == name)


def _problems(report: EnrolmentReport, problem: str) -> list[str]:
    return [f.label for f in report.findings if f.problem == problem]


@pytest.mark.parametrize(("hint", "boxed"), [(True, True), (True, False), (False, False)])
def test_a_class_is_learnt_and_recognised(bank: PrototypeBank, engine: OnnxEngine, hint: bool, boxed: bool) -> None:
    digest = bank_digest(bank)
    after, report = enrol(bank, engine, "tug", _pictures(5, hint=hint), boxed=boxed)
    assert bank_digest(bank) == digest
    assert after.names == (*bank.names, "tug")
    assert after.calibrations == bank.calibrations
    assert all(a is b for a, b in zip(after.classes, bank.classes, strict=False))
    tug = _class(after, "tug")
    assert (tug.kind, tug.protected, len(tug.support)) == (ClassKind.THING, False, 5)
    assert (report.name, report.pictures_used, report.prototypes) == ("tug", 5, len(tug.prototypes))
    assert (report.overlaps, report.hidden) == ((), ())
    assert report.patches == len(tug.held_out_similarity) >= 20
    image, box = apron_like_picture(np.random.default_rng(77))
    tokens = engine.tokens(image[1::2, 1::2][None])[0]
    u, v = (box[0] + box[2]) // 4 // 14, (box[1] + box[3]) // 4 // 14
    seen = [map_from_tokens(tokens, knowledge_from_bank(b, "", "knn")) for b in (bank, after)]
    assert seen[1].class_names[seen[1].class_index[v, u]] == "tug"
    assert seen[1].ood_score[v, u] < seen[0].ood_score[v, u] - 0.1


def test_kept_crops_show_the_object_also_without_a_hint(bank: PrototypeBank, engine: OnnxEngine) -> None:
    after, _ = enrol(bank, engine, "tug", _pictures(2, hint=False), allow_hiding=True)
    for crop in _class(after, "tug").support:
        kept = decode_crop(crop, "")
        assert kept.mask is not None
        inside, outside = kept.image[kept.mask].mean(axis=0), kept.image[~kept.mask].mean(axis=0)
        assert inside[0] - inside[2] > 20 > 0 > outside[0] - outside[2]  # red; whole patches, so some ground as well


def test_a_picture_given_twice_counts_once(bank: PrototypeBank, engine: OnnxEngine) -> None:
    first, second = _pictures(2)
    after, report = enrol(bank, engine, "tug", [first, replace(first, label="again.png"), second])
    assert report.pictures_used == 2
    assert report.findings[0].label == "again.png"
    assert (report.findings[0].problem, "already given" in report.findings[0].detail) == ("near_duplicate", True)
    assert len(_class(after, "tug").support) == 2


def test_pictures_that_look_the_same_are_told(bank: PrototypeBank, engine: OnnxEngine) -> None:
    first, second = _pictures(2)[0], _pictures(1, VIOLET)[0]
    twin = replace(first, label="twin.png", image=np.minimum(first.image, 254) + 1)
    _, report = enrol(bank, engine, "tug", [first, replace(second, label="other.png"), twin])
    assert _problems(report, "near_duplicate") == ["twin.png"]
    assert "looks the same as 0.png" in report.findings[0].detail
    assert report.pictures_used == 3  # told, not left out


def test_an_outlier_is_told(bank: PrototypeBank, engine: OnnxEngine) -> None:
    odd = replace(_pictures(1, VIOLET, seed=8)[0], label="odd.png")
    _, report = enrol(bank, engine, "tug", [*_pictures(4), odd])
    assert _problems(report, "outlier") == ["odd.png"]
    assert _problems(enrol(bank, engine, "tug", _pictures(4))[1], "outlier") == []
    assert _problems(enrol(bank, engine, "tug", [*_pictures(1), odd])[1], "outlier") == []  # which of two is odd?


def test_a_picture_that_shows_too_little_is_left_out(bank: PrototypeBank, engine: OnnxEngine) -> None:
    good, bad = _pictures(2)
    speck = replace(bad, label="speck.png", mask=mask_from_box((50, 60, 54, 63), (112, 196), ""))
    after, report = enrol(bank, engine, "tug", [good, speck])
    assert _problems(report, "too_small") == ["speck.png"]
    assert (report.pictures_used, len(_class(after, "tug").support)) == (1, 1)
    with pytest.raises(InputError, match=r"no picture of 'tug' shows it large enough: .* wanted 4.*--box"):
        enrol(bank, engine, "tug", [speck])


def test_overlap_with_a_known_class_is_told(bank: PrototypeBank, engine: OnnxEngine) -> None:
    _, report = enrol(bank, engine, "crew", _pictures(4, (20, 30, 160)), allow_hiding=True)
    assert [o.name for o in report.overlaps] == ["person"]


def test_a_known_name_is_taught_further(bank: PrototypeBank, engine: OnnxEngine) -> None:
    once, _ = enrol(bank, engine, "tug", _pictures(3))
    twice, report = enrol(once, engine, "tug", _pictures(3, CYAN, seed=4))
    assert twice.names == once.names
    old, new = _class(once, "tug"), _class(twice, "tug")
    assert new.support[:3] == old.support
    assert (len(new.support), report.pictures_used) == (6, 3)
    assert (len(old.prototypes), len(new.prototypes)) == (1, 2)  # one for each appearance
    own = (old.prototypes @ new.prototypes.T).max(axis=1)
    assert own.min() > 0.9  # what was known stays known
    cyan = _class(enrol(bank, engine, "c", _pictures(3, CYAN, seed=4))[0], "c").mean
    assert (new.prototypes @ cyan).max() > 0.9 > (old.prototypes @ cyan).max()


@pytest.mark.parametrize("name", ["tarmac", "person"])
def test_teaching_further_keeps_what_a_class_is(bank: PrototypeBank, engine: OnnxEngine, name: str) -> None:
    guarded = replace(
        bank,
        guard_tokens=np.concatenate([bank.guard_tokens, _class(bank, "person").prototypes]),
        guard_names=(*bank.guard_names, *["person"] * len(_class(bank, "person").prototypes)),
    )
    colour = (110, 108, 104) if name == "tarmac" else (20, 30, 160)
    after, _ = enrol(guarded, engine, name, _pictures(3, colour, seed=3))
    was, now = _class(bank, name), _class(after, name)
    assert (now.kind, now.protected) == (was.kind, was.protected)
    assert len(now.support) == len(was.support) + 3


def test_a_kind_can_be_given(bank: PrototypeBank, engine: OnnxEngine) -> None:
    assert _class(enrol(bank, engine, "foam", _pictures(2), kind=ClassKind.STUFF)[0], "foam").kind is ClassKind.STUFF


def test_pictures_that_are_in_the_bank_already(bank: PrototypeBank, engine: OnnxEngine) -> None:
    pictures = _pictures(3)
    after, _ = enrol(bank, engine, "tug", pictures)
    assert [c.sha256 for c in _class(after, "tug").support] == [pixels_sha256(p.image) for p in pictures]
    with pytest.raises(InputError, match="already in the bank; nothing was changed"):
        enrol(after, engine, "tug", pictures[:2])


def test_a_guarded_thing_is_refused_unless_overridden(bank: PrototypeBank, engine: OnnxEngine) -> None:
    digest = bank_digest(bank)
    pictures = _pictures(3, GREEN)
    with pytest.raises(
        RefusedError, match=r"'mat' would hide \d+% of the \d+ guarded patches of 'debris'.*--allow-hid"
    ):
        enrol(bank, engine, "mat", pictures)
    assert bank_digest(bank) == digest
    after, report = enrol(bank, engine, "mat", pictures, allow_hiding=True)
    assert [h.name for h in report.hidden] == ["debris"]
    assert after.names[-1] == "mat"
    assert np.array_equal(after.guard_tokens, bank.guard_tokens)


@pytest.mark.parametrize("name", ["", " ", " tug", "tug ", "a\nb", "x" * 201])
def test_refuses_what_is_no_name(bank: PrototypeBank, engine: OnnxEngine, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        enrol(bank, engine, name, _pictures(2))


def test_refuses_no_picture(bank: PrototypeBank, engine: OnnxEngine) -> None:
    with pytest.raises(UsageError, match="no picture was given"):
        enrol(bank, engine, "tug", [])
