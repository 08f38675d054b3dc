"""Rigs with lenses: what loads, what is refused, what is written back; a thousand mutations leave by our own errors."""

from __future__ import annotations

import contextlib
import copy
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from airside.config import CameraConfig, MountConfig, RigConfig, load_rig
from airside.config.rig_file import rig_text, save_rig
from airside.errors import AirsideError, UsageError
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam, rotation_from_quaternion

RIGS = Path(__file__).parents[3] / "configs" / "rigs"
CAMERA = CameraConfig("front", 640, 480, 300.0, 300.0, 319.5, 239.5, MountConfig((1.0, 0.0, 1.8)), 60.0)
FISHEYE_YAML: dict[str, Any] = yaml.safe_load((RIGS / "surround4_fisheye.yaml").read_text())


@pytest.mark.parametrize("path", sorted(RIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_rigs_are_written_and_read_back_equal(path: Path, tmp_path: Path) -> None:
    rig = load_rig(path)
    save_rig(rig, tmp_path / "again.yaml")
    assert load_rig(tmp_path / "again.yaml") == rig


def test_what_is_written_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    save_rig(RigConfig((CAMERA,)), path)
    with pytest.raises(UsageError, match="exists already"):
        save_rig(RigConfig((CAMERA,)), path)


def test_awkward_values_survive(tmp_path: Path) -> None:
    camera = replace(
        CAMERA, name="off: \n☂ '\"", fx=1e-5 + 300, model="plumb_bob", coefficients=(1e-17, -1e-300, 0.0, 5e-324),
        source="rtsp://user:p#w@[::1]/a b", rate_hz=12.5, pinhole_size_px=(392, 224),
    )  # fmt: skip
    (tmp_path / "rig.yaml").write_text(rig_text(RigConfig((camera,))))
    assert load_rig(tmp_path / "rig.yaml").cameras == (camera,)


def test_the_pinhole_of_a_pinhole_is_itself() -> None:
    assert CAMERA.lens is None
    assert (CAMERA.pinhole.fx, CAMERA.pinhole.width) == (300.0, 640)


def test_the_pinhole_of_a_fisheye_is_the_virtual_one() -> None:
    camera = load_rig(RIGS / "surround4_fisheye.yaml").camera("left")
    assert camera.lens is not None
    pinhole = camera.pinhole
    assert (pinhole.width, pinhole.height, pinhole.cx, pinhole.cy) == (784, 448, 391.5, 223.5)
    assert np.degrees(2 * np.arctan(392 / pinhole.fx)) == pytest.approx(110)


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (10, -5, 3), (179.9, 89.0, -170), (-90, 30, 180), (40, 90, 0), (-40, -90, 0)]
)
def test_a_quaternion_is_another_way_to_write_the_angles(angles: tuple[float, float, float]) -> None:
    yaw, pitch, roll = angles
    transform = ego_from_mounted_cam((1, 2, 3), yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)
    w, x, y, z = quaternion_of(transform.rotation)
    mount = MountConfig((1, 2, 3), rotation_wxyz=(w, x, y, z))
    np.testing.assert_allclose(mount.transform.matrix, transform.matrix, atol=1e-9)
    np.testing.assert_allclose(MountConfig.from_transform(transform).transform.matrix, transform.matrix, atol=1e-9)
    assert mount.rotation_wxyz is None
    assert replace(mount, yaw_deg=mount.yaw_deg + 1).yaw_deg == mount.yaw_deg + 1


def quaternion_of(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """By the eigenvector of the four-dimensional form: shares nothing with the code under test."""
    r = rotation
    k = np.array([
        [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
        [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
        [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
        [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
    ])  # fmt: skip
    x, y, z, w = np.linalg.eigh(k)[1][:, -1]
    return float(w), float(x), float(y), float(z)


def test_quaternions_turn_as_they_should() -> None:
    half = np.sqrt(0.5)
    np.testing.assert_allclose(rotation_from_quaternion((half, 0, 0, half)) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    RigidTransform(rotation_from_quaternion((0.5, 0.5, -0.5, 0.5)), np.zeros(3))
    for bad in ((0, 0, 0, 0), (1, 1, 0, 0), (np.nan, 0, 0, 1), (1, 0, 0)):
        with pytest.raises(UsageError, match="quaternion"):
            rotation_from_quaternion(bad)


def mutated(**changes: object) -> dict[str, Any]:
    camera = copy.deepcopy(FISHEYE_YAML["cameras"][1]) | changes
    return {"cameras": [{key: value for key, value in camera.items() if value is not None}]}


MOUNT = FISHEYE_YAML["cameras"][1]["ego_from_cam"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (mutated(model="thin_prism"), r"\[0\].model: wanted one of pinhole, plumb_bob, rational, equidistant, got"),
        (mutated(model=["pinhole"]), r"model: wanted one of .* got a list"),
        (mutated(model="pinhole"), "coefficients: a pinhole takes none, got 4"),
        (mutated(model="pinhole", coefficients=[]), "pinhole_fov_deg: a pinhole is used as it is"),
        (mutated(coefficients=None), "equidistant takes 4, got 0"),
        (mutated(coefficients=[0.1]), "equidistant takes 4, got 1"),
        (mutated(coefficients=[0.1, 0.1, float("nan"), 0.1]), r"coefficients\[2\]: wanted a finite number"),
        (mutated(coefficients=[0.1, 0.1, "0", 0.1]), r"coefficients\[2\]: wanted a number, got text"),
        (mutated(coefficients=[-1e5, 0, 0, 0]), "folds back"),
        (mutated(pinhole_fov_deg=0.5), "wanted 1 to 160 degrees"),
        (mutated(pinhole_fov_deg=170), "wanted 1 to 160 degrees"),
        (mutated(pinhole_size_px=[784]), "pinhole_size_px: wanted 2 values, got 1"),
        (mutated(pinhole_size_px=[784, -1]), "height must be positive"),
        (mutated(pinhole_size_px=[784, 448.0]), "wanted a whole number"),
        (mutated(cx=-200.0), "the optical axis .* must lie well within"),
        (mutated(rate_hz=0), "rate_hz: must be positive"),
        (mutated(rate_hz="fast"), "rate_hz: wanted a number"),
        (mutated(source=0), "source: wanted text"),
        (mutated(width=100_000), "more than a picture may have"),
        (mutated(width=10**400), "is too large a number"),
        (mutated(ego_from_cam=MOUNT | {"rotation_wxyz": [1, 0, 0, 0]}), "not both"),
        (mutated(ego_from_cam={"xyz_m": [1, 0, 2], "rotation_wxyz": [1, 1, 0, 0]}), "is no rotation: its length"),
        (mutated(ego_from_cam={"xyz_m": [1, 0, 2], "rotation_wxyz": [1, 0, 0]}), "wanted 4 values, got 3"),
    ],
)  # fmt: skip
def test_refusals(data: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError, match=message):
        load_rig(path)


ODD = (None, True, 0, -1, 1, 0.0, -0.0, 1e-320, 1e308, -1e9, float("nan"), float("inf"), 10**30, 10**400, "", "x",
       "\x00", [], {}, [[]], [1, 2], [1e308] * 3, [0.0] * 4, [0.0] * 8, [1e5, -1e5, 1e5, -1e5], "rational", "plumb_bob",
       "equidistant", "pinhole", {"xyz_m": [0, 0, 1]}, 160, 2**40)  # fmt: skip


def places(node: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        found += [(node, key), *places(value)]
    return found


def test_a_thousand_mutated_rigs_leave_by_our_own_errors_only(tmp_path: Path) -> None:
    rng, loaded = random.Random(6), 0
    sources = [yaml.safe_load(path.read_text()) for path in sorted(RIGS.glob("*.yaml"))]
    path = tmp_path / "rig.yaml"
    for number in range(1000):
        data = copy.deepcopy(rng.choice(sources))
        data["cameras"] = [rng.choice(data["cameras"])]
        for _ in range(rng.randint(1, 3)):
            parent, key = rng.choice(places(data) or [({"": 0}, "")])
            change = rng.randrange(4)
            if change == 0:
                parent[key] = copy.deepcopy(rng.choice(ODD))
            elif change == 1 and isinstance(parent[key], float):
                parent[key] *= rng.choice((-1, 1e-3, 1e3, 1e6))
            elif change == 2:
                del parent[key]
            elif isinstance(parent, dict):
                keys = ("model", "coefficients", "pinhole_fov_deg", "pinhole_size_px", "rotation_wxyz", "extra")
                parent[rng.choice(keys)] = copy.deepcopy(rng.choice(ODD))
        text = yaml.safe_dump(data).encode()
        if number % 4 == 0:  # and torn, or with bytes overwritten
            at = rng.randrange(len(text))
            text = text[:at] if number % 8 == 0 else text[:at] + rng.randbytes(3) + text[at + 3 :]
        path.write_bytes(text)
        with contextlib.suppress(AirsideError):
            assert np.isfinite(load_rig(path).cameras[0].pinhole.fx)
            loaded += 1
    assert 20 < loaded < 900  # the mutations bite, and do not kill everything
