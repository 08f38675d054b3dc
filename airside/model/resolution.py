"""Ways to get patch tokens of a picture that has not the network's size; each takes ``tokens``, the network.

Pictures are [B, 3, H, W] float32, normalised; patch grids [B, Hp, Wp, C] float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from airside.errors import UsageError

TokensOf = Callable[[Tensor], Tensor]  # [B, 3, H, W] -> [B, Hp, Wp, C]
Size = tuple[int, int]  # height, width


def one_resize(images: Tensor, tokens: TokensOf, *, size_px: Size) -> Tensor:
    """Stretch the whole picture to ``size_px``, whatever its shape: [B, Hp, Wp, C]."""
    return tokens(_resized(images, size_px))


def native_aspect(images: Tensor, tokens: TokensOf, *, patch_px: int, max_patches: int) -> Tensor:
    """Resize to :func:`native_aspect_size`, so that things keep their shape: [B, Hp, Wp, C], Hp Wp <= max_patches."""
    height, width = images.shape[-2:]
    return tokens(_resized(images, native_aspect_size((height, width), patch_px=patch_px, max_patches=max_patches)))


def native_aspect_size(size_px: Size, *, patch_px: int, max_patches: int) -> Size:
    """The size in whole patches closest in shape to ``size_px``, with as many patches as ``max_patches`` allows.

    The long side is a whole number of patches, the short side the nearest whole number, at least one. Raises
    :class:`UsageError` when a size is not positive.
    """
    if min(*size_px, patch_px, max_patches) < 1:
        raise UsageError(f"wanted positive sizes, got a picture {size_px}, patch {patch_px} px, {max_patches} patches")
    ratio = min(size_px) / max(size_px)
    long = max(n for n in range(1, max_patches + 1) if n * max(1, round(n * ratio)) <= max_patches)
    short = max(1, round(long * ratio))
    rows, cols = (long, short) if size_px[0] > size_px[1] else (short, long)
    return rows * patch_px, cols * patch_px


def overlapping_crops(images: Tensor, tokens: TokensOf, *, patch_px: int, crop: Size, overlap: int) -> Tensor:
    """Tokens of crops, stitched on the grid of the whole picture: [B, Hp, Wp, C].

    ``crop`` is (rows, columns) of patches, ``overlap`` the patches that neighbours share at least. Where crops
    overlap, each counts by its patch's distance to the crop's edge, so that no seam shows. All crops go through
    ``tokens`` as one batch. Raises :class:`UsageError` when the picture is no multiple of the patch or smaller than a
    crop, or the overlap is not below the crop's sides.
    """
    height, width = images.shape[-2:]
    if height % patch_px or width % patch_px:
        raise UsageError(
            f"crops need a picture of whole patches of {patch_px} px, got {height}x{width}; resize it first"
        )
    grid = height // patch_px, width // patch_px
    if not 0 <= overlap < min(crop):
        raise UsageError(f"crops of {crop} patches cannot overlap by {overlap}: wanted 0 to {min(crop) - 1}")
    if crop[0] > grid[0] or crop[1] > grid[1]:
        raise UsageError(f"crops of {crop} patches do not fit a picture of {grid} patches")
    rows, cols = (_starts(whole, part, overlap) for whole, part in zip(grid, crop, strict=True))
    places = [(row, col) for row in rows for col in cols]
    parts = [
        images[..., r * patch_px : (r + crop[0]) * patch_px, c * patch_px : (c + crop[1]) * patch_px] for r, c in places
    ]
    found = tokens(torch.cat(parts)).reshape(len(places), len(images), *crop, -1)
    weight = _tent(crop[0], found)[:, None] * _tent(crop[1], found)
    total = found.new_zeros((len(images), *grid, found.shape[-1]))
    weights = found.new_zeros((*grid, 1))
    for (row, col), part in zip(places, found, strict=True):
        total[:, row : row + crop[0], col : col + crop[1]] += part * weight[..., None]
        weights[row : row + crop[0], col : col + crop[1]] += weight[..., None]
    return total / weights


def several_scales(images: Tensor, tokens: TokensOf, *, sizes_px: Sequence[Size], grid: Size) -> Tensor:
    """Mean of the tokens at each of ``sizes_px``, each brought bilinearly to ``grid``: [B, *grid, C].

    ``tokens`` must take every one of the sizes. Raises :class:`UsageError` without any size.
    """
    if not sizes_px:
        raise UsageError("wanted at least one scale, got none")
    total: Tensor | None = None
    for size in sizes_px:
        there = tokens(_resized(images, size)).permute(0, 3, 1, 2)
        if there.shape[-2:] != grid:
            there = functional.interpolate(there, size=grid, mode="bilinear", antialias=True)
        total = there if total is None else total + there
    assert total is not None
    return (total / len(sizes_px)).permute(0, 2, 3, 1)


def _resized(images: Tensor, size_px: Size) -> Tensor:
    if images.shape[-2:] == size_px:
        return images
    return functional.interpolate(images, size=size_px, mode="bicubic", antialias=True)


def _starts(whole: int, part: int, overlap: int) -> list[int]:
    """Where crops of ``part`` start so that they cover ``whole``, as evenly as whole patches allow."""
    count = math.ceil((whole - overlap) / (part - overlap))
    return [round(k * (whole - part) / max(count - 1, 1)) for k in range(count)]


def _tent(length: int, like: Tensor) -> Tensor:
    """[length]: 1 at both ends, rising by 1 a patch towards the middle."""
    ramp = torch.arange(1, length + 1, dtype=like.dtype, device=like.device)
    return torch.minimum(ramp, ramp.flip(0))
