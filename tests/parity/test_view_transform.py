"""The three ways to splat, a loop anyone can check, and the exported graph agree; so do Simple-BEV and grid_sample."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import DepthBins, NetworkRig, SplatTable, build_splat_table
from airside.geometry.transforms import ego_from_mounted_cam
from airside.model.bev import LiftSplat, SimpleBev
from airside.model.splat import BAGS, Splat, SplatPath

GRID = BevGrid(16, 12, 1.0)
FAST: tuple[SplatPath, ...] = ("embedding_bag", "bucketed")
seeds = st.integers(0, 2**32 - 1)


def random_rig(rng: np.random.Generator) -> NetworkRig:
    """One to four cameras near the middle of the grid, looking anywhere, slightly down."""
    rows, columns, patch_px = (int(value) for value in rng.integers(2, 6, 3))
    height, width = rows * patch_px, columns * patch_px
    cameras = int(rng.integers(1, 5))
    return NetworkRig(
        [
            PinholeCamera(
                *(rng.uniform(0.5, 1.5, 2) * width), *(rng.uniform(0.3, 0.7, 2) * (width, height)), width, height
            )
            for _ in range(cameras)
        ],
        [
            ego_from_mounted_cam(
                (rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.5, 3)),
                yaw_deg=rng.uniform(-180, 180),
                pitch_deg=rng.uniform(0, 20),
                roll_deg=rng.uniform(-5, 5),
            )
            for _ in range(cameras)
        ],
        patch_px,
    )


def random_table(rng: np.random.Generator) -> SplatTable:
    """Short depths, so that every rig sees the grid; bins of uneven widths."""
    edges = np.cumsum(rng.uniform(0.2, 1.0, rng.integers(3, 12)))
    return build_splat_table(random_rig(rng), GRID, DepthBins(tuple(edges.tolist())), (-50.0, 50.0))


def random_input(rng: np.random.Generator, table: SplatTable, batch: int) -> tuple[Tensor, Tensor]:
    rows, columns = table.patch_grid
    features = rng.normal(size=(batch, table.cameras, rows, columns, 5))
    logits = rng.normal(size=(batch, table.cameras, table.bins.count, rows, columns))
    return torch.tensor(features, dtype=torch.float32), torch.tensor(logits, dtype=torch.float32).softmax(dim=2)


def splat_by_loop(table: SplatTable, features: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """[B, C, X, Y] float64, row by row as the paper says it."""
    cells = np.zeros((*table.grid.shape, len(features), features.shape[-1]))
    for patch, depth_bin, cell in zip(table.patch, table.depth_bin, table.cell, strict=True):
        n, row, column = np.unravel_index(patch, (table.cameras, *table.patch_grid))
        share = probability[:, n, depth_bin, row, column]
        cells[divmod(cell, table.grid.cells_y)] += share[:, None] * features[:, n, row, column]
    return cells.transpose(2, 3, 0, 1)


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 3))
def test_every_path_equals_the_loop(seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    table = random_table(rng)
    features, probability = random_input(rng, table, batch)
    wanted = splat_by_loop(table, features.double().numpy(), probability.double().numpy())
    other_wanted = splat_by_loop(table, features.double().numpy() + 0.1, probability.double().numpy())
    for path in BAGS:
        splat = Splat(table, path)
        np.testing.assert_allclose(splat(features, probability), wanted, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(splat(features + 0.1, probability), other_wanted, atol=1e-5, rtol=1e-5)
    assert np.abs(other_wanted - wanted).max() > 1e-3


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_gradients_equal_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = random_table(rng)
    features, probability = random_input(rng, table, 2)
    towards = torch.tensor(rng.normal(size=(2, 5, *GRID.shape)), dtype=torch.float32)

    def gradients(path: SplatPath) -> tuple[Tensor, ...]:
        leaves = features.clone().requires_grad_(), probability.clone().requires_grad_()
        return torch.autograd.grad((Splat(table, path)(*leaves) * towards).sum(), leaves)

    wanted = gradients("reference")
    assert all(gradient.abs().max() > 1e-3 for gradient in wanted)
    for path in FAST:
        for got, gradient in zip(gradients(path), wanted, strict=True):
            torch.testing.assert_close(got, gradient, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("path", FAST)
def test_cells_of_every_fill_agree(path: SplatPath) -> None:
    """Bags of 0 to 33 rows, in turn: every bucket boundary."""
    counts = np.arange(34).repeat(2)
    bag = np.arange(len(counts)).repeat(counts)
    rng = np.random.default_rng(0)
    item = rng.integers(0, 50, len(bag))
    features, weights = torch.randn(2, 50, 3), torch.rand(2, len(bag))
    wanted = BAGS["reference"](item, bag, len(counts))(features, weights)
    assert (wanted[:, 0] == 0).all()
    got = BAGS[path](item, bag, len(counts))(features, weights)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def exported(model: nn.Module, inputs: tuple[Tensor, ...], file: Path) -> tuple[set[str], onnxruntime.InferenceSession]:
    """The graph's operators, and a session that runs it."""
    torch.onnx.export(model.eval(), inputs, file, dynamo=True, opset_version=20, verbose=False)
    graph = onnx.load(file)
    assert [opset.version for opset in graph.opset_import if opset.domain == ""] == [20]
    nodes = [*graph.graph.node, *(node for function in graph.functions for node in function.node)]
    return {node.op_type for node in nodes}, onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def head() -> LiftSplat:
    torch.manual_seed(0)
    rig = random_rig(np.random.default_rng(3))
    return LiftSplat(12, rig, grid=GRID, bins=DepthBins((0.5, 1.0, 2.0, 4.0, 6.0)), channels=8).eval()


def test_the_exported_head_equals_torch_without_scatter(head: LiftSplat, tmp_path: Path) -> None:
    tokens = torch.randn(2, head.rig.cameras, *head.rig.patch_grid, 12)
    operators, session = exported(head.with_path("bucketed"), (tokens,), tmp_path / "bev.onnx")
    assert not [name for name in operators if "Scatter" in name]
    assert {"Gather", "MatMul", "Concat"} <= operators
    names = [node.name for node in session.get_inputs()]
    results = []
    for batch in (tokens, tokens.flip(0) + 0.5):
        layers, probability = session.run(None, {names[0]: batch.numpy()})
        with torch.no_grad():
            wanted = head.with_path("reference")(batch)
        np.testing.assert_allclose(layers, wanted.layers, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(probability, wanted.depth_probability, atol=1e-5, rtol=1e-5)
        results.append(layers)
    assert np.abs(results[0] - results[1]).max() > 1e-3


def test_the_exported_lift_takes_metric_depth(head: LiftSplat, tmp_path: Path) -> None:
    tokens = torch.randn(1, head.rig.cameras, *head.rig.patch_grid, 12)
    depth = torch.rand(1, head.rig.cameras, *head.rig.size_px) * 8
    depth[0, 0, 0] = torch.nan
    lift = head.with_path("bucketed")
    lift.decoder = nn.Identity()  # not in question here, and slow to export
    operators, session = exported(lift, (tokens, depth), tmp_path / "lift.onnx")
    assert not [name for name in operators if "Scatter" in name]
    names = [node.name for node in session.get_inputs()]
    got = session.run(None, dict(zip(names, (tokens.numpy(), depth.numpy()), strict=True)))
    with torch.no_grad():
        wanted, without = lift(tokens, depth), lift(tokens)
    np.testing.assert_allclose(got[0], wanted.layers, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(got[1], wanted.depth_probability, atol=1e-5, rtol=1e-5)
    assert (wanted.layers - without.layers).abs().max() > 1e-3


def test_the_check_for_scatter_can_fail(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    table = random_table(rng)
    operators, _ = exported(Splat(table, "reference"), random_input(rng, table, 1), tmp_path / "reference.onnx")
    assert [name for name in operators if "Scatter" in name]


def lift_by_grid_sample(head: SimpleBev, tokens: Tensor) -> Tensor:
    """Dense: every voxel in every camera by PyTorch's own bilinear sampling, as Harley et al. describe it."""
    rig = head.rig
    height, width = rig.size_px
    centres = head.grid.centres_xy_m()
    features = head.adapter(tokens)
    of_heights = []
    for z in head.heights_m:
        xyz_ego_m = np.concatenate([centres, np.full((*head.grid.shape, 1), z)], axis=-1)
        total, views = torch.zeros(len(tokens), head.channels, *head.grid.shape), torch.zeros(head.grid.shape)
        for n, (camera, pose) in enumerate(zip(rig.intrinsics, rig.ego_from_cam, strict=True)):
            uv = camera.uv_from_xyz_cam(pose.inverse().points(xyz_ego_m))
            seen = (uv >= -0.5).all(-1) & (uv[..., 0] < width - 0.5) & (uv[..., 1] < height - 0.5)
            at = torch.tensor(np.where(seen[..., None], (2 * uv + 1) / (width, height) - 1, 0), dtype=torch.float32)
            sampled = functional.grid_sample(
                features[:, n].permute(0, 3, 1, 2),
                at.expand(len(tokens), -1, -1, -1),
                mode="bilinear",
                padding_mode="border",
                align_corners=False,
            )
            total += sampled * torch.tensor(seen)
            views += torch.tensor(seen)
        of_heights.append(total / views.clamp(min=1))
    return head.compress(torch.cat(of_heights, dim=1).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_simple_bev_equals_grid_sample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    head = SimpleBev(6, random_rig(rng), grid=BevGrid(40, 36, 1.0), heights_m=(-1.0, 1.0, 2.0), channels=4)
    tokens = torch.randn(2, head.rig.cameras, *head.rig.patch_grid, 6)
    with torch.no_grad():
        wanted = lift_by_grid_sample(head, tokens)
        for path in BAGS:
            torch.testing.assert_close(head.with_path(path).lift(tokens), wanted, atol=1e-5, rtol=1e-5)
        assert (head.lift(tokens + 1) - wanted).abs().max() > 1e-3


def test_buckets_are_powers_of_two_and_waste_less_than_half() -> None:
    table = random_table(np.random.default_rng(7))
    bags = Splat(table, "bucketed").bags
    sizes = [size for _, size in bags.shapes]
    assert all(size & (size - 1) == 0 for size in sizes)
    assert all(before < after for before, after in pairwise(sizes))
    assert len(table.cell) <= sum(bags * size for bags, size in bags.shapes) < 2 * len(table.cell)
