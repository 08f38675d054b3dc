"""Banks from labelled pictures: ``python -m prototypes build --dataset NAME --model BUNDLE --out BANK``, what one knows
of others: ``... report``, and what the wheel carries: ``... embed --checkpoint FILE``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from airside.errors import AirsideError, StorageError, UsageError
from airside.ood.scoring import METHODS
from airside.pipeline import DEFAULT_METHOD
from prototypes.bank_report import bank_report, report_lines
from prototypes.build import ALPHA, BANK_WORLDS, CALIBRATION_WORLDS, build_apron
from prototypes.labelled import LABELLED_SETS
from prototypes.labelled_bank import LABELLED_ALPHA, build_labelled


def _report(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done}/{total}", end="\n" if done == total or not sys.stdout.isatty() else "", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m prototypes", description=__doc__)
    commands = parser.add_subparsers(required=True)
    build = commands.add_parser("build", help="make a bank from labelled pictures")
    build.add_argument("--dataset", choices=["apron", *LABELLED_SETS], default="apron")
    build.add_argument("--root", type=Path, help="folder of a labelled data set; the apron is rendered")
    build.add_argument("--model", type=Path, required=True)
    build.add_argument("--out", type=Path, required=True)
    build.add_argument("--worlds", type=int, default=BANK_WORLDS)
    build.add_argument("--calibration-worlds", type=int, default=CALIBRATION_WORLDS)
    build.add_argument("--alpha", type=float, help="promised share of clean frames that alarm")
    build.add_argument("--cache", type=Path, help="folder that keeps the rendered frames for the next time")
    build.add_argument("--curate", action="store_true", help="labelled sets: leave out near-duplicates and outliers")
    build.set_defaults(run=_build)
    report = commands.add_parser("report", help="what a bank knows of labelled pictures it was not made from")
    report.add_argument("--dataset", choices=LABELLED_SETS, required=True)
    report.add_argument("--root", type=Path, required=True)
    report.add_argument("--model", type=Path, required=True)
    report.add_argument("--bank", type=Path, required=True)
    report.add_argument("--method", choices=METHODS, default=DEFAULT_METHOD)
    report.add_argument("--json", type=Path, help="where the figures go, besides the screen")
    report.set_defaults(run=_bank_report)
    embed = commands.add_parser("embed", help="export a trained network with its bank and demo into the package")
    embed.add_argument("--checkpoint", type=Path, required=True)
    embed.add_argument("--cache", type=Path, help="folder that keeps the rendered frames for the next time")
    embed.set_defaults(run=_embed)
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except AirsideError as error:
        print(f"prototypes: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _build(args: argparse.Namespace) -> None:
    if args.dataset in LABELLED_SETS:
        if args.root is None:
            raise UsageError(f"--dataset {args.dataset} wants --root, its folder")
        labelled, alpha = LABELLED_SETS[args.dataset], LABELLED_ALPHA if args.alpha is None else args.alpha
        bank, taken_out = build_labelled(
            labelled, args.root, args.model, args.out, _report, alpha=alpha, curate=args.curate
        )
        for c in taken_out:
            print(
                f"{c.name}: of {c.patches} patches {c.near_duplicates} near-duplicates, {c.outliers} outliers left out"
            )
    else:
        bank = build_apron(
            args.model,
            args.out,
            _report,
            worlds=args.worlds,
            calibration_worlds=args.calibration_worlds,
            alpha=ALPHA if args.alpha is None else args.alpha,
            cache=args.cache,
        )
    print(
        f"{args.out}: {len(bank.classes)} classes; thresholds "
        + ", ".join(f"{c.method} {c.threshold:.3f}" for c in bank.calibrations)
    )


def _bank_report(args: argparse.Namespace) -> None:
    found = bank_report(LABELLED_SETS[args.dataset], args.root, args.model, args.bank, args.method, _report)
    print("\n".join(report_lines(found)))
    if args.json is not None:
        try:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(found, indent=2) + "\n")
        except OSError as error:
            raise StorageError(f"cannot write {args.json}: {error}") from error


def _embed(args: argparse.Namespace) -> None:
    from prototypes.embed import embed  # needs torch, which building a bank does not

    embed(args.checkpoint, _report, cache=args.cache)


if __name__ == "__main__":
    sys.exit(main())
