"""The training recipe: it refuses what it does not understand, and goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from training import mini
from training.apron.renderer import STUFF
from training.mini import Pictures, Recipe, draw_batch, learning_rate_at, load_pictures, load_recipe, train
from training.network import MiniConfig
from training.pictures import FIRST_ASSET

TINY = MiniConfig(height_px=56, width_px=70, width=32, depth=2, heads=2)
RECIPE = Recipe(
    steps=6,
    batch=3,
    window=(3, 4),
    keep=0.7,
    full_from=0.5,
    learning_rate=0.01,
    weight_decay=0.05,
    warmup=2,
    ema=0.99,
    family_weight=1.0,
    depth_weight=0.3,
    stuff_weight=0.3,
    min_purity=0.45,
    seed=1,
    threads=1,
)
FAMILIES = ("bus", "cone", "clutter")
SHIPPED = Path(__file__).parents[3] / "configs" / "training" / "mini.yaml"


def _write_shard(folder: Path, shard: int, frames: int = 4, families: tuple[str, ...] = FAMILIES) -> None:
    """Noise, with tarmac below and one asset in each corner."""
    rng = np.random.default_rng(shard)
    asset = np.ones((frames, 4, 5), np.int16)
    first = FIRST_ASSET + shard * len(families)
    for k, (row, col) in enumerate(((0, 0), (0, 3), (2, 3))):
        asset[:, row : row + 2, col : col + 2] = first + k
    np.savez(
        folder / f"shard{shard:03d}.npz",
        rgb=rng.integers(0, 256, (frames, 56, 70, 3), np.uint8),
        asset=asset,
        purity=rng.integers(100, 256, asset.shape, np.uint8),
        depth_m=rng.uniform(2, 40, (frames, 28, 35)).astype(np.float16),
        view=np.full((frames, 7), np.pi / 2, np.float32),
        families=np.array(families),
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    folder = tmp_path_factory.mktemp("pictures")
    for shard in range(2):
        _write_shard(folder, shard)
    return load_pictures(folder)


@pytest.fixture(autouse=True)
def _keep_threads() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def _weights(out: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(out / "checkpoint.pt", weights_only=True)
    assert saved["step"] == RECIPE.steps
    return {**saved["model"], **{f"average.{k}": v for k, v in saved["average"].items()}}


def test_a_killed_and_resumed_training_repeats_an_uninterrupted_one(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train(pictures, RECIPE, whole, TINY, checkpoint_every=3)

    kept, steps = mini.save, []

    def save_and_die(path: Path, state: dict[str, object]) -> None:
        kept(path, state)
        steps.append(state["step"])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mini, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(pictures, RECIPE, parts, TINY, checkpoint_every=3)
    assert steps == [3]
    torch.rand(17)  # another process has drawn other global random numbers by now
    train(pictures, RECIPE, parts, TINY, checkpoint_every=3)

    wanted, got = _weights(whole), _weights(parts)
    assert wanted.keys() == got.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, atol=1e-6, rtol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
    start = mini.Model(TINY, len(pictures.family_of_asset), len(pictures.families)).state_dict()
    assert all((wanted[name] != start[name]).any() for name in start if name.endswith("qkv.weight"))


def test_a_finished_training_does_nothing_more(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(RECIPE, steps=1)
    train(pictures, short, tmp_path, TINY)
    monkeypatch.setattr(mini, "loss_of", None)
    train(pictures, short, tmp_path, TINY)


def test_the_loss_falls(pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[float] = []
    original = mini.loss_of

    def noted(*args: object) -> object:
        loss, figures = original(*args)
        losses.append(figures["loss"])
        return loss, figures

    monkeypatch.setattr(mini, "loss_of", noted)
    train(pictures, replace(RECIPE, steps=25), tmp_path, TINY)
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_the_shipped_recipe_loads() -> None:
    recipe = load_recipe(SHIPPED)
    assert recipe.steps > 1000
    assert isinstance(recipe.window, tuple)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"learning_rat": 1}, "unknown keys.*learning_rat"), ({"steps": None}, "missing keys.*steps")],
)
def test_unknown_and_missing_recipe_keys_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    raw = {k: v for k, v in (yaml.safe_load(SHIPPED.read_text()) | change).items() if v is not None}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(SystemExit, match=message):
        load_recipe(tmp_path / "recipe.yaml")


def test_families_are_stuff_then_the_known_and_clutter_is_none_of_them(pictures: Pictures) -> None:
    assert pictures.families == (*STUFF, "bus", "cone")
    n = len(STUFF)
    assert pictures.family_of_asset.tolist() == [*range(n), n, n + 1, n + 2, n, n + 1, n + 2]
    assert len(pictures) == 8


def test_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"python -m training\.pictures"):
        load_pictures(tmp_path)


def test_half_written_shards_are_left_aside(tmp_path: Path) -> None:
    _write_shard(tmp_path, 0)
    (tmp_path / "shard001.part.npz").write_bytes(b"half")
    assert len(load_pictures(tmp_path)) == 4


def test_a_missing_shard_is_refused(tmp_path: Path) -> None:
    for shard in (0, 2):
        _write_shard(tmp_path, shard)
    with pytest.raises(SystemExit, match="lacks shard001"):
        load_pictures(tmp_path)


@pytest.mark.parametrize("unlike", [{"frames": 5}, {"families": ("bus", "cone")}])
def test_shards_of_different_makings_are_refused(tmp_path: Path, unlike: dict[str, object]) -> None:
    _write_shard(tmp_path, 0)
    _write_shard(tmp_path, 1, **unlike)  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match="unlike the shards before"):
        load_pictures(tmp_path)


def test_pictures_and_labels_of_a_batch_belong_together() -> None:
    """Every picture is painted with its own labels, so each patch must still show its label, flipped or not."""
    rng = np.random.default_rng(0)
    asset = rng.integers(0, 8, (6, 4, 5)).astype(np.int16)
    painted = np.repeat(np.repeat(asset, 14, 1), 14, 2)[..., None].repeat(3, -1).astype(np.uint8) * 30
    pictures = Pictures(
        [painted[:3], painted[3:]],
        asset,
        (asset * 20 + 40).astype(np.uint8),
        asset * np.float32(0.5),
        np.arange(8),
        STUFF,
    )
    for seed, keep in ((0, 1.0), (1, 1.0), (2, 0.5), (3, 0.5)):
        recipe = replace(RECIPE, batch=8)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mini, "augment_light", lambda images, generator: images)
            patch.setattr(mini, "normalise", lambda images: images.permute(0, 3, 1, 2))
            batch = draw_batch(pictures, recipe, (2, 3), keep, np.random.default_rng(seed), torch.Generator())
        assert batch.x.shape == (8, 3, 28, 42)
        assert 0 <= batch.row <= 2
        assert 0 <= batch.col <= 2
        painted_as = batch.x[:, 0].reshape(8, 2, 14, 3, 14)[:, :, 0, :, 0].flatten(1)
        if batch.keep is not None:
            assert batch.keep.shape == (8, 3)
            painted_as = painted_as.gather(1, batch.keep)
        assert (painted_as == 30 * batch.asset).all()
        torch.testing.assert_close(batch.purity * 255, (batch.asset * 20 + 40).float())
        torch.testing.assert_close(batch.log_depth, batch.asset * 0.5)


def test_depth_is_learned_as_if_through_one_focal_length() -> None:
    """A lens twice as long makes a thing at 20 m look as it would at 10 m; the sky stays infinite."""
    depth = np.full((2, 14, 14), 20, np.float16)
    depth[:, :7] = np.inf
    wide, narrow = 2 * np.arctan(28 / (2 * mini.FOCAL_PX)), 2 * np.arctan(28 / (4 * mini.FOCAL_PX))
    log_depth = mini.canonical_log_depth(depth, np.array([wide, narrow]), 28)
    assert log_depth.shape == (2, 2, 2)
    assert np.isinf(log_depth[:, 0]).all()
    np.testing.assert_allclose(np.exp(log_depth[:, 1, 0]), [20, 10], rtol=1e-3)


def test_the_learning_rate_warms_up_and_falls_to_two_percent() -> None:
    rates = [learning_rate_at(step, replace(RECIPE, steps=100, warmup=10)) for step in range(101)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[9] == rates[10] == pytest.approx(0.01)
    assert rates[100] == pytest.approx(0.0002)
    assert np.argmax(rates) in (9, 10)
