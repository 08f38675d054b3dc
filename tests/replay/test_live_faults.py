"""Cameras that fail while the vehicle drives: said within a second, never read as free, and back without a restart."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from airside.alerts.jsonl import read_records
from airside.bank.store import BankStore
from airside.cameras.live_rig import LiveRig
from airside.commands.feeds import live_feed
from airside.commands.live_duty import LiveDuty
from airside.commands.watching import watch
from airside.config import CameraConfig, MountConfig, SiteConfig, load_site
from airside.engine.onnx import load_engine
from airside.messages import HealthState, TickRecord
from airside.operations.settings_watch import Watched
from airside.pipeline import Pipeline
from airside.workload import rear_cameras
from eval.live_sources import PacedCamera
from tests.builders import apron_like_picture, taught_bank, tiny_bundle

SITE = SiteConfig(tick_ms=100, stale_ms=250, expires_ms=300)
WITHIN_S = 1.0
FAULTS = ("off", "frozen", "black", "garbage", "slow", "delayed", "intermittent", "clock_jump")


def camera(name: str, yaw_deg: float) -> CameraConfig:
    return CameraConfig(name, 196, 112, 98.0, 98.0, 97.5, 30.0, MountConfig((0.0, 0.0, 1.8), yaw_deg=yaw_deg), 60.0)


RIG = {name: camera(name, yaw) for name, yaw in (("front", 0.0), ("left", 90.0), ("rear", 180.0))}


@dataclass
class Vehicle:
    """A live rig in a thread of its own; ``records`` grows while it runs."""

    path: Path
    cameras: dict[str, PacedCamera]
    records: list[TickRecord] = field(default_factory=list)
    error: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def store(self) -> BankStore:
        return BankStore(self.path / "bank")

    def run(self, pipeline: Pipeline, site: Path) -> None:
        try:
            with LiveRig({n: c.source for n, c in self.cameras.items()}, timeout_s=1.0, reconnect_s=0.1) as rig:
                duty = LiveDuty(tick_ms=SITE.tick_ms, rear=rear_cameras(tuple(RIG.values())), say=lambda text: None,
                                site=Watched(site, load_site))  # fmt: skip
                watch(live_feed(rig, SITE.tick_ms), pipeline, self.path / "out", picture=None, duty=duty,
                      stop=self._stop.is_set, on_record=self.records.append)  # fmt: skip
        except BaseException as error:  # seen by the test
            self.error = error

    def stop(self) -> None:
        self._stop.set()

    def wait(self, holds: Callable[[TickRecord], bool], within_s: float = WITHIN_S) -> TickRecord:
        """The first record from now on that is as wanted; the wait is in ticks, so that a busy machine is no fault."""
        start = len(self.records)
        ticks = round(within_s * 1000 / SITE.tick_ms) + 1
        end_s = time.monotonic() + 20 * within_s
        while time.monotonic() < end_s and self.error is None:
            for record in self.records[start : start + ticks]:
                if holds(record):
                    return record
            if len(self.records) >= start + ticks:
                break
            time.sleep(0.02)
        raise AssertionError(f"not within {ticks} ticks: {[r.health for r in self.records[start:]]}, {self.error}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pipeline]:
    path = tmp_path_factory.mktemp("faults")
    engine = load_engine(tiny_bundle(path / "model", depth=True, bev=True), 1)
    BankStore(path / "bank").create(taught_bank(engine), "test", "first")
    return path, Pipeline(engine, BankStore(path / "bank"), site=SITE, rig=RIG)


@pytest.fixture(scope="module")
def vehicle(made: tuple[Path, Pipeline]) -> Iterator[Vehicle]:
    path, pipeline = made
    site = path / "site.yaml"
    site.write_text("tick_ms: 100\nstale_ms: 250\nexpires_ms: 300\n")
    rng = np.random.default_rng(0)
    films = {name: [apron_like_picture(rng, colour=None)[0] for _ in range(12)] for name in RIG}
    running = Vehicle(path, {name: PacedCamera(film, 15.0, label=name) for name, film in films.items()})
    thread = threading.Thread(target=running.run, args=(pipeline, site), name="vehicle")
    thread.start()
    try:
        running.wait(healthy, 5.0)
        yield running
    finally:
        running.stop()
        thread.join(10)
    assert not thread.is_alive()
    assert running.error is None
    assert len(read_records(path / "out" / "alerts.jsonl")) == len(running.records)


def healthy(record: TickRecord) -> bool:
    """Nothing is said but, on a busy machine, that it is busy: no fault of a camera, bank or site file."""
    at_work = all(reason.startswith("overload_") for reason in record.health.reasons)
    return record.valid and at_work and all(camera.observed for camera in record.cameras)


def says(record: TickRecord, *names: str) -> bool:
    return record.health.state is not HealthState.OK and all(
        any(c.health.state is not HealthState.OK for c in record.cameras if c.camera == name) for name in names
    )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", list(RIG))
def test_a_fault_is_said_within_a_second_and_is_over_when_it_is(vehicle: Vehicle, name: str, fault: str) -> None:
    vehicle.cameras[name].fault = fault
    said = vehicle.wait(lambda record: says(record, name), WITHIN_S if fault != "intermittent" else 2.0)
    assert not any(c.health.reasons for c in said.cameras if c.camera != name)
    vehicle.cameras[name].fault = "none"
    vehicle.wait(healthy, 3.0)


def test_two_at_once_and_all_cameras(vehicle: Vehicle) -> None:
    vehicle.cameras["left"].fault, vehicle.cameras["rear"].fault = "off", "black"
    assert vehicle.wait(lambda record: says(record, "left", "rear")).valid
    vehicle.cameras["front"].fault = "garbage"
    blind = vehicle.wait(lambda record: record.health.state is HealthState.BLIND)
    assert (blind.valid, blind.sightings) == (False, ())
    for camera_of in vehicle.cameras.values():
        camera_of.fault = "none"
    vehicle.wait(healthy, 3.0)


def test_a_bank_that_is_damaged_gone_or_replaced(vehicle: Vehicle) -> None:
    head = vehicle.path / "bank" / "HEAD"
    whole = head.read_bytes()
    head.write_bytes(b"nonsense")
    vehicle.wait(lambda record: "bank_unreadable_CorruptError" in record.health.reasons)
    head.write_bytes(whole)
    vehicle.wait(healthy)
    shutil.move(vehicle.path / "bank", vehicle.path / "elsewhere")
    vehicle.wait(lambda record: any(reason.startswith("bank_unreadable") for reason in record.health.reasons))
    shutil.move(vehicle.path / "elsewhere", vehicle.path / "bank")
    vehicle.wait(healthy)
    snapshot = vehicle.store.commit(lambda bank: replace(bank, classes=bank.classes[:-1]), "test", "one less").id
    vehicle.wait(lambda record: record.bank_snapshot == snapshot)


def test_a_site_file_that_is_broken_keeps_the_old_one(vehicle: Vehicle) -> None:
    site = vehicle.path / "site.yaml"
    whole = site.read_text()
    site.write_text(whole + "zone: nowhere\n")
    vehicle.wait(lambda record: "site_unreadable" in record.health.reasons)
    site.write_text(whole + "zone: stand\n")
    vehicle.wait(healthy)
    site.write_text(whole)
    vehicle.wait(healthy)
