"""Does the promised alarm rate hold: ``python -m eval.calibration --json FILE [--frames N] [--cache DIR]``.

Clean frames of the simulator through the pipeline's statistic, then promised against realised rate over random splits
by drive, in each condition, and under shift (calibrated by day, asked at night), with a drift measure that tells when
recalibration is due.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from airside.assets import embedded_bank, embedded_model
from airside.errors import AirsideError, UsageError
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.ood.evidence import frame_region_score
from airside.ood.scoring import METHODS
from airside.pipeline import DEFAULT_METHOD
from eval.alarm_rates import CleanScores, condition_rates, shift_rates, split_rates, split_summary
from eval.apron import engine_and_bank, rendered
from eval.apron_protocol import Protocol
from eval.report_file import write_json

ALPHAS = (0.01, 0.05, 0.10)
SPLITS, SEED = 50, 13
SHIFT_ALPHA = 0.05


def clean_scores(model: Path, bank_path: Path, method: str, frames: int, cache: Path | None) -> CleanScores:
    """The protocol's clean frames; a world is a drive."""
    engine, bank, _ = engine_and_bank(model, bank_path)
    way = knowledge_from_bank(bank, "", method)
    rows = []
    for frame in rendered(Protocol(clean_frames=frames).clean_plans(), "clean worlds", 0, cache):
        found = map_from_tokens(engine.tokens(frame.rgb[None])[0], way)
        rows.append((frame_region_score(found), frame.world, frame.condition))
    return CleanScores(*(np.array(column) for column in zip(*rows, strict=True)))


def evaluate(scores: CleanScores, method: str) -> dict[str, Any]:
    """Everything, as plain values."""
    rng = np.random.default_rng(SEED)
    conditions, counts = np.unique(scores.condition, return_counts=True)
    base = "day" if "day" in conditions else str(conditions[counts.argmax()])
    return {
        "method": method,
        "frames": len(scores.score),
        "drives": len(np.unique(scores.drive)),
        "splits": [split_summary(split_rates(scores, alpha, SPLITS, rng), alpha) for alpha in ALPHAS],
        "by_condition": {"promised": SHIFT_ALPHA, "realised": condition_rates(scores, SHIFT_ALPHA, SPLITS, rng)},
        "shift": shift_rates(scores, base, SHIFT_ALPHA, rng),
    }


def lines(report: dict[str, Any]) -> list[str]:
    """For people."""
    out = [
        f"{report['frames']} clean frames of {report['drives']} drives, {report['method']}",
        f"{'promised':>9} {'realised':>9} {'least':>7} {'most':>7} {'beta-binomial 95 %':>19} {'splits inside':>14}",
    ]
    for s in report["splits"]:
        interval = "{:.1%} - {:.1%}".format(*s["interval"])
        rates = f"{s['promised']:9.1%} {s['realised_mean']:9.1%} {s['realised_least']:7.1%} {s['realised_most']:7.1%}"
        out.append(f"{rates} {interval:>19} {s['splits_inside']:14.0%}")
    shift, whole = report["shift"], report["by_condition"]["realised"]
    out.append(f"{'promised':>12} {shift['promised']:.0%}: calibrated on all, on {shift['calibrated_on']} alone, drift")
    for name, row in shift["conditions"].items():
        word = "recalibrate" if row["recalibrate"] else "-"
        out.append(f"{name:>12} {whole[name]:8.1%} {row['realised']:8.1%}   {row['drift_chance']:.2f} {word}")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.calibration", description=__doc__)
    parser.add_argument("--frames", type=int, default=Protocol().clean_frames)
    parser.add_argument("--method", choices=METHODS, default=DEFAULT_METHOD)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--bank", type=Path, default=None)
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the rendered frames")
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        if args.frames < 1:
            raise UsageError(f"--frames must be at least 1, got {args.frames}")
        model, bank = args.model or embedded_model(), args.bank or embedded_bank()
        report = evaluate(clean_scores(model, bank, args.method, args.frames, args.cache), args.method)
        write_json(args.json, report)
    except AirsideError as error:
        print(f"eval.calibration: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(lines(report)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
