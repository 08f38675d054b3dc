"""ROS 2 message types without a ROS installation: `rosbags`' own, and those whose ``.msg`` files ship with airside.

The definitions in ``msg/`` hold the field lines of the public interfaces only; the RIHS01 hash of a type, which every
subscriber compares, is computed from them.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airside.errors import CorruptError, InputError, UnavailableError

DETECTIONS = "vision_msgs/msg/Detection3DArray"
OBJECTS = "autoware_perception_msgs/msg/DetectedObjects"
GRID = "nav_msgs/msg/OccupancyGrid"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
TEXT = "std_msgs/msg/String"
PICTURE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
TRANSFORMS = "tf2_msgs/msg/TFMessage"

_ALL = (DETECTIONS, OBJECTS, GRID, DIAGNOSTICS, TEXT, PICTURE, CAMERA_INFO, TRANSFORMS)
_DEFINITIONS = Path(__file__).parent / "msg"


@dataclass(frozen=True, slots=True)
class Ros2Types:
    """A type store with airside's additions. Get the one there is from :func:`ros2_types`."""

    store: Any  # rosbags.typesys.store.Typestore

    def make(self, name: str, /, **fields: Any) -> Any:
        """A message of the type ``name`` (``std_msgs/msg/String``) from all its fields."""
        return self.store.types[name](**fields)

    def encode(self, message: Any) -> bytes:
        """``message`` as little-endian CDR with its encapsulation header; :class:`InputError` for a number that does
        not fit its field."""
        try:
            return bytes(self.store.serialize_cdr(message, message.__msgtype__, little_endian=True))
        except (struct.error, OverflowError, TypeError) as error:
            raise InputError(f"{message.__msgtype__} cannot be sent: {error}; check the frames' clock") from None

    def decode(self, data: bytes, name: str) -> Any:
        """The message of the type ``name`` in the CDR ``data``; :class:`CorruptError` where it holds none."""
        from rosbags.serde import SerdeError

        try:
            return self.store.deserialize_cdr(data, name)
        # What rosbags' generated readers raise on bytes that are cut off or lie about their lengths.
        except (SerdeError, IndexError, KeyError, OverflowError, MemoryError, AssertionError) as error:
            raise CorruptError(f"{len(data)} bytes are no {name} ({error}); ask the sender") from None

    def type_hash(self, name: str) -> str:
        """``RIHS01_...`` of the type ``name``."""
        return str(self.store.hash_rihs01(name))

    def definition(self, name: str) -> str:
        """The text of the definition of ``name`` and of all it needs, as MCAP's ``ros2msg`` wants it."""
        return str(self.store.generate_msgdef(name, ros_version=2)[0])


@functools.cache
def ros2_types() -> Ros2Types:
    """The types airside sends and records. Raises :class:`UnavailableError` where `rosbags` is not installed."""
    try:
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError:
        raise UnavailableError(
            "ROS 2 messages need the package rosbags, which is not installed: pip install 'airside[vehicle]'"
        ) from None
    store = get_typestore(Stores.ROS2_JAZZY)
    added: dict[str, Any] = {}
    for path in sorted(_DEFINITIONS.glob("*/*.msg")):
        added.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"{path.parent.name}/msg/{path.stem}"))
    store.register(added)
    for name in _ALL:  # rosbags writes the code of a type at its first use: half a second that no tick has
        store.get_msgdef(name)
    return Ros2Types(store)
