"""What a vehicle asks of a run besides the tick: publishers that fail alone, work shed and said, files watched."""

from __future__ import annotations

import json
import socket
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airside.alerts.jsonl import JsonLinesWriter
from airside.bank.store import BankStore
from airside.cameras.tick_recording import TickRecording
from airside.commands import live_duty
from airside.commands.live_duty import LiveDuty, Outlets, open_outlets
from airside.config import CameraConfig, MountConfig, RigConfig, SiteConfig, load_site
from airside.config.publish import MetricsConfig, PublishConfig, RecorderConfig, ZenohConfig
from airside.engine.onnx import load_engine
from airside.errors import StorageError, UnavailableError
from airside.messages import Frame, FrameBundle, HealthState, Occupancy, TickRecord
from airside.operations.metrics import Metrics
from airside.operations.settings_watch import Watched
from airside.pipeline import Pipeline, Tick
from airside.workload import PATIENCE, STEPS
from tests.builders import apron_like_picture, taught_bank, tiny_bundle

RIG = RigConfig(
    tuple(
        CameraConfig(name, 196, 112, 98.0, 98.0, 97.5, 30.0, MountConfig((0.0, 0.0, 1.8), yaw_deg=yaw), 60.0)
        for name, yaw in (("front", 0.0), ("rear", 180.0))
    )
)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    engine = load_engine(tiny_bundle(tmp_path / "model"), 1)
    store = BankStore(tmp_path / "bank")
    store.create(taught_bank(engine), "test", "first")
    return Pipeline(engine, store, site=SiteConfig(), rig={camera.name: camera for camera in RIG.cameras})


class Clock:
    """``time.perf_counter`` for a duty whose ticks take as long as the test says."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


class Peer:
    name = "peer"
    dropped = 0
    fault: str | None = None

    def __init__(self) -> None:
        self.gone, self.came = False, 0

    def publish(self, record: TickRecord, occupancy: Occupancy | None) -> None:
        if self.gone:
            raise StorageError("the peer is gone")
        self.came += 1

    def close(self) -> None: ...


def drive(duty: LiveDuty, pipeline: Pipeline, out: Path, ticks: int, each: Any = lambda number: None) -> list[Tick]:
    seen: list[Tick] = []
    image, _ = apron_like_picture(np.random.default_rng(0), colour=None)
    with JsonLinesWriter(out) as alerts, duty.publishing(alerts) as publish:
        for number in range(ticks):
            now_ns = 10**9 + number * 200_000_000
            frames = tuple(Frame(camera.name, image + number % 100, now_ns, number) for camera in RIG.cameras)
            with duty.tick(pipeline) as workload:
                seen.append(pipeline.tick(FrameBundle(now_ns, frames), workload, live=True))
                publish(seen[-1])
                each(number)
    return seen


def test_twice_the_work_that_fits(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(live_duty, "time", clock)

    def slow(number: int) -> None:
        clock.now_s += 0.4 if number < 10 else 0.05

    duty = LiveDuty(tick_ms=200, rear=("rear",), say=print)
    ticks = 10 + len(STEPS) * PATIENCE
    seen = drive(duty, pipeline, tmp_path / "a.jsonl", ticks, slow)
    assert len(seen) == ticks  # none is left out
    reasons = [tick.record.health.reasons for tick in seen]
    assert "overload_depth" in reasons[1]
    assert {"overload_depth", "overload_bev", "overload_rear", "overload_closer"} <= set(reasons[9])
    assert all(tick.record.cameras[0].observed for tick in seen)  # the front camera never waits
    assert {tick.record.cameras[1].observed for tick in seen[4:10]} == {True, False}
    assert all(tick.record.health.state is HealthState.DEGRADED for tick in seen[1:10])
    assert not any(reason.startswith("overload") for reason in reasons[-1])  # and back


def test_a_peer_that_is_gone_is_said_and_stops_nobody(pipeline: Pipeline, tmp_path: Path) -> None:
    peer, told = Peer(), []

    def each(number: int) -> None:
        peer.gone = 2 <= number < 5

    duty = LiveDuty(tick_ms=200, rear=(), say=told.append, outlets=Outlets((peer,)))
    seen = drive(duty, pipeline, tmp_path / "a.jsonl", 8, each)
    degraded = ["publisher_peer" in tick.record.health.reasons for tick in seen]
    assert degraded == [False, False, False, False, True, True, True, False]
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 8
    assert [line.split(":")[0] for line in told] == ["publisher peer", "publisher peer"]


def test_everything_that_is_enabled_is_opened_served_and_closed(pipeline: Pipeline, tmp_path: Path) -> None:
    port = _free_port()
    config = PublishConfig(
        recorder=RecorderConfig(enabled=True, keep_free_mb=0.0), metrics=MetricsConfig(enabled=True, port=port)
    )
    outlets = open_outlets(config, RIG, tmp_path / "recording")
    pages: list[str] = []

    def each(number: int) -> None:
        if number == 3:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
                pages.append(page.read().decode())

    duty = LiveDuty(tick_ms=200, rear=(), say=print, outlets=outlets)
    seen = drive(duty, pipeline, tmp_path / "a.jsonl", 5, each)
    assert "airside_ticks_total 3.0" in pages[0]
    recording = TickRecording(tmp_path / "recording")
    assert [tick.told["now_ns"] for tick in recording.ticks()] == [tick.record.now_ns for tick in seen]
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert all(line["timing_ms"] for line in lines)  # live ticks tell where the time goes
    Metrics(port).close()  # the port is free again


def test_the_recording_tells_which_site_each_tick_was_judged_by(pipeline: Pipeline, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("zone: road\n")
    config = PublishConfig(recorder=RecorderConfig(enabled=True, keep_free_mb=0.0))
    outlets = open_outlets(config, RIG, tmp_path / "recording")
    duty = LiveDuty(tick_ms=200, rear=(), say=print, outlets=outlets, site=Watched(site, load_site))
    drive(duty, pipeline, tmp_path / "a.jsonl", 4, lambda number: number == 1 and site.write_text("zone: stand\n"))
    sites = [tick.site for tick in TickRecording(tmp_path / "recording").ticks()]
    assert sites == [SiteConfig()] * 2 + [SiteConfig(zone="stand")] * 2


def test_a_port_that_is_taken_leaves_nothing_open(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match="cannot be opened"):
            open_outlets(PublishConfig(metrics=MetricsConfig(enabled=True, port=port)), RIG, tmp_path / "recording")
    (tmp_path / "file").touch()
    port = _free_port()
    both = PublishConfig(
        metrics=MetricsConfig(enabled=True, port=port), recorder=RecorderConfig(enabled=True), zenoh=ZenohConfig()
    )
    with pytest.raises(StorageError, match="choose another folder"):
        open_outlets(both, RIG, tmp_path / "file" / "recording")
    Metrics(port).close()


def test_nothing_enabled_is_nothing_opened(tmp_path: Path) -> None:
    assert open_outlets(PublishConfig(), RIG, tmp_path / "recording") == replace(Outlets(), overlay=True)
    assert not (tmp_path / "recording").exists()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
