"""Crops show what the picture shows, their labels and depth included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.crops import LONGEST, cropped, majority

PICTURES, HEIGHT, WIDTH = 12, 28, 42


def pictures() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Red tells the column, green the row; the label of every second pixel is its column's number, depth 20 m."""
    column, row = (torch.arange(n, dtype=torch.uint8) for n in (WIDTH, HEIGHT))
    red, green = column.expand(HEIGHT, -1) * 5, row[:, None].expand(-1, WIDTH) * 5
    rgb = torch.stack([red, green, torch.zeros_like(red)], dim=-1).expand(PICTURES, -1, -1, -1)
    label = torch.arange(WIDTH // 2, dtype=torch.uint8).expand(PICTURES, HEIGHT // 2, -1)
    return rgb.contiguous(), label, torch.full((PICTURES, HEIGHT // 2, WIDTH // 2), 20.0, dtype=torch.float16)


@pytest.mark.parametrize("seed", range(3))
def test_pixels_labels_and_depth_stay_together(seed: int) -> None:
    rgb, label, depth_m = cropped(*pictures(), torch.Generator().manual_seed(seed))
    assert rgb.shape == (PICTURES, HEIGHT, WIDTH, 3)
    across = rgb[:, ::2, ::2, 0].float() / 5  # the column that every labelled pixel shows
    assert ((label * 2 - across).abs() <= 1.3).all()
    zoom = 20 / depth_m[:, 0, 0].float()
    assert ((zoom > 0.99) & (zoom < LONGEST * 1.01)).all()
    assert (zoom > 1.05).any()
    for picture, enlarged in zip(rgb.float(), zoom, strict=True):
        seen = [(picture[..., c].max() - picture[..., c].min()) / 5 for c in range(2)]
        assert seen[0] == pytest.approx((WIDTH - 1) / enlarged, abs=1)
        assert seen[1] == pytest.approx((HEIGHT - 1) / enlarged, abs=1)
    mirrored = rgb[:, 0, 0, 0] > rgb[:, 0, -1, 0]
    assert mirrored.any()
    assert not mirrored.all()


def test_a_whole_picture_is_the_picture_itself() -> None:
    rgb, label, _ = pictures()
    got = cropped(*pictures(), torch.Generator().manual_seed(4))
    whole = (got[2] == 20).flatten(1).all(dim=1) & (got[0][:, 0, 0, 0] == 0)
    assert whole.any()
    assert torch.equal(got[0][whole], rgb[whole])
    assert torch.equal(got[1][whole], label[whole])


def test_the_majority_is_a_slow_count_s() -> None:
    label = torch.randint(0, 4, (3, 14, 21), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    most, share = majority(label, 7)
    for p, r, c in np.ndindex(3, 2, 3):
        counts = np.bincount(label[p, 7 * r : 7 * r + 7, 7 * c : 7 * c + 7].flatten().numpy(), minlength=4)
        assert counts[most[p, r, c]] == counts.max()
        assert share[p, r, c] == pytest.approx(counts.max() / 49)
