"""A weights file is read whole or refused by the names of what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from airside.errors import CorruptError, InputError, MismatchError
from airside.model.backbone import backbone_from_tensors, random_backbone
from airside.model.layouts import Layout, layout_of, read_weights
from airside.model.positions import PositionPolicy, resample_positions
from tests import weight_files

Tensors = dict[str, Tensor]


def _load(tensors: Tensors, *, registers: bool = False) -> None:
    name = weight_files.name_of(registers=registers)
    backbone_from_tensors(name, tensors, origin="FILE", image_size=(42, 70), **weight_files.architecture())


def _timm(*, registers: bool = False) -> Tensors:
    name = weight_files.name_of(registers=registers)
    made = random_backbone(name, image_size=weight_files.TRAINED_PX, **weight_files.architecture())
    return dict(made.network.state_dict())


@pytest.mark.parametrize("registers", [False, True])
def test_the_layout_is_told_from_the_keys(registers: bool) -> None:
    assert layout_of(weight_files.official(registers=registers)) is Layout.OFFICIAL
    assert layout_of({"embeddings.cls_token": torch.zeros(1, 1, 32)}) is Layout.HUGGING_FACE
    assert layout_of(_timm(registers=registers)) is Layout.TIMM


@pytest.mark.parametrize(
    "keys", [[], ["conv1.weight"], ["cls_token"], ["model.cls_token", "model.patch_embed.proj.weight"]]
)
def test_refuses_another_kind_of_network(keys: list[str]) -> None:
    with pytest.raises(MismatchError, match="no weights of a DINOv2 or DINOv3"):
        layout_of({key: torch.zeros(1) for key in keys})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("blocks.1.attn.qkv.bias"), r"official layout\) lacks blocks\.1\.attn\.qkv\.bias \("),
        (lambda w: w.pop("pos_embed"), r"lacks pos_embed \("),
        (lambda w: w.update(extra=torch.zeros(1)), r"has besides extra \("),
        (lambda w: w.update({"register_tokens": torch.zeros(1, 4, 32)}), r"has besides reg_token"),
        (lambda w: w.update({"norm.weight": torch.zeros(33)}), r"norm\.weight \[33\] where \[32\] is wanted"),
        (lambda w: w.update(cls_token=torch.zeros(1, 1, 16)), r"cls_token \[1, 1, 16\] where \[1, 1, 32\]"),
        (lambda w: w.update(pos_embed=torch.zeros(1, 17, 16)), r"pos_embed \[1, \d+, 16\] where"),
        (lambda w: w.update(pos_embed=torch.zeros(1, 16, 32)), r"15 patches is no square"),
        (lambda w: w.update(pos_embed=torch.zeros(17, 32)), r"FILE.*pos_embed is \[17, 32\], wanted \[1, patches, C\]"),
    ],
)
def test_refuses_weights_that_do_not_fit(change: Callable[[Tensors], object], words: str) -> None:
    weights = weight_files.official(registers=False)
    change(weights)
    with pytest.raises(MismatchError, match=words):
        _load(weights)


def test_a_long_list_of_keys_is_cut() -> None:
    weights = {k: v for k, v in weight_files.official(registers=False).items() if not k.startswith("blocks.2.")}
    with pytest.raises(MismatchError, match=r"lacks blocks\.2\.attn\.proj\.bias, .* and 8 more"):
        _load(weights)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_numbers_that_are_none(value: float) -> None:
    weights = weight_files.official(registers=False)
    weights["blocks.0.mlp.fc1.weight"][3, 4] = value
    with pytest.raises(CorruptError, match=r"FILE.*NaN or infinite values in blocks\.0\.mlp\.fc1\.weight"):
        _load(weights)


def test_half_precision_comes_in_as_float32() -> None:
    weights = {key: value.half() for key, value in weight_files.official(registers=True).items()}
    name = weight_files.name_of(registers=True)
    loaded = backbone_from_tensors(name, weights, origin="FILE", image_size=(42, 70), **weight_files.architecture())
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_biases_a_dinov3_has_no_place_for_are_refused() -> None:
    shape = {"embed_dim": 32, "depth": 1, "num_heads": 2}
    weights = dict(random_backbone("vit_small_patch16_dinov3", image_size=(64, 64), **shape).network.state_dict())
    weights["blocks.0.attn.qkv.bias"] = torch.zeros(96)
    backbone_from_tensors("vit_small_patch16_dinov3", weights, origin="FILE", image_size=(64, 64), **shape)
    weights["blocks.0.attn.qkv.bias"][0] = 1
    with pytest.raises(MismatchError, match=r"biases on query and value .*_qkvb"):
        backbone_from_tensors("vit_small_patch16_dinov3", weights, origin="FILE", image_size=(64, 64), **shape)


@pytest.mark.parametrize("name", ["dinov2_vitb14_pretrain.pth", "pytorch_model.bin", "last.ckpt", "w.pt"])
@pytest.mark.parametrize("exists", [False, True])
def test_a_pickle_is_never_opened_but_its_conversion_is_named(tmp_path: Path, name: str, exists: bool) -> None:
    path = tmp_path / name
    if exists:
        path.write_bytes(b"cos\nsystem\n")
    target = path.with_suffix(".safetensors")
    with pytest.raises(InputError, match=re.escape(f"airside convert {path} {target}") + "$"):
        read_weights(path)


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no weights file"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_refuses_a_damaged_file(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "w.safetensors"
    save_file(weight_files.official(registers=False), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptError, match=r"cannot be read as safetensors .*fetch it again"):
        read_weights(path)


@pytest.mark.parametrize("policy", [PositionPolicy.NATIVE, PositionPolicy.ROTARY])
def test_positions_cannot_move_without_a_way_to_interpolate(policy: PositionPolicy) -> None:
    with pytest.raises(MismatchError, match=r"cannot carry positions from 4x4 to \(3, 5\)"):
        resample_positions(torch.zeros(1, 16, 2), (3, 5), policy)
