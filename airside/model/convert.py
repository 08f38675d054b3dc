"""A pickle checkpoint to safetensors, once and explicitly: the only place of airside that opens a pickle."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from airside.errors import InputError, StorageError, UsageError


def convert_pickle(src: Path, dst: Path) -> int:
    """Write the tensors of ``src`` under the same names and with the same values to ``dst``; returns their number.

    Only tensors are read (``weights_only``): code hidden in the pickle does not run. ``dst`` appears complete or not
    at all.

    Raises:
        UsageError: ``dst`` is not named ``*.safetensors`` or exists.
        InputError: ``src`` is missing, cannot be read as weights only, or is not a flat mapping of names to tensors.
        StorageError: ``dst`` cannot be written.
    """
    if dst.suffix != ".safetensors":
        raise UsageError(f"wanted a target that ends in .safetensors, got {dst}")
    if dst.exists():
        raise UsageError(f"{dst} exists already; delete it or give another name")
    if not src.is_file():
        raise InputError(f"there is no checkpoint {src}")
    try:
        loaded = torch.load(src, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        raise InputError(f"{src} cannot be read as a checkpoint of weights only: {error}") from error
    tensors = _flat(loaded, src)
    try:
        save_file(tensors, dst)
    except (SafetensorError, OSError) as error:
        raise StorageError(f"{dst} cannot be written ({error}); free space or choose another place") from error
    return len(tensors)


def _flat(loaded: object, src: Path) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping) or not loaded:
        raise InputError(f"{src} holds a {type(loaded).__name__}, wanted a mapping of names to tensors")
    others = [str(key) for key, value in loaded.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if others:
        raise InputError(
            f"{src} is no flat mapping of names to tensors: {', '.join(sorted(others)[:6])} hold something else; save "
            "the network's state_dict alone"
        )
    # safetensors stores no views and no shared memory
    return {key: value.detach().clone().contiguous() for key, value in loaded.items()}
