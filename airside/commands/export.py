"""Export a vision transformer as a model bundle of patch tokens, proven equal to torch on stored pictures.

Where there is a network the weights are fetched; elsewhere bring the file: --weights FILE, a safetensors file in
Meta's, timm's or Hugging Face's layout (airside convert turns Meta's .pth into one). The bundle has no bank yet:
python -m prototypes build makes one from labelled pictures.

--fused RIG also makes, inside the bundle, the one graph that TensorRT runs for the cameras of a rig file; for a bundle
that is there already, --fused makes that graph alone, and refuses weights other than the bundle's.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from airside.commands.extras import require_model_extra
from airside.config import load_rig
from airside.engine.bundle import open_bundle
from airside.errors import UsageError
from airside.fusion.bev_layers import network_rig

DEFAULT_SIZE = "224x392"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backbone", metavar="NAME", required=True, help="timm's name: vit_base_patch14_reg4_dinov2, ..."
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="safetensors file (default: fetch timm's)")
    parser.add_argument("--size", metavar="HxW", default=DEFAULT_SIZE,
                        help=f"input in pixels, multiples of the patch (default: {DEFAULT_SIZE})")  # fmt: skip
    parser.add_argument(
        "--feature", metavar="SPEC", default="last", help="last, keys, or blocks:2,5,8,11 (default: last)"
    )
    parser.add_argument("--trained-on", metavar="TEXT", default="as published", help="for the manifest")
    parser.add_argument("--licence", metavar="TEXT", default="see the weights' publisher", help="for the manifest")
    parser.add_argument(
        "--fused", type=Path, metavar="RIG", help="rig file: also make its vehicle's graph, for TensorRT"
    )
    parser.add_argument("--precision", choices=("float16", "float32"), default="float16",
                        help="of that graph (default: float16)")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="the bundle's folder, new")


def run(args: argparse.Namespace) -> int:
    require_model_extra("export")
    from airside.export import TokensGraph, export_backbone
    from airside.export_fused import FusedGraph, write_fused
    from airside.model.backbone import load_backbone
    from airside.model.features import FeatureSpec

    size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", args.size)
    if size is None:
        raise UsageError(f"--size: wanted HEIGHTxWIDTH in pixels such as {DEFAULT_SIZE}, got {args.size!r}")
    feature = FeatureSpec.parse(args.feature)
    rig = None if args.fused is None else load_rig(args.fused)
    backbone = load_backbone(args.backbone, weights=args.weights, image_size=(int(size[1]), int(size[2])))
    if rig is None or not args.out.exists():
        manifest = export_backbone(backbone, feature, args.out, trained_on=args.trained_on, licence=args.licence)
        megabytes = (args.out / "model.onnx").stat().st_size / 1e6
        print(
            f"{args.out}: {manifest.name}, {manifest.height_px}x{manifest.width_px}, {manifest.token_width} channels, "
            f"positions {manifest.position_embedding}, {megabytes:.1f} MB, fingerprint {manifest.fingerprint[:12]}"
        )
    if rig is not None:
        seen, _ = network_rig(rig.cameras, open_bundle(args.out).manifest)
        fused = FusedGraph(TokensGraph(backbone, feature), None, seen, depth_focal_px=None, precision=args.precision)
        folder = write_fused(fused, args.out)
        print(
            f"{folder}: {args.precision}, {fused.cameras} cameras, {fused.attentions} attentions to fuse; on the "
            f"vehicle: airside verify {args.out} --engine tensorrt --bank DIR --pictures SOURCE"
        )
    return 0
