"""The benchmark's frames share nothing with training, bank or calibration, and its counts mean what they say."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from airside.messages import Kind, Region
from eval.apron import Seen as SeenFrame
from eval.apron import _found, _patches_of, flagged_pixels, support_of, unknown_instances
from eval.apron_protocol import FEW_SHOT_IMAGES, FEW_SHOT_TYPES, FRAMES_PER_WORLD, Protocol
from prototypes.build import bank_plans, clean_plans
from training.apron import frames
from training.apron.drives import DEMO
from training.apron.families import CLUTTER, KNOWN, PROTECTED, UNKNOWN
from training.apron.frames import SEED_CALIBRATION, LabelledFrame, WorldPlan
from training.apron.renderer import STUFF, View
from training.pictures import SEED_TRAIN

PROTOCOL = Protocol()
SEEDS = {name: value for name, value in vars(frames).items() if name.startswith("SEED_")} | {"SEED_TRAIN": SEED_TRAIN}
ALL_PLANS = {
    "bank": bank_plans(),
    "calibration": clean_plans(SEED_CALIBRATION, 60),
    "test": PROTOCOL.test_plans(),
    "clean": PROTOCOL.clean_plans(),
    "support": PROTOCOL.support_plans(),
    "appearance": PROTOCOL.appearance_plans(),
}


def _worlds(plans: Iterable[WorldPlan]) -> set[tuple[int, int]]:
    return {(p.seed, p.world) for p in plans}


def test_seeds_are_pairwise_distinct() -> None:
    assert len(SEEDS) == 7
    assert len(set(SEEDS.values())) == 7
    assert {p.seed for plans in ALL_PLANS.values() for p in plans} <= set(SEEDS.values()) - {SEED_TRAIN}
    assert DEMO.seed == frames.SEED_DEMO


def test_no_two_sets_share_a_world() -> None:
    every = [world for plans in ALL_PLANS.values() for world in _worlds(plans)]
    assert len(every) == len(set(every)) == sum(len(plans) for plans in ALL_PLANS.values())


def test_unknown_types_are_shown_to_nobody_before() -> None:
    assert not set(UNKNOWN) & (set(KNOWN) | set(CLUTTER) | set(STUFF) | set(PROTECTED))
    for name in ("bank", "calibration", "clean"):
        for plan in ALL_PLANS[name]:
            assert set(plan.known) == set(KNOWN)
            assert (plan.unknown, plan.models, plan.unknown_count) == ((), (), (0, 0))
    assert all(p.clutter == 0 for name in ("calibration", "clean", "test") for p in ALL_PLANS[name])
    assert all(set(p.unknown) == set(UNKNOWN) for p in PROTOCOL.test_plans())
    assert len(UNKNOWN) >= 10


def test_few_shot_types() -> None:
    assert len(set(FEW_SHOT_TYPES)) == 8
    assert set(FEW_SHOT_TYPES) <= set(UNKNOWN)
    for plans, count in ((PROTOCOL.support_plans(), FEW_SHOT_IMAGES), (PROTOCOL.appearance_plans(), 16)):
        assert [p.models for p in plans] == [(name,) for name in FEW_SHOT_TYPES]
        assert all((p.frames, p.unknown_count) == (count, (1, 1)) for p in plans)


@pytest.mark.parametrize("count", [1, FRAMES_PER_WORLD, FRAMES_PER_WORLD + 1, 300])
def test_as_many_frames_as_asked_for(count: int) -> None:
    protocol = Protocol(frames=count, clean_frames=count + 1)
    assert sum(p.frames for p in protocol.test_plans()) == count
    assert sum(p.frames for p in protocol.clean_plans()) == count + 1
    assert all(0 < p.frames <= FRAMES_PER_WORLD for p in protocol.test_plans())
    assert Protocol(clean_frames=0).clean_plans() == []


def test_the_issue_s_numbers() -> None:
    assert PROTOCOL.frames >= 300
    assert PROTOCOL.clean_frames >= 1000


def _region(kind: Kind, x0: float, y0: float, x1: float, y1: float) -> Region:
    outline = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)
    return Region(kind, "tug", 0.5, 0.9, 4.0, (x0, y0, x1 + 1, y1 + 1), outline)


def test_flagged_pixels_are_those_of_unknown_regions() -> None:
    regions = (
        _region(Kind.UNKNOWN, 2, 3, 5, 6),
        _region(Kind.KNOWN, 10, 10, 14, 14),
        _region(Kind.UNKNOWN, 8, 0, 8, 1),
    )
    wanted = np.zeros((20, 30), bool)
    wanted[3:7, 2:6] = True
    wanted[0:2, 8] = True
    assert np.array_equal(flagged_pixels(regions, (20, 30)), wanted)
    assert not flagged_pixels((), (20, 30)).any()


CLASSES = np.arange(12, dtype=np.int32).reshape(3, 4)


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ((0, 0, 8, 4), [0, 1]),  # two whole patches of 4 px
        ((2, 0, 8, 4), [0, 1]),  # one by half
        ((3, 0, 8, 4), [1]),  # one by a quarter
        ((5, 5, 6, 8), [5]),  # slim: the patch it fills most
        ((7, 4, 9, 8), [5, 6]),  # slim, on two patches alike
        ((6, 4, 9, 8), [5]),
        ((0, 0, 16, 12), list(range(12))),
    ],
)
def test_patches_of_an_object(box: tuple[int, int, int, int], wanted: list[int]) -> None:
    mask = np.zeros((12, 16), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    assert _patches_of(mask, CLASSES).tolist() == wanted


NAMES = ("tarmac", "cone", *sorted(UNKNOWN)[:2])
VIEW = View((0.0, 0.0, 1.5), 0.0, 0.0, 0.0, 1.0, 112, 196)


def _frame(*objects: tuple[int, int, int, int, int], shape: tuple[int, int] = (112, 196)) -> LabelledFrame:
    """Tarmac with objects (label, x0, y0, x1, y1); their order is their instance number."""
    label, instance = np.zeros(shape, np.uint16), np.full(shape, -1, np.int16)
    for number, (index, x0, y0, x1, y1) in enumerate(objects):
        label[y0:y1, x0:x1], instance[y0:y1, x0:x1] = index, number
    rgb: np.ndarray = np.zeros((*shape, 3), np.uint8)
    return LabelledFrame(rgb, label, instance, np.ones(shape, np.float32), NAMES, "day", "wide", 0, VIEW)


def test_unknown_instances_are_those_of_unknown_types() -> None:
    frame = _frame((1, 0, 0, 20, 20), (2, 40, 0, 60, 20), (3, 80, 0, 90, 20), (2, 100, 50, 120, 60))
    assert unknown_instances(frame) == {1: NAMES[2], 2: NAMES[3], 3: NAMES[2]}
    assert unknown_instances(_frame((1, 0, 0, 20, 20))) == {}


def test_support_is_a_box_around_the_object() -> None:
    frame = _frame((1, 0, 0, 20, 20), (2, 40, 10, 60, 30))
    frame.instance[10:15, 40:45] = frame.label[10:15, 40:45] = 0  # hidden by the cone: the box stays
    frame.label[10:15, 40:45] = 1
    (support,) = support_of([frame], NAMES[2])
    wanted = np.zeros((112, 196), bool)
    wanted[10:30, 40:60] = True
    assert support.mask is not None
    assert np.array_equal(support.mask, wanted)
    with pytest.raises(ValueError, match="unpack"):
        support_of([_frame((1, 0, 0, 20, 20))], NAMES[2])


def test_only_large_unknown_objects_are_looked_for() -> None:
    frame = _frame((2, 0, 0, 70, 70), (3, 80, 0, 150, 70), (2, 160, 0, 180, 20), (1, 0, 80, 100, 112))
    flagged = np.zeros((112, 196), bool)
    flagged[:, :20] = True  # 2 / 7 of the first
    seen = SeenFrame(np.zeros((112, 196), np.float32), (), flagged, np.zeros((8, 14), np.int32))
    assert _found(frame, seen) == {0: True, 1: False}
