"""Small recordings, written by rosbags' and mcap's own writers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from rosbags.typesys import Stores, get_typestore

from tests.picture_files import encoded, flat

STORE = get_typestore(Stores.ROS2_HUMBLE)
COMPRESSED, RAW, INFO = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
S, MS = 1_000_000_000, 1_000_000
START_NS = 1_700_000_000 * S  # ROS time is the wall clock


@dataclass(frozen=True)
class Stored:
    topic: str
    log_ns: int
    kind: str
    data: bytes


def _header(stamp_ns: int, frame_id: str = "cam") -> Any:
    time = STORE.types["builtin_interfaces/msg/Time"](sec=stamp_ns // S, nanosec=stamp_ns % S)
    return STORE.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def _cdr(message: Any, kind: str) -> bytes:
    return bytes(STORE.serialize_cdr(message, kind))


def compressed(topic: str, log_ns: int, level: int = 0, *, stamp_ns: int | None = None, data: bytes | None = None,
               kind: str = "PNG") -> Stored:  # fmt: skip
    """A picture of one grey level, taken when it is logged unless ``stamp_ns`` says otherwise."""
    payload = encoded(level, kind) if data is None else data
    stamp = _header(log_ns if stamp_ns is None else stamp_ns)
    message = STORE.types[COMPRESSED](header=stamp, format=kind.lower(), data=np.frombuffer(payload, np.uint8))
    return Stored(topic, log_ns, COMPRESSED, _cdr(message, COMPRESSED))


def raw(topic: str, log_ns: int, pixels: np.ndarray, encoding: str, /, *, pad: int = 0, **changes: Any) -> Stored:
    """``pixels`` [H, W, bytes] uint8; ``pad`` bytes behind every row."""
    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, pad)), constant_values=77)
    fields: dict[str, Any] = {
        "header": _header(log_ns), "height": height, "width": width, "encoding": encoding, "is_bigendian": 0,
        "step": rows.shape[1], "data": rows.ravel(),
    }  # fmt: skip
    return Stored(topic, log_ns, RAW, _cdr(STORE.types[RAW](**(fields | changes)), RAW))


def info(topic: str, log_ns: int, width: int = 48) -> Stored:
    roi = STORE.types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    message = STORE.types[INFO](
        header=_header(log_ns, "front_optical"), height=32, width=width, distortion_model="plumb_bob",
        d=np.array([0.1, -0.2, 0.0, 0.0, 0.3]), k=np.array([40.0, 0, 24, 0, 41, 16, 0, 0, 1]), r=np.eye(3).ravel(),
        p=np.zeros(12), binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip
    return Stored(topic, log_ns, INFO, _cdr(message, INFO))


def drive(cameras: Iterable[str], frames: int = 10, period_ms: int = 100) -> list[Stored]:
    """Each camera's pictures, of grey levels counting up, 20 ms after one another; calibrations beside them."""
    messages = []
    for i in range(frames):
        for c, camera in enumerate(cameras):
            log_ns = START_NS + (i * period_ms + 20 * c) * MS
            messages.append(compressed(f"/{camera}/image_raw/compressed", log_ns, (10 * i + c) % 256))
            messages.append(info(f"/{camera}/camera_info", log_ns))
    return messages


def write_rosbag(
    folder: Path, messages: Iterable[Stored], plugin: str = "sqlite3", compress: CompressionMode | None = None
) -> Path:
    writer = BagWriter(folder, version=9, storage_plugin=StoragePlugin[plugin.upper()])
    if compress is not None:
        writer.set_compression(compress, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for message in messages:
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(message.topic, message.kind, typestore=STORE)
            writer.write(connections[message.topic], message.log_ns, message.data)
    return folder


def write_mcap(path: Path, messages: Iterable[Stored], *, chunk_bytes: int = 500, finish: bool = True,
               compression: CompressionType = CompressionType.NONE, encoding: str = "cdr") -> Path:  # fmt: skip
    """As airside's own recorder writes: profile ros2, schemas as message definitions. Not ``finish``: as if killed."""
    with path.open("wb") as file:
        writer = McapWriter(file, chunk_size=chunk_bytes, compression=compression)
        writer.start(profile="ros2", library="test")
        channels: dict[str, int] = {}
        for message in messages:
            if message.topic not in channels:
                definition, _ = STORE.generate_msgdef(message.kind, ros_version=2)
                schema = writer.register_schema(message.kind, "ros2msg", definition.encode())
                channels[message.topic] = writer.register_channel(message.topic, encoding, schema)
            writer.add_message(channels[message.topic], message.log_ns, message.data, message.log_ns)
        if finish:
            writer.finish()
    return path


def grey(level: int, channels: int) -> np.ndarray:
    return flat(level, (32, 48, channels))
