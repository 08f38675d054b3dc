"""CameraInfo in its three forms, and where the cameras are mounted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from airside.config import MountConfig
from airside.config.camera_info import lens_from_camera_info, read_camera_info
from airside.config.mounts import Mounts
from airside.errors import UsageError
from airside.geometry.transforms import ego_from_mounted_cam

ECHO = """\
header:
  stamp:
    sec: 12
    nanosec: 5
  frame_id: front_optical
height: 480
width: 640
distortion_model: plumb_bob
d:
- -0.31
- 0.09
- 1e-05
- -0.0002
- 0.0
k: [400.0, 0.0, 320.5, 0.0, 401.0, 239.0, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [390.0, 0.0, 320.0, 0.0, 0.0, 391.0, 239.0, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 0
binning_y: 0
roi:
  x_offset: 0
  y_offset: 0
  height: 0
  width: 0
  do_rectify: false
---
"""
CALIBRATION = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [400.000000, 0.000000, 320.500000, 0.000000, 401.000000, 239.000000, 0.000000, 0.000000, 1.000000]
distortion_model: equidistant
distortion_coefficients:
  rows: 1
  cols: 4
  data: [0.02, -0.008, 0.003, 0.0]
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [390, 0, 320, 0, 0, 391, 239, 0, 0, 0, 1, 0]}
"""
K = (400.0, 0.0, 320.5, 0.0, 401.0, 239.0, 0.0, 0.0, 1.0)


def lens(model: str, d: Any, k: Any = K) -> Any:
    return lens_from_camera_info(height=480, width=640, distortion_model=model, d=d, k=k)


def test_as_ros2_topic_echo_prints_it(tmp_path: Path) -> None:
    (tmp_path / "front.yaml").write_text(ECHO * 3)
    info = read_camera_info(tmp_path / "front.yaml")
    assert (info.camera_name, info.frame_id) == ("", "front_optical")
    assert (info.lens.width, info.lens.height, info.lens.fx, info.lens.cy) == (640, 480, 400.0, 239.0)
    assert (info.lens.model, info.lens.coefficients) == ("plumb_bob", (-0.31, 0.09, 1e-05, -0.0002, 0.0))


def test_as_ros1_prints_it(tmp_path: Path) -> None:
    text = ECHO.replace("\nd:", "\nD:").replace("\nk:", "\nK:").replace("\nr:", "\nR:").replace("\np:", "\nP:")
    (tmp_path / "front.yaml").write_text(text)
    assert read_camera_info(tmp_path / "front.yaml").lens.fy == 401.0


def test_as_camera_calibration_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "ost.yaml").write_text(CALIBRATION)
    info = read_camera_info(tmp_path / "ost.yaml")
    assert (info.camera_name, info.lens.model, len(info.lens.coefficients)) == ("narrow_stereo", "equidistant", 4)
    camera = info.lens.camera("left", MountConfig((1, 0, 2)), 50.0, "/dev/video1", 15.0)
    assert (camera.name, camera.source, camera.rate_hz, camera.max_range_m) == ("left", "/dev/video1", 15.0, 50.0)
    assert camera.lens is not None


def test_a_decoded_messages_arrays() -> None:
    found = lens("rational_polynomial", np.array([0.1, 0.01, 0, 0, 0, 0.2, 0, 0, 0, 0, 0, 0, 0, 0]), np.array(K))
    assert (found.model, found.coefficients) == ("rational", (0.1, 0.01, 0, 0, 0, 0.2, 0, 0))


@pytest.mark.parametrize("model", ["", "plumb_bob", "rational_polynomial", "equidistant"])
@pytest.mark.parametrize("d", [[], [0.0] * 5, [0.0] * 14])
def test_no_distortion_is_a_pinhole(model: str, d: list[float]) -> None:
    assert lens(model, d).model == "pinhole"


@pytest.mark.parametrize(
    ("model", "d", "k", "message"),
    [
        ("thin_prism", [0.1] * 12, K, "'thin_prism' is not known; known: plumb_bob, rational_polynomial"),
        ("", [0.1] * 5, K, "distortion_model '' is not known"),
        ("plumb_bob", [0.1] * 3, K, "plumb_bob takes 4 or 5, got 3"),
        ("plumb_bob", [0.1] * 8, K, "plumb_bob takes at most 5 coefficients, got 8 with more than zeros"),
        ("rational_polynomial", [0.1] * 12, K, "at most 8 coefficients, got 12"),
        ("rational_polynomial", [0.1] * 5, K, "rational takes 8, got 5"),
        ("equidistant", [0.1, np.nan, 0, 0], K, "finite"),
        ("plumb_bob", [0.0] * 5, (0.0,) * 9, "not calibrated"),
        ("plumb_bob", [0.0] * 5, K[:8], "wanted 9 numbers, got 8"),
        ("plumb_bob", [0.0] * 5, (400.0, 3.0, *K[2:]), "wanted fx 0 cx 0 fy cy 0 0 1"),
        ("plumb_bob", [0.0] * 5, (400.0, 0.0, 900.0, *K[3:]), "is not in the picture"),
    ],
)
def test_refused_messages(model: str, d: Any, k: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lens(model, d, k)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wanted the keys and values"),
        ("---\n---\n", "wanted the keys and values"),
        ("- 1", "wanted the keys and values"),
        ("a: [", "not valid YAML"),
        ("%YAML:1.0\nk: !!opencv-matrix {}", "not valid YAML"),
        ("#" * (2 << 20), "not a camera info file"),
        (ECHO.replace("k: [400.0", "k: [.nan"), "k: wanted finite numbers"),
        (ECHO.replace("k: [400.0", "k: [far"), "k: wanted finite numbers, got 'far'"),
        (ECHO.replace("k: [", "kk: ["), "k: wanted a list of numbers, got 'None'"),
        (ECHO.replace("height: 480", "height: -480"), "height: wanted a number of pixels"),
        (ECHO.replace("plumb_bob", "7"), "distortion_model: wanted text"),
        (ECHO.replace("x_offset: 0", "x_offset: 8"), "roi: pictures of a part are not supported"),
        (ECHO.replace("  width: 0", "  width: 320"), "roi: pictures of a part are not supported"),
        (CALIBRATION.replace("  data: [400.0", "  date: [400.0"), "camera_matrix: wanted rows, cols and data"),
        (CALIBRATION.replace("image_width: 640", "image_width: wide"), "image_width: wanted a number of pixels"),
    ],
)
def test_refused_files(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "info.yaml").write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_camera_info(tmp_path / "info.yaml")
    assert len(str(caught.value)) < 1000


def transform(parent: str, child: str, xyz: tuple[float, ...], xyzw: tuple[float, ...]) -> dict[str, Any]:
    return {
        "header": {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": parent},
        "child_frame_id": child,
        "transform": {
            "translation": dict(zip("xyz", xyz, strict=True)),
            "rotation": dict(zip("xyzw", xyzw, strict=True)),
        },
    }


def mounts(folder: Path, *documents: Any, base: str = "base_link") -> Mounts:
    (folder / "mounts.yaml").write_text(yaml.safe_dump_all(documents))
    return Mounts(folder / "mounts.yaml", base)


HALF = float(np.sqrt(0.5))
ROOF = transform("base_link", "roof", (1.0, 0.0, 1.5), (0.0, 0.0, HALF, HALF))  # turned left
OPTICAL = transform("roof", "front_optical", (0.2, 0.0, 0.1), (-0.5, 0.5, -0.5, 0.5))  # z ahead


def test_static_transforms_are_followed_to_the_vehicle(tmp_path: Path) -> None:
    found = mounts(tmp_path, {"transforms": [OPTICAL]}, {"transforms": [ROOF]}).of("front", "front_optical")
    wanted = ego_from_mounted_cam((1.0, 0.2, 1.6), yaw_deg=90, pitch_deg=0, roll_deg=0)
    np.testing.assert_allclose(found.ego_from_cam.transform.matrix, wanted.matrix, atol=1e-9)


def test_a_file_of_mounts(tmp_path: Path) -> None:
    entry = {"name": "front", "ego_from_cam": {"xyz_m": [1, 0, 2], "pitch_deg": 3.0}, "source": "/dev/video0"}
    found = mounts(tmp_path, {"mounts": [entry]}).of("front", "")
    assert (found.ego_from_cam, found.source, found.max_range_m) == (MountConfig((1, 0, 2), 0, 3), "/dev/video0", 60)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "the file is empty"),
        ([{"mounts": []}], "no camera 'front'; it has: none"),
        ([{"mounts": [{"name": "front"}]}], "the key 'ego_from_cam' is missing"),
        ([{"mounts": [{"name": "rear", "ego_from_cam": {"xyz_m": [1, 0, 2]}}]}], "no camera 'front'; it has: rear"),
        ([{"mounts": [{"name": "f", "ego_from_cam": {"xyz_m": [1, 0, 2]}}] * 2}], "names must differ"),
        ([{"mounts": []}, {"mounts": []}], "wanted one YAML document, got 2"),
        ([{"transforms": 3}], "transforms: wanted a list"),
        ([{"transforms": [3]}], "wanted header.frame_id and child_frame_id"),
        ([{"transforms": [OPTICAL]}], "no way from front_optical to base_link: nothing is above roof"),
        ([{"transforms": [OPTICAL, transform("front_optical", "roof", (0, 0, 1), (0, 0, 0, 1))]}], "in a circle"),
        ([{"transforms": [transform("base_link", "front_optical", (0, 0, 1), (0, 0, 0, 2))]}], "is no rotation"),
        ([{"transforms": [transform("base_link", "front_optical", (0, 0, -1), (0, 0, 0, 1))]}], "above the ground"),
        ([{"transforms": [{**ROOF, "transform": {"translation": {}}}]}], "the key"),
    ],
)
def test_refused_mounts(documents: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        mounts(tmp_path, *documents).of("front", "front_optical")


def test_a_camera_info_that_names_no_frame_is_in_no_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"names no header\.frame_id"):
        mounts(tmp_path, {"transforms": [ROOF]}).of("front", "")
