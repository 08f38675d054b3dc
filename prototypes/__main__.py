"""``python -m prototypes build --dataset apron --model BUNDLE --out BANK`` and ``... embed --checkpoint FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from airside.errors import AirsideError
from prototypes.build import ALPHA, BANK_WORLDS, CALIBRATION_WORLDS, build_apron


def _report(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done}/{total} worlds", end="\n" if done == total or not sys.stdout.isatty() else "", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m prototypes", description=__doc__)
    commands = parser.add_subparsers(required=True)
    build = commands.add_parser("build", help="make a bank from labelled pictures")
    build.add_argument("--dataset", choices=["apron"], default="apron")
    build.add_argument("--model", type=Path, required=True)
    build.add_argument("--out", type=Path, required=True)
    build.add_argument("--worlds", type=int, default=BANK_WORLDS)
    build.add_argument("--calibration-worlds", type=int, default=CALIBRATION_WORLDS)
    build.add_argument("--alpha", type=float, default=ALPHA, help="promised share of clean frames that alarm")
    build.add_argument("--cache", type=Path, help="folder that keeps the rendered frames for the next time")
    build.set_defaults(run=_build)
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
    bank = build_apron(
        args.model,
        args.out,
        _report,
        worlds=args.worlds,
        calibration_worlds=args.calibration_worlds,
        alpha=args.alpha,
        cache=args.cache,
    )
    print(
        f"{args.out}: {len(bank.classes)} classes; thresholds "
        + ", ".join(f"{c.method} {c.threshold:.3f}" for c in bank.calibrations)
    )


def _embed(args: argparse.Namespace) -> None:
    from prototypes.embed import embed  # needs torch, which building a bank does not

    embed(args.checkpoint, _report, cache=args.cache)


if __name__ == "__main__":
    sys.exit(main())
