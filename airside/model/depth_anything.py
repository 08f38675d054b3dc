"""Depth Anything V2: its own DINOv2 encoder and DPT decoder, from its official files and Hugging Face's."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from airside.errors import MismatchError, UsageError
from airside.model.backbone import Backbone, backbone_from_tensors
from airside.model.dpt import LEVELS, DptDecoder
from airside.model.layouts import read_weights, require_tensors, some_keys

DepthSize = Literal["small", "base", "large"]


@dataclass(frozen=True, slots=True)
class DepthArchitecture:
    """``backbone``: timm's name; ``blocks``: the four whose tokens are decoded, 0-based; the rest as in DptDecoder.

    ``backbone_overrides``: timm's own arguments where the encoder differs from the named one.
    """

    backbone: str
    blocks: tuple[int, int, int, int]
    features: int
    out_channels: tuple[int, int, int, int]
    backbone_overrides: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURES: dict[DepthSize, DepthArchitecture] = {
    "small": DepthArchitecture("vit_small_patch14_dinov2", (2, 5, 8, 11), 64, (48, 96, 192, 384)),
    "base": DepthArchitecture("vit_base_patch14_dinov2", (2, 5, 8, 11), 128, (96, 192, 384, 768)),
    "large": DepthArchitecture("vit_large_patch14_dinov2", (4, 11, 17, 23), 256, (256, 512, 1024, 1024)),
}


class DepthAnything(nn.Module):
    """``backbone`` and ``decoder``; ``blocks`` are the backbone's that the decoder sees."""

    def __init__(self, backbone: Backbone, decoder: DptDecoder, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.backbone, self.decoder, self.blocks = backbone, decoder, blocks

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] float32, normalised with ``backbone.mean`` and ``.std`` -> depth [B, H, W] float32.

        Relative (affine-invariant inverse depth, high = near, at least 0) or metres along the optical axis, as
        ``decoder.max_depth_m`` says. Raises :class:`UsageError` on another image size than the backbone's.
        """
        depth: Tensor = self.decoder(self.backbone.intermediate(images, self.blocks))
        return depth


def load_depth_anything(
    size: DepthSize, *, weights: Path, max_depth_m: float | None = None, image_size: tuple[int, int] = (518, 518)
) -> DepthAnything:
    """Depth Anything V2 with trained weights, in evaluation mode (Yang et al., arXiv 2406.09414).

    ``weights``: safetensors in the official layout (``depth_anything_v2_vits.pth``, converted) or Hugging Face's.
    ``max_depth_m``: ``None`` for the relative models; for the metric ones the limit they were trained with, which no
    file records: 20 indoors (Hypersim), 80 outdoors (Virtual KITTI). ``image_size``: (H, W) in pixels, multiples of 14.
    Between grids the position embedding follows each layout's own implementation: see ``PositionPolicy``.

    Raises:
        UsageError: no such size, an impossible image size or depth limit.
        InputError: no such file, or a pickle; the message says the command that converts it.
        MismatchError: keys missing, unexpected or of another shape, by the file's own names for the decoder.
        CorruptError: the file is damaged, or holds NaN or infinite values.
    """
    if size not in ARCHITECTURES:
        raise UsageError(f"no Depth Anything V2 of size {size!r}; wanted one of: {', '.join(ARCHITECTURES)}")
    return depth_anything_from_tensors(
        ARCHITECTURES[size],
        read_weights(weights),
        origin=str(weights),
        max_depth_m=max_depth_m,
        image_size=image_size,
    )


def depth_anything_from_tensors(
    architecture: DepthArchitecture,
    tensors: Mapping[str, Tensor],
    *,
    origin: str,
    max_depth_m: float | None = None,
    image_size: tuple[int, int] = (518, 518),
) -> DepthAnything:
    """:func:`load_depth_anything` for any architecture, from memory; ``origin`` names the weights in messages."""
    layout = _layout_of(tensors, origin)
    prefix = _ENCODER_PREFIX[layout]
    encoder = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    others = {key: value for key, value in tensors.items() if not key.startswith(prefix)}
    if "mask_token" not in encoder and "embeddings.mask_token" not in encoder:
        # Without it Meta's names cannot be told from timm's, which place the position embedding differently.
        raise MismatchError(
            f"{origin} (Depth Anything in {layout.value} layout) lacks the mask token under {prefix}, which every "
            "published file has: give the file as it was published"
        )
    backbone = backbone_from_tensors(
        architecture.backbone,
        encoder,
        origin=f"{origin}, encoder {prefix}*",
        image_size=image_size,
        **architecture.backbone_overrides,
    )
    decoder = DptDecoder(
        backbone.width, architecture.features, architecture.out_channels, max_depth_m, backbone.patch_px
    )
    decoder.load_state_dict(_decoder_weights(others, decoder.state_dict(), layout, origin))
    return DepthAnything(backbone, decoder, architecture.blocks).eval()


class _Layout(enum.StrEnum):
    OFFICIAL = "official"
    HUGGING_FACE = "Hugging Face"


_ENCODER_PREFIX = {_Layout.OFFICIAL: "pretrained.", _Layout.HUGGING_FACE: "backbone."}

_NUMBERED = range(LEVELS)
# Module by module: the decoder's own name, and the file's.
_OFFICIAL = {
    **{f"project.{i}": f"depth_head.projects.{i}" for i in _NUMBERED},
    **{f"resize.{i}": f"depth_head.resize_layers.{i}" for i in _NUMBERED},
    **{f"adapt.{i}": f"depth_head.scratch.layer{i + 1}_rn" for i in _NUMBERED},
    **{f"fuse.{i}.lateral.conv{n}": f"depth_head.scratch.refinenet{i + 1}.resConfUnit1.conv{n}"
       for i in _NUMBERED for n in (1, 2)},
    **{f"fuse.{i}.refine.conv{n}": f"depth_head.scratch.refinenet{i + 1}.resConfUnit2.conv{n}"
       for i in _NUMBERED for n in (1, 2)},
    **{f"fuse.{i}.project": f"depth_head.scratch.refinenet{i + 1}.out_conv" for i in _NUMBERED},
    "head_coarse": "depth_head.scratch.output_conv1",
    "head_fine": "depth_head.scratch.output_conv2.0",
    "head_depth": "depth_head.scratch.output_conv2.2",
}  # fmt: skip
_HUGGING_FACE = {
    **{f"project.{i}": f"neck.reassemble_stage.layers.{i}.projection" for i in _NUMBERED},
    **{f"resize.{i}": f"neck.reassemble_stage.layers.{i}.resize" for i in _NUMBERED},
    **{f"adapt.{i}": f"neck.convs.{i}" for i in _NUMBERED},
    **{f"fuse.{i}.lateral.conv{n}": f"neck.fusion_stage.layers.{LEVELS - 1 - i}.residual_layer1.convolution{n}"
       for i in _NUMBERED for n in (1, 2)},
    **{f"fuse.{i}.refine.conv{n}": f"neck.fusion_stage.layers.{LEVELS - 1 - i}.residual_layer2.convolution{n}"
       for i in _NUMBERED for n in (1, 2)},
    **{f"fuse.{i}.project": f"neck.fusion_stage.layers.{LEVELS - 1 - i}.projection" for i in _NUMBERED},
    "head_coarse": "head.conv1",
    "head_fine": "head.conv2",
    "head_depth": "head.conv3",
}  # fmt: skip
_MODULES = {_Layout.OFFICIAL: _OFFICIAL, _Layout.HUGGING_FACE: _HUGGING_FACE}
# The coarsest level has nothing to merge, yet the published files carry the unit that would.
_UNUSED = tuple(f"fuse.{LEVELS - 1}.lateral.conv{n}" for n in (1, 2))


def _layout_of(tensors: Mapping[str, Tensor], origin: str) -> _Layout:
    if any(key.startswith("depth_head.") for key in tensors):
        return _Layout.OFFICIAL
    if any(key.startswith("neck.") for key in tensors):
        return _Layout.HUGGING_FACE
    raise MismatchError(
        f"{origin} holds no Depth Anything V2: wanted keys under depth_head. (official) or neck. (Hugging Face), "
        f"got {some_keys(tensors)}"
    )


def _decoder_weights(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], layout: _Layout, origin: str
) -> dict[str, Tensor]:
    """What the decoder's ``load_state_dict`` takes; the messages speak in the file's own names."""
    modules = _MODULES[layout]
    theirs = {ours: _file_name(ours, modules) for ours in wanted}
    unused = {f"{modules[name]}.{kind}" for name in _UNUSED for kind in ("weight", "bias")}
    came = {key: value for key, value in tensors.items() if key not in unused}
    what = f"{origin} (Depth Anything in {layout.value} layout)"
    require_tensors(came, {key: wanted[ours] for ours, key in theirs.items()}, what)
    return {ours: came[key].float() for ours, key in theirs.items()}


def _file_name(ours: str, modules: Mapping[str, str]) -> str:
    module, _, kind = ours.rpartition(".")
    return f"{modules[module]}.{kind}"
