"""airside-mini's network: its tokens are timm's, its heads read them, its export repeats it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from airside.config import load_rig
from airside.engine.bundle import open_bundle
from airside.engine.fused import open_fused
from airside.engine.onnx import load_engine
from airside.geometry.bev_grid import BevGrid
from airside.geometry.bev_view import bev_view
from airside.model.bev import LiftSplat
from training import export_mini
from training.network import (
    IMAGE_MEAN,
    IMAGE_STD,
    CosineClassifier,
    Mini,
    MiniConfig,
    build_mini,
    normalise,
    patch_tokens,
    some_rig,
    token_levels,
    told_unit_tokens,
    whiten_patch_embedding,
)
from training.start import kept_from_checkpoint

RIGS = Path(__file__).parents[3] / "configs" / "rigs"
SMALL = MiniConfig(
    height_px=56, width_px=98, width=32, depth=2, heads=2, depth_blocks=(0, 0, 1, 1), depth_features=4,
    depth_channels=(4, 4, 4, 4), bev_channels=8, bev_grid=BevGrid(32, 24, 2.5),
)  # fmt: skip


@pytest.fixture
def network() -> VisionTransformer:
    torch.manual_seed(0)
    return build_mini(SMALL).eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 56, 98, 3), np.uint8))


def test_patch_tokens_of_the_full_window_are_timms(network: VisionTransformer, images: torch.Tensor) -> None:
    with torch.no_grad():
        ours, theirs = patch_tokens(network, normalise(images)), network.forward_features(normalise(images))
    assert ours.shape == (2, 4, 7, 32)
    torch.testing.assert_close(ours.flatten(1, 2), theirs[:, network.num_prefix_tokens :], atol=1e-5, rtol=0)
    assert network.num_prefix_tokens == 1 + SMALL.registers


def test_levels_are_the_blocks_in_their_order_through_the_norm(
    network: VisionTransformer, images: torch.Tensor
) -> None:
    with torch.no_grad():
        first, last = token_levels(network, normalise(images), (0,))
        wanted = network.get_intermediate_layers(normalise(images), [0], norm=True)[0]
        torch.testing.assert_close(first.flatten(1, 2), wanted, atol=1e-5, rtol=0)
        torch.testing.assert_close(last, patch_tokens(network, normalise(images)), atol=0, rtol=0)
    assert (first - last).abs().max() > 1e-3


def test_mini_tells_unit_tokens_and_depth_of_half_the_size(images: torch.Tensor) -> None:
    mini = Mini(SMALL)
    tokens, depth = mini(normalise(images))
    assert tokens.shape == (2, 4, 7, 32)
    torch.testing.assert_close(tokens.norm(dim=-1), torch.ones(2, 4, 7))
    assert depth.shape == (2, 28, 49)
    assert ((depth > 0) & (depth < SMALL.depth_max_m)).all()


def test_heads_for_unit_tokens_start_as_loud_as_others() -> None:
    torch.manual_seed(0)
    plain = LiftSplat(32, some_rig(SMALL), channels=8)
    told = told_unit_tokens(copy.deepcopy(plain))
    tokens = torch.randn(50, 32)
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    weight, loud = plain.adapter.weight, told.adapter.weight
    assert ((unit @ loud.T).std() / (tokens @ weight.T).std()).item() == pytest.approx(1, abs=0.1)
    torch.testing.assert_close(told.depth[0].weight[:, 32:], plain.depth[0].weight[:, 32:])


def test_the_detail_path_starts_at_zero_and_then_counts(network: VisionTransformer, images: torch.Tensor) -> None:
    embed = network.patch_embed
    x = normalise(images)
    with torch.no_grad():
        torch.testing.assert_close(embed.grid(x), embed.proj(x), atol=0, rtol=0)
        embed.detail[-1].weight.normal_()
        assert (embed.grid(x) - embed.proj(x)).abs().max() > 1e-3


def test_normalise_removes_imagenets_mean_and_deviation() -> None:
    grey = torch.tensor(IMAGE_MEAN) * 255
    images = torch.stack([grey, grey + torch.tensor(IMAGE_STD) * 255])[:, None, None].expand(2, 4, 6, 3)
    normal = normalise(images)
    assert normal.shape == (2, 3, 4, 6)
    torch.testing.assert_close(normal[0], torch.zeros(3, 4, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal[1], torch.ones(3, 4, 6), atol=1e-5, rtol=0)


def test_the_classifier_answers_with_cosines() -> None:
    classifier = CosineClassifier(4, 3)
    with torch.no_grad():
        classifier.weight.copy_(torch.tensor([[2.0, 0, 0, 0], [0, 5, 0, 0], [-1, 0, 0, 0]]))
    cosine = classifier(torch.tensor([[1.0, 0, 0, 0], [0.6, 0.8, 0, 0]]))
    torch.testing.assert_close(cosine, torch.tensor([[1.0, 0, -1], [0.6, 0.8, -0.6]]))


def test_the_whitened_embedding_has_no_mean_and_uncorrelated_channels(network: VisionTransformer) -> None:
    ramps = torch.rand(64, 3, 7, 12, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(ramps, (56, 98), mode="bicubic")
    whiten_patch_embedding(network, images)
    with torch.no_grad():
        tokens = network.patch_embed.proj(images).flatten(2).transpose(1, 2).reshape(-1, 32)
    covariance = torch.cov(tokens.T)
    off = covariance - torch.diag(torch.diag(covariance))
    assert tokens.mean(dim=0).abs().max() < 1e-2
    assert off.abs().max() < 1e-2 * torch.diag(covariance).max()


def test_the_exported_bundle_repeats_torch(
    images: torch.Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    mini = Mini(SMALL).eval()
    rig = some_rig(SMALL)
    with torch.no_grad():
        mini.trunk.patch_embed.detail[-1].weight.normal_(std=0.1)
        tokens, depth = mini(normalise(images))
        bev = mini.bev.with_rig(rig)(tokens[:1][None]).layers[0].sigmoid().numpy()
    manifest = export_mini.export(mini, tmp_path / "bundle")
    engine = load_engine(tmp_path / "bundle", threads=1)
    got = engine.outputs(images.numpy())
    assert (manifest.height_px, manifest.width_px, manifest.token_width, manifest.grid) == (56, 98, 32, (4, 7))
    assert manifest.outputs == ("tokens", "depth", "bev")
    np.testing.assert_allclose(got.tokens, tokens, atol=1e-4)
    rows, columns = depth.shape[1:]
    nearest = [
        [depth[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].amin(dim=(1, 2)).numpy() for x in range(columns)]
        for y in range(rows)
    ]
    np.testing.assert_allclose(got.depth, np.moveaxis(nearest, 2, 0), rtol=1e-3)  # the rim that the decoder blurs
    view = bev_view(rig, manifest.bev.grid, manifest.bev.bins, manifest.bev.height_range_m)
    np.testing.assert_allclose(engine.bev(got.tokens[:1], view).layers, bev, atol=1e-4)
    np.testing.assert_allclose(engine.tokens(images.numpy()[:1]), got.tokens[:1], atol=1e-5)  # any number of cameras
    assert np.abs(engine.tokens(255 - images.numpy()) - got.tokens).max() > 0.01
    assert manifest.fingerprint[:12] in capsys.readouterr().out


def test_the_averaged_weights_of_a_checkpoint_are_loaded(tmp_path: Path) -> None:
    mini = Mini(SMALL)
    torch.save({"average": mini.state_dict(), "model": {}}, tmp_path / "checkpoint.pt")
    loaded = export_mini.load_network(tmp_path / "checkpoint.pt", SMALL)
    assert not loaded.training
    for name, value in mini.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=0, rtol=0)


def test_a_vehicles_graph_from_the_weights_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    mini = Mini(SMALL).eval()
    kept = kept_from_checkpoint({"average": mini.state_dict(), "model": {"other": torch.zeros(1)}})
    save_file(kept, tmp_path / "weights.safetensors")
    loaded = export_mini.load_weights(tmp_path / "weights.safetensors", SMALL)
    for name, value in mini.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value.half().float(), atol=0, rtol=0)
    export_mini.export(loaded, tmp_path / "bundle")
    export_mini.export_fused(loaded, load_rig(RIGS / "apron6.yaml"), tmp_path / "bundle")
    fused = open_fused(open_bundle(tmp_path / "bundle"))
    assert (fused.cameras, fused.attentions) == (6, SMALL.depth)
    assert list(fused.stored.outputs) == ["tokens", "depth", "bev", "depth_probability"]
    assert "6 cameras" in capsys.readouterr().out


def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").touch()
    torch.save({"average": {"other": torch.zeros(1)}, "model": {}}, tmp_path / "other.pt")
    torch.save({"average": Mini(SMALL).state_dict()}, tmp_path / "half.pt")
    save_file({"network.other": torch.zeros(1)}, tmp_path / "other.safetensors")
    for option, name, told in (
        ("--checkpoint", "absent", "does not exist"),
        ("--checkpoint", "empty", "is no checkpoint of airside-mini"),
        ("--checkpoint", ".", "is no checkpoint of airside-mini"),
        ("--checkpoint", "half.pt", "it lacks an average or a model"),
        ("--checkpoint", "other.pt", "is no checkpoint of airside-mini"),
        ("--weights", "absent", "cannot be read"),
        ("--weights", "empty", "cannot be read"),
        ("--weights", "other.safetensors", "is of another network"),
    ):
        assert export_mini.main([option, str(tmp_path / name), "--out", str(tmp_path / "bundle")]) != 0
        assert told in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
