"""Export a trained checkpoint as a model bundle: ``python -m training.export_mini --checkpoint FILE --out DIR``."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from airside.engine.bundle import Manifest
from airside.export import fold_normalisation, write_bundle
from training.network import IMAGE_MEAN, IMAGE_STD, MiniConfig, build_mini, patch_tokens

MINI = MiniConfig()


class Exported(nn.Module):
    """uint8 pictures in, unit-length patch tokens out; mean and deviation folded into the first layers."""

    def __init__(self, network: VisionTransformer) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        embed = self.network.patch_embed
        with torch.no_grad():
            for first in (embed.proj, embed.detail[0]):
                fold_normalisation(first, IMAGE_MEAN, IMAGE_STD)

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
    """Write ``network`` as the bundle ``out``; see :func:`airside.export.write_bundle`."""
    manifest = Manifest(
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
        network_sha256="",
        parity_sha256="",
    )
    sealed = write_bundle(Exported(network), out, manifest)
    print(f"{out}: {name} {sealed.fingerprint[:12]}, {(out / 'model.onnx').stat().st_size / 1e6:.1f} MB")
    return sealed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    export(load_network(args.checkpoint), args.out, "airside-mini", "airside apron simulator (training/apron)")


if __name__ == "__main__":
    main()
