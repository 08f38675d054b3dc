"""What an exported graph must look like for TensorRT: pure functions of the ONNX file, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx

SCATTERS = frozenset({"ScatterElements", "ScatterND", "Scatter"})


def problems(model: onnx.ModelProto) -> list[str]:
    """What speaks against ``model``, in words; empty where nothing does."""
    return [problem for check in CHECKS for problem in check(model)]


def fused_form_attentions(model: onnx.ModelProto) -> int:
    """How many times MatMul, Softmax, MatMul follow each other with nothing between: what TensorRT fuses."""
    maker, users = _maker(model), _users(model)
    return sum(
        node.op_type == "Softmax"
        and _op(maker.get(node.input[0])) == "MatMul"
        and [_op(user) for user in users.get(node.output[0], ())] == ["MatMul"]
        for node in model.graph.node
    )


def _no_scatter_that_reduces(model: onnx.ModelProto) -> Iterator[str]:
    """TensorRT's parser refuses it."""
    for node in model.graph.node:
        reduction = next((a.s.decode() for a in node.attribute if a.name == "reduction"), "none")
        if node.op_type in SCATTERS and reduction != "none":
            yield f"{node.op_type} {node.name!r} reduces by {reduction}: splat by the bucketed path"


def _no_resize_of_a_constant(model: onnx.ModelProto) -> Iterator[str]:
    """Position embeddings are interpolated once, when the network is built."""
    follows_input = {value.name for value in model.graph.input}
    for node in model.graph.node:  # nodes are in topological order
        if follows_input.intersection(node.input):
            follows_input.update(node.output)
        elif node.op_type == "Resize":
            yield f"Resize {node.name!r} works on a constant: interpolate the position embedding when building"


def _norms_stay_whole(model: onnx.ModelProto) -> Iterator[str]:
    """A LayerNorm taken apart loses its accuracy in FP16."""
    maker = _maker(model)
    for node in model.graph.node:
        if node.op_type == "Div":
            below = maker.get(node.input[1])
            if _op(below) == "Sqrt" and below is not None and _sums_a_mean(maker.get(below.input[0]), maker):
                yield f"{node.name!r} ends a LayerNorm taken apart: export with opset 17 or later"


def _shapes_are_static(model: onnx.ModelProto) -> Iterator[str]:
    """One graph per (cameras, H, W)."""
    for value in (*model.graph.input, *model.graph.output):
        if any(dim.WhichOneof("value") != "dim_value" for dim in value.type.tensor_type.shape.dim):
            yield f"{value.name} has an axis without a size"


def _attention_is_plain(model: onnx.ModelProto) -> Iterator[str]:
    """Nothing between the products and the softmax: a scale there belongs into the query's weights."""
    maker, users = _maker(model), _users(model)
    for node in model.graph.node:
        if node.op_type != "Softmax" or [_op(u) for u in users.get(node.output[0], ())] != ["MatMul"]:
            continue
        before = maker.get(node.input[0])
        if _op(before) != "MatMul":
            yield f"attention {node.name!r} has {_op(before)} before its Softmax: fold it away (fold_for_export)"
        elif before is not None and any(_op(maker.get(side)) == "Mul" for side in before.input):
            yield f"attention {node.name!r} scales query or key by itself: fold it away (fold_for_export)"


CHECKS: tuple[Callable[[onnx.ModelProto], Iterator[str]], ...] = (
    _no_scatter_that_reduces,
    _no_resize_of_a_constant,
    _norms_stay_whole,
    _shapes_are_static,
    _attention_is_plain,
)


def _sums_a_mean(node: onnx.NodeProto | None, maker: dict[str, onnx.NodeProto]) -> bool:
    """Whether ``node`` is a mean, or a mean plus an epsilon."""
    if node is None:
        return False
    return node.op_type == "ReduceMean" or (
        node.op_type == "Add" and any(_op(maker.get(name)) == "ReduceMean" for name in node.input)
    )


def _maker(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {output: node for node in model.graph.node for output in node.output}


def _users(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users


def _op(node: onnx.NodeProto | None) -> str:
    return "nothing" if node is None else node.op_type
