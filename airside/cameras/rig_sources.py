"""From the word on the command line to the recording of a whole rig."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from airside.cameras.bag import BAG_SUFFIXES, is_bag_folder, open_bag
from airside.cameras.decode import IMAGE_SUFFIXES
from airside.cameras.file_rig import FileRig
from airside.cameras.recording import RigRecording
from airside.cameras.sources import VIDEO_SUFFIXES, is_folder, open_file_camera
from airside.errors import InputError, UsageError

Topics = Mapping[str, str]  # camera -> its image topic, where the recording's names do not tell
_Opener = Callable[[Path, Sequence[str], float, Topics], RigRecording]


def open_rig_source(
    source: str, cameras: Sequence[str], *, fps: float = 5.0, topics: Topics | None = None
) -> RigRecording:
    """Open what was recorded of the rig whose cameras are called ``cameras``.

    A recording (``.mcap``, ``.db3``, or a rosbag2 folder); a folder with a sub-folder of pictures, a video or a picture
    for each camera, under the camera's name; for a rig of one camera also any folder of pictures, picture or video.
    ``fps`` is the rate at which pictures count as taken, ``topics`` names image topics as :func:`open_bag` wants them.

    Raises :class:`InputError` for files that are no use, :class:`UsageError` for a call that cannot work,
    :class:`UnavailableError` without the libraries that recordings need.
    """
    if not source:
        raise UsageError("the source is empty: give a recording, a folder, a picture or a video")
    path = Path(source)
    kind = _folder_kind(path, cameras) if is_folder(path) else _FILE_KINDS.get(path.suffix.lower(), _one_camera)
    return kind(path, cameras, fps, topics or {})


def _folder_kind(folder: Path, cameras: Sequence[str]) -> _Opener:
    return next(opener for is_one, opener in _FOLDER_KINDS if is_one(folder, cameras))


def _recording(path: Path, cameras: Sequence[str], fps: float, topics: Topics) -> RigRecording:
    return open_bag(path, cameras, topics)


def _one_each(folder: Path, cameras: Sequence[str], fps: float, topics: Topics) -> RigRecording:
    return FileRig([open_file_camera(at, name, fps=fps) for name, at in _named_after(folder, cameras).items()], cameras)


def _one_camera(path: Path, cameras: Sequence[str], fps: float, topics: Topics) -> RigRecording:
    if len(cameras) != 1:
        raise InputError(
            f"source {path}: the rig has {len(cameras)} cameras; give a folder with a sub-folder of pictures or a "
            f"video for each, named after it: {', '.join(cameras)}"
        )
    return FileRig([open_file_camera(path, cameras[0], fps=fps)], cameras)


def _named_after(folder: Path, cameras: Sequence[str]) -> dict[str, Path]:
    """Camera -> what lies in ``folder`` under its name: a sub-folder before a video before a picture."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"folder {folder}: cannot be listed ({error.strerror}); run: chmod +rx '{folder}'") from None
    ranked = sorted((rank, entry) for entry in entries if (rank := _rank(entry)) is not None)
    found: dict[str, Path] = {}
    for _, entry in reversed(ranked):
        found[entry.name if entry.is_dir() else entry.stem] = entry
    return {name: found[name] for name in cameras if name in found}


def _rank(entry: Path) -> int | None:
    if entry.is_dir():
        return 0
    suffix = entry.suffix.lower()
    return 1 if suffix in VIDEO_SUFFIXES else 2 if suffix in IMAGE_SUFFIXES else None


def _has_one_each(folder: Path, cameras: Sequence[str]) -> bool:
    """But not a folder of pictures of one camera, one of which happens to bear its name."""
    only_pictures = all(_rank(entry) in (2, None) for entry in folder.iterdir())
    return bool(_named_after(folder, cameras)) and not (len(cameras) == 1 and only_pictures)


_FILE_KINDS: dict[str, _Opener] = dict.fromkeys(BAG_SUFFIXES, _recording)  # by the name's ending; all else is a camera
_FOLDER_KINDS: tuple[tuple[Callable[[Path, Sequence[str]], bool], _Opener], ...] = (  # the first that is one
    (lambda folder, cameras: is_bag_folder(folder), _recording),
    (_has_one_each, _one_each),
    (lambda folder, cameras: True, _one_camera),
)
