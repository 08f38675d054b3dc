"""The backbone gives what the published implementations give, in each file layout, on and off the training grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import eva, vision_transformer
from torch import Tensor
from torch.nn import functional

from airside.errors import MismatchError
from airside.model.backbone import Backbone, backbone_from_tensors, load_backbone
from airside.model.features import FeatureSpec
from airside.model.positions import PositionPolicy, resample_positions
from tests import weight_files

RELATIVE = 1e-4
SIZES = [(56, 56), (28, 112), (42, 98), (126, 70)]  # the training grid is 4 x 4 patches of 14
REGISTERS = pytest.mark.parametrize("registers", [False, True])
SWIGLU = pytest.mark.parametrize("swiglu", [False, True])


def _images(size_px: tuple[int, int], seed: int = 0) -> Tensor:
    return torch.randn(2, 3, *size_px, generator=torch.Generator().manual_seed(seed))


def _difference(came: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest wanted value."""
    assert came.shape == wanted.shape
    return float((came - wanted).abs().max() / wanted.abs().max())


def _grid(tokens: Tensor, size_px: tuple[int, int], prefix: int, patch_px: int = 14) -> Tensor:
    return tokens[:, prefix:].reshape(len(tokens), size_px[0] // patch_px, size_px[1] // patch_px, -1)


# ---------------------------------------------------------------------------------------------- Hugging Face layout


def _from_hugging_face(
    model: Any, folder: Path, size_px: tuple[int, int], *, registers: bool, swiglu: bool
) -> Backbone:
    weight_files.saved(model, folder)
    name = weight_files.name_of(registers=registers, swiglu=swiglu)
    shape = weight_files.architecture(swiglu=swiglu)
    return load_backbone(name, weights=folder / "model.safetensors", image_size=size_px, **shape)


@REGISTERS
@SWIGLU
@pytest.mark.parametrize("size_px", SIZES)
def test_hugging_face(tmp_path: Path, size_px: tuple[int, int], registers: bool, swiglu: bool) -> None:
    model = weight_files.hugging_face(registers=registers, swiglu=swiglu)
    backbone = _from_hugging_face(model, tmp_path, size_px, registers=registers, swiglu=swiglu)
    images, prefix = _images(size_px), 5 if registers else 1
    with torch.no_grad():
        theirs = model(images, output_hidden_states=True)
        ours, after = backbone(images), backbone.intermediate(images, [2, 0])
        wanted = [_grid(model.layernorm(theirs.hidden_states[block + 1]), size_px, prefix) for block in (2, 0)]
    assert _difference(ours, _grid(theirs.last_hidden_state, size_px, prefix)) < RELATIVE
    assert _difference(after[0], wanted[0]) < RELATIVE
    assert _difference(after[1], wanted[1]) < RELATIVE
    assert _difference(after[0], wanted[1]) > 0.1
    off_grid = "bicubic, antialias" if registers else "bicubic"
    assert backbone.position_embedding == ("native" if size_px == (56, 56) else off_grid)


@REGISTERS
def test_attention_keys_are_hugging_faces(tmp_path: Path, registers: bool) -> None:
    size_px = (42, 98)
    model = weight_files.hugging_face(registers=registers)
    backbone = _from_hugging_face(model, tmp_path, size_px, registers=registers, swiglu=False)
    caught: list[Tensor] = []
    layer = dict(model.named_modules())[f"encoder.layer.{weight_files.DEPTH - 1}.attention"]
    layer.k_proj.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    with torch.no_grad():
        model(_images(size_px))
        ours = backbone.features(_images(size_px), FeatureSpec.parse("keys"))
        other = backbone.features(_images(size_px, seed=1), FeatureSpec.parse("keys"))
    wanted = _grid(caught[0], size_px, 5 if registers else 1)
    assert _difference(ours, wanted) < RELATIVE
    assert _difference(other, wanted) > 0.1


@pytest.mark.parametrize("part", ["query", "value"])
def test_a_projection_that_hugging_face_lacks_is_named(tmp_path: Path, part: str) -> None:
    weights = weight_files.saved(weight_files.hugging_face(registers=True), tmp_path)
    del weights[f"encoder.layer.0.attention.attention.{part}.weight"]
    with pytest.raises(MismatchError, match=r"lacks blocks\.0\.attn\.qkv\.bias, blocks\.0\.attn\.qkv\.weight"):
        backbone_from_tensors(
            weight_files.name_of(registers=True), weights, origin="test", **weight_files.architecture()
        )


# --------------------------------------------------------------------------------------------- Meta's official layout


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic convolution kernel (IEEE ASSP 29, 1981, eq. 4) with free parameter ``a``."""
    d = np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _bicubic(old: int, new: int, policy: PositionPolicy) -> np.ndarray:
    """[new, old]: one axis of a bicubic resize. Without antialias the border repeats and a = -0.75; with it the kernel
    widens when shrinking, the border is left out, and a = -0.5."""
    offset = 0.1 if policy is PositionPolicy.OFFSET else 0.0
    step = old / (new + offset)
    centre = (np.arange(new) + 0.5) * step - 0.5
    if policy is PositionPolicy.ANTIALIAS:
        weights = _cubic((np.arange(old)[None] - centre[:, None]) / max(step, 1.0), -0.5)
        return weights / weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((new, old))
    for row, middle in enumerate(centre):
        for tap in range(int(np.floor(middle)) - 1, int(np.floor(middle)) + 3):
            matrix[row, np.clip(tap, 0, old - 1)] += _cubic(np.array(tap - middle), -0.75)
    return matrix


def _resized_positions(positions: np.ndarray, grid: tuple[int, int], policy: PositionPolicy) -> np.ndarray:
    side = weight_files.SIDE
    if grid == (side, side):
        return positions
    rows, cols = (_bicubic(side, new, policy) for new in grid)
    return np.einsum("ri,cj,ijk->rck", rows, cols, positions.reshape(side, side, -1)).reshape(grid[0] * grid[1], -1)


def _official_forward(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """DINOv2 (arXiv 2304.07193, arXiv 2309.16588) written out over the official names, in float64."""
    w = {name: value.double() for name, value in weights.items()}
    registers = "register_tokens" in w
    policy = PositionPolicy.ANTIALIAS if registers else PositionPolicy.OFFSET
    batch, rows, cols = len(images), images.shape[2] // 14, images.shape[3] // 14
    patches = functional.unfold(images.double(), 14, stride=14).transpose(1, 2)
    x = patches @ w["patch_embed.proj.weight"].flatten(1).T + w["patch_embed.proj.bias"]
    place = _resized_positions(w["pos_embed"][0, 1:].numpy(), (rows, cols), policy)
    first = [(w["cls_token"] + w["pos_embed"][:, :1]).expand(batch, -1, -1)]
    if registers:
        first.append(w["register_tokens"].expand(batch, -1, -1))
    x = torch.cat([*first, x + torch.from_numpy(place)], dim=1)

    def normed(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]
        )

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    for n in range(weight_files.DEPTH):
        b = f"blocks.{n}"
        q, k, v = linear(normed(x, f"{b}.norm1"), f"{b}.attn.qkv").chunk(3, dim=-1)
        heads = [t.unflatten(-1, (weight_files.HEADS, -1)).transpose(1, 2) for t in (q, k, v)]
        weight = torch.softmax(heads[0] @ heads[1].mT / heads[0].shape[-1] ** 0.5, dim=-1)
        x = x + w[f"{b}.ls1.gamma"] * linear((weight @ heads[2]).transpose(1, 2).flatten(2), f"{b}.attn.proj")
        hidden = normed(x, f"{b}.norm2")
        if f"{b}.mlp.w12.weight" in w:
            gate, value = linear(hidden, f"{b}.mlp.w12").chunk(2, dim=-1)
            out = linear(gate * torch.sigmoid(gate) * value, f"{b}.mlp.w3")
        else:
            out = linear(functional.gelu(linear(hidden, f"{b}.mlp.fc1")), f"{b}.mlp.fc2")
        x = x + w[f"{b}.ls2.gamma"] * out
    return _grid(normed(x, "norm"), (rows * 14, cols * 14), 5 if registers else 1).float()


@REGISTERS
@SWIGLU
@pytest.mark.parametrize("size_px", SIZES)
def test_official(tmp_path: Path, size_px: tuple[int, int], registers: bool, swiglu: bool) -> None:
    weights = weight_files.official(registers=registers, swiglu=swiglu)
    save_file(weights, tmp_path / "official.safetensors")
    backbone = load_backbone(
        weight_files.name_of(registers=registers, swiglu=swiglu),
        weights=tmp_path / "official.safetensors",
        image_size=size_px,
        **weight_files.architecture(swiglu=swiglu),
    )
    wanted = _official_forward(weights, _images(size_px))
    with torch.no_grad():
        assert _difference(backbone(_images(size_px)), wanted) < RELATIVE
        assert _difference(backbone(_images(size_px, seed=1)), wanted) > 0.1
    off_grid = "bicubic, antialias" if registers else "bicubic, offset 0.1"
    assert backbone.position_embedding == ("native" if size_px == (56, 56) else off_grid)


@pytest.mark.parametrize("policy", [PositionPolicy.OFFSET, PositionPolicy.ANTIALIAS, PositionPolicy.PLAIN])
@pytest.mark.parametrize(("side", "grid"), [(37, (16, 28)), (37, (40, 20)), (4, (9, 2))])
def test_each_policy_is_its_bicubic_and_no_other(policy: PositionPolicy, side: int, grid: tuple[int, int]) -> None:
    positions = torch.randn(1, side * side, 3, generator=torch.Generator().manual_seed(0))
    came, used = resample_positions(positions, grid, policy)
    square = positions[0].reshape(side, side, 3).double().numpy()
    assert used is policy
    for other in (PositionPolicy.OFFSET, PositionPolicy.ANTIALIAS, PositionPolicy.PLAIN):
        rows, cols = _bicubic(side, grid[0], other), _bicubic(side, grid[1], other)
        wanted = torch.from_numpy(np.einsum("ri,cj,ijk->rck", rows, cols, square)).reshape(1, -1, 3).float()
        assert (_difference(came, wanted) < RELATIVE) == (other is policy)


# ------------------------------------------------------------------------------------------------------- timm's layout


@REGISTERS
@pytest.mark.parametrize("size_px", SIZES)
def test_timm(tmp_path: Path, size_px: tuple[int, int], registers: bool) -> None:
    name, shape = weight_files.name_of(registers=registers), weight_files.architecture()
    trained = timm.create_model(name, img_size=weight_files.TRAINED_PX, num_classes=0, **shape).eval()
    weight_files.randomise(trained)
    save_file(trained.state_dict(), tmp_path / "timm.safetensors")
    backbone = load_backbone(name, weights=tmp_path / "timm.safetensors", image_size=size_px, **shape)
    trained.set_input_size(img_size=size_px)
    caught: list[Tensor] = []
    trained.blocks[-1].attn.qkv.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    images, prefix = _images(size_px), 5 if registers else 1
    with torch.no_grad():
        wanted = _grid(trained.forward_features(images), size_px, prefix)
        keys = _grid(caught[0].chunk(3, dim=-1)[1], size_px, prefix)
        assert _difference(backbone(images), wanted) < RELATIVE
        assert _difference(backbone.features(images, FeatureSpec.parse("keys")), keys) < RELATIVE
        assert _difference(backbone(images.flip(-1)), wanted) > 0.1
    assert backbone.position_embedding == ("native" if size_px == (56, 56) else "bicubic, antialias")


@REGISTERS
@SWIGLU
def test_official_names_become_what_timm_makes_of_them(registers: bool, swiglu: bool) -> None:
    name = weight_files.name_of(registers=registers, swiglu=swiglu)
    shape = weight_files.architecture(swiglu=swiglu)
    weights = weight_files.official(registers=registers, swiglu=swiglu)
    ours = backbone_from_tensors(name, weights, origin="test", image_size=weight_files.TRAINED_PX, **shape)
    network = timm.create_model(name, img_size=weight_files.TRAINED_PX, num_classes=0, **shape)
    theirs = vision_transformer.checkpoint_filter_fn(dict(weights), network)
    assert theirs.keys() == ours.network.state_dict().keys()
    assert all(torch.equal(theirs[key], value) for key, value in ours.network.state_dict().items())


# --------------------------------------------------------------------------------------------------------------- DINOv3

V3_SIZES = [(64, 64), (48, 112), (160, 32)]
V3_SHAPE = {"embed_dim": 32, "depth": 2, "num_heads": 2}
V3_NAMES = ["vit_small_patch16_dinov3", "vit_small_patch16_dinov3_qkvb", "vit_huge_plus_patch16_dinov3_qkvb"]


@pytest.mark.parametrize("size_px", V3_SIZES)
@pytest.mark.parametrize("name", V3_NAMES)
def test_dinov3_timm(name: str, size_px: tuple[int, int]) -> None:
    theirs = timm.create_model(name, num_classes=0, **V3_SHAPE).eval()
    weight_files.randomise(theirs)
    backbone = backbone_from_tensors(name, theirs.state_dict(), origin="test", image_size=size_px, **V3_SHAPE)
    images = _images(size_px)
    with torch.no_grad():
        wanted = _grid(theirs.forward_features(images), size_px, 5, 16)
        assert _difference(backbone(images), wanted) < RELATIVE
        assert _difference(backbone(images.flip(-2)), wanted) > 0.1
    assert (backbone.position_embedding, backbone.patch_px) == ("rotary", 16)


@pytest.mark.parametrize("size_px", V3_SIZES)
@pytest.mark.parametrize("gated", [False, True])
def test_dinov3_hugging_face(tmp_path: Path, size_px: tuple[int, int], gated: bool) -> None:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    model = DINOv3ViTModel(
        DINOv3ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=128,
            num_register_tokens=4,
            use_gated_mlp=gated,
            hidden_act="silu" if gated else "gelu",
        )
    ).eval()
    weight_files.randomise(model)
    tensors = weight_files.saved(model, tmp_path)
    name = "vit_huge_plus_patch16_dinov3_qkvb" if gated else "vit_small_patch16_dinov3_qkvb"
    backbone = backbone_from_tensors(name, tensors, origin="test", image_size=size_px, mlp_ratio=4.0, **V3_SHAPE)
    caught: list[Tensor] = []
    last = next(m for n, m in model.named_modules() if n.endswith("layer.1.attention.k_proj"))
    last.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    images = _images(size_px)
    with torch.no_grad():
        wanted = _grid(model(images).last_hidden_state, size_px, 5, 16)
        assert _difference(backbone(images), wanted) < RELATIVE
        keys = backbone.features(images, FeatureSpec.parse("keys"))
    assert _difference(keys, _grid(caught[0], size_px, 5, 16)) < RELATIVE


def _official_dinov3(network: Any) -> dict[str, Tensor]:
    """Meta's names for the weights of timm's DINOv3, and the tensors besides that Meta's files hold."""
    generator = torch.Generator().manual_seed(0)
    meta: dict[str, Tensor] = {"mask_token": torch.zeros(1, 32), "rope_embed.periods": torch.ones(4)}
    other = {"gamma_1": "ls1.gamma", "gamma_2": "ls2.gamma", "reg_token": "storage_tokens"}
    other |= {"fc1_g": "w1", "fc1_x": "w2"} | ({"mlp.fc2": "mlp.w3"} if hasattr(network.blocks[0].mlp, "fc1_g") else {})
    for key, value in network.state_dict().items():
        if key.endswith(("q_bias", "v_bias")):
            continue
        for timms, metas in other.items():
            key = key.replace(timms, metas)
        meta[key] = value
    for block in range(len(network.blocks)):
        meta[f"blocks.{block}.attn.qkv.bias"] = torch.randn(96, generator=generator)
        meta[f"blocks.{block}.attn.qkv.bias_mask"] = torch.cat([torch.ones(32), torch.zeros(32), torch.ones(32)])
    return meta


@pytest.mark.parametrize("name", V3_NAMES[1:])
def test_dinov3_official_names_become_what_timm_makes_of_them(name: str) -> None:
    network = timm.create_model(name, num_classes=0, **V3_SHAPE)
    weight_files.randomise(network)
    tensors = _official_dinov3(network)
    ours = backbone_from_tensors(name, tensors, origin="test", image_size=(64, 64), **V3_SHAPE).network.state_dict()
    theirs = eva.checkpoint_filter_fn(tensors, network)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[key], value) for key, value in ours.items())
