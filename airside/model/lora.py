"""Low-rank adapters on query and value (LoRA, Hu et al., arXiv 2106.09685, section 4.2), through PEFT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from airside.errors import CorruptError, InputError, MismatchError, UsageError
from airside.model.attention import fuse_qkv, split_qkv
from airside.model.backbone import Backbone

ADAPTED = ("q", "v")
_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """A backbone with adapters inside it: ``backbone`` is used as before, only the adapters learn.

    ``str`` is one line for the log: rank, blocks and the number of trainable parameters.
    """

    backbone: Backbone
    peft: PeftModel
    rank: int
    blocks: tuple[int, ...]

    @property
    def trainable_parameters(self) -> int:
        return sum(p.numel() for p in self.backbone.parameters() if p.requires_grad)

    def __str__(self) -> str:
        blocks = ", ".join(str(block) for block in self.blocks)
        return (
            f"LoRA rank {self.rank} on query and value of {self.backbone.name}, blocks {blocks}: "
            f"{self.trainable_parameters:,} trainable parameters"
        )


def add_lora(
    backbone: Backbone,
    rank: int = 32,
    blocks: Sequence[int] | None = None,
    *,
    alpha: int | None = None,
    dropout: float = 0.0,
) -> Adapter:
    """Put adapters on query and value of ``blocks`` (0-based; ``None``: all), in place, and freeze everything else.

    The update is ``alpha / rank * B A``; ``alpha`` is ``rank`` unless given. B starts at zero, so nothing changes yet.

    Raises:
        UsageError: a rank below 1 or above the layer's width, blocks the backbone does not have, no blocks, a dropout
            outside [0, 1), or adapters that are there already.
    """
    chosen = tuple(range(backbone.depth) if blocks is None else sorted(set(blocks)))
    if not 1 <= rank <= backbone.width:
        raise UsageError(f"LoRA rank {rank}: wanted 1 to {backbone.width}, the width of {backbone.name}'s layers")
    wrong = [block for block in chosen if not 0 <= block < backbone.depth]
    if wrong or not chosen:
        raise UsageError(
            f"LoRA on blocks {wrong or 'none'} matches nothing: {backbone.name} has blocks 0 to {backbone.depth - 1}"
        )
    if not 0 <= dropout < 1:
        raise UsageError(f"LoRA dropout {dropout}: wanted 0 to below 1")
    config = LoraConfig(
        r=rank,
        lora_alpha=rank if alpha is None else alpha,
        lora_dropout=dropout,
        target_modules=[_target(block, part) for block in chosen for part in ADAPTED],
        base_model_name_or_path=backbone.name,
    )
    return _adapted(backbone, config, chosen)


def merge_lora(adapter: Adapter) -> Backbone:
    """Add the adapters into the weights, in place, and fuse the projections: a plain backbone again, same outputs.

    Its weights stay frozen, as :func:`add_lora` left them.
    """
    adapter.peft.merge_and_unload()
    fuse_qkv(adapter.backbone.network)
    return adapter.backbone


def save_lora(adapter: Adapter, folder: Path) -> None:
    """Write PEFT's own ``adapter_model.safetensors`` and ``adapter_config.json`` into ``folder``."""
    adapter.peft.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)


def load_lora(backbone: Backbone, folder: Path, *, trainable: bool = False) -> Adapter:
    """Put saved adapters on ``backbone``, in place. The backbone stays untouched when this raises.

    Raises:
        InputError: ``folder`` has no adapter in PEFT's safetensors format.
        CorruptError: its files cannot be read.
        MismatchError: it adapts another backbone, layers this one does not have or other than query and value, or
            holds tensors too many, too few or of another shape.
        UsageError: adapters are there already.
    """
    lacking = [name for name in _FILES if not (folder / name).is_file()]
    if lacking:
        raise InputError(f"{folder} is no LoRA adapter: it lacks {', '.join(lacking)}")
    try:
        config = LoraConfig.from_pretrained(str(folder))
        tensors = load_file(folder / _FILES[1])
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise CorruptError(f"the LoRA adapter {folder} cannot be read ({error}); copy it again") from error
    if config.base_model_name_or_path != backbone.name:
        raise MismatchError(
            f"the adapter {folder} was trained on {config.base_model_name_or_path}, this backbone is {backbone.name}"
        )
    here = {_target(block, part): block for block in range(backbone.depth) for part in ADAPTED}
    named = config.target_modules
    targets = {named} if isinstance(named, str) else set(named or ())
    if not targets or not targets <= here.keys():
        raise MismatchError(
            f"the adapter {folder} is for {', '.join(sorted(targets - here.keys())) or 'no layer'}; "
            f"{backbone.name} takes adapters on query and value alone, named like {_target(0, 'q')}"
        )
    _check(tensors, targets, backbone, config.r, folder)
    config.inference_mode = not trainable
    adapter = _adapted(backbone, config, tuple(sorted({here[target] for target in targets})))
    set_peft_model_state_dict(adapter.peft, tensors)
    return adapter


def _adapted(backbone: Backbone, config: LoraConfig, blocks: tuple[int, ...]) -> Adapter:
    if any("lora_" in name for name, _ in backbone.named_parameters()):
        raise UsageError(f"{backbone.name} has LoRA adapters already; merge them first (merge_lora)")
    split_qkv(backbone.network)
    wrapped: Any = backbone  # PEFT's annotation wants a transformers model; it takes any module
    return Adapter(backbone, PeftModel(wrapped, config), config.r, blocks)


def _target(block: int, part: str) -> str:
    return f"network.blocks.{block}.attn.qkv.{part}"


def _check(tensors: Mapping[str, Tensor], targets: set[str], backbone: Backbone, rank: int, folder: Path) -> None:
    shapes = {"A": (rank, backbone.width), "B": (backbone.width, rank)}
    wanted = {f"base_model.model.{t}.lora_{side}.weight": shape for t in targets for side, shape in shapes.items()}
    came = {key: tuple(value.shape) for key, value in tensors.items()}
    wrong = sorted(key for key in wanted.keys() | came.keys() if wanted.get(key) != came.get(key))
    if wrong:
        key = wrong[0]
        raise MismatchError(
            f"the adapter {folder} does not fit {backbone.name}: {key} is {came.get(key, 'missing')}, wanted "
            f"{wanted.get(key, 'no such tensor')} ({len(wrong)} tensors differ)"
        )
