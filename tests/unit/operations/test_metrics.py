"""What Prometheus reads, and who can."""

from __future__ import annotations

import socket
import threading
import urllib.request

import pytest

pytest.importorskip("prometheus_client")

from airside.errors import UnavailableError
from airside.messages import CameraStatus, Health, HealthState, Level
from airside.operations.metrics import Metrics
from tests.records import alert, tick_record


def read(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_a_tick_is_counted() -> None:
    metrics = Metrics(0)
    degraded = Health(HealthState.DEGRADED, ("stale",))
    cameras = (CameraStatus("front", Health(HealthState.OK), 100_000_000, True),
               CameraStatus("rear", Health(HealthState.BLIND), None, False))  # fmt: skip
    record = tick_record(
        5, capture_ns=100_000_000, published_ns=350_000_000, health=degraded, cameras=cameras,
        alerts=(alert(Level.STOP), alert(Level.NOTICE, id=2), alert(Level.NOTICE, id=3)),
    )  # fmt: skip
    try:
        metrics.tick(record, 120.0, [("zenoh", True, 2, 7), ("jsonl", False, 0, 0)])
        seen = read(metrics.port)
        metrics.tick(tick_record(6, bank_snapshot="new"), 500.0)
        after = read(metrics.port)
    finally:
        metrics.close()
    assert seen["airside_ticks_total"] == 1
    assert seen['airside_tick_seconds_bucket{le="0.125"}'] == 1
    assert seen['airside_tick_seconds_bucket{le="0.1"}'] == 0
    assert seen["airside_age_seconds_sum"] == pytest.approx(0.25)
    assert (seen["airside_level"], seen["airside_health"], seen["airside_last_tick"]) == (4, 1, 5)
    assert (seen['airside_alerts{level="STOP"}'], seen['airside_alerts{level="NOTICE"}']) == (1, 2)
    assert seen['airside_camera_health{camera="rear"}'] == 2
    assert seen['airside_camera_age_seconds{camera="front"}'] == pytest.approx(0.25)
    assert 'airside_camera_age_seconds{camera="rear"}' not in seen
    assert (seen['airside_publisher_fault{publisher="zenoh"}'], seen['airside_publisher_dropped{publisher="zenoh"}']) \
        == (1, 7)  # fmt: skip
    assert seen['airside_bank_info{method="default",model="def",snapshot="abc"}'] == 1
    assert after['airside_tick_seconds_bucket{le="0.3"}'] == 1
    assert [name for name in after if "bank_info" in name] == [
        'airside_bank_info{method="default",model="def",snapshot="new"}'
    ]
    assert not [name for name in after if name.startswith("airside_alerts")]


def test_a_port_in_use_is_said_and_freed_ports_can_be_had_again() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1.*another airside"):
            Metrics(other.getsockname()[1])
    threads = threading.active_count()
    first = Metrics(0)
    port = first.port
    first.close()
    assert threading.active_count() == threads
    Metrics(port).close()


def test_nobody_outside_can_read() -> None:
    metrics = Metrics(0)
    try:
        assert metrics._server.server_address[0] == "127.0.0.1"
    finally:
        metrics.close()
