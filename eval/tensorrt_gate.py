"""Does TensorRT take the vehicle's graph? ``python -m eval.tensorrt_gate [--cameras 1 6] [--json FILE]``

Random weights of every size, with depth and bird's-eye view, one graph a network and number of cameras: exported,
checked, parsed and built by the ``tensorrt-rtx`` wheels, which need no GPU. That proves that the graph is accepted, not
what a vehicle's GPU computes: there the parity gate decides (``airside verify``). Where none of the libraries is
installed, graphs are made and checked, and the build is left out, saying so.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from airside.engine.tensorrt_build import LIBRARIES, build_plan, tensorrt_library
from airside.errors import AirsideError, UnavailableError
from airside.export import TokensGraph
from airside.export_fused import FusedGraph, Precision, fused_onnx
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import NetworkRig
from airside.geometry.transforms import ego_from_mounted_cam
from airside.model import FeatureSpec, random_backbone
from airside.model.backbone import Backbone
from airside.model.bev import LiftSplat
from airside.model.dpt import DptDecoder
from eval.report_file import write_json

SIZE_PX = (224, 392)


@dataclass(frozen=True, slots=True)
class Network:
    """A DINOv2 with Depth Anything V2's decoder of its size: features, channels, and the blocks that are decoded."""

    backbone: str
    features: int
    channels: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int] = (2, 5, 8, 11)


NETWORKS = {
    "vit_s": Network("vit_small_patch14_reg4_dinov2", 64, (48, 96, 192, 384)),
    "vit_b": Network("vit_base_patch14_reg4_dinov2", 128, (96, 192, 384, 768)),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """``built``: whether the library made a plan; ``None`` where none is installed."""

    network: str
    cameras: int
    precision: str
    nodes: int
    attentions: int
    export_s: float
    built: bool | None
    build_s: float | None
    plan_mb: float | None
    said: str


class TokensAndDepth(nn.Module):
    """One pass for both, on shared tokens."""

    def __init__(self, backbone: Backbone, network: Network) -> None:
        super().__init__()
        self.tokens = TokensGraph(backbone, FeatureSpec())  # its copy has the normalisation folded in
        self.blocks = network.blocks
        self.depth = DptDecoder(backbone.width, network.features, network.channels, 80.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[N, H, W, 3] -> tokens [N, Hp, Wp, C] of unit length, depth [N, H, W] in metres."""
        pixels = images.permute(0, 3, 1, 2).float()
        last, levels = self.tokens.backbone.features_and_intermediate(pixels, FeatureSpec(), self.blocks)
        return nn.functional.normalize(last, dim=-1), self.depth(levels)


def rig(cameras: int, size_px: tuple[int, int] = SIZE_PX) -> NetworkRig:
    """Wide cameras all round, 2 m up."""
    height, width = size_px
    camera = PinholeCamera(width / 2, width / 2, width / 2 - 0.5, height / 2 - 0.5, width, height)
    yaws = [360 * n / cameras for n in range(cameras)]
    poses = [ego_from_mounted_cam((0.0, 0.0, 2.0), yaw_deg=yaw, pitch_deg=6, roll_deg=0) for yaw in yaws]
    return NetworkRig([camera] * cameras, poses, 14)


def graph(network: Network, cameras: int, precision: Precision) -> FusedGraph:
    """With random weights."""
    torch.manual_seed(0)
    backbone = random_backbone(network.backbone, image_size=SIZE_PX)
    seen = rig(cameras)
    head, focal_px = LiftSplat(backbone.width, seen), seen.intrinsics[0].fx
    return FusedGraph(TokensAndDepth(backbone, network), head, seen, depth_focal_px=focal_px, precision=precision)


def examine(name: str, cameras: int, precision: Precision, libraries: tuple[str, ...] = LIBRARIES) -> Finding:
    """Export, check, parse and build one graph. Raises :class:`AirsideError` where the graph is refused."""
    start = time.perf_counter()
    fused = graph(NETWORKS[name], cameras, precision)
    model = fused_onnx(fused)
    export_s = time.perf_counter() - start
    told = (name, cameras, precision, len(model.graph.node), fused.attentions, round(export_s, 1))
    try:
        trt = tensorrt_library(libraries)
    except UnavailableError as error:
        return Finding(*told, built=None, build_s=None, plan_mb=None, said=f"not built: {error}")
    start = time.perf_counter()
    plan = build_plan(trt, model.SerializeToString())
    build_s = round(time.perf_counter() - start, 1)
    return Finding(*told, True, build_s, round(len(plan) / 1e6, 1), f"{trt.__name__} {trt.__version__}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--cameras", nargs="+", type=int, default=[1, 6])
    parser.add_argument("--precision", nargs="+", choices=("float32", "float16"), default=["float16"])
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    findings: list[Finding] = []
    for name in args.networks:
        for cameras in args.cameras:
            for precision in args.precision:
                try:
                    found = examine(name, cameras, precision)
                except AirsideError as error:
                    found = Finding(name, cameras, precision, 0, 0, 0.0, False, None, None, str(error))
                findings.append(found)
                print(json.dumps(asdict(found)), flush=True)
    if args.json is not None:
        write_json(args.json, {"graphs": [asdict(found) for found in findings]})
    raise SystemExit(any(found.built is False for found in findings))


if __name__ == "__main__":
    main()
