"""Depth Anything V2 against transformers' own: both file layouts, relative and metric, on and off the training grid."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from airside.errors import CorruptError, InputError, MismatchError, UsageError
from airside.model import depth_anything
from airside.model.backbone import random_backbone
from airside.model.depth_anything import (
    ARCHITECTURES,
    DepthAnything,
    DepthArchitecture,
    depth_anything_from_tensors,
    load_depth_anything,
)
from airside.model.dpt import DptDecoder

transformers = pytest.importorskip("transformers", reason="parity needs transformers (pip install -e .[dev])")

WIDTH, BLOCKS, FEATURES, CHANNELS = 48, (0, 1, 3, 4), 16, (8, 12, 16, 24)
TRAINED_PX = 70
TINY = DepthArchitecture(
    "vit_small_patch14_dinov2", BLOCKS, FEATURES, CHANNELS, {"embed_dim": WIDTH, "depth": 5, "num_heads": 3}
)
SIZES = [(70, 70), (70, 126), (126, 56), (28, 98), (14, 14)]
PARITY = 1e-4

Tensors = dict[str, Tensor]


def hugging_face_config(max_depth_m: float | None) -> Any:
    backbone = transformers.Dinov2Config(
        hidden_size=WIDTH,
        num_hidden_layers=5,
        num_attention_heads=3,
        image_size=TRAINED_PX,
        patch_size=14,
        out_indices=[block + 1 for block in BLOCKS],
        reshape_hidden_states=False,
    )
    return transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=WIDTH,
        neck_hidden_sizes=list(CHANNELS),
        fusion_hidden_size=FEATURES,
        depth_estimation_type="relative" if max_depth_m is None else "metric",
        max_depth=1 if max_depth_m is None else int(max_depth_m),
    )


def hugging_face_model(max_depth_m: float | None) -> nn.Module:
    """Random weights under which every part of the network matters."""
    torch.manual_seed(3)
    model: nn.Module = transformers.DepthAnythingForDepthEstimation(hugging_face_config(max_depth_m)).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim >= 2 and "token" not in name and "position" not in name:
                value.normal_(0, value[0].numel() ** -0.5)
            elif name.endswith("position_embeddings"):
                value.normal_(0, 1)
            else:
                value.add_(torch.randn_like(value) * 0.3)
        model.head.conv3.bias.fill_(0.5)
    return model


@pytest.fixture(scope="module")
def hugging_face_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hf")
    hugging_face_model(None).save_pretrained(folder)
    return folder / "model.safetensors"


def official_from_hugging_face(theirs: Tensors) -> Tensors:
    """The same weights under the names of depth_anything_v2_vit*.pth."""
    rules: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
        (r"^backbone\.embeddings\.(cls_token|mask_token)$", r"pretrained.\1"),
        (r"^backbone\.embeddings\.position_embeddings$", "pretrained.pos_embed"),
        (r"^backbone\.embeddings\.patch_embeddings\.projection", "pretrained.patch_embed.proj"),
        (r"^backbone\.layernorm", "pretrained.norm"),
        (r"^backbone\.encoder\.layer\.(\d+)", r"pretrained.blocks.\1"),
        (r"attention\.output\.dense", "attn.proj"),
        (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
        (r"^neck\.reassemble_stage\.layers\.(\d)\.projection", r"depth_head.projects.\1"),
        (r"^neck\.reassemble_stage\.layers\.(\d)\.resize", r"depth_head.resize_layers.\1"),
        (r"^neck\.convs\.(\d)", lambda m: f"depth_head.scratch.layer{int(m[1]) + 1}_rn"),
        (r"^neck\.fusion_stage\.layers\.(\d)", lambda m: f"depth_head.scratch.refinenet{4 - int(m[1])}"),
        (r"residual_layer(\d)\.convolution(\d)", r"resConfUnit\1.conv\2"),
        (r"(refinenet\d)\.projection", r"\1.out_conv"),
        (r"^head\.conv1", "depth_head.scratch.output_conv1"),
        (r"^head\.conv2", "depth_head.scratch.output_conv2.0"),
        (r"^head\.conv3", "depth_head.scratch.output_conv2.2"),
    ]
    renamed: Tensors = {}
    for key, value in theirs.items():
        for pattern, by in rules:
            key = re.sub(pattern, by, key)
        renamed[key] = value
    for key in [k for k in renamed if ".attention.attention.query." in k]:
        parts = [renamed.pop(key.replace("query", part)) for part in ("query", "key", "value")]
        renamed[key.replace("attention.attention.query", "attn.qkv")] = torch.cat(parts)
    return renamed


def with_the_official_positions(model: nn.Module) -> nn.Module:
    """transformers' model with the interpolation of Meta's DINOv2, which official Depth Anything runs on."""
    model = copy.deepcopy(model)
    embeddings = model.backbone.embeddings

    def interpolate(_: Tensor, height: int, width: int) -> Tensor:
        stored = embeddings.position_embeddings
        side = TRAINED_PX // 14
        if (height, width) == (TRAINED_PX, TRAINED_PX):
            return stored
        square = stored[:, 1:].reshape(1, side, side, WIDTH).permute(0, 3, 1, 2)
        factors = ((height // 14 + 0.1) / side, (width // 14 + 0.1) / side)
        sized = F.interpolate(square, scale_factor=factors, mode="bicubic", antialias=False)
        return torch.cat([stored[:, :1], sized.permute(0, 2, 3, 1).reshape(1, -1, WIDTH)], dim=1)

    embeddings.interpolate_pos_encoding = interpolate
    return model


def pictures(size: tuple[int, int]) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(4))


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    assert theirs.std() > 0.02 * theirs.abs().max(), "the reference says nothing"
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("max_depth_m", [None, 20.0, 80.0])
@pytest.mark.parametrize("layout", ["hugging_face", "official"])
def test_equals_transformers(layout: str, max_depth_m: float | None, size: tuple[int, int], tmp_path: Path) -> None:
    reference = hugging_face_model(max_depth_m)
    reference.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    if layout == "official":
        reference = with_the_official_positions(reference)
        tensors = official_from_hugging_face(tensors)
    network = depth_anything_from_tensors(TINY, tensors, origin="random", max_depth_m=max_depth_m, image_size=size)
    with torch.inference_mode():
        theirs = reference(pictures(size)).predicted_depth
        ours = network(pictures(size))
    assert ours.shape == (2, *size)
    assert relative_difference(ours, theirs) < PARITY


def test_the_comparison_can_fail(hugging_face_file: Path) -> None:
    """Another layout's positions, another block and another fusion order are each far outside the tolerance."""
    tensors, size = load_file(hugging_face_file), (70, 126)
    reference = hugging_face_model(None)
    official = official_from_hugging_face(tensors)
    wrong_blocks = DepthArchitecture(TINY.backbone, (0, 1, 2, 4), FEATURES, CHANNELS, TINY.backbone_overrides)
    swapped = dict(tensors)
    for kind in ("weight", "bias"):
        keys = [f"neck.fusion_stage.layers.{i}.projection.{kind}" for i in (1, 2)]
        swapped[keys[0]], swapped[keys[1]] = tensors[keys[1]], tensors[keys[0]]
    with torch.inference_mode():
        theirs = reference(pictures(size)).predicted_depth
        for architecture, given in ((TINY, official), (wrong_blocks, tensors), (TINY, swapped)):
            network = depth_anything_from_tensors(architecture, given, origin="random", image_size=size)
            assert relative_difference(network(pictures(size)), theirs) > 10 * PARITY


def test_loads_both_files_by_size(hugging_face_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(depth_anything.ARCHITECTURES, "small", TINY)
    official = tmp_path / "depth_anything_v2_vits.safetensors"
    save_file(official_from_hugging_face(load_file(hugging_face_file)), official)
    networks = [
        load_depth_anything("small", weights=path, image_size=(70, 70)) for path in (hugging_face_file, official)
    ]
    assert not any(network.training for network in networks)
    with torch.inference_mode():
        first, second = (network(pictures((70, 70))) for network in networks)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    metric = load_depth_anything("small", weights=official, max_depth_m=80.0, image_size=(70, 70))
    with torch.inference_mode():
        assert 1 < metric(pictures((70, 70))).max() <= 80


@pytest.mark.parametrize(("size", "millions"), [("small", 24.8), ("base", 97.5), ("large", 335.3)])
def test_the_published_sizes(size: Any, millions: float) -> None:
    """Parameters as the paper's table gives them, and the decoder tensor by tensor as transformers builds it."""
    architecture = ARCHITECTURES[size]
    with torch.device("meta"):
        backbone = random_backbone(architecture.backbone, image_size=(518, 518))
        decoder = DptDecoder(backbone.width, architecture.features, architecture.out_channels, None)
        theirs = transformers.DepthAnythingForDepthEstimation(
            transformers.DepthAnythingConfig(
                backbone_config=transformers.Dinov2Config(
                    hidden_size=backbone.width,
                    num_hidden_layers=backbone.depth,
                    num_attention_heads=backbone.width // 64,
                    image_size=518,
                    patch_size=14,
                    out_indices=[block + 1 for block in architecture.blocks],
                    reshape_hidden_states=False,
                ),
                reassemble_hidden_size=backbone.width,
                neck_hidden_sizes=list(architecture.out_channels),
                fusion_hidden_size=architecture.features,
            )
        )
    wanted = {
        key: value.shape
        for key, value in theirs.state_dict().items()
        if not key.startswith("backbone.") and "fusion_stage.layers.0.residual_layer1" not in key
    }
    network = DepthAnything(backbone, decoder, architecture.blocks)
    assert sorted(wanted.values()) == sorted(value.shape for value in decoder.state_dict().values())
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    assert max(architecture.blocks) == backbone.depth - 1


@pytest.mark.parametrize("layout", ["hugging_face", "official"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("drop neck.convs.2.weight", r"lacks (neck\.convs\.2\.weight|depth_head\.scratch\.layer3_rn\.weight)"),
        ("drop head.conv3.bias", r"lacks (head\.conv3\.bias|depth_head\.scratch\.output_conv2\.2\.bias)"),
        ("drop backbone.layernorm.weight", r"encoder .* lacks norm\.weight"),
        ("drop backbone.embeddings.mask_token", "lacks the mask token"),
        ("shorten head.conv1.bias", r"(head\.conv1|output_conv1)\.bias \[7\] where \[8\] is wanted"),
        ("shorten backbone.layernorm.weight", r"norm\.weight \[47\] where \[48\] is wanted"),
    ],
)
def test_refuses_other_weights(hugging_face_file: Path, layout: str, change: str, message: str) -> None:
    tensors = load_file(hugging_face_file)
    verb, key = change.split()
    value = tensors.pop(key)
    if verb == "shorten":
        tensors[key] = value[:-1]
    if layout == "official":
        tensors = official_from_hugging_face(tensors)
    with pytest.raises(MismatchError, match=message):
        depth_anything_from_tensors(TINY, tensors, origin="random", image_size=(70, 70))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("neck.extra.weight", r"has besides neck\.extra\.weight"),
        ("head.conv4.weight", r"has besides head\.conv4\.weight"),
        ("backbone.extra.weight", r"encoder .* has besides extra\.weight"),
        ("other", "has besides other"),
    ],
)
def test_refuses_a_key_too_many(hugging_face_file: Path, key: str, message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        depth_anything_from_tensors(
            TINY, load_file(hugging_face_file) | {key: torch.zeros(2)}, origin="random", image_size=(70, 70)
        )


def test_the_unit_nothing_uses_may_be_absent(hugging_face_file: Path) -> None:
    tensors = load_file(hugging_face_file)
    unused = [key for key in tensors if "fusion_stage.layers.0.residual_layer1" in key]
    assert len(unused) == 4
    slim = {key: value for key, value in tensors.items() if key not in unused}
    with torch.inference_mode():
        first, second = (
            depth_anything_from_tensors(TINY, given, origin="random", image_size=(70, 70))(pictures((70, 70)))
            for given in (tensors, slim)
        )
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("key", ["head.conv2.weight", "backbone.layernorm.bias"])
def test_refuses_values_that_are_not_finite(hugging_face_file: Path, key: str) -> None:
    tensors = load_file(hugging_face_file)
    tensors[key].view(-1)[0] = torch.nan
    with pytest.raises(CorruptError, match="NaN or infinite"):
        depth_anything_from_tensors(TINY, tensors, origin="random", image_size=(70, 70))


def test_refuses_a_file_that_is_something_else(hugging_face_file: Path, tmp_path: Path) -> None:
    encoder = tmp_path / "encoder.safetensors"
    save_file({"cls_token": torch.zeros(1, 1, 48), "pos_embed": torch.zeros(1, 26, 48)}, encoder)
    with pytest.raises(MismatchError, match=r"holds no Depth Anything V2.*got cls_token, pos_embed"):
        load_depth_anything("small", weights=encoder)
    with pytest.raises(MismatchError, match=r"encoder .* lacks blocks\.10\.attn\.proj\.bias.* and 92 more"):
        load_depth_anything("small", weights=hugging_face_file, image_size=(70, 70))
    with pytest.raises(InputError, match="there is no weights file"):
        load_depth_anything("small", weights=tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"junk")
    with pytest.raises(CorruptError, match="cannot be read as safetensors"):
        load_depth_anything("small", weights=tmp_path / "broken.safetensors")


def test_refuses_a_pickle_and_says_the_command(tmp_path: Path) -> None:
    pickle = tmp_path / "depth_anything_v2_vits.pth"
    torch.save({"a": torch.zeros(1)}, pickle)
    with pytest.raises(InputError, match=r"airside convert .*vits\.pth .*vits\.safetensors"):
        load_depth_anything("small", weights=pickle)


def test_refuses_the_call(hugging_face_file: Path) -> None:
    tensors = load_file(hugging_face_file)
    with pytest.raises(UsageError, match="no Depth Anything V2 of size 'giant'; wanted one of: small, base, large"):
        load_depth_anything("giant", weights=hugging_face_file)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="multiples of 14"):
        depth_anything_from_tensors(TINY, tensors, origin="random", image_size=(70, 71))
    with pytest.raises(UsageError, match="max_depth_m must be"):
        depth_anything_from_tensors(TINY, tensors, origin="random", image_size=(70, 70), max_depth_m=-1)
    network = depth_anything_from_tensors(TINY, tensors, origin="random", image_size=(70, 70))
    with pytest.raises(UsageError, match=r"built for images \[B, 3, 70, 70\]"):
        network(pictures((70, 84)))
