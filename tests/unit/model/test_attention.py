"""The fused projection in three parts computes the same, and comes back bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from airside.errors import UsageError
from airside.model.attention import SplitQkv, fuse_qkv, split_qkv
from airside.model.backbone import Backbone, random_backbone
from airside.model.features import FeatureSpec
from tests import weight_files

NAMES = ["vit_base_patch14_reg4_dinov2", "vit_small_patch16_dinov3", "vit_small_patch16_dinov3_qkvb"]
SIZE_PX = (112, 224)


def _backbone(name: str) -> Backbone:
    made = random_backbone(name, image_size=SIZE_PX, **weight_files.architecture())
    weight_files.randomise(made)
    return made


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trainable", [False, True])
@torch.no_grad()
def test_split_computes_the_same_and_fuses_back(name: str, trainable: bool) -> None:
    backbone = _backbone(name).requires_grad_(trainable)
    images = torch.randn(1, 3, *SIZE_PX, generator=torch.Generator().manual_seed(0))
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    wanted = [backbone(images), backbone.features(images, FeatureSpec.parse("keys"))]

    split_qkv(backbone.network)
    split_qkv(backbone.network)
    attention: Any = backbone.network.blocks[1].attn
    assert isinstance(attention.qkv, SplitQkv)
    assert [type(part) for part in attention.qkv.children()] == [nn.Linear] * 3
    came = [backbone(images), backbone.features(images, FeatureSpec.parse("keys"))]
    for ours, theirs in zip(came, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert {p.requires_grad for p in backbone.parameters()} == {trainable}
    attention.qkv.q.weight += 0.1
    assert not torch.allclose(backbone(images), wanted[0], atol=1e-3)
    attention.qkv.q.weight.copy_(before["network.blocks.1.attn.qkv.weight"][: backbone.width])

    fuse_qkv(backbone.network)
    fuse_qkv(backbone.network)
    after = backbone.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert {p.requires_grad for p in backbone.parameters()} == {trainable}
    assert torch.equal(backbone(images), wanted[0])


def test_refuses_to_fuse_what_is_no_plain_linear() -> None:
    backbone = _backbone(NAMES[0])
    split_qkv(backbone.network)
    attention: Any = backbone.network.blocks[0].attn
    attention.qkv.q = nn.Sequential(attention.qkv.q)
    with pytest.raises(UsageError, match="merge it"):
        fuse_qkv(backbone.network)
