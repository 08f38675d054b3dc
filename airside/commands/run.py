"""Watch SOURCE, or the cameras of a rig, and say what is seen: one JSON record a tick, a film, stills and a summary.

SOURCE is a folder of pictures, one picture, a video file, a device (/dev/video0, or its number) or rtsp://...; for a
rig of several cameras a recording (rosbag2, .mcap) or a folder with a sub-folder or a video for each. Without SOURCE
the cameras are those at the sources that the rig file names, live.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from airside.bank.store import BankStore
from airside.cameras.bag import is_recording
from airside.cameras.live_rig import decode_gap_s, open_live_rig
from airside.cameras.rig_sources import open_rig_source
from airside.cameras.sources import open_camera
from airside.commands.artifacts import add_bank_option, add_model_option, bank_path, model_path
from airside.commands.engine_choice import add_engine_option, ready_engine
from airside.commands.feeds import Feed, camera_feed, live_feed, recording_feed
from airside.commands.live_duty import NO_DUTY, Duty, LiveDuty, Outlets, open_outlets
from airside.commands.stop_request import StopRequest
from airside.commands.tick_pictures import CameraPicture, Picture, RigPicture
from airside.commands.watching import watch
from airside.config import CameraConfig, RigConfig, SiteConfig, load_rig, load_site
from airside.config.publish import PublishConfig, load_publish
from airside.engine.engine import Engine
from airside.errors import InputError, UsageError
from airside.ood.scoring import METHODS
from airside.operations.settings_watch import Watched
from airside.operations.watchdog import Watchdog
from airside.pipeline import DEFAULT_METHOD, Pipeline
from airside.workload import rear_cameras

DEFAULT_CAMERA = "front"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="what to watch (default: the rig's own cameras)")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for the results")
    add_bank_option(parser, required=False)
    add_model_option(parser)
    add_engine_option(parser)
    parser.add_argument(
        "--rig", type=Path, metavar="FILE", help="camera mounting: gives ranges and the view from above"
    )
    parser.add_argument("--camera", metavar="NAME", help="SOURCE is this camera of the rig alone")
    parser.add_argument("--site", type=Path, metavar="FILE", help="the site's speeds, alert table and limits")
    parser.add_argument("--publish", type=Path, metavar="FILE", help="live: Zenoh, MCAP recording, metrics")
    parser.add_argument("--method", metavar="NAME", default=DEFAULT_METHOD,
                        help=f"how to score: {', '.join(METHODS)} (default: {DEFAULT_METHOD})")  # fmt: skip
    parser.add_argument("--max-ticks", type=_positive, metavar="N", help="stop after N ticks")
    parser.add_argument("--film", action=argparse.BooleanOptionalAction,
                        help="draw every tick (default: yes, but not while several cameras are live)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    site = load_site(args.site) if args.site is not None else SiteConfig()
    rig = _rig(args.rig, args.camera, args.source)
    mounts: dict[str, CameraConfig | None] = {args.camera or DEFAULT_CAMERA: None}
    if rig is not None:
        mounts = {camera.name: camera for camera in rig.cameras}
    model = model_path(args.model)
    engine, store = ready_engine(model, args.engine), BankStore(bank_path(args.bank))
    pipeline = Pipeline(engine, store, site=site, method=args.method, rig=mounts, model_path=str(model))
    if rig is None:
        _note("no --rig: ranges and bearings are left out, levels go by the place in the picture")
    if not pipeline.knowledge.calibrated:
        _note(f"the bank has no threshold for {args.method!r} from clean frames: a stand-in is used, DEGRADED")
    with _feed(args.source, rig, list(mounts), site.tick_ms) as feed, StopRequest() as stop:
        if feed.live:
            _warm_up(engine, len(mounts))
        summary = watch(
            feed,
            pipeline,
            args.out,
            picture=_picture(args.film, feed, rig, pipeline),
            max_ticks=args.max_ticks,
            stop=lambda: stop.asked,
            duty=_duty(args, feed, rig, site),
        )
        if (fault := feed.last_fault()) is not None:
            _note(f"{sum(feed.faults().values())} camera faults; the last: {fault}")
    print(summary.as_text())
    print(f"written to {args.out}: alerts.jsonl, {'overlay.mp4, stills, ' if summary.filmed else ''}summary.json")
    return stop.exit_code


def _rig(path: Path | None, camera: str | None, source: str | None) -> RigConfig | None:
    """The cameras to run; one of a larger rig where ``camera`` says so."""
    if path is None:
        if source is None:
            raise UsageError("nothing to watch: give SOURCE, or --rig with a file whose cameras name their sources")
        return None
    rig = load_rig(path)
    return rig if camera is None else RigConfig((rig.camera(camera),))


@contextmanager
def _feed(source: str | None, rig: RigConfig | None, names: list[str], tick_ms: int) -> Iterator[Feed]:
    if source is None:
        assert rig is not None
        missing = [camera.name for camera in rig.cameras if not camera.source]
        if missing:
            raise UsageError(f"the rig file names no source for {', '.join(missing)}: add source:, or give SOURCE")
        sources = {camera.name: camera.source for camera in rig.cameras}
        with open_live_rig(sources, decode_gap_s=decode_gap_s(tick_ms)) as live:
            yield live_feed(live, tick_ms)
    elif len(names) == 1 and not is_recording(Path(source)):
        with open_camera(source, names[0]) as one:
            yield camera_feed(one, tick_ms)
    else:
        try:
            recording = open_rig_source(source, names)
        except InputError as error:
            raise InputError(f"{error}; or say with --camera which one of them SOURCE is") from None
        with recording:
            yield recording_feed(recording, tick_ms)


def _picture(film: bool | None, feed: Feed, rig: RigConfig | None, pipeline: Pipeline) -> Picture | None:
    several = rig is not None and len(rig.cameras) > 1
    if not (film if film is not None else not (feed.live and several)):
        return None
    return RigPicture(rig, lambda: pipeline.site) if rig is not None and several else CameraPicture(rig is not None)


def _duty(args: argparse.Namespace, feed: Feed, rig: RigConfig | None, site: SiteConfig) -> Duty:
    if not feed.live:
        if args.publish is not None:
            raise UsageError("--publish is for live cameras: a recording has been published already")
        return NO_DUTY
    config = load_publish(args.publish) if args.publish is not None else PublishConfig()
    if rig is None and args.publish is not None:
        raise UsageError("--publish needs --rig: what is published is in the vehicle's own frame")
    return LiveDuty(
        tick_ms=site.tick_ms,
        rear=rear_cameras(rig.cameras) if rig is not None else (),
        say=_note,
        outlets=open_outlets(config, rig, args.out / "recording") if rig is not None else Outlets(),
        site=Watched(args.site, load_site) if args.site is not None else None,
        watchdog=Watchdog.from_environment(),
    )


def _warm_up(engine: Engine, cameras: int) -> None:
    """The first pass of each kind makes what later ones use: not within a tick."""
    black = np.zeros((cameras, engine.manifest.height_px, engine.manifest.width_px, 3), np.uint8)
    engine.outputs(black)
    engine.tokens(black)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**12):
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text!r}")
    return int(text)


def _note(text: str) -> None:
    print(f"airside: {text}", file=sys.stderr, flush=True)
