"""``airside run`` on what it may be given: folders, films, live cameras, and a disk that says no."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from airside.alerts.jsonl import read_records
from airside.bank.store import BankStore
from airside.cameras.decode import read_image
from airside.cameras.live import LiveCamera, LiveSource
from airside.cameras.sources import open_camera
from airside.commands.engine_choice import ready_engine
from airside.commands.feeds import Feed, camera_feed
from airside.commands.live_duty import LiveDuty
from airside.commands.run import _duty
from airside.commands.run_files import RunFiles
from airside.commands.run_summary import RunSummary
from airside.commands.stop_request import StopRequest
from airside.commands.tick_pictures import CameraPicture
from airside.commands.watching import watch
from airside.config import SiteConfig
from airside.engine.engine import NetworkOutput
from airside.engine.onnx import load_engine
from airside.errors import StorageError, UsageError
from airside.messages import TickRecord
from airside.overlay_bev import PANEL_WIDTH
from airside.pipeline import Pipeline, Tick
from airside.workload import Workload
from tests.builders import taught_bank, tiny_bundle

Call = Callable[..., SimpleNamespace]
RIG = """cameras:
  - {name: NAME, width: 196, height: 112, fx: 98.0, fy: 98.0, cx: 97.5, cy: 55.5, max_range_m: 60.0,
     ego_from_cam: {xyz_m: [1.0, 0.0, 1.8]}}
"""


def film_of(folder: Path, file: Path) -> Path:
    """Without loss: the tiny model knows colours and nothing else."""
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"FFV1"), 10, (196, 112))
    for path in sorted(folder.glob("*.png")):
        writer.write(cv2.imread(str(path)))
    writer.release()
    return file


def frames_in(film: Path) -> int:
    capture = cv2.VideoCapture(str(film))
    count = 0
    while capture.read()[0]:
        count += 1
    return count


@pytest.mark.parametrize("kind", ["folder", "film", "picture"])
def test_one_valid_record_a_tick_and_every_file(shop: SimpleNamespace, airside: Call, kind: str) -> None:
    source = {"folder": shop.apron, "picture": shop.images[0]}.get(kind) or film_of(shop.apron, shop.path / "film.mkv")
    ticks = 1 if kind == "picture" else 8
    out = shop.path / "out"
    answer = airside("run", source, *shop.common, "--out", out)
    assert answer.code == 0, answer.err
    assert answer.err.count("no --rig") == 1
    assert "where the time goes" in answer.out
    records = read_records(out / "alerts.jsonl")  # checks keys, types and that every number is finite
    assert [r["tick"] for r in records] == list(range(ticks))
    assert all(r["valid"] and r["bank_snapshot"] == shop.store.head_id() for r in records)
    assert all(s["placement"] is None for r in records for s in r["sightings"])
    assert frames_in(out / "overlay.mp4") == ticks
    stills = sorted((out / "stills").iterdir())
    assert 1 <= len(stills) <= 12
    assert read_image(stills[0]).shape[1] == 1280
    summary = json.loads((out / "summary.json").read_text())
    assert summary["ticks"] == sum(summary["levels"].values()) == ticks
    assert summary["throughput_hz"] > 0
    assert {"decode", "network", "regions", "overlay"} <= summary["stage_ms"].keys()
    assert summary["health"] == {"OK": ticks, "DEGRADED": 0, "BLIND": 0}
    assert summary["ticks_with_unknown"] == (1 if kind == "picture" else 5)


def test_a_rig_gives_ranges(shop: SimpleNamespace, airside: Call) -> None:
    rig = shop.path / "rig.yaml"
    rig.write_text(RIG.replace("NAME", "left"))
    out = shop.path / "out"
    answer = airside("run", shop.apron, *shop.common, "--rig", rig, "--out", out)
    assert answer.code == 0
    assert answer.err == ""
    records = read_records(out / "alerts.jsonl")
    assert {camera["camera"] for r in records for camera in r["cameras"]} == {"left"}
    assert any(s["placement"] for r in records for s in r["sightings"])
    rig.write_text(RIG.replace("NAME", "left") + RIG.replace("NAME", "right").split("\n", 1)[1])
    unsaid = airside("run", shop.apron, *shop.common, "--rig", rig, "--out", out)
    assert unsaid.code == 3
    assert "left, right; or say with --camera" in unsaid.err
    assert airside("run", shop.apron, *shop.common, "--rig", rig, "--camera", "right", "--out", out).code == 0
    assert airside("run", shop.apron, *shop.common, "--rig", rig, "--camera", "rear", "--out", out).code == 2


def _full(folder: Path) -> list[str]:
    """The words for a model with depth and bird's-eye view, and its bank."""
    engine = load_engine(tiny_bundle(folder / "full", depth=True, bev=True), 1)
    ready_engine(folder / "full", note=lambda _: None)
    BankStore(folder / "full_bank").create(taught_bank(engine), "test", "first")
    return ["--model", str(folder / "full"), "--bank", str(folder / "full_bank")]


def _rig(folder: Path) -> Path:
    (folder / "rig.yaml").write_text(RIG.replace("NAME", "front"))
    return folder / "rig.yaml"


def test_depth_and_birds_eye_view_go_all_the_way(shop: SimpleNamespace, airside: Call) -> None:
    out = shop.path / "out"
    answer = airside("run", shop.apron, *_full(shop.path), "--rig", _rig(shop.path), "--out", out)
    assert (answer.code, answer.err) == (0, "")
    places = [s["placement"] for r in read_records(out / "alerts.jsonl") for s in r["sightings"] if s["placement"]]
    assert any(place["source"] in ("depth", "both") for place in places)
    assert all(len(place["footprint_xy_m"]) == 4 for place in places)
    summary = json.loads((out / "summary.json").read_text())
    (lack,) = summary["without"]  # all that the model gives is there
    assert "no threshold for the path" in lack
    assert sum(summary["range_sources"].values()) == len(places)
    stages = list(summary["stage_ms"])
    assert stages.index("regions") < stages.index("depth") < stages.index("fusion") < stages.index("bev")
    assert {read_image(still).shape[1] for still in (out / "stills").iterdir()} == {1280 + PANEL_WIDTH}
    assert frames_in(out / "overlay.mp4") == 8


def test_what_a_run_does_without_is_said_once(shop: SimpleNamespace, airside: Call) -> None:
    out = shop.path / "out"
    answer = airside("run", shop.apron, *shop.common, "--rig", _rig(shop.path), "--out", out)
    lacks = (
        "has no depth: ranges come from the ground plane alone",
        "has no bird's-eye view",
        "no threshold for the path",
    )
    for lack in lacks:
        assert answer.out.count(lack) == 1
    summary = json.loads((out / "summary.json").read_text())
    assert len(summary["without"]) == 3
    assert summary["range_sources"]["depth"] == summary["range_sources"]["both"] == 0
    assert summary["health"]["DEGRADED"] == 0
    assert read_image(next((out / "stills").iterdir())).shape[1] == 1280 + PANEL_WIDTH
    airside("run", shop.apron, *_full(shop.path), "--out", out)
    summary = json.loads((out / "summary.json").read_text())
    assert [lack[:6] for lack in summary["without"]] == ["no rig"]
    assert read_image(next((out / "stills").iterdir())).shape[1] == 1280


def test_a_rig_without_intrinsics_is_refused(shop: SimpleNamespace, airside: Call) -> None:
    rig = _rig(shop.path)
    rig.write_text(rig.read_text().replace("fx: 98.0, ", ""))
    answer = airside("run", shop.apron, *_full(shop.path), "--rig", rig, "--out", shop.path / "out")
    assert (answer.code, "the key 'fx' is missing" in answer.err) == (2, True)


def test_a_blind_tick_has_a_panel_too(shop: SimpleNamespace, airside: Call) -> None:
    """Every picture of the film is of one kind, whichever tick had none to show."""
    pictures = shop.path / "pictures"
    shutil.copytree(shop.apron, pictures)
    cv2.imwrite(str(pictures / "0.png"), np.zeros((14, 40_000, 3), np.uint8))  # no patch of it would be observed
    out = shop.path / "out"
    answer = airside("run", pictures, *shop.common, "--rig", _rig(shop.path), "--out", out)
    assert answer.code == 0, answer.err
    assert not read_records(out / "alerts.jsonl")[0]["valid"]
    assert read_image(next((out / "stills").iterdir())).shape[1] == 1280 + PANEL_WIDTH


def test_max_ticks_and_a_second_run_over_the_first(shop: SimpleNamespace, airside: Call) -> None:
    out = shop.path / "out"
    assert airside("run", shop.apron, *shop.common, "--out", out).code == 0
    assert airside("run", shop.apron, *shop.common, "--out", out, "--max-ticks", 2).code == 0
    assert len(read_records(out / "alerts.jsonl")) == frames_in(out / "overlay.mp4") == 2
    assert [p.name for p in (out / "stills").iterdir()] == ["tick-000000-none.png"]
    assert not list(out.glob(".*"))


def test_pictures_that_cannot_be_read_or_used_are_counted(shop: SimpleNamespace, airside: Call) -> None:
    mixed = shop.path / "mixed"
    shutil.copytree(shop.apron, mixed)
    (mixed / "3.png").write_bytes(b"no picture")
    strip = np.random.default_rng(0).integers(0, 255, (14, 40_000, 3), np.uint8)
    cv2.imwrite(str(mixed / "4.png"), strip)  # no patch of it would be observed
    cv2.imwrite(str(mixed / "5.png"), np.full((300, 200, 3), 90, np.uint8))  # another size, and blank
    out = shop.path / "out"
    answer = airside("run", mixed, *shop.common, "--out", out)
    assert answer.code == 0
    assert "camera faults" in answer.err
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["camera_faults"], summary["health_reasons"]["frame_unusable"]) == ({"unreadable": 1}, 1)
    records = read_records(out / "alerts.jsonl")
    assert [r["health"]["reasons"][:1] for r in records[3:5]] == [["frame_unusable"], ["blank_frame"]]
    assert [r["valid"] for r in records] == [True] * 3 + [False] * 2 + [True] * 2
    assert frames_in(out / "overlay.mp4") == 7


def test_a_source_of_no_use_leaves_the_last_results_alone(shop: SimpleNamespace, airside: Call) -> None:
    out = shop.path / "out"
    assert airside("run", shop.apron, *shop.common, "--out", out).code == 0
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    (shop.path / "bad").mkdir()
    (shop.path / "bad" / "0.png").write_bytes(b"no picture")
    assert airside("run", shop.path / "bad", *shop.common, "--out", out).code == 3
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before


class _Device:
    """Gives ``frames`` noisy pictures, one each ``period_s``, then hangs."""

    def __init__(self, frames: int, period_s: float) -> None:
        self.left, self.period_s = frames, period_s
        self.rng = np.random.default_rng(0)
        self.closed = threading.Event()

    def isOpened(self) -> bool:
        return True

    def get(self, prop: int, /) -> float:
        return 112.0

    def grab(self) -> bool:
        if self.left == 0:
            self.closed.wait(0.05)
            return False
        self.left -= 1
        time.sleep(self.period_s)
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, self.rng.integers(0, 255, (112, 196, 3), np.uint8)

    def release(self) -> None:
        self.closed.set()


@pytest.fixture
def live() -> Iterator[Callable[..., LiveCamera]]:
    opened: list[LiveCamera] = []

    def make(frames: int, period_s: float = 0.01) -> LiveCamera:
        device = _Device(frames, period_s)
        opened.append(LiveCamera(LiveSource(lambda: device, "invented"), name="front", timeout_s=0.5, reconnect_s=0.05))
        return opened[-1]

    yield make
    for camera in opened:
        camera.close()


SITE = SiteConfig(tick_ms=50, stale_ms=60)


def watched(camera: Any, pipeline: Pipeline, out: Path, **options: Any) -> RunSummary:
    return watch(camera_feed(camera, SITE.tick_ms), pipeline, out, picture=CameraPicture(False), **options)


def pipeline_of(shop: SimpleNamespace) -> Pipeline:
    return Pipeline(load_engine(shop.model, 1), BankStore(shop.bank), site=SITE, rig={"front": None})


def test_a_silent_camera_is_blind_every_tick(shop: SimpleNamespace, live: Callable[..., LiveCamera]) -> None:
    told: list[TickRecord] = []
    pipeline = pipeline_of(shop)
    with live(1) as camera:
        summary = watched(camera, pipeline, shop.path / "out", max_ticks=8, on_record=told.append)
    records = read_records(shop.path / "out" / "alerts.jsonl")
    assert len(records) == summary.ticks == len(told) == 8
    assert records[0]["valid"]
    assert all(record["cameras"][0]["observed"] is (record["tick"] == 0) for record in records)
    for record in records[3:]:
        assert (record["valid"], record["sightings"], record["level"]) == (False, [], 0)
        assert record["health"] == {"state": "BLIND", "reasons": ["stale"]}
    assert all(a["published_ns"] < b["published_ns"] for a, b in pairwise(records))
    assert frames_in(shop.path / "out" / "overlay.mp4") == 8
    assert summary.as_json()["waiting_s"] > 0


def full_disk(*_: Any) -> None:
    raise StorageError("no space left")


def test_a_film_that_a_full_disk_ends_ends_no_vehicle_s_run(
    shop: SimpleNamespace, live: Callable[..., LiveCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunFiles, "film", full_disk)
    told: list[str] = []
    duty = LiveDuty(tick_ms=SITE.tick_ms, rear=(), say=told.append)
    out = shop.path / "out"
    out.mkdir()
    (out / "overlay.mp4").write_bytes(b"of an earlier run")
    with live(100) as camera:
        summary = watched(camera, pipeline_of(shop), out, max_ticks=6, duty=duty)
    assert len(read_records(out / "alerts.jsonl")) == 6
    assert told == ["the film is lost, and no more stills are kept: no space left"]
    assert not summary.filmed
    assert not (out / "overlay.mp4").exists()


def test_a_full_disk_ends_the_film_of_a_recording_and_its_run(
    shop: SimpleNamespace, live: Callable[..., LiveCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunFiles, "film", full_disk)
    with live(100) as camera, pytest.raises(StorageError):
        watched(camera, pipeline_of(shop), shop.path / "out", max_ticks=6)


def test_drawing_is_work_of_the_tick(shop: SimpleNamespace, live: Callable[..., LiveCamera]) -> None:
    drawn: list[bool] = []

    class Watching(LiveDuty):
        @contextmanager
        def tick(self, pipeline: Pipeline) -> Iterator[Workload]:
            with super().tick(pipeline) as work:
                drawn.clear()
                yield work
                assert drawn  # the time of the tick, which decides on what is shed, ends after it

        def drawn(self, tick: Tick, picture: np.ndarray) -> None:
            drawn.append(True)

    with live(100) as camera:
        duty = Watching(tick_ms=SITE.tick_ms, rear=(), say=print)
        watched(camera, pipeline_of(shop), shop.path / "out", max_ticks=3, duty=duty)


def test_a_camera_as_fast_as_the_ticks_is_never_blind(live: Callable[..., LiveCamera]) -> None:
    items = []
    with live(100, period_s=0.05) as camera:
        for item in camera_feed(camera, 150).bundles(lambda: False):
            items.append(item)
            if len(items) == 5:
                break
    assert all(item.frames for item in items)


def test_ctrl_c_finishes_the_files(shop: SimpleNamespace) -> None:
    before = signal.getsignal(signal.SIGINT)

    def press(record: TickRecord) -> None:
        if record.tick == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with open_camera(str(shop.apron)) as camera, StopRequest() as stop:
        summary = watched(camera, pipeline_of(shop), shop.path / "out", stop=lambda: stop.asked, on_record=press)
    assert stop.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert summary.ticks == 3
    assert len(read_records(shop.path / "out" / "alerts.jsonl")) == frames_in(shop.path / "out" / "overlay.mp4") == 3
    assert json.loads((shop.path / "out" / "summary.json").read_text())["ticks"] == 3


def test_a_second_ctrl_c_interrupts() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.exit_code == 143
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_network_that_gives_nan_is_blind_not_clear(shop: SimpleNamespace) -> None:
    engine = load_engine(shop.model, 1)

    class Broken:
        manifest = engine.manifest
        calls = 0

        def outputs(self, images: np.ndarray) -> NetworkOutput:
            self.calls += 1
            found = engine.outputs(images)
            if self.calls == 2:
                found.tokens[0, 0, 0] = np.nan
            return found

    pipeline = Pipeline(Broken(), BankStore(shop.bank), site=SITE, rig={"front": None})
    with open_camera(str(shop.apron)) as camera:
        summary = watched(camera, pipeline, shop.path / "out")
    assert summary.invalid_ticks == 1
    assert summary.reasons == {"network_not_finite": 1}


def test_a_rig_whose_cameras_cannot_be_watched_is_refused(shop: SimpleNamespace, airside: Call) -> None:
    rig, out = shop.path / "rig.yaml", ("--out", shop.path / "out")
    rig.write_text(RIG.replace("NAME", "left"))
    unnamed = airside("run", "--rig", rig, *out, *shop.common)
    assert (unnamed.code, "names no source for left" in unnamed.err) == (2, True)
    rig.write_text(RIG.replace("NAME, ", "left, source: /dev/video97, "))
    absent = airside("run", "--rig", rig, *out, *shop.common)
    assert (absent.code, "/dev/video97" in absent.err) == (8, True)


def test_publishing_is_for_a_live_rig(shop: SimpleNamespace, airside: Call) -> None:
    settings = shop.path / "publish.yaml"
    settings.write_text("metrics: {enabled: true}\n")
    recorded = airside("run", shop.apron, "--publish", settings, "--out", shop.path / "out", *shop.common)
    assert (recorded.code, "--publish is for live cameras" in recorded.err) == (2, True)
    feed = Feed(lambda stop: iter(()), True, None, 5.0, Counter, lambda: None)
    with pytest.raises(UsageError, match="--publish needs --rig"):
        _duty(argparse.Namespace(publish=settings, site=None), feed, None, SITE)
