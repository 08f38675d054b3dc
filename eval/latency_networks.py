"""The networks whose speed is measured: the embedded one, and DINOv2 S and B with random weights and all branches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from airside.assets import embedded_model
from airside.bank.bank import Calibration, ClassKind, PrototypeBank
from airside.bank.store import BankStore
from airside.engine.bundle import Manifest
from airside.engine.engine import Engine
from airside.enrolment.learn import learn_class
from airside.export import write_bundle
from airside.model import random_backbone
from airside.model.bev import LiftSplat
from eval.gemm_limit import Shape
from eval.tensorrt_gate import NETWORKS, SIZE_PX, TokensAndDepth, rig

MINI = "airside-mini"
NAMES = (MINI, *NETWORKS)
SHAPES = {
    MINI: Shape(tokens=453, width=192, heads=3, depth=6),
    "vit_s": Shape(tokens=453, width=384, heads=6, depth=12),
    "vit_b": Shape(tokens=453, width=768, heads=12, depth=12),
}


def bundle_of(name: str, cache: Path) -> Path:
    """The bundle of network ``name``, exported into ``cache`` where it is not there yet."""
    if name == MINI:
        return embedded_model()
    out = cache / name
    if not out.exists():
        network, head = _torch(name)
        height, width = SIZE_PX
        manifest = Manifest(
            name=name,
            height_px=height,
            width_px=width,
            patch_px=14,
            token_width=SHAPES[name].width,
            feature="last block, final norm, unit length",
            outputs=("tokens", "depth", "bev"),
            position_embedding="native",
            trained_on="nothing: random weights, for speed",
            licence="none",
            network_sha256="",
            parity_sha256="",
            depth_focal_px=width / 2,
        )
        write_bundle(network, out, manifest, head)
    return out


def torch_pass(name: str, pictures: np.ndarray) -> Callable[[], object] | None:
    """One pass of the network's tokens and depth in torch eager; ``None`` for the embedded model, which is ONNX."""
    if name == MINI:
        return None
    network, _ = _torch(name)
    images = torch.from_numpy(pictures)
    return lambda: _run(network, images)


def anomalydino_pass(name: str, pictures: np.ndarray, prototypes: np.ndarray) -> Callable[[], object]:
    """As AnomalyDINO works (arXiv 2405.14529): torch encoder, then distances of every patch to the whole bank."""
    network, images = _torch(name)[0].tokens, torch.from_numpy(pictures)
    bank = torch.from_numpy(prototypes)

    def run() -> object:
        tokens = _run(network, images)
        assert isinstance(tokens, torch.Tensor)
        return torch.cdist(tokens.flatten(0, 2), bank).min(dim=1)

    return run


def assembled_pass(name: str, pictures: np.ndarray, prototypes: np.ndarray) -> Callable[[], object]:
    """What a user would put together: three networks with an encoder each, for novelty, depth and bird's-eye view."""
    novelty, depth = anomalydino_pass(name, pictures, prototypes), _torch(name)[0]
    encoder, head = _torch(name)[0].tokens, _torch(name)[1].with_rig(rig(len(pictures)))
    images = torch.from_numpy(pictures)

    def run() -> object:
        seen = _run(encoder, images)
        assert isinstance(seen, torch.Tensor)
        with torch.inference_mode():
            return novelty(), _run(depth, images), head(seen[None])

    return run


def bank_for(engine: Engine, pictures: np.ndarray, path: Path) -> BankStore:
    """A bank of ten classes out of the pictures' own patches, so that most of what follows is known."""
    tokens = engine.tokens(pictures)
    parts = np.array_split(tokens.reshape(-1, tokens.shape[-1]), 10)
    kinds = (ClassKind.THING, ClassKind.STUFF)
    classes = tuple(learn_class(f"class{k}", kinds[k % 2], [part], []) for k, part in enumerate(parts))
    none = np.zeros((0, tokens.shape[-1]), np.float32)
    calibration = Calibration("default", 0.5, 0.01, 200)
    store = BankStore(path)
    store.create(PrototypeBank(engine.manifest.fingerprint, classes, (calibration,), none, ()), "eval", "speed")
    return store


def _torch(name: str) -> tuple[TokensAndDepth, LiftSplat]:
    torch.manual_seed(0)
    network = NETWORKS[name]
    backbone = random_backbone(network.backbone, image_size=SIZE_PX)
    head = LiftSplat(backbone.width, rig(1)).eval()
    return TokensAndDepth(copy.deepcopy(backbone), network).eval(), head


def _run(network: torch.nn.Module, images: torch.Tensor) -> object:
    with torch.inference_mode():
        return network(images)
