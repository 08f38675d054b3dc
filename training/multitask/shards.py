"""The shards a multi-task training reads: one uncompressed npz file each, mapped into memory, never read whole.

Whoever renders or converts data makes a :class:`Shard` and calls :func:`write_shard`; processes on one machine share
the mapped pages. Axes: S samples, N cameras, A assets of the shard, L bird's-eye layers.
"""

from __future__ import annotations

import os
import struct
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np

from airside.errors import CorruptError, InputError

CLUTTER = "clutter"  # the family of things that are no known thing
_LOCAL_HEADER = 30  # bytes of a zip member's header before its name
_FORMS = {
    "rgb": ("S N H W 3", "uint8"),
    "depth_m": ("S N H/2 W/2", "float16"),
    "asset": ("S N Hp Wp", "int16"),
    "purity": ("S N Hp Wp", "uint8"),
    "visible": ("S X Y", "bool"),
    "layers": ("L", "str"),
    "bev": ("S L X Y", "uint8"),
    "intrinsics": ("S N 4", "float64"),
    "ego_from_cam": ("S N 4 4", "float64"),
    "families": ("A", "str"),
    "stuff": ("", "int64"),
    "cell_m": ("", "float64"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Samples of one rig size; the truth of sample ``s`` is that of its N pictures and of the ground around them.

    Raises :class:`InputError` where shapes or types are not these, or assets lie outside ``families``.
    """

    rgb: np.ndarray  # [S, N, H, W, 3] uint8
    depth_m: np.ndarray  # [S, N, H / 2, W / 2] float16 along the optical axis, every second pixel; inf: none, sky
    asset: np.ndarray  # [S, N, Hp, Wp] int16 into ``families``; -1: not labelled
    purity: np.ndarray  # [S, N, Hp, Wp] uint8, share of the patch that shows it, 0..255
    bev: np.ndarray  # [S, L, X, Y] uint8, 1 where the layer covers the cell, axes as in BevGrid
    visible: np.ndarray  # [S, X, Y] bool, cells that some camera sees: only they are taught
    intrinsics: np.ndarray  # [S, N, 4] float64 fx, fy, cx, cy in px of the pictures
    ego_from_cam: np.ndarray  # [S, N, 4, 4] float64
    families: np.ndarray  # [A] str, the family of each asset, stuff first
    stuff: np.ndarray  # [] int64, how many of them are stuff; the same stuff in all shards of a folder
    layers: np.ndarray  # [L] str
    cell_m: np.ndarray  # [] float64, side of a cell

    def __post_init__(self) -> None:
        sizes = {"3": 3, "4": 4}
        for name, (axes, dtype) in _FORMS.items():
            came, letters = getattr(self, name), axes.split()
            right_type = came.dtype.kind == "U" if dtype == "str" else came.dtype == dtype
            fits = came.ndim == len(letters) and right_type
            if not (
                fits and all(sizes.setdefault(a, size) == size > 0 for a, size in zip(letters, came.shape, strict=True))
            ):
                known = ", ".join(f"{a} = {sizes[a]}" for a in letters if a in sizes and not a.isdigit())
                raise InputError(
                    f"shard: wanted {name} [{', '.join(letters)}] {dtype}{' with ' * bool(known)}{known}, got "
                    f"{list(came.shape)} {came.dtype}"
                )
        patch_px = sizes["H"] // sizes["Hp"]
        if patch_px % 2 or any(
            (sizes[half] * 2, sizes[grid] * patch_px) != (sizes[side],) * 2
            for side, half, grid in (("H", "H/2", "Hp"), ("W", "W/2", "Wp"))
        ):
            raise InputError(
                "shard: wanted pictures that divide into square patches of an even side, and depth of half their size; "
                f"got rgb {list(self.rgb.shape)}, asset {list(self.asset.shape)}, depth_m {list(self.depth_m.shape)}"
            )
        if self.asset.min() < -1 or self.asset.max() >= len(self.families):
            raise InputError(
                f"shard: assets must be -1 or one of {len(self.families)} families' numbers, got "
                f"{self.asset.min()}..{self.asset.max()}"
            )


def write_shard(folder: Path, number: int, shard: Shard) -> Path:
    """``folder``/shardNNN.npz, there whole or not at all."""
    path = folder / f"shard{number:03d}.npz"
    part = path.with_suffix(".part.npz")
    np.savez(part, allow_pickle=False, **{field.name: getattr(shard, field.name) for field in fields(Shard)})
    os.replace(part, path)
    return path


def shard_paths(folder: Path) -> list[Path]:
    """The shards of ``folder`` in their order; :class:`InputError` when there is none or one between them lacks."""
    paths = sorted(folder.glob("shard[0-9][0-9][0-9].npz"))
    if not paths:
        raise InputError(f"{folder} holds no shard000.npz: make the training data first")
    for k, path in enumerate(paths):
        if path.stem != f"shard{k:03d}":
            raise InputError(f"{folder} lacks shard{k:03d}.npz: make it, or number the shards anew")
    return paths


def open_shard(path: Path) -> Shard:
    """Map a shard. Raises :class:`CorruptError` where the file is damaged, :class:`InputError` as :class:`Shard`."""
    arrays = map_arrays(path)
    lacking = [field.name for field in fields(Shard) if field.name not in arrays]
    if lacking:
        raise InputError(f"{path} is no multi-task shard: it lacks {', '.join(lacking)}")
    try:
        return Shard(**{field.name: arrays[field.name] for field in fields(Shard)})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def map_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file made by ``np.savez``, mapped read-only where they lie in it.

    Raises :class:`InputError` for a compressed file, :class:`CorruptError` for a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            return {info.filename.removesuffix(".npy"): _mapped(archive, info, raw, path) for info in archive.filelist}
    except (OSError, ValueError, zipfile.BadZipFile, struct.error) as error:
        raise CorruptError(f"{path} cannot be read ({error}); make it again") from error


def _mapped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, raw: BinaryIO, path: Path) -> np.ndarray:
    if info.compress_type != zipfile.ZIP_STORED:
        raise InputError(f"{path} is compressed, and a training reads it a picture at a time: write it with np.savez")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(member)
        header = member.tell()
    raw.seek(info.header_offset)
    name, extra = struct.unpack("<26xHH", raw.read(_LOCAL_HEADER))
    start = info.header_offset + _LOCAL_HEADER + name + extra + header
    if not np.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape or (1,), "F" if fortran else "C").reshape(shape)
