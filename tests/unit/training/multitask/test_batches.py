"""The same step shows the same batch to one process and to several; mirrors and lost cameras keep truth true."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from airside.errors import InputError
from airside.geometry.splat_table import DepthBins
from tests.multitask_data import tiny_arrays, tiny_recipe, write_shards
from training.multitask.batches import Batch, Samples, draw_batch, load_samples, sample_numbers
from training.multitask.recipe import Augmentation
from training.multitask.shards import Shard, write_shard

TOKENS = tiny_recipe().tokens
PLAIN = Augmentation(mirror=0.0, corrupt=0.0, lost=0.0, light=False)
ALL = tiny_recipe().augmentation


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return load_samples(write_shards(tmp_path_factory.mktemp("data")))


def _draw(samples: Samples, augmentation: Augmentation, step: int = 0, slots: range = range(12)) -> Batch:
    return draw_batch(samples, TOKENS, augmentation, 1, step, 12, slots)


def test_two_halves_are_the_whole_and_another_step_is_not(samples: Samples) -> None:
    whole, again, other = (_draw(samples, ALL, step) for step in (5, 5, 6))
    halves = [_draw(samples, ALL, 5, slots) for slots in (range(6), range(6, 12))]
    for field in (f.name for f in fields(Batch) if f.name != "rigs"):
        wanted = getattr(whole, field)
        assert torch.equal(getattr(again, field), wanted)
        assert torch.equal(torch.cat([getattr(half, field) for half in halves]), wanted)
    assert halves[0].rigs + halves[1].rigs == whole.rigs
    assert not torch.equal(other.rgb, whole.rgb)


def test_every_sample_is_seen_once_an_epoch() -> None:
    numbers = [n for step in range(7) for n in sample_numbers(14, 3, step, 4, range(4))]
    assert sorted(numbers[:14]) == sorted(numbers[14:]) == list(range(14))
    assert numbers[:14] != numbers[14:]


def test_augmentation_changes_pictures_and_not_their_truth(samples: Samples) -> None:
    plain, augmented = (_draw(samples, a) for a in (PLAIN, replace(ALL, mirror=0.0, lost=0.0)))
    assert (plain.rgb != augmented.rgb).float().mean() > 0.5
    for field in ("asset", "family", "weight", "bev", "visible", "depth_m"):
        assert torch.equal(getattr(plain, field), getattr(augmented, field))


def test_a_mirror_turns_pictures_truth_and_rig_alike(samples: Samples) -> None:
    plain, mirrored = (_draw(samples, replace(PLAIN, mirror=chance)) for chance in (0.0, 1.0))
    assert mirrored.mirrored.all()
    assert not plain.mirrored.any()
    assert torch.equal(mirrored.rgb, plain.rgb.flip(3))
    for field in ("asset", "family", "weight", "depth_m", "bev", "visible"):
        assert torch.equal(getattr(mirrored, field), getattr(plain, field).flip(-1))
    bins = DepthBins((4.0, 8.0, 12.0))
    for before, after in zip(plain.rigs, mirrored.rigs, strict=True):
        wanted = before.points_ego_m(bins)[:, :, :, ::-1] * (1, -1, 1)
        np.testing.assert_allclose(after.points_ego_m(bins), wanted, atol=1e-9)


def test_mirrored_depth_lies_on_odd_columns(tmp_path: Path) -> None:
    """Pictures are painted with their depth, which is given on every second pixel."""
    arrays = tiny_arrays()
    metres = np.random.default_rng(0).integers(1, 200, (6, 2, 28, 42))
    arrays |= {"rgb": np.stack([metres] * 3, axis=-1).astype(np.uint8), "depth_m": metres[..., ::2, ::2].astype("f2")}
    write_shard(tmp_path, 0, Shard(**arrays))
    batch = _draw(load_samples(tmp_path), replace(PLAIN, mirror=0.5))
    assert 0 < batch.mirrored.sum() < 12
    for rgb, depth_m, mirrored in zip(batch.rgb, batch.depth_m, batch.mirrored, strict=True):
        assert torch.equal(rgb[:, ::2, int(mirrored) :: 2, 0].float(), depth_m)


def test_a_camera_that_delivers_nothing_teaches_no_tokens_and_no_depth(samples: Samples) -> None:
    batch = _draw(samples, replace(PLAIN, lost=0.5))
    lost = (batch.rgb == 0).all(dim=(2, 3, 4))
    assert 0 < lost.sum() < lost.numel()
    assert (batch.weight[lost] == 0).all()
    assert batch.depth_m[lost].isinf().all()
    assert not batch.asked[lost].any()
    assert batch.weight[~lost].sum() > 0
    assert torch.equal(batch.bev, _draw(samples, PLAIN).bev)


def test_assets_of_all_shards_are_told_apart_and_families_gathered(samples: Samples) -> None:
    assert samples.labels.families == ("tarmac", "sky", "bus", "cone")
    assert samples.labels.assets == 2 + 3 + 3
    assert samples.family_of_asset.tolist() == [0, 1, 2, 3, 4, 2, 3, 4]
    batch = _draw(samples, PLAIN)
    for slot, number in enumerate(sample_numbers(12, 1, 0, 12, range(12))):
        k, s = samples.locate(number)
        local = torch.from_numpy(samples.shards[k].asset[s].astype(np.int64))
        labelled, thing = local >= 0, local >= 2
        assert torch.equal(batch.asset[slot][labelled], (local + 3 * k * thing)[labelled])
        assert (batch.weight[slot][~labelled] == 0).all()
        assert not batch.asked[slot][~labelled].any()
    known = (batch.weight > 0) & (batch.asset >= 2)
    assert batch.asked[known].all()
    assert set(batch.family[known].tolist()) == {2, 3, 4}


def test_impure_patches_teach_nothing_and_stuff_less(samples: Samples) -> None:
    batch = _draw(samples, PLAIN)
    least = TOKENS.min_purity
    assert batch.weight[batch.asset >= 2].unique()[1] >= least
    assert batch.weight[batch.asset < 2].max() <= TOKENS.stuff_weight


def test_samples_that_share_a_rig_share_its_value(samples: Samples) -> None:
    assert len({samples.rig(k) for k in range(len(samples))}) == 2
    assert samples.rig(0) is samples.rig(6)
    with pytest.raises(IndexError):
        samples.locate(12)


@pytest.mark.parametrize("change", [{"cell_m": np.array(1.0)}, {"layers": np.array(["a", "b", "c"])}])
def test_shards_of_another_making_are_refused(change: dict[str, np.ndarray], tmp_path: Path) -> None:
    write_shards(tmp_path, shards=1)
    write_shard(tmp_path, 1, Shard(**(tiny_arrays(1) | change)))
    with pytest.raises(InputError, match=r"shard001\.npz is unlike shard000\.npz"):
        load_samples(tmp_path)
