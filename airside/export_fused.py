"""torch -> one graph for a vehicle: pictures in, tokens, depth and bird's-eye view out, its rig and shapes baked in.

The bundle's own networks serve every rig on every processor; this one serves one rig, on TensorRT: static shapes for
(cameras, H, W), sums by the bucketed path, attention and LayerScale folded. In float16 the network is strongly typed:
every cast is in the graph.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from airside.engine.bundle import open_bundle
from airside.engine.fused import FOLDER, seal_fused
from airside.engine.onnx import OnnxEngine
from airside.engine.parity import StoredOutputs, comparison_of, save_outputs
from airside.engine.verification import LIMITS
from airside.errors import MismatchError, UsageError
from airside.export import OPSET, parity_images
from airside.export_checks import fused_form_attentions, problems
from airside.fusion.bev_layers import measured_depth
from airside.geometry.bev_view import bev_view
from airside.geometry.splat_table import NetworkRig
from airside.model.bev import LiftSplat, depth_probability_from_metric
from airside.model.folding import fold_for_export

Precision = Literal["float32", "float16"]
OUTPUTS = ("tokens", "depth", "bev", "depth_probability")


class FusedGraph(nn.Module):
    """Folded copies of ``graph`` (pictures -> tokens and perhaps depth, as :func:`airside.export.write_bundle` takes
    it) and ``bev``, seeing through ``rig``. ``depth_focal_px``: the bundle's, ``None`` where ``graph`` gives no depth.
    ``outputs``: the names of what it gives."""

    metres: Tensor

    def __init__(
        self,
        graph: nn.Module,
        bev: LiftSplat | None,
        rig: NetworkRig,
        *,
        depth_focal_px: float | None,
        precision: Precision,
    ) -> None:
        super().__init__()
        self.pictures = copy.deepcopy(graph).eval()
        folded = [module for module in self.pictures.modules() if isinstance(module, VisionTransformer)]
        if len(folded) != 1:
            raise UsageError(f"wanted a graph around one vision transformer (DINOv2), found {len(folded)}")
        fold_for_export(folded[0])
        self.attentions = len(folded[0].blocks)
        self.bev = None if bev is None else copy.deepcopy(bev.with_rig(rig).with_path("bucketed")).eval()
        self.cameras, self.size_px = rig.cameras, rig.size_px
        names = (True, depth_focal_px is not None, bev is not None, bev is not None)
        self.outputs = tuple(name for name, there in zip(OUTPUTS, names, strict=True) if there)
        metres = [[[camera.fx / (depth_focal_px or camera.fx)]] for camera in rig.intrinsics]  # of one metre of depth
        self.register_buffer("metres", torch.tensor(metres), persistent=False)
        if precision == "float16":
            _to_half(self.pictures)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """[N, H, W, 3] uint8 -> ``outputs``, float32, shaped as an engine's."""
        given = self.pictures(images.float())
        found = tuple(value.float() for value in ((given,) if isinstance(given, Tensor) else given))
        if self.bev is not None:
            measured = None
            if "depth" in self.outputs:
                metric = (found[1] * self.metres)[None]
                measured = depth_probability_from_metric(metric, self.bev.rig.patch_grid, self.bev.bins)
            seen = self.bev(found[0][None], measured=measured)
            assert seen.depth_probability is not None
            found = (*found, seen.layers[0].sigmoid(), seen.depth_probability[0])
        return found


def _to_half(graph: nn.Module) -> None:
    """Everything but what sees pixels: folded weights times 0..255 minus a large bias would lose its last digits."""
    graph.half()
    for module in graph.modules():
        if isinstance(module, PatchEmbed):
            module.float()
            module.register_forward_hook(lambda _module, _inputs, output: output.half())


def fused_onnx(fused: FusedGraph) -> onnx.ModelProto:
    """The graph as ONNX, checked. Raises :class:`MismatchError` where TensorRT would refuse or not fuse it."""
    sample = torch.zeros((fused.cameras, *fused.size_px, 3), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's exporter deprecates parts of itself, version by version
        program = torch.onnx.export(
            fused,
            (sample,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=list(fused.outputs),
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    found = list(_all_problems(model, fused.attentions))
    if found:
        raise MismatchError(f"the fused graph is not one for TensorRT: {'; '.join(found)}")
    return model


def _all_problems(model: onnx.ModelProto, attentions: int) -> Iterator[str]:
    yield from problems(model)
    found = fused_form_attentions(model)
    if found != attentions:
        yield f"{found} of {attentions} attentions have the form that fuses"


def write_fused(fused: FusedGraph, bundle_path: Path) -> Path:
    """Put ``fused`` into the bundle's folder ``fused/``, with what the bundle itself gives for it, in float32.

    Raises :class:`UsageError` when the folder exists, :class:`MismatchError` when graph and bundle are not one network
    (a bank made with the bundle would not serve the graph), or as :func:`fused_onnx`.
    """
    bundle = open_bundle(bundle_path)
    out = bundle_path / FOLDER
    if out.exists():
        raise UsageError(f"{out} exists; delete it first")
    engine, manifest = OnnxEngine(bundle), bundle.manifest
    declared = (*manifest.outputs, *(("depth_probability",) if "bev" in manifest.outputs else ()))
    if declared != fused.outputs:
        raise MismatchError(f"the graph gives {', '.join(fused.outputs)}, the bundle {', '.join(declared)}")
    model = fused_onnx(fused)
    pictures = parity_images(manifest.height_px, manifest.width_px)
    images = pictures[np.arange(fused.cameras) % len(pictures)]
    found = engine.outputs(images)
    outputs, view = {"tokens": found.tokens}, None
    if found.depth is not None:
        outputs["depth"] = found.depth
    if fused.bev is not None and manifest.bev is not None:
        view = bev_view(fused.bev.rig, manifest.bev.grid, manifest.bev.bins, manifest.bev.height_range_m)
        metric = [None] * fused.cameras if found.depth is None else list(found.depth * fused.metres.numpy())
        maps = engine.bev(found.tokens, view, measured_depth(metric, manifest))
        outputs |= {"bev": maps.layers, "depth_probability": maps.depth_probability}
    network = model.SerializeToString()
    _require_one_network(network, images, outputs)
    folder = Path(tempfile.mkdtemp(prefix=f".{FOLDER}.", dir=bundle_path))
    try:
        (folder / "fused.onnx").write_bytes(network)
        save_outputs(folder / "parity.npz", StoredOutputs(images, outputs, view))
        seal_fused(folder, manifest.fingerprint, fused.attentions)
        folder.chmod(0o755)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return out


def _require_one_network(network: bytes, images: np.ndarray, wanted: dict[str, np.ndarray]) -> None:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    came = session.run(list(wanted), {"images": images})
    limits = LIMITS["float16"]
    for comparison in (comparison_of(name, value, wanted[name]) for name, value in zip(wanted, came, strict=True)):
        if not limits[comparison.output].holds(comparison):
            raise MismatchError(
                f"the fused graph's {comparison.output} is not the bundle's (cosine {comparison.cosine:.4f}): give the "
                "weights the bundle was exported from"
            )
