"""airside-mini's network: a timm vision transformer whose patch tokens are compared by cosine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


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
        global_pool="",
    )


def normalise(images: Tensor) -> Tensor:
    """[B, H, W, 3] in 0..255 -> [B, 3, H, W] with ImageNet's mean and deviation removed."""
    mean = torch.tensor(IMAGE_MEAN, device=images.device) * 255
    std = torch.tensor(IMAGE_STD, device=images.device) * 255
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


def patch_tokens(network: VisionTransformer, images: Tensor, row: int = 0, col: int = 0) -> Tensor:
    """Patch tokens [B, Hp, Wp, C], not normalised, of a window that starts at patch (``row``, ``col``) of the grid.

    ``images`` [B, 3, h, w] are normalised pictures of the window; it carries the position embedding of its place.
    """
    tokens = network.patch_embed.proj(images)
    hp, wp = tokens.shape[2:]
    rows, cols = network.patch_embed.grid_size
    place = network.pos_embed.reshape(1, rows, cols, -1)[:, row : row + hp, col : col + wp].reshape(1, hp * wp, -1)
    tokens = tokens.flatten(2).transpose(1, 2) + place
    prefix = torch.cat([network.cls_token, network.reg_token], dim=1).expand(tokens.shape[0], -1, -1)
    tokens = network.norm(network.blocks(torch.cat([prefix.to(tokens.dtype), tokens], dim=1)))
    return tokens[:, prefix.shape[1] :].reshape(tokens.shape[0], hp, wp, -1)


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
