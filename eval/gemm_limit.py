"""How fast this machine could run a network if there were nothing in it but its matrix products.

The products are those of the very graph: of its Linears and its attention, each with its own weights, computed by torch
with all its threads. Its convolutions, which are products too, count as if they ran at the same rate: as products of
their own shapes, long and thin, torch computes them slower than every engine does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import onnx
import torch

Precision = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True, slots=True)
class Product:
    """``batch`` times [rows, inner] by [inner, columns]."""

    kind: Literal["linear", "attention", "convolution"]
    batch: int
    rows: int
    inner: int
    columns: int

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.batch * self.rows * self.inner * self.columns


def products_of(network: bytes, pictures: int) -> list[Product]:
    """Every product of one pass over ``pictures``; ``network`` is a bundle's ``model.onnx``."""
    model = onnx.load_from_string(network)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = pictures
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in values}
    weights = {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
    return [found for node in inferred.node for found in _products(node, shapes | weights, weights)]


def _products(node: onnx.NodeProto, shapes: dict[str, list[int]], weights: dict[str, list[int]]) -> Iterator[Product]:
    if node.op_type in ("MatMul", "Gemm"):
        left, right, out = (shapes[name] for name in (*node.input[:2], node.output[0]))
        inner = math.prod(left) * out[-1] // math.prod(out)
        if node.input[1] in weights and len(right) == 2:
            yield Product("linear", 1, math.prod(out[:-1]), inner, out[-1])
        else:
            yield Product("attention", math.prod(out[:-2]), out[-2], inner, out[-1])
    elif node.op_type == "Conv":  # weight [out, in / groups, h, w]
        weight, out = weights[node.input[1]], shapes[node.output[0]]
        yield Product("convolution", 1, out[0] * out[2] * out[3], math.prod(weight[1:]), weight[0])
    elif node.op_type == "ConvTranspose":  # weight [in, out, h, w]
        weight, given = weights[node.input[1]], shapes[node.input[0]]
        yield Product("convolution", 1, given[0] * given[2] * given[3], weight[0], math.prod(weight[1:]))


def run_products(products: list[Product], precision: Precision) -> Callable[[], None]:
    """A function that computes all ``products`` but the convolutions; in ``int8`` Linears are, attention stays in
    float32, as the engine has it."""
    prepared = [_operands(product, precision) for product in products if product.kind != "convolution"]

    def run() -> None:
        with torch.inference_mode():
            for multiply, left, right in prepared:
                multiply(left, right)

    return run


def convolution_share(products: list[Product]) -> float:
    """How much of all operations the convolutions are."""
    return sum(p.flops for p in products if p.kind == "convolution") / sum(p.flops for p in products)


Operands = tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], torch.Tensor, torch.Tensor]


def _operands(product: Product, precision: Precision) -> Operands:
    rows, inner, columns = product.rows, product.inner, product.columns
    if precision == "int8" and product.kind == "linear":
        whole = [torch.randint(-127, 127, size, dtype=torch.int8) for size in ((rows, inner), (columns, inner))]
        return torch._int_mm, whole[0], whole[1].t()
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    if product.batch == 1:
        return torch.mm, torch.randn((rows, inner), dtype=dtype), torch.randn((inner, columns), dtype=dtype)
    sides = (product.batch, rows, inner), (product.batch, inner, columns)
    return torch.bmm, torch.randn(sides[0], dtype=dtype), torch.randn(sides[1], dtype=dtype)
