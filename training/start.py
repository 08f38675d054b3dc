"""What outlives the machine a training ran on: ``python -m training.start --checkpoint FILE --out FILE.safetensors``.

The network's averaged weights, and the heads that only training has, in half precision: enough for the next training to
go on from (``training.mini --start``), a tenth of a checkpoint. What belongs to single assets is left out: the next
training draws others.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from airside.errors import AirsideError, InputError, MismatchError
from training.network import Mini, MiniConfig

OF_ASSETS = "assets."  # the names of what is left out
NETWORK = "network."


def kept_from_checkpoint(saved: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of the file, float16, from a checkpoint of ``training.mini``."""
    others = {k: v for k, v in saved["model"].items() if not k.startswith((NETWORK, OF_ASSETS))}
    kept = {**{f"{NETWORK}{k}": v for k, v in saved["average"].items()}, **others}
    return {k: v.half().contiguous() for k, v in kept.items()}


def start_from(path: Path, model: nn.Module) -> None:
    """Fill ``model``, a ``training.mini.Model``, with the tensors of the file ``path``; what they lack stays random.

    Raises :class:`InputError` where there is no such file, :class:`MismatchError` where it is of another network.
    """
    kept = read_kept(path)
    own = {k: v for k, v in model.state_dict().items() if not k.startswith(OF_ASSETS)}
    strange = sorted(
        k for k in kept.keys() | own.keys() if k not in own or k not in kept or kept[k].shape != own[k].shape
    )
    if strange:
        raise MismatchError(f"{path} is of another network: {', '.join(strange[:4])} and {len(strange)} in all differ")
    model.load_state_dict({k: v.float() for k, v in kept.items()}, strict=False)


def read_kept(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of this module. Raises :class:`InputError` where there is none."""
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); make it with: python -m training.start") from None


def first_line(error: Exception) -> str:
    """torch's go on for pages."""
    return str(error).partition("\n")[0]


def load_checkpoint(path: Path) -> dict[str, dict[str, Tensor]]:
    """What ``training.mini`` saved. Raises :class:`InputError` where there is no such file, :class:`MismatchError`
    where it is no checkpoint of it."""
    if not path.exists():
        raise InputError(f"{path} does not exist: give a checkpoint of training.mini")
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise MismatchError(f"{path} is no checkpoint of airside-mini ({first_line(error)})") from None
    if not isinstance(saved, dict) or not {"average", "model"} <= saved.keys():
        raise MismatchError(f"{path} is no checkpoint of airside-mini (it lacks an average or a model)")
    return saved


def read_checkpoint(path: Path, config: MiniConfig) -> tuple[Mini, dict[str, Tensor]]:
    """The network of a checkpoint, and what else it holds. Raises as :func:`load_checkpoint`, and
    :class:`MismatchError` where it is of another network."""
    saved, network = load_checkpoint(path), Mini(config)
    try:
        network.load_state_dict(saved["average"])
    except RuntimeError as error:
        raise MismatchError(f"{path} is no checkpoint of airside-mini ({first_line(error)})") from None
    return network.eval(), saved["model"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="of training.mini")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        kept = kept_from_checkpoint(load_checkpoint(args.checkpoint))
        args.out.parent.mkdir(parents=True, exist_ok=True)
        save_file(kept, args.out)
    except AirsideError as error:
        print(f"training.start: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
