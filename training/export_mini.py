"""Export a trained checkpoint as a model bundle: ``python -m training.export_mini --checkpoint FILE --out DIR``.

``--weights FILE`` takes what ``training.start`` keeps of one (``training/weights/airside-mini.safetensors``).
``--fused RIG`` also makes the one graph that TensorRT runs for that rig; for a bundle that is there already, that graph
alone.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from airside.config import RigConfig, load_rig
from airside.engine.bundle import Manifest, open_bundle
from airside.errors import AirsideError, MismatchError
from airside.export import fold_normalisation, write_bundle
from airside.export_fused import FusedGraph, write_fused
from airside.fusion.bev_layers import network_rig
from training.network import FOCAL_PX, IMAGE_MEAN, IMAGE_STD, Mini, MiniConfig, with_rims
from training.start import NETWORK, first_line, read_checkpoint, read_kept

MINI = MiniConfig()
NAME, TRAINED_ON = "airside-mini", "airside apron simulator (training/apron)"


class Exported(nn.Module):
    """uint8 pictures in, tokens and depth with its rims out; mean and deviation folded into the first layers."""

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
        return tokens, with_rims(depth)


def load_network(checkpoint: Path, config: MiniConfig = MINI) -> Mini:
    """The averaged weights of a training checkpoint; raises as :func:`read_checkpoint`."""
    return read_checkpoint(checkpoint, config)[0]


def load_weights(path: Path, config: MiniConfig = MINI) -> Mini:
    """The network in a file of :mod:`training.start`: half precision, so not exactly a bundle's. Raises
    :class:`InputError` where there is none, :class:`MismatchError` where it is of another network."""
    network, kept = Mini(config), read_kept(path)
    own = {name.removeprefix(NETWORK): value.float() for name, value in kept.items() if name.startswith(NETWORK)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise MismatchError(f"{path} is of another network ({first_line(error)})") from None
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


def export_fused(network: Mini, rig: RigConfig, bundle: Path) -> None:
    """The vehicle's graph of ``network``, in float16, into ``bundle``; see :func:`airside.export_fused.write_fused`."""
    seen, _ = network_rig(rig.cameras, open_bundle(bundle).manifest)
    fused = FusedGraph(Exported(network), network.bev, seen, depth_focal_px=FOCAL_PX, precision="float16")
    print(f"{write_fused(fused, bundle)}: float16, {fused.cameras} cameras, {fused.attentions} attentions to fuse")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", type=Path)
    source.add_argument("--weights", type=Path)
    parser.add_argument("--fused", type=Path, metavar="RIG")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        network = load_network(args.checkpoint) if args.checkpoint is not None else load_weights(args.weights)
        if args.fused is None or not args.out.exists():
            export(network, args.out)
        if args.fused is not None:
            export_fused(network, load_rig(args.fused), args.out)
    except AirsideError as error:
        print(f"training.export_mini: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
