"""A bank from the training pictures of a labelled data set, calibrated on some it was not made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from airside.bank.bank import ClassKind, PrototypeBank
from airside.bank.store import BankStore
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.enrolment.learn import learn_class
from airside.errors import InputError
from prototypes.build import GUARD_TOKENS, Clean, Report, sample_tokens, thresholds
from prototypes.collect import Collector
from prototypes.curate import Curation, curated
from prototypes.labelled import UNLABELLED, LabelledPicture, LabelledSet

CALIBRATION_SHARE = 1 / 3  # of the training pictures, the last by name: other drives where drives are named in order
LABELLED_ALPHA = 0.05  # promised share of clean frames that alarm; some dozens of pictures cannot promise less
SEED = 11
MIN_PATCHES = 8  # of a class; less describes nothing


def collect(engine: Engine, labelled: LabelledSet, pictures: Sequence[LabelledPicture], report: Report) -> Collector:
    """Tokens and crops of every class."""
    collector = Collector(engine, np.random.default_rng(SEED))
    for done, picture in enumerate(pictures, 1):
        net, classes = picture.for_network(engine.manifest, labelled.unlabelled)
        collector.add(net.image, classes, labelled.names, skip=frozenset({UNLABELLED}))
        report("bank pictures", done, len(pictures))
    return collector


def learn_labelled(
    engine: Engine, labelled: LabelledSet, collector: Collector, without: frozenset[str] = frozenset()
) -> PrototypeBank:
    """Classes from collected tokens, but those of ``without``; protected ones are the guard. Not yet calibrated.

    Raises :class:`InputError` where no class has enough patches.
    """
    enough = {
        name: tokens
        for name, tokens in sorted(collector.tokens.items())
        if name not in without and sum(map(len, tokens)) >= MIN_PATCHES
    }
    if not enough:
        raise InputError(
            f"no class of {labelled.title} covers {MIN_PATCHES} whole patches: give more or larger pictures"
        )
    classes = tuple(
        learn_class(
            name,
            ClassKind.THING if name in labelled.things else ClassKind.STUFF,
            tokens,
            collector.crops[name],
            protected=name in labelled.protected,
        )
        for name, tokens in enough.items()
    )
    guards = {name: sample_tokens(enough[name], GUARD_TOKENS) for name in enough if name in labelled.protected}
    no_rows = np.zeros((0, engine.manifest.token_width), np.float32)
    return PrototypeBank(
        model_fingerprint=engine.manifest.fingerprint,
        classes=classes,
        calibrations=(),
        guard_tokens=np.concatenate([no_rows, *guards.values()]),
        guard_names=tuple(name for name, tokens in guards.items() for _ in tokens),
        guard_support=tuple((name, crop) for name in guards for crop in collector.crops[name]),
    )


def build_labelled(
    labelled: LabelledSet,
    root: Path,
    model: Path,
    out: Path,
    report: Report,
    *,
    alpha: float = LABELLED_ALPHA,
    curate: bool = False,
) -> tuple[PrototypeBank, tuple[Curation, ...]]:
    """Make, calibrate and store the bank of ``labelled``'s training pictures for the bundle ``model``; and what was
    taken out of them where ``curate`` asks for it."""
    engine = load_engine(model)
    pictures = labelled.pictures(root, "train")
    kept = max(1, round(len(pictures) * (1 - CALIBRATION_SHARE)))
    collector = collect(engine, labelled, pictures[:kept], report)
    taken_out: tuple[Curation, ...] = ()
    if curate:
        collector.tokens, taken_out = curated(collector.tokens)
    bank = learn_labelled(engine, labelled, collector)

    def clean() -> Iterator[Clean]:
        for done, picture in enumerate(pictures[kept:], 1):
            net, _ = picture.for_network(engine.manifest, labelled.unlabelled)
            yield Clean(net.image, net.observed)
            report("clean pictures", done, len(pictures) - kept)

    bank = replace(bank, calibrations=thresholds(engine, bank, clean(), alpha))
    BankStore(out).create(bank, "prototypes build", f"{labelled.title}: {len(bank.classes)} classes, {kept} pictures")
    return bank, taken_out
