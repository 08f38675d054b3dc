"""The bird's-eye head alone: its trunk stays, its tokens are the network's, and it goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from airside.errors import InputError, MismatchError
from airside.geometry.lift_map import depth_probability_from_metric
from tests.mini_data import TINY, write_world
from training import bev_head
from training.bev_head import Recipe, World, draw_stops, loss_of, seen_worlds, train
from training.logbook import CHECKPOINT
from training.multitask.shards import shard_paths
from training.network import FOCAL_PX, Mini, normalise, with_rims
from training.pictures import RIGS
from training.start import read_checkpoint

SHORT = Recipe(
    steps=6, stops=3, learning_rate=0.01, weight_decay=0.01, warmup=2, ema=0.9, bins_weight=0.05,
    bev_positive=(2.5, 1.0, 3.0), lost=0.5, seed=1, threads=1,
)  # fmt: skip
DARK = torch.zeros(4, 5, 32), torch.zeros(41, 4, 5)


@pytest.fixture
def network() -> Mini:
    torch.manual_seed(0)
    mini = Mini(TINY).requires_grad_(False).eval()
    mini.bev.requires_grad_(True)
    return mini


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for world in range(2):
        write_world(folder, world)
    return shard_paths(folder / RIGS)


@pytest.fixture
def worlds(network: Mini, shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[World]:
    """Of pictures in the light they have."""
    monkeypatch.setattr(bev_head, "augment_light", lambda pictures, _: pictures.float())
    return seen_worlds(network, shards, tmp_path / "seen", 1)


def test_what_is_seen_is_what_the_network_says_of_the_pictures_and_of_their_mirror_images(
    network: Mini, worlds: list[World]
) -> None:
    rgb, focal_px = torch.tensor(worlds[1].truth.rgb[1]), worlds[1].truth.intrinsics[1, :, 0]
    for way, pictures in enumerate((rgb, rgb.flip(2))):
        tokens, depth = network(normalise(pictures))
        torch.testing.assert_close(torch.tensor(worlds[1].tokens[1, way]).float(), tokens, atol=0.02, rtol=0)
        metric = with_rims(depth).numpy() * (focal_px / FOCAL_PX)[:, None, None]
        measured = depth_probability_from_metric(metric, (4, 5), network.bev.bins)
        assert measured.sum() > 0
        near = np.abs(worlds[1].measured[1, way].astype(np.float32) - measured).sum() < 0.2 * measured.sum()
        assert near  # bfloat16 moves depths between neighbouring bins


def test_a_world_is_looked_at_once(
    network: Mini, worlds: list[World], shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bev_head, "looked_at", None)
    again = seen_worlds(network, shards, tmp_path / "seen", 1)
    np.testing.assert_array_equal(again[0].tokens, worlds[0].tokens)
    np.testing.assert_array_equal(again[1].measured, worlds[1].measured)


def test_a_mirrored_stop_is_the_stop_seen_in_a_mirror(network: Mini, worlds: list[World]) -> None:
    stops = draw_stops(worlds, DARK, replace(SHORT, stops=40, lost=0.0), TINY, torch.Generator().manual_seed(3))
    both = {False: 0, True: 0}
    for k in range(40):
        turned = bool(stops.rigs.ego_from_cam[k, 1, 1, 2] < 0)  # the second camera looks to the right, not to the left
        found = [
            (world, stop)
            for world in worlds
            for stop in range(2)
            if np.array_equal(stops.tokens[k].half().numpy(), world.tokens[stop, int(turned)])
        ]
        flip: Callable[[np.ndarray], np.ndarray] = (lambda x: x[..., ::-1]) if turned else (lambda x: x)
        both[turned] += 1
        assert any(
            np.array_equal(stops.bev[k].numpy(), flip(world.truth.bev[stop]))
            and np.array_equal(stops.visible[k].numpy(), flip(world.truth.visible[stop]))
            and np.array_equal(stops.depth_m[k].numpy(), flip(world.truth.depth_m[stop]))
            for world, stop in found
        )
    assert min(both.values()) > 5


def test_a_lost_camera_is_black_or_was_never_there(worlds: list[World]) -> None:
    dark = torch.full((4, 5, 32), 7.0), torch.full((41, 4, 5), 9.0)
    stops = draw_stops(worlds, dark, replace(SHORT, stops=60, lost=1.0), TINY, torch.Generator().manual_seed(3))
    black = (stops.tokens == 7).flatten(2).all(dim=2)
    assert bool((~stops.alive).any())
    assert bool(black.any())
    assert not bool((black & ~stops.alive).any())
    assert torch.equal((stops.measured == 9).flatten(2).all(dim=2), black)
    assert bool((stops.depth_m[black] == torch.inf).all())
    assert bool(stops.depth_m[~black].isfinite().all())


def test_only_the_head_learns_and_goes_on_where_it_was_stopped(
    network: Mini, worlds: list[World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = {name: value.clone() for name, value in network.state_dict().items()}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    wanted = train(network, worlds, SHORT, whole, checkpoint_every=3).state_dict()
    kept = bev_head.save

    def save_and_die(path: Path, state: dict[str, object]) -> None:
        kept(path, state)
        raise KeyboardInterrupt

    network.load_state_dict(start)
    with monkeypatch.context() as patch:
        patch.setattr(bev_head, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(network, worlds, SHORT, parts, checkpoint_every=3)
    network.load_state_dict(start)
    others = {"families.weight": torch.ones(2)}
    got = train(network, worlds, SHORT, parts, others=others, checkpoint_every=3).state_dict()
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, atol=1e-5, rtol=1e-4)
        assert torch.equal(value, start[name]) != name.startswith("bev."), name
    again, carried = read_checkpoint(parts / CHECKPOINT, TINY)
    assert all(torch.equal(value, got[name]) for name, value in again.state_dict().items())
    assert torch.equal(carried["families.weight"], others["families.weight"])
    assert (parts / "curve.csv").read_text().startswith("step,rate,loss,bev,bins,iou_vehicles")


def test_it_learns(network: Mini, worlds: list[World], tmp_path: Path) -> None:
    recipe = replace(SHORT, steps=60, lost=0.0)
    asked = draw_stops(worlds, DARK, replace(recipe, stops=16), TINY, torch.Generator().manual_seed(9))
    before = loss_of(network.bev, asked, recipe)[0].item()
    assert loss_of(train(network, worlds, recipe, tmp_path).bev, asked, recipe)[0].item() < 0.8 * before


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_checkpoint(tmp_path / "no.pt", TINY)
    (tmp_path / "text.pt").write_text("no")
    torch.save({"average": {"depth.x": torch.zeros(1)}}, tmp_path / "other.pt")
    torch.save({"step": 1}, tmp_path / "empty.pt")
    for name in ("text", "other", "empty"):
        with pytest.raises(MismatchError, match=f"{name}.pt is no checkpoint"):
            read_checkpoint(tmp_path / f"{name}.pt", TINY)
