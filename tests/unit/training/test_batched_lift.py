"""The batched geometry says what the tables of one rig say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import HEIGHT_RANGE_M, DepthBins, NetworkRig, build_splat_table
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam
from airside.model.bev import LiftSplat, SimpleBev
from training import batched_lift
from training.batched_lift import Rigs, lift_splat, mirrored, rows_everywhere, rows_inside, simple_bev

GRID, BINS, WIDTH, SIZE = BevGrid(20, 24, 1.0), DepthBins((2.0, 3.0, 5.0, 9.0)), 12, (42, 70)
MIRROR_EGO, MIRROR_CAM = np.diag([1.0, -1.0, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])


def rig_of(height_m: float, focal_px: float, *yaws_deg: float) -> NetworkRig:
    camera = PinholeCamera(fx=focal_px, fy=focal_px, cx=33.0, cy=20.5, width=SIZE[1], height=SIZE[0])
    poses = [ego_from_mounted_cam((0.3, -0.2, height_m), yaw_deg=y, pitch_deg=9, roll_deg=2) for y in yaws_deg]
    return NetworkRig([camera] * len(poses), poses, 14)


ALL = (rig_of(2.0, 28.0, 0, 90), rig_of(1.5, 40.0, 10, 200))


def batched(rigs: tuple[NetworkRig, ...] = ALL) -> Rigs:
    intrinsics = [[(c.fx, c.fy, c.cx, c.cy) for c in rig.intrinsics] for rig in rigs]
    poses = np.array([[p.matrix for p in rig.ego_from_cam] for rig in rigs])
    return Rigs(torch.tensor(intrinsics), torch.tensor(poses, dtype=torch.float32), SIZE, 14)


def tokens_of(samples: int = 2) -> torch.Tensor:
    return torch.randn(samples, 2, 3, 5, WIDTH, generator=torch.Generator().manual_seed(1))


def test_ray_features_and_cells_are_those_of_each_rig() -> None:
    rigs = batched()
    cells = rigs.cells(GRID, BINS, HEIGHT_RANGE_M)
    for k, rig in enumerate(ALL):
        np.testing.assert_allclose(rigs.ray_features()[k], rig.ray_features(), atol=1e-5)
        table = build_splat_table(rig, GRID, BINS)
        wanted = np.full(table.patches * BINS.count, GRID.cells)
        wanted[table.patch * BINS.count + table.depth_bin] = table.cell
        np.testing.assert_array_equal(cells[k].flatten(), wanted)


@pytest.mark.parametrize("way", [rows_inside, rows_everywhere])
def test_lift_splat_is_the_head_with_each_rig(way: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched_lift, "rows_inside", way)  # what a processor sums
    torch.manual_seed(0)
    head, tokens = LiftSplat(WIDTH, ALL[0], grid=GRID, bins=BINS, channels=8), tokens_of()
    logits, probability = lift_splat(head, tokens, batched())
    for k, rig in enumerate(ALL):
        wanted = head.with_rig(rig)(tokens[k : k + 1])
        torch.testing.assert_close(logits[k], wanted.layers[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(probability[k], wanted.depth_probability[0])
    assert (lift_splat(head, tokens, batched(ALL[::-1]))[0] - logits).abs().max() > 1e-3


def test_simple_bev_is_the_head_with_each_rig() -> None:
    torch.manual_seed(0)
    head, tokens = SimpleBev(WIDTH, ALL[0], grid=GRID, heights_m=(0.0, 1.0), channels=8), tokens_of()
    logits = simple_bev(head, tokens, batched())
    for k, rig in enumerate(ALL):
        torch.testing.assert_close(logits[k], head.with_rig(rig)(tokens[k : k + 1]).layers[0], atol=1e-4, rtol=1e-4)


def test_a_mirrored_rig_sees_the_mirrored_world() -> None:
    """The patch in mirrored column w lands in the mirrored cell of the patch it was."""
    rigs, which = batched(), torch.tensor([True, False])
    turned = mirrored(rigs, which)
    wanted = NetworkRig(
        [PinholeCamera(fx=28.0, fy=28.0, cx=36.0, cy=20.5, width=70, height=42)] * 2,
        [RigidTransform.from_matrix(MIRROR_EGO @ p.matrix @ MIRROR_CAM) for p in ALL[0].ego_from_cam],
        14,
    )
    torch.testing.assert_close(turned.intrinsics[1], rigs.intrinsics[1])
    torch.testing.assert_close(turned.ego_from_cam[1], rigs.ego_from_cam[1])
    np.testing.assert_allclose(turned.ray_features()[0], wanted.ray_features(), atol=1e-5)
    before, after = (r.cells(GRID, BINS, HEIGHT_RANGE_M)[0].numpy() for r in (rigs, turned))
    seen = before < GRID.cells
    x, y = before // GRID.cells_y, before % GRID.cells_y
    flipped = np.where(seen, x * GRID.cells_y + GRID.cells_y - 1 - y, GRID.cells)
    np.testing.assert_array_equal(after, flipped[:, :, ::-1])
