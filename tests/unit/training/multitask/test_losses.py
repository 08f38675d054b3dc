"""Each loss against a loop over its definition; parts add up to the whole; what is not known does not count."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score, log_loss
from torch import Tensor

from airside.errors import MismatchError
from airside.geometry.splat_table import DepthBins
from training.multitask import losses
from training.multitask.losses import DivergedError, Sum, require_finite

UNKNOWN = (math.inf, math.nan, 0.0, -1.0, 61.0)
BINS = DepthBins((2.0, 3.0, 5.0, 9.0))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _depths(rng: np.random.Generator, *shape: int) -> tuple[Tensor, Tensor]:
    """Depths, and truth of which a third is unknown in some way."""
    said, truth = rng.uniform(1, 60, (2, *shape))
    truth = np.where(rng.random(shape) < 0.3, rng.choice(UNKNOWN, shape), truth)
    return torch.tensor(said, dtype=torch.float32), torch.tensor(truth, dtype=torch.float32)


def _mean(part: Sum) -> float:
    return (part.total / part.count).item()


def test_depth_is_equation_4_of_eigen(rng: np.random.Generator) -> None:
    said, truth = _depths(rng, 3, 4, 5)
    wanted, relative = [], []
    for picture, true in zip(said.tolist(), truth.tolist(), strict=True):
        pairs = [
            (p, t) for ps, ts in zip(picture, true, strict=True) for p, t in zip(ps, ts, strict=True) if 0 < t <= 60
        ]
        d, n = [math.log(p) - math.log(t) for p, t in pairs], len(pairs)
        wanted.append(sum(x * x for x in d) / n - 0.5 / n**2 * sum(d) ** 2)
        relative += [abs(p - t) / t for p, t in pairs]
    assert _mean(losses.scale_invariant_depth(said, truth, 60.0)) == pytest.approx(np.mean(wanted), rel=1e-5)
    assert _mean(losses.absolute_relative_error(said, truth, 60.0)) == pytest.approx(np.mean(relative), rel=1e-5)


def test_doubled_depth_costs_half_of_its_log_squared() -> None:
    truth = torch.full((2, 3, 3), 7.0)
    assert _mean(losses.scale_invariant_depth(2 * truth, truth, 60.0)) == pytest.approx(0.5 * math.log(2) ** 2)
    assert _mean(losses.scale_invariant_depth(truth, truth, 60.0)) == 0


def test_a_picture_without_known_depth_neither_counts_nor_spoils_gradients() -> None:
    said = torch.full((2, 2, 2), 5.0, requires_grad=True)
    truth = torch.stack([torch.full((2, 2), math.inf), torch.full((2, 2), 4.0)])
    total, count = losses.scale_invariant_depth(said, truth, 60.0)
    assert count == 1
    total.backward()
    assert said.grad is not None
    assert (said.grad[0] == 0).all()
    assert (said.grad[1] > 0).all()


def test_bev_is_weighted_log_loss_over_what_is_seen(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(2, 3, 6, 5))
    truth, seen = rng.random((2, 3, 6, 5)) < 0.3, rng.random((2, 6, 5)) < 0.6
    positive = (4.0, 1.0, 2.0)
    every_layer = np.broadcast_to(seen[:, None], truth.shape)
    weight = np.where(truth, np.array(positive)[:, None, None], 1.0)[every_layer]
    wanted = log_loss(truth[every_layer], 1 / (1 + np.exp(-logits[every_layer])), sample_weight=weight)
    as_tensors = torch.tensor(logits), torch.tensor(truth, dtype=torch.float32), torch.tensor(seen)
    got = losses.bev_cross_entropy(*as_tensors, positive)
    assert got.total.item() == pytest.approx(wanted * weight.sum(), rel=1e-5)
    assert got.count == every_layer.sum()
    for layer, iou in enumerate(losses.intersection_over_union(*as_tensors)):
        assert _mean(iou) == pytest.approx(jaccard_score(truth[:, layer][seen], logits[:, layer][seen] > 0), rel=1e-6)


def test_another_number_of_layers_is_refused() -> None:
    with pytest.raises(MismatchError, match="weighs 2 layers, the data has 3"):
        losses.bev_cross_entropy(
            torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), torch.ones(1, 2, 2).bool(), (1.0, 2.0)
        )


def test_bins_follow_the_nearest_pixel_of_each_patch(rng: np.random.Generator) -> None:
    _, depth_m = _depths(rng, 2, 2, 4, 6)
    depth_m[0, 0, :2, :2] = torch.tensor([[3.0, 40.0], [math.inf, 8.0]])  # on an edge: the bin that begins there
    depth_m[0, 0, :2, 2:4] = 9.0  # the last edge: outside
    probability = torch.tensor(rng.random((2, 2, 3, 2, 3)), dtype=torch.float32).softmax(dim=2)
    terms = []
    for b, n, row, column in np.ndindex(2, 2, 2, 3):
        patch = depth_m[b, n, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten().tolist()
        nearest = min((d for d in patch if 0 < d < math.inf), default=math.inf)
        for k, (near, far) in enumerate(((2, 3), (3, 5), (5, 9))):
            if near <= nearest < far:
                terms.append(-math.log(probability[b, n, k, row, column].item()))
    got = losses.depth_bin_cross_entropy(probability, depth_m, BINS)
    assert got.total.item() == pytest.approx(sum(terms), rel=1e-5)
    assert got.count == len(terms) > 2
    with pytest.raises(MismatchError, match="does not divide into 2 x 3 patches"):
        losses.depth_bin_cross_entropy(probability, depth_m[..., :5], BINS)


def test_a_bin_given_up_still_has_a_gradient() -> None:
    logits = torch.tensor([0.0, 80.0, 0.0], requires_grad=True)
    probability = logits.softmax(dim=0).reshape(1, 1, 3, 1, 1)
    losses.depth_bin_cross_entropy(probability, torch.full((1, 1, 1, 1), 2.5), BINS).total.backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.tensor([-1.0, 1.0, 0.0]))


def test_a_student_equal_to_its_teacher_loses_nothing(rng: np.random.Generator) -> None:
    teacher = torch.nn.functional.normalize(torch.tensor(rng.normal(size=(7, 16)), dtype=torch.float32), dim=-1)
    for loss in (losses.cosine_distance, losses.smooth_l1_distance):
        assert _mean(loss(4 * teacher, teacher)) == pytest.approx(0, abs=1e-6)
    other = torch.tensor(rng.normal(size=(7, 16)), dtype=torch.float32)
    cosine = np.sum(other.numpy() * teacher.numpy(), axis=1) / np.linalg.norm(other.numpy(), axis=1)
    assert _mean(losses.cosine_distance(other, teacher)) == pytest.approx(1 - cosine.mean(), rel=1e-5)
    off = np.abs(other.numpy() - 4 * teacher.numpy())
    wanted = np.where(off < 1, off**2 / 2, off - 0.5).mean()
    assert _mean(losses.smooth_l1_distance(other, teacher)) == pytest.approx(wanted, rel=1e-5)


def test_parts_of_a_batch_add_up_to_the_whole(rng: np.random.Generator) -> None:
    said, truth = _depths(rng, 4, 2, 4, 6)
    probability = torch.tensor(rng.random((4, 2, 3, 2, 3)), dtype=torch.float32)
    logits, covered = torch.tensor(rng.normal(size=(2, 4, 3, 5, 5)), dtype=torch.float32)
    seen = torch.tensor(rng.random((4, 5, 5)) < 0.5)

    def sums(part: slice) -> list[Sum]:
        return [
            losses.scale_invariant_depth(said[part].flatten(0, 1), truth[part].flatten(0, 1), 60.0),
            losses.absolute_relative_error(said[part].flatten(0, 1), truth[part].flatten(0, 1), 60.0),
            losses.bev_cross_entropy(logits[part], (covered[part] > 0).float(), seen[part], (1.0, 2.0, 3.0)),
            losses.depth_bin_cross_entropy(probability[part], truth[part], BINS),
            losses.cosine_distance(logits[part].flatten(0, 2), covered[part].flatten(0, 2)),
            *losses.intersection_over_union(logits[part], covered[part], seen[part]),
        ]

    for whole, first, rest in zip(sums(slice(0, 4)), sums(slice(0, 1)), sums(slice(1, 4)), strict=True):
        for together, a, b in zip(whole, first, rest, strict=True):
            torch.testing.assert_close(together, a + b)


def test_what_is_no_number_is_named() -> None:
    require_finite({"depth": 1.0, "bev": 0.0}, 3)
    with pytest.raises(DivergedError, match="step 3: depth is nan, bev is inf; lower the learning rate"):
        require_finite({"asset": 1.0, "depth": math.nan, "bev": math.inf}, 3)
