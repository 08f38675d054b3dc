"""The bank of the simulator's known classes, calibrated on clean frames it was not made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from airside.bank.bank import Calibration, ClassKind, PrototypeBank
from airside.bank.store import BankStore
from airside.config import SiteConfig
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.enrolment.learn import learn_class
from airside.errors import InputError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.path import path_patches
from airside.geometry.transforms import ego_from_mounted_cam
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.ood.conformal import ALPHA, ALPHA_PATH, clean_frames_needed, threshold_from_clean
from airside.ood.evidence import frame_region_score
from airside.ood.path import PATH, path_score
from airside.ood.scoring import METHODS
from prototypes.collect import Collector
from prototypes.curate import Curation, curated
from training.apron.families import PROTECTED
from training.apron.frames import SEED_BANK, SEED_CALIBRATION, WorldPlan
from training.apron.renderer import STUFF, View
from training.kept_frames import render_plans

GUARD_TOKENS = 512  # patches kept for each guarded group
BANK_WORLDS, CALIBRATION_WORLDS, FRAMES_PER_WORLD = 30, 60, 12

Report = Callable[[str, int, int], None]


def bank_plans(worlds: int = BANK_WORLDS) -> list[WorldPlan]:
    """Worlds the prototypes come from: known families, and clutter that only the guard uses."""
    return [WorldPlan(SEED_BANK, k, FRAMES_PER_WORLD, clutter=6, known_count=(6, 12)) for k in range(worlds)]


def clean_plans(seed: int, worlds: int, frames: int = FRAMES_PER_WORLD) -> list[WorldPlan]:
    """Worlds with nothing unknown in them."""
    return [WorldPlan(seed, k, frames) for k in range(worlds)]


def learn_apron(
    engine: Engine,
    plans: Sequence[WorldPlan],
    report: Report,
    cache: Path | None = None,
    coreset: float | None = None,
) -> tuple[PrototypeBank, tuple[Curation, ...]]:
    """Classes and guard from rendered frames, not yet calibrated; and what curation took out of the classes where
    ``coreset`` (the share of each to keep) asks for it."""
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
    known = {name: tokens for name, tokens in collector.tokens.items() if name != "clutter"}
    taken_out: tuple[Curation, ...] = ()
    if coreset is not None:
        known, taken_out = curated(known, coreset)
    classes = tuple(
        learn_class(
            name,
            ClassKind.STUFF if name in STUFF else ClassKind.THING,
            tokens,
            collector.crops[name],
            protected=name in PROTECTED,
        )
        for name, tokens in sorted(known.items())
    )
    bank = PrototypeBank(
        model_fingerprint=engine.manifest.fingerprint,
        classes=classes,
        calibrations=(),
        guard_tokens=np.concatenate(list(tokens_of.values())),
        guard_names=tuple(guard for guard, tokens in tokens_of.items() for _ in tokens),
        guard_support=tuple((guard, crop) for guard, name in guards.items() for crop in collector.crops[name]),
    )
    return bank, taken_out


def calibrate(
    engine: Engine,
    bank: PrototypeBank,
    plans: Sequence[WorldPlan],
    alpha: float,
    report: Report,
    cache: Path | None = None,
) -> tuple[Calibration, ...]:
    """A site threshold for every scoring method, from rendered frames with nothing unknown in them."""

    def clean() -> Iterator[Clean]:
        for done, (_, frames) in enumerate(render_plans(plans, cache=cache), 1):
            yield from (Clean(frame.rgb, path=path_in(frame.view, engine.manifest.patch_px)) for frame in frames)
            report("clean frames", done, len(plans))

    return thresholds(engine, bank, clean(), alpha)


@dataclass(frozen=True, slots=True)
class Clean:
    """A picture at the network's size with nothing unknown in it; which patches [Hp, Wp] bool are observed (``None``:
    all), and in which the path ahead runs (``None``: nobody knows)."""

    image: np.ndarray
    observed: np.ndarray | None = None
    path: np.ndarray | None = None


def thresholds(engine: Engine, bank: PrototypeBank, clean: Iterable[Clean], alpha: float) -> tuple[Calibration, ...]:
    """A site threshold for every scoring method, from the greatest region score of each clean picture, and one for the
    path ahead, which is looked at more closely, from those that show a path."""
    ways = [knowledge_from_bank(bank, "", method) for method in METHODS]
    scores: dict[str, list[float]] = {rule.calibrated_as: [] for rule in METHODS.values()}
    paths: dict[str, list[float]] = {name + PATH: [] for name in scores}
    for frame in clean:
        tokens = engine.tokens(frame.image[None])[0]
        for way in ways:
            score_map, name = map_from_tokens(tokens, way), way.scorer.calibrated_as
            scores[name].append(frame_region_score(score_map, frame.observed))
            if frame.path is not None and frame.path.any():
                paths[name + PATH].append(path_score(score_map.ood_score, frame.path))
    enough = {name: found for name, found in paths.items() if len(found) >= clean_frames_needed(ALPHA_PATH)}
    return tuple(
        Calibration(name, threshold_from_clean(found, share), share, len(found))
        for kind, share in ((scores, alpha), (enough, ALPHA_PATH))
        for name, found in kind.items()
    )


def path_in(view: View, patch_px: int) -> np.ndarray:
    """[Hp, Wp] bool: the path of a vehicle that carries this camera at its front, by an untouched site's settings."""
    site, middle = SiteConfig(), ((view.width_px - 1) / 2, (view.height_px - 1) / 2)
    camera = PinholeCamera(view.focal_px, view.focal_px, *middle, view.width_px, view.height_px)
    pitch_deg, roll_deg = float(np.degrees(view.pitch_rad)), float(np.degrees(view.roll_rad))
    pose = ego_from_mounted_cam((0.0, 0.0, view.xyz_m[2]), yaw_deg=0.0, pitch_deg=pitch_deg, roll_deg=roll_deg)
    return path_patches(camera, pose, patch_px, site.corridor_half_width_m, site.caution_distance_m)


def build_apron(
    model: Path,
    out: Path,
    report: Report,
    *,
    worlds: int = BANK_WORLDS,
    calibration_worlds: int = CALIBRATION_WORLDS,
    alpha: float = ALPHA,
    cache: Path | None = None,
    coreset: float | None = None,
) -> tuple[PrototypeBank, tuple[Curation, ...]]:
    """Make, calibrate and store the simulator's bank for the bundle ``model`` in the folder ``out``; ``coreset`` as in
    :func:`learn_apron`."""
    engine = load_engine(model)
    bank, taken_out = learn_apron(engine, bank_plans(worlds), report, cache, coreset)
    calibrations = calibrate(engine, bank, clean_plans(SEED_CALIBRATION, calibration_worlds), alpha, report, cache)
    bank = replace(bank, calibrations=calibrations)
    BankStore(out).create(bank, "prototypes build", f"apron simulator: {len(bank.classes)} classes")
    return bank, taken_out


def sample_tokens(tokens_by_image: list[np.ndarray], count: int) -> np.ndarray:
    """At most ``count`` tokens [n, C] of all pictures, drawn once and for all."""
    tokens = np.concatenate(tokens_by_image)
    return tokens[np.random.default_rng(3).permutation(len(tokens))[:count]]
