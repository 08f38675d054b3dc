"""How the constants of the scoring were chosen: ``python -m eval.scoring_sweep --json FILE [--cache DIR]``.

On development worlds (seeds of their own, never the benchmark's): patch AP and FPR95, and the share of unknown objects
over 20 patches whose strongest evidence exceeds the threshold that 1 % of clean frames exceed, for a mixture score
``t log sum_c mean_p exp(cos / t) - w guard`` over temperatures, guard weights and prototypes a class.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from airside.assets import embedded_model
from airside.bank.prototypes import prototypes_from_tokens, unit
from airside.engine.onnx import load_engine
from airside.errors import AirsideError
from airside.ood.evidence import patch_evidence
from airside.ood.logit import sigmoid
from airside.ood.regions import patch_cover
from airside.progress import Progress
from eval.apron import LARGE_PATCHES, PATCH_AREA_PX, filled_patches, unknown_instances
from eval.apron_protocol import dev_clean_plans, dev_plans
from eval.metrics.pixel import pixel_metrics
from eval.report_file import write_json
from prototypes.build import bank_plans
from prototypes.collect import Collector
from training.apron.families import UNKNOWN
from training.apron.frames import SEED_BANK
from training.kept_frames import render_plans

TEMPERATURES = (0.07, 0.1, 0.16, 0.25)
GUARD_WEIGHTS = (0.0, 0.2, 0.4, 0.7)
PROTOTYPES = (1, 2, 4, 16)
GUARD_PROTOTYPES = (1, 8, 64)
CLEAN_RATE = 0.01
MIN_UNKNOWN_SHARE = 0.7  # of a patch that counts as unknown; patches with less, but some, are left out


@dataclass(frozen=True, slots=True)
class LargeObject:
    """An unknown object in a development frame, and the patches it fills by half."""

    frame: int
    kind: str
    cells: np.ndarray  # [Hp, Wp] bool


@dataclass(frozen=True, slots=True)
class Material:
    """Tokens of everything the sweep looks at, unit length, [frames, Hp, Wp, C]."""

    tokens: np.ndarray
    truth: np.ndarray  # [frames, Hp, Wp] uint8: 0 known, 1 unknown, 255 left out
    clean: np.ndarray
    objects: tuple[LargeObject, ...]
    by_class: dict[str, np.ndarray]  # [T, C] bank tokens
    guard: np.ndarray  # [T, C]


def material(model: Path, cache: Path | None, workers: int) -> Material:
    engine = load_engine(model)
    progress = Progress("worlds", len(bank_plans()) + len(dev_plans()) + len(dev_clean_plans()))
    collector = Collector(engine, np.random.default_rng(SEED_BANK))
    for _, frames in render_plans(bank_plans(), workers, cache):
        for frame in frames:
            collector.add(frame.rgb, frame.label, frame.names)
        progress.step()
    tokens, truth, objects = [], [], []
    for _, frames in render_plans(dev_plans(), workers, cache):
        for frame in frames:
            unknown = unknown_instances(frame)
            strange = patch_cover(np.isin(frame.instance, list(unknown)), engine.manifest.grid)
            for number, kind in unknown.items():
                mask = frame.instance == number
                if mask.sum() >= LARGE_PATCHES * PATCH_AREA_PX:
                    objects.append(LargeObject(len(tokens), kind, filled_patches(mask, engine.manifest.grid)))
            truth.append(np.where(strange >= MIN_UNKNOWN_SHARE, 1, np.where(strange > 0, 255, 0)).astype(np.uint8))
            tokens.append(engine.tokens(frame.rgb[None])[0])
        progress.step()
    clean = []
    for _, frames in render_plans(dev_clean_plans(), workers, cache):
        clean += [engine.tokens(frame.rgb[None])[0] for frame in frames]
        progress.step()
    by_class = {name: np.concatenate(found) for name, found in sorted(collector.tokens.items())}
    guard = by_class.pop("clutter")
    return Material(np.stack(tokens), np.stack(truth), np.stack(clean), tuple(objects), by_class, guard)


def known_evidence(tokens: np.ndarray, prototypes: Sequence[np.ndarray], temperature: float) -> np.ndarray:
    """``t log sum_c mean_p exp(cos / t)``, [..., C] -> [...]."""
    flat = tokens.reshape(-1, tokens.shape[-1])
    mass = sum(np.exp(flat @ p.T / temperature).mean(axis=1) for p in prototypes)
    return np.asarray(temperature * np.log(mass)).reshape(tokens.shape[:-1])


def figures(m: Material, unknown: np.ndarray, clean: np.ndarray) -> dict[str, Any]:
    """Of evidence for the unknown, any scale: [frames, Hp, Wp] of the development and of the clean frames."""
    pixel = pixel_metrics(unknown, m.truth)
    assert pixel is not None
    centre, scale = float(np.median(clean)), float(clean.std())
    evidence = [patch_evidence(sigmoid((u - centre) / scale)) for u in unknown]
    peaks = np.sort([patch_evidence(sigmoid((u - centre) / scale)).max() for u in clean])
    threshold = peaks[-1 - int(CLEAN_RATE * len(peaks))]
    found: dict[str, list[bool]] = defaultdict(list)
    for item in m.objects:
        found[item.kind].append(bool(evidence[item.frame][item.cells].max() > threshold))
    return {
        "patch_ap": pixel.ap,
        "patch_fpr95": pixel.fpr95,
        "recall_at_1pct_clean": float(np.mean(list(itertools.chain(*found.values())))),
        "objects": len(m.objects),
        "recall_by_type": {kind: [sum(hits), len(hits)] for kind, hits in sorted(found.items())},
    }


def sweep(m: Material) -> list[dict[str, Any]]:
    rows = []
    guards = {count: prototypes_from_tokens(m.guard, count) for count in GUARD_PROTOTYPES}
    guards[1] = unit(m.guard.mean(axis=0, keepdims=True))
    classes = {count: [prototypes_from_tokens(t, count) for t in m.by_class.values()] for count in PROTOTYPES}
    for temperature in TEMPERATURES:
        against = {
            count: [known_evidence(t, [guard], temperature) for t in (m.tokens, m.clean)]
            for count, guard in guards.items()
        }
        for count, prototypes in classes.items():
            known, known_clean = (known_evidence(t, prototypes, temperature) for t in (m.tokens, m.clean))
            for guard_count, (strange, strange_clean) in against.items():
                for weight in GUARD_WEIGHTS if guard_count == 1 else GUARD_WEIGHTS[1:]:
                    found = figures(m, weight * strange - known, weight * strange_clean - known_clean)
                    rows.append(
                        {
                            "prototypes": count,
                            "temperature": temperature,
                            "guard_prototypes": guard_count,
                            "guard_weight": weight,
                            "clean_evidence_median": float(np.median(known_clean - weight * strange_clean)),
                            **found,
                        }
                    )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.scoring_sweep", description=__doc__)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the rendered frames")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    try:
        rows = sweep(material(args.model or embedded_model(), args.cache, args.workers))
        write_json(args.json, {"unknown_types": len(UNKNOWN), "rows": rows})
    except AirsideError as error:
        print(f"eval.scoring_sweep: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{'P':>3} {'t':>5} {'guards':>6} {'w':>4} {'patch AP':>9} {'FPR95':>6} {'recall':>7}")
    for r in sorted(rows, key=lambda r: -r["patch_ap"]):
        print(
            f"{r['prototypes']:3} {r['temperature']:5.2f} {r['guard_prototypes']:6} {r['guard_weight']:4.1f} "
            f"{r['patch_ap']:9.3f} {r['patch_fpr95']:6.3f} {r['recall_at_1pct_clean']:7.3f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
