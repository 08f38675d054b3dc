"""Adapters sit on query and value of the chosen blocks alone, merge exactly, and travel as PEFT's own files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from airside.errors import CorruptError, InputError, MismatchError, UsageError
from airside.model.backbone import Backbone, random_backbone
from airside.model.lora import Adapter, add_lora, load_lora, merge_lora, save_lora
from tests import weight_files
from tests.weight_files import DEPTH, WIDTH

REG4, V3 = "vit_base_patch14_reg4_dinov2", "vit_small_patch16_dinov3_qkvb"
SIZE_PX = (112, 112)


def _backbone(name: str = REG4) -> Backbone:
    made = random_backbone(name, image_size=SIZE_PX, **weight_files.architecture())
    weight_files.randomise(made)
    return made


def _images() -> Tensor:
    return torch.randn(2, 3, *SIZE_PX, generator=torch.Generator().manual_seed(0))


def _teach(adapter: Adapter) -> None:
    """Random numbers in A and B, as if trained."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.backbone.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


@torch.no_grad()
def _tokens(backbone: Backbone) -> Tensor:
    return backbone(_images())


@pytest.mark.parametrize("name", [REG4, V3, "vit_small_patch16_dinov3"])
@pytest.mark.parametrize(("rank", "blocks"), [(32, None), (4, [2]), (1, [2, 0, 2])])
def test_only_query_and_value_learn(name: str, rank: int, blocks: list[int] | None) -> None:
    backbone = _backbone(name)
    wanted = _tokens(backbone)
    adapter = add_lora(backbone, rank, blocks)
    chosen = sorted(set(blocks or range(DEPTH)))
    trainable = {key for key, p in backbone.named_parameters() if p.requires_grad}
    assert trainable == {
        f"network.blocks.{b}.attn.qkv.{part}.lora_{side}.default.weight"
        for b in chosen
        for part in "qv"
        for side in "AB"
    }
    assert adapter.trainable_parameters == rank * (WIDTH + WIDTH) * 2 * len(chosen)
    assert f"{adapter.trainable_parameters:,} trainable parameters" in str(adapter)
    assert f"rank {rank} on query and value of {name}, blocks {', '.join(map(str, chosen))}" in str(adapter)
    torch.testing.assert_close(_tokens(backbone), wanted, rtol=1e-5, atol=1e-5)


def test_rank_32_is_the_default() -> None:
    adapter = add_lora(_backbone())
    assert (adapter.rank, adapter.blocks) == (32, (0, 1, 2))
    assert adapter.trainable_parameters == 32 * 64 * 2 * 3


@pytest.mark.parametrize("name", [REG4, V3])
def test_merged_equals_unmerged_and_the_keys_are_untouched(name: str) -> None:
    backbone = _backbone(name)
    before, untaught = {k: v.clone() for k, v in backbone.state_dict().items()}, _tokens(backbone)
    adapter = add_lora(backbone, 8, [0, 2], alpha=16)
    _teach(adapter)
    wanted = _tokens(backbone)
    assert not torch.allclose(wanted, untaught, atol=0.1)

    assert merge_lora(adapter) is backbone
    after = backbone.state_dict()
    assert after.keys() == before.keys()
    assert float((_tokens(backbone) - wanted).abs().max() / wanted.abs().max()) < 1e-5
    for key, value in after.items():
        if key in {"network.blocks.0.attn.qkv.weight", "network.blocks.2.attn.qkv.weight"}:
            changed = [not torch.equal(a, b) for a, b in zip(value.chunk(3), before[key].chunk(3), strict=True)]
            assert changed == [True, False, True]
        else:
            assert torch.equal(value, before[key])
    add_lora(backbone, 2)


def test_the_gradient_reaches_the_adapters_alone() -> None:
    adapter = add_lora(_backbone(), 4, [1])
    adapter.backbone(_images()).square().sum().backward()
    with_gradient = {key for key, p in adapter.backbone.named_parameters() if p.grad is not None}
    assert len(with_gradient) == 4
    assert all(".lora_" in key for key in with_gradient)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank": 0}, r"rank 0: wanted 1 to 32"),
        ({"rank": 33}, r"rank 33: wanted 1 to 32, the width of vit_base"),
        ({"blocks": []}, "matches nothing"),
        ({"blocks": [0, 3]}, r"blocks \[3\] matches nothing: .* has blocks 0 to 2"),
        ({"blocks": [-1]}, r"blocks \[-1\] matches nothing"),
        ({"dropout": 1.0}, r"dropout 1\.0"),
    ],
)
def test_refuses_what_cannot_be(options: dict[str, Any], words: str) -> None:
    backbone = _backbone()
    keys = backbone.state_dict().keys()
    with pytest.raises(UsageError, match=words):
        add_lora(backbone, **options)
    assert backbone.state_dict().keys() == keys


def test_refuses_adapters_on_adapters() -> None:
    backbone = _backbone()
    add_lora(backbone, 2)
    with pytest.raises(UsageError, match="already; merge them first"):
        add_lora(backbone, 2)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Tensor]:
    """An adapter on disk and what its backbone gave."""
    adapter = add_lora(_backbone(), 4, [0, 2], alpha=8)
    _teach(adapter)
    save_lora(adapter, tmp_path / "adapter")
    return tmp_path / "adapter", _tokens(adapter.backbone)


@pytest.mark.parametrize("trainable", [False, True])
def test_saved_and_loaded(stored: tuple[Path, Tensor], trainable: bool) -> None:
    folder, wanted = stored
    adapter = load_lora(_backbone(), folder, trainable=trainable)
    assert torch.equal(_tokens(adapter.backbone), wanted)
    assert (adapter.rank, adapter.blocks) == (4, (0, 2))
    assert adapter.trainable_parameters == (4 * 64 * 2 * 2 if trainable else 0)


def test_the_files_are_pefts_own(stored: tuple[Path, Tensor]) -> None:
    from peft import PeftModel

    from airside.model.attention import split_qkv

    folder, wanted = stored
    assert {"adapter_model.safetensors", "adapter_config.json"} <= {p.name for p in folder.iterdir()}
    backbone: Any = _backbone()
    split_qkv(backbone.network)
    PeftModel.from_pretrained(backbone, str(folder))
    assert torch.equal(_tokens(backbone), wanted)


def _config(folder: Path, **fields: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def _tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    path = folder / "adapter_model.safetensors"
    tensors = {key: value.clone() for key, value in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)


A_KEY = "base_model.model.network.blocks.0.attn.qkv.q.lora_A.weight"


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (lambda f: (f / "adapter_model.safetensors").unlink(), InputError, r"lacks adapter_model\.safetensors"),
        (lambda f: (f / "adapter_config.json").unlink(), InputError, r"lacks adapter_config\.json"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"x"), CorruptError, "cannot be read"),
        (lambda f: (f / "adapter_config.json").write_text("{"), CorruptError, "cannot be read"),
        (lambda f: _config(f, base_model_name_or_path="other"), MismatchError, "was trained on other"),
        (
            lambda f: _config(f, target_modules=["network.blocks.7.attn.qkv.q"]),
            MismatchError,
            r"blocks\.7\.attn\.qkv\.q;",
        ),
        (
            lambda f: _config(f, target_modules=["network.blocks.0.attn.qkv.k"]),
            MismatchError,
            "on query and value alone",
        ),
        (lambda f: _config(f, target_modules=["qkv"]), MismatchError, "is for qkv;"),
        (lambda f: _config(f, target_modules=[]), MismatchError, "is for no layer"),
        (lambda f: _config(f, r=5), MismatchError, r"is \(.*\), wanted \(.*tensors differ"),
        (
            lambda f: _tensors(f, lambda t: t.pop(A_KEY)),
            MismatchError,
            r"q\.lora_A\.weight is missing, wanted \(4, 32\)",
        ),
        (lambda f: _tensors(f, lambda t: t.update(x=torch.zeros(1))), MismatchError, "x is .*wanted no such tensor"),
    ],
)
def test_refuses_an_adapter_that_does_not_fit(
    stored: tuple[Path, Tensor], damage: Callable[[Path], object], error: type[Exception], words: str
) -> None:
    folder, _ = stored
    damage(folder)
    backbone = _backbone()
    keys = backbone.state_dict().keys()
    with pytest.raises(error, match=words):
        load_lora(backbone, folder)
    assert backbone.state_dict().keys() == keys
