"""The wire of rmw_zenoh, byte for byte."""

from __future__ import annotations

import random
import struct

import pytest

from airside.alerts.rmw_zenoh import (
    AttachmentForm,
    WireTopic,
    attachment,
    data_key,
    node_token,
    publisher_gid,
    publisher_token,
    read_attachment,
)
from airside.alerts.ros2_types import DETECTIONS, DIAGNOSTICS, GRID, OBJECTS, TEXT, ros2_types
from airside.alerts.zenoh_ros2 import wire_topics
from airside.errors import AirsideError, CorruptError, UsageError

GID = bytes(range(16))
ZENOH_ID = "8b20917502ee955ac4476e0266340d5c"
STRING_HASH = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
DETECTIONS_HASH = "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018"
CHATTER = WireTopic("/chatter", "std_msgs/msg/String", STRING_HASH)


def test_the_type_hashes_are_the_published_ones() -> None:
    types = ros2_types()
    assert types.type_hash(DETECTIONS) == DETECTIONS_HASH
    assert types.type_hash(TEXT) == STRING_HASH
    for name in (OBJECTS, GRID, DIAGNOSTICS):
        assert types.type_hash(name).startswith("RIHS01_")
        assert len(types.type_hash(name)) == len(DETECTIONS_HASH)


def test_keys() -> None:
    assert data_key(0, CHATTER) == f"0/chatter/std_msgs::msg::dds_::String_/{STRING_HASH}"
    keys = [data_key(0, topic) for topic in wire_topics("/airside", ros2_types())]
    assert keys[0] == f"0/airside/unknown_objects/vision_msgs::msg::dds_::Detection3DArray_/{DETECTIONS_HASH}"
    assert [key.rpartition("/")[0] for key in keys[1:]] == [
        "0/airside/detected_objects/autoware_perception_msgs::msg::dds_::DetectedObjects_",
        "0/airside/diagnostics/diagnostic_msgs::msg::dds_::DiagnosticArray_",
        "0/airside/tick/std_msgs::msg::dds_::String_",
        "0/airside/occupancy/nav_msgs::msg::dds_::OccupancyGrid_",
    ]


def test_the_attachment_has_33_bytes() -> None:
    made = attachment(258, 1_700_000_000_123_456_789, GID)
    assert made.hex() == "0201000000000000" + "15cd853dfe9c9717" + "10" + "000102030405060708090a0b0c0d0e0f"
    assert len(made) == 33
    assert read_attachment(made) == (258, 1_700_000_000_123_456_789, GID)


def test_the_early_form_has_77_bytes_as_zenoh_serialises_names_and_values() -> None:
    zenoh_ext = pytest.importorskip("zenoh.ext")
    made = attachment(258, -5, GID, AttachmentForm.JAZZY_EARLY)
    assert made == (
        b"\x0fsequence_number\x02\x01\0\0\0\0\0\0\x10source_timestamp\xfb\xff\xff\xff\xff\xff\xff\xff"
        b"\x0asource_gid\x10" + GID
    )
    assert len(made) == 77
    int64 = zenoh_ext.Int64
    parts = ("sequence_number", int64(258), "source_timestamp", int64(-5), "source_gid", GID)
    assert made == b"".join(bytes(zenoh_ext.z_serialize(part)) for part in parts)


@pytest.mark.parametrize(
    ("sequence", "stamp_ns", "gid", "message"),
    [
        (0, 1, GID, "from 1"),
        (-1, 1, GID, "from 1"),
        (2**63, 1, GID, "from 1"),
        (1, 2**63, GID, "64 bits"),
        (1, 1, GID[:15], "16 bytes"),
        (1, 1, GID + b"x", "16 bytes"),
    ],
)
def test_no_other_attachment_is_ever_built(sequence: int, stamp_ns: int, gid: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        attachment(sequence, stamp_ns, gid)


def test_tokens_as_in_the_ros2_documentation() -> None:
    assert node_token(2, ZENOH_ID, "talker") == f"@ros2_lv/2/{ZENOH_ID}/0/0/NN/%/%/talker"
    assert publisher_token(2, ZENOH_ID, 10, "talker", CHATTER) == (
        f"@ros2_lv/2/{ZENOH_ID}/0/10/MP/%/%/talker/%chatter/std_msgs::msg::dds_::String_/{STRING_HASH}/::,1:,:,:,,"
    )
    named = publisher_token(0, "ab", 3, "talker", CHATTER, namespace="/robot1/left", enclave="/e")
    assert named.startswith("@ros2_lv/0/ab/0/3/MP/%e/%robot1%left/talker/%chatter/")


def test_a_publisher_id_belongs_to_its_token() -> None:
    assert len(publisher_gid("a")) == 16
    assert publisher_gid("a") == publisher_gid("a") != publisher_gid("b")


def test_1500_mutated_attachments_raise_only_our_own_errors() -> None:
    draw = random.Random(5)
    good, read = attachment(7, 8, GID), 0
    for _ in range(1500):
        data = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        data = data[: draw.randint(0, len(data))] + bytes(draw.randint(0, 3)) if draw.random() < 0.5 else data
        try:
            sequence, _, gid = read_attachment(bytes(data))
        except AirsideError:
            continue
        assert sequence > 0
        assert len(gid) == 16
        read += 1
    assert 0 < read < 1500
    with pytest.raises(CorruptError, match="sequence 0"):
        read_attachment(struct.pack("<qqB16s", 0, 1, 16, GID))
