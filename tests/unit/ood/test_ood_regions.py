from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest

from airside.bank.bank import ClassKind
from airside.errors import InputError, UsageError
from airside.messages import Kind, NetworkInput, OodMap, Region
from airside.ood.affinity import affinity_groups
from airside.ood.evidence import frame_region_score, patch_evidence
from airside.ood.outline import fill_holes, frame_outline
from airside.ood.refine import upsample
from airside.ood.regions import RegionRules, find_regions, patch_cover, patch_of_pixel

GRID, SHAPE = (16, 28), (224, 392)
NAMES, KINDS = ("tarmac", "tug", "cone"), (ClassKind.STUFF, ClassKind.THING, ClassKind.THING)


def a_map(*blocks: tuple[slice, slice, float], classes: np.ndarray | None = None) -> OodMap:
    score = np.full(GRID, 0.2, np.float32)
    for rows, columns, value in blocks:
        score[rows, columns] = value
    index = np.zeros(GRID, np.int32) if classes is None else classes
    return OodMap(score, np.full(GRID, 0.7, np.float32), index, NAMES)


def an_input(scale: tuple[float, float] = (1.0, 1.0), offset: tuple[float, float] = (0.0, 0.0)) -> NetworkInput:
    return NetworkInput(np.zeros((*SHAPE, 3), np.uint8), scale, offset, np.ones(GRID, bool))


def regions(
    ood_map: OodMap, threshold: float = 0.8, network_input: NetworkInput | None = None, **more: object
) -> tuple[Region, ...]:
    refined = partial(upsample, ood_map.ood_score, SHAPE)
    return find_regions(ood_map, refined, threshold, network_input or an_input(), KINDS, **more)  # type: ignore[arg-type]


def slow_evidence(score: np.ndarray, observed: np.ndarray) -> np.ndarray:
    height, width = score.shape
    windows = [(y, x) for y in range(height - 2) for x in range(width - 2) if observed[y : y + 3, x : x + 3].all()]
    log_odds = np.log(score / (1 - score))
    out = np.zeros(score.shape)
    for y, x in zip(*np.nonzero(observed), strict=True):
        if (y - 1, x - 1) in windows:
            mean = log_odds[y - 1 : y + 2, x - 1 : x + 2].mean()
        else:
            around = [log_odds[j : j + 3, i : i + 3].mean() for j, i in windows if 0 <= y - j < 3 and 0 <= x - i < 3]
            near = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
            mean = max(around) if around else log_odds[near][observed[near]].mean()
        out[y, x] = 1 / (1 + np.exp(-mean))
    return out


@pytest.mark.parametrize("grid", [(6, 9), (2, 5), (1, 1)])
def test_evidence_equals_the_loop(grid: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    score, observed = rng.uniform(0.01, 0.99, grid), np.ones(grid, bool)
    if grid == (6, 9):
        observed[:, :2] = observed[3, 5] = False
    np.testing.assert_allclose(patch_evidence(score, observed), slow_evidence(score, observed), atol=1e-9)
    all_seen = patch_evidence(score)
    np.testing.assert_allclose(all_seen, slow_evidence(score, np.ones(grid, bool)), atol=1e-9)
    assert not np.allclose(all_seen, patch_evidence(1 - score))


@pytest.mark.parametrize("place", [(8, 14), (0, 0), (0, 5), (15, 27)])
def test_a_lone_patch_stays_below_a_modest_object(place: tuple[int, int]) -> None:
    lone, modest = a_map(), a_map((slice(5, 8), slice(5, 8), 0.9))
    lone.ood_score[place] = 1.0
    assert frame_region_score(lone) < 0.6
    assert frame_region_score(modest) == pytest.approx(0.9, abs=1e-6)


def test_unobserved_patches_say_nothing() -> None:
    ood_map = a_map((slice(0, 3), slice(0, 28), 0.99))
    observed = np.ones(GRID, bool)
    observed[:3] = False
    assert frame_region_score(ood_map, observed) == pytest.approx(0.2, abs=1e-6)
    assert regions(ood_map, network_input=replace(an_input(), observed=observed)) == ()
    assert len(regions(ood_map)) == 1


def test_separate_blocks_are_separate_regions_in_the_right_place() -> None:
    ood_map = a_map((slice(3, 7), slice(4, 9), 0.97), (slice(9, 14), slice(18, 25), 0.99))
    found = regions(ood_map)
    assert [r.kind for r in found] == [Kind.UNKNOWN, Kind.UNKNOWN]
    assert [r.name for r in found] == ["unknown", "unknown"]
    assert found[0].ood_score == pytest.approx(0.99, abs=1e-3)
    assert found[1].ood_score == pytest.approx(0.97, abs=1e-3)
    for region, (x0, y0, x1, y1) in zip(found, ((252, 126, 350, 196), (56, 42, 126, 98)), strict=True):
        np.testing.assert_allclose(region.box_px, (x0, y0, x1, y1), atol=7)
        assert region.patches == pytest.approx((x1 - x0) * (y1 - y0) / 196, rel=0.25)
        assert region.nearest_class == "tarmac"
        assert region.similarity == pytest.approx(0.7)


def test_score_knows_no_threshold_and_agrees_with_the_frame() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        ood_map = a_map((slice(4, 9), slice(6, 12), 0.95))
        ood_map.ood_score[:] = np.clip(ood_map.ood_score + rng.normal(0, 0.15, GRID), 0.01, 0.99)
        frame = frame_region_score(ood_map)
        best = {regions(ood_map, t)[0].ood_score for t in (0.5, 0.6, 0.7)}
        assert best == {frame}
        assert not any(r.kind is Kind.UNKNOWN for r in regions(ood_map, frame))


def test_a_seed_that_smoothing_sank_is_still_reported() -> None:
    ood_map = a_map((slice(5, 8), slice(5, 8), 0.99))
    rules = RegionRules(min_patches_unknown=1)
    sunk = find_regions(ood_map, lambda: np.zeros(SHAPE, np.float32), 0.8, an_input(), KINDS, rules=rules)
    assert [r.ood_score for r in sunk] == [frame_region_score(ood_map)]


def test_hysteresis_grows_over_the_weaker_rim_and_drops_what_has_no_seed() -> None:
    strong, rim = (slice(5, 9), slice(5, 9), 0.99), (slice(5, 9), slice(9, 13), 0.75)
    both = regions(a_map(strong, rim))
    assert len(both) == 1
    assert both[0].box_px[2] > 170
    assert regions(a_map(rim)) == ()
    narrow = regions(a_map(strong, rim), rules=RegionRules(grow_log_odds=0.0))
    assert narrow[0].box_px[2] < 140


def test_holes_are_closed_and_small_regions_dropped() -> None:
    ring = a_map((slice(4, 11), slice(4, 11), 0.99), (slice(6, 9), slice(6, 9), 0.05))
    (region,) = regions(ring)
    assert region.patches > 40
    assert regions(ring, rules=RegionRules(min_patches_unknown=100)) == ()


def test_tokens_split_what_touches() -> None:
    ood_map = a_map((slice(5, 10), slice(4, 16), 0.98))
    tokens = np.zeros((*GRID, 3), np.float32)
    tokens[..., 0] = 1
    tokens[5:10, 4:10] = (0, 1, 0)
    tokens[5:10, 10:16] = (0, 0, 1)
    assert len(regions(ood_map)) == 1
    parts = sorted(regions(ood_map, tokens=tokens), key=lambda r: r.box_px[0])
    assert len(parts) == 2
    assert parts[0].box_px[2] == pytest.approx(140, abs=1)
    assert parts[1].box_px[0] == pytest.approx(140, abs=1)
    tokens[5:10, 4:16] = (0, 1, 0)
    assert len(regions(ood_map, tokens=tokens)) == 1


def test_affinity_groups_follow_chains_and_give_territories() -> None:
    angle = np.zeros((4, 12))
    angle[:] = np.linspace(0, 1.5, 12)  # neighbours agree, ends do not
    angle[:, 8:] += 2
    angle[0, 0] = 3  # a lone disagreeing patch joins its surroundings
    tokens = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    member = np.ones((4, 12), bool)
    groups = affinity_groups(member, tokens, 0.9, 2)
    assert len(np.unique(groups[:, :8])) == 1
    assert len(np.unique(groups[:, 8:])) == 1
    assert groups[0, 0] != groups[0, 11]
    assert (affinity_groups(member, tokens, 0.9, 100) == 1).all()
    assert (affinity_groups(np.zeros((4, 12), bool), tokens, 0.9, 1) == 1).all()
    with pytest.raises(UsageError, match="tokens"):
        affinity_groups(member, tokens[:2], 0.9, 2)


def test_known_things_are_named_stuff_and_specks_are_not() -> None:
    classes = np.zeros(GRID, np.int32)
    classes[2:5, 2:6] = 1
    classes[2:5, 6:9] = 2  # touches the tug, another class
    classes[10:13, 20:24] = 1
    classes[14, 1] = 1
    ood_map = a_map((slice(10, 13), slice(20, 24), 0.99), classes=classes)
    found = regions(ood_map)
    assert [(r.kind, r.name) for r in found] == [
        (Kind.UNKNOWN, "unknown"),
        (Kind.KNOWN, "tug"),
        (Kind.KNOWN, "cone"),
    ]
    assert found[0].nearest_class == "tug"
    assert found[1].patches == 12
    np.testing.assert_allclose(found[1].box_px, (28, 28, 84, 70), atol=2)
    assert found[1].ood_score == pytest.approx(0.2, abs=1e-6)


def test_frame_pixels_follow_the_affine_map() -> None:
    ood_map = a_map((slice(5, 9), slice(5, 9), 0.99))
    plain = regions(ood_map)[0]
    mapped = regions(ood_map, network_input=an_input((2.0, 3.0), (10.5, -4.0)))[0]
    np.testing.assert_allclose(mapped.outline_px, plain.outline_px * (2, 3) + (10.5, -4.0), atol=1e-4)
    near, far = np.array(plain.box_px[:2]), np.array(plain.box_px[2:])
    np.testing.assert_allclose(mapped.box_px[:2], (near - 0.5) * (2, 3) + (11, -3.5), atol=1e-6)
    np.testing.assert_allclose(mapped.box_px[2:], (far - 0.5) * (2, 3) + (11, -3.5), atol=1e-6)


def test_outline_and_box_of_exact_masks() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[10:20, 30:50] = True
    box, outline = frame_outline(mask, an_input(), 1.0)
    assert box == (30.0, 10.0, 50.0, 20.0)
    assert outline.dtype == np.float32
    drawn = cv2.fillPoly(np.zeros(SHAPE, np.uint8), [outline.round().astype(np.int32)], 1)
    np.testing.assert_array_equal(drawn > 0, mask)
    line = np.zeros(SHAPE, bool)
    line[5, 5:9] = True
    box, outline = frame_outline(line, an_input(), 1.0)
    assert box == (5.0, 5.0, 9.0, 6.0)
    assert outline.tolist() == [[4.5, 4.5], [8.5, 4.5], [8.5, 5.5], [4.5, 5.5]]
    mask[13:15, 35:40] = False
    assert fill_holes(mask).sum() == 200
    with pytest.raises(UsageError, match="empty"):
        frame_outline(np.zeros(SHAPE, bool), an_input(), 1.0)


def test_patch_arithmetic() -> None:
    mask = np.zeros((28, 42), bool)
    mask[:14, :7] = True
    assert patch_cover(mask, (2, 3)).tolist() == [[0.5, 0, 0], [0, 0, 0]]
    numbers = patch_of_pixel((28, 42), (2, 3))
    assert numbers[13, 14] == 1
    assert numbers[14, 41] == 5


def test_refuses() -> None:
    good = a_map()
    for threshold in (float("nan"), -0.1, 1.0):
        with pytest.raises(UsageError, match="calibrate"):
            regions(good, threshold)

    def flat(value: float = 0.0, rows: int = SHAPE[0]) -> Callable[[], np.ndarray]:
        return lambda: np.full((rows, SHAPE[1]), value, np.float32)

    with pytest.raises(UsageError, match="kinds"):
        find_regions(good, flat(), 0.5, an_input(), KINDS[:2])
    short = replace(an_input(), image=np.zeros((SHAPE[0] - 1, SHAPE[1], 3), np.uint8))
    with pytest.raises(UsageError, match="divide"):
        find_regions(good, flat(), 0.5, short, KINDS)
    with pytest.raises(UsageError, match="one picture"):
        find_regions(good, flat(), 0.5, replace(an_input(), observed=np.ones((4, 4), bool)), KINDS)
    odd = a_map()
    odd.ood_score[2:5, 2:5] = 0.99
    with pytest.raises(UsageError, match="pixel map"):
        find_regions(odd, flat(rows=SHAPE[0] - 1), 0.5, an_input(), KINDS)
    with pytest.raises(InputError, match="pixel map"):
        find_regions(odd, flat(np.nan), 0.5, an_input(), KINDS)
    assert find_regions(good, flat(np.nan), 0.99, an_input(), KINDS) == regions(good, 0.99)  # nobody asked for it
    bad = a_map()
    bad.ood_score[3, 3] = np.nan
    with pytest.raises(InputError, match="score map"):
        frame_region_score(bad)
    with pytest.raises(UsageError, match="Hp, Wp"):
        patch_evidence(np.zeros((4, 4)), np.ones((4, 5), bool))
