"""Weights of an exported bundle, to go on training from: the only copy of a training that outlives its machine."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from training.network import IMAGE_MEAN, IMAGE_STD

PREFIX = "network."


def weights_of_bundle(bundle: Path) -> dict[str, Tensor]:
    """State dict of the network inside ``bundle``/model.onnx, as far as the graph holds it under its own names.

    Linear weights lie there transposed and nameless before the Add of their bias. The mean and deviation that the
    export folded into the first layers are taken out again; the class token and the registers are one tensor there.
    """
    graph = onnx.load(bundle / "model.onnx").graph
    found = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    product_of = {node.output[0]: node for node in graph.node if node.op_type == "MatMul"}
    weights = {name.removeprefix(PREFIX): value for name, value in found.items() if name.startswith(PREFIX)}
    for node in graph.node:
        bias = next((name for name in node.input if name.startswith(PREFIX) and name.endswith(".bias")), None)
        product = next((product_of[name] for name in node.input if name in product_of), None)
        if node.op_type == "Add" and bias is not None and product is not None:
            weights[bias.removeprefix(PREFIX)[: -len("bias")] + "weight"] = found[product.input[1]].T.contiguous()
    prefix = found.get("cat")
    if prefix is not None:
        weights |= {"cls_token": prefix[:, :1], "reg_token": prefix[:, 1:]}
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) * 255 for x in (IMAGE_MEAN, IMAGE_STD))
    for first in ("patch_embed.proj", "patch_embed.detail.0"):
        if f"{first}.weight" in weights:
            folded = weights[f"{first}.weight"]
            weights[f"{first}.bias"] = weights[f"{first}.bias"] + (folded * mean).sum(dim=(1, 2, 3))
            weights[f"{first}.weight"] = folded * std
    return weights
