"""Mix a training's last weights with the bundle it started from: ``python -m training.soup --checkpoint FILE ...``.

Weights of one descent, averaged, find what neither end finds (Wortsman et al., "Model soups", arXiv 2203.05482).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from training.mini import save
from training.warm_start import weights_of_bundle

PREFIX = "network."


def mixed(last: Mapping[str, Tensor], first: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """``share`` of ``last`` and the rest of ``first``; what ``first`` lacks counts as zero in a layer's output.

    Raises ``ValueError`` when ``first`` has weights that ``last`` has not.
    """
    strange = first.keys() - last.keys()
    if strange:
        raise ValueError(f"another network's weights: {', '.join(sorted(strange))}")
    new_layers_end = ("patch_embed.detail.4.weight", "patch_embed.detail.4.bias")
    lacking = {k: torch.zeros_like(last[k]) if k in new_layers_end else last[k] for k in last.keys() - first.keys()}
    return {k: torch.lerp({**first, **lacking}[k], value, share) for k, value in last.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="of training.mini")
    parser.add_argument("--bundle", type=Path, required=True, help="what that training started from")
    parser.add_argument("--share", type=float, default=0.5, help="of the checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="a checkpoint for prototypes embed")
    args = parser.parse_args()
    saved = torch.load(args.checkpoint, weights_only=True, map_location="cpu")
    last = {k.removeprefix(PREFIX): v for k, v in saved["model"].items() if k.startswith(PREFIX)}
    save(args.out, {"average": mixed(last, weights_of_bundle(args.bundle), args.share), "step": saved["step"]})
    print(f"{args.out}: {args.share:.0%} of {args.checkpoint}, the rest of {args.bundle}")


if __name__ == "__main__":
    main()
