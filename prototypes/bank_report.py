"""What a bank makes of pictures it was not made from: names, confusions, coverage, thin classes, and what it misses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from airside.bank.bank import KnownClass, PrototypeBank
from airside.bank.search import MANY_PICTURES
from airside.engine.engine import Engine
from airside.errors import InputError
from airside.knowledge import Knowledge, map_from_tokens
from airside.ood.evidence import patch_evidence
from prototypes.collect import MIN_PURITY
from prototypes.shown import Shown

CONFUSIONS = 3  # listed of a class
OWN_LEVEL = 0.05  # of a class's own held-out patches lie below the similarity from which it explains a patch
THIN_EXPLAINED = 0.85  # a class that explains less of its patches, where 95 % are to be expected, is thin


@dataclass
class Tally:
    """Patches of one name, counted by the bank's classes."""

    classes: int
    named: np.ndarray = field(init=False)  # [classes] patches called by each class
    accepted: np.ndarray = field(init=False)  # [classes] those of them that do not alarm
    explained: int = 0  # by the class of this name, above its own level

    def __post_init__(self) -> None:
        self.named = np.zeros(self.classes, np.int64)
        self.accepted = np.zeros(self.classes, np.int64)

    def add(self, class_index: np.ndarray, alarming: np.ndarray) -> None:
        """[n] each."""
        self.named += np.bincount(class_index, minlength=self.classes)
        self.accepted += np.bincount(class_index[~alarming], minlength=self.classes)

    @property
    def patches(self) -> int:
        return int(self.named.sum())

    @property
    def accepted_share(self) -> float:
        return float(self.accepted.sum() / self.patches)


def own_levels(bank: PrototypeBank) -> np.ndarray:
    """The cosine from which each class explains a patch, [classes]; NaN for a class without held-out patches."""
    held_out = (c.held_out_similarity for c in bank.classes)
    return np.array([np.quantile(h, OWN_LEVEL) if len(h) else np.nan for h in held_out])


def tallies(engine: Engine, bank: PrototypeBank, way: Knowledge, pictures: Iterable[Shown]) -> dict[str, Tally]:
    """Patches of one name (70 % or more of it), by name. Raises :class:`InputError` where no picture has any."""
    found: dict[str, Tally] = defaultdict(lambda: Tally(len(bank.classes)))
    levels, place = own_levels(bank), {name: k for k, name in enumerate(bank.names)}
    patch = engine.manifest.patch_px
    for shown in pictures:
        tokens = engine.tokens(shown.image[None])[0]
        scores = map_from_tokens(tokens, way)
        seen = shown.observed
        alarming = (patch_evidence(scores.ood_score, seen) > way.threshold)[seen]
        rows, columns = seen.shape
        cells = shown.classes.reshape(rows, patch, columns, patch).transpose(0, 2, 1, 3)[seen].reshape(-1, patch**2)
        own = way.index.class_similarity(tokens[seen])
        for index in np.unique(cells).tolist():
            name = shown.names[index]
            pure = (cells == index).mean(axis=1) >= MIN_PURITY
            if name in shown.unnamed or not pure.any():
                continue
            found[name].add(scores.class_index[seen][pure], alarming[pure])
            if name in place:
                found[name].explained += int((own[pure, place[name]] >= levels[place[name]]).sum())
    if not found:
        raise InputError("no picture shows a whole patch of anything that is named; give other pictures")
    return dict(found)


def guard_tally(bank: PrototypeBank, way: Knowledge) -> dict[str, Tally]:
    """The bank's guard patches, one by one and without their neighbours: what must stay unknown, or is protected."""
    found = {}
    for name in dict.fromkeys(bank.guard_names):
        tokens = bank.guard_tokens[np.array([n == name for n in bank.guard_names])]
        scores = map_from_tokens(tokens[None], way)
        found[name] = Tally(len(bank.classes))
        found[name].add(scores.class_index[0], scores.ood_score[0] > way.threshold)
    return found


def bank_report(
    engine: Engine, bank: PrototypeBank, snapshot: str, way: Knowledge, dataset: str, pictures: Iterable[Shown]
) -> dict[str, Any]:
    """``classes``: of each how many patches there were, the share called by its name, the share that alarms at the
    site's threshold (its coverage is the rest), the share that its own prototypes explain, why it is thin if it is, and
    what it is taken for. ``unknown_to_bank``: names the bank does not hold, with the share that is missed: taken as
    known. ``missed_by_class``: which class takes them in. ``guard``: the same of the bank's own guard patches."""
    walked = 0

    def counted() -> Iterable[Shown]:
        nonlocal walked
        for shown in pictures:
            walked += 1
            yield shown

    found = tallies(engine, bank, way, counted())
    known = {c.name: c for c in bank.classes}
    unknown = {name: t for name, t in found.items() if name not in known}
    return {
        "dataset": dataset,
        "pictures": walked,
        "method": way.method,
        "threshold": way.threshold,
        "calibrated": way.calibrated,
        "bank": snapshot,
        "model": engine.manifest.fingerprint,
        "classes": {n: _known(known[n], found[n], bank.names) for n in bank.names if n in found},
        "not_shown": [n for n in bank.names if n not in found],
        "unknown_to_bank": {n: _unknown(t, bank.names) for n, t in sorted(unknown.items())},
        "missed_by_class": _missed_by_class(unknown, bank.names),
        "guard": {n: _guard(n, t, bank.names) for n, t in guard_tally(bank, way).items()},
        "confusion": {n: _shares(t.named, bank.names) for n, t in sorted(found.items())},
    }


def _known(known: KnownClass, tally: Tally, names: tuple[str, ...]) -> dict[str, Any]:
    others = {n: s for n, s in _shares(tally.named, names).items() if n != known.name}
    explained = tally.explained / tally.patches if len(known.held_out_similarity) else None
    return {
        "patches": tally.patches,
        "named_right": float(tally.named[names.index(known.name)] / tally.patches),
        "alarms": 1 - tally.accepted_share,
        "coverage": tally.accepted_share,
        "explained": explained,
        "thin": thin_because(known, explained),
        "taken_for": dict(list(others.items())[:CONFUSIONS]),
    }


def thin_because(known: KnownClass, explained: float | None) -> list[str]:
    """Why the bank knows too little of a class; empty where it does not."""
    reasons = []
    if 0 < known.pictures < MANY_PICTURES:
        reasons.append(f"{known.pictures} pictures, {MANY_PICTURES} are wanted")
    if explained is None:
        reasons.append("one picture: nothing was held out")
    elif explained < THIN_EXPLAINED:
        reasons.append(f"explains {explained:.0%} of its patches, {1 - OWN_LEVEL:.0%} are to be expected")
    return reasons


def _unknown(tally: Tally, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "patches": tally.patches,
        "alarms": 1 - tally.accepted_share,
        "missed": tally.accepted_share,
        "taken_for": dict(list(_shares(tally.named, names).items())[:CONFUSIONS]),
    }


def _missed_by_class(unknown: Mapping[str, Tally], names: tuple[str, ...]) -> dict[str, Any]:
    """Bank class -> share of all unknown patches that it takes in, and of which names; the greediest first."""
    patches = sum(t.patches for t in unknown.values())
    taken = np.sum([t.accepted for t in unknown.values()], axis=0) if unknown else np.zeros(len(names), np.int64)
    found = {}
    for k in np.argsort(-taken, kind="stable").tolist():
        if taken[k]:
            of = sorted(((int(t.accepted[k]), n) for n, t in unknown.items() if t.accepted[k]), reverse=True)
            found[names[k]] = {"share": float(taken[k] / patches), "of": {n: c for c, n in of[:CONFUSIONS]}}
    return found


def _guard(name: str, tally: Tally, names: tuple[str, ...]) -> dict[str, Any]:
    """A guard that is a class of the bank may be known by its own name: what is missed is what others take."""
    others = tally.accepted.copy()
    if name in names:
        others[names.index(name)] = 0
    missed = float(others.sum() / tally.patches)
    taken = dict(list(_shares(others, names).items())[:CONFUSIONS]) if others.any() else {}
    return {"patches": tally.patches, "missed": missed, "taken_for": taken}


def _shares(count: np.ndarray, known: tuple[str, ...]) -> dict[str, float]:
    """Class -> share of the patches, largest first, none left out but zeros."""
    order = np.argsort(-count, kind="stable")
    return {known[k]: float(count[k] / count.sum()) for k in order if count[k]}


def report_lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    state = "" if found["calibrated"] else ", NOT calibrated"
    lines = [
        f"{found['pictures']} pictures of {found['dataset']}, {found['method']} at {found['threshold']:.3f}{state}",
        f"{'known':18} {'patches':>8} {'named':>7} {'covered':>8} {'explains':>9}  taken for",
    ]
    for name, row in found["classes"].items():
        explained = "-" if row["explained"] is None else f"{row['explained']:.1%}"
        figures = f"{row['patches']:8} {row['named_right']:7.1%} {row['coverage']:8.1%} {explained:>9}"
        lines.append(f"{name:18} {figures}  {_taken(row)}{'  THIN: ' if row['thin'] else ''}{'; '.join(row['thin'])}")
    if found["not_shown"]:
        lines.append(f"not shown: {', '.join(found['not_shown'])}")
    for title, group in (("unknown to the bank", "unknown_to_bank"), ("its own guard", "guard")):
        if found[group]:
            lines.append(f"{title:18} {'patches':>8} {'missed':>7}  taken for")
            lines += [f"{n:18} {r['patches']:8} {r['missed']:7.1%}  {_taken(r)}" for n, r in found[group].items()]
    for name, row in list(found["missed_by_class"].items())[:CONFUSIONS]:
        lines.append(f"{name} takes in {row['share']:.1%} of all unknown patches: {', '.join(row['of'])}")
    return lines


def _taken(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{n} {s:.0%}" for n, s in row["taken_for"].items())
