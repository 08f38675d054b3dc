"""What ROS 2's rmw_zenoh expects on the wire, byte for byte (DESIGN 9): keys, attachments, liveliness tokens.

Pure functions. A receiver may abort on an attachment it cannot read, so nothing else in airside builds one.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from dataclasses import dataclass

from airside.errors import CorruptError, UsageError

QOS_DEFAULT_DEPTH_1 = "::,1:,:,:,,"  # rmw's default, the newest message only
GID_BYTES = 16
_ADMIN = "@ros2_lv"
_NODE_ID = 0  # one node a session
_FORM = struct.Struct("<qqB16s")
_INT64 = 2**63
# The form of Jazzy's rmw_zenoh 0.2.0 to 0.2.3 names each value; every name and the id stand behind their length.
_EARLY_NAMES = (b"sequence_number", b"source_timestamp", b"source_gid")


class AttachmentForm(enum.StrEnum):
    """Which attachment the receivers read. A graph has one form, never both."""

    CURRENT = "current"  # 33 bytes
    JAZZY_EARLY = "jazzy_early"  # 77 bytes


@dataclass(frozen=True, slots=True)
class WireTopic:
    """A topic with its type: ``name`` with its leading slash, ``type_name`` as ``std_msgs/msg/String``."""

    name: str
    type_name: str
    type_hash: str

    @property
    def dds_type(self) -> str:
        package, kind, name = self.type_name.split("/")
        return f"{package}::{kind}::dds_::{name}_"


def data_key(domain_id: int, topic: WireTopic) -> str:
    """The Zenoh key of the topic's samples."""
    return f"{domain_id}/{topic.name.strip('/')}/{topic.dds_type}/{topic.type_hash}"


def attachment(
    sequence: int, stamp_ns: int, publisher_id: bytes, form: AttachmentForm = AttachmentForm.CURRENT
) -> bytes:
    """The attachment of one sample. ``sequence`` is the publisher's own, from 1.

    Raises :class:`UsageError` for numbers that do not fit and for an id that has not 16 bytes.
    """
    if not 0 < sequence < _INT64:
        raise UsageError(f"attachment: the sequence runs from 1 to 2^63 - 1, got {sequence}")
    if not -_INT64 <= stamp_ns < _INT64:
        raise UsageError(f"attachment: the stamp must fit 64 bits, got {stamp_ns}")
    if len(publisher_id) != GID_BYTES:
        raise UsageError(f"attachment: the publisher id has {GID_BYTES} bytes, got {len(publisher_id)}")
    if form is AttachmentForm.CURRENT:
        return _FORM.pack(sequence, stamp_ns, GID_BYTES, publisher_id)
    values = (struct.pack("<q", sequence), struct.pack("<q", stamp_ns), bytes([GID_BYTES]) + publisher_id)
    return b"".join(bytes([len(name)]) + name + value for name, value in zip(_EARLY_NAMES, values, strict=True))


def read_attachment(data: bytes) -> tuple[int, int, bytes]:
    """(sequence, stamp_ns, publisher id) of a 33-byte attachment; :class:`CorruptError` for anything else."""
    if len(data) != _FORM.size:
        raise CorruptError(f"attachment: wanted {_FORM.size} bytes, got {len(data)}; check the sender's rmw_zenoh")
    sequence, stamp_ns, length, publisher_id = _FORM.unpack(data)
    if length != GID_BYTES or sequence < 1:
        raise CorruptError(
            f"attachment: sequence {sequence} and an id of {length} bytes are not rmw_zenoh's; check the sender"
        )
    return sequence, stamp_ns, publisher_id


def node_token(domain_id: int, zenoh_id: str, node: str, *, namespace: str = "", enclave: str = "") -> str:
    """The liveliness token that puts ``node`` into the ROS 2 graph."""
    return "/".join(_token_head(domain_id, zenoh_id, _NODE_ID, "NN", enclave, namespace, node))


def publisher_token(
    domain_id: int,
    zenoh_id: str,
    entity_id: int,
    node: str,
    topic: WireTopic,
    *,
    namespace: str = "",
    enclave: str = "",
    qos: str = QOS_DEFAULT_DEPTH_1,
) -> str:
    """The liveliness token of one publisher of ``node``; ``entity_id`` differs from the node's own, 0."""
    head = _token_head(domain_id, zenoh_id, entity_id, "MP", enclave, namespace, node)
    return "/".join((*head, _mangled(topic.name), _mangled(topic.dds_type), topic.type_hash, qos))


def publisher_gid(token: str) -> bytes:
    """16 bytes that name the publisher with this token: the same token, the same bytes."""
    return hashlib.blake2b(token.encode(), digest_size=GID_BYTES).digest()


def _token_head(
    domain_id: int, zenoh_id: str, entity_id: int, kind: str, enclave: str, namespace: str, node: str
) -> tuple[str, ...]:
    names = (_mangled(enclave), _mangled(namespace), _mangled(node))
    return (_ADMIN, str(domain_id), zenoh_id, str(_NODE_ID), str(entity_id), kind, *names)


def _mangled(name: str) -> str:
    return name.replace("/", "%") or "%"
