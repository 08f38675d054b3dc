"""Turn a pickle checkpoint (.pth) into safetensors, once. Only tensors are read: no code of the pickle is run."""

from __future__ import annotations

import argparse
from pathlib import Path

from airside.commands.extras import require_model_extra


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="FILE.pth")
    parser.add_argument("target", type=Path, metavar="FILE.safetensors")


def run(args: argparse.Namespace) -> int:
    require_model_extra("convert")
    from airside.model.convert import convert_pickle

    print(f"{args.target}: {convert_pickle(args.source, args.target)} tensors")
    return 0
