"""Export a trained checkpoint as a model bundle: ``python -m training.export_mini --checkpoint FILE --out DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from airside.engine.bundle import Manifest, file_sha256, write_manifest
from airside.engine.onnx import load_engine
from training.network import IMAGE_MEAN, IMAGE_STD, MiniConfig, build_mini, patch_tokens

OPSET = 20
PARITY_TOLERANCE = 1e-3
MINI = MiniConfig()


class Exported(nn.Module):
    """uint8 pictures in, unit-length patch tokens out; mean and deviation folded into the patch embedding."""

    def __init__(self, network: VisionTransformer) -> None:
        super().__init__()
        self.network = network
        std, mean = torch.tensor(IMAGE_STD) * 255, torch.tensor(IMAGE_MEAN) * 255
        for first in (network.patch_embed.proj, network.patch_embed.detail[0]):
            with torch.no_grad():
                folded = first.weight / std.view(1, 3, 1, 1)
                first.bias -= (folded * mean.view(1, 3, 1, 1)).sum(dim=(1, 2, 3))
                first.weight.copy_(folded)

    def forward(self, images: Tensor) -> Tensor:
        """[N, H, W, 3] uint8 -> [N, Hp, Wp, C] float32 of unit length."""
        tokens = patch_tokens(self.network, images.permute(0, 3, 1, 2).float())
        return functional.normalize(tokens, dim=-1)


def load_network(checkpoint: Path, config: MiniConfig = MINI) -> VisionTransformer:
    """The averaged weights of a training checkpoint."""
    network = build_mini(config)
    network.load_state_dict(torch.load(checkpoint, weights_only=True, map_location="cpu")["average"])
    return network.eval()


def export(network: VisionTransformer, out: Path, name: str, trained_on: str, config: MiniConfig = MINI) -> Manifest:
    """Write the bundle and prove it: onnxruntime must repeat torch on stored pictures. Changes ``network``."""
    out.mkdir(parents=True, exist_ok=True)
    model = Exported(network).eval()
    images = np.random.default_rng(5).integers(0, 256, (2, config.height_px, config.width_px, 3), np.uint8)
    images[1] = np.linspace(0, 255, config.width_px)[None, :, None].astype(np.uint8)
    batch = torch.export.Dim("cameras", min=1, max=64)
    program = torch.onnx.export(
        model,
        (torch.from_numpy(images),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["tokens"],
        dynamic_shapes=({0: batch},),
        verbose=False,
    )
    assert program is not None
    onnx.save(program.model_proto, out / "model.onnx")
    with torch.no_grad():
        reference = model(torch.from_numpy(images)).numpy()
    np.savez_compressed(out / "parity.npz", images=images, tokens=reference)
    manifest = write_manifest(
        out,
        Manifest(
            name=name,
            height_px=config.height_px,
            width_px=config.width_px,
            patch_px=config.patch_px,
            token_width=config.width,
            feature="last block, final norm, unit length",
            outputs=("tokens",),
            position_embedding="native",
            trained_on=trained_on,
            licence="Apache-2.0",
            network_sha256=file_sha256(out / "model.onnx"),
            parity_sha256=file_sha256(out / "parity.npz"),
        ),
    )
    worst = float(np.abs(load_engine(out).tokens(images) - reference).max())
    if worst > PARITY_TOLERANCE:
        raise SystemExit(f"onnxruntime differs from torch by {worst:.2g} (limit {PARITY_TOLERANCE}): not exported")
    print(
        f"{out}: {name} {manifest.fingerprint[:12]}, {(out / 'model.onnx').stat().st_size / 1e6:.1f} MB, "
        f"largest difference to torch {worst:.1e}"
    )
    return manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    export(load_network(args.checkpoint), args.out, "airside-mini", "airside apron simulator (training/apron)")


if __name__ == "__main__":
    main()
