"""The work behind ``python -m eval.road``: predictions made, predictions measured, both reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from airside.bank.store import BankStore
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.errors import InputError
from airside.progress import Progress
from eval.datasets.frames import RoadFrame
from eval.datasets.table import DataSet
from eval.report_file import write_json
from eval.road.measure import Measured, measure
from eval.road.peers import PatchScore
from eval.road.predictions import Predictions, find_predictions, method_folder, read_scores, write_map
from eval.road.report import write_report
from eval.road.scorers import patch_scorers, score_maps
from eval.road.summary import CONFIDENCE, RESAMPLES, summary
from eval.road.support import support_patches


def evaluate_predictions(data_set: DataSet, root: Path, predictions: Path, out: Path) -> dict[str, Any]:
    """``metrics``: every method below ``predictions``, written to ``out``/metrics.json and ``out``/report.html."""
    frames = data_set.frames(root)
    return _report(data_set, root, frames, find_predictions(predictions, data_set), out, {})


def run(
    data_set: DataSet, root: Path, model: Path, bank_path: Path, methods: Sequence[str], out: Path
) -> dict[str, Any]:
    """``run``: score maps of every method below ``out``, officially laid out, then as :func:`evaluate_predictions`."""
    engine = load_engine(model)
    bank, info = BankStore(bank_path).load()
    bank.require_model(engine.manifest.fingerprint, str(bank_path), str(model))
    frames = data_set.frames(root)
    scorers = patch_scorers(bank, methods, lambda: support_patches(engine, bank))
    return score_and_report(data_set, root, frames, engine, scorers, out, {"bank": info.id})


def score_and_report(
    data_set: DataSet,
    root: Path,
    frames: Sequence[RoadFrame],
    engine: Engine,
    scorers: Mapping[str, PatchScore],
    out: Path,
    with_what: dict[str, Any],
) -> dict[str, Any]:
    """Score maps of ``scorers`` below ``out``, then figures and the page beside them."""
    made = [Predictions(m, (method_folder(out, m, data_set),), ".hdf5") for m in scorers]
    with Progress("frames, scored", len(frames)) as progress:
        for frame in frames:
            rgb = frame.rgb()
            if rgb.shape[:2] != frame.label().shape:
                raise InputError(f"label {frame.source}: its size is not that of its picture, {list(rgb.shape[:2])}")
            for method, scores in score_maps(engine, scorers, rgb).items():
                write_map(out, method, data_set, frame.name, scores)
            progress.step()
    with_model = {"model": engine.manifest.fingerprint, "model_name": engine.manifest.name, **with_what}
    return _report(data_set, root, frames, made, out, with_model)


def _report(
    data_set: DataSet,
    root: Path,
    frames: Sequence[RoadFrame],
    predictions: Sequence[Predictions],
    out: Path,
    with_what: dict[str, Any],
) -> dict[str, Any]:
    for method in predictions:
        method.require([f.name for f in frames])
    measured: dict[str, Measured] = {}
    for method in predictions:

        def read(frame: RoadFrame, shape: tuple[int, int], method: Predictions = method) -> np.ndarray:
            return read_scores(method.path(frame.name), shape, f"the label {frame.source}")

        measured[method.method] = measure(method.method, frames, read, data_set.sizes)
    report = {
        "dataset": data_set.name,
        "title": data_set.title,
        "root": str(root),
        "frames": len(frames),
        "component_sizes": asdict(data_set.sizes),
        "bootstrap": {"resamples": RESAMPLES, "confidence": CONFIDENCE, "over": "frames"},
        **with_what,
        "methods": {name: summary(name, found) for name, found in measured.items()},
    }
    write_json(out / "metrics.json", report)
    write_report(out / "report.html", report, measured, frames, {p.method: p for p in predictions})
    return report
