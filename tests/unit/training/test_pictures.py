"""Training pictures: patch labels equal a slow count, shards are repeatable and only missing ones are made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airside.errors import UsageError
from training import pictures
from training.apron.families import CLUTTER, KNOWN, UNKNOWN
from training.apron.scenes import PATCH_PX
from training.apron.solids import Builder
from training.multitask.shards import open_shard
from training.patch_labels import patch_labels
from training.pictures import FIRST_ASSET, RIGS, claim, missing_shards, render_shard, shard_assets


def _slow_labels(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = (n // PATCH_PX for n in label.shape)
    best, share = np.empty((rows, cols), int), np.empty((rows, cols))
    for r in range(rows):
        for c in range(cols):
            cell = label[r * PATCH_PX : (r + 1) * PATCH_PX, c * PATCH_PX : (c + 1) * PATCH_PX]
            values, counts = np.unique(cell, return_counts=True)
            best[r, c], share[r, c] = values[counts.argmax()], counts.max() / PATCH_PX**2
    return best, share


@pytest.mark.parametrize("shape", [(14, 14), (42, 70), (50, 33)])
def test_patch_labels_equal_a_slow_count(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 9, (1 + shape[0] // 10, 1 + shape[1] // 10))
    label = np.repeat(np.repeat(coarse, 10, 0), 10, 1)[: shape[0], : shape[1]].astype(np.uint16)
    got, wanted = patch_labels(label, 9, PATCH_PX), _slow_labels(label)
    np.testing.assert_array_equal(got[0], wanted[0])
    np.testing.assert_allclose(got[1], wanted[1])


def test_a_shard_has_one_of_every_known_family_and_no_unknown() -> None:
    families = [asset.family for asset in shard_assets(3)]
    assert families[: len(KNOWN)] == list(KNOWN)
    assert set(families[len(KNOWN) :]) == set(CLUTTER)
    assert not set(families) & set(UNKNOWN)


def test_shards_have_assets_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "KNOWN", {"cone": KNOWN["cone"]})
    first, again, other = (shard_assets(k)[0].body.vertices for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


def test_only_missing_shards_are_made(tmp_path: Path) -> None:
    (tmp_path / "shard001.npz").touch()
    (tmp_path / "shard002.part.npz").touch()  # killed while writing
    assert missing_shards(tmp_path, 4) == [0, 2, 3]


def test_a_folder_holds_the_worlds_of_one_seed(tmp_path: Path) -> None:
    claim(tmp_path / "new", 7)
    claim(tmp_path / "new", 7)  # resumes
    with pytest.raises(UsageError, match="--seed 7"):
        claim(tmp_path / "new", 8)
    (tmp_path / "shard000.npz").touch()
    with pytest.raises(UsageError, match="nothing that tells"):
        claim(tmp_path, 7)


@pytest.fixture
def two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def block(shard: int, name: str, side: float) -> object:
        b = Builder(np.random.default_rng(shard))
        b.box((0, 0, side / 2), (side, side, side), b.paint((0.8, 0.2, 0.1)))
        return b.asset(name)

    monkeypatch.setattr(
        pictures, "shard_assets", lambda shard, seed: [block(shard, "bus", 3.0), block(shard, "clutter", 1.0)]
    )


@pytest.mark.usefixtures("egl", "two_blocks")
def test_a_world_is_complete_and_repeatable(tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    for folder, worlds in ((first, (1, 0)), (again, (1,))):
        (folder / RIGS).mkdir(parents=True)
        for world in worlds:
            render_shard(world, 2, 1, folder)
    assert not list(tmp_path.rglob("*.part.npz"))
    with (
        np.load(first / "shard001.npz") as one,
        np.load(again / "shard001.npz") as same,
        np.load(first / "shard000.npz") as other,
    ):
        assert one["rgb"].shape == (2, 224, 392, 3)
        assert one["label"].shape == one["depth_m"].shape == (2, 112, 196)
        assert one["families"].tolist() == ["bus", "clutter"]
        assert set(np.unique(one["label"])) <= {*range(FIRST_ASSET + 2)}
        assert one["label"].max() >= FIRST_ASSET
        for key in one:
            np.testing.assert_array_equal(one[key], same[key])
        assert (other["rgb"] != one["rgb"]).any()
    rig, repeated = (open_shard(folder / RIGS / "shard001.npz") for folder in (first, again))
    assert rig.rgb.shape == (1, 6, 224, 392, 3)
    assert rig.families.tolist()[FIRST_ASSET:] == ["bus", "clutter"]
    assert rig.bev.shape == (1, 3, 200, 200)
    assert rig.visible.any()
    np.testing.assert_array_equal(rig.rgb, repeated.rgb)
    np.testing.assert_array_equal(rig.ego_from_cam, repeated.ego_from_cam)


@pytest.mark.usefixtures("egl", "two_blocks")
def test_the_rig_is_mounted_anew_at_every_stop(tmp_path: Path) -> None:
    (tmp_path / RIGS).mkdir()
    render_shard(0, 1, 2, tmp_path)
    rig = open_shard(tmp_path / RIGS / "shard000.npz")
    assert (rig.ego_from_cam[0] != rig.ego_from_cam[1]).any()
    assert (rig.intrinsics[0] != rig.intrinsics[1]).any()
    assert np.abs(rig.ego_from_cam[0, :, :3, 3] - rig.ego_from_cam[1, :, :3, 3]).max() < 0.6
