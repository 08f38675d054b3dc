"""torch -> model bundle: its graphs, its manifest, and the proof that onnxruntime repeats them."""

from __future__ import annotations

import copy
import shutil
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from airside.engine import parity
from airside.engine.bev_spec import BevSpec
from airside.engine.bundle import OUTPUTS, Manifest, file_sha256, write_manifest
from airside.engine.bundle_engine import BEV_INPUTS, BEV_OUTPUTS
from airside.engine.onnx import load_engine
from airside.errors import MismatchError, UsageError
from airside.geometry.bev_view import BevView, bev_view
from airside.geometry.splat_table import NetworkRig
from airside.model.backbone import Backbone
from airside.model.bev import LiftSplat, RigInputs
from airside.model.features import FeatureSpec

OPSET = 20
MOST_CAMERAS = 64
_MOST_BYTES = 2_000_000_000  # one ONNX file holds at most 2 GiB


class TokensGraph(nn.Module):
    """uint8 pictures in, unit-length patch tokens out; mean and deviation folded into the patch embedding."""

    def __init__(self, backbone: Backbone, feature: FeatureSpec) -> None:
        super().__init__()
        self.backbone, self.feature = copy.deepcopy(backbone), feature
        projection = self.backbone.network.patch_embed.proj
        with torch.no_grad():
            fold_normalisation(projection, self.backbone.mean, self.backbone.std)

    def forward(self, images: Tensor) -> Tensor:
        """[N, H, W, 3] uint8 -> [N, Hp, Wp, C] float32 of unit length."""
        tokens = self.backbone.features(images.permute(0, 3, 1, 2).float(), self.feature)
        return functional.normalize(tokens, dim=-1)


def fold_normalisation(
    convolution: nn.Conv2d, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    """Change ``convolution``, which pads nothing, to take pixels in 0..255 where it took ``(x / 255 - mean) / std``."""
    assert convolution.bias is not None
    scale, shift = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (std, mean))
    folded = convolution.weight / scale
    convolution.bias -= (folded * shift).sum(dim=(1, 2, 3))
    convolution.weight.copy_(folded)


def export_backbone(backbone: Backbone, feature: FeatureSpec, out: Path, *, trained_on: str, licence: str) -> Manifest:
    """Write ``backbone`` as a bundle of patch tokens.

    Raises :class:`UsageError` when ``out`` exists or the network is too large for one ONNX file,
    :class:`MismatchError` when onnxruntime does not repeat torch.
    """
    height, width = backbone.image_size
    manifest = Manifest(
        name=backbone.name,
        height_px=height,
        width_px=width,
        patch_px=backbone.patch_px,
        token_width=backbone.width * max(1, len(feature.blocks)),
        feature=f"{feature}, unit length",
        outputs=("tokens",),
        position_embedding=backbone.position_embedding,
        trained_on=trained_on,
        licence=licence,
        network_sha256="",
        parity_sha256="",
    )
    return write_bundle(TokensGraph(backbone, feature), out, manifest)


def write_bundle(graph: nn.Module, out: Path, manifest: Manifest, bev: LiftSplat | None = None) -> Manifest:
    """Export, prove and seal; ``out`` appears whole or not at all.

    ``graph`` takes pictures [N, H, W, 3] uint8, any N, and returns unit tokens [N, Hp, Wp, C], or tokens and depth
    [N, Hd, Wd] as seen through ``manifest.depth_focal_px``. ``bev`` is exported with its rig as an input, whatever rig
    it was trained on. ``manifest`` describes them, but for the hashes, the outputs (found from what there is) and the
    BEV's shape (taken from the head). Raises as :func:`export_backbone`, and :class:`UsageError` when manifest, graph
    and head do not describe one network.
    """
    if out.exists():
        raise UsageError(f"{out} exists; give another folder, or delete it first")
    for part in (graph, bev):
        if part is not None and sum(p.numel() * p.element_size() for p in part.parameters()) > _MOST_BYTES:
            raise UsageError(
                f"{manifest.name} has more than 2 GB of weights, one ONNX file's limit; take a smaller network"
            )
    if bev is not None and (bev.rig.patch_grid, bev.width) != (manifest.grid, manifest.token_width):
        raise UsageError(
            f"the BEV head takes {list(bev.rig.patch_grid)} patches of width {bev.width}, {manifest.name} gives "
            f"{list(manifest.grid)} of width {manifest.token_width}; give it a rig at this size (with_rig)"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        sealed = _write(graph.eval(), bev.eval() if bev is not None else None, folder, manifest)
        folder.chmod(0o755)
        folder.rename(out)
        return sealed
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parity_images(height_px: int, width_px: int) -> np.ndarray:
    """[2, H, W, 3] uint8: noise, and a ramp from left to right."""
    images = np.random.default_rng(5).integers(0, 256, (2, height_px, width_px, 3), np.uint8)
    images[1] = np.linspace(0, 255, width_px)[None, :, None].astype(np.uint8)
    return images


def _write(graph: nn.Module, bev: LiftSplat | None, folder: Path, manifest: Manifest) -> Manifest:
    images = parity_images(manifest.height_px, manifest.width_px)
    sample = torch.from_numpy(images)
    with torch.no_grad():
        given = graph(sample)
    given = (given,) if isinstance(given, Tensor) else tuple(given)
    names = ("tokens", "depth")[: len(given)]
    told = replace(manifest, outputs=(*names, "bev") if bev is not None else names, bev=None, bev_sha256=None)
    _require_what_is_told(manifest, told.outputs)
    outputs = {name: value.numpy() for name, value in zip(names, given, strict=True)}
    cameras = torch.export.Dim("cameras", min=1, max=MOST_CAMERAS)
    _save_onnx(graph, (sample,), ["images"], list(names), ({0: cameras},), folder / "model.onnx")
    view = None
    if bev is not None:
        view = _parity_view(bev)
        with torch.no_grad():
            inputs = (given[0], *(torch.tensor(column) for column in _bev_inputs(view, outputs)))
            head = RigInputs(bev)
            outputs |= {n: v.numpy() for n, v in zip(("bev", "depth_probability"), head(*inputs), strict=True)}
        points = torch.export.Dim("points", min=1)
        shapes = ({0: cameras}, {0: cameras}, {0: cameras}, {0: points}, {0: points}, {0: points})
        _save_onnx(head, inputs, list(BEV_INPUTS), list(BEV_OUTPUTS), shapes, folder / "bev.onnx")
        spec = BevSpec(bev.grid, bev.bins, bev.height_range_m, bev.layers)
        told = replace(told, bev=spec, bev_sha256=file_sha256(folder / "bev.onnx"))
    parity.save_outputs(folder / "parity.npz", parity.StoredOutputs(images, outputs, view))
    hashes = (file_sha256(folder / "model.onnx"), file_sha256(folder / "parity.npz"))
    sealed = write_manifest(folder, replace(told, network_sha256=hashes[0], parity_sha256=hashes[1]))
    stored = parity.load_outputs(folder / "parity.npz", sealed)
    for name, worst in parity.differences(load_engine(folder), stored).items():
        if not worst <= parity.TOLERANCE:
            raise MismatchError(
                f"{manifest.name}: onnxruntime's {name} differs from torch's by {worst:.2g} (limit "
                f"{parity.TOLERANCE}), not exported. Please report it with the versions that airside doctor prints"
            )
    return sealed


def _require_what_is_told(manifest: Manifest, outputs: tuple[str, ...]) -> None:
    unmade = [name for name in manifest.outputs if name not in outputs]
    if unmade or not set(manifest.outputs) <= set(OUTPUTS):
        raise UsageError(f"the manifest declares {', '.join(unmade)}, but only {', '.join(outputs)} is given to export")
    if ("depth" in outputs) != (manifest.depth_focal_px is not None):
        raise UsageError(
            "depth and the manifest's depth_focal_px go together: the graph gives "
            f"{', '.join(outputs)}, depth_focal_px is {manifest.depth_focal_px}"
        )


def _parity_view(bev: LiftSplat) -> BevView:
    """The head's first camera and its last one (the same where it has but one): as many as the parity pictures."""
    rig = bev.rig
    pair = NetworkRig(
        [rig.intrinsics[0], rig.intrinsics[-1]], [rig.ego_from_cam[0], rig.ego_from_cam[-1]], rig.patch_px
    )
    return bev_view(pair, bev.grid, bev.bins, bev.height_range_m)


def _bev_inputs(view: BevView, outputs: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    table = view.table
    return view.rays, parity.measured_for(outputs, view), table.patch, table.depth_bin, table.cell


def _save_onnx(
    graph: nn.Module,
    sample: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    dynamic_shapes: tuple[dict[int, torch.export.Dim], ...],
    path: Path,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter deprecates parts of itself, version by version
        program = torch.onnx.export(
            graph,
            sample,
            dynamo=True,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic_shapes,
            verbose=False,
        )
    assert program is not None
    for wanted, value in zip(dynamic_shapes, program.model_proto.graph.input, strict=True):
        fixed = [axis for axis in wanted if not value.type.tensor_type.shape.dim[axis].dim_param]
        if fixed:
            raise MismatchError(
                f"{path.name}: the export fixed axis {fixed[0]} of {value.name} at its sample's size, and any size is "
                "wanted; something in the network decides by that size"
            )
    onnx.save(program.model_proto, path)
