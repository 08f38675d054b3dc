"""The recording: read back by the official reader and by rosbags, killed at any moment, on a full disk."""

from __future__ import annotations

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("mcap")
pytest.importorskip("rosbags")

from mcap.exceptions import EndOfFile
from mcap.reader import make_reader
from mcap.records import Message
from mcap.stream_reader import StreamReader

from airside.alerts import mcap_recorder
from airside.alerts.jsonl import json_line
from airside.alerts.mcap_recorder import CAMERA_INFO_EVERY, SITE_TOPIC, WAITING_PICTURES, McapRecorder
from airside.alerts.recording_messages import RecordedCamera, quaternion_xyzw
from airside.alerts.ros2_messages import detections, diagnostics, occupancy_grid
from airside.alerts.ros2_types import ros2_types
from airside.config import SiteConfig, site_from_text
from airside.config.publish import RecorderConfig
from airside.errors import UnavailableError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import ego_from_mounted_cam
from airside.messages import Frame, Level, Occupancy
from tests.records import alert, random_record, tick_record
from tests.ros2_equal import assert_equal

ROOT = Path(__file__).parents[3]
TYPES = ros2_types()
OFFSET_NS = 1_700_000_000_000_000_000
WAIT_S = 20.0
PLAIN = RecorderConfig(keep_free_mb=0.0)
MOUNT = ego_from_mounted_cam((1.2, 0.4, 1.8), yaw_deg=30, pitch_deg=5, roll_deg=2)
CAMERA = RecordedCamera("front", PinholeCamera(fx=60.0, fy=61.0, cx=31.5, cy=23.5, width=64, height=48), MOUNT)


def picture(index: int, camera: str = "front") -> Frame:
    image = np.full((48, 64, 3), (200, 40, 10), np.uint8)
    image[:, : index % 64] = (10, 60, 220)
    return Frame(camera, image, int(1e9 + index * 2e8), index)


def within(condition: Callable[[], bool], limit_s: float = WAIT_S) -> bool:
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def read(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """topic -> (log time, message), by the official reader."""
    out: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    with path.open("rb") as stream:
        for schema, channel, message in make_reader(stream, validate_crcs=True).iter_messages():
            assert schema is not None
            assert (schema.encoding, channel.message_encoding) == ("ros2msg", "cdr")
            out[channel.topic].append((message.log_time, TYPES.decode(message.data, schema.name)))
    return out


def recovered_ticks(data: bytes) -> list[int]:
    """The tick numbers in what is left of a file, in recover mode: record after record until it breaks off."""
    ticks, topics = [], {}
    try:
        for record in StreamReader(io.BytesIO(data)).records:
            if type(record).__name__ == "Channel":
                topics[record.id] = record.topic  # type: ignore[attr-defined]
            if isinstance(record, Message) and topics[record.channel_id] == "/airside/tick":
                ticks.append(record.sequence)
    except (EndOfFile, struct.error):  # the latter within the head of a record
        pass
    return ticks


def test_the_official_reader_and_rosbags_see_every_field(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    records = [random_record(rng, tick) for tick in range(8)]
    grids = [Occupancy(0.5, (-5.0, -5.0), rng.integers(-1, 101, (6, 4)).astype(np.int8)) for _ in records]
    recorder = McapRecorder(tmp_path, PLAIN, OFFSET_NS, (CAMERA,))
    for i, (record, grid) in enumerate(zip(records, grids, strict=True)):
        recorder.add_frames([picture(i)])
        recorder.publish(record, grid if i % 2 == 0 else None)
        recorder.add_overlay(np.full((20, 30, 3), i, np.uint8), record.capture_ns)
        assert recorder.flush(WAIT_S)
    recorder.close()
    assert (recorder.fault, recorder.dropped, recorder.synced_tick) == (None, 0, 7)
    (path,) = tmp_path.glob("*.mcap")
    with path.open("rb") as stream:
        assert make_reader(stream).get_header().profile == "ros2"
    topics = read(path)
    assert {topic: len(messages) for topic, messages in topics.items()} == {
        "/airside/front/image/compressed": 8, "/airside/front/camera_info": 1, "/airside/overlay/compressed": 8,
        "/airside/unknown_objects": 8, "/airside/diagnostics": 8, "/airside/tick": 8, "/airside/occupancy": 4,
        "/tf_static": 1,
    }  # fmt: skip
    for i, record in enumerate(records):
        log_ns, text = topics["/airside/tick"][i]
        assert log_ns == record.published_ns + OFFSET_NS
        assert text.data == json_line(record)
        assert_equal(topics["/airside/unknown_objects"][i][1], detections(TYPES, record, OFFSET_NS))
        assert_equal(topics["/airside/diagnostics"][i][1], diagnostics(TYPES, record, OFFSET_NS, record.tick))
    wanted = occupancy_grid(TYPES, grids[2], records[2].capture_ns, OFFSET_NS)
    assert_equal(topics["/airside/occupancy"][1][1], wanted)
    _check_pictures(topics)
    _check_with_rosbags(path, len(records))


def test_the_site_is_in_each_file_and_once_more_whenever_it_changes(tmp_path: Path) -> None:
    road, stand = SiteConfig(), SiteConfig(zone="stand")
    small = RecorderConfig(keep_free_mb=0.0, part_mb=0.001)  # a CAUTION ends each file
    recorder = McapRecorder(tmp_path, small, OFFSET_NS)
    for tick, (site, level) in enumerate(
        [(road, Level.NONE), (road, Level.CAUTION), (road, Level.NONE), (stand, Level.NONE), (stand, Level.CAUTION)]
    ):
        recorder.follow_site(site)
        recorder.publish(tick_record(tick, published_ns=tick + 2, alerts=(alert(level),)), None)
        assert recorder.flush(WAIT_S)
    recorder.close()
    files = [read(path) for path in sorted(tmp_path.glob("*.mcap"))]
    assert [[site_from_text(text.data) for _, text in topics[SITE_TOPIC]] for topics in files] == [
        [road], [road, stand]
    ]  # fmt: skip
    (_, (changed_ns, _)), ticks = files[1][SITE_TOPIC], files[1]["/airside/tick"]
    assert changed_ns == ticks[1][0]


def _check_pictures(topics: dict[str, list[tuple[int, Any]]]) -> None:
    log_ns, shown = topics["/airside/front/image/compressed"][5]
    assert log_ns == picture(5).capture_ns + OFFSET_NS
    assert shown.header.stamp.sec * 10**9 + shown.header.stamp.nanosec == log_ns
    assert (shown.format, shown.header.frame_id) == ("jpeg", "front_optical")
    image = cv2.cvtColor(cv2.imdecode(shown.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(image.astype(int) - picture(5).image).mean() < 8
    info = topics["/airside/front/camera_info"][0][1]
    assert (info.width, info.height, info.distortion_model) == (64, 48, "plumb_bob")
    assert info.k.tolist() == [60, 0, 31.5, 0, 61, 23.5, 0, 0, 1]
    assert not info.d.any()
    (mounted,) = topics["/tf_static"][0][1].transforms
    assert (mounted.header.frame_id, mounted.child_frame_id) == ("base_link", "front_optical")
    assert (mounted.transform.translation.x, mounted.transform.translation.z) == (1.2, 1.8)


def _check_with_rosbags(path: Path, count: int) -> None:
    """Its reader takes the definitions out of the file, not ours."""
    from rosbags.highlevel import AnyReader

    with AnyReader([path]) as reader:
        seen: dict[str, int] = defaultdict(int)
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            seen[connection.topic] += 1
            assert type(message).__name__ == connection.msgtype.replace("/", "__")
    assert seen["/airside/unknown_objects"] == seen["/airside/front/image/compressed"] == count


@pytest.mark.parametrize(
    ("height", "width", "wanted"), [(96, 128, [[120, 0, 63.5, 0, 122, 47.5, 0, 0, 1]]), (48, 96, [])]
)
def test_the_lens_is_told_for_the_pictures_as_they_come(
    tmp_path: Path, height: int, width: int, wanted: list[list[float]]
) -> None:
    recorder = McapRecorder(tmp_path, PLAIN, 0, (CAMERA,))
    recorder.add_frames([Frame("front", np.zeros((height, width, 3), np.uint8), 10**9, 0)])
    assert recorder.flush(WAIT_S)
    assert recorder.fault is None
    recorder.close()
    topics = read(next(tmp_path.iterdir()))
    assert len(topics["/airside/front/image/compressed"]) == 1
    infos = [info for _, info in topics.get("/airside/front/camera_info", [])]  # none for another lens's picture
    assert [info.k.tolist() for info in infos] == wanted
    assert all((info.height, info.width) == (height, width) for info in infos)


def test_files_follow_one_another_by_their_names_whatever_was_deleted(tmp_path: Path) -> None:
    for name in ("drive_0003.mcap", "drive_mine.mcap"):
        (tmp_path / name).touch()
    recorder = McapRecorder(tmp_path, PLAIN, 0)
    recorder.publish(tick_record(), None)
    recorder.close()
    assert (tmp_path / "drive_0004.mcap").exists()


def test_a_picture_seen_before_is_not_recorded_again_and_others_can_be_left_out(tmp_path: Path) -> None:
    recorder = McapRecorder(tmp_path / "all", PLAIN, 0, (CAMERA,))
    sparse = McapRecorder(tmp_path / "sparse", RecorderConfig(keep_free_mb=0.0, pictures_every=3), 0)
    for index in range(CAMERA_INFO_EVERY + 1):
        for one in (recorder, sparse):
            one.add_frames([picture(index), picture(0, "rear")])
            assert one.flush(WAIT_S)
    recorder.close()
    sparse.close()
    topics = read(next((tmp_path / "all").iterdir()))
    assert len(topics["/airside/front/image/compressed"]) == CAMERA_INFO_EVERY + 1
    assert len(topics["/airside/front/camera_info"]) == 2
    assert len(topics["/airside/rear/image/compressed"]) == 1
    topics = read(next((tmp_path / "sparse").iterdir()))
    assert len(topics["/airside/front/image/compressed"]) == CAMERA_INFO_EVERY // 3 + 1
    assert "/tf_static" not in topics


def test_under_pressure_pictures_are_dropped_and_alerts_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = McapRecorder(tmp_path, PLAIN, 0)
    real, held = recorder._tape.write, []

    def hang(item: Any) -> None:
        held.append(item)
        assert within(lambda: recorder.dropped >= 16 or len(held) > 1)
        real(item)

    monkeypatch.setattr(recorder._tape, "write", hang)
    recorder.publish(tick_record(0), None)
    assert within(lambda: len(held) == 1)
    for index in range(WAITING_PICTURES + 16):
        recorder.publish(tick_record(index + 1), None)
        recorder.add_frames([picture(index)])
    recorder.close()
    assert recorder.dropped == 16
    topics = read(next(tmp_path.iterdir()))
    assert len(topics["/airside/tick"]) == WAITING_PICTURES + 17
    assert len(topics["/airside/front/image/compressed"]) == WAITING_PICTURES


# Says the tick that is on the disk, each time that one is; a level-2 alert every third tick.
DRIVE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from airside.alerts.mcap_recorder import McapRecorder
from airside.config.publish import RecorderConfig
from airside.messages import Level
from tests.records import alert, tick_record
from tests.unit.alerts.test_mcap_recorder import picture
recorder = McapRecorder(Path(sys.argv[1]), RecorderConfig(keep_free_mb=0.0, sync_s=60.0), 0)
said = -1
for tick in range(100_000):
    recorder.add_frames([picture(tick)])
    recorder.publish(tick_record(tick, alerts=(alert(Level(2)),) if tick % 3 == 0 else ()), None)
    time.sleep(0.001)
    if recorder.synced_tick > said:
        said = recorder.synced_tick
        print(said, flush=True)
"""


@pytest.mark.parametrize("moment", [0, 60, 150])
def test_killed_at_any_moment_all_up_to_the_last_alert_is_readable(tmp_path: Path, moment: int) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVE, str(tmp_path), str(ROOT)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert driver.stdout is not None
    said = -1
    while said < moment:
        said = int(driver.stdout.readline())
    driver.send_signal(signal.SIGKILL)
    rest = driver.communicate()[0].split()
    said = max([said, *map(int, rest)])
    (path,) = tmp_path.glob("*.mcap")
    data = path.read_bytes()
    ticks = recovered_ticks(data)
    assert ticks == list(range(len(ticks)))
    assert ticks[-1] >= said
    assert ticks[-1] % 3 == 0  # an alert closed the chunk
    rng = np.random.default_rng(0)
    for cut in rng.integers(100, len(data), 50):  # whatever moment the power had gone
        some = recovered_ticks(data[:cut])
        assert some == ticks[: len(some)]


@pytest.mark.parametrize("partial", [0, 100])
def test_a_full_disk_is_said_and_the_recording_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partial: int
) -> None:
    monkeypatch.setattr(mcap_recorder, "RETRY_S", 0.05)
    recorder = McapRecorder(tmp_path, PLAIN, 0, (CAMERA,))
    real, full = os.write, [False]

    def write(fd: int, data: Any) -> int:
        if full[0] and len(data) > partial:
            if partial:
                full.append(True)
                return real(fd, data[:partial]) if len(full) % 2 == 0 else _raise_no_space()
            _raise_no_space()
        return real(fd, data)

    monkeypatch.setattr("airside.alerts.mcap_file.os.write", write)
    for tick in range(30):
        full[0] = 10 <= tick < 20
        recorder.publish(tick_record(tick, alerts=(alert(Level.CAUTION),)), None)
        assert recorder.flush(WAIT_S)
        if full[0]:
            assert recorder.fault is not None
            assert "No space" in recorder.fault or "full" in recorder.fault
        time.sleep(0.01)
        if tick >= 20:
            assert within(lambda: _healed(recorder))
    assert recorder.fault is None
    recorder.close()
    assert recorder.dropped >= 10
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2  # none was left for each attempt
    assert recovered_ticks(files[0].read_bytes()) == list(range(10))
    after = [message.data for _, message in read(files[1])["/airside/tick"]]
    assert len(after) >= 9


def _healed(recorder: McapRecorder) -> bool:
    if recorder.fault is not None:
        time.sleep(0.05)
        recorder.publish(tick_record(20, alerts=(alert(Level.CAUTION),)), None)
        recorder.flush(WAIT_S)
    return recorder.fault is None


def _raise_no_space() -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_it_stops_before_the_disk_is_full(tmp_path: Path) -> None:
    recorder = McapRecorder(tmp_path, RecorderConfig(keep_free_mb=1e12), 0)
    recorder.publish(tick_record(0), None)
    assert recorder.flush(WAIT_S)
    assert recorder.fault is not None
    assert "has less than" in recorder.fault
    recorder.close()
    assert not list(tmp_path.iterdir())


def test_long_drives_are_parted(tmp_path: Path) -> None:
    recorder = McapRecorder(tmp_path, RecorderConfig(keep_free_mb=0.0, part_mb=0.001), 0)
    for tick in range(6):
        recorder.publish(tick_record(tick, alerts=(alert(Level.STOP),)), None)
        assert recorder.flush(WAIT_S)
    recorder.close()
    parts = sorted(tmp_path.iterdir())
    assert len(parts) > 1
    assert sum(len(read(part)["/airside/tick"]) for part in parts) == 6
    again = McapRecorder(tmp_path, PLAIN, 0)  # an earlier drive is never written over
    again.publish(tick_record(0), None)
    again.close()
    assert len(list(tmp_path.iterdir())) == len(parts) + 1


def test_predictions_are_not_recorded_and_odd_pictures_are_refused(tmp_path: Path) -> None:
    recorder = McapRecorder(tmp_path, PLAIN, 0)
    recorder.publish(tick_record(0, predicted=True), None)
    recorder.add_overlay(np.zeros((4, 4), np.float64), 1)
    assert recorder.flush(WAIT_S)
    assert recorder.fault is not None
    assert "no picture" in recorder.fault
    recorder.publish(tick_record(1), None)
    recorder.close()
    recorder.close()
    assert recorder.dropped == 1
    assert len(read(next(tmp_path.iterdir()))["/airside/tick"]) == 1
    with pytest.raises(UnavailableError, match="closed"):
        recorder.publish(tick_record(2), None)


def test_quaternions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        rotation *= np.sign(np.linalg.det(rotation))
        x, y, z, w = quaternion_xyzw(rotation)
        back = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        assert w >= 0
        np.testing.assert_allclose(back, rotation, atol=1e-12)
