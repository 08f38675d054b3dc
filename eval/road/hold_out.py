"""One class left out: a bank of all other classes of a labelled data set, and how well it notices that one.

``python -m eval.road hold-out --dataset camvid --root DIR --out DIR``: for each held-out class the bank is made anew
from the training pictures without it; in the test pictures its pixels are unknown, unlabelled ones are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from airside.engine.onnx import load_engine
from airside.errors import InputError, UsageError
from airside.progress import Progress
from eval.datasets.frames import IGNORE, KNOWN, UNKNOWN, RoadFrame
from eval.datasets.table import DataSet
from eval.metrics.components import OBSTACLE_SIZES
from eval.report_file import write_json
from eval.road.commands import score_and_report
from eval.road.scorers import patch_scorers
from eval.road.support import SupportPatches
from prototypes.collect import Collector
from prototypes.labelled import LabelledPicture, LabelledSet
from prototypes.labelled_bank import collect, learn_labelled


def classes_from(words: str | None, labelled: LabelledSet) -> tuple[str, ...]:
    """``a,b`` or, by default, every thing. Raises :class:`UsageError` on a class that is not there."""
    if words is None:
        return tuple(n for n in labelled.names if n in labelled.things)
    names = tuple(words.split(","))
    unknown = [n for n in names if n not in labelled.names[:-1]]
    if unknown:
        raise UsageError(f"--classes {words}: {labelled.title} has {', '.join(labelled.names[:-1])}")
    return names


def hold_out(
    labelled: LabelledSet, root: Path, model: Path, classes: Sequence[str], methods: Sequence[str], out: Path
) -> dict[str, Any]:
    """Each class's own report in ``out``/CLASS, all figures in ``out``/metrics.json."""
    engine = load_engine(model)
    tested = labelled.pictures(root, "test")
    taught = labelled.pictures(root, "train")
    with Progress("pictures, classes learnt", len(taught)) as progress:
        collector = collect(engine, labelled, taught, lambda *_: progress.step())
    results: dict[str, Any] = {}
    for name in classes:
        frames = _frames(labelled, tested, name)
        if not frames:
            raise InputError(f"{root}: no test picture of {labelled.title} shows {name!r}; leave it out of --classes")
        bank = learn_labelled(engine, labelled, collector, without=frozenset({name}))
        scorers = patch_scorers(bank, methods, partial(_support, collector, bank.names))
        report = score_and_report(
            _data_set(labelled, name), root, frames, engine, scorers, out / name, {"held_out": name}
        )
        results[name] = report["methods"]
    report = {
        "dataset": f"{labelled.name}, one class held out",
        "model": engine.manifest.fingerprint,
        "held_out": results,
        "mean": {
            m: {f: float(np.mean([results[c][m][f] for c in results])) for f in ("ap", "auroc", "fpr95")}
            for m in methods
        },
    }
    write_json(out / "metrics.json", report)
    return report


def _support(collector: Collector, names: tuple[str, ...]) -> SupportPatches:
    return SupportPatches.from_classes([np.concatenate(collector.tokens[n]) for n in names], names)


def _data_set(labelled: LabelledSet, name: str) -> DataSet:
    title = f"{labelled.title}, {name} held out"
    return DataSet(
        f"{labelled.name}-without-{name}", title, (f"{labelled.title}-{name}",), lambda root: (), OBSTACLE_SIZES,
        labelled.wanted, labelled.source,
    )  # fmt: skip


def _frames(labelled: LabelledSet, pictures: Sequence[LabelledPicture], name: str) -> list[RoadFrame]:
    """The pictures that show ``name``."""
    wanted = labelled.names.index(name)
    codes = np.full(len(labelled.names), KNOWN, np.uint8)
    codes[[wanted, labelled.unlabelled]] = UNKNOWN, IGNORE
    return [
        RoadFrame(p.name, p.name.split("_")[0], str(p.label), p.rgb, partial(_label, p, codes))
        for p in pictures
        if (p.classes() == wanted).any()
    ]


def _label(picture: LabelledPicture, codes: np.ndarray) -> np.ndarray:
    return np.asarray(codes[picture.classes()])
