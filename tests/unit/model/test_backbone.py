"""One pass gives every feature; names, sizes and missing files are refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from airside.errors import InputError, MismatchError, UsageError
from airside.model import backbone as module
from airside.model.backbone import Backbone, backbone_names, load_backbone, random_backbone
from airside.model.features import FeatureSpec
from tests import weight_files

NAME = "vit_base_patch14_reg4_dinov2"
SIZE_PX = (42, 70)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    made = random_backbone(NAME, image_size=SIZE_PX, **weight_files.architecture())
    weight_files.randomise(made)
    return made


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, *SIZE_PX, generator=torch.Generator().manual_seed(0))


def test_what_it_says_of_itself(backbone: Backbone) -> None:
    assert (backbone.width, backbone.depth, backbone.patch_px) == (weight_files.WIDTH, weight_files.DEPTH, 14)
    assert (backbone.grid, backbone.image_size) == ((3, 5), SIZE_PX)
    assert (backbone.mean, backbone.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert not backbone.training


@torch.no_grad()
def test_the_last_intermediate_is_the_output(backbone: Backbone, images: Tensor) -> None:
    out = backbone(images)
    assert out.shape == (2, 3, 5, weight_files.WIDTH)
    assert torch.equal(backbone.intermediate(images, [0, 2])[1], out)
    assert torch.equal(backbone.intermediate(images, [2, 2, 0])[0], out)
    assert not torch.allclose(backbone.intermediate(images, [1])[0], out, atol=0.1)
    assert backbone.intermediate(images, []) == []


@pytest.mark.parametrize("text", ["last", "blocks:2,0", "keys"])
@pytest.mark.parametrize("blocks", [(), (1,), (2, 0)])
@torch.no_grad()
def test_one_pass_gives_what_two_give(backbone: Backbone, images: Tensor, text: str, blocks: tuple[int, ...]) -> None:
    calls: list[int] = []
    hook = backbone.network.patch_embed.register_forward_hook(lambda *_: calls.append(1))
    feature, levels = backbone.features_and_intermediate(images, FeatureSpec.parse(text), blocks)
    hook.remove()
    assert len(calls) == 1
    assert torch.equal(feature, backbone.features(images, FeatureSpec.parse(text)))
    assert feature.shape[-1] == weight_files.WIDTH * (2 if text == "blocks:2,0" else 1)
    wanted = backbone.intermediate(images, blocks)
    assert len(levels) == len(wanted)
    assert all(torch.equal(came, level) for came, level in zip(levels, wanted, strict=True))


@torch.no_grad()
def test_keys_need_no_last_block(backbone: Backbone, images: Tensor) -> None:
    calls: list[int] = []
    hook = backbone.network.blocks[-1].register_forward_hook(lambda *_: calls.append(1))
    backbone.features(images, FeatureSpec.parse("keys"))
    hook.remove()
    assert calls == []


@pytest.mark.parametrize("shape", [(1, 3, 42, 56), (1, 3, 70, 42), (1, 1, 42, 70), (3, 42, 70)])
def test_refuses_another_size(backbone: Backbone, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"was built for images \[B, 3, 42, 70\], got \[.*resize them"):
        backbone(torch.zeros(shape))


@pytest.mark.parametrize("block", [-1, weight_files.DEPTH])
def test_refuses_blocks_it_does_not_have(backbone: Backbone, images: Tensor, block: int) -> None:
    with pytest.raises(UsageError, match=rf"has blocks 0 to 2, got \[{block}\]"):
        backbone.intermediate(images, [block])


@pytest.mark.parametrize("size_px", [(42, 71), (41, 70), (0, 70), (-14, 70), (42.0, 70)])
def test_refuses_a_size_that_is_no_multiple_of_the_patch(size_px: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="multiples of 14, got"):
        random_backbone(NAME, image_size=size_px)
    with pytest.raises(UsageError, match="multiples of 16, got"):
        random_backbone("vit_small_patch16_dinov3", image_size=(42, 70))


@pytest.mark.parametrize(
    "name", ["", "resnet50", "vit_tiny_patch16_224", "dinov2_vitb14", "vit_base_patch14_dinov2.no"]
)
def test_refuses_a_name_it_does_not_know(name: str) -> None:
    with pytest.raises(UsageError, match=r"no backbone .*wanted one of: .*vit_base_patch14_dinov2"):
        random_backbone(name)


def test_the_names_of_the_issue() -> None:
    for size in ("small", "base", "large", "giant"):
        assert {f"vit_{size}_patch14_dinov2", f"vit_{size}_patch14_reg4_dinov2"} <= set(backbone_names())
    assert {"vit_small_patch16_dinov3", "vit_base_patch16_dinov3", "vit_large_patch16_dinov3"} <= set(backbone_names())


def test_without_weights_the_file_on_the_hub_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    trained = random_backbone(NAME, image_size=weight_files.TRAINED_PX, **weight_files.architecture())
    weight_files.randomise(trained)
    save_file(trained.network.state_dict(), tmp_path / "model.safetensors")

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(tmp_path / file)

    monkeypatch.setattr(module, "hf_hub_download", download)
    loaded = load_backbone(NAME, image_size=weight_files.TRAINED_PX, **weight_files.architecture())
    assert asked == [("timm/vit_base_patch14_reg4_dinov2.lvd142m", "model.safetensors")]
    assert torch.equal(loaded.network.state_dict()["norm.weight"], trained.network.state_dict()["norm.weight"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            NAME,
            r"huggingface\.co/timm/vit_base_patch14_reg4_dinov2\.lvd142m/resolve/main/model\.safetensors.*"
            r"--weights FILE.*https://dl\.fbaipublicfiles\.com/dinov2/dinov2_vitb14/dinov2_vitb14_reg4_pretrain\.pth "
            r"and convert it once: airside convert dinov2_vitb14_reg4_pretrain\.pth "
            r"dinov2_vitb14_reg4_pretrain\.safetensors$",
        ),
        ("vit_small_patch16_dinov3", r"timm/vit_small_patch16_dinov3\.lvd1689m/resolve/main/model\.safetensors"),
    ],
)
def test_without_weights_and_network_it_says_what_to_bring(
    monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(_repository: str, _file: str) -> str:
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(module, "hf_hub_download", download)
    with pytest.raises(InputError, match=words):
        load_backbone(name, embed_dim=32, depth=1, num_heads=2)


def test_the_weights_of_another_backbone_are_refused(tmp_path: Path) -> None:
    save_file(weight_files.official(registers=False), tmp_path / "w.safetensors")
    with pytest.raises(MismatchError, match=r"w\.safetensors for vit_base_patch14_reg4_dinov2 .*lacks reg_token"):
        load_backbone(NAME, weights=tmp_path / "w.safetensors", **weight_files.architecture())
