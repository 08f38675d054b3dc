"""Score maps on disk, high = unknown: the official layout ``anomaly_p/METHOD/DATASET/FRAME.hdf5`` (data set ``value``,
[H, W] float16 as the label), or flat ``FRAME.npy``.

The official tool takes the folder that holds ``anomaly_p`` as ``DIR_OUTPUTS``. It looks for a split's maps under the
name of the split's source (``AnomalyTrack-all`` for ``AnomalyTrack-validation``), so each map lies there too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from airside.errors import InputError, StorageError, UsageError
from eval.datasets.access import listing
from eval.datasets.table import DataSet

FOLDER, DATASET = "anomaly_p", "value"
FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True)
class Predictions:
    """One method's score maps: ``FRAME + suffix`` in the first of ``folders`` that has it."""

    method: str
    folders: tuple[Path, ...]
    suffix: str

    def path(self, frame: str) -> Path:
        there = [folder / f"{frame}{self.suffix}" for folder in self.folders]
        return next((path for path in there if path.is_file()), there[0])

    def require(self, frames: Sequence[str]) -> None:
        """Raise :class:`InputError` unless every frame has its map."""
        with listing():
            missing = [name for name in frames if not self.path(name).is_file()]
        if missing:
            raise InputError(
                f"{self.method}: {len(missing)} of {len(frames)} score maps are missing, the first is "
                f"{self.path(missing[0])}; write one map for every labelled frame"
            )


def find_predictions(root: Path, data_set: DataSet) -> tuple[Predictions, ...]:
    """Every method below ``root``: the folder that holds ``anomaly_p``, ``anomaly_p`` itself, or one of flat maps.

    Raises :class:`InputError` where there is none for this data set.
    """
    with listing():
        found = _by_method(root / FOLDER if (root / FOLDER).is_dir() else root, data_set)
        if not found:
            flat = [s for s in (".npy", ".hdf5") if any(root.glob(f"*{s}"))]
            found = [Predictions(root.resolve().name, (root,), s) for s in flat[:1]]
    if not found:
        raise InputError(
            f"{root} holds no score maps of {data_set.name}: wanted {FOLDER}/METHOD/{data_set.official[0]}/FRAME.hdf5 "
            f"(data set {DATASET!r}) or FRAME.npy"
        )
    return tuple(found)


def _by_method(base: Path, data_set: DataSet) -> list[Predictions]:
    found = []
    for method in sorted(p for p in base.glob("*") if p.is_dir()):
        folders = tuple(f for n in (*data_set.official, *data_set.kept_under) if (f := method / n).is_dir())
        if folders:
            found.append(Predictions(method.name, folders, ".hdf5"))
    return found


def read_scores(path: Path, shape: tuple[int, int], label: str = "the label") -> np.ndarray:
    """A score map [H, W] float32, finite and not constant, high = unknown. Raises :class:`InputError` on another;
    ``label`` names what its ``shape`` comes from."""
    stored = _stored(path)
    if stored.shape != shape:
        raise InputError(f"scores {path}: wanted {list(shape)} like {label}, got {list(stored.shape)}")
    if not np.issubdtype(stored.dtype, np.floating):
        raise InputError(f"scores {path}: wanted floating point numbers, got {stored.dtype}")
    with np.errstate(over="ignore"):  # said below
        scores = stored.astype(np.float32)
    low, high = float(scores.min()), float(scores.max())  # NaN wherever there is one
    if not np.isfinite([low, high]).all():
        infinite = int(np.isinf(scores).sum())
        if infinite and stored.dtype == np.float16:
            raise InputError(
                f"scores {path}: {infinite} values are infinite: they overflowed float16, whose largest is "
                f"{FLOAT16_MAX:.0f}; rescale the scores before storing them"
            )
        bad = int((~np.isfinite(scores)).sum())
        raise InputError(f"scores {path}: {bad} of {scores.size} values are NaN or infinite; find out why")
    if low == high:
        raise InputError(f"scores {path}: every pixel has the score {low:g}: nothing can be ranked; run it again")
    return np.asarray(scores)


def _stored(path: Path) -> np.ndarray:
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        with h5py.File(path, "r") as file:
            if DATASET not in file:
                raise InputError(f"scores {path}: no data set {DATASET!r} in it, only {', '.join(file) or 'nothing'}")
            return np.asarray(file[DATASET][...])
    except FileNotFoundError:
        raise InputError(f"scores {path}: no such file; write one map for every labelled frame") from None
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise InputError(f"scores {path}: cannot be read ({error}); write it again") from None


def method_folder(root: Path, method: str, data_set: DataSet) -> Path:
    """Where the official tool looks for a method's maps."""
    return root / FOLDER / method / data_set.official[0]


def write_map(root: Path, method: str, data_set: DataSet, frame: str, scores: np.ndarray) -> None:
    """One method's map of one frame below ``root``, everywhere the official tool may look for it: :func:`write_scores`,
    and the same file again in every folder of ``kept_under``. Raises as it does."""
    folder = method_folder(root, method, data_set)
    write_scores(folder, frame, scores)
    for name in data_set.kept_under:
        _same_file(folder / f"{frame}.hdf5", folder.parent / name / f"{frame}.hdf5")


def _same_file(path: Path, again: Path) -> None:
    """``again`` is ``path``: a hard link, which takes no space, or a copy on a disk that has none."""
    try:
        again.parent.mkdir(parents=True, exist_ok=True)
        again.unlink(missing_ok=True)
        try:
            os.link(path, again)
        except OSError:
            shutil.copyfile(path, again)
    except OSError as error:
        raise StorageError(f"cannot write {again}: {error}") from error


def write_scores(folder: Path, frame: str, scores: np.ndarray) -> None:
    """``scores`` [H, W] float, high = unknown, as float16 in the official layout.

    Raises :class:`UsageError` on scores that are not finite or that float16 cannot hold, :class:`StorageError` where
    the disk refuses.
    """
    if not (np.abs(scores) <= FLOAT16_MAX).all():  # written so that NaN fails too
        raise UsageError(
            f"{frame}: scores reach from {scores.min()} to {scores.max()}; float16 ends at {FLOAT16_MAX:.0f}"
        )
    path = folder / f"{frame}.hdf5"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.create_dataset(DATASET, data=scores.astype(np.float16), compression=1, shuffle=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error
