"""What a rig sees: known rigs have known fields, and what is missing is said."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.commands.check import INFO, WARN
from airside.commands.rig_checks import arc_words, coverage_checks, rig_checks
from airside.config import CameraConfig, MountConfig, RigConfig, load_rig
from airside.coverage import BEARINGS_DEG, NetworkSize, arcs, coverage_of
from airside.overlay_coverage import draw_coverage

RIGS = Path(__file__).parents[2] / "configs" / "rigs"
SIZE = NetworkSize(224, 392, 14)
WIDE = CameraConfig("front", 392, 224, 196.0, 196.0, 195.5, 111.5, MountConfig((0.0, 0.0, 2.0), pitch_deg=5.0), 60.0)


def warnings_of(*cameras: CameraConfig) -> dict[str, str]:
    checks = coverage_checks(coverage_of(RigConfig(cameras), SIZE))
    return {check.what: check.detail for check in checks if check.state == WARN}


def test_a_known_camera() -> None:
    (view,) = coverage_of(RigConfig((WIDE,)), SIZE).views
    assert view.fov_deg[0] == pytest.approx(90, abs=0.1)
    assert view.mean_deg_per_patch == pytest.approx(90 / 28, abs=0.01)  # DESIGN 9: 3.2 degrees a patch
    assert view.deg_per_patch == pytest.approx(math.degrees(2 * math.atan(7 / 196)), rel=1e-6)
    assert view.patches_at_27_m == pytest.approx(1.04, abs=0.01)  # DESIGN 9: one patch
    half = math.degrees(math.atan(112 / 196))
    assert view.ground_from_m == pytest.approx(2 / math.tan(math.radians(half + 5)), rel=0.02)
    assert view.horizon == pytest.approx(0.5 - math.tan(math.radians(5)) * 196 / 224, abs=1e-6)
    assert view.range_with_patches_m(2.0, view.patches_across(2.0, 27.0)) == pytest.approx(27)


@pytest.mark.parametrize("yaw_deg", [0.0, 90.0, 180.0, -135.0])
def test_one_camera_leaves_the_rest_blind(yaw_deg: float) -> None:
    camera = replace(WIDE, ego_from_cam=replace(WIDE.ego_from_cam, yaw_deg=yaw_deg))
    coverage = coverage_of(RigConfig((camera,)), SIZE)
    ((start, end),) = coverage.blind_bearings(27.0)
    assert (end - start) % 360 == pytest.approx(270, abs=3)
    middle = start + ((end - start) % 360) / 2
    assert abs((middle - (yaw_deg + 180) + 180) % 360 - 180) < 2
    assert coverage.shared(27.0) == 0


def test_a_camera_of_another_shape_is_scaled_as_the_network_will() -> None:
    tall = replace(WIDE, width=640, height=480, fx=320.0, fy=320.0, cx=319.5, cy=239.5)
    (view,) = coverage_of(RigConfig((tall,)), SIZE).views
    inner = round(392 * (640 / 480) / (392 / 224))  # between bars
    assert view.mounted.network.fx == pytest.approx(320 * inner / 640)
    assert any("bars" in check.detail for check in coverage_checks(coverage_of(RigConfig((tall,)), SIZE)))


@pytest.mark.parametrize("name", ["apron6", "apron8", "surround4_fisheye"])
def test_shipped_rigs_give_no_warning(name: str, tmp_path: Path) -> None:
    checks = list(rig_checks(load_rig(RIGS / f"{name}.yaml"), SIZE, tmp_path, name))
    assert [check for check in checks if check.state not in ("ok", INFO)] == []
    assert (tmp_path / f"{name}_coverage.png").read_bytes().startswith(b"\x89PNG")


def test_the_closer_look_is_told_and_what_it_takes_where_there_is_none() -> None:
    narrow = replace(WIDE, width=1920, height=1097, fx=3044.7, fy=3044.7, cx=959.5, cy=548.0)
    said = {
        check.what: check
        for check in coverage_checks(coverage_of(RigConfig((WIDE, replace(narrow, name="tele"))), SIZE))
    }
    assert (said["far path"].state, said["far path"].detail[:21]) == ("ok", "tele looks once more ")
    assert "2.9 times as large" in said["far path"].detail
    (none,) = [c for c in coverage_checks(coverage_of(RigConfig((WIDE,)), SIZE)) if c.what == "far path"]
    assert none.state == INFO
    assert "882 across 35°" in none.detail


def test_what_is_wrong_is_said() -> None:
    said = warnings_of(WIDE)
    assert "narrow camera ahead, at most 38° wide" in said["way ahead"]
    assert "75% of all bearings" in said["blind at 27 m"]

    def turned(**changes: float) -> CameraConfig:
        return replace(WIDE, ego_from_cam=replace(WIDE.ego_from_cam, **changes))

    assert "no camera sees the ground 27 m ahead" in warnings_of(turned(yaw_deg=180.0))["way ahead"]
    assert "sees no ground" in warnings_of(turned(pitch_deg=-60.0))["camera front"]
    assert "horizon above the picture" in warnings_of(turned(pitch_deg=50.0))["camera front"]
    assert "straight up or down" in warnings_of(turned(pitch_deg=90.0))["camera front"]
    assert "above the ground" in warnings_of(turned(xyz_m=(0.0, 0.0, 0.1)))["camera front"]  # type: ignore[arg-type]
    assert "copied" in warnings_of(WIDE, replace(WIDE, name="other"))["front and other"]
    one, other = replace(WIDE, source="0"), replace(turned(yaw_deg=90.0), name="other", source="0")
    assert "same source" in warnings_of(one, other)["front and other"]
    barrel = replace(WIDE, model="plumb_bob", coefficients=(-0.3, 0.08, 0.0, 0.0), pinhole_fov_deg=140.0)
    assert "smaller pinhole_fov_deg" in warnings_of(barrel)["camera front"]


def test_what_a_lens_does_not_show_is_not_covered() -> None:
    barrel = replace(WIDE, model="plumb_bob", coefficients=(-0.3, 0.08, 0.0, 0.0))
    asked = replace(barrel, pinhole_fov_deg=140.0)
    natural, greedy = (coverage_of(RigConfig((camera,)), SIZE).seen[0].any(axis=1) for camera in (barrel, asked))
    assert natural.sum() <= greedy.sum() < 130  # of 140 degrees the lens shows less
    assert (BEARINGS_DEG[greedy] ** 2 <= 70**2).all()


def test_arcs_are_joined_across_the_back() -> None:
    flags = np.zeros(360, bool)
    assert arcs(flags) == []
    assert arcs(~flags) == [(-180.0, 180.0)]
    flags[:10] = flags[-5:] = flags[180:190] = True
    assert sorted(arcs(flags)) == [(0.0, 10.0), (175.0, -170.0)]
    assert arc_words(0.0, 10.0) == "ahead to 10° left"
    assert arc_words(175.0, -170.0) == "175° left to 170° right"
    assert arc_words(-180.0, 180.0) == "all round"


@pytest.mark.parametrize("count", [1, 6, 24])
def test_the_picture_holds_any_number_of_cameras(count: int) -> None:
    cameras = tuple(
        replace(WIDE, name=f"camera number {k} of a long name",
                ego_from_cam=replace(WIDE.ego_from_cam, yaw_deg=360.0 * k / count, pitch_deg=-50.0 if k % 3 else 5.0))
        for k in range(count)
    )  # fmt: skip
    picture = draw_coverage(coverage_of(RigConfig(cameras), SIZE), "rig", [("what", "a long detail " * 20)] * 9)
    assert picture.shape == (1000, 1560, 3)
    assert picture.dtype == np.uint8
