"""What is left of a network computes the same, and what is no network is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from airside.engine.bundle import open_bundle
from airside.engine.onnx import load_engine
from airside.engine.parts import cut_after, pruned
from tests.builders import tiny_bundle


def _value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])


def _network() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Relu", ["x"], ["shared"]),
        helper.make_node("Neg", ["shared"], ["wanted"]),
        helper.make_node("Exp", ["shared"], ["between"]),
        helper.make_node("Abs", ["between"], ["other"]),
    ]
    graph = helper.make_graph(nodes, "made", [_value("x")], [_value("wanted"), _value("other")])
    opset = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opset, producer_name="p" * 300, ir_version=10)


@pytest.mark.parametrize(
    ("outputs", "left"),
    [(("wanted",), ["Relu", "Neg"]), (("other",), ["Relu", "Exp", "Abs"]), (("wanted", "other"), None)],
)
def test_only_what_is_needed_is_left(outputs: tuple[str, ...], left: list[str] | None) -> None:
    whole = _network()
    model = onnx.load_from_string(pruned(whole.SerializeToString(), outputs))
    onnx.checker.check_model(model)
    if left is None:
        assert model == whole
    else:
        assert [node.op_type for node in model.graph.node] == left
        assert [value.name for value in model.graph.output] == list(outputs)
        assert model.producer_name == whole.producer_name
    x = np.array([-1.0, 2.0], np.float32)
    came, wanted = (
        onnxruntime.InferenceSession(m.SerializeToString()).run(list(outputs), {"x": x}) for m in (model, whole)
    )
    assert all(np.array_equal(a, b) for a, b in zip(came, wanted, strict=True))


def _run(model: bytes, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    return list(onnxruntime.InferenceSession(model).run(outputs, inputs))


def test_two_parts_compute_what_the_whole_does() -> None:
    whole, x = _network().SerializeToString(), {"x": np.array([-1.0, 2.0], np.float32)}
    first, second, border = cut_after(whole, "Exp", ("other", "wanted"))
    assert border == "between"
    parts = [onnx.load_from_string(part).graph for part in (first, second)]
    assert [[node.op_type for node in part.node] for part in parts] == [["Relu", "Neg", "Exp"], ["Abs"]]
    assert [[value.name for value in part.output] for part in parts] == [["wanted", "between"], ["other"]]
    assert [[value.name for value in part.input] for part in parts] == [["x"], ["between"]]
    wanted, between = _run(first, ["wanted", "between"], x)
    (other,) = _run(second, ["other"], {"between": between})
    for came, right in zip((wanted, other), _run(whole, ["wanted", "other"], x), strict=True):
        np.testing.assert_array_equal(came, right)


def test_where_no_cut_is_possible() -> None:
    model = _network()
    with pytest.raises(ValueError, match="wanted one ScatterND to cut after, found 0"):
        cut_after(model.SerializeToString(), "ScatterND", ("wanted",))
    model.graph.node.append(helper.make_node("Add", ["between", "x"], ["again"]))
    model.graph.output.append(_value("again"))
    with pytest.raises(ValueError, match="what comes after between needs x too"):
        cut_after(model.SerializeToString(), "Exp", ("other", "again"))


def test_tokens_alone_of_a_bundle(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "model", depth=True)
    network = open_bundle(model).network
    smaller = onnx.load_from_string(pruned(network, ("tokens",)))
    assert len(smaller.graph.node) < len(onnx.load_from_string(network).graph.node)
    engine = load_engine(model, 2)
    m = engine.manifest
    for count in (1, 3):
        images = np.random.default_rng(count).integers(0, 256, (count, m.height_px, m.width_px, 3), np.uint8)
        assert np.array_equal(engine.tokens(images), engine.outputs(images).tokens)


def test_what_is_no_network_is_refused() -> None:
    network = _network().SerializeToString()
    for damaged in (network[:-5], b"\x0f\x01", b"\x80"):
        with pytest.raises(ValueError, match="not an ONNX model"):
            pruned(damaged, ("wanted",))
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], [_value("y")])
    branch = helper.make_node("If", ["c"], ["wanted"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([branch], "made", [_value("c")], [_value("wanted")]))
    with pytest.raises(ValueError, match="a graph inside"):
        pruned(model.SerializeToString(), ("wanted",))
