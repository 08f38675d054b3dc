"""The bird's-eye heads that a benchmark compares on one engine's tokens, each as rig pictures -> probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from airside.config import RigConfig
from airside.engine.bev_spec import BevSpec
from airside.engine.bundle import Manifest
from airside.engine.engine import Engine, NetworkOutput
from airside.errors import MismatchError, UsageError
from airside.fusion.bev_layers import measured_depth
from airside.fusion.region_depth import metric_depth
from airside.geometry.bev_grid import LAYERS
from airside.geometry.bev_view import bev_view
from airside.geometry.splat_table import NetworkRig

OF_TRAINING = "simple_bev."  # before the names of its tensors in training/weights
Head = Callable[[NetworkOutput], np.ndarray]  # of the rig's pictures -> probabilities [L, X, Y]


def bev_spec_of(manifest: Manifest) -> BevSpec:
    """What the bundle says of its bird's-eye view; :class:`UsageError` where it has none, or none of the layers whose
    truth the simulator knows."""
    if manifest.bev is None:
        raise UsageError(
            f"the model {manifest.name} has no bird's-eye view (its outputs: {', '.join(manifest.outputs)}); give a "
            "bundle with a trained head with --model"
        )
    if not scored_layers(manifest.bev):
        raise UsageError(
            f"the simulator knows the truth of {', '.join(LAYERS)}, the model {manifest.name} has "
            f"{', '.join(manifest.bev.layers)}"
        )
    return manifest.bev


def scored_layers(spec: BevSpec) -> tuple[str, ...]:
    """Those of the truth's layers that the model has, in the truth's order."""
    return tuple(name for name in LAYERS if name in spec.layers)


def truth_of(layers: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """``names`` of the truth [3, X, Y]."""
    return np.asarray(layers[[LAYERS.index(name) for name in names]])


def network_rig(rig: RigConfig, manifest: Manifest) -> NetworkRig:
    """``rig``, whose cameras deliver the network's size, as a bird's-eye head sees it."""
    cameras = rig.cameras
    return NetworkRig([c.pinhole for c in cameras], [c.ego_from_cam.transform for c in cameras], manifest.patch_px)


def network_head(engine: Engine, rig: RigConfig) -> Head:
    """The bundle's own head, its layers those of :func:`scored_layers`; with the bundle's depth, as in a tick."""
    spec, manifest = bev_spec_of(engine.manifest), engine.manifest
    seen = network_rig(rig, manifest)
    view = bev_view(seen, spec.grid, spec.bins, spec.height_range_m)
    at = [spec.layers.index(name) for name in scored_layers(spec)]

    def probabilities(out: NetworkOutput) -> np.ndarray:
        measured = None
        if out.depth is not None and manifest.depth_focal_px is not None:
            metric = [
                metric_depth(depth, camera.fx, manifest.depth_focal_px)
                for depth, camera in zip(out.depth, seen.intrinsics, strict=True)
            ]
            measured = measured_depth(metric, manifest)
        return np.asarray(engine.bev(out.tokens, view, measured).layers[at])

    return probabilities


def simple_bev_head(path: Path, rig: RigConfig, manifest: Manifest) -> Head:
    """The Simple-BEV head whose safetensors state dict is ``path``, for tokens, grid and layers of the bundle; also the
    one among the weights that ``training.start`` keeps.

    Raises :class:`UsageError` where the file cannot be read, :class:`MismatchError` where it is another head.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from airside.model.bev import SimpleBev

    spec = bev_spec_of(manifest)
    try:
        kept = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"--simple-bev {path} cannot be read as safetensors: {error}") from error
    of_head = {k.removeprefix(OF_TRAINING): v for k, v in kept.items() if k.startswith(OF_TRAINING)}
    weights = {k: v.float() for k, v in (of_head or kept).items()}
    try:
        channels, width = weights["adapter.weight"].shape
        heights = weights["compress.weight"].shape[1] // channels
    except KeyError as error:
        raise MismatchError(f"--simple-bev {path} holds no Simple-BEV head: {error} is missing") from error
    if width != manifest.token_width:
        raise MismatchError(
            f"--simple-bev {path} takes tokens {width} wide, the model {manifest.name} gives {manifest.token_width}: "
            "train it on this model's tokens"
        )
    head = SimpleBev(
        width,
        network_rig(rig, manifest),
        grid=spec.grid,
        heights_m=[float(height) for height in range(heights)],
        channels=channels,
        layers=spec.layers,
    )
    try:
        head.load_state_dict(weights)
    except RuntimeError as error:
        raise MismatchError(f"--simple-bev {path} is not the head of this bundle's layers: {error}") from error
    head.eval()
    at = [spec.layers.index(name) for name in scored_layers(spec)]

    def probabilities(out: NetworkOutput) -> np.ndarray:
        with torch.inference_mode():
            logits = head(torch.from_numpy(out.tokens)[None]).layers[0]
        return np.asarray(logits.sigmoid().numpy()[at])

    return probabilities
