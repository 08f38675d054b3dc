"""Resolution strategies against networks simple enough that the right answer is known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from airside.errors import UsageError
from airside.model.resolution import (
    native_aspect,
    native_aspect_size,
    one_resize,
    overlapping_crops,
    several_scales,
)

PATCH = 2
FILTERS = torch.randn(5, 3, PATCH, PATCH, generator=torch.Generator().manual_seed(0))
SIDES = st.integers(1, 9)


def patch_embedding(images: Tensor) -> Tensor:
    """Each patch by itself: its token does not know where it is nor what is around it."""
    return functional.conv2d(images, FILTERS, stride=PATCH).permute(0, 2, 3, 1)


def with_column(images: Tensor) -> Tensor:
    """Tokens [.., 1] that hold their column within the picture the network was given."""
    rows, cols = images.shape[-2] // PATCH, images.shape[-1] // PATCH
    return torch.arange(cols, dtype=torch.float32).expand(len(images), rows, cols)[..., None]


def _images(rows: int, cols: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, rows * PATCH, cols * PATCH, generator=torch.Generator().manual_seed(1))


@settings(max_examples=60, deadline=None)
@given(rows=SIDES, cols=SIDES, data=st.data())
def test_stitched_crops_of_a_position_wise_network_are_the_whole(rows: int, cols: int, data: st.DataObject) -> None:
    crop = data.draw(st.integers(1, rows)), data.draw(st.integers(1, cols))
    overlap = data.draw(st.integers(0, min(crop) - 1))
    seen: list[tuple[int, ...]] = []

    def tokens(images: Tensor) -> Tensor:
        seen.append(tuple(images.shape[-2:]))
        return patch_embedding(images)

    images = _images(rows, cols)
    came = overlapping_crops(images, tokens, patch_px=PATCH, crop=crop, overlap=overlap)
    torch.testing.assert_close(came, patch_embedding(images), rtol=1e-5, atol=1e-5)
    assert seen == [(crop[0] * PATCH, crop[1] * PATCH)]


def test_neighbouring_crops_share_the_overlap_and_fade_into_each_other() -> None:
    came = overlapping_crops(_images(4, 6), with_column, patch_px=PATCH, crop=(4, 4), overlap=2)[0, 0, :, 0]
    # crops start at columns 0 and 2; weights 1 2 2 1 each
    torch.testing.assert_close(came, torch.tensor([0, 1, (2 * 2 + 1 * 0) / 3, (1 * 3 + 2 * 1) / 3, 2, 3]))


@settings(max_examples=60, deadline=None)
@given(whole=st.integers(1, 60), data=st.data())
def test_crops_overlap_by_what_was_asked_and_are_no_more_than_needed(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(1, whole))
    overlap = data.draw(st.integers(0, part - 1))
    batches: list[Tensor] = []
    columns = torch.arange(whole, dtype=torch.float32).repeat_interleave(PATCH)
    images = columns.expand(1, 3, part * PATCH, -1)

    def tokens(crops: Tensor) -> Tensor:
        batches.append(crops)
        return patch_embedding(crops)

    overlapping_crops(images, tokens, patch_px=PATCH, crop=(part, part), overlap=overlap)
    starts = batches[0][:, 0, 0, 0].int().tolist()
    assert (starts[0], starts[-1]) == (0, whole - part)
    assert all(0 < b - a <= part - overlap for a, b in itertools.pairwise(starts))
    assert len(starts) == math.ceil((whole - part) / (part - overlap)) + 1


@pytest.mark.parametrize(
    ("size_px", "crop", "overlap", "words"),
    [
        ((7, 8), (2, 2), 0, "whole patches of 2 px, got 7x8"),
        ((8, 7), (2, 2), 0, "whole patches of 2 px, got 8x7"),
        ((8, 8), (5, 2), 0, r"crops of \(5, 2\) patches do not fit"),
        ((8, 8), (2, 5), 0, r"crops of \(2, 5\) patches do not fit"),
        ((8, 8), (2, 3), 2, "cannot overlap by 2: wanted 0 to 1"),
        ((8, 8), (2, 3), -1, "cannot overlap by -1"),
        ((8, 8), (0, 3), 0, "cannot overlap by 0"),
    ],
)
def test_refuses_impossible_crops(size_px: tuple[int, int], crop: tuple[int, int], overlap: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        overlapping_crops(torch.zeros(1, 3, *size_px), patch_embedding, patch_px=PATCH, crop=crop, overlap=overlap)


@settings(max_examples=200, deadline=None)
@given(height=st.integers(1, 3000), width=st.integers(1, 3000), most=st.integers(1, 1500))
def test_native_aspect_keeps_the_shape_within_half_a_patch(height: int, width: int, most: int) -> None:
    rows, cols = (side / 14 for side in native_aspect_size((height, width), patch_px=14, max_patches=most))
    assert rows.is_integer()
    assert cols.is_integer()
    assert 1 <= rows * cols <= most
    long, short = max(rows, cols), min(rows, cols)
    exact = long * min(height, width) / max(height, width)
    assert abs(short - exact) <= 0.5 or short == 1
    assert (rows >= cols) if height > width else (cols >= rows)
    one_more = (long + 1) * max(1, round((long + 1) * min(height, width) / max(height, width)))
    assert one_more > most


@pytest.mark.parametrize(
    ("size_px", "most", "wanted"),
    [
        ((1080, 1920), 448, (224, 392)),
        ((1920, 1080), 448, (392, 224)),
        ((900, 900), 100, (140, 140)),
        ((10, 1000), 8, (14, 112)),
    ],
)
def test_native_aspect_sizes(size_px: tuple[int, int], most: int, wanted: tuple[int, int]) -> None:
    assert native_aspect_size(size_px, patch_px=14, max_patches=most) == wanted


@pytest.mark.parametrize("size_px", [(0, 5), (5, 0)])
def test_refuses_sizes_that_are_none(size_px: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="positive sizes"):
        native_aspect_size(size_px, patch_px=14, max_patches=10)
    for patch, most in ((0, 10), (14, 0)):
        with pytest.raises(UsageError, match="positive sizes"):
            native_aspect_size((5, 5), patch_px=patch, max_patches=most)


def test_a_picture_of_the_right_size_is_not_resampled() -> None:
    images = _images(3, 5)
    wanted = patch_embedding(images)
    assert torch.equal(one_resize(images, patch_embedding, size_px=(6, 10)), wanted)
    assert torch.equal(native_aspect(images, patch_embedding, patch_px=PATCH, max_patches=15), wanted)
    assert torch.equal(several_scales(images, patch_embedding, sizes_px=[(6, 10)], grid=(3, 5)), wanted)


def test_what_the_network_is_given() -> None:
    images = _images(9, 16)
    assert one_resize(images, patch_embedding, size_px=(8, 8)).shape == (2, 4, 4, 5)
    assert native_aspect(images, patch_embedding, patch_px=PATCH, max_patches=45).shape == (2, 5, 9, 5)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3), grid=st.tuples(SIDES, SIDES))
def test_an_even_picture_has_the_same_tokens_at_every_scale(
    sizes: list[tuple[int, int]], grid: tuple[int, int]
) -> None:
    images = torch.tensor([0.5, -1.0, 2.0]).reshape(1, 3, 1, 1).expand(1, 3, 12, 20)
    sizes_px = [(rows * PATCH, cols * PATCH) for rows, cols in sizes]
    came = several_scales(images, patch_embedding, sizes_px=sizes_px, grid=grid)
    wanted = patch_embedding(images)[:, :1, :1].expand(1, *grid, 5)
    torch.testing.assert_close(came, wanted, rtol=1e-4, atol=1e-4)


def test_scales_count_alike() -> None:
    def scale(images: Tensor) -> Tensor:
        return torch.full((len(images), images.shape[-2] // PATCH, images.shape[-1] // PATCH, 1), images.shape[-1])

    came = several_scales(_images(4, 4), lambda x: scale(x).float(), sizes_px=[(4, 4), (8, 16), (4, 10)], grid=(4, 4))
    torch.testing.assert_close(came, torch.full((2, 4, 4, 1), 10.0))


def test_refuses_no_scale() -> None:
    with pytest.raises(UsageError, match="at least one scale"):
        several_scales(_images(2, 2), patch_embedding, sizes_px=[], grid=(2, 2))
