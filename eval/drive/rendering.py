"""Render drives ahead of time: ``python -m eval.drive.rendering --cache DIR [--quick]``; goes on where it stopped."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from airside.errors import AirsideError, UsageError
from airside.progress import Progress
from eval.drive.plans import all_plans, quick_plans
from eval.drive.stored import is_rendered, stored
from training.apron.renderer import NoRenderingError
from training.apron_drives import DrivePlan


def render_all(plans: Sequence[DrivePlan], cache: Path) -> int:
    """Render what is missing; the number of drives that no layout was found for, each said on standard error."""
    missing = [plan for plan in plans if not is_rendered(plan, cache)]
    without = 0
    with Progress("drives rendered", len(missing)) as progress:
        for plan in missing:
            start = time.monotonic()
            try:
                drive = stored(plan, cache)
            except UsageError as error:
                print(f"eval.drive: {error}", file=sys.stderr, flush=True)
                without += 1
                continue
            pictures = drive.ticks * len(drive.cameras)
            took_ms = 1e3 * (time.monotonic() - start) / pictures
            print(f"{plan.name} {drive.ticks} ticks, {took_ms:.0f} ms a picture", flush=True)
            progress.step()
    return without


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.drive.rendering", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args(argv)
    os.environ.setdefault("LP_NUM_THREADS", "1")
    plans = quick_plans() if args.quick else all_plans()
    try:
        without = render_all(plans, args.cache)
    except AirsideError as error:
        print(f"eval.drive: {error}", file=sys.stderr)
        return error.exit_code
    except NoRenderingError as error:
        print(f"eval.drive: {error}", file=sys.stderr)
        return 8
    print(f"{len(plans) - without} of {len(plans)} drives are in {args.cache}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
