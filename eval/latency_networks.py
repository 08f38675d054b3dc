"""The networks whose speed is measured: the embedded one, and DINOv2 S and B with random weights and all branches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from airside.assets import embedded_bank, embedded_model
from airside.bank.bank import Calibration, PrototypeBank
from airside.bank.store import BankStore
from airside.engine.bundle import Manifest
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.enrolment.learn import learn_class
from airside.export import write_bundle
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.model import random_backbone
from airside.model.bev import LiftSplat
from airside.ood.conformal import ALPHA
from airside.ood.evidence import frame_region_score
from airside.ood.scoring import scorer
from airside.pipeline import DEFAULT_METHOD
from eval.tensorrt_gate import NETWORKS, SIZE_PX, Network, TokensAndDepth, rig

MINI = "airside-mini"
TOKENS_B = "vit_b_tokens"  # ViT-B for tokens alone: what AnomalyDINO does
DEPTH_MAX_M = 80


def bundle_of(name: str, cache: Path) -> Path:
    """The bundle of network ``name``, exported into ``cache`` where it is not there yet."""
    if name == MINI:
        return embedded_model()
    out, (height, width) = cache / name, SIZE_PX
    if not out.exists():
        network, head = torch_networks(network_of(name))
        graph: nn.Module = network.tokens if name == TOKENS_B else network
        manifest = Manifest(
            name=name,
            height_px=height,
            width_px=width,
            patch_px=14,
            token_width=network.tokens.backbone.width,
            feature="last block, final norm, unit length",
            outputs=("tokens",) if name == TOKENS_B else ("tokens", "depth", "bev"),
            position_embedding="native",
            trained_on="nothing: random weights, for speed",
            licence="none",
            network_sha256="",
            parity_sha256="",
            depth_focal_px=None if name == TOKENS_B else width / 2,
        )
        write_bundle(graph, out, manifest, None if name == TOKENS_B else head)
    return out


def network_of(name: str) -> Network:
    """Of any but the embedded one."""
    return NETWORKS["vit_b" if name == TOKENS_B else name]


def torch_networks(network: Network, size_px: tuple[int, int] = SIZE_PX) -> tuple[TokensAndDepth, LiftSplat]:
    """With random weights, the same every time; the head is of one camera (``with_rig`` gives others)."""
    torch.manual_seed(0)
    backbone = random_backbone(network.backbone, image_size=size_px)
    head = LiftSplat(backbone.width, rig(1, size_px)).eval()
    return TokensAndDepth(copy.deepcopy(backbone), network).eval(), head


def torch_eager(network: Network, pictures: np.ndarray) -> Callable[[], object]:
    """Tokens, depth and bird's-eye view of our own network, as training runs it."""
    both, head = torch_networks(network)
    of_rig, images = head.with_rig(rig(len(pictures))), torch.from_numpy(pictures)

    def run() -> object:
        with torch.inference_mode():
            tokens, depth = both(images)
            return depth, of_rig(tokens[None])

    return run


def anomalydino_way(network: Network, pictures: np.ndarray, prototypes: np.ndarray) -> Callable[[], object]:
    """A stand-in for anomalib's AnomalyDINO (arXiv 2405.14529): torch encoder, then the distances of every patch to the
    whole bank; without its map."""
    encoder, images = torch_networks(network)[0].tokens, torch.from_numpy(pictures)
    bank = torch.from_numpy(prototypes)

    def run() -> object:
        with torch.inference_mode():
            return (1 - encoder(images).flatten(0, 2) @ bank.T).min(dim=1)

    return run


def depth_anything(network: Network, pictures: np.ndarray) -> Callable[[], object]:
    """``transformers``' own Depth Anything V2 of the network's size, metric, with random weights."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    width = torch_networks(network)[0].tokens.backbone.width
    encoder = Dinov2Config(
        hidden_size=width,
        num_hidden_layers=12,
        num_attention_heads=width // 64,
        patch_size=14,
        image_size=518,
        out_features=[f"stage{block + 1}" for block in network.blocks],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=encoder,
        patch_size=14,
        reassemble_hidden_size=width,
        neck_hidden_sizes=list(network.channels),
        fusion_hidden_size=network.features,
        head_hidden_size=32,
        depth_estimation_type="metric",
        max_depth=DEPTH_MAX_M,
    )
    model = DepthAnythingForDepthEstimation(config).eval()
    images = torch.from_numpy(pictures)

    def run() -> object:
        with torch.inference_mode():
            return model(images.permute(0, 3, 1, 2).float() / 255).predicted_depth

    return run


def lift_splat_alone(network: Network, pictures: np.ndarray) -> Callable[[], object]:
    """A bird's-eye network with an encoder of its own."""
    both, head = torch_networks(network)
    of_rig, images = head.with_rig(rig(len(pictures))), torch.from_numpy(pictures)

    def run() -> object:
        with torch.inference_mode():
            return of_rig(both.tokens(images)[None])

    return run


def bank_for(name: str, engine: Engine, pictures: np.ndarray, path: Path) -> BankStore:
    """The embedded bank for the embedded model; else the classes that the embedded model sees in these ``pictures``,
    and a threshold that as many of them exceed as by the embedded model: what is outside the network costs by the
    region, and random weights are to have about as many."""
    if name == MINI:
        return BankStore(embedded_bank())
    tokens = engine.tokens(pictures)
    way = knowledge_from_bank(BankStore(embedded_bank()).load()[0], "", DEFAULT_METHOD)
    maps = [map_from_tokens(t, way) for t in load_engine(embedded_model()).tokens(pictures)]
    label = np.stack([found.class_index for found in maps])
    classes = tuple(
        learn_class(way.index.names[c], way.kinds[c], [tokens[label == c]], []) for c in np.unique(label).tolist()
    )
    none = np.zeros((0, tokens.shape[-1]), np.float32)
    bank = PrototypeBank(engine.manifest.fingerprint, classes, (), none, ())
    own = knowledge_from_bank(bank, "", DEFAULT_METHOD)
    novel = np.mean([frame_region_score(found) > way.threshold for found in maps])
    threshold = np.quantile([frame_region_score(map_from_tokens(t, own)) for t in tokens], 1 - novel)
    calibration = Calibration(scorer(DEFAULT_METHOD).calibrated_as, float(threshold), ALPHA, len(pictures))
    store = BankStore(path)
    store.create(replace(bank, calibrations=(calibration,)), "eval", "speed")
    return store
