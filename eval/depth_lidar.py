"""A depth map against the lidar of the same moment (KITTI layout): AbsRel, RMSE and delta1 to delta3.

``python -m eval.depth_lidar --calibration FILE --velodyne FILE --depth FILE.npy [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from airside.errors import AirsideError, InputError, UsageError
from eval.metrics.depth import DepthMetrics, depth_metrics
from eval.report_file import write_json

CAMERA = "CAM2"  # KITTI's left colour camera
MAX_DEPTH_M = 80.0
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class LidarCamera:
    """``uv1 * depth_m = img_from_lidar @ xyz1``: the third coordinate is the depth along the optical axis."""

    img_from_lidar: np.ndarray  # [3, 4] float64
    width: int
    height: int


def read_calibration(path: Path) -> LidarCamera:
    """``CAM2`` of a KITTI frame's calibration: JSON with ``data_list[0].images.CAM2`` holding height, width, lidar2img.

    Raises :class:`InputError` on a file that is not there or not like that, on numbers that are not finite, and on a
    matrix whose third row does not measure in metres.
    """
    try:
        camera = json.loads(path.read_text())["data_list"][0]["images"][CAMERA]
        matrix = np.array(camera["lidar2img"], np.float64)
        width, height = int(camera["width"]), int(camera["height"])
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"cannot read the calibration {path}: {error}") from error
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{path} is no calibration of a KITTI frame: wanted data_list[0].images.{CAMERA} with height, width and "
            f"lidar2img [4, 4], missing {error}"
        ) from error
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InputError(f"{path}: lidar2img must be [4, 4] of finite numbers, got {list(matrix.shape)}")
    if min(width, height) < 1:
        raise InputError(f"{path}: the picture's size must be positive, got {width} x {height}")
    length = float(np.linalg.norm(matrix[2, :3]))
    if abs(length - 1) > _UNIT_TOLERANCE:
        raise InputError(f"{path}: the third row of lidar2img must be a unit direction, its length is {length:.4g}")
    return LidarCamera(matrix[:3], width, height)


def read_array(path: Path, what: str) -> np.ndarray:
    """An array of real numbers from a ``.npy`` file; :class:`InputError` where there is none. Pickles are refused."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read the {what} {path} as .npy: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise InputError(f"the {what} {path} must be one .npy array of real numbers")
    return array


def sparse_depth_m(points: np.ndarray, camera: LidarCamera) -> np.ndarray:
    """Depth [height, width] float32, metres along the optical axis; NaN where no point falls.

    ``points`` [K, 3 or more]: x, y, z in metres in the lidar frame first. A point belongs to the nearest pixel, and of
    several in one pixel the nearest counts. Raises :class:`InputError` where no point is given, the shape is another,
    or a coordinate is not finite.
    """
    if points.ndim != 2 or points.shape[1] < 3 or not len(points):
        raise InputError(f"wanted lidar points [K, 3 or more] (x, y, z first), got {list(points.shape)}")
    xyz = points[:, :3].astype(np.float64)
    broken = int(np.count_nonzero(~np.isfinite(xyz).all(axis=1)))
    if broken:
        raise InputError(f"{broken} of {len(xyz)} lidar points are not finite")
    projected = xyz @ camera.img_from_lidar[:, :3].T + camera.img_from_lidar[:, 3]
    projected = projected[projected[:, 2] > 0]
    depth_m = projected[:, 2]
    uv = np.rint(projected[:, :2] / depth_m[:, None])
    inside = (uv >= 0).all(axis=1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height)
    columns, rows = uv[inside].astype(np.int64).T
    out = np.full((camera.height, camera.width), np.inf)
    np.minimum.at(out, (rows, columns), depth_m[inside])
    return np.where(np.isinf(out), np.nan, out).astype(np.float32)


def evaluate(depth_m: np.ndarray, truth_m: np.ndarray, *, max_depth_m: float = MAX_DEPTH_M) -> DepthMetrics:
    """Metrics where the lidar measured something within ``max_depth_m``; see :func:`depth_metrics`.

    Raises :class:`InputError` where the shapes differ, no lidar point is in the picture and in range, or the depth is
    not finite and positive at one of them; :class:`UsageError` where the range limit is not positive.
    """
    if not max_depth_m > 0:
        raise UsageError(f"--max-depth-m must be positive, got {max_depth_m}")
    if depth_m.shape != truth_m.shape:
        raise InputError(
            f"the depth map is {list(depth_m.shape)}, the picture {list(truth_m.shape)}: "
            "resize the map to the picture's own pixels first"
        )
    try:
        metrics = depth_metrics(depth_m, truth_m, max_depth_m=max_depth_m)
    except ValueError as error:
        raise InputError(str(error)) from error
    if metrics is None:
        raise InputError(f"no lidar point falls into the picture within {max_depth_m:g} m: is it another frame's file?")
    return metrics


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.depth_lidar", description=__doc__)
    parser.add_argument("--calibration", type=Path, required=True, help="calibration.json of the frame")
    parser.add_argument("--velodyne", type=Path, required=True, help=".npy [K, 4]: x, y, z in metres, reflectance")
    parser.add_argument("--depth", type=Path, required=True, help=".npy [H, W]: metres along the optical axis")
    parser.add_argument("--max-depth-m", type=float, default=MAX_DEPTH_M, help="lidar further away is left out")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args(argv)
    try:
        truth_m = sparse_depth_m(read_array(args.velodyne, "lidar"), read_calibration(args.calibration))
        metrics = evaluate(read_array(args.depth, "depth map"), truth_m, max_depth_m=args.max_depth_m)
        if args.json is not None:
            write_json(args.json, asdict(metrics))
    except AirsideError as error:
        print(f"eval.depth_lidar: {error}", file=sys.stderr)
        return error.exit_code
    print(
        f"AbsRel {metrics.abs_rel:.4f}  RMSE {metrics.rmse_m:.3f} m  delta1 {metrics.delta1:.4f}  "
        f"delta2 {metrics.delta2:.4f}  delta3 {metrics.delta3:.4f}  over {metrics.pixels} lidar pixels"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
