"""A network without the outputs nobody asks for, and without the nodes that only they need.

Engines compute every node, whatever is fetched: without its depth decoder the embedded network costs a quarter to a
third less. ONNX is read at the level of its protobuf fields, for the vehicle has no ``onnx`` package.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_OUTPUT = 1, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_VALUE_NAME = 1
_ATTRIBUTE_GRAPHS = (6, 11)  # the bodies of If and Loop may use any name
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def pruned(network: bytes, outputs: Collection[str]) -> bytes:
    """``network`` with ``outputs`` alone, which it must have.

    Raises :class:`ValueError` where ``network`` is no ONNX model, or one of its nodes has a graph inside.
    """
    fields = list(_fields(memoryview(network)))
    return b"".join(
        _field(number, _without(value, outputs)) if number == _MODEL_GRAPH else bytes(whole)
        for number, value, whole in fields
    )


def _without(graph: memoryview, outputs: Collection[str]) -> bytes:
    fields = list(_fields(graph))
    wanted, dropped = set(outputs), set()
    for place in reversed(range(len(fields))):  # nodes are in topological order
        number, value, _ = fields[place]
        if number == _GRAPH_NODE:
            takes, gives = _names(value)
            if wanted.isdisjoint(gives):
                dropped.add(place)
            else:
                wanted.update(takes)
        elif number == _GRAPH_OUTPUT and _text(value, _VALUE_NAME)[0] not in outputs:
            dropped.add(place)
    return b"".join(bytes(whole) for place, (_, _, whole) in enumerate(fields) if place not in dropped)


def _names(node: memoryview) -> tuple[list[str], list[str]]:
    for number, value, _ in _fields(node):
        if number == _NODE_ATTRIBUTE and any(inner in _ATTRIBUTE_GRAPHS for inner, _, _ in _fields(value)):
            raise ValueError("a node has a graph inside: not pruned")
    return _text(node, _NODE_INPUT), _text(node, _NODE_OUTPUT)


def _text(message: memoryview, wanted: int) -> list[str]:
    return [bytes(value).decode() for number, value, _ in _fields(message) if number == wanted]


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """(field number, its bytes without length, the whole field) of every field."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind == _VARINT:
            length = _varint(message, at)[1] - at
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"not an ONNX model: wire type {kind}")
        if at + length > len(message):
            raise ValueError("not an ONNX model: it ends too early")
        yield key >> 3, message[at : at + length], message[start : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("not an ONNX model: it ends too early")
        value |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            return value, at


def _field(number: int, value: bytes) -> bytes:
    return bytes(_packed(number << 3 | _BYTES)) + bytes(_packed(len(value))) + value


def _packed(value: int) -> Iterator[int]:
    while value >= 0x80:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
