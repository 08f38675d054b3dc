"""torch -> model bundle: one graph, its manifest, and the proof that onnxruntime repeats it."""

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

from airside.engine.bundle import Manifest, file_sha256, write_manifest
from airside.engine.onnx import load_engine
from airside.errors import MismatchError, UsageError
from airside.model.backbone import Backbone
from airside.model.features import FeatureSpec

OPSET = 20
PARITY_TOLERANCE = 1e-3  # of a unit token's component
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


def write_bundle(graph: nn.Module, out: Path, manifest: Manifest) -> Manifest:
    """Export ``graph`` ([N, H, W, 3] uint8 -> unit tokens, any N), prove it, and seal it; ``out`` appears whole or not.

    ``manifest`` describes it, but for the hashes. Raises as :func:`export_backbone`.
    """
    if out.exists():
        raise UsageError(f"{out} exists; give another folder, or delete it first")
    if sum(p.numel() * p.element_size() for p in graph.parameters()) > _MOST_BYTES:
        raise UsageError(
            f"{manifest.name} has more than 2 GB of weights, one ONNX file's limit; take a smaller network"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        sealed = _write(graph.eval(), part, manifest)
        part.chmod(0o755)
        part.rename(out)
        return sealed
    finally:
        shutil.rmtree(part, ignore_errors=True)


def parity_images(height_px: int, width_px: int) -> np.ndarray:
    """[2, H, W, 3] uint8: noise, and a ramp from left to right."""
    images = np.random.default_rng(5).integers(0, 256, (2, height_px, width_px, 3), np.uint8)
    images[1] = np.linspace(0, 255, width_px)[None, :, None].astype(np.uint8)
    return images


def _write(graph: nn.Module, folder: Path, manifest: Manifest) -> Manifest:
    images = parity_images(manifest.height_px, manifest.width_px)
    sample = torch.from_numpy(images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter deprecates parts of itself, version by version
        program = torch.onnx.export(
            graph,
            (sample,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["tokens"],
            dynamic_shapes=({0: torch.export.Dim("cameras", min=1, max=MOST_CAMERAS)},),
            verbose=False,
        )
    assert program is not None
    onnx.save(program.model_proto, folder / "model.onnx")
    with torch.no_grad():
        reference = graph(sample).numpy()
    np.savez_compressed(folder / "parity.npz", images=images, tokens=reference)
    hashes = (file_sha256(folder / "model.onnx"), file_sha256(folder / "parity.npz"))
    sealed = write_manifest(folder, replace(manifest, network_sha256=hashes[0], parity_sha256=hashes[1]))
    worst = float(np.abs(load_engine(folder).tokens(images) - reference).max())
    if not worst <= PARITY_TOLERANCE:
        raise MismatchError(
            f"{manifest.name}: onnxruntime differs from torch by {worst:.2g} (limit {PARITY_TOLERANCE}), not exported. "
            "Please report it with the versions that airside doctor prints"
        )
    return sealed
