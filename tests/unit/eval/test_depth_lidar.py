"""A depth map against lidar: the KITTI frame where it is there, a made-up camera for the rest, and every refusal."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from airside.errors import InputError, UsageError
from eval.depth_lidar import LidarCamera, evaluate, main, read_calibration, sparse_depth_m

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT.parent / "shared" / "data" / "kitti_sample"
# a lidar frame turned like the camera's: x right, y down, z forward
STRAIGHT = LidarCamera(np.array([[100.0, 0, 20, 0], [0, 100, 10, 0], [0, 0, 1, 0]]), width=41, height=21)

needs_sample = pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"the KITTI frame is not at {SAMPLE}")


@pytest.fixture(scope="module")
def kitti_truth() -> np.ndarray:
    return sparse_depth_m(np.load(SAMPLE / "000008_velodyne.npy"), read_calibration(SAMPLE / "calibration.json"))


def run_on_sample(tmp_path: Path, depth: np.ndarray) -> dict[str, float]:
    np.save(tmp_path / "depth.npy", depth)
    code = main(
        [
            *("--calibration", str(SAMPLE / "calibration.json"), "--velodyne", str(SAMPLE / "000008_velodyne.npy")),
            *("--depth", str(tmp_path / "depth.npy"), "--json", str(tmp_path / "out" / "figures.json")),
        ]
    )
    assert code == 0
    figures: dict[str, float] = json.loads((tmp_path / "out" / "figures.json").read_text())
    return figures


@needs_sample
def test_kitti_perfect_input_is_exact(
    tmp_path: Path, kitti_truth: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = run_on_sample(tmp_path, np.nan_to_num(kitti_truth, nan=7.0))
    assert (figures["abs_rel"], figures["rmse_m"]) == (0, 0)
    assert (figures["delta1"], figures["delta2"], figures["delta3"]) == (1, 1, 1)
    assert figures["pixels"] > 10_000
    assert f"over {figures['pixels']} lidar pixels" in capsys.readouterr().out


@needs_sample
def test_kitti_ten_per_cent_off(tmp_path: Path, kitti_truth: np.ndarray) -> None:
    figures = run_on_sample(tmp_path, np.nan_to_num(kitti_truth, nan=7.0).astype(np.float64) * 1.1)
    assert figures["abs_rel"] == pytest.approx(0.1, abs=1e-12)
    in_range = kitti_truth[kitti_truth <= 80].astype(np.float64)
    assert figures["rmse_m"] == pytest.approx(0.1 * np.sqrt(np.mean(in_range**2)), rel=1e-9)
    assert figures["delta1"] == 1


@needs_sample
def test_kitti_points_fall_where_opencv_projects_them(kitti_truth: np.ndarray) -> None:
    camera = json.loads((SAMPLE / "calibration.json").read_text())["data_list"][0]["images"]["CAM2"]
    k = np.array(camera["cam2img"])
    cam0_from_lidar = np.array(camera["lidar2cam"])
    cam2_from_cam0 = np.linalg.solve(k[:3, :3], k[:3, 3])  # KITTI: P2 = K [I | t]
    points = np.load(SAMPLE / "000008_velodyne.npy")[:, :3].astype(np.float64)
    xyz = points @ cam0_from_lidar[:3, :3].T + cam0_from_lidar[:3, 3] + cam2_from_cam0
    xyz = xyz[xyz[:, 2] > 0]
    uv = cv2.projectPoints(xyz, np.zeros(3), np.zeros(3), k[:3, :3], None)[0].reshape(-1, 2)
    nearest: dict[tuple[int, int], float] = {}
    for (u, v), z in zip(uv, xyz[:, 2], strict=True):
        pixel = (round(v), round(u))
        if 0 <= pixel[0] < 375 and 0 <= pixel[1] < 1242:
            nearest[pixel] = min(z, nearest.get(pixel, np.inf))
    assert kitti_truth.shape == (375, 1242)
    rows, columns = np.nonzero(np.isfinite(kitti_truth))
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == set(nearest)
    expected = [nearest[p] for p in zip(rows.tolist(), columns.tolist(), strict=True)]
    np.testing.assert_allclose(kitti_truth[rows, columns], expected, rtol=1e-5)


@needs_sample
def test_kitti_command_without_a_depth_map_prints_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "eval.depth_lidar", "--calibration", str(SAMPLE / "calibration.json")),
            *("--velodyne", str(SAMPLE / "000008_velodyne.npy"), "--depth", str(tmp_path / "none.npy")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == InputError.exit_code
    assert "cannot read the depth map" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_nearest_point_of_a_pixel_counts() -> None:
    points = np.array(
        [
            [0, 0, 9, 1],
            [0, 0, 5, 1],
            [0.02, 0, 7, 1],  # 0.29 px to the right: still the same pixel
            [0.05, 0, 10, 1],  # 0.5 px is to the even neighbour
            [0.06, 0, 10, 1],  # 0.6 px: the next pixel
            [0, 0, -5, 1],  # behind
            [-2.06, 0, 10, 1],  # 0.6 px out of the picture
            [-2.04, 1, 10, 1],  # just inside its first column
        ],
        np.float32,
    )
    depth = sparse_depth_m(points, STRAIGHT)
    assert depth.dtype == np.float32
    assert {(int(r), int(c)): float(depth[r, c]) for r, c in np.argwhere(np.isfinite(depth))} == {
        (10, 20): 5.0,
        (10, 21): 10.0,
        (20, 0): 10.0,
    }


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 4)), r"points \[K, 3 or more\].*got \[0, 4\]"),
        (np.zeros((5, 2)), r"got \[5, 2\]"),
        (np.zeros(12), r"got \[12\]"),
        (np.array([[1, 2, 3.0], [1, np.nan, 3]]), "1 of 2 lidar points"),
        (np.array([[1, 2, np.inf]]), "1 of 1 lidar points"),
    ],
)
def test_refuses_points(points: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sparse_depth_m(points, STRAIGHT)


def test_refuses_a_depth_map() -> None:
    truth = np.full((21, 41), np.nan, np.float32)
    with pytest.raises(InputError, match="no lidar point falls into the picture"):
        evaluate(np.ones((21, 41)), truth)
    truth[3, 4] = 81.0
    with pytest.raises(InputError, match="within 80 m"):
        evaluate(np.ones((21, 41)), truth)
    truth[3, 5] = 8.0
    assert evaluate(np.ones((21, 41)), truth).pixels == 1
    with pytest.raises(InputError, match=r"\[20, 41\], the picture \[21, 41\]"):
        evaluate(np.ones((20, 41)), truth)
    with pytest.raises(InputError, match="1 of the 1 pixels"):
        evaluate(np.full((21, 41), np.nan), truth)
    with pytest.raises(UsageError, match="--max-depth-m"):
        evaluate(np.ones((21, 41)), truth, max_depth_m=-1)


def calibration() -> dict[str, Any]:
    matrix = np.vstack([STRAIGHT.img_from_lidar, [0, 0, 0, 1]]).tolist()
    return {"data_list": [{"images": {"CAM2": {"width": 41, "height": 21, "lidar2img": matrix}}}]}


def test_reads_a_calibration(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(calibration()))
    camera = read_calibration(tmp_path / "c.json")
    np.testing.assert_array_equal(camera.img_from_lidar, STRAIGHT.img_from_lidar)
    assert (camera.width, camera.height) == (41, 21)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lidar2img": None}, "is no calibration|must be"),
        ({"lidar2img": [[1, 2], [3]]}, "cannot read the calibration"),
        ({"lidar2img": np.eye(3).tolist()}, r"\[4, 4\].*got \[3, 3\]"),
        ({"lidar2img": np.full((4, 4), np.nan).tolist()}, "finite"),
        ({"lidar2img": (2 * np.eye(4)).tolist()}, "unit direction, its length is 2"),
        ({"width": 0}, "size must be positive, got 0 x 21"),
        ({"height": float("inf")}, "cannot read the calibration"),
        ({"height": "tall"}, "cannot read the calibration"),
    ],
)
def test_refuses_a_calibration(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    content = calibration()
    content["data_list"][0]["images"]["CAM2"].update(copy.deepcopy(changes))
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_calibration(tmp_path / "c.json")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"data_list": []}', '{"data_list": [{"images": {}}]}', '{"data_list": 3}', "\x00"],
)
def test_refuses_a_file_that_is_no_calibration(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(InputError, match=r"c\.json"):
        read_calibration(tmp_path / "c.json")


def command(folder: Path) -> list[str]:
    (folder / "c.json").write_text(json.dumps(calibration()))
    np.save(folder / "v.npy", np.array([[0, 0, 5, 1]], np.float32))
    np.save(folder / "d.npy", np.full((21, 41), 5.5, np.float32))
    return [
        *("--calibration", str(folder / "c.json"), "--velodyne", str(folder / "v.npy")),
        *("--depth", str(folder / "d.npy")),
    ]


def test_the_command_prints_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tmp_path)) == 0
    assert "AbsRel 0.1000  RMSE 0.500 m  delta1 1.0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("c.json", None, "cannot read the calibration"),
        ("v.npy", None, "cannot read the lidar"),
        ("v.npy", b"", "cannot read the lidar"),
        ("d.npy", b"junk", "cannot read the depth map"),
        ("d.npy", np.array(["a"]), "one .npy array of real numbers"),
        ("d.npy", np.array([{}]), "cannot read the depth map"),  # a pickle
        ("d.npy", np.ones((21, 40)), "resize the map"),
        ("d.npy", np.ones(0), "resize the map"),
        ("d.npy", np.full((21, 41), np.nan), "1 of the 1 pixels"),
        ("v.npy", np.full((3, 4), np.nan), "3 of 3 lidar points"),
    ],
)
def test_the_command_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, content: Any, message: str
) -> None:
    arguments = command(tmp_path)
    (tmp_path / file).unlink()
    if isinstance(content, bytes):
        (tmp_path / file).write_bytes(content)
    elif content is not None:
        np.save(tmp_path / file, content, allow_pickle=True)
    assert main(arguments) == InputError.exit_code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("eval.depth_lidar: ")


def test_the_command_says_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = command(tmp_path)
    assert main([*arguments, "--json", str(tmp_path / "c.json" / "x.json")]) == 6
    assert "cannot write" in capsys.readouterr().err
