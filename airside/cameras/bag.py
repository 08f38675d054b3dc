"""The files of a recording: one ``.mcap`` or ``.db3``, or a folder of them with its ``metadata.yaml``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import yaml

from airside.cameras.bag_mcap import McapFile
from airside.cameras.bag_messages import BagFile
from airside.cameras.bag_rig import BagRig
from airside.cameras.bag_sqlite import SqliteFile
from airside.cameras.stills import natural_key
from airside.errors import InputError

METADATA = "metadata.yaml"
BAG_SUFFIXES: dict[str, Callable[[Path], BagFile]] = {".mcap": McapFile, ".db3": SqliteFile}


def open_bag(path: Path, cameras: Sequence[str], topics: Mapping[str, str] | None = None) -> BagRig:
    """The recording at ``path`` as the rig of ``cameras``; ``topics``: camera -> image topic where names do not tell.

    A folder without a readable ``metadata.yaml`` (its recorder was killed) is read in the order of its files' names,
    which is counted as ``no_metadata``.

    Raises :class:`InputError` for a recording that cannot be used, :class:`UsageError` where topics are not clear,
    :class:`UnavailableError` without the libraries for it.
    """
    listed = _listed_files(path) if path.is_dir() else [path.name]
    folder = path if path.is_dir() else path.parent
    files = [folder / name for name in (_files_by_name(path) if listed is None else listed)]
    unlisted = f"{path / METADATA} is missing or damaged: files are taken by their names"
    remarks = {"no_metadata": unlisted} if listed is None else {}
    return BagRig(str(path), [_opened(path, file) for file in files], cameras, topics, remarks)


def is_bag_folder(folder: Path) -> bool:
    return (folder / METADATA).is_file() or bool(_files_by_name(folder))


def is_recording(path: Path) -> bool:
    """By its name, or by what lies in the folder."""
    return path.suffix.lower() in BAG_SUFFIXES or (path.is_dir() and is_bag_folder(path))


def _opened(bag: Path, file: Path) -> BagFile:
    if not file.is_file():
        raise InputError(f"recording {bag}: its file {file.name} is missing; copy the whole folder again")
    if file.suffix not in BAG_SUFFIXES:
        raise InputError(
            f"recording {bag}: {file.name} is none of {', '.join(BAG_SUFFIXES)}; unpack a compressed one with: "
            f"ros2 bag convert, or: zstd -d '{file}', and take the ending out of {METADATA}"
        )
    return BAG_SUFFIXES[file.suffix](file)


def _listed_files(folder: Path) -> list[str] | None:
    """The names of the recording's files in their order, by its metadata; ``None`` where that does not say."""
    try:
        told = yaml.safe_load((folder / METADATA).read_text(encoding="utf-8"))
        paths = told["rosbag2_bagfile_information"]["relative_file_paths"]
        names = [PurePosixPath(path).name for path in paths if isinstance(path, str)]
    except (OSError, ValueError, yaml.YAMLError, RecursionError, KeyError, TypeError):
        return None
    return names or None


def _files_by_name(folder: Path) -> list[str]:
    try:
        names = [entry.name for entry in folder.iterdir() if entry.suffix in BAG_SUFFIXES and entry.is_file()]
    except OSError as error:
        raise InputError(f"folder {folder}: cannot be listed ({error.strerror}); run: chmod +rx '{folder}'") from None
    return sorted(names, key=natural_key)
