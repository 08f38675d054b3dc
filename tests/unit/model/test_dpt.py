"""The DPT decoder on tokens of any width: shapes, units, what it depends on, and every refusal."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from airside.errors import UsageError
from airside.model.dpt import DptDecoder


def decoder(width: int = 192, max_depth_m: float | None = None, patch_px: int = 14) -> DptDecoder:
    torch.manual_seed(0)
    return DptDecoder(width, 16, (8, 12, 16, 24), max_depth_m, patch_px).eval()


def tokens(width: int = 192, hp: int = 4, wp: int = 7, batch: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, hp, wp, width, generator=generator) for _ in range(4)]


@pytest.mark.parametrize(
    ("width", "hp", "wp", "patch_px"), [(192, 4, 7, 14), (48, 1, 1, 14), (384, 5, 3, 16), (1, 2, 1, 8)]
)
def test_a_dense_map_of_any_width_and_grid(width: int, hp: int, wp: int, patch_px: int) -> None:
    with torch.inference_mode():
        depth = decoder(width, 80.0, patch_px)(tokens(width, hp, wp))
    assert depth.shape == (2, hp * patch_px, wp * patch_px)
    assert depth.dtype == torch.float32
    assert depth.isfinite().all()


def test_relative_is_not_negative_and_metric_is_bounded() -> None:
    big = [t * 100 for t in tokens()]
    with torch.inference_mode():
        relative, metric = decoder()(big), decoder(max_depth_m=20.0)(big)
    assert relative.min() == 0
    assert relative.max() > 1
    assert 0 <= metric.min() < 10 < metric.max() <= 20
    # the same weights under another last function
    shown = relative > 0
    torch.testing.assert_close(20 * torch.sigmoid(relative[shown]), metric[shown])


def test_frames_do_not_mix_and_every_level_counts() -> None:
    network = decoder(max_depth_m=80.0)
    with torch.inference_mode():
        both = network(tokens())
        torch.testing.assert_close(network([t[1:] for t in tokens()])[0], both[1], rtol=1e-5, atol=1e-5)
        for level in range(4):
            other = tokens()
            other[level] = other[level] + 1
            assert (network(other) - both).abs().max() > 1e-4, level


def test_every_parameter_is_trained() -> None:
    network = decoder(max_depth_m=80.0)
    F.l1_loss(network(tokens()), torch.full((2, 56, 98), 10.0)).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert without == []


def test_it_learns_a_depth_from_shared_tokens() -> None:
    network = decoder(max_depth_m=45.0)
    generator = torch.Generator().manual_seed(2)
    shared = tokens(batch=1)
    truth = F.interpolate(5 + 30 * torch.rand(1, 1, 4, 7, generator=generator), (56, 98), mode="bilinear")[:, 0]
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    errors = []
    for _ in range(40):
        loss = ((network(shared) - truth).abs() / truth).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(loss.item())
    assert errors[-1] < errors[0] / 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out_channels": (8, 12, 16)}, r"wanted 4 out_channels.*\[8, 12, 16\]"),
        ({"out_channels": (8, 12, 16, 0)}, "positive sizes"),
        ({"width": 0}, "width 0"),
        ({"features": 15}, "even number of features"),
        ({"features": 0}, "features 0"),
        ({"patch_px": 0}, "patch_px 0"),
        ({"max_depth_m": 0.0}, "max_depth_m must be"),
        ({"max_depth_m": -1.0}, "max_depth_m must be"),
        ({"max_depth_m": math.nan}, "max_depth_m must be"),
        ({"max_depth_m": math.inf}, "max_depth_m must be"),
    ],
)
def test_refuses_sizes(changes: dict[str, Any], message: str) -> None:
    sizes: dict[str, Any] = {"width": 8, "features": 16, "out_channels": (8, 12, 16, 24), "max_depth_m": None}
    with pytest.raises(UsageError, match=message):
        DptDecoder(**(sizes | changes))


@pytest.mark.parametrize(
    "given",
    [
        tokens()[:3],
        [*tokens(), tokens()[0]],
        [],
        tokens(191),
        [t.flatten(1, 2) for t in tokens()],
        [*tokens()[:3], tokens(hp=5)[3]],
    ],
)
def test_refuses_tokens(given: list[Tensor]) -> None:
    with pytest.raises(UsageError, match=r"wanted 4 token maps \[B, Hp, Wp, 192\] of one shape, got"):
        decoder()(given)
