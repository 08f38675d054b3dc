"""The training of airside-mini: labels stay with their pictures, and it goes on where it was stopped."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from airside.config import load_settings
from airside.errors import UsageError
from tests.mini_data import RECIPE, TINY, write_world
from training import mini
from training.crops import LONGEST
from training.mini import CHECKPOINT, Model, Recipe, draw_batch, loss_of, new_model, optimisers, train
from training.network import normalise
from training.pictures import FIRST_ASSET
from training.pool import Pool
from training.schedule import half_precision

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    folder = tmp_path_factory.mktemp("pictures")
    for world in range(2):
        write_world(folder, world)
    return Pool(folder, 2, CPU)


def fresh(pool: Pool, recipe: Recipe = RECIPE) -> Model:
    return new_model(pool, recipe, TINY, CPU)


def _weights(out: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(out / CHECKPOINT, weights_only=True)
    assert saved["step"] == RECIPE.steps
    return {**saved["model"], **{f"average.{k}": v for k, v in saved["average"].items()}}


def test_a_killed_and_resumed_training_repeats_an_uninterrupted_one(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train(fresh(pool), pool, RECIPE, whole, checkpoint_every=3)

    kept, steps = mini.save, []

    def save_and_die(path: Path, state: dict[str, object]) -> None:
        kept(path, state)
        steps.append(state["step"])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mini, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(fresh(pool), pool, RECIPE, parts, checkpoint_every=3)
    assert steps == [3]
    torch.rand(17)  # another process has drawn other global random numbers by now
    train(fresh(pool), pool, RECIPE, parts, checkpoint_every=3)

    wanted, got, start = _weights(whole), _weights(parts), fresh(pool).state_dict()
    assert wanted.keys() == got.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, atol=1e-5, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}")
    for part in ("trunk.blocks.0.attn.qkv", "depth.head_depth", "bev.adapter", "bev.depth.0"):
        assert (wanted[f"network.{part}.weight"] != start[f"network.{part}.weight"]).any(), part


def test_a_finished_training_does_nothing_more(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(RECIPE, steps=1)
    train(fresh(pool), pool, short, tmp_path)
    monkeypatch.setattr(mini, "loss_of", None)
    train(fresh(pool), pool, short, tmp_path)


def test_a_training_by_the_clock_ends_with_it(pool: Pool, tmp_path: Path) -> None:
    train(fresh(pool), pool, replace(RECIPE, steps=100000), tmp_path, minutes=1e-6)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 1
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 2


def test_every_loss_falls(pool: Pool) -> None:
    recipe = replace(RECIPE, lost=0.0)
    model, rows = fresh(pool), []
    opts = optimisers(model, recipe)
    for step in range(40):
        generator = torch.Generator().manual_seed(step)
        batch = draw_batch(pool, recipe, TINY, generator)
        loss, figures = loss_of(model, batch, pool.family_of_asset, recipe, generator)
        loss.backward()
        for opt in opts:
            opt.step()
            opt.zero_grad()
        rows.append({name: float(value) for name, value in figures.items()})
    for name in ("asset", "family", "depth", "bev", "simple_bev", "bins"):
        first, last = (np.mean([row[name] for row in part]) for part in (rows[:5], rows[-5:]))
        assert last < first, name


def test_an_imprinted_asset_points_where_its_tokens_do(pool: Pool) -> None:
    model, untouched = fresh(pool), fresh(pool).assets.weight
    mini.imprint(model, pool, range(pool.pictures), min_purity=1.0)
    by_asset: dict[int, list[torch.Tensor]] = {}
    for k in range(pool.pictures):
        chosen = torch.tensor([k])
        with torch.no_grad(), half_precision(CPU):  # flat patches are all cancellation: another precision, other tokens
            tokens, _ = model.network(normalise(pool.singles.rgb[chosen]))
        cells = pool.singles.label[k].unfold(0, 7, 7).unfold(1, 7, 7).flatten(2)
        for row, column in torch.nonzero((cells == cells[..., :1]).all(dim=2)).tolist():
            asset = int(pool.assets(chosen, cells[row, column, :1].reshape(1, 1, 1)))
            by_asset.setdefault(asset, []).append(tokens[0, row, column])
    assert len(by_asset) > 3
    for asset, weight in enumerate(model.assets.weight):
        if asset in by_asset:
            mean = torch.stack(by_asset[asset]).mean(dim=0)
            torch.testing.assert_close(weight, mean / mean.norm(), atol=2e-2, rtol=0)
        else:
            torch.testing.assert_close(weight, untouched[asset])


def test_a_world_that_comes_later_is_imprinted_then(pool: Pool, tmp_path: Path) -> None:
    """Without a learning rate the directions are what imprinting made them."""
    write_world(tmp_path, 0)
    growing, still = Pool(tmp_path, 2, CPU), replace(RECIPE, learning_rate=0.0, weight_decay=0.0, steps=40, stops=1)
    write_world(tmp_path, 1)
    model = fresh(growing, still)
    before = model.assets.weight.clone()
    (tmp_path / "out").mkdir()
    train(model, growing, still, tmp_path / "out", imprinting=True)
    assert growing.worlds == 2
    assert (model.assets.weight != before).any(dim=1).all()
    wanted = copy.deepcopy(model)
    mini.imprint(wanted, growing, range(growing.pictures), RECIPE.min_purity)
    torch.testing.assert_close(model.assets.weight[FIRST_ASSET:], wanted.assets.weight[FIRST_ASSET:], atol=2e-2, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_pictures_and_labels_of_a_batch_belong_together(pool: Pool, seed: int) -> None:
    """Every picture is painted with its labels, so each patch must still show its label, mirrored, enlarged or not."""
    batch = draw_batch(pool, replace(RECIPE, lost=1.0), TINY, torch.Generator().manual_seed(seed))
    truth = batch.truth
    assert truth.rgb.shape == (3 + 2 * 2, 56, 70, 3)
    local = torch.where(truth.asset >= FIRST_ASSET, (truth.asset - FIRST_ASSET) % 3 + FIRST_ASSET, truth.asset)
    shown, deep = truth.rgb[:, 6::14, 6::14, 0], truth.depth_m[:, 3::7, 3::7].float()
    black = (shown == 0).flatten(1).all(dim=1)
    assert not black[:3].any()
    alone = truth.purity[:3] == 255
    assert alone.any()
    assert (shown[:3] == 20 * local[:3] + 10)[alone].all()
    zoom = 2 * (local[:3] + 1) / deep[:3]
    for picture in range(3):
        one = zoom[picture][alone[picture]]
        torch.testing.assert_close(one, one[:1].expand_as(one), rtol=3e-3, atol=0)
        assert 0.99 < one[0] < LONGEST * 1.01
    seen = ~black[3:]
    assert (shown[3:] == 20 * local[3:] + 10)[seen].all()
    assert (truth.purity[3:] == 20 * local[3:] + 40)[seen].all()
    assert (truth.purity[black] == 0).all()
    assert truth.depth_m[black].isinf().all()
    torch.testing.assert_close(deep[3:][seen], ((local + 1) * 196 / 40)[3:][seen], rtol=2e-3, atol=0)
    assert batch.alive.shape == (2, 2)
    for stop in range(2):  # cameras are black, or the vehicle has none: not both at one stop
        assert batch.alive[stop].all() or not black[3 + 2 * stop : 5 + 2 * stop].any()


def test_a_mirrored_stop_mirrors_its_ground(pool: Pool) -> None:
    assert pool.stops is not None
    kinds = set()
    for seed in range(8):
        batch = draw_batch(pool, RECIPE, TINY, torch.Generator().manual_seed(seed))
        assert batch.rigs is not None
        for stop in range(2):
            turned = bool(batch.rigs.ego_from_cam[stop, 1, 1, 2] * pool.stops.ego_from_cam[0, 1, 1, 2] < 0)
            same = [torch.equal(batch.bev[stop], bev.float()) for bev in pool.stops.bev]
            flipped = [torch.equal(batch.bev[stop], bev.flip(-1).float()) for bev in pool.stops.bev]
            assert any(flipped if turned else same)
            assert not any(same if turned else flipped)
            kinds.add(turned)
    assert kinds == {True, False}


def test_the_shipped_recipe_loads() -> None:
    recipe = load_settings(Recipe, mini.RECIPE)
    assert recipe.steps > 1000
    assert recipe.bev_positive[0] > 1


@pytest.mark.parametrize("change", [{"learning_rat": 1}, {"steps": None}])
def test_unknown_and_missing_recipe_keys_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    raw = {k: v for k, v in (yaml.safe_load(mini.RECIPE.read_text()) | change).items() if v is not None}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(UsageError, match=re.escape(next(iter(change)))):
        load_settings(Recipe, tmp_path / "recipe.yaml")


def test_without_pictures_the_command_says_how_to_make_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mini", "--pictures", str(tmp_path), "--out", str(tmp_path / "run")])
    assert mini.main() != 0
    assert "python -m training.pictures" in capsys.readouterr().err
