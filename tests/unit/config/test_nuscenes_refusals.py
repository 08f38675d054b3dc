"""What a nuScenes calibration must be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airside.config.nuscenes import rig_from_nuscenes
from airside.errors import UsageError
from airside.geometry.transforms import ego_from_mounted_cam

K = [[1266.0, 0.0, 816.0], [0.0, 1266.0, 491.0], [0.0, 0.0, 1.0]]
POSE = ego_from_mounted_cam((1.7, 0.0, 1.5), yaw_deg=55, pitch_deg=1, roll_deg=0).matrix.tolist()


def with_camera(**changes: Any) -> str:
    entry = {"cam2img": K, "cam2ego": POSE} | changes
    return json.dumps({"cameras": {"CAM_FRONT": {k: v for k, v in entry.items() if v is not None}}})


def pose(**cells: float) -> list[list[float]]:
    matrix = np.array(POSE)
    for name, value in cells.items():
        matrix[int(name[1]), int(name[2])] = value
    return [[float(value) for value in row] for row in matrix]


def test_sound(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(with_camera())
    (camera,) = rig_from_nuscenes(tmp_path / "c.json", max_range_m=60.0).cameras
    assert (camera.name, camera.width, camera.fx, camera.model) == ("CAM_FRONT", 1600, 1266.0, "pinhole")
    assert camera.ego_from_cam.yaw_deg == pytest.approx(55)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "wanted an object with 'cameras'"),
        ('{"cameras": []}', "wanted an object with 'cameras'"),
        ('{"cameras": {}}', "at least one is needed"),
        ('{"cameras": {"A": 3}}', "camera 'A': wanted an object with"),
        (" " * (2 << 20), "not a nuScenes calibration file"),
        (with_camera(cam2img=None), "cam2img is missing"),
        (with_camera(cam2ego=None), "cam2ego is missing"),
        (with_camera(cam2img=K[:2]), "cam2img: wanted 3 rows of 3"),
        (with_camera(cam2img=[["1", 0, 0]] * 3), "cam2img: wanted finite numbers"),
        (with_camera(cam2img=[[1266.0, 0.0, float("nan")], *K[1:]]), "cam2img: wanted finite numbers"),
        (with_camera(cam2img=[[1266.0, 2.0, 816.0], *K[1:]]), r"wanted \[fx 0 cx; 0 fy cy; 0 0 1\]"),
        (with_camera(cam2img=[[-1266.0, 0.0, 816.0], *K[1:]]), "fx must be positive"),
        (with_camera(cam2img=[[1266.0, 0.0, 1816.0], *K[1:]]), "is not in a picture of 1600 x 900 px; see --size"),
        (with_camera(cam2ego=pose(_00=0.5)), "cam2ego: the rotation is not orthonormal"),
        (with_camera(cam2ego=[[-v for v in POSE[0]], *POSE[1:]]), "left-handed"),
        (with_camera(cam2ego=pose(_33=2.0)), "the last row"),
        (with_camera(cam2ego=pose(_23=-1.5)), "must be above the ground"),
        (with_camera(cam2ego=pose(_23=float("inf"))), "cam2ego: wanted finite numbers"),
    ],
)
def test_refusals(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        rig_from_nuscenes(tmp_path / "c.json", max_range_m=60.0)
    assert "c.json" in str(caught.value)
