"""Export a trained checkpoint as a model bundle: ``python -m training.export_mini --checkpoint FILE --out DIR``."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from airside.engine.bundle import Manifest
from airside.export import fold_normalisation, write_bundle
from training.network import FOCAL_PX, IMAGE_MEAN, IMAGE_STD, Mini, MiniConfig

MINI = MiniConfig()
NAME, TRAINED_ON = "airside-mini", "airside apron simulator (training/apron)"


class Exported(nn.Module):
    """uint8 pictures in, tokens and depth out; mean and deviation folded into the first layers."""

    def __init__(self, network: Mini) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        embed = self.network.trunk.patch_embed
        with torch.no_grad():
            for first in (embed.proj, embed.detail[0]):
                fold_normalisation(first, IMAGE_MEAN, IMAGE_STD)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[N, H, W, 3] uint8 -> tokens [N, Hp, Wp, C] of unit length, depth [N, H / 2, W / 2] at ``FOCAL_PX``."""
        tokens, depth = self.network(images.permute(0, 3, 1, 2).float())
        return tokens, depth


def load_network(checkpoint: Path, config: MiniConfig = MINI) -> Mini:
    """The averaged weights of a training checkpoint."""
    network = Mini(config)
    network.load_state_dict(torch.load(checkpoint, weights_only=True, map_location="cpu")["average"])
    return network.eval()


def export(network: Mini, out: Path, name: str = NAME, trained_on: str = TRAINED_ON) -> Manifest:
    """Write ``network`` as the bundle ``out``; see :func:`airside.export.write_bundle`."""
    config = network.config
    manifest = Manifest(
        name=name,
        height_px=config.height_px,
        width_px=config.width_px,
        patch_px=config.patch_px,
        token_width=config.width,
        feature="last block, final norm, unit length",
        outputs=("tokens", "depth", "bev"),
        position_embedding="native",
        trained_on=trained_on,
        licence="Apache-2.0",
        network_sha256="",
        parity_sha256="",
        depth_focal_px=FOCAL_PX,
    )
    sealed = write_bundle(Exported(network), out, manifest, network.bev)
    size_mb = sum(path.stat().st_size for path in out.glob("*.onnx")) / 1e6
    print(f"{out}: {name} {sealed.fingerprint[:12]}, {size_mb:.1f} MB")
    return sealed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    export(load_network(args.checkpoint), args.out)


if __name__ == "__main__":
    main()
