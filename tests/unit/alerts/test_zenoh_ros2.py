"""Two processes over Zenoh on loopback, and everything that can be missing at the other end."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zenoh")
pytest.importorskip("rosbags")

from airside.alerts.rmw_zenoh import data_key, read_attachment
from airside.alerts.ros2_messages import detected_objects, detections, diagnostics, occupancy_grid, tick_text
from airside.alerts.ros2_types import ros2_types
from airside.alerts.zenoh_ros2 import WAITING_RECORDS, ZenohPublisher, wire_topics
from airside.alerts.zenoh_session import session_settings
from airside.config.publish import ZenohConfig
from airside.errors import UnavailableError
from airside.messages import Occupancy, TickRecord
from tests.records import alert, random_record, tick_record
from tests.ros2_equal import assert_equal

TYPES = ros2_types()
OFFSET_NS = 1_700_000_000_000_000_000
WAIT_S = 20.0

# Writes each sample (key, attachment, payload) to its standard output, each part behind its length.
RECEIVER = """
import json, struct, sys, threading, time, zenoh
mode, endpoint, key = sys.argv[1:]
config = zenoh.Config()
for name, value in (("mode", mode), ("listen/endpoints", [endpoint]), ("scouting/multicast/enabled", False)):
    config.insert_json5(name, json.dumps(value))
lock = threading.Lock()
def write(*parts):
    with lock:
        for part in parts:
            sys.stdout.buffer.write(struct.pack("<I", len(part)) + part)
        sys.stdout.buffer.flush()
def on_sample(sample):
    attachment = sample.attachment
    write(str(sample.key_expr).encode(), attachment.to_bytes() if attachment else b"", sample.payload.to_bytes())
def on_token(sample):
    write(("TOKEN " + str(sample.kind) + " " + str(sample.key_expr)).encode(), b"", b"")
session = zenoh.open(config)
tokens = session.liveliness().declare_subscriber("@ros2_lv/**", on_token, history=True)
samples = session.declare_subscriber(key, on_sample)
write(b"READY", b"", b"")
sys.stdin.read()
session.close()
"""


class Receiver:
    """The other process, heard by a thread. :meth:`kill` it at the end."""

    def __init__(self, endpoint: str, *, mode: str = "peer", key: str = "0/**") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RECEIVER, mode, endpoint, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._heard: queue.Queue[tuple[str, bytes, bytes]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        while self.take()[0] != "READY":  # a publisher that has waited for it may be faster
            pass

    def take(self, limit_s: float = WAIT_S) -> tuple[str, bytes, bytes]:
        return self._heard.get(timeout=limit_s)

    def take_sample(self, limit_s: float = WAIT_S) -> tuple[str, bytes, bytes]:
        while True:
            taken = self.take(limit_s)
            if not taken[0].startswith("TOKEN"):
                return taken

    def take_tokens(self, count: int) -> list[str]:
        out: list[str] = []
        while len(out) < count:
            key = self.take()[0]
            if key.startswith("TOKEN"):
                out.append(key)
        return out

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        parts: list[bytes] = []
        while len(head := stream.read(4)) == 4:
            parts.append(stream.read(struct.unpack("<I", head)[0]))
            if len(parts) == 3:
                self._heard.put((parts[0].decode(), parts[1], parts[2]))
                parts = []


@pytest.fixture
def endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp/127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def receiver(endpoint: str) -> Iterator[Receiver]:
    made = Receiver(endpoint)
    yield made
    made.kill()


def within(condition: Callable[[], bool], limit_s: float = WAIT_S) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def test_1000_of_1000_messages_with_every_field(endpoint: str, receiver: Receiver) -> None:
    rng, count = np.random.default_rng(7), 1000
    records = [random_record(rng, tick) for tick in range(count)]
    grids = [Occupancy(0.5, (-5.0, -5.0), rng.integers(-1, 101, (6, 4)).astype(np.int8)) for _ in range(count)]
    topics = wire_topics("/airside", TYPES)
    publisher = ZenohPublisher(ZenohConfig(connect=(endpoint,)), OFFSET_NS, blocking=True)
    got: dict[str, list[tuple[bytes, bytes]]] = {data_key(0, topic): [] for topic in topics}
    try:
        assert within(lambda: publisher.connected), publisher.fault
        for record, grid in zip(records, grids, strict=True):
            publisher.publish(record, grid)
            assert publisher.flush(WAIT_S)
            for _ in topics:
                key, attachment, payload = receiver.take_sample()
                got[key].append((attachment, payload))
        assert (publisher.sent, publisher.dropped, publisher.fault) == (count, 0, None)
    finally:
        publisher.close()
    gids = set()
    for i, (record, grid) in enumerate(zip(records, grids, strict=True)):
        wanted = (
            detections(TYPES, record, OFFSET_NS),
            detected_objects(TYPES, record, OFFSET_NS),
            diagnostics(TYPES, record, OFFSET_NS, i + 1),
            tick_text(TYPES, record),
            occupancy_grid(TYPES, grid, record.capture_ns, OFFSET_NS),
        )
        for topic, message in zip(topics, wanted, strict=True):
            attachment, payload = got[data_key(0, topic)][i]
            sequence, stamp_ns, gid = read_attachment(attachment)
            assert (sequence, stamp_ns) == (i + 1, record.published_ns + OFFSET_NS)
            gids.add((topic.name, gid))
            assert_equal(TYPES.decode(payload, topic.type_name), message)
    assert len(gids) == len(topics)  # each publisher keeps its own id


def test_it_joins_and_leaves_the_ros_graph(endpoint: str, receiver: Receiver) -> None:
    publisher = ZenohPublisher(ZenohConfig(connect=(endpoint,), domain_id=3, node="monitor"), 0)
    tokens = receiver.take_tokens(6)
    head = tokens[0].split("/")
    zenoh_id = head[2]
    kinds = Counter(token.split("/")[5] for token in tokens)
    assert kinds == {"NN": 1, "MP": 5}
    assert f"TOKEN SampleKind.PUT @ros2_lv/3/{zenoh_id}/0/0/NN/%/%/monitor" in tokens
    assert (
        f"TOKEN SampleKind.PUT @ros2_lv/3/{zenoh_id}/0/1/MP/%/%/monitor/%airside%unknown_objects/"
        "vision_msgs::msg::dds_::Detection3DArray_/"
        "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018/::,1:,:,:,,"
    ) in tokens
    publisher.close()
    assert all(token.startswith("TOKEN SampleKind.DELETE") for token in receiver.take_tokens(6))


def test_it_starts_without_a_router_and_finds_it_later(endpoint: str) -> None:
    publisher = ZenohPublisher(ZenohConfig(connect=(endpoint,)), 0)
    router: Receiver | None = None
    try:
        assert within(lambda: publisher.fault is not None)
        assert publisher.fault is not None
        assert endpoint in publisher.fault
        assert not publisher.connected
        publisher.publish(tick_record(0), None)
        assert within(lambda: publisher.dropped == 1)
        router = Receiver(endpoint, mode="router")
        assert within(lambda: publisher.connected)
        first = until_heard(publisher, router)
        assert first > 1  # the numbers went on
        router.kill()
        assert within(lambda: not publisher.connected)
        assert publisher.fault is not None
        for tick in range(4):  # into nowhere: nothing is raised
            publisher.publish(tick_record(tick), None)
        router = Receiver(endpoint, mode="router")
        assert until_heard(publisher, router) > first + 4
        assert (publisher.connected, publisher.fault) == (True, None)
    finally:
        publisher.close()
        if router is not None:
            router.kill()


def until_heard(publisher: ZenohPublisher, receiver: Receiver) -> int:
    """Publish as ticks do until a sample arrives, and tell its number: just after a connection Zenoh may not know yet
    who subscribes."""
    for tick in range(100):
        publisher.publish(tick_record(tick), None)
        with contextlib.suppress(queue.Empty):
            return read_attachment(receiver.take_sample(limit_s=0.2)[1])[0]
    raise AssertionError(f"nothing was heard; {publisher.fault}")


def test_publishing_never_waits_and_keeps_the_newest(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while Zenoh itself hangs."""
    receiver = Receiver(endpoint)
    publisher = ZenohPublisher(ZenohConfig(connect=(endpoint,)), 0)
    try:
        assert within(lambda: publisher.connected)
        real = publisher._send
        held: list[TickRecord] = []

        def hang(session: object, item: object) -> None:
            held.append(item.record)  # type: ignore[attr-defined]
            assert within(lambda: publisher.dropped >= 10)
            real(session, item)  # type: ignore[arg-type]

        monkeypatch.setattr(publisher, "_send", hang)
        publisher.publish(tick_record(0), None)
        assert within(lambda: len(held) == 1)
        for tick in range(1, 11 + WAITING_RECORDS):
            publisher.publish(tick_record(tick), None)
        assert publisher.dropped == 10
        assert publisher.flush(WAIT_S)
        assert [record.tick for record in held] == [0, *range(11, 11 + WAITING_RECORDS)]
    finally:
        publisher.close()
        receiver.kill()


def test_a_record_that_cannot_be_sent_is_said_and_the_next_one_goes(endpoint: str, receiver: Receiver) -> None:
    publisher = ZenohPublisher(ZenohConfig(connect=(endpoint,)), 0)
    try:
        assert within(lambda: publisher.connected)
        publisher.publish(tick_record(0, alerts=(alert(height_m=float("nan")),)), None)
        assert publisher.flush(WAIT_S)
        assert publisher.fault is not None
        assert "nan" in publisher.fault
        publisher.publish(tick_record(1), None)
        assert publisher.flush(WAIT_S)
        assert (publisher.fault, publisher.dropped, publisher.sent) == (None, 1, 1)
    finally:
        publisher.close()
    publisher.close()
    with pytest.raises(UnavailableError, match="closed"):
        publisher.publish(tick_record(2), None)


# Connects, leaves the receiver frozen, closes and ends.
LEAVES = """
import os, signal, sys, time
import numpy as np
from airside.alerts.zenoh_ros2 import ZenohPublisher
from airside.config.publish import ZenohConfig
from airside.messages import Occupancy
from tests.records import tick_record
publisher = ZenohPublisher(ZenohConfig(connect=(sys.argv[1],)), 0)
while not publisher.connected:
    time.sleep(0.01)
os.kill(int(sys.argv[2]), signal.SIGSTOP)
slowest = 0.0
grid = Occupancy(0.5, (0.0, 0.0), np.zeros((500, 500), np.int8))
for tick in range(100):
    begun = time.monotonic()
    publisher.publish(tick_record(tick), grid)
    slowest = max(slowest, time.monotonic() - begun)
    publisher.flush(20.0)
publisher.close()
print("slow" if slowest > 1 else "closed", flush=True)
os.kill(int(sys.argv[2]), signal.SIGKILL)  # Zenoh comes back just while Python ends
"""


def test_a_frozen_peer_holds_up_neither_a_tick_nor_the_end(endpoint: str, receiver: Receiver) -> None:
    """Zenoh waits ten seconds for it; a process that ends meanwhile must not be aborted."""
    code = [sys.executable, "-c", LEAVES, endpoint, str(receiver._process.pid)]
    root = Path(__file__).parents[3]
    done = subprocess.run(code, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("closed\n", 0), done.stderr


def test_the_settings_reach_beyond_the_machine_only_where_told() -> None:
    plain = session_settings(ZenohConfig())
    assert plain == {
        "mode": "client",
        "connect/endpoints": ["tcp/localhost:7447"],
        "listen/endpoints": [],
        "scouting/multicast/enabled": False,
        "transport/shared_memory/enabled": False,
    }
    assert session_settings(ZenohConfig(listen=("tcp/localhost:0",)))["mode"] == "peer"


def test_without_the_packages_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['zenoh'] = None\n"
        "from airside.alerts.zenoh_session import require_zenoh\n"
        "from airside.errors import UnavailableError\n"
        "try:\n    require_zenoh()\nexcept UnavailableError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "pip install 'airside[vehicle]'" in done.stdout, done.stderr
