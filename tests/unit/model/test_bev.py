"""The bird's-eye heads: what comes out, where it comes from, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from airside.errors import InputError, MismatchError, UsageError
from airside.geometry import lift_map
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import DepthBins, NetworkRig, build_splat_table
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam
from airside.model.bev import MISMEASURED, BevDecoder, LiftSplat, RigInputs, SimpleBev, depth_probability_from_metric
from airside.model.splat import Splat

CAMERA = PinholeCamera(fx=28.0, fy=28.0, cx=34.5, cy=20.5, width=70, height=42)
GRID = BevGrid(20, 24, 1.0)
BINS = DepthBins((2.0, 3.0, 5.0, 9.0))
WIDTH = 12


def rig_of(*yaws_deg: float) -> NetworkRig:
    poses = [ego_from_mounted_cam((0.0, 0.0, 2.0), yaw_deg=yaw, pitch_deg=10, roll_deg=0) for yaw in yaws_deg]
    return NetworkRig([CAMERA] * len(poses), poses, 14)


RIG = rig_of(0, 90)
FAR = NetworkRig([CAMERA], [RigidTransform(RIG.ego_from_cam[0].rotation, np.array([1000.0, 0, 2]))], 14)


def lift_splat(rig: NetworkRig = RIG, **options: object) -> LiftSplat:
    torch.manual_seed(0)
    return LiftSplat(WIDTH, rig, **{"grid": GRID, "bins": BINS, "channels": 8} | options)  # type: ignore[arg-type]


def simple_bev(rig: NetworkRig = RIG, **options: object) -> SimpleBev:
    torch.manual_seed(0)
    return SimpleBev(WIDTH, rig, **{"grid": GRID, "heights_m": (0.0, 1.0), "channels": 8} | options)  # type: ignore[arg-type]


def tokens_of(rig: NetworkRig = RIG, batch: int = 2) -> Tensor:
    return torch.randn(batch, rig.cameras, *rig.patch_grid, WIDTH, generator=torch.Generator().manual_seed(1))


def test_the_default_head_is_the_design() -> None:
    head = LiftSplat(WIDTH, RIG)
    assert head.layers == ("vehicles", "drivable", "markings")
    assert head.bins.count == 41
    with torch.no_grad():
        layers, probability = head(tokens_of(batch=1))
    assert layers.shape == (1, 3, 200, 200)
    assert probability.shape == (1, 2, 41, 3, 5)
    assert head.adapter.out_features == 64


def test_depth_is_a_distribution_and_layers_are_finite() -> None:
    layers, probability = lift_splat()(tokens_of())
    assert layers.shape == (2, 3, *GRID.shape)
    assert torch.isfinite(layers).all()
    torch.testing.assert_close(probability.sum(dim=2), torch.ones(2, 2, 3, 5))
    assert (probability >= 0).all()


def test_the_heads_are_named() -> None:
    head = lift_splat(layers=("free",))
    assert head(tokens_of()).layers.shape == (2, 1, *GRID.shape)
    assert simple_bev(layers=("a", "b"))(tokens_of()).layers.shape == (2, 2, *GRID.shape)
    assert simple_bev()(tokens_of()).depth_probability is None


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
def test_every_weight_learns(make: type) -> None:
    head = make()
    head(tokens_of()).layers.square().sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
def test_learns_where_a_thing_is(make: type) -> None:
    head, tokens = make(layers=("vehicles",)), tokens_of(batch=4)
    truth = torch.zeros(4, 1, *GRID.shape)
    for sample, (x, y) in enumerate([(14, 12), (17, 12), (10, 18), (16, 14)]):
        truth[sample, 0, x - 1 : x + 2, y - 1 : y + 2] = 1
    rarity = (1 - truth.mean()) / truth.mean()  # so that naming every cell alike costs ln 2 a cell, whatever the name
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        loss = binary_cross_entropy_with_logits(head(tokens).layers, truth, pos_weight=rarity) / 2
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * math.log(2)


def test_a_patch_with_known_depth_lands_in_one_cell() -> None:
    """The middle patch of the left camera at 4 m: along its axis, 10 degrees down."""
    head = lift_splat()
    depth = torch.full((1, 2, 3, 5), torch.nan)
    depth[0, 1, 1, 2] = 4.0
    cells = head.splat(torch.ones(1, 2, 3, 5, 8), head(tokens_of(batch=1), depth).depth_probability)
    filled = torch.nonzero(cells[0, 0])
    wanted = GRID.index_from_xy(np.array([0.0, 4.0 * np.cos(np.radians(10))]) + 1e-9)
    np.testing.assert_array_equal(filled, [wanted])
    torch.testing.assert_close(cells.sum(dim=(2, 3)), torch.ones(1, 8))


def test_metric_depth_replaces_the_prediction() -> None:
    head, tokens = lift_splat(), tokens_of()
    depth = torch.rand(2, 2, 42, 70) * 10
    given = head(tokens, depth)
    assert not torch.allclose(given.layers, head(tokens).layers, atol=1e-3)
    with torch.no_grad():
        head.depth[-1].weight.mul_(-3)
    torch.testing.assert_close(head(tokens, depth).layers, given.layers)
    assert not torch.allclose(head(tokens, depth.flip(0)).layers, given.layers, atol=1e-3)


@pytest.mark.parametrize("missing", [float("nan"), float("inf"), -float("inf"), 0.0, -3.0, 1.0, 50.0])
def test_depth_that_is_missing_lifts_nothing(missing: float) -> None:
    head = lift_splat()
    empty = torch.full((2, 2, 3, 5), missing)
    layers, probability = head(tokens_of(), empty)
    assert (probability == 0).all()
    torch.testing.assert_close(layers, head(torch.zeros_like(tokens_of()), empty).layers)


def test_metric_depth_is_split_as_the_numpy_reference_does() -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 11, (2, 2, 42, 70))
    depth[rng.random(depth.shape) < 0.3] = np.nan
    depth[rng.random(depth.shape) < 0.1] = [0.0]
    depth[0, 0, :14, :14] = np.nan
    depth[0, 0, 14:28, :14] = np.inf
    depth[0, 1, 0, :6] = [2.0, 2.5, 4.0, 7.0, 9.0, 9.001]
    got = depth_probability_from_metric(torch.tensor(depth), (3, 5), BINS)
    wanted = np.stack([lift_map.depth_probability_from_metric(sample, (3, 5), BINS) for sample in depth])
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    single = depth_probability_from_metric(torch.tensor(depth), (3, 5), DepthBins((2.0, 9.0)))
    wanted = np.stack([lift_map.depth_probability_from_metric(s, (3, 5), DepthBins((2.0, 9.0))) for s in depth])
    np.testing.assert_allclose(single, wanted, atol=1e-6)


def test_metric_depth_keeps_its_gradient() -> None:
    depth = torch.full((1, 1, 3, 5), 3.6, requires_grad=True)
    expected = (depth_probability_from_metric(depth, (3, 5), BINS) * torch.tensor(BINS.centres_m)[:, None, None]).sum(2)
    expected.sum().backward()
    assert depth.grad is not None
    torch.testing.assert_close(depth.grad, torch.ones_like(depth))  # the expected depth is the depth


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
def test_another_rig_takes_the_same_weights(make: type) -> None:
    head, other_rig = make(), rig_of(0, 45, 180)
    before = head(tokens_of()).layers
    other = head.with_rig(other_rig)
    fresh = make(other_rig)
    fresh.load_state_dict(head.state_dict())
    tokens = tokens_of(other_rig)
    torch.testing.assert_close(other(tokens).layers, fresh(tokens).layers)
    assert all(mine is theirs for mine, theirs in zip(head.parameters(), other.parameters(), strict=True))
    torch.testing.assert_close(head(tokens_of()).layers, before)
    same_place = head.with_rig(rig_of(0, 85))
    assert not torch.allclose(same_place(tokens_of()).layers, before, atol=1e-4)


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
def test_tables_are_no_weights(make: type) -> None:
    head = make()
    names = {name for name, _ in head.named_parameters()}
    assert set(head.state_dict()) == names
    head.use_rig(rig_of(0, 45, 180))
    assert head(tokens_of(rig_of(0, 45, 180))).layers.shape == (2, 3, *GRID.shape)


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
@pytest.mark.parametrize("path", ["reference", "bucketed"])
def test_another_path_gives_the_same(make: type, path: str) -> None:
    head = make()
    other = head.with_path(path)
    assert (head.path, other.path) == ("embedding_bag", path)
    torch.testing.assert_close(other(tokens_of()).layers, head(tokens_of()).layers, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
@pytest.mark.parametrize("path", ["embedding_bag", "reference", "bucketed"])
def test_runs_in_mixed_precision(make: type, path: str) -> None:
    head = make(path=path)
    with torch.autocast("cpu", torch.bfloat16):
        layers = head(tokens_of()).layers
    layers.float().square().sum().backward()
    assert torch.isfinite(head.adapter.weight.grad).all()
    assert (layers.float() - head(tokens_of()).layers).abs().max() < 0.1


def test_another_network_size_of_the_same_rig() -> None:
    head = lift_splat()
    double = NetworkRig([camera.scaled_to(140, 84) for camera in RIG.intrinsics], RIG.ego_from_cam, 14)
    assert head.with_rig(double)(tokens_of(double)).depth_probability.shape == (2, 2, 3, 6, 10)


@pytest.mark.parametrize("shape", [(9, 13), (10, 24), (16, 16), (25, 40)])
def test_the_decoder_keeps_any_grid(shape: tuple[int, int]) -> None:
    assert BevDecoder(8, 2)(torch.randn(1, 8, *shape)).shape == (1, 2, *shape)


def test_samples_of_a_batch_do_not_mix() -> None:
    head, tokens = lift_splat(), tokens_of(batch=3)
    together = head(tokens).layers
    for sample in range(3):
        torch.testing.assert_close(head(tokens[sample : sample + 1]).layers[0], together[sample], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 3, 5, WIDTH), "rig has 2 cameras, the tokens come from 3"),
        ((1, 2, 3, 6, WIDTH), r"patch grid of \[3, 5\], the tokens have \[3, 6\]"),
        ((1, 2, 3, 5, WIDTH + 1), r"wanted \[B, N, Hp, Wp, 12\], got \[1, 2, 3, 5, 13\]"),
        ((2, 3, 5, WIDTH), r"wanted \[B, N, Hp, Wp, 12\], got \[2, 3, 5, 12\]"),
    ],
)
def test_refuses_tokens_of_another_rig(make: type, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        make()(torch.zeros(shape))


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_refuses_broken_tokens(make: type, bad: float) -> None:
    tokens = tokens_of()
    tokens[1, 0, 2, 3, 4] = bad
    with pytest.raises(InputError, match="tokens hold NaN or infinite values"):
        make()(tokens)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 2, 42, 70), r"wanted \[2, 2\] pictures \[B, N\], got \[1, 2, 42, 70\]"),
        ((2, 2, 42), r"wanted \[2, 2\] pictures"),
        ((2, 2, 43, 70), "multiple of the patch grid 3 x 5, got 43 x 70"),
        ((2, 2, 42, 71), "multiple of the patch grid 3 x 5, got 42 x 71"),
    ],
)
def test_refuses_depth_of_another_shape(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        lift_splat()(tokens_of(), torch.ones(shape))


@pytest.mark.parametrize("make", [lift_splat, simple_bev])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ()}, "one or more different names"),
        ({"layers": ("a", "a")}, "one or more different names"),
        ({"path": "scatter"}, "wanted one of reference, embedding_bag, bucketed, got 'scatter'"),
        ({"channels": 3}, "at least 4, got 3"),
        ({"rig": FAR}, "sees the BEV grid"),
    ],
)
def test_refuses_an_impossible_head(make: type, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(**options)


def test_splat_refuses_shapes_of_another_table() -> None:
    splat = Splat(build_splat_table(RIG, GRID, BINS), "reference")
    with pytest.raises(
        MismatchError, match=r"features: this rig's table wants \[1, 2, 3, 5, 8\], got \[1, 2, 5, 3, 8\]"
    ):
        splat(torch.zeros(1, 2, 5, 3, 8), torch.zeros(1, 2, 3, 3, 5))
    with pytest.raises(MismatchError, match=r"depth_probability: .* wants \[1, 2, 3, 3, 5\], got \[1, 2, 4, 3, 5\]"):
        splat(torch.zeros(1, 2, 3, 5, 8), torch.zeros(1, 2, 4, 3, 5))


def test_a_head_whose_rig_is_an_input_says_the_same() -> None:
    head, tokens = lift_splat(), tokens_of(batch=1)
    other = rig_of(180, 90, 0)
    graph = RigInputs(head)
    for rig, seen in ((RIG, tokens), (other, tokens_of(other, batch=1))):
        table = build_splat_table(rig, GRID, BINS)
        columns = (torch.tensor(column) for column in (table.patch, table.depth_bin, table.cell))
        measured = torch.rand(1, *head.with_rig(rig)(seen).depth_probability.shape[1:])
        layers, probability = graph(seen[0], torch.tensor(rig.ray_features()), measured[0], *columns)
        wanted = head.with_rig(rig)(seen, measured=measured)
        torch.testing.assert_close(layers, wanted.layers[0].sigmoid())
        torch.testing.assert_close(probability, wanted.depth_probability[0])


def test_what_was_measured_of_a_patch_decides_where_the_head_allows_it() -> None:
    head, tokens = lift_splat(), tokens_of(batch=1)
    told = head(tokens).depth_probability
    measured = torch.zeros_like(told)
    measured[:, 0, 1] = 1.0  # all of the first camera in the second bin
    found = head(tokens, measured=measured).depth_probability
    torch.testing.assert_close(found[:, 1], told[:, 1])  # nothing was measured there
    prior, other = told[:, 0, 1], told[:, 0, 2]
    wanted = prior * (1 + MISMEASURED) / (prior * (1 + MISMEASURED) + (1 - prior) * MISMEASURED)  # Bayes
    torch.testing.assert_close(found[:, 0, 1], wanted)
    torch.testing.assert_close(found[:, 0, 2], other / (1 - prior) * (1 - wanted))


def test_depth_follows_the_lens_and_the_mounting() -> None:
    head, tokens = lift_splat(), tokens_of(batch=1)
    same = head(tokens).depth_probability
    lower = NetworkRig(
        RIG.intrinsics, [RigidTransform(p.rotation, np.array([0, 0, 1.0])) for p in RIG.ego_from_cam], 14
    )
    longer = NetworkRig(
        [PinholeCamera(fx=56.0, fy=56.0, cx=34.5, cy=20.5, width=70, height=42)] * 2, RIG.ego_from_cam, 14
    )
    for rig in (lower, longer):
        assert not torch.allclose(head.with_rig(rig)(tokens).depth_probability, same, atol=1e-4)
