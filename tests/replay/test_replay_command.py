"""A recorded drive, run again: the same alerts, bit for bit, with the pictures, the bank and the shedding it had."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.alerts.jsonl import json_line
from airside.alerts.mcap_recorder import McapRecorder
from airside.alerts.recording_messages import RecordedCamera
from airside.bank.store import BankStore
from airside.cameras.tick_recording import TickRecording
from airside.cli import main
from airside.config import SiteConfig, load_rig
from airside.config.publish import RecorderConfig
from airside.engine.onnx import load_engine
from airside.errors import InputError, UsageError
from airside.messages import Frame, FrameBundle
from airside.pipeline import Pipeline
from airside.workload import Load, rear_cameras
from tests.builders import apron_like_picture, taught_bank, tiny_bundle

RED = (200, 40, 30)
TICK_NS = 200_000_000
RIG = "cameras:\n" + "".join(
    f"  - {{name: {name}, width: 196, height: 112, fx: 98.0, fy: 98.0, cx: 97.5, cy: 30.0, max_range_m: 60.0,\n"
    f"     ego_from_cam: {{xyz_m: [0.0, 0.0, 1.8], yaw_deg: {yaw}}}}}\n"
    for name, yaw in (("front", 0.0), ("rear", 180.0))
)


def frame(name: str, tick: int) -> Frame:
    image, _ = apron_like_picture(np.random.default_rng([len(name), tick]), colour=RED if tick % 4 else None)
    return Frame(name, image, 5_000_000_000 + tick * TICK_NS - 7_000_001, tick)


class Recorded:
    """A drive of twelve ticks: a camera that pauses, shedding for a while, a site and a bank that change under way."""

    def __init__(self, path: Path, *, lossless: bool, recorded_from: int = 0) -> None:
        path.mkdir(exist_ok=True)
        self.path, self.rig, self.bank, self.model = path, path / "rig.yaml", path / "bank", path / "model"
        self.rig.write_text(RIG)
        engine = load_engine(tiny_bundle(self.model, depth=True, bev=True), 1)
        store = BankStore(self.bank)
        store.create(taught_bank(engine), "test", "first")
        cameras = load_rig(self.rig).cameras
        pipeline = Pipeline(engine, store, site=SiteConfig(), rig={camera.name: camera for camera in cameras})
        config = RecorderConfig(enabled=True, lossless=lossless, keep_free_mb=0.0)
        recorder = McapRecorder(
            path / "recording", config, 1_700_000_000_000_000_000,
            [RecordedCamera(c.name, c.pinhole, c.ego_from_cam.transform) for c in cameras],
        )  # fmt: skip
        self.alerts: list[object] = []
        for number in range(12):
            if number == 8:
                store.commit(lambda bank: replace(bank, classes=bank.classes[:-1]), "test", "one less")
            if number == 7:
                pipeline.site = SiteConfig(zone="stand", hold_ms=200)
            shown = number if number not in (3, 4) else 2  # its newest frame stays the same
            bundle = FrameBundle(5_000_000_000 + number * TICK_NS, (frame("front", shown), frame("rear", number)))
            work = Load(3 if number in (5, 6) else 0).workload(number, rear_cameras(cameras))
            tick = pipeline.tick(bundle, work)
            if number < recorded_from:
                continue
            recorder.follow_site(pipeline.site)
            recorder.add_frames(view.frame for view in tick.views)
            recorder.publish(tick.record, tick.occupancy)
            self.alerts.append(json.loads(json_line(tick.record))["alerts"])
        recorder.close()

    def replay(self, out: str, *more: str) -> tuple[int, list[object]]:
        words = ["replay", self.path / "recording", "--rig", self.rig, "--bank", self.bank, "--model", self.model]
        code = main([str(word) for word in (*words, "--out", self.path / out, "--no-film", *more)])
        lines = (self.path / out / "alerts.jsonl").read_text().splitlines()
        return code, [json.loads(line)["alerts"] for line in lines]


def test_a_lossless_recording_gives_the_alerts_of_the_drive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive = Recorded(tmp_path, lossless=True)
    assert any(drive.alerts)
    code, alerts = drive.replay("one")
    assert (code, alerts) == (0, drive.alerts)
    assert "alerts as in the drive in 12 of 12 ticks" in capsys.readouterr().out
    drive.replay("two")
    assert (tmp_path / "one" / "alerts.jsonl").read_bytes() == (tmp_path / "two" / "alerts.jsonl").read_bytes()


def test_a_part_of_a_drive_keeps_the_numbers_of_its_ticks(tmp_path: Path) -> None:
    drive = Recorded(tmp_path, lossless=True, recorded_from=1)  # what is shed goes by them
    code, alerts = drive.replay("one")
    assert (code, alerts) == (0, drive.alerts)
    lines = (tmp_path / "one" / "alerts.jsonl").read_text().splitlines()
    assert [json.loads(line)["tick"] for line in lines] == list(range(1, 12))


def test_another_site_may_judge_the_drive(tmp_path: Path) -> None:
    drive = Recorded(tmp_path, lossless=True)
    site = tmp_path / "site.yaml"
    site.write_text("zone: road\n")
    code, alerts = drive.replay("road", "--site", str(site))
    assert code == 0
    assert alerts[:7] == drive.alerts[:7]
    assert alerts[7:] != drive.alerts[7:]


def test_site_settings_that_cannot_be_read_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "airside.alerts.mcap_recorder.site_text", lambda site: f'{{"zone": "{site.zone}", "tick_ms": 0}}'
    )
    drive = Recorded(tmp_path, lossless=True)
    assert drive.replay("one")[0] == 0
    assert "2 faults of the recording; the last: " in (said := capsys.readouterr().err)
    assert "the site settings cannot be read (tick_ms: must be positive, got 0)" in said


def test_two_runs_in_one_folder_are_not_taken_for_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Recorded(tmp_path / name, lossless=True)
    (tmp_path / "two" / "recording" / "drive_0001.mcap").rename(tmp_path / "one" / "recording" / "drive_0002.mcap")
    with pytest.raises(UsageError, match=r"another run of the engine begins in drive_0002.mcap; replay .* one run"):
        TickRecording(tmp_path / "one" / "recording")


def test_a_jpeg_recording_gives_the_same_every_time(tmp_path: Path) -> None:
    drive = Recorded(tmp_path, lossless=False)
    (code, first), (_, second) = drive.replay("one"), drive.replay("two")
    assert (code, len(first)) == (0, 12)
    assert first == second


def test_what_a_killed_recorder_lost_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive = Recorded(tmp_path, lossless=True)
    (file,) = (tmp_path / "recording").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])
    code, alerts = drive.replay("one")
    assert code == 0
    assert 0 < len(alerts) <= 12
    assert "faults of the recording" in capsys.readouterr().err


def test_the_rig_of_another_vehicle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive = Recorded(tmp_path, lossless=True)
    drive.rig.write_text(RIG.replace("front", "left"))
    words = ["replay", drive.path / "recording", "--rig", drive.rig, "--bank", drive.bank, "--model", drive.model]
    assert main([str(word) for word in (*words, "--out", tmp_path / "out")]) == 2
    assert "no camera 'front'" in capsys.readouterr().err


def test_what_is_no_recording_of_airside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mcap").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path, said in (
        (tmp_path / "none.mcap", "no such file"),
        (tmp_path / "empty.mcap", "is empty"),
        (tmp_path / "folder", "wanted an .mcap file"),
        (tmp_path / "a.mp4", "wanted an .mcap file"),
    ):
        with pytest.raises(InputError, match=said):
            TickRecording(path)
