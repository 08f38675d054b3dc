"""Between what a training started from and what it left: ``python -m training.soup --start FILE --checkpoint FILE --out
FILE.safetensors``.

A short training on new pictures learns them and forgets a little of what it came from; weights on the straight line
between the two often do better on pictures neither saw (Wortsman et al., WiSE-FT, arXiv 2109.01903, section 3). Files
of :mod:`training.start`; ``--out`` may be the file of ``--start``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from airside.errors import AirsideError, MismatchError, UsageError
from training.start import kept_from_checkpoint, load_checkpoint, read_kept


def between(start: dict[str, Tensor], end: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """``share`` of the way from ``start`` to ``end``, float16. Raises :class:`UsageError` where it is not between them,
    :class:`MismatchError` where they are of different networks."""
    if not 0 <= share <= 1:
        raise UsageError(f"--share must lie in 0..1, got {share}")
    if start.keys() != end.keys() or any(start[name].shape != end[name].shape for name in start):
        raise MismatchError("the checkpoint is of another network than the weights it is to be mixed with")
    return {name: torch.lerp(start[name].float(), end[name].float(), share).half() for name in start}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True, help="what training.mini --start was given")
    parser.add_argument("--checkpoint", type=Path, required=True, help="what it left")
    parser.add_argument("--share", type=float, default=0.5, help="of the way from the start to the checkpoint")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        mixed = between(read_kept(args.start), kept_from_checkpoint(load_checkpoint(args.checkpoint)), args.share)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        save_file(mixed, args.out)
    except AirsideError as error:
        print(f"training.soup: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{args.out}: {args.share:.0%} of the way from {args.start} to {args.checkpoint}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
