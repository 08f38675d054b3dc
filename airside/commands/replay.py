"""Run a recorded drive again, with the ticks, pictures, bank, site settings and shedding it had; compare its alerts.

RECORDING is an .mcap file that airside recorded (--publish with recorder: {enabled: true}), or the folder of a drive's
files. With pictures recorded lossless the alerts are those of the drive, bit for bit; with JPEG almost.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from airside.alerts.jsonl import JsonLinesWriter, json_line
from airside.bank.bank import PrototypeBank
from airside.bank.snapshot import SnapshotInfo
from airside.bank.store import BankStore
from airside.cameras.tick_recording import RecordedTick, TickRecording, steps_shed
from airside.commands.artifacts import add_bank_option, add_model_option, bank_path, model_path
from airside.commands.engine_choice import add_engine_option, ready_engine
from airside.commands.feeds import Feed
from airside.commands.live_duty import Publish
from airside.commands.stop_request import StopRequest
from airside.commands.tick_pictures import CameraPicture, RigPicture
from airside.commands.watching import watch
from airside.config import RigConfig, SiteConfig, load_rig, load_site
from airside.errors import StorageError
from airside.messages import FrameBundle
from airside.pipeline import Pipeline, Tick
from airside.workload import Load, Workload, rear_cameras


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recording", metavar="RECORDING", type=Path, help="an .mcap file or a folder of them")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for the results")
    parser.add_argument("--rig", type=Path, metavar="FILE", required=True, help="the rig of the drive")
    add_bank_option(parser, required=False)
    add_model_option(parser)
    add_engine_option(parser)
    parser.add_argument("--site", type=Path, metavar="FILE", help="site settings instead of the drive's own")
    parser.add_argument("--film", action=argparse.BooleanOptionalAction, default=True, help="draw every tick")


def run(args: argparse.Namespace) -> int:
    other_site = load_site(args.site) if args.site is not None else None
    recording = TickRecording(args.recording)
    site = other_site or recording.first_site or SiteConfig()
    rig = load_rig(args.rig)
    rig = RigConfig(tuple(rig.camera(name) for name in recording.cameras))
    model = model_path(args.model)
    engine = ready_engine(model, args.engine)
    replay = Replay(recording, BankStore(bank_path(args.bank)), rear_cameras(rig.cameras), other_site)
    pipeline = Pipeline(engine, replay.bank, site=site, rig={camera.name: camera for camera in rig.cameras},
                        method=replay.method, model_path=str(model), rectified=True)  # fmt: skip
    several = len(rig.cameras) > 1
    picture = RigPicture(rig, lambda: pipeline.site) if several else CameraPicture(mounted=True)
    with StopRequest() as stop:
        feed = replay.feed(site.tick_ms)
        summary = watch(feed, pipeline, args.out, picture=picture if args.film else None, duty=replay,
                        stop=lambda: stop.asked)  # fmt: skip
    if recording.last_fault is not None:
        print(f"airside: {sum(recording.faults.values())} faults of the recording; the last: {recording.last_fault}",
              file=sys.stderr)  # fmt: skip
    print(summary.as_text())
    print(replay.as_text())
    print(f"written to {args.out}")
    return stop.exit_code


class PinnedBank(BankStore):
    """A bank whose newest snapshot is the one that a drive had at its tick."""

    def __init__(self, store: BankStore, snapshot: str) -> None:
        super().__init__(store.path)
        self.snapshot = snapshot

    def head_id(self) -> str:
        return self.snapshot

    def load(self, ref: str = "HEAD") -> tuple[PrototypeBank, SnapshotInfo]:
        return super().load(self.snapshot if ref == "HEAD" else ref)


class Replay:
    """The recorded ticks as a feed, and the duty that gives each tick the bank, the site and the work it had.

    ``site`` judges all ticks, whatever was recorded; ``None``: the drive's own does, where it was.
    """

    def __init__(
        self, recording: TickRecording, bank: BankStore, rear: tuple[str, ...], site: SiteConfig | None = None
    ) -> None:
        self._recording, self._rear, self._site = recording, rear, site
        self.bank = PinnedBank(bank, recording.first_told["bank_snapshot"])
        self.method = str(recording.first_told["method"])
        self._now: RecordedTick | None = None
        self._number = 0
        self.same, self.first_other = 0, ""

    def feed(self, tick_ms: int) -> Feed:
        recording = self._recording

        def bundles(stop: Callable[[], bool]) -> Iterator[FrameBundle]:
            for self._now in recording.ticks():
                self.bank.snapshot = self._now.told["bank_snapshot"]
                yield self._now.bundle
                if stop():
                    return

        return Feed(bundles, False, len(recording), 1000 / tick_ms, lambda: Counter(recording.faults),
                    lambda: recording.last_fault)  # fmt: skip

    def publishing(self, alerts: JsonLinesWriter) -> AbstractContextManager[Publish]:
        def publish(tick: Tick) -> None:
            alerts.publish(tick.record)
            self._compare(tick)

        return nullcontext(publish)

    def tick(self, pipeline: Pipeline) -> AbstractContextManager[Workload]:
        assert self._now is not None
        pipeline.next_tick = self._now.told["tick"]
        pipeline.site = self._site or self._now.site or pipeline.site
        work = Load(steps_shed(self._now.told["health"]["reasons"])).workload(pipeline.next_tick, self._rear)
        left_out = frozenset(c["camera"] for c in self._now.told["cameras"] if "shed" in c["health"]["reasons"])
        self._number += 1
        return nullcontext(replace(work, skipped=left_out))

    def drawn(self, tick: Tick, picture: np.ndarray) -> None:
        pass

    def not_kept(self, error: StorageError) -> None:
        raise error

    def as_text(self) -> str:
        text = f"alerts as in the drive in {self.same} of {self._number} ticks"
        return text + (f"; first different: {self.first_other}" if self.first_other else "")

    def _compare(self, tick: Tick) -> None:
        assert self._now is not None
        alerts = json.loads(json_line(tick.record))["alerts"]
        if alerts == self._now.told["alerts"]:
            self.same += 1
        elif not self.first_other:
            why = f" (no picture of {', '.join(self._now.missing)} was recorded)" if self._now.missing else ""
            self.first_other = f"tick {tick.record.tick}{why}"
