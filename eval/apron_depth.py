"""Metric depth on the simulator: ``python -m eval.apron --task depth --json FILE [--frames N] [--picture FILE.png]``.

The benchmark's own test frames (:class:`Protocol`), pixels with truth up to 45 m: the network's depth, and what a
camera that knows its true pose and nothing else would say, the level ground. Both know that nothing is further than
45 m: where the ground plane has no value, at and above the horizon or beyond, it says 45 m.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.assets import embedded_model
from airside.engine.bundle import Manifest
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.errors import AirsideError, CorruptError, UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.ground_scale import plane_depth_m
from airside.geometry.transforms import RigidTransform
from eval.aims import Aim, aim_line
from eval.apron import rendered, unknown_instances
from eval.apron_depth_picture import DepthPick, depth_sheet
from eval.apron_protocol import Protocol
from eval.metrics.depth import DepthAccumulator
from eval.report_file import require_png, write_json, write_png
from training.apron.frames import LabelledFrame
from training.apron.renderer import View

MAX_DEPTH_M, MIN_DEPTH_M = 45.0, 0.1
BANDS_M = ((0, 10), (10, 20), (20, 30), (30, 45))
INTERPOLATION = "bilinear"  # of the two below; the report gives both, so that the choice can be checked
INTERPOLATIONS = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST_EXACT}
SUBSETS = ("everything", "objects", "unknown_objects")
AIM_EVERYTHING, AIM_OBJECTS, AIM_GAIN = 0.10, 0.15, 1 / 3


@dataclass(frozen=True, slots=True, eq=False)
class DepthSeen:
    """One frame's depth in metres along the optical axis, [H, W] float, at the frame's size."""

    network_m: np.ndarray
    ground_plane_m: np.ndarray


def metric_depth_m(
    depth: np.ndarray, manifest: Manifest, camera: PinholeCamera, interpolation: str = INTERPOLATION
) -> np.ndarray:
    """The network's ``depth`` [Hd, Wd] as metres [H, W] float32 of ``camera``, whose pictures the network takes as they
    are, within [0.1 m, 45 m]. Raises :class:`CorruptError` where it is not finite."""
    if manifest.depth_focal_px is None:
        raise _no_depth(manifest)
    if not np.isfinite(depth).all():
        raise CorruptError(f"the model {manifest.name} gives a depth that is not finite; export the bundle anew")
    size = camera.width, camera.height
    wide = cv2.resize(depth.astype(np.float32), size, interpolation=INTERPOLATIONS[interpolation])
    return np.asarray(np.clip(wide * (camera.fx / manifest.depth_focal_px), MIN_DEPTH_M, MAX_DEPTH_M))


def ground_plane_m(camera: PinholeCamera, ego_from_cam: RigidTransform) -> np.ndarray:
    """[H, W] float64: level ground at the camera's true pose, 45 m where there is none or it is further."""
    depth_m = plane_depth_m(camera, ego_from_cam)
    return np.asarray(np.where(depth_m <= MAX_DEPTH_M, depth_m, MAX_DEPTH_M))


def camera_of(view: View) -> tuple[PinholeCamera, RigidTransform]:
    """The simulator's camera, and its pose over the ground it stands on."""
    middle = (view.width_px - 1) / 2, (view.height_px - 1) / 2
    lens = PinholeCamera(view.focal_px, view.focal_px, *middle, view.width_px, view.height_px)
    return lens, RigidTransform(view.world_from_cam(), np.array(view.xyz_m))


class DepthTest:
    """Sends frames through the network, every row of the report pooled over all of their pixels.

    Raises :class:`UsageError` for a model without depth.
    """

    def __init__(self, engine: Engine) -> None:
        if engine.manifest.depth_focal_px is None:
            raise _no_depth(engine.manifest)
        self._engine = engine
        self._rows: dict[tuple[str, str, str, str], DepthAccumulator] = {}  # table, row, subset, method
        self.frames: Counter[str] = Counter()

    def add(self, frame: LabelledFrame) -> DepthSeen:
        """Take one frame, whose picture is of the network's size; its maps are for whoever wants to see them."""
        depth = self._engine.outputs(frame.rgb[None]).depth
        if depth is None:
            raise _no_depth(self._engine.manifest)
        camera, pose = camera_of(frame.view)
        maps = {way: metric_depth_m(depth[0], self._engine.manifest, camera, way) for way in INTERPOLATIONS}
        seen = DepthSeen(maps[INTERPOLATION], ground_plane_m(camera, pose))
        truth, objects = frame.depth_m, frame.instance >= 0
        unknown = np.isin(frame.instance, list(unknown_instances(frame)))
        subsets = dict(zip(SUBSETS, (np.ones_like(objects), objects, unknown), strict=True))
        rows = {("all", "all"): np.ones_like(objects)}
        rows |= {
            ("by_lens", frame.lens): np.ones_like(objects),
            ("by_condition", frame.condition): np.ones_like(objects),
        }
        rows |= {("by_range", f"{low}-{high} m"): (truth > low) & (truth <= high) for low, high in BANDS_M}
        for (table, row), in_row in rows.items():
            for subset, mask in subsets.items():
                for method, depth_m in (("network", seen.network_m), ("ground_plane", seen.ground_plane_m)):
                    self._pooled(table, row, subset, method).add(depth_m, truth, mask=mask & in_row)
        for way, depth_m in maps.items():
            for subset, mask in subsets.items():
                self._pooled("by_interpolation", way, subset, "network").add(depth_m, truth, mask=mask)
        self.frames[frame.lens] += 1
        return seen

    def _pooled(self, *key: str) -> DepthAccumulator:
        table, row, subset, method = key
        return self._rows.setdefault((table, row, subset, method), DepthAccumulator(max_depth_m=MAX_DEPTH_M))

    def report(self) -> dict[str, Any]:
        """Plain values: tables by row, subset and method (``None`` where no pixel counts), and the aims."""
        tables: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
        for (table, row, subset, method), pooled in self._rows.items():
            metrics = pooled.compute()
            cells = tables.setdefault(table, {}).setdefault(row, {}).setdefault(subset, {})
            cells[method] = None if metrics is None else asdict(metrics)
        overall = tables.pop("all")["all"]
        return {**overall, **tables, "aims": [aim.as_json() for aim in aims(overall)]}


def aims(overall: dict[str, dict[str, Any]]) -> list[Aim]:
    """What depth is meant to reach, from the figures over all frames."""
    found = {
        (subset, method): None if m is None else float(m["abs_rel"])
        for subset, methods in overall.items()
        for method, m in methods.items()
    }
    mine, plane = found["objects", "network"], found["objects", "ground_plane"]
    return [
        Aim("AbsRel on everything", AIM_EVERYTHING, found["everything", "network"]),
        Aim("AbsRel on objects", AIM_OBJECTS, mine),
        Aim(
            "share of the ground plane's AbsRel on objects that is gone",
            AIM_GAIN,
            1 - mine / plane if mine is not None and plane else None,
            at_least=True,
        ),
    ]


def _no_depth(manifest: Manifest) -> UsageError:
    return UsageError(
        f"the model {manifest.name} has no depth (its outputs: {', '.join(manifest.outputs)}); give a bundle with a "
        "trained depth head with --model"
    )


def evaluate(
    model: Path, protocol: Protocol, workers: int, cache: Path | None, pick: DepthPick | None = None
) -> dict[str, Any]:
    """The report of :class:`DepthTest` on the protocol's test frames; ``pick`` keeps some of them to be shown."""
    engine = load_engine(model)
    test, conditions = DepthTest(engine), Counter[str]()
    for frame in rendered(protocol.test_plans(), "worlds with unknown objects", workers, cache):
        seen = test.add(frame)
        conditions[frame.condition] += 1
        if pick is not None:
            pick.offer(frame, seen.network_m, seen.ground_plane_m)
    return {
        **test.report(),
        "protocol": {
            "frames": sum(test.frames.values()),
            "lenses": dict(test.frames),
            "conditions": dict(conditions),
            "max_depth_m": MAX_DEPTH_M,
            "interpolation": INTERPOLATION,
            "depth_focal_px": engine.manifest.depth_focal_px,
            "model": engine.manifest.fingerprint,
        },
    }


def print_table(report: dict[str, Any]) -> None:
    print(f"\n{report['protocol']['frames']} frames, depth up to {MAX_DEPTH_M:g} m; network | ground plane")
    print(f"{'':24} {'AbsRel':>15} {'RMSE, m':>15} {'delta1':>15}")
    for subset in SUBSETS:
        print(_line(subset.replace("_", " "), report[subset]))
    for table in ("by_lens", "by_condition", "by_range"):
        for row, cells in report[table].items():
            print(_line(f"  objects, {row}", cells["objects"]))
    for aim in report["aims"]:
        print(aim_line(aim))


def _line(title: str, methods: dict[str, Any]) -> str:
    both = [methods["network"], methods["ground_plane"]]
    cells = (
        " | ".join("-" if m is None else f"{m[key]:.{digits}f}" for m in both)
        for key, digits in (("abs_rel", 3), ("rmse_m", 2), ("delta1", 3))
    )
    return f"{title:24} " + " ".join(f"{cell:>15}" for cell in cells)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.apron --task depth", description=__doc__)
    parser.add_argument("--frames", type=int, default=Protocol().frames)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the rendered frames")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--picture", type=Path, default=None, help="a PNG that shows some of the frames")
    args = parser.parse_args(argv)
    if args.frames < 1:
        parser.error(f"--frames must be at least 1, got {args.frames}")
    try:
        if args.picture is not None:
            require_png(args.picture)
        pick = DepthPick(MAX_DEPTH_M) if args.picture is not None else None
        report = evaluate(args.model or embedded_model(), Protocol(args.frames), args.workers, args.cache, pick)
        print_table(report)
        write_json(args.json, report)
        if pick is not None:
            write_png(args.picture, depth_sheet(pick))
    except AirsideError as error:
        print(f"eval.apron_depth: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
