"""The bank of the simulator's known classes, calibrated on clean frames it was not made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from airside.bank.bank import Calibration, ClassKind, PrototypeBank
from airside.bank.store import BankStore
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.enrolment.learn import learn_class
from airside.errors import InputError
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.ood.conformal import threshold_from_clean
from airside.ood.evidence import frame_region_score
from airside.ood.scoring import METHODS
from prototypes.collect import Collector
from training.apron.bulk import render_plans
from training.apron.families import PROTECTED
from training.apron.frames import SEED_BANK, SEED_CALIBRATION, WorldPlan
from training.apron.renderer import STUFF

ALPHA = 0.01  # promised share of clean frames that alarm
GUARD_TOKENS = 512  # patches kept for each guarded group
BANK_WORLDS, CALIBRATION_WORLDS, FRAMES_PER_WORLD = 30, 60, 12

Report = Callable[[str, int, int], None]


def bank_plans(worlds: int = BANK_WORLDS) -> list[WorldPlan]:
    """Worlds the prototypes come from: known families, and clutter that only the guard uses."""
    return [WorldPlan(SEED_BANK, k, FRAMES_PER_WORLD, clutter=6, known_count=(6, 12)) for k in range(worlds)]


def clean_plans(seed: int, worlds: int, frames: int = FRAMES_PER_WORLD) -> list[WorldPlan]:
    """Worlds with nothing unknown in them."""
    return [WorldPlan(seed, k, frames) for k in range(worlds)]


def learn_apron(engine: Engine, plans: Sequence[WorldPlan], report: Report, cache: Path | None = None) -> PrototypeBank:
    """Classes and guard from rendered frames; not yet calibrated."""
    collector = Collector(engine, np.random.default_rng(SEED_BANK))
    for done, (_, frames) in enumerate(render_plans(plans, cache=cache), 1):
        for frame in frames:
            collector.add(frame.rgb, frame.label, frame.names)
        report("bank frames", done, len(plans))
    guards = {**{name: name for name in sorted(PROTECTED)}, "debris": "clutter"}
    unseen = sorted(set(guards.values()) - collector.tokens.keys())
    if unseen:
        raise InputError(f"no patch shows {', '.join(unseen)} in {len(plans)} worlds; take more of them (--worlds)")
    tokens_of = {guard: sample_tokens(collector.tokens[name], GUARD_TOKENS) for guard, name in guards.items()}
    classes = tuple(
        learn_class(
            name,
            ClassKind.STUFF if name in STUFF else ClassKind.THING,
            tokens,
            collector.crops[name],
            protected=name in PROTECTED,
        )
        for name, tokens in sorted(collector.tokens.items())
        if name != "clutter"
    )
    return PrototypeBank(
        model_fingerprint=engine.manifest.fingerprint,
        classes=classes,
        calibrations=(),
        guard_tokens=np.concatenate(list(tokens_of.values())),
        guard_names=tuple(guard for guard, tokens in tokens_of.items() for _ in tokens),
        guard_support=tuple((guard, crop) for guard, name in guards.items() for crop in collector.crops[name]),
    )


def calibrate(
    engine: Engine,
    bank: PrototypeBank,
    plans: Sequence[WorldPlan],
    alpha: float,
    report: Report,
    cache: Path | None = None,
) -> tuple[Calibration, ...]:
    """A site threshold for every scoring method, from rendered frames with nothing unknown in them."""

    def clean() -> Iterator[tuple[np.ndarray, None]]:
        for done, (_, frames) in enumerate(render_plans(plans, cache=cache), 1):
            yield from ((frame.rgb, None) for frame in frames)
            report("clean frames", done, len(plans))

    return thresholds(engine, bank, clean(), alpha)


def thresholds(
    engine: Engine, bank: PrototypeBank, clean: Iterable[tuple[np.ndarray, np.ndarray | None]], alpha: float
) -> tuple[Calibration, ...]:
    """A site threshold for every scoring method, from the greatest region score of each clean picture: ``clean`` gives
    pictures at the network's size and which patches [Hp, Wp] bool are observed (``None``: all)."""
    ways = {method: knowledge_from_bank(bank, "", method) for method in METHODS}
    scores: dict[str, list[float]] = {method: [] for method in METHODS}
    for image, observed in clean:
        tokens = engine.tokens(image[None])[0]
        for method, way in ways.items():
            scores[method].append(frame_region_score(map_from_tokens(tokens, way), observed))
    return tuple(Calibration(m, threshold_from_clean(s, alpha), alpha, len(s)) for m, s in scores.items())


def build_apron(
    model: Path,
    out: Path,
    report: Report,
    *,
    worlds: int = BANK_WORLDS,
    calibration_worlds: int = CALIBRATION_WORLDS,
    alpha: float = ALPHA,
    cache: Path | None = None,
) -> PrototypeBank:
    """Make, calibrate and store the simulator's bank for the bundle ``model`` in the folder ``out``."""
    engine = load_engine(model)
    bank = learn_apron(engine, bank_plans(worlds), report, cache)
    calibrations = calibrate(engine, bank, clean_plans(SEED_CALIBRATION, calibration_worlds), alpha, report, cache)
    bank = replace(bank, calibrations=calibrations)
    BankStore(out).create(bank, "prototypes build", f"apron simulator: {len(bank.classes)} classes")
    return bank


def sample_tokens(tokens_by_image: list[np.ndarray], count: int) -> np.ndarray:
    """At most ``count`` tokens [n, C] of all pictures, drawn once and for all."""
    tokens = np.concatenate(tokens_by_image)
    return tokens[np.random.default_rng(3).permutation(len(tokens))[:count]]
