"""Watch SOURCE and write what is seen: one JSON record a tick, an overlay film, stills and a summary.

SOURCE is a folder of pictures, one picture, a video file, a device (/dev/video0, or its number) or rtsp://...
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airside.bank.store import BankStore
from airside.cameras.sources import open_camera
from airside.commands.artifacts import add_bank_option, add_model_option, bank_path, model_path
from airside.commands.engine_choice import add_engine_option, ready_engine
from airside.commands.stop_request import StopRequest
from airside.commands.watching import watch
from airside.config import CameraConfig, SiteConfig, load_rig, load_site
from airside.errors import UsageError
from airside.ood.scoring import METHODS
from airside.pipeline import DEFAULT_METHOD, Pipeline

DEFAULT_CAMERA = "front"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="what to watch")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for the results")
    add_bank_option(parser, required=False)
    add_model_option(parser)
    add_engine_option(parser)
    parser.add_argument(
        "--rig", type=Path, metavar="FILE", help="camera mounting: gives ranges and the view from above"
    )
    parser.add_argument("--camera", metavar="NAME", help="which camera of the rig this is (default: its only one)")
    parser.add_argument("--site", type=Path, metavar="FILE", help="the site's distances and limits")
    parser.add_argument("--method", metavar="NAME", default=DEFAULT_METHOD,
                        help=f"how to score: {', '.join(METHODS)} (default: {DEFAULT_METHOD})")  # fmt: skip
    parser.add_argument("--max-ticks", type=_positive, metavar="N", help="stop after N ticks")


def run(args: argparse.Namespace) -> int:
    site = load_site(args.site) if args.site is not None else SiteConfig()
    mount = _mount(args.rig, args.camera)
    model = model_path(args.model)
    engine, store = ready_engine(model, args.engine), BankStore(bank_path(args.bank))
    name = mount.name if mount is not None else args.camera or DEFAULT_CAMERA
    pipeline = Pipeline(engine, store, site=site, method=args.method, rig={name: mount}, model_path=str(model))
    if mount is None:
        _note("no --rig: ranges and bearings are left out, levels go by the place in the picture")
    if not pipeline.knowledge.calibrated:
        _note(f"the bank has no threshold for {args.method!r} from clean frames: a stand-in is used, DEGRADED")
    with open_camera(args.source, name) as camera, StopRequest() as stop:
        summary = watch(camera, pipeline, args.out, tick_ms=site.tick_ms, max_ticks=args.max_ticks,
                        stop=lambda: stop.asked)  # fmt: skip
        if camera.last_fault:
            _note(f"{sum(camera.faults.values())} camera faults; the last: {camera.last_fault}")
    print(summary.as_text())
    print(f"written to {args.out}: alerts.jsonl, overlay.mp4, stills, summary.json")
    return stop.exit_code


def _mount(rig: Path | None, camera: str | None) -> CameraConfig | None:
    if rig is None:
        return None
    cameras = load_rig(rig)
    if camera is not None:
        return cameras.camera(camera)
    if len(cameras.cameras) > 1:
        raise UsageError(
            f"rig {rig} has {len(cameras.cameras)} cameras: say which one this is with --camera "
            f"({', '.join(c.name for c in cameras.cameras)})"
        )
    return cameras.cameras[0]


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**12):
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text!r}")
    return int(text)


def _note(text: str) -> None:
    print(f"airside: {text}", file=sys.stderr, flush=True)
