"""All outputs of a drive together."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zenoh")
pytest.importorskip("mcap")
pytest.importorskip("prometheus_client")

from mcap.reader import make_reader

from airside.alerts.jsonl import read_records
from airside.commands.outputs import Outputs
from airside.config.publish import MetricsConfig, PublishConfig, RecorderConfig, ZenohConfig
from airside.errors import StorageError, UnavailableError
from airside.messages import Frame, Level
from tests.records import alert, tick_record


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_drive_with_everything_and_nobody_at_the_other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, said = set(threading.enumerate()), list[str]()
    config = PublishConfig(
        zenoh=ZenohConfig(enabled=True, connect=(f"tcp/127.0.0.1:{free_port()}",)),
        recorder=RecorderConfig(enabled=True, keep_free_mb=0.0),
        metrics=MetricsConfig(enabled=True, port=free_port()),
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with Outputs(tmp_path, config, offset_ns=5, live=True, say=said.append) as outputs:
            for tick in range(6):
                record = tick_record(tick, capture_ns=tick + 1, alerts=(alert(Level.STOP),))
                frame = Frame("front", np.zeros((8, 8, 3), np.uint8), tick, tick)
                outputs.publish(record, None, [frame], duration_ms=12.3)
                outputs.overlay(frame.image, record)
                if tick == 2:
                    deadline = threading.Event()
                    while not outputs.reasons:  # its thread has to find out first
                        deadline.wait(0.01)
            assert outputs.reasons == ("publisher_zenoh",)
            assert [state.name for state in outputs.states] == ["jsonl", "zenoh", "recorder"]
        heard = [systemd.recv(4096).decode().splitlines()[0] for _ in range(8)]
    assert heard == ["READY=1", *["WATCHDOG=1"] * 6, "STOPPING=1"]
    assert [record["tick"] for record in read_records(tmp_path / "alerts.jsonl")] == list(range(6))
    (recording,) = (tmp_path / "recording").iterdir()
    with recording.open("rb") as stream:
        topics = [channel.topic for _, channel, _ in make_reader(stream).iter_messages()]
    assert topics.count("/airside/tick") == topics.count("/airside/overlay/compressed") == 6
    assert len(said) == 1
    assert said[0].startswith("publisher zenoh: no Zenoh session")
    assert set(threading.enumerate()) <= threads


def test_plain_it_is_the_json_lines_alone(tmp_path: Path) -> None:
    with Outputs(tmp_path, PublishConfig()) as outputs:
        outputs.publish(tick_record(0), duration_ms=1.0)
        assert outputs.reasons == ()
    assert [path.name for path in tmp_path.iterdir()] == ["alerts.jsonl"]


def test_what_cannot_be_had_is_said_at_once_and_leaves_nothing_open(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    (tmp_path / "recording").write_text("in the way")
    config = PublishConfig(
        zenoh=ZenohConfig(enabled=True, connect=(f"tcp/127.0.0.1:{free_port()}",)),
        recorder=RecorderConfig(enabled=True),
        metrics=MetricsConfig(enabled=True, port=free_port()),
    )
    for _ in range(2):  # the port is free again
        with pytest.raises(StorageError, match="recording"):
            Outputs(tmp_path, config, live=True)
    assert set(threading.enumerate()) <= threads
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = PublishConfig(metrics=MetricsConfig(enabled=True, port=other.getsockname()[1]))
        with pytest.raises(UnavailableError, match="another port"):
            Outputs(tmp_path, taken)
