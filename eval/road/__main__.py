"""Road-anomaly benchmarks: ``python -m eval.road run|metrics --dataset NAME --root DIR ... --out DIR``, and how long
measuring takes: ``python -m eval.road benchmark --json FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airside.assets import embedded_bank, embedded_model
from airside.errors import AirsideError, UsageError
from airside.pipeline import DEFAULT_METHOD
from eval.aims import aim_line
from eval.datasets.table import DATA_SETS, data_set
from eval.report_file import write_json
from eval.road.ablation import ablation, lines
from eval.road.benchmark import FRAMES, benchmark
from eval.road.commands import evaluate_predictions, run
from eval.road.hold_out import classes_from, hold_out
from eval.road.robustness import STRENGTH_WORDS, robustness
from eval.road.scorers import ALL_METHODS, SHOWN_BY_DEFAULT, methods_from
from prototypes.labelled import LABELLED_SETS


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.road", description=__doc__)
    commands = parser.add_subparsers(required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--dataset", choices=DATA_SETS, required=True)
    shared.add_argument("--root", type=Path, required=True, help="the data set's folder, in its official layout")
    shared.add_argument("--out", type=Path, required=True, help="folder of the figures and the report")
    metrics = commands.add_parser("metrics", parents=[shared], help="measure score maps of any program")
    metrics.add_argument("--predictions", type=Path, required=True, help="folder of anomaly_p/, or of FRAME.npy")
    metrics.set_defaults(work=_metrics)
    model = commands.add_parser("run", parents=[shared], help="score the data set with a model and a bank, and measure")
    model.add_argument("--model", type=Path, help="bundle; default: the embedded one")
    model.add_argument("--bank", type=Path, help="default: the embedded one")
    model.add_argument("--methods", default=SHOWN_BY_DEFAULT, help=f"some of {', '.join(ALL_METHODS)}, or all")
    model.set_defaults(work=_run)
    spoiled = commands.add_parser("robustness", parents=[shared], help="the same under corruptions, rain and spray")
    spoiled.add_argument("--model", type=Path, help="bundle; default: the embedded one")
    spoiled.add_argument("--bank", type=Path, help="default: the embedded one")
    spoiled.add_argument("--method", choices=ALL_METHODS, default=DEFAULT_METHOD)
    spoiled.add_argument("--frames", type=int, help="so many of the data set's, evenly spread; default: all")
    spoiled.set_defaults(work=_robustness)
    changed = commands.add_parser("ablation", parents=[shared], help="the default with one choice changed at a time")
    changed.add_argument("--model", type=Path, help="bundle; default: the embedded one")
    changed.add_argument("--bank", type=Path, help="default: the embedded one")
    changed.add_argument("--frames", type=int, help="so many of the data set's, evenly spread; default: all")
    changed.add_argument("--weights", type=Path, help="airside-mini.safetensors: also other features of the network")
    changed.set_defaults(work=_ablation)
    left_out = commands.add_parser("hold-out", help="leave each class of a labelled data set out of the bank in turn")
    left_out.add_argument("--dataset", choices=LABELLED_SETS, required=True)
    left_out.add_argument("--root", type=Path, required=True)
    left_out.add_argument("--model", type=Path, help="bundle; default: the embedded one")
    left_out.add_argument("--classes", help="a,b; default: every thing the data set labels")
    left_out.add_argument("--methods", default=SHOWN_BY_DEFAULT)
    left_out.add_argument("--out", type=Path, required=True, help="folder of metrics.json, and of one report a class")
    left_out.set_defaults(work=_hold_out)
    speed = commands.add_parser("benchmark", help="measure how long measuring takes")
    speed.add_argument("--frames", type=int, default=FRAMES)
    speed.add_argument("--json", type=Path, required=True)
    speed.set_defaults(work=_benchmark)
    args = parser.parse_args(argv)
    try:
        args.work(args)
    except AirsideError as error:
        print(f"eval.road: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _metrics(args: argparse.Namespace) -> None:
    print_table(evaluate_predictions(data_set(args.dataset), args.root, args.predictions, args.out), args.out)


def _run(args: argparse.Namespace) -> None:
    model, bank = args.model or embedded_model(), args.bank or embedded_bank()
    methods = methods_from(args.methods)
    print_table(run(data_set(args.dataset), args.root, model, bank, methods, args.out), args.out)


def _robustness(args: argparse.Namespace) -> None:
    model, bank = args.model or embedded_model(), args.bank or embedded_bank()
    report = robustness(data_set(args.dataset), args.root, model, bank, args.method, args.out, frames=args.frames)
    print(f"{report['frames']} frames, {report['method']}: clean AP {report['clean']['ap']:.3f}")
    print(f"{'AP, of clean':16}" + "".join(f"{w:>16}" for w in STRENGTH_WORDS[1:]))
    for name, cells in report["corruptions"].items():
        print(f"{name:16}" + "".join(f"{c['ap']:9.3f} {c['relative_ap']:6.0%}" for c in cells.values()))
    print(f"{args.out / 'robustness.json'}\n{args.out / 'robustness.html'}")


def _ablation(args: argparse.Namespace) -> None:
    model, bank = args.model or embedded_model(), args.bank or embedded_bank()
    chosen = {"frames": args.frames, "weights": args.weights}
    print("\n".join(lines(ablation(data_set(args.dataset), args.root, model, bank, args.out, **chosen))))
    print(f"{args.out / 'ablation.json'}\n{args.out / 'ablation.html'}")


def _hold_out(args: argparse.Namespace) -> None:
    labelled, methods = LABELLED_SETS[args.dataset], methods_from(args.methods)
    classes = classes_from(args.classes, labelled)
    report = hold_out(labelled, args.root, args.model or embedded_model(), classes, methods, args.out)
    print(f"{'AP / FPR95':16}" + "".join(f"{m:>18}" for m in methods))
    for name, found in {**report["held_out"], "mean": report["mean"]}.items():
        print(f"{name:16}" + "".join(f"{found[m]['ap']:10.3f} / {found[m]['fpr95']:.3f}" for m in methods))
    print(args.out / "metrics.json")


def _benchmark(args: argparse.Namespace) -> None:
    if args.frames < 1:
        raise UsageError(f"--frames must be at least 1, got {args.frames}")
    report = benchmark(args.frames)
    write_json(args.json, report)
    for aim in report["aims"]:
        print(aim_line(aim))


def print_table(report: dict[str, Any], out: Path) -> None:
    print(f"{report['title']}, {report['frames']} frames; 95 % intervals over frames")
    columns = "".join(f"{word:>7}" for word in ("AUROC", "FPR95", "F1", "sIoU", "PPV", "F1mean"))
    print(f"{'method':16} {'AP':>6} {'interval':>13}{columns}")
    for name, m in sorted(report["methods"].items(), key=lambda item: -item[1]["ap"]):
        interval = "-".rjust(13) if m["ci"]["ap"] is None else "{:.3f} - {:.3f}".format(*m["ci"]["ap"])
        rest = (m[k] for k in ("auroc", "fpr95", "best_f1", "siou", "ppv", "f1_mean"))
        shown = "".join(f"{'-' if v is None else format(v, '.3f'):>7}" for v in rest)
        print(f"{name:16} {m['ap']:6.3f} {interval}{shown}")
    print(f"{out / 'metrics.json'}\n{out / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main())
