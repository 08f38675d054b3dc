"""Mixing weights: the ends are the ends, and a path that one end lacks is worth nothing there."""

from __future__ import annotations

import pytest
import torch

from training.network import MiniConfig, build_mini, normalise, patch_tokens
from training.soup import mixed

SMALL = MiniConfig(height_px=28, width_px=42, width=32, depth=1, heads=2)


def test_the_ends_of_a_mix() -> None:
    torch.manual_seed(0)
    last, old = build_mini(SMALL), build_mini(SMALL)
    with torch.no_grad():
        last.patch_embed.detail[-1].weight.normal_()
    first = {k: v for k, v in old.state_dict().items() if "detail" not in k}
    assert all((v == last.state_dict()[k]).all() for k, v in mixed(last.state_dict(), first, 1.0).items())
    other = build_mini(SMALL)
    other.load_state_dict(mixed(last.state_dict(), first, 0.0))
    images = normalise(torch.randint(0, 256, (1, 28, 42, 3), dtype=torch.uint8))
    with torch.no_grad():
        torch.testing.assert_close(patch_tokens(other, images), patch_tokens(old, images))
        assert (patch_tokens(other, images) - patch_tokens(last, images)).abs().max() > 1e-3
    half = mixed(last.state_dict(), first, 0.5)["norm.weight"]
    torch.testing.assert_close(half, (last.norm.weight.detach() + old.norm.weight.detach()) / 2)


def test_another_networks_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="stranger"):
        mixed({"a": torch.ones(1)}, {"a": torch.ones(1), "stranger": torch.ones(1)}, 0.5)
