"""Parts of a network: what some of its outputs need, and what comes before and after one of its nodes.

Engines compute every node, whatever is fetched: without its depth decoder the embedded network costs a quarter to a
third less. ONNX is read at the level of its protobuf fields, for the vehicle has no ``onnx`` package.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND, _NODE_ATTRIBUTE = 1, 2, 4, 5
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR = 1, 2, 1
_OF_FLOAT32 = b"\x08\x01"  # a tensor type: its elements' type, which is field 1, is FLOAT, which is 1
_ATTRIBUTE_GRAPHS = (6, 11)  # the bodies of If and Loop may use any name
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def pruned(network: bytes, outputs: Collection[str]) -> bytes:
    """``network`` with ``outputs`` alone, which it must have.

    Raises :class:`ValueError` where ``network`` is no ONNX model, or one of its nodes has a graph inside.
    """
    return _with_graph(network, lambda graph: _part(graph, None, outputs))


def cut_after(network: bytes, kind: str, outputs: Collection[str]) -> tuple[bytes, bytes, str]:
    """``network`` up to its only node of ``kind`` and what comes after it, for ``outputs``; and the name of what the
    node gives, one float32 tensor: the last output of the first part, the only input of the second, whose outputs are
    those that need it.

    Raises :class:`ValueError` where ``network`` is no ONNX model, one of its nodes has a graph inside, it has not one
    such node, or what comes after needs more than that.
    """
    graphs = [value for number, value, _ in _fields(memoryview(network)) if number == _MODEL_GRAPH]
    nodes = [value for graph in graphs for number, value, _ in _fields(graph) if number == _GRAPH_NODE]
    given = [_text(node, _NODE_OUTPUT) for node in nodes if _text(node, _NODE_KIND) == [kind]]
    if len(given) != 1:
        raise ValueError(f"wanted one {kind} to cut after, found {len(given)}")
    ((border,),) = given
    after = {border}
    for node in nodes:
        takes, gives = _names(node)
        if not after.isdisjoint(takes):
            after.update(gives)
    before = [*(name for name in outputs if name not in after), border]
    behind = [name for name in outputs if name in after]
    first = _with_graph(network, lambda graph: _part(graph, None, before))
    second = _with_graph(network, lambda graph: _part(graph, border, behind))
    return first, second, border


def _with_graph(network: bytes, change: Callable[[memoryview], bytes]) -> bytes:
    return b"".join(
        _field(number, change(value)) if number == _MODEL_GRAPH else bytes(whole)
        for number, value, whole in _fields(memoryview(network))
    )


def _part(graph: memoryview, given: str | None, outputs: Collection[str]) -> bytes:
    """What ``outputs`` need. Where a value between nodes is ``given`` it takes the place of the graph's own inputs,
    which must not be needed then; ``outputs`` may be such values too."""
    fields = list(_fields(graph))
    wanted, dropped, declared = set(outputs), set(), set()
    for place in reversed(range(len(fields))):  # nodes are in topological order
        number, value, _ = fields[place]
        if number == _GRAPH_NODE:
            takes, gives = _names(value)
            if wanted.isdisjoint(gives):
                dropped.add(place)
            else:
                wanted.update(name for name in takes if name != given)
        elif number == _GRAPH_OUTPUT:
            (name,) = _text(value, _VALUE_NAME)
            declared.add(name)
            if name not in outputs:
                dropped.add(place)
    inputs = []
    if given is not None:
        own = {place: _text(value, _VALUE_NAME)[0] for place, (n, value, _) in enumerate(fields) if n == _GRAPH_INPUT}
        if needed := wanted.intersection(own.values()):
            raise ValueError(f"what comes after {given} needs {', '.join(sorted(needed))} too")
        dropped.update(own)
        inputs = [_field(_GRAPH_INPUT, _float32(given))]
    kept = [bytes(whole) for place, (_, _, whole) in enumerate(fields) if place not in dropped]
    new = [_field(_GRAPH_OUTPUT, _float32(name)) for name in outputs if name not in declared]
    return b"".join([*kept, *inputs, *new])


def _float32(name: str) -> bytes:
    """A tensor of any shape."""
    return _field(_VALUE_NAME, name.encode()) + _field(_VALUE_TYPE, _field(_TYPE_TENSOR, _OF_FLOAT32))


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
