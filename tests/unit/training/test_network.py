"""airside-mini's network: its tokens are timm's, its windows are placed right, its export repeats it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from airside.engine.onnx import load_engine
from training import export_mini
from training.network import (
    IMAGE_MEAN,
    IMAGE_STD,
    CosineClassifier,
    MiniConfig,
    build_mini,
    normalise,
    patch_tokens,
    whiten_patch_embedding,
    window_tokens,
)

SMALL = MiniConfig(height_px=56, width_px=98, width=32, depth=2, heads=2)


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


@pytest.mark.parametrize(("row", "col"), [(0, 0), (1, 3), (2, 4)])
def test_a_window_carries_the_position_embedding_of_its_place(
    network: VisionTransformer, images: torch.Tensor, row: int, col: int
) -> None:
    """The same tokens as a network whose grid is the window and whose embedding was cut out by hand."""
    window = normalise(images)[:, :, row * 14 : (row + 2) * 14, col * 14 : (col + 3) * 14]
    cut = build_mini(MiniConfig(height_px=28, width_px=42, width=32, depth=2, heads=2)).eval()
    state = network.state_dict()
    state["pos_embed"] = torch.stack(
        [state["pos_embed"][0, r * 7 + c] for r in (row, row + 1) for c in (col, col + 1, col + 2)]
    )[None]
    cut.load_state_dict(state)
    with torch.no_grad():
        tokens = window_tokens(network, window, row, col, None)
        torch.testing.assert_close(tokens, patch_tokens(cut, window).flatten(1, 2), atol=1e-5, rtol=0)
        if (row, col) != (0, 0):
            assert (tokens - window_tokens(network, window, 0, 0, None)).abs().max() > 1e-3


def test_patches_left_out_neither_answer_nor_are_attended_to(network: VisionTransformer, images: torch.Tensor) -> None:
    """What the left-out patches show changes nothing, and the order of the kept ones is theirs alone."""
    keep = torch.tensor([[0, 1, 8, 9], [9, 8, 1, 0]])
    # The detail path looks one pixel beyond a patch: change only patches that touch no kept one.
    other = images.clone()
    other[:, 42:, 42:] = 255 - other[:, 42:, 42:]
    with torch.no_grad():
        tokens = window_tokens(network, normalise(images), 0, 0, keep)
        torch.testing.assert_close(tokens, window_tokens(network, normalise(other), 0, 0, keep), atol=1e-5, rtol=0)
        torch.testing.assert_close(
            tokens.flip(1), window_tokens(network, normalise(images), 0, 0, keep.flip(1)), atol=1e-5, rtol=0
        )
        assert (tokens - window_tokens(network, normalise(images), 0, 0, None)[:, keep[0]]).abs().max() > 1e-3


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
    network: VisionTransformer, images: torch.Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with torch.no_grad():
        network.patch_embed.detail[-1].weight.normal_(std=0.1)
        tokens = torch.nn.functional.normalize(patch_tokens(network, normalise(images)), dim=-1).numpy()
    manifest = export_mini.export(network, tmp_path / "bundle", "tiny", "nothing", SMALL)
    engine = load_engine(tmp_path / "bundle", threads=1)
    got = engine.tokens(images.numpy())
    assert (manifest.height_px, manifest.width_px, manifest.token_width, manifest.grid) == (56, 98, 32, (4, 7))
    np.testing.assert_allclose(got, tokens, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(got, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(engine.tokens(images.numpy()[:1]), got[:1], atol=1e-5)  # any number of cameras
    assert np.abs(engine.tokens(255 - images.numpy()) - got).max() > 0.01
    with np.load(tmp_path / "bundle" / "parity.npz") as parity:
        np.testing.assert_allclose(engine.tokens(parity["images"]), parity["tokens"], atol=1e-4)
    assert manifest.fingerprint[:12] in capsys.readouterr().out


def test_the_averaged_weights_of_a_checkpoint_are_loaded(network: VisionTransformer, tmp_path: Path) -> None:
    torch.save({"average": network.state_dict(), "model": {}}, tmp_path / "checkpoint.pt")
    loaded = export_mini.load_network(tmp_path / "checkpoint.pt", SMALL)
    assert not loaded.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=0, rtol=0)
