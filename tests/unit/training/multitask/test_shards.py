"""A shard comes back as it was written, mapped and not read; anything else is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from airside.errors import CorruptError, InputError
from tests.multitask_data import tiny_arrays, write_shards
from training.multitask.shards import Shard, map_arrays, open_shard, shard_paths, write_shard


def test_what_was_written_comes_back_mapped(tmp_path: Path) -> None:
    arrays = tiny_arrays(3)
    shard = open_shard(write_shard(tmp_path, 0, Shard(**arrays)))
    for field in fields(Shard):
        np.testing.assert_array_equal(getattr(shard, field.name), arrays[field.name], err_msg=field.name)
    assert isinstance(shard.rgb, np.memmap)
    assert not shard.rgb.flags.writeable
    assert [path.name for path in tmp_path.iterdir()] == ["shard000.npz"]


def test_columns_first_and_empty_arrays_are_mapped_too(tmp_path: Path) -> None:
    arrays = {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "none": np.zeros((0, 4)), "one": np.array(5)}
    np.savez(tmp_path / "any.npz", **arrays)
    for name, array in map_arrays(tmp_path / "any.npz").items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "rgb",
            np.zeros((6, 2, 28, 42, 3), np.float32),
            r"rgb \[S, N, H, W, 3\] uint8, got .* float32",
        ),
        ("rgb", np.zeros((6, 28, 42, 3), np.uint8), r"rgb \[S, N, H, W, 3\] uint8, got \[6, 28, 42, 3\]"),
        ("depth_m", np.zeros((6, 2, 28, 42), np.float16), "depth of half their size; got rgb"),
        ("purity", np.zeros((6, 2, 2, 2), np.uint8), "purity"),
        ("bev", np.zeros((6, 2, 16, 16), np.uint8), r"bev \[S, L, X, Y\] uint8 with S = 6, L = 3, X = 16, Y = 16, got"),
        ("visible", np.zeros((6, 16, 16), np.uint8), "visible .* bool"),
        ("intrinsics", np.zeros((6, 2, 3)), "intrinsics"),
        ("layers", np.zeros(0, str), "layers"),
        ("ego_from_cam", np.zeros((6, 2, 3, 4)), "ego_from_cam"),
        ("families", np.arange(5), "families .* str"),
        ("cell_m", np.array([0.5]), "cell_m"),
        ("asset", np.full((6, 2, 2, 3), 5, np.int16), r"one of 5 families' numbers, got 5\.\.5"),
    ],
)
def test_other_shapes_types_and_numbers_are_refused(name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Shard(**{**tiny_arrays(), name: array})


def test_oblong_and_odd_patches_are_refused() -> None:
    arrays = tiny_arrays() | {name: np.zeros((6, 2, 4, 3), kind) for name, kind in (("asset", "i2"), ("purity", "u1"))}
    with pytest.raises(InputError, match="square patches of an even side"):
        Shard(**arrays)


def test_damaged_compressed_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = write_shard(tmp_path, 0, Shard(**tiny_arrays()))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptError, match=r"shard000\.npz cannot be read"):
        open_shard(path)
    np.savez_compressed(path, **tiny_arrays())
    with pytest.raises(InputError, match="is compressed"):
        open_shard(path)
    np.savez(path, rgb=tiny_arrays()["rgb"])
    with pytest.raises(InputError, match="no multi-task shard: it lacks depth_m, asset"):
        open_shard(path)


def test_a_folder_without_shards_or_with_a_gap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shard000.part.npz").write_bytes(b"half")
    with pytest.raises(InputError, match=r"holds no shard000\.npz"):
        shard_paths(tmp_path)
    write_shards(tmp_path, shards=3)
    assert len(shard_paths(tmp_path)) == 3
    (tmp_path / "shard001.npz").unlink()
    with pytest.raises(InputError, match=r"lacks shard001\.npz"):
        shard_paths(tmp_path)
