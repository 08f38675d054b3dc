"""Cost against size: ``python -m eval.scale --json FILE [--prototypes 10 1000 10000 1000000] [--plot FILE.png]``

Bank search for the 448 patches of a picture against banks of 10 to a million prototypes (clustered, as patches of
things are), with recall@1 against the exact search; a tick's search against classes; the network pass of the embedded
model against cameras, and of its architecture against the picture's size; registering five pictures against the classes
that the bank already has.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from airside.assets import embedded_demo, embedded_model
from airside.bank.bank import ClassKind, KnownClass, PrototypeBank, SupportCrop
from airside.bank.nearest import NearestIndex
from airside.bank.search import PrototypeIndex
from airside.bank.store import BankStore
from airside.commands.demo import load_script
from airside.engine.machine import processor
from airside.engine.onnx import load_engine
from airside.enrolment.enrol import enrol
from airside.enrolment.support import SupportImage, mask_from_box
from eval.report_file import write_json, write_png
from eval.timing import interleaved
from training.export_mini import export
from training.network import Mini, MiniConfig

PATCHES, WIDTH = 448, 192
PROTOTYPES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
CLASSES = (5, 10, 20, 40, 80)
CAMERAS = (1, 2, 4, 6, 8)
REGISTERED = (10, 30, 100, 300, 1_000)  # classes that are there already
SIZES = ((112, 196), (224, 392), (336, 588), (448, 784))
KEPT_CROPS, CROP_PX = 5, 96


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


def size_cost(rounds: int) -> dict[str, float]:
    """HxW -> best milliseconds of one picture's pass through the embedded model's architecture, random weights."""
    engines, pictures = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for height, width in SIZES:
            torch.manual_seed(0)
            out = Path(folder) / f"{height}x{width}"
            export(Mini(MiniConfig(height_px=height, width_px=width)).eval(), out)
            engines[out.name] = load_engine(out)
            pictures[out.name] = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    times = interleaved({n: (lambda e=e, n=n: e.outputs(pictures[n])) for n, e in engines.items()}, rounds)
    return {name: times[name].best_ms for name in engines}


@dataclass(frozen=True, slots=True)
class Registration:
    """Teaching one class from five pictures to a bank of ``classes``, best milliseconds: learning it, with what it
    would hide, and writing the new version."""

    classes: int
    learn_ms: float
    commit_ms: float


def registration_cost(rounds: int) -> list[Registration]:
    """One entry a size of bank; its classes keep as many crops as a registered one does."""
    engine, script = load_engine(embedded_model()), load_script(embedded_demo())
    support = []
    for path, box in script.support:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        support.append(SupportImage(path.name, image, mask_from_box(box, image.shape[:2], path.name)))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for classes in REGISTERED:
            bank, store = (
                _bank(classes, engine.manifest.fingerprint, KEPT_CROPS),
                BankStore(Path(folder) / f"{classes}"),
            )
            store.create(bank, "eval", "scale")
            taught = enrol(bank, engine, "new", support, boxed=True, allow_hiding=True)[0]
            things = {
                "learn": lambda bank=bank: enrol(bank, engine, "new", support, boxed=True, allow_hiding=True),
                "commit": lambda store=store, taught=taught: store.commit(lambda _: taught, "eval", "scale"),
            }
            times = interleaved(things, rounds)
            found.append(Registration(classes, times["learn"].best_ms, times["commit"].best_ms))
    return found


def _bank(classes: int, fingerprint: str = "f" * 64, crops: int = 0) -> PrototypeBank:
    known = tuple(
        KnownClass(
            name=f"class{k}",
            kind=ClassKind.THING,
            protected=False,
            prototypes=clustered(4, seed=10 + k),
            mean=clustered(1, seed=10 + k)[0],
            held_out_similarity=np.linspace(0, 1, 50, dtype=np.float32),
            support=tuple(_crop(k, number) for number in range(crops)),
            pictures=30,
        )
        for k in range(classes)
    )
    return PrototypeBank(fingerprint, known, (), np.zeros((0, WIDTH), np.float32), ())


def _crop(*seed: int) -> SupportCrop:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (CROP_PX // 8, CROP_PX // 8, 3), np.uint8)
    picture = cv2.resize(coarse, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC)
    mask = np.full((CROP_PX, CROP_PX), 255, np.uint8)
    files = [cv2.imencode(kind, values)[1].tobytes() for kind, values in ((".jpg", picture), (".png", mask))]
    return SupportCrop(files[0], files[1], rng.bytes(32).hex())


def plot(report: dict[str, Any]) -> np.ndarray:
    """[H, W, 3] uint8: one panel a question."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    searches, taught = report["prototypes"], report["registrations"]
    megapixels = [int(h) * int(w) / 1e6 for h, w in (name.split("x") for name in report["sizes"])]
    curves = [
        ("prototypes in the bank", "search", [s["prototypes"] for s in searches], [s["best_ms"] for s in searches]),
        ("classes in the bank", "search of a tick", *_columns(report["classes"])),
        ("cameras", "network", *_columns(report["cameras"])),
        ("megapixels of the network's picture", "network", megapixels, list(report["sizes"].values())),
        ("classes in the bank", "registering", [t["classes"] for t in taught],
         [t["learn_ms"] + t["commit_ms"] for t in taught]),
    ]  # fmt: skip
    figure, axes = pyplot.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.6), layout="constrained")
    for axis, (across, what, sizes, times) in zip(axes, curves, strict=True):
        axis.plot(sizes, times, "o-")
        axis.set(xlabel=across, ylabel="ms", title=what, ylim=(0, None))
        axis.grid(alpha=0.3)
    for number in (0, 4):
        axes[number].set_xscale("log")
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
    pyplot.close(figure)
    return picture


def _columns(cost: dict[Any, float]) -> tuple[list[Any], list[float]]:
    return list(cost.keys()), list(cost.values())


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
        "sizes": size_cost(args.rounds),
        "registrations": [asdict(found) for found in registration_cost(args.rounds)],
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
