"""Two processes over Zenoh on loopback, and everything that can be missing at the other end."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
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
    """The other process. Leave it with :meth:`stop`, or :meth:`kill` it."""

    def __init__(self, endpoint: str, *, mode: str = "peer", key: str = "0/**") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RECEIVER, mode, endpoint, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        while self.take()[0] != "READY":  # a publisher that has waited for it may be faster
            pass

    def take(self) -> tuple[str, bytes, bytes]:
        key, attachment, payload = (self._part() for _ in range(3))
        return key.decode(), attachment, payload

    def take_sample(self) -> tuple[str, bytes, bytes]:
        while True:
            taken = self.take()
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
        self._process.communicate()

    def _part(self) -> bytes:
        assert self._process.stdout is not None
        (length,) = struct.unpack("<I", self._process.stdout.read(4))
        return self._process.stdout.read(length)


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


def assert_equal(left: object, right: object) -> None:
    """Two messages, field by field; float32 fields have lost what they cannot hold."""
    assert type(left) is type(right)
    for name in left.__dataclass_fields__:  # type: ignore[attr-defined]
        a, b = getattr(left, name), getattr(right, name)
        if hasattr(a, "__dataclass_fields__"):
            assert_equal(a, b)
        elif isinstance(a, list):
            assert len(a) == len(b)
            for one, other in zip(a, b, strict=True):
                assert_equal(one, other)
        elif isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        elif isinstance(a, float):
            assert a == b or a == float(np.float32(b)), name
        else:
            assert a == b, name


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
        publisher.publish(tick_record(1), None)
        sample = router.take_sample()
        assert read_attachment(sample[1])[0] == 2  # the numbers went on
        router.kill()
        assert within(lambda: not publisher.connected)
        assert publisher.fault is not None
        for tick in range(2, 6):  # into nowhere: nothing is raised
            publisher.publish(tick_record(tick), None)
        router = Receiver(endpoint, mode="router")
        assert within(lambda: publisher.connected)
        assert publisher.fault is None
        publisher.publish(tick_record(6), None)
        assert read_attachment(router.take_sample()[1])[0] == 7
    finally:
        publisher.close()
        if router is not None:
            router.kill()


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
