"""airside-mini's network: a timm vision transformer whose patch tokens are compared by cosine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from timm.layers import PatchEmbed
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
    mean = torch.tensor(IMAGE_MEAN, device=images.device) * 255
    std = torch.tensor(IMAGE_STD, device=images.device) * 255
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


def patch_tokens(network: VisionTransformer, images: Tensor) -> Tensor:
    """Patch tokens [B, Hp, Wp, C], not normalised, of normalised pictures [B, 3, H, W]."""
    tokens = window_tokens(network, images, 0, 0, None)
    return tokens.reshape(tokens.shape[0], *network.patch_embed.grid_size, -1)


def window_tokens(network: VisionTransformer, images: Tensor, row: int, col: int, keep: Tensor | None) -> Tensor:
    """Tokens [B, K, C], not normalised, of a window that starts at patch (``row``, ``col``) of the grid.

    ``images`` [B, 3, h, w] are normalised pictures of the window; it carries the position embedding of its place.
    ``keep`` [B, K]: the patches the network looks at, counted row by row (PatchDropout, arXiv 2208.07220); None: all.
    """
    tokens = network.patch_embed.grid(images)
    hp, wp = tokens.shape[2:]
    rows, cols = network.patch_embed.grid_size
    place = network.pos_embed
    if (hp, wp) != (rows, cols):
        place = place.reshape(1, rows, cols, -1)[:, row : row + hp, col : col + wp].reshape(1, hp * wp, -1)
    tokens = tokens.flatten(2).transpose(1, 2) + place
    if keep is not None:
        tokens = tokens.gather(1, keep.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
    prefix = torch.cat([network.cls_token, network.reg_token], dim=1).expand(tokens.shape[0], -1, -1)
    tokens = network.norm(network.blocks(torch.cat([prefix.to(tokens.dtype), tokens], dim=1)))
    return tokens[:, prefix.shape[1] :]


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
