"""Losses: equal to torch's own on hand examples, and pulling in the right direction."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.losses import MARGIN, NONE_COSINE, TEMPERATURE, asset_loss, family_loss

COSINE = torch.tensor([[0.9, 0.1, -0.2], [0.3, 0.4, 0.5], [0.0, 0.8, 0.1]])


def _family(cosine: list[float], family: int) -> tuple[float, Tensor]:
    """Loss and gradient of one patch."""
    values = torch.tensor([cosine], requires_grad=True)
    loss = family_loss(values, torch.tensor([family]), torch.ones(1))
    (gradient,) = torch.autograd.grad(loss, values)
    return loss.item(), gradient[0]


def test_asset_loss_is_torch_cross_entropy() -> None:
    asset, weight = torch.tensor([0, 2, 1]), torch.tensor([1.0, 0.5, 0.25])
    each = functional.cross_entropy(COSINE / TEMPERATURE, asset, reduction="none")
    expected = (each[0] + 0.5 * each[1] + 0.25 * each[2]) / 1.75
    torch.testing.assert_close(asset_loss(COSINE, asset, weight), expected)
    plain = functional.cross_entropy(COSINE / TEMPERATURE, asset)
    torch.testing.assert_close(asset_loss(COSINE, asset, torch.full((3,), 0.3)), plain)


def test_asset_loss_by_hand() -> None:
    loss = asset_loss(torch.tensor([[0.07, 0.0]]), torch.tensor([0]), torch.ones(1))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-5)


def test_asset_loss_ignores_patches_without_weight() -> None:
    weight = torch.tensor([1.0, 0.0, 1.0])
    changed = COSINE.clone()
    changed[1] = -COSINE[1]
    asset = torch.tensor([0, 2, 1])
    torch.testing.assert_close(asset_loss(changed, asset, weight), asset_loss(COSINE, asset, weight))


def test_family_loss_of_a_known_patch_by_hand() -> None:
    """Its own cosine is lowered by the margin; *none* answers with its constant."""
    logits = torch.tensor([[0.9 - MARGIN, 0.2, NONE_COSINE]]) / TEMPERATURE
    wanted = functional.cross_entropy(logits, torch.tensor([0])).item()
    assert _family([0.9, 0.2], 0)[0] == pytest.approx(wanted, rel=1e-5)


def test_family_loss_of_an_outlier_by_hand() -> None:
    """Every family's cosine is raised by the margin, so that it must fall that far below *none*."""
    logits = torch.tensor([[0.3 + MARGIN, 0.2 + MARGIN, NONE_COSINE]]) / TEMPERATURE
    wanted = functional.cross_entropy(logits, torch.tensor([2])).item()
    assert _family([0.3, 0.2], 2)[0] == pytest.approx(wanted, rel=1e-5)


def test_descent_raises_the_right_family_and_lowers_the_others() -> None:
    _, gradient = _family([0.5, 0.5, 0.4], 1)
    assert gradient[1] < 0
    assert gradient[0] > 0
    assert gradient[2] > 0


def test_descent_lowers_every_family_of_an_outlier() -> None:
    _, gradient = _family([0.6, 0.5, 0.4], 3)
    assert (gradient > 0).all()
    assert gradient[0] > gradient[1] > gradient[2]


def test_descent_ends_with_known_above_and_outliers_below_the_border() -> None:
    cosine = torch.zeros(2, 3, requires_grad=True)
    descent = torch.optim.SGD([cosine], lr=0.05)
    for _ in range(150):
        descent.zero_grad()
        family_loss(cosine, torch.tensor([1, 3]), torch.ones(2)).backward()
        descent.step()
    assert cosine[0, 1] > NONE_COSINE + MARGIN
    assert cosine[0, [0, 2]].max() < NONE_COSINE
    assert cosine[1].max() < NONE_COSINE - MARGIN


@pytest.mark.parametrize("loss", [asset_loss, family_loss])
def test_zero_weights_give_zero(loss: object) -> None:
    cosine = COSINE.clone().requires_grad_()
    value = loss(cosine, torch.tensor([0, 2, 1]), torch.zeros(3))  # type: ignore[operator]
    value.backward()
    assert value.item() == 0.0
    assert cosine.grad is not None
    assert not cosine.grad.any()
