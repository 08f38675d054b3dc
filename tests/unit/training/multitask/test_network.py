"""One pass for all heads; what learns is what the recipe says; every sample is seen through its own rig."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from airside.errors import InputError, MismatchError, UsageError
from airside.model.lora import merge_lora
from tests.multitask_data import tiny_recipe, write_shards
from training.multitask.batches import Batch, Samples, draw_batch, load_samples
from training.multitask.network import MultiTask, build_backbone, save_backbone
from training.multitask.recipe import Recipe
from training.multitask.train import Objective

WIDTH, DEPTH, RANK = 32, 4, 2


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return load_samples(write_shards(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def batch(samples: Samples) -> Batch:
    recipe = tiny_recipe(augmentation={"lost": 0.0, "mirror": 0.0})
    return draw_batch(samples, recipe.tokens, recipe.augmentation, 0, 0, 4, range(4))


def _network(samples: Samples, **sections: dict[str, Any]) -> MultiTask:
    torch.manual_seed(0)
    recipe = tiny_recipe(**sections)
    return MultiTask(build_backbone(recipe.backbone, (28, 42)), recipe, samples.labels, samples.rig(0))


def test_one_backbone_pass_serves_every_head(samples: Samples, batch: Batch) -> None:
    network = _network(samples)
    calls: list[int] = []
    network.backbone.network.patch_embed.register_forward_hook(lambda *_: calls.append(1))
    out = network(batch.rgb, batch.rigs, batch.asked)
    assert calls == [1]
    assert out.tokens.shape == (4, 2, 2, 3, WIDTH)
    assert out.asset_cosine.shape == (batch.asked.sum(), samples.labels.assets)
    assert out.family_cosine.shape == (4, 2, 2, 3, 4)
    assert out.family_cosine.abs().max() <= 1.0001
    assert out.depth_m.shape == (4, 2, 28, 42)
    assert out.bev.layers.shape == (4, 3, 16, 16)
    assert out.bev.depth_probability.shape == (4, 2, 10, 2, 3)


@torch.no_grad()
def test_each_sample_is_seen_through_its_own_rig(samples: Samples, batch: Batch) -> None:
    network = _network(samples)
    assert len(set(batch.rigs)) == 2
    together = network(batch.rgb, batch.rigs, batch.asked)
    for k in range(4):
        alone = network(batch.rgb[k : k + 1], batch.rigs[k : k + 1], batch.asked[k : k + 1])
        torch.testing.assert_close(together.bev.layers[k], alone.bev.layers[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.depth_m[k], alone.depth_m[0], atol=1e-4, rtol=1e-5)
    swapped = network(batch.rgb, batch.rigs[::-1], batch.asked)
    assert (swapped.bev.layers - together.bev.layers).abs().max() > 1e-3


@torch.no_grad()
def test_the_same_picture_through_a_lens_twice_as_long_is_twice_as_far(samples: Samples, batch: Batch) -> None:
    network = _network(samples, weights={"bev": 0.0, "bins": 0.0})
    both = batch.rgb[:1, :1].expand(1, 2, -1, -1, -1)  # focal lengths 21 and 42 px
    depth_m = network(both, batch.rigs[:1], batch.asked[:1]).depth_m
    torch.testing.assert_close(depth_m[0, 1], 2 * depth_m[0, 0])
    assert depth_m.min() > 0


def test_heads_are_built_only_where_they_count(samples: Samples, batch: Batch) -> None:
    network = _network(samples, weights={"depth": 0.0, "bev": 0.0, "bins": 0.0})
    out = network(batch.rgb, batch.rigs, batch.asked)
    assert network.depth is network.bev is out.depth_m is out.bev is None
    assert set(Objective(network)(batch)) == {"asset", "family", "asset_named", "family_named"}


def _learning(backbone: nn.Module) -> set[str]:
    return {name for name, p in backbone.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(("blocks", "which"), [(4, (0, 1, 2, 3)), (2, (2, 3))])
def test_lora_trains_query_and_value_of_the_last_blocks(
    samples: Samples, batch: Batch, blocks: int, which: tuple[int, ...]
) -> None:
    network = _network(samples, adaptation={"blocks": blocks})
    named = {
        f"network.blocks.{block}.attn.qkv.{part}.lora_{side}.default.weight"
        for block in which
        for part in "qv"
        for side in "AB"
    }
    assert _learning(network.backbone) == named
    count = blocks * 2 * 2 * RANK * WIDTH
    assert f": {count} trainable parameters; heads: " in str(network).replace(",", "")
    _require_only_those_move(network, batch, named)
    merged = merge_lora(network.adapter)  # as the export does
    assert not any("lora" in name for name, _ in merged.named_parameters())


def test_frozen_trains_only_the_heads_and_full_everything(samples: Samples, batch: Batch) -> None:
    frozen, full = (_network(samples, adaptation={"mode": mode}) for mode in ("frozen", "full"))
    everything = {name for name, _ in full.backbone.named_parameters()}
    assert _learning(frozen.backbone) == set()
    assert _learning(full.backbone) == everything
    assert "frozen: 0 trainable parameters; heads: " in str(frozen)
    count = sum(p.numel() for p in full.backbone.parameters())
    assert f"full: {count:,} trainable parameters" in str(full)
    _require_only_those_move(frozen, batch, set())
    _require_only_those_move(full, batch, everything)


def _require_only_those_move(network: MultiTask, batch: Batch, named: set[str]) -> None:
    """Two steps: the first gradient of LoRA's A is zero, because B is."""
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-3)
    weights = {"asset": 1.0, "family": 1.0, "depth": 1.0, "bev": 1.0, "bins": 1.0}
    for _ in range(2):
        sums = Objective(network)(batch)
        optimiser.zero_grad()
        sum(weight * sums[name].total / sums[name].count for name, weight in weights.items()).backward()
        optimiser.step()
    heads = {name for name in before if not name.startswith("backbone.")}
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert moved - heads == {f"backbone.{name}" for name in named}
    ungraded = {name for name, p in network.named_parameters() if p.requires_grad and p.grad is None}
    assert ungraded == set()  # several processes wait for a gradient of each


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": 5}, "last 5 blocks: vit_small_patch14_reg4_dinov2 has 4"),
        ({"rank": 33}, "LoRA rank 33: wanted 1 to 32"),
        ({"rank": 0}, "LoRA rank 0: wanted 1 to 32"),
    ],
)
def test_adapters_that_do_not_fit_are_refused(samples: Samples, change: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _network(samples, adaptation=change)


def test_a_backbone_of_another_size_is_refused(samples: Samples) -> None:
    recipe = tiny_recipe()
    with pytest.raises(
        UsageError, match=r"takes pictures of \(28, 28\) px in \(2, 2\) patches, the data has \(28, 42\)"
    ):
        MultiTask(build_backbone(recipe.backbone, (28, 28)), recipe, samples.labels, samples.rig(0))


def test_weights_come_from_the_named_file_or_not_at_all(samples: Samples, tmp_path: Path) -> None:
    made = build_backbone(tiny_recipe().backbone, (28, 42))
    save_backbone(made, tmp_path / "weights.safetensors")

    def named(file: str) -> Recipe:
        return tiny_recipe(backbone={"weights": str(tmp_path / file)})

    loaded = build_backbone(named("weights.safetensors").backbone, (28, 42))
    for name, value in made.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], value), name
    with pytest.raises(InputError, match=r"none\.safetensors"):
        build_backbone(named("none.safetensors").backbone, (28, 42))
    other = tiny_recipe(backbone={"weights": str(tmp_path / "weights.safetensors"), "depth": 3})
    with pytest.raises(MismatchError, match="another network than vit_small_patch14_reg4_dinov2"):
        build_backbone(other.backbone, (28, 42))
    with pytest.raises(MismatchError, match="6 patches is no square grid"):
        build_backbone(named("weights.safetensors").backbone, (42, 28))


def test_official_weights_start_a_training_at_its_own_size(tmp_path: Path) -> None:
    """A square grid, as the published ones are: positions are brought to the recipe's."""
    made = build_backbone(tiny_recipe().backbone, (56, 56))
    save_file(made.network.state_dict(), tmp_path / "weights.safetensors")
    recipe = tiny_recipe(backbone={"weights": str(tmp_path / "weights.safetensors")}).backbone
    loaded = build_backbone(recipe, (28, 42))
    assert loaded.position_embedding == "bicubic, antialias"
    assert torch.equal(loaded.network.blocks[1].mlp.fc1.weight, made.network.blocks[1].mlp.fc1.weight)
