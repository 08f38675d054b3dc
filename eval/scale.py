"""Cost against size: ``python -m eval.scale --json FILE [--prototypes 10 1000 10000 1000000] [--plot FILE.png]``

Bank search for the 448 patches of a picture against banks of 10 to a million prototypes (clustered, as patches of
things are), with recall@1 against the exact search; the network pass against cameras; a tick's search against classes.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from airside.assets import embedded_model
from airside.bank.bank import ClassKind, KnownClass, PrototypeBank
from airside.bank.nearest import NearestIndex
from airside.bank.search import PrototypeIndex
from airside.engine.machine import processor
from airside.engine.onnx import load_engine
from eval.report_file import write_json, write_png
from eval.timing import interleaved

PATCHES, WIDTH = 448, 192
PROTOTYPES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
CLASSES = (5, 10, 20, 40, 80)
CAMERAS = (1, 2, 4, 6, 8)


@dataclass(frozen=True, slots=True)
class Search:
    """Nearest prototype of :data:`PATCHES` tokens; ``probes`` 0: exact."""

    prototypes: int
    best_ms: float
    median_ms: float
    recall_at_1: float
    probes: int
    build_s: float


def clustered(rows: int, seed: int, clusters: int = 3000) -> np.ndarray:
    """[rows, WIDTH] float32 unit vectors about the same centres for every ``seed``."""
    centres = np.random.default_rng(0).normal(size=(clusters, WIDTH)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    spread = rng.standard_normal((rows, WIDTH), np.float32) * np.float32(0.6 / np.sqrt(WIDTH))
    points = centres[rng.integers(0, clusters, rows)] + spread
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)


def search_cost(counts: list[int], rounds: int) -> list[Search]:
    """One entry a size; the sizes are timed interleaved."""
    tokens = clustered(PATCHES, seed=1)
    indices, built, recalls = {}, {}, {}
    for count in counts:
        prototypes = clustered(count, seed=2)
        start = time.perf_counter()
        indices[count] = NearestIndex(prototypes)
        built[count] = time.perf_counter() - start
        parts = np.split(prototypes, range(100_000, count, 100_000))  # all at once would be gigabytes
        best = np.max([(part @ tokens.T).max(axis=0) for part in parts], axis=0)
        recalls[count] = float(np.mean(indices[count].search(tokens, 1)[0][:, 0] >= best - 1e-5))
    times = interleaved(
        {str(count): (lambda index=index: index.search(tokens, 1)) for count, index in indices.items()}, rounds
    )
    return [
        Search(
            count,
            times[str(count)].best_ms,
            times[str(count)].median_ms,
            round(recalls[count], 4),
            indices[count].probes,
            round(built[count], 1),
        )
        for count in counts
    ]


def class_cost(rounds: int) -> dict[int, float]:
    """Number of classes -> best milliseconds of everything a tick asks of the bank."""
    tokens = clustered(PATCHES, seed=1)
    indices = {count: PrototypeIndex(_bank(count)) for count in CLASSES}
    times = interleaved({str(c): (lambda index=i: index.similarity(tokens)) for c, i in indices.items()}, rounds)
    return {count: times[str(count)].best_ms for count in CLASSES}


def camera_cost(rounds: int) -> dict[int, float]:
    """Number of cameras -> best milliseconds of the embedded model's pass."""
    engine = load_engine(embedded_model())
    m = engine.manifest
    pictures = np.random.default_rng(0).integers(0, 256, (max(CAMERAS), m.height_px, m.width_px, 3), np.uint8)
    times = interleaved({str(n): (lambda n=n: engine.outputs(pictures[:n])) for n in CAMERAS}, rounds)
    return {n: times[str(n)].best_ms for n in CAMERAS}


def _bank(classes: int) -> PrototypeBank:
    known = tuple(
        KnownClass(
            name=f"class{k}",
            kind=ClassKind.THING,
            protected=False,
            prototypes=clustered(4, seed=10 + k),
            mean=clustered(1, seed=10 + k)[0],
            held_out_similarity=np.linspace(0, 1, 50, dtype=np.float32),
            support=(),
            pictures=30,
        )
        for k in range(classes)
    )
    return PrototypeBank("f" * 64, known, (), np.zeros((0, WIDTH), np.float32), ())


def plot(report: dict[str, Any]) -> np.ndarray:
    """[H, W, 3] uint8: three curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    searches = report["prototypes"]
    curves = [
        ("prototypes", [s["prototypes"] for s in searches], [s["best_ms"] for s in searches]),
        ("classes of four prototypes", *zip(*report["classes"].items(), strict=True)),
        ("cameras", *zip(*report["cameras"].items(), strict=True)),
    ]
    for axis, (name, sizes, times) in zip(axes, curves, strict=True):
        axis.plot(sizes, times, "o-")
        axis.set(xlabel=name, ylabel="ms", ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].set_xscale("log")
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
    pyplot.close(figure)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--prototypes", nargs="+", type=int, default=list(PROTOTYPES))
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    report: dict[str, Any] = {
        "processor": processor(),
        "prototypes": [asdict(found) for found in search_cost(args.prototypes, args.rounds)],
        "classes": class_cost(args.rounds),
        "cameras": camera_cost(args.rounds),
    }
    by_size = {found["prototypes"]: found["best_ms"] for found in report["prototypes"]}
    if {10_000, 1_000_000} <= by_size.keys():
        report["million_over_ten_thousand"] = round(by_size[1_000_000] / by_size[10_000], 2)
    write_json(args.json, report)
    if args.plot is not None:
        write_png(args.plot, plot(report))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
