"""Simulated drives against their truth: ``python -m eval.drive [--quick] --json FILE``

How far ahead an unknown object on the path is told, how exactly tracked objects are placed, how often the engine speaks
wrongly in an hour of clean driving. Drives are rendered once and kept in --cache, and so are their records: a run that
was killed goes on. --rendered measures what is there already. --video films drives from above with the cameras around.
--live runs six cameras at 15 pictures a second through the live loop; --soak runs it as fast as it goes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airside.assets import embedded_bank, embedded_model
from airside.bank.store import BankStore
from airside.commands.engine_choice import add_engine_option, ready_engine
from airside.config import SiteConfig, load_site
from airside.engine.bundle import open_bundle
from airside.engine.engines import load_named
from airside.errors import AirsideError, UnavailableError, UsageError
from airside.progress import Progress
from airside.video_writer import CODECS
from eval.drive.film import film
from eval.drive.live import live_run
from eval.drive.plans import all_plans, quick_plans
from eval.drive.report import print_table, report_of
from eval.drive.running import Runner, run_drive, runtime_digest
from eval.drive.soak import soak_pipeline
from eval.drive.stored import is_rendered, stored
from eval.metrics.drive import DriveResult
from eval.report_file import write_json
from training.apron.renderer import NoRenderingError
from training.apron_drives import KINDS, DrivePlan

_SOAK_DRIVES = 4  # one after another, again and again


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        _run(args)
    except AirsideError as error:
        print(f"eval.drive: {error}", file=sys.stderr)
        return error.exit_code
    except NoRenderingError as error:
        print(f"eval.drive: {error}", file=sys.stderr)
        return UnavailableError.exit_code
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.drive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="six drives, one of each kind and one by night")
    parser.add_argument("--rendered", action="store_true", help="only the drives that the cache holds already")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--cache", type=Path, default=Path("out/drives"), help="folder of rendered drives and records")
    parser.add_argument("--json", type=Path, metavar="FILE", default=None)
    parser.add_argument("--video", type=Path, metavar="FILE.mp4", default=None, help="film the quick drives of --kinds")
    parser.add_argument("--model", type=Path, default=None, help="model bundle (default: the embedded one)")
    parser.add_argument("--bank", type=Path, default=None, help="its bank (default: the embedded one)")
    parser.add_argument("--site", type=Path, default=None, help="site settings (default: the built-in ones)")
    parser.add_argument("--codec", choices=CODECS, default="vp9", help="vp9 opens in browsers, mpeg4 is quick to write")
    parser.add_argument(
        "--live", type=float, metavar="MINUTES", default=None, help="the live loop on six paced cameras"
    )
    parser.add_argument(
        "--soak", type=int, metavar="TICKS", default=None, help="as fast as it goes, watching what grows"
    )
    parser.add_argument("--threads", type=int, default=0, help="of the engine (0: its own choice); 1 on a busy machine")
    add_engine_option(parser)
    args = parser.parse_args(argv)
    if (args.live is not None and not args.live > 0) or (args.soak is not None and args.soak < 100):
        parser.error("--live wants minutes above 0, --soak at least 100 ticks")
    return args


def _run(args: argparse.Namespace) -> None:
    plans = [plan for plan in (quick_plans() if args.quick else all_plans()) if plan.kind in args.kinds]
    if args.rendered:
        plans = [plan for plan in plans if is_rendered(plan, args.cache)]
    if not plans:
        raise UsageError(f"no drive to run: {args.cache} holds none of these kinds; leave --rendered out")
    model, bank = args.model or embedded_model(), args.bank or embedded_bank()
    site = load_site(args.site) if args.site is not None else SiteConfig()
    engine = ready_engine(model, args.engine)
    if args.threads:
        engine = load_named(args.engine, open_bundle(model), args.threads).engine
    runner = Runner(engine, args.engine, bank, site)
    results = run_all(plans, runner, args.cache)
    protocol = {
        "model": runner.engine.manifest.fingerprint,
        "bank_snapshot": BankStore(bank).head_id(),
        "engine": args.engine,
        "runtime": runtime_digest()[:16],
        "quick": bool(args.quick),
        "planned_drives": len(quick_plans() if args.quick else all_plans()),
    }
    report = report_of(results, protocol, site.tick_ms, _extra(args, plans, runner))
    print_table(report)
    if args.json is not None:
        write_json(args.json, report)
    if args.video is not None:
        chosen = [plan for plan in quick_plans() if plan.kind in args.kinds]
        film([stored(plan, args.cache) for plan in chosen], runner, args.video, args.codec)


def _extra(args: argparse.Namespace, plans: Sequence[DrivePlan], runner: Runner) -> dict[str, Any]:
    """What is measured besides the drives, where asked for."""
    found: dict[str, Any] = {}
    six = [plan for plan in plans if plan.rig == "apron6"]
    if (args.live is not None or args.soak is not None) and not six:
        raise UsageError("--live and --soak play a drive of the six-camera rig: none is among these kinds")
    with tempfile.TemporaryDirectory() as folder:
        if args.live is not None:
            found["live"] = live_run(stored(six[0], args.cache), runner, args.live, Path(folder) / "live")
        if args.soak is not None:
            drives = [stored(plan, args.cache) for plan in six[:_SOAK_DRIVES]]
            found["soak"] = soak_pipeline(drives, runner, args.soak, Path(folder) / "soak.jsonl")
    return found


def run_all(plans: Sequence[DrivePlan], runner: Runner, cache: Path) -> list[DriveResult]:
    """Render and run what was not yet; a drive for which no layout is found is said and left out."""
    results = []
    with Progress("drives", len(plans)) as progress:
        for plan in plans:
            try:
                drive = stored(plan, cache)
            except UsageError as error:
                print(f"eval.drive: {error}", file=sys.stderr, flush=True)
            else:
                results.append(run_drive(drive, runner, cache))
            progress.step()
    return results


if __name__ == "__main__":
    sys.exit(main())
