"""What a bank makes of labelled pictures it was not made from: names, confusions, coverage, and what alarms wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from airside.bank.store import BankStore
from airside.engine.onnx import load_engine
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.ood.evidence import patch_evidence
from prototypes.build import Report
from prototypes.collect import MIN_PURITY
from prototypes.labelled import LabelledSet

CONFUSIONS = 3  # listed of a class


def bank_report(
    labelled: LabelledSet, root: Path, model: Path, bank_path: Path, method: str, report: Report
) -> dict[str, Any]:
    """Over patches of one class (70 % or more of it) in the test pictures. ``classes``: of each how many patches there
    were, the share called by its name, the share that alarms at the site's threshold (its coverage is the rest), and
    what it is taken for. ``unknown_to_bank``: classes the bank does not hold, with the share that alarms: what is
    missed is the rest."""
    engine = load_engine(model)
    bank, info = BankStore(bank_path).load()
    bank.require_model(engine.manifest.fingerprint, str(bank_path), str(model))
    way = knowledge_from_bank(bank, info.id, method)
    pictures = labelled.pictures(root, "test")
    names, patch = labelled.names, engine.manifest.patch_px
    counts = np.zeros((len(names), len(way.index.names)), np.int64)
    alarms = np.zeros(len(names), np.int64)
    for done, picture in enumerate(pictures, 1):
        net, classes = picture.for_network(engine.manifest, labelled.unlabelled)
        found = map_from_tokens(engine.tokens(net.image[None])[0], way)
        alarming = (patch_evidence(found.ood_score, net.observed) > way.threshold)[net.observed]
        rows, columns = found.ood_score.shape
        cells = classes.reshape(rows, patch, columns, patch).transpose(0, 2, 1, 3)[net.observed].reshape(-1, patch**2)
        for index in np.unique(cells).tolist():
            pure = (cells == index).mean(axis=1) >= MIN_PURITY
            counts[index] += np.bincount(found.class_index[net.observed][pure], minlength=counts.shape[1])
            alarms[index] += int(alarming[pure].sum())
        report("test pictures", done, len(pictures))
    told = [k for k in range(len(names) - 1) if counts[k].sum()]
    return {
        "dataset": labelled.name,
        "pictures": len(pictures),
        "method": method,
        "threshold": way.threshold,
        "calibrated": way.calibrated,
        "bank": info.id,
        "model": engine.manifest.fingerprint,
        "classes": {
            names[k]: _known(names[k], counts[k], alarms[k], way.index.names)
            for k in told
            if names[k] in way.index.names
        },
        "unknown_to_bank": {
            names[k]: _unknown(counts[k], alarms[k], way.index.names) for k in told if names[k] not in way.index.names
        },
    }


def _known(name: str, count: np.ndarray, alarms: int, known: tuple[str, ...]) -> dict[str, Any]:
    total = int(count.sum())
    others = {n: s for n, s in _shares(count, known).items() if n != name}
    return {
        "patches": total,
        "named_right": float(count[known.index(name)] / total),
        "alarms": float(alarms / total),
        "taken_for": dict(list(others.items())[:CONFUSIONS]),
    }


def _unknown(count: np.ndarray, alarms: int, known: tuple[str, ...]) -> dict[str, Any]:
    total = int(count.sum())
    taken = dict(list(_shares(count, known).items())[:CONFUSIONS])
    return {"patches": total, "alarms": float(alarms / total), "taken_for": taken}


def _shares(count: np.ndarray, known: tuple[str, ...]) -> dict[str, float]:
    """Class -> share of the patches, largest first, none left out but zeros."""
    order = np.argsort(-count, kind="stable")
    return {known[k]: float(count[k] / count.sum()) for k in order if count[k]}


def report_lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    state = "" if found["calibrated"] else ", NOT calibrated"
    lines = [
        f"{found['pictures']} pictures of {found['dataset']}, {found['method']} at {found['threshold']:.3f}{state}",
        f"{'class':16} {'patches':>8} {'named':>7} {'alarms':>7}  taken for",
    ]
    for group, right in (("classes", True), ("unknown_to_bank", False)):
        for name, row in found[group].items():
            named = f"{row['named_right']:7.1%}" if right else "unknown"
            taken = ", ".join(f"{n} {s:.0%}" for n, s in row["taken_for"].items())
            lines.append(f"{name:16} {row['patches']:8} {named} {row['alarms']:7.1%}  {taken}")
    return lines
