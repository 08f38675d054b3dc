"""The pool: worlds in any order under numbers of their own, and nothing else than was rendered."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from airside.errors import InputError
from tests.mini_data import write_world
from training.apron.families import KNOWN
from training.apron.renderer import STUFF
from training.pictures import FIRST_ASSET, shard_path
from training.pool import FAMILIES, Pool

CPU = torch.device("cpu")


def test_worlds_have_assets_of_their_own_and_families_in_common(tmp_path: Path) -> None:
    for world in (0, 2):  # 1 is still being rendered
        write_world(tmp_path, world)
    pool = Pool(tmp_path, 3, CPU)
    assert (pool.worlds, pool.pictures, pool.visits) == (2, 8, 4)
    assert (*STUFF, *sorted(KNOWN)) == FAMILIES
    bus, cone = FAMILIES.index("bus"), FAMILIES.index("cone")
    assert pool.family_of_asset.tolist() == [*range(FIRST_ASSET), *[bus, cone, len(FAMILIES)] * 3]
    for place, world in ((0, 0), (1, 2)):
        with np.load(shard_path(tmp_path, world)) as shard:
            local, pictures = shard["label"], torch.arange(place * 4, place * 4 + 4)
            numbers = pool.assets(pictures, pool.singles.label[pictures]).numpy()
            np.testing.assert_array_equal(numbers, np.where(local >= FIRST_ASSET, local.astype(int) + 3 * world, local))
            np.testing.assert_array_equal(pool.singles.rgb[place * 4 : place * 4 + 4], shard["rgb"])


def test_depth_is_told_as_if_through_one_focal_length(tmp_path: Path) -> None:
    write_world(tmp_path, 0)
    with np.load(shard_path(tmp_path, 0)) as shard:
        columns = {name: shard[name] for name in shard.files}
    columns["depth_m"][0, 0, 0] = np.inf
    np.savez(shard_path(tmp_path, 0), **columns)
    depth = Pool(tmp_path, 1, CPU).singles.depth_m.float().numpy()
    assert depth[0, 0, 0] > 1000  # the sky stays far beyond anything that is taught
    np.testing.assert_allclose(depth[1:], 2 * columns["depth_m"][1:].astype(np.float32), rtol=1e-3)


def test_pictures_that_come_later_are_taken_in(tmp_path: Path) -> None:
    write_world(tmp_path, 0)
    pool = Pool(tmp_path, 2, CPU)
    pool.look_for_more()
    assert pool.worlds == 1
    write_world(tmp_path, 1)
    end = time.monotonic() + 20
    while pool.worlds == 1 and time.monotonic() < end:
        pool.look_for_more()
        time.sleep(0.01)
    assert pool.worlds == 2
    torch.testing.assert_close(pool.singles.rgb, Pool(tmp_path, 2, CPU).singles.rgb)


def test_singles_alone_will_do(tmp_path: Path) -> None:
    write_world(tmp_path, 0, stops=0)
    pool = Pool(tmp_path, 1, CPU)
    assert (pool.stops, pool.visits) == (None, 0)


def test_no_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "shard000.part.npz").write_bytes(b"half")
    with pytest.raises(InputError, match=r"python -m training\.pictures"):
        Pool(tmp_path, 1, CPU)


@pytest.mark.parametrize("unlike", [{"frames": 5}, {"families": ("bus", "cone")}, {"stops": 0}, {"stops": 3}])
def test_worlds_of_different_makings_are_refused(tmp_path: Path, unlike: dict[str, object]) -> None:
    write_world(tmp_path, 0)
    write_world(tmp_path, 1, **unlike)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"world 1 .* is unlike the others"):
        Pool(tmp_path, 2, CPU)


def test_worlds_of_an_earlier_making_are_refused(tmp_path: Path) -> None:
    write_world(tmp_path, 0)
    with np.load(shard_path(tmp_path, 0)) as shard:
        columns = {name: shard[name] for name in shard.files if name != "label"}
    np.savez(shard_path(tmp_path, 0), **columns, asset=np.zeros((4, 4, 5), np.int16))
    with pytest.raises(InputError, match=r"world 0 .* earlier making"):
        Pool(tmp_path, 1, CPU)
