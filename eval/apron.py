"""The simulator's benchmark: ``python -m eval.apron [--frames N] [--methods prowl,default] --json FILE``.

Novelty (pixel AP, FPR95, object recall at the site threshold, alarms on clean frames) and few-shot registration, on
worlds and objects that neither training, nor bank, nor calibration has seen. The protocol is fixed and printed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.assets import embedded_bank, embedded_model
from airside.bank.bank import PrototypeBank
from airside.bank.snapshot import SnapshotInfo
from airside.bank.store import BankStore
from airside.cameras.fit import fit_to_network
from airside.config import SiteConfig
from airside.engine.bundle import open_bundle
from airside.engine.engine import Engine
from airside.engine.engines import DEFAULT_ENGINE, ENGINES, load_named
from airside.enrolment.enrol import enrol
from airside.enrolment.support import SupportImage, mask_from_box
from airside.errors import AirsideError, RefusedError
from airside.knowledge import Knowledge, knowledge_from_bank, map_from_tokens
from airside.messages import Kind, Region
from airside.ood.refine import refined
from airside.ood.regions import RegionRules, find_regions, patch_cover
from airside.ood.scoring import METHODS
from airside.progress import Progress
from eval.apron_protocol import FEW_SHOT_TYPES, Protocol
from eval.metrics.objects import FOUND_COVER, ObjectAccumulator, clean_alarm_rate, find_objects
from eval.metrics.pixel import PixelAccumulator
from eval.report_file import write_json
from training.apron.families import UNKNOWN
from training.apron.frames import LabelledFrame, WorldPlan
from training.kept_frames import render_plans

OTHER_TASKS = {  # --task -> module with a main of its own
    "corruption": "eval.apron_corruption",
    "depth": "eval.apron_depth",
    "bev": "eval.apron_bev",
}
PATCH_AREA_PX = 196
LARGE_PATCHES = 20
NAMED_SHARE = 0.5
MIN_APPEARANCE_PATCHES = 4
SITE_RULES = RegionRules(min_patches_unknown=SiteConfig().min_patches)  # what an untouched site reports


@dataclass
class MethodResult:
    """Everything one scoring method is asked on the novelty frames."""

    pixels: PixelAccumulator = field(default_factory=PixelAccumulator)
    objects: ObjectAccumulator = field(default_factory=ObjectAccumulator)
    by_condition: dict[str, ObjectAccumulator] = field(default_factory=lambda: defaultdict(ObjectAccumulator))
    by_type: dict[str, ObjectAccumulator] = field(default_factory=lambda: defaultdict(ObjectAccumulator))
    alarms: int = 0
    clean_frames: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame through one method."""

    pixel_score: np.ndarray
    regions: tuple[Region, ...]
    flagged: np.ndarray  # [H, W] bool: pixels of regions that alarm
    class_index: np.ndarray


def see(tokens: np.ndarray, image: np.ndarray, way: Knowledge, patch_px: int) -> Seen:
    """The pipeline's own steps from tokens to regions, on a picture of the network's size."""
    score_map = map_from_tokens(tokens, way)
    net = fit_to_network(image, *image.shape[:2], patch_px)
    pixel_score = refined(score_map.ood_score, tokens, net, sharp=way.scorer.sharp)
    regions = find_regions(
        score_map, lambda: pixel_score, way.threshold, net, way.kinds, tokens=tokens, rules=SITE_RULES
    )
    return Seen(pixel_score, regions, flagged_pixels(regions, image.shape[:2]), score_map.class_index)


def flagged_pixels(regions: Sequence[Region], shape: tuple[int, int]) -> np.ndarray:
    """Pixels inside the outlines of unknown regions, [H, W] bool."""
    mask = np.zeros(shape, np.uint8)
    for region in regions:
        if region.kind is Kind.UNKNOWN:
            cv2.fillPoly(mask, [np.round(region.outline_px).astype(np.int32)], 1)
    return mask.astype(bool)


def unknown_instances(frame: LabelledFrame) -> dict[int, str]:
    """Instance number -> unknown type, of the unknown objects visible in ``frame``."""
    found = {}
    for number in np.unique(frame.instance[frame.instance >= 0]):
        name = frame.names[int(frame.label[frame.instance == number][0])]
        if name in UNKNOWN:
            found[int(number)] = name
    return found


def rendered(plans: Sequence[WorldPlan], what: str, workers: int, cache: Path | None) -> Iterator[LabelledFrame]:
    progress = Progress(what, len(plans))
    for _, frames in render_plans(plans, workers, cache):
        yield from frames
        progress.step()


class Novelty:
    """Runs the novelty frames and the clean frames through every method."""

    def __init__(self, engine: Engine, bank: PrototypeBank, methods: Sequence[str]) -> None:
        self.engine = engine
        self.ways = {m: knowledge_from_bank(bank, "", m) for m in methods}
        self.results = {m: MethodResult() for m in methods}
        self.share: list[float] = []
        self.conditions: Counter[str] = Counter()
        self.lenses: Counter[str] = Counter()

    def add_test(self, frame: LabelledFrame) -> None:
        tokens = self.engine.tokens(frame.rgb[None])[0]
        unknown = unknown_instances(frame)
        truth = np.isin(frame.instance, list(unknown)).astype(np.uint8)
        self.share.append(float(truth.mean()))
        self.conditions[frame.condition] += 1
        self.lenses[frame.lens] += 1
        for method, way in self.ways.items():
            seen, result = see(tokens, frame.rgb, way, self.engine.manifest.patch_px), self.results[method]
            result.pixels.add(seen.pixel_score, truth)
            findings = find_objects(frame.instance, seen.flagged, unknown, PATCH_AREA_PX)
            result.objects.add(findings)
            result.by_condition[frame.condition].add(findings)
            for finding in findings:
                result.by_type[unknown[finding.instance]].add([finding])

    def add_clean(self, frame: LabelledFrame) -> None:
        tokens = self.engine.tokens(frame.rgb[None])[0]
        for method, way in self.ways.items():
            seen, result = see(tokens, frame.rgb, way, self.engine.manifest.patch_px), self.results[method]
            result.alarms += any(r.kind is Kind.UNKNOWN for r in seen.regions)
            result.clean_frames += 1

    def summary(self) -> dict[str, Any]:
        found = {}
        for method, r in self.results.items():
            pixel = r.pixels.compute()
            assert pixel is not None
            large = r.objects.recall(LARGE_PATCHES)
            clean = clean_alarm_rate(r.alarms, r.clean_frames) if r.clean_frames else None
            found[method] = {
                "ap": pixel.ap,
                "auroc": pixel.auroc,
                "fpr95": pixel.fpr95,
                "object_recall": large.rate,
                "objects": large.objects,
                "clean_alarm_rate": clean.rate if clean else None,
                "clean_alarm_interval": [clean.low, clean.high] if clean else None,
                "clean_frames": r.clean_frames,
                "threshold": self.ways[method].threshold,
                "recall_by_patches": {
                    k: {"rate": v.rate, "objects": v.objects} for k, v in r.objects.recall_by_patches().items()
                },
                "recall_by_condition": {k: v.recall(LARGE_PATCHES).rate for k, v in sorted(r.by_condition.items())},
                "recall_by_type": {k: v.recall(LARGE_PATCHES).rate for k, v in sorted(r.by_type.items())},
            }
        return found


def support_of(frames: Sequence[LabelledFrame], name: str) -> list[SupportImage]:
    """What an operator gives: each picture with a box around the new object."""
    support = []
    for k, frame in enumerate(frames):
        (number,) = [n for n, t in unknown_instances(frame).items() if t == name]
        rows, cols = np.nonzero(frame.instance == number)
        box = (float(cols.min()), float(rows.min()), float(cols.max() + 1), float(rows.max() + 1))
        support.append(SupportImage(f"{name} {k}", frame.rgb, mask_from_box(box, frame.rgb.shape[:2], name)))
    return support


def few_shot(
    engine: Engine,
    bank: PrototypeBank,
    method: str,
    support: dict[str, list[LabelledFrame]],
    appearances: dict[str, list[LabelledFrame]],
    others: Sequence[LabelledFrame],
) -> dict[str, Any]:
    """Register each type alone from its pictures; who is then known by name, and what the others lose.

    An appearance of 4 patches or more counts as known when no alarm covers a quarter of it and at least half of the
    patches that it fills carry its name.
    """
    patch = engine.manifest.patch_px
    before_way = knowledge_from_bank(bank, "", method)
    other_tokens = [engine.tokens(f.rgb[None])[0] for f in others]
    before_other = [_found(f, see(t, f.rgb, before_way, patch)) for f, t in zip(others, other_tokens, strict=True)]
    types = {}
    for name in FEW_SHOT_TYPES:
        refused = None
        try:
            after, report = enrol(bank, engine, name, support_of(support[name], name), boxed=True)
        except RefusedError as error:
            refused = str(error)
            after, report = enrol(bank, engine, name, support_of(support[name], name), boxed=True, allow_hiding=True)
        way = knowledge_from_bank(after, "", method)
        mine = way.index.names.index(name)
        flagged_before = known = named = total = 0
        for frame in appearances[name]:
            tokens = engine.tokens(frame.rgb[None])[0]
            was, now = see(tokens, frame.rgb, before_way, patch), see(tokens, frame.rgb, way, patch)
            for number, kind in unknown_instances(frame).items():
                mask = frame.instance == number
                if kind != name or mask.sum() < MIN_APPEARANCE_PATCHES * PATCH_AREA_PX:
                    continue
                total += 1
                flagged_before += bool(was.flagged[mask].mean() >= FOUND_COVER)
                calm = now.flagged[mask].mean() < FOUND_COVER
                right = (_patches_of(mask, now.class_index) == mine).mean() >= NAMED_SHARE
                known += bool(calm)
                named += bool(calm and right)
        lost = kept = 0
        for frame, tokens, was_found in zip(others, other_tokens, before_other, strict=True):
            now_found = _found(frame, see(tokens, frame.rgb, way, patch))
            for number, kind in unknown_instances(frame).items():
                if kind != name and was_found.get(number):
                    lost += not now_found.get(number)
                    kept += bool(now_found.get(number))
        types[name] = {
            "appearances": total,
            "flagged_before": flagged_before / max(total, 1),
            "known": known / max(total, 1),
            "named": named / max(total, 1),
            "other_recall_drop": lost / max(lost + kept, 1),
            "refused": refused,
            "overlaps": [o.name for o in report.overlaps],
        }
    return {
        "types": types,
        "named": float(np.mean([t["named"] for t in types.values()])),
        "known": float(np.mean([t["known"] for t in types.values()])),
        "worst_named": float(min(t["named"] for t in types.values())),
        "other_recall_drop": float(max(t["other_recall_drop"] for t in types.values())),
    }


def _found(frame: LabelledFrame, seen: Seen) -> dict[int, bool]:
    large = find_objects(frame.instance, seen.flagged, unknown_instances(frame), PATCH_AREA_PX)
    return {f.instance: f.found for f in large if f.patches >= LARGE_PATCHES}


def _patches_of(mask: np.ndarray, class_index: np.ndarray) -> np.ndarray:
    """Classes of :func:`filled_patches`."""
    return np.asarray(class_index[filled_patches(mask, class_index.shape)])


def filled_patches(mask: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """[Hp, Wp] bool: patches that ``mask`` fills by half or, for a slim object, by more than any other patch."""
    cover = patch_cover(mask, (grid[0], grid[1]))
    return np.asarray(cover >= min(0.5, float(cover.max())))


def engine_and_bank(
    model: Path, bank_path: Path, engine_name: str = DEFAULT_ENGINE
) -> tuple[Engine, PrototypeBank, SnapshotInfo]:
    """Both opened, and proven to belong together; the engine is not verified: this is where it is measured."""
    engine = load_named(engine_name, open_bundle(model)).engine
    bank, info = BankStore(bank_path).load()
    bank.require_model(engine.manifest.fingerprint, str(bank_path), str(model))
    return engine, bank, info


def evaluate(
    model: Path,
    bank_path: Path,
    methods: Sequence[str],
    protocol: Protocol,
    workers: int,
    cache: Path | None,
    engine_name: str = DEFAULT_ENGINE,
) -> dict[str, Any]:
    engine, bank, info = engine_and_bank(model, bank_path, engine_name)
    novelty = Novelty(engine, bank, methods)
    tests = []
    for frame in rendered(protocol.test_plans(), "worlds with unknown objects", workers, cache):
        novelty.add_test(frame)
        tests.append(frame)
    for frame in rendered(protocol.clean_plans(), "clean worlds", workers, cache):
        novelty.add_clean(frame)
    support, seen_again = defaultdict(list), defaultdict(list)
    for store, plans in ((support, protocol.support_plans()), (seen_again, protocol.appearance_plans())):
        for plan, frames in render_plans(plans, workers, cache):
            store[plan.models[0]] += frames
    shots = few_shot(engine, bank, methods[-1], support, seen_again, tests)
    return {
        "methods": novelty.summary(),
        "few_shot": {"method": methods[-1], "images": len(next(iter(support.values()))), **shots},
        "protocol": {
            "frames": len(tests),
            "clean_frames": protocol.clean_frames,
            "unknown_types": len(UNKNOWN),
            "unknown_pixel_share": float(np.mean(novelty.share)),
            "conditions": dict(novelty.conditions),
            "lenses": dict(novelty.lenses),
            "large_object_patches": LARGE_PATCHES,
            "found_cover": FOUND_COVER,
            "engine": engine_name,
            "model": engine.manifest.fingerprint,
            "bank": info.id,
        },
    }


def print_table(report: dict[str, Any]) -> None:
    p = report["protocol"]
    print(
        f"\n{p['frames']} frames, {p['unknown_types']} unknown types, {p['unknown_pixel_share']:.1%} unknown pixels; "
        f"{p['clean_frames']} clean frames; objects larger than {p['large_object_patches']} patches"
    )
    print(f"{'method':10} {'AP':>6} {'FPR95':>7} {'recall':>7} {'clean alarms':>13}")
    for name, m in report["methods"].items():
        clean = f"{m['clean_alarm_rate']:.2%}" if m["clean_alarm_rate"] is not None else "-"
        print(f"{name:10} {m['ap']:6.3f} {m['fpr95']:7.3f} {m['object_recall'] or 0:7.3f} {clean:>13}")
    f = report["few_shot"]
    print(
        f"few-shot ({f['method']}, {f['images']} images): named {f['named']:.1%} (worst type {f['worst_named']:.1%}), "
        f"greatest loss on other types {f['other_recall_drop']:.1%}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("--task", choices=["novelty", *OTHER_TASKS], default="novelty")
    chosen, rest = which.parse_known_args(argv)
    if chosen.task in OTHER_TASKS:
        return int(importlib.import_module(OTHER_TASKS[chosen.task]).main(rest))
    parser = argparse.ArgumentParser(prog="python -m eval.apron", description=__doc__, parents=[which])
    parser.add_argument("--frames", type=int, default=Protocol().frames)
    parser.add_argument("--clean-frames", type=int, default=Protocol().clean_frames)
    parser.add_argument("--methods", default="prowl,knn,default", help="few-shot figures are given for the last one")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--bank", type=Path, default=None)
    parser.add_argument("--engine", choices=list(ENGINES), default=DEFAULT_ENGINE)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the rendered frames")
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args(rest)
    methods = args.methods.split(",")
    unknown = [m for m in methods if m not in METHODS]
    if unknown or args.frames < 1 or args.clean_frames < 0:
        parser.error(f"methods are {', '.join(METHODS)}; frames at least 1 (got {args.methods}, {args.frames})")
    try:
        report = evaluate(
            args.model or embedded_model(),
            args.bank or embedded_bank(),
            methods,
            Protocol(args.frames, args.clean_frames),
            args.workers,
            args.cache,
            args.engine,
        )
        write_json(args.json, report)
    except AirsideError as error:
        print(f"eval.apron: {error}", file=sys.stderr)
        return error.exit_code
    print_table(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
