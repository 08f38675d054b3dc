"""The path ahead: where it runs in the picture, and what only its own threshold finds there."""

from __future__ import annotations

import numpy as np
import pytest

from airside.geometry.camera_model import PinholeCamera
from airside.geometry.path import NEAR_PATCH_M, path_patches
from airside.geometry.transforms import ego_from_mounted_cam
from airside.messages import Kind, NetworkInput, OodMap, Region
from airside.ood.path import faint_regions, patches_in_boxes, path_score

CAMERA = PinholeCamera(196.0, 196.0, 195.5, 111.5, 392, 224)
GRID = (16, 28)
NET = NetworkInput(np.zeros((224, 392, 3), np.uint8), (2.0, 2.0), (0.5, 0.5), np.ones(GRID, bool))


def mounted(yaw_deg: float = 0.0, least_patch_m: float = NEAR_PATCH_M) -> np.ndarray:
    pose = ego_from_mounted_cam((1.2, 0.0, 1.8), yaw_deg=yaw_deg, pitch_deg=5.0, roll_deg=0.0)
    return path_patches(CAMERA, pose, 14, 2.0, 40.0, least_patch_m)


def faint(odd: OodMap, taken: bool = False, net: NetworkInput = NET) -> list[Region]:
    return list(faint_regions(odd, mounted(), mounted(least_patch_m=0.0), 0.5, np.full(GRID, taken), net))


def scores(**odd: float) -> OodMap:
    """A map of 0.2 everywhere but at the named patches, ``r12c14=0.6``."""
    score = np.full(GRID, 0.2, np.float32)
    for place, value in odd.items():
        row, column = place[1:].split("c")
        score[int(row), int(column)] = value
    return OodMap(score, np.full(GRID, 0.5, np.float32), np.zeros(GRID, np.int32), ("tarmac",))


def test_the_path_narrows_towards_the_horizon() -> None:
    path = mounted()
    rows = path.sum(axis=1)
    found = np.flatnonzero(rows)
    # 40 m is at pixel row 103: in row 7, and what stands there is in row 6 too; 6.3 m from the camera, at row 154,
    # a patch spans less than 0.45 m: the lower edge of row 10 sees nearer ground
    assert found.tolist() == [6, 7, 8, 9]
    assert (np.diff(rows[found]) >= 0).all()
    assert path[found, 13:15].all()  # straight ahead
    assert (path == path[:, ::-1]).all()


def test_near_it_begins_nothing() -> None:
    (near,), (far,) = faint(scores(r14c14=0.6)), faint(scores(r9c14=0.6))
    assert (near.faint, near.begins, far.begins) == (True, False, True)
    (both,) = faint(scores(r9c14=0.6, r10c14=0.6, r11c14=0.6))
    assert both.begins


def test_a_longer_lens_looks_closely_further_away() -> None:
    pose = ego_from_mounted_cam((1.2, 0.0, 1.8), yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0)
    nearest_m = {}
    for focal_px in (196.0, 392.0, 784.0):
        camera = PinholeCamera(focal_px, focal_px, 195.5, 111.5, 392, 224)
        lowest = np.flatnonzero(path_patches(camera, pose, 14, 2.0, 40.0).any(axis=1)).max()
        nearest_m[focal_px] = 1.8 * focal_px / (lowest * 14 + 13.5 - 111.5)
        assert nearest_m[focal_px] * 14 / focal_px >= 0.45
    assert nearest_m[196.0] < nearest_m[392.0] < nearest_m[784.0]


def test_a_camera_that_looks_aside_or_behind_sees_no_path() -> None:
    assert not mounted(90.0)[:, 10:].any()
    assert not mounted(180.0).any()


def test_every_patch_of_the_path_or_the_one_below_sees_the_corridor() -> None:
    pose = ego_from_mounted_cam((1.2, 0.0, 1.8), yaw_deg=10.0, pitch_deg=3.0, roll_deg=1.0)
    path = path_patches(CAMERA, pose, 14, 2.0, 30.0)

    def sees(row: int, column: int) -> bool:
        ray = pose.directions(CAMERA.ray_cam_from_uv(np.array([column * 14 + 6.5, row * 14 + 13.5])))
        x, y, _ = pose.translation_m + ray * 1.8 / -ray[2]
        near = np.hypot(x - 1.2, y) * 14 < NEAR_PATCH_M * 196.0
        return bool(ray[2] < 0 and x > 0 and abs(y) <= 2.0 and np.hypot(x, y) <= 30.0 and not near)

    wanted = np.array([[sees(row, column) for column in range(28)] for row in range(16)])
    assert (path == (wanted | np.vstack([wanted[1:], wanted[:1] & False]))).all()


def test_one_odd_patch_on_the_path_is_a_faint_region() -> None:
    (found,) = faint(scores(r9c14=0.6))
    assert (found.kind, found.faint, found.patches) == (Kind.UNKNOWN, True, 1.0)
    assert found.ood_score == pytest.approx(0.6)
    x0, y0, x1, y1 = found.box_px
    assert x0 < (14 * 14 + 7) * 2 < x1  # the middle of the patch, in the frame's pixels
    assert y0 < (9 * 14 + 7) * 2 < y1


@pytest.mark.parametrize(
    ("odd", "taken"),
    [({"r9c2": 0.6}, False), ({"r2c14": 0.6}, False), ({"r9c14": 0.5}, False), ({"r9c14": 0.6}, True)],
)
def test_aside_above_below_the_threshold_or_taken_is_none(odd: dict[str, float], taken: bool) -> None:
    assert not faint(scores(**odd), taken)


def test_a_thing_that_reaches_into_the_path_is_whole() -> None:
    odd = {f"r9c{column}": 0.6 for column in range(12, 24)}
    (found,) = faint(scores(**odd))
    assert found.patches == 12.0


def test_what_is_not_observed_is_never_faint() -> None:
    dark = NetworkInput(NET.image, NET.scale, NET.offset_px, np.zeros(GRID, bool))
    assert not faint(scores(r9c14=0.6), net=dark)


def test_the_statistic_is_what_finds() -> None:
    path = mounted()
    assert path_score(scores(r9c14=0.6, r9c2=0.9).ood_score, path) == pytest.approx(0.6)
    assert path_score(scores().ood_score, np.zeros(GRID, bool)) == 0.0


def test_patches_in_boxes() -> None:
    touched = patches_in_boxes([(14 * 2 * 3 + 1.0, 0.5, 14 * 2 * 5, 28.0)], NET)
    assert np.argwhere(touched).tolist() == [[row, column] for row in (0, 1) for column in (2, 3, 4, 5)]
    assert not patches_in_boxes([], NET).any()
