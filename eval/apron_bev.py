"""The bird's-eye view on the simulator: ``python -m eval.apron --task bev [--frames N] [--json FILE]``.

Vehicles with all their cameras stop in worlds that nothing else has seen; intersection over union of each layer, pooled
over the stops, over cells in view of a camera and within 25 m (and 45 m) of the ego origin, at a probability of 0.5.
Beside it, on the same stops: a layer's best constant and the best fixed map, both chosen on development worlds; a
Simple-BEV head on the same tokens, where one is given; and thresholds chosen on the development worlds.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from airside.assets import embedded_model
from airside.config import RigConfig, load_rig
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.errors import AirsideError
from airside.geometry.bev_grid import BevGrid
from eval.aims import Aim, aim_line
from eval.apron_bev_picture import BevPick, bev_sheet
from eval.apron_protocol import BEV_DEV_SAMPLES, BEV_SAMPLES, RIG, bev_dev_plans, bev_plans
from eval.bev_frames import BevFrame, bev_frames, rig_at_size
from eval.bev_heads import Head, bev_spec_of, network_head, scored_layers, simple_bev_head, truth_of
from eval.bev_scores import THRESHOLD, BevScores, Priors, ThresholdChoice, priors
from eval.report_file import require_png, write_json, write_png
from training.rig_frames import RigPlan

RADII_M = (25.0, 45.0)  # the first is the one that counts
NETWORK = "network"
Render = Callable[[Sequence[RigPlan], RigConfig, BevGrid, str], Iterable[BevFrame]]
AIM_VEHICLES = 0.4
AIM_GAP = 0.5  # of the way from the constant prior to 1, for the drivable area


class BevTest:
    """Sends rigs' pictures through the engine and through every head. ``heads`` holds the network's own, by name
    :data:`NETWORK`, and others on the same tokens. First :meth:`choose` on development frames, then :meth:`add`.
    """

    def __init__(self, engine: Engine, heads: dict[str, Head]) -> None:
        self._engine, self._heads = engine, heads
        spec = bev_spec_of(engine.manifest)
        self.layers, self._grid = scored_layers(spec), spec.grid
        self._near = RADII_M[0]
        self._scores = {radius: BevScores(self.layers, self._grid, radius) for radius in RADII_M}
        self._by_condition: dict[str, BevScores] = {}
        self._priors: dict[float, Priors] = {}
        self.thresholds: dict[str, dict[str, float]] = {}  # head -> layer -> chosen
        self.frames: Counter[str] = Counter()  # by condition

    def choose(self, frames: Iterable[BevFrame]) -> None:
        """Priors and thresholds, from frames that are not scored."""
        truths = []
        choices = {name: ThresholdChoice(self.layers, self._grid, self._near) for name in self._heads}
        for frame in frames:
            truths.append((truth_of(frame.layers, self.layers), frame.visible))
            for name, probabilities in self._see(frame).items():
                choices[name].add(probabilities, frame)
        self._priors = {radius: priors(truths, len(self.layers), self._grid, radius) for radius in RADII_M}
        self.thresholds = {name: choice.chosen() for name, choice in choices.items()}

    def add(self, frame: BevFrame) -> dict[str, np.ndarray]:
        """Take one frame; head -> probabilities [L, X, Y]."""
        seen = self._see(frame)
        answers = {name: probabilities >= THRESHOLD for name, probabilities in seen.items()}
        for name, chosen in self.thresholds.items():
            at = np.array([chosen[layer] for layer in self.layers])[:, None, None]
            answers[_dev(name)] = seen[name] >= at
        for radius, scores in self._scores.items():
            fixed = self._priors[radius]
            scores.add({**answers, "constant": fixed.constant, "mean_map": fixed.mean_map}, frame)
        if frame.condition not in self._by_condition:
            self._by_condition[frame.condition] = BevScores(self.layers, self._grid, self._near)
        mean_map = self._priors[self._near].mean_map
        self._by_condition[frame.condition].add({NETWORK: answers[NETWORK], "mean_map": mean_map}, frame)
        self.frames[frame.condition] += 1
        return seen

    def _see(self, frame: BevFrame) -> dict[str, np.ndarray]:
        out = self._engine.outputs(frame.rgb)
        return {name: head(out) for name, head in self._heads.items()}

    def report(self) -> dict[str, Any]:
        """Plain values: ``within_25_m`` and ``within_45_m`` by layer, ``by_condition``, thresholds and aims."""
        tables = {f"within_{radius:g}_m": self._table(scores) for radius, scores in self._scores.items()}
        return {
            **tables,
            "by_condition": {name: scores.iou() for name, scores in sorted(self._by_condition.items())},
            "dev_thresholds": self.thresholds,
            "aims": [aim.as_json() for aim in aims(tables[f"within_{self._near:g}_m"])],
        }

    def _table(self, scores: BevScores) -> dict[str, dict[str, Any]]:
        found, cells = scores.iou(), scores.cells()[NETWORK]
        return {
            layer: {
                **row,
                "gap_closed": gap_closed(row[NETWORK], row["constant"]),
                "gap_closed_mean_map": gap_closed(row[NETWORK], row["mean_map"]),
                "truth_cells": cells[layer].positives,
                "cells": cells[layer].cells,
            }
            for layer, row in found.items()
        }


def gap_closed(iou: float | None, prior: float | None) -> float | None:
    """How much of the way from ``prior`` to 1 was gone; negative below it. ``None`` where there is no such way."""
    if iou is None or prior is None or prior >= 1:
        return None
    return (iou - prior) / (1 - prior)


def aims(table: dict[str, dict[str, Any]]) -> list[Aim]:
    """What the bird's-eye view is meant to reach, from the figures within the first radius."""
    row = table.get("drivable", {})
    return [
        Aim("drivable: gap from the constant prior to 1 closed", AIM_GAP, row.get("gap_closed"), at_least=True),
        Aim(
            "drivable: gap from the best fixed map to 1 closed", AIM_GAP, row.get("gap_closed_mean_map"), at_least=True
        ),
        Aim("vehicles: IoU", AIM_VEHICLES, table.get("vehicles", {}).get(NETWORK), at_least=True),
    ]


def evaluate(
    engine: Engine,
    rig_path: Path,
    simple_bev: Path | None,
    plans: tuple[Sequence[RigPlan], Sequence[RigPlan]],
    render: Render,
    pick: BevPick | None = None,
) -> dict[str, Any]:
    """The report of :class:`BevTest`. ``plans``: development's and the test's; ``render`` as :func:`bev_frames` without
    its last two; ``pick`` keeps some frames to be shown."""
    manifest = engine.manifest
    spec = bev_spec_of(manifest)
    rig = rig_at_size(load_rig(rig_path), manifest.height_px, manifest.width_px)
    heads = {NETWORK: network_head(engine, rig)}
    if simple_bev is not None:
        heads["simple_bev"] = simple_bev_head(simple_bev, rig, manifest)
    test = BevTest(engine, heads)
    test.choose(render(plans[0], rig, spec.grid, "development worlds"))
    for frame in render(plans[1], rig, spec.grid, "worlds seen from above"):
        probabilities = test.add(frame)[NETWORK]
        if pick is not None:
            pick.offer(frame, probabilities)
    return {
        **test.report(),
        "protocol": {
            "frames": sum(test.frames.values()),
            "conditions": dict(test.frames),
            "dev_frames": sum(plan.poses for plan in plans[0]),
            "cameras": [camera.name for camera in rig.cameras],
            "threshold": THRESHOLD,
            "cell_m": spec.grid.cell_m,
            "model": manifest.fingerprint,
        },
    }


def _dev(name: str) -> str:
    return f"{name}_dev_threshold"


def print_table(report: dict[str, Any]) -> None:
    p = report["protocol"]
    print(f"\n{p['frames']} stops of a vehicle with {len(p['cameras'])} cameras, IoU in view at {p['threshold']:g}")
    for radius in RADII_M:
        table = report[f"within_{radius:g}_m"]
        names = [name for name in next(iter(table.values())) if name not in ("truth_cells", "cells")]
        print(f"within {radius:g} m    " + " ".join(f"{layer:>10}" for layer in table))
        for name in names:
            print(f"  {name:24}" + " ".join(f"{_figure(row[name]):>10}" for row in table.values()))
    for aim in report["aims"]:
        print(aim_line(aim))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.apron --task bev", description=__doc__)
    parser.add_argument("--frames", type=int, default=BEV_SAMPLES, help="stops of the vehicle")
    parser.add_argument("--dev-frames", type=int, default=BEV_DEV_SAMPLES, help="stops to choose priors on")
    parser.add_argument("--rig", type=Path, default=RIG)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--simple-bev", type=Path, default=None, help="safetensors of a Simple-BEV head to compare")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the rendered frames")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--picture", type=Path, default=None, help="a PNG that shows some of the stops")
    args = parser.parse_args(argv)
    if args.frames < 1 or args.dev_frames < 1:
        parser.error(f"--frames and --dev-frames must be at least 1, got {args.frames} and {args.dev_frames}")

    def render(plans: Sequence[RigPlan], rig: RigConfig, grid: BevGrid, what: str) -> Iterable[BevFrame]:
        return bev_frames(plans, rig, grid, what, args.workers, args.cache)

    try:
        if args.picture is not None:
            require_png(args.picture)
        engine = load_engine(args.model or embedded_model())
        spec = bev_spec_of(engine.manifest)
        pick = BevPick(scored_layers(spec), spec.grid) if args.picture is not None else None
        plans = bev_dev_plans(args.dev_frames), bev_plans(args.frames)
        report = evaluate(engine, args.rig, args.simple_bev, plans, render, pick)
        print_table(report)
        if args.json is not None:
            write_json(args.json, report)
        if pick is not None:
            write_png(args.picture, bev_sheet(pick, load_rig(args.rig)))
    except AirsideError as error:
        print(f"eval.apron_bev: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
