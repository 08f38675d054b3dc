"""``airside rig`` and ``airside doctor --rig``, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import yaml

from airside.config import load_rig
from airside.geometry.transforms import ego_from_mounted_cam

Call = Callable[..., SimpleNamespace]
RIGS = Path(__file__).parents[3] / "configs" / "rigs"
INFO = {"header": {"frame_id": "f"}, "height": 480, "width": 640, "distortion_model": "plumb_bob",
        "d": [-0.3, 0.08, 0.0, 0.0, 0.0], "k": [400.0, 0, 320.0, 0, 400.0, 240.0, 0, 0, 1.0]}  # fmt: skip


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    for name in ("front", "rear"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(INFO))
    mounts = [{"name": name, "ego_from_cam": {"xyz_m": [x, 0, 1.8], "yaw_deg": yaw}} for name, x, yaw in
              (("front", 1.0, 0.0), ("rear", -1.0, 180.0))]  # fmt: skip
    (tmp_path / "mounts.yaml").write_text(yaml.safe_dump({"mounts": mounts}))
    return tmp_path


def test_camera_info(calibrated: Path, airside: Call) -> None:
    out = calibrated / "rig.yaml"
    words = ("rig", "camera-info", calibrated / "front.yaml", f"rear={calibrated / 'rear.yaml'}",
             "--mount", calibrated / "mounts.yaml", "--out", out)  # fmt: skip
    answer = airside(*words)
    assert answer.code == 0, answer.err
    rig = load_rig(out)
    assert [(camera.name, camera.model) for camera in rig.cameras] == [("front", "plumb_bob"), ("rear", "plumb_bob")]
    again = airside(*words)
    assert again.code == 2
    assert "exists already" in again.err
    shown = airside("rig", "show", out, "--out", calibrated / "rig.png")
    assert shown.code == 0, shown.err
    assert "plumb_bob, ends" in shown.out
    assert cv2.imread(str(calibrated / "rig.png")).shape == (1000, 1560, 3)


def test_camera_info_refusals(calibrated: Path, airside: Call) -> None:
    common = ("--mount", calibrated / "mounts.yaml", "--out", calibrated / "rig.yaml")
    for words, message in (
        ((f"={calibrated / 'front.yaml'}",), "wanted NAME=FILE"),
        ((f"side={calibrated / 'front.yaml'}",), "no camera 'side'; it has: front, rear"),
        ((calibrated / "front.yaml",) * 2, "names must differ"),
        ((calibrated / "missing.yaml",), "cannot be read"),
        ((calibrated / "mounts.yaml",), "height: wanted a number of pixels"),
    ):
        answer = airside("rig", "camera-info", *words, *common)
        assert (answer.code, message in answer.err) == (2, True), answer.err
    assert not (calibrated / "rig.yaml").exists()


def test_nuscenes(tmp_path: Path, airside: Call) -> None:
    pose = ego_from_mounted_cam((1.7, 0.0, 1.5), yaw_deg=0, pitch_deg=0, roll_deg=0).matrix.tolist()
    camera = {"cam2img": [[600.0, 0, 400.0], [0, 600.0, 225.0], [0, 0, 1]], "cam2ego": pose}
    (tmp_path / "c.json").write_text(json.dumps({"cameras": {"CAM_FRONT": camera}}))
    words = ("rig", "nuscenes", tmp_path / "c.json", "--out", tmp_path / "rig.yaml")
    for size in ("800", "0x450", "800x450x3", "axb", "800x-450"):
        assert "wanted WIDTHxHEIGHT" in airside(*words, "--size", size).err
    for metres in ("0", "-3", "nan"):
        assert airside(*words, "--max-range-m", metres).code == 2
    assert airside(*words, "--size", "800x450", "--max-range-m", "45").code == 0
    (made,) = load_rig(tmp_path / "rig.yaml").cameras
    assert (made.width, made.height, made.max_range_m) == (800, 450, 45.0)


def test_doctor_looks_at_the_rig(shop: SimpleNamespace, airside: Call) -> None:
    answer = airside("doctor", *shop.common, "--rig", RIGS / "surround4_fisheye.yaml", "--out", shop.path)
    assert answer.code == 0, answer.out
    for what in ("camera front_narrow", "blind at 10 m", "ground begins", "way ahead", "equidistant, ends"):
        assert what in answer.out
    assert (shop.path / "surround4_fisheye_coverage.png").is_file()
    silent = airside("doctor", *shop.common, "--rig", RIGS / "front.yaml")
    assert silent.code == 0
    assert "give --out DIR" in silent.out
    assert "narrow camera ahead" in silent.out


def test_doctor_fails_a_rig_that_does_not_load(shop: SimpleNamespace, airside: Call, tmp_path: Path) -> None:
    data = yaml.safe_load((RIGS / "front.yaml").read_text())
    data["cameras"][0]["ego_from_cam"]["xyz_m"][2] = -1.0
    (tmp_path / "low.yaml").write_text(yaml.safe_dump(data))
    answer = airside("doctor", *shop.common, "--rig", tmp_path / "low.yaml", "--out", shop.path)
    assert answer.code == 1
    (line,) = [line for line in answer.out.splitlines() if line.startswith("FAIL")]
    assert "the camera must be above the ground, got z = -1.0" in line
