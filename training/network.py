"""airside-mini's network: a timm vision transformer whose patch tokens are compared by cosine, with two heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from timm.layers import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import NetworkRig
from airside.geometry.transforms import ego_from_mounted_cam
from airside.model.bev import BevHead, LiftSplat
from airside.model.dpt import DptDecoder
from training.constants import constant

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
FOCAL_PX = 196.0  # depth is learned as if seen through this focal length (Metric3D, arXiv 2307.10984, section 3.2)

Head = TypeVar("Head", bound=BevHead)


@dataclass(frozen=True, slots=True)
class MiniConfig:
    """Shape of the network. Input is ``height_px`` x ``width_px``, a multiple of ``patch_px``."""

    height_px: int = 224
    width_px: int = 392
    patch_px: int = 14
    width: int = 192
    depth: int = 6
    heads: int = 3
    registers: int = 4
    depth_blocks: tuple[int, ...] = (1, 2, 4, 5)  # whose tokens the depth decoder reads
    depth_features: int = 24
    depth_channels: tuple[int, ...] = (24, 48, 96, 96)
    depth_max_m: float = 100.0
    bev_channels: int = 64
    bev_grid: BevGrid = field(default_factory=BevGrid)


class DetailedPatchEmbed(PatchEmbed):
    """timm's linear patch embedding, plus a convolutional path for the edges and textures inside a patch, which small
    transformers learn slowly by themselves (Xiao et al., arXiv 2106.14881). The path starts at zero."""

    CHANNELS = 32

    def __init__(self, img_size: tuple[int, int], patch_size: int, in_chans: int, embed_dim: int, **_: object) -> None:
        super().__init__(img_size=img_size, patch_size=patch_size, in_chans=in_chans, embed_dim=embed_dim)
        half = patch_size // 2
        self.detail = nn.Sequential(
            nn.Conv2d(in_chans, self.CHANNELS, 2, stride=2),
            nn.GELU(),
            nn.Conv2d(self.CHANNELS, self.CHANNELS, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(self.CHANNELS, embed_dim, half, stride=half),
        )
        nn.init.zeros_(self.detail[-1].weight)
        nn.init.zeros_(self.detail[-1].bias)

    def grid(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, C, Hp, Wp]."""
        return self.proj(images) + self.detail(images)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.grid(x).flatten(2).transpose(1, 2))


def build_mini(config: MiniConfig) -> VisionTransformer:
    """A ViT-Tiny-class network with random weights."""
    return VisionTransformer(
        img_size=(config.height_px, config.width_px),
        patch_size=config.patch_px,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.heads,
        num_classes=0,
        reg_tokens=config.registers,
        no_embed_class=True,
        init_values=1.0,
        embed_layer=DetailedPatchEmbed,
        global_pool="",
    )


def normalise(images: Tensor) -> Tensor:
    """[B, H, W, 3] in 0..255 -> [B, 3, H, W] with ImageNet's mean and deviation removed."""
    mean, std = (255 * constant(values, images.device) for values in (IMAGE_MEAN, IMAGE_STD))
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


def patch_tokens(trunk: VisionTransformer, images: Tensor) -> Tensor:
    """Patch tokens [B, Hp, Wp, C], not of unit length, of normalised pictures [B, 3, H, W]."""
    return token_levels(trunk, images, ())[-1]


def token_levels(trunk: VisionTransformer, images: Tensor, blocks: Sequence[int]) -> list[Tensor]:
    """Patch tokens [B, Hp, Wp, C] after each of ``blocks``, 0-based, and after the last one, all through its norm."""
    tokens = trunk.patch_embed(images) + trunk.pos_embed
    prefix = torch.cat([trunk.cls_token, trunk.reg_token], dim=1).expand(tokens.shape[0], -1, -1)
    tokens = torch.cat([prefix.to(tokens.dtype), tokens], dim=1)
    after = []
    for block in trunk.blocks:
        tokens = block(tokens)
        after.append(tokens)
    wanted = [*(after[number] for number in blocks), tokens]
    return [trunk.norm(t)[:, prefix.shape[1] :].unflatten(1, trunk.patch_embed.grid_size) for t in wanted]


class Mini(nn.Module):
    """airside-mini: one trunk; on its tokens a small DPT decoder for depth and Lift-Splat for the bird's-eye view."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = build_mini(config)
        self.depth = DptDecoder(
            config.width, config.depth_features, config.depth_channels, config.depth_max_m, config.patch_px // 2
        )
        self.bev = told_unit_tokens(LiftSplat(config.width, some_rig(config), **bev_shape(config)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised pictures [B, 3, H, W] -> tokens [B, Hp, Wp, C] of unit length, and depth [B, H / 2, W / 2] in
        metres along the optical axis as if seen through :data:`FOCAL_PX`."""
        *levels, last = token_levels(self.trunk, images, self.config.depth_blocks)
        return functional.normalize(last.float(), dim=-1), self.depth(levels).float()


def with_rims(depth: Tensor) -> Tensor:
    """``depth`` [B, H, W], each pixel the nearest of the 3x3 around it: the decoder blurs a thing's edge into what is
    behind it. So a thing has its rim again, and what is wrong is wrong on the near side (eval/LOG.md)."""
    return -functional.max_pool2d(-depth[:, None], 3, stride=1, padding=1)[:, 0]


def bev_shape(config: MiniConfig) -> dict[str, Any]:
    """What the heads of ``config`` are built with."""
    return {"grid": config.bev_grid, "channels": config.bev_channels}


def told_unit_tokens(head: Head) -> Head:
    """``head`` with first layers as if its tokens had components of about 1: those of unit length are small."""
    scale = head.width**0.5
    with torch.no_grad():
        head.adapter.weight *= scale
        if isinstance(head, LiftSplat):
            head.depth[0].weight[:, : head.width] *= scale
    return head


def some_rig(config: MiniConfig) -> NetworkRig:
    """One camera: a head needs a rig to be built; others replace it (``with_rig``, ``training.batched_lift``)."""
    height, width = config.height_px, config.width_px
    camera = PinholeCamera(fx=width / 2, fy=width / 2, cx=width / 2, cy=height / 2, width=width, height=height)
    return NetworkRig(
        [camera], [ego_from_mounted_cam((0, 0, 1.8), yaw_deg=0, pitch_deg=5, roll_deg=0)], config.patch_px
    )


def whiten_patch_embedding(network: VisionTransformer, images: Tensor) -> None:
    """Start the patch embedding at the whitened principal components of ``images`` [B, 3, H, W], so that the first
    steps see edges and not only mean colours (Coates et al., AISTATS 2011, section 3.2)."""
    projection = network.patch_embed.proj
    width, _, patch, _ = projection.weight.shape
    patches = functional.unfold(images, patch, stride=patch).transpose(1, 2).reshape(-1, 3 * patch * patch)
    mean = patches.mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov((patches - mean).T))
    values, vectors = values.flip(0)[:width], vectors.flip(1)[:, :width]
    basis = (vectors / torch.sqrt(values + values[width // 2])).T * 0.7
    with torch.no_grad():
        projection.weight.copy_(basis.reshape(projection.weight.shape))
        projection.bias.copy_(-basis @ mean)


class CosineClassifier(nn.Module):
    """Cosine between tokens and one learned direction a class."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(classes, width), std=0.15))

    def forward(self, unit_tokens: Tensor) -> Tensor:
        """[T, C] of unit length -> cosine [T, classes]."""
        return unit_tokens @ nn.functional.normalize(self.weight, dim=-1).T
