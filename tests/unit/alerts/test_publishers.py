"""The fan-out, the JSON lines as a publisher, and the time between two ticks."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airside.alerts.between_ticks import BetweenTicks
from airside.alerts.jsonl import JsonLinesWriter, read_records
from airside.alerts.prediction import predict_record
from airside.alerts.publishers import FanOut, PublisherState
from airside.errors import StorageError
from airside.messages import Level, Occupancy, TickRecord
from tests.records import SQUARE_M, alert, tick_record


class Ear:
    """Keeps what it is given; raises ``error`` while there is one."""

    def __init__(self, name: str = "ear") -> None:
        self.name, self.dropped, self.closed = name, 0, 0
        self.fault: str | None = None
        self.error: Exception | None = None
        self.heard: list[TickRecord] = []

    def publish(self, record: TickRecord, occupancy: Occupancy | None) -> None:
        if self.error is not None:
            raise self.error
        self.heard.append(record)

    def close(self) -> None:
        self.closed += 1
        if self.error is not None:
            raise self.error


def within(condition: Callable[[], bool], limit_s: float = 20.0) -> bool:
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    return condition()


@pytest.mark.parametrize("error", [StorageError("the disk is full"), ZeroDivisionError("a defect")])
def test_one_that_fails_stops_nobody_and_is_said_once(error: Exception) -> None:
    bad, good, said = Ear("bad"), Ear("good"), list[str]()
    fan = FanOut([bad, good], said.append)
    for tick in range(9):
        bad.error = error if 2 <= tick < 5 or tick == 7 else None
        fan.publish(tick_record(tick))
        assert fan.reasons == (("publisher_bad",) if bad.error else ())
    assert [record.tick for record in good.heard] == list(range(9))
    assert [record.tick for record in bad.heard] == [0, 1, 5, 6, 8]
    assert len(said) == 4
    assert str(error) in said[0]
    assert said[1] == "publisher bad: works again"
    assert fan.states == (PublisherState("bad", None, 2, 4), PublisherState("good", None, 0, 0))
    bad.error = error
    fan.close()
    assert (bad.closed, good.closed) == (1, 1)


def test_a_fault_of_a_publishers_own_thread_is_said_too() -> None:
    ear, said = Ear(), list[str]()
    fan = FanOut([ear], said.append)
    ear.fault, ear.dropped = "nobody is there", 3
    assert fan.reasons == ("publisher_ear",)
    fan.publish(tick_record(0))
    fan.publish(tick_record(1))
    assert said == ["publisher ear: nobody is there"]
    assert fan.states == (PublisherState("ear", "nobody is there", 1, 3),)


def test_json_lines_go_on_when_the_disk_has_space_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, said = tmp_path / "alerts.jsonl", list[str]()
    writer = JsonLinesWriter(path)
    fan = FanOut([writer], said.append)
    disk = _Disk(writer._file)
    monkeypatch.setattr(writer, "_file", disk)
    for tick in range(30):
        disk.full = 10 <= tick < 20
        fan.publish(tick_record(tick))
        read_records(path)  # never half a line
    fan.close()
    assert [record["tick"] for record in read_records(path)] == [*range(10), *range(20, 30)]
    assert len(said) == 2
    assert "No space left" in said[0]
    assert fan.states[0].dropped == 10


def test_predictions_are_not_written(tmp_path: Path) -> None:
    with JsonLinesWriter(tmp_path / "alerts.jsonl") as writer:
        writer.publish(tick_record(0))
        writer.publish(tick_record(0, predicted=True))
        writer.publish(tick_record(1))
    assert [record["tick"] for record in read_records(tmp_path / "alerts.jsonl")] == [0, 1]


class _Disk:
    """A file on a disk that, once full, takes a hundred bytes more."""

    def __init__(self, file: Any) -> None:
        self._file, self.full, self._room = file, False, 0

    def write(self, data: Any) -> int:
        if not self.full:
            self._room = 100
        elif self._room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        else:
            data, self._room = data[: self._room], 0
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_prediction_moves_and_decides_nothing() -> None:
    before = tick_record(
        7, capture_ns=980_000_000, now_ns=1_000_000_000, published_ns=1_050_000_000, expires_ns=1_600_000_000,
        alerts=(alert(Level.CAUTION, state=np.array([10.0, 1.0, -4.0, 0.5])),), timing_ms={"network": 3.0},
    )  # fmt: skip
    after = predict_record(before, 1_250_000_000)
    assert (after.tick, after.capture_ns, after.published_ns) == (7, 980_000_000, 1_250_000_000)
    assert (after.predicted, after.valid, after.level, after.timing_ms) == (True, True, Level.CAUTION, {})
    (moved,) = after.alerts
    assert (moved.level, moved.reasons) == (Level.CAUTION, before.alerts[0].reasons)
    np.testing.assert_allclose(moved.track.state, [9.0, 1.125, -4.0, 0.5])
    np.testing.assert_allclose(moved.track.footprint_xy_m, np.add(SQUARE_M, (-1.0, 0.125)))
    assert moved.track.cameras == ()
    old = before.alerts[0].track.covariance
    assert (np.diag(moved.track.covariance) > np.diag(old)).all()
    np.testing.assert_allclose(moved.track.covariance, moved.track.covariance.T)
    np.testing.assert_array_equal(before.alerts[0].track.state, [10.0, 1.0, -4.0, 0.5])
    assert (after.health, after.cameras, after.sightings) == (before.health, before.cameras, before.sightings)


@pytest.mark.parametrize(("at_ns", "valid"), [(1_599_999_999, True), (1_600_000_000, False), (9_000_000_000, False)])
def test_a_prediction_is_never_valid_beyond_its_tick(at_ns: int, valid: bool) -> None:
    before = tick_record(capture_ns=1_000_000_000, expires_ns=1_600_000_000)
    assert predict_record(before, at_ns).valid is valid
    assert not predict_record(tick_record(capture_ns=1, expires_ns=10**12, valid=False), 2).valid


def test_a_prediction_back_in_time_stands_still() -> None:
    before = tick_record(now_ns=1_000_000_000, alerts=(alert(),))
    np.testing.assert_array_equal(predict_record(before, 5).alerts[0].track.state, before.alerts[0].track.state)


def live(tick: int, expires_in_s: float, **changes: Any) -> TickRecord:
    now_ns = time.monotonic_ns()
    ends = now_ns + int(expires_in_s * 1e9)
    return tick_record(tick, capture_ns=now_ns, now_ns=now_ns, published_ns=now_ns, expires_ns=ends, **changes)


def test_between_ticks_predictions_go_out_and_end_with_one_that_is_not_valid() -> None:
    ear = Ear()
    between = BetweenTicks(ear, rate_hz=50.0)
    try:
        between.publish(live(0, 0.15), None)
        assert within(lambda: bool(ear.heard) and not ear.heard[-1].valid)
        ended = len(ear.heard)
        time.sleep(0.1)
        assert len(ear.heard) == ended  # silence: the loop hangs
        assert [record.predicted for record in ear.heard] == [False] + [True] * (ended - 1)
        assert [record.valid for record in ear.heard] == [True] * (ended - 1) + [False]
        assert ended >= 3
        times = [record.published_ns for record in ear.heard]
        assert times == sorted(times)
        between.publish(live(1, 10.0), None)
        assert within(lambda: len(ear.heard) >= ended + 3)
        assert {record.tick for record in ear.heard[ended:]} == {1}
    finally:
        between.close()
    assert ear.closed == 1
    assert not [t for t in threading.enumerate() if t.name == "airside-between-ticks"]


def test_ticks_that_come_in_time_leave_no_room_for_predictions() -> None:
    ear = Ear()
    between = BetweenTicks(ear, rate_hz=0.5)
    for tick in range(20):
        between.publish(live(tick, 10.0), None)
    between.close()
    assert [record.predicted for record in ear.heard] == [False] * 20


def test_a_wire_that_breaks_between_ticks_is_said_at_the_next_tick() -> None:
    ear, said = Ear("zenoh"), list[str]()
    between = BetweenTicks(ear, rate_hz=100.0)
    fan = FanOut([between], said.append)
    try:
        fan.publish(live(0, 10.0))
        ear.error = StorageError("gone")
        assert within(lambda: between.fault is not None)
        assert fan.reasons == ("publisher_zenoh",)
        ear.error = None
        assert within(lambda: between.fault is None)
        assert fan.states[0].dropped >= 1
    finally:
        fan.close()
