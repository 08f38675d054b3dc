"""Banks from labelled pictures: ``python -m prototypes build --dataset NAME --model BUNDLE --out BANK``, what one knows
of others: ``... report``, and what the wheel carries: ``... embed --checkpoint FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from airside.bank.store import BankStore
from airside.engine.onnx import load_engine
from airside.errors import AirsideError, UsageError
from airside.knowledge import knowledge_from_bank
from airside.ood.conformal import ALPHA
from airside.ood.scoring import METHODS
from airside.pipeline import DEFAULT_METHOD
from eval.report_file import write_json, write_text
from prototypes.bank_page import report_page
from prototypes.bank_report import bank_report, report_lines
from prototypes.build import BANK_WORLDS, CALIBRATION_WORLDS, build_apron
from prototypes.labelled import LABELLED_SETS
from prototypes.labelled_bank import LABELLED_ALPHA, build_labelled
from prototypes.shown import apron_pictures, labelled_pictures


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
    build.add_argument("--curate", action="store_true", help="leave out near-duplicates and outliers")
    build.add_argument(
        "--coreset", type=float, metavar="SHARE", help="and keep only this share of each class's patches"
    )
    build.set_defaults(run=_build)
    report = commands.add_parser("report", help="what a bank knows of labelled pictures it was not made from")
    report.add_argument("--dataset", choices=["apron", *LABELLED_SETS], required=True)
    report.add_argument("--root", type=Path, help="folder of a labelled data set; the apron is rendered")
    report.add_argument("--cache", type=Path, help="folder that keeps the rendered frames for the next time")
    report.add_argument("--model", type=Path, required=True)
    report.add_argument("--bank", type=Path, required=True)
    report.add_argument("--method", choices=METHODS, default=DEFAULT_METHOD)
    report.add_argument("--json", type=Path, help="where the figures go, besides the screen")
    report.add_argument("--html", type=Path, help="and one page with pictures of them")
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
    curation = _curation(args)
    if args.dataset in LABELLED_SETS:
        alpha = LABELLED_ALPHA if args.alpha is None else args.alpha
        bank, taken_out = build_labelled(
            LABELLED_SETS[args.dataset], _root(args), args.model, args.out, _report, alpha=alpha, coreset=curation
        )
    else:
        bank, taken_out = build_apron(
            args.model,
            args.out,
            _report,
            worlds=args.worlds,
            calibration_worlds=args.calibration_worlds,
            alpha=ALPHA if args.alpha is None else args.alpha,
            cache=args.cache,
            coreset=curation,
        )
    for c in taken_out:
        print(
            f"{c.name}: of {c.patches} patches {c.near_duplicates} near-duplicates, {c.outliers} outliers and "
            f"{c.beyond_coreset} beyond the coreset left out"
        )
    print(
        f"{args.out}: {len(bank.classes)} classes; thresholds "
        + ", ".join(f"{c.method} {c.threshold:.3f}" for c in bank.calibrations)
    )


def _curation(args: argparse.Namespace) -> float | None:
    """The share of patches to keep after curating; ``None``: do not curate."""
    if args.coreset is None:
        return 1.0 if args.curate else None
    if not 0 < args.coreset <= 1:
        raise UsageError(f"--coreset must lie above 0 and not above 1, got {args.coreset}")
    return float(args.coreset)


def _root(args: argparse.Namespace) -> Path:
    if args.root is None:
        raise UsageError(f"--dataset {args.dataset} wants --root, its folder")
    return Path(args.root)


def _bank_report(args: argparse.Namespace) -> None:
    engine = load_engine(args.model)
    bank, info = BankStore(args.bank).load()
    bank.require_model(engine.manifest.fingerprint, str(args.bank), str(args.model))
    way = knowledge_from_bank(bank, info.id, args.method)
    if args.dataset in LABELLED_SETS:
        pictures = labelled_pictures(LABELLED_SETS[args.dataset], _root(args), engine.manifest, _report)
    else:
        pictures = apron_pictures(args.cache, engine.manifest, _report)
    found = bank_report(engine, bank, info.id, way, args.dataset, pictures)
    print("\n".join(report_lines(found)))
    if args.json is not None:
        write_json(args.json, found)
    if args.html is not None:
        write_text(args.html, report_page(found))


def _embed(args: argparse.Namespace) -> None:
    from prototypes.embed import embed  # needs torch, which building a bank does not

    embed(args.checkpoint, _report, cache=args.cache)


if __name__ == "__main__":
    sys.exit(main())
