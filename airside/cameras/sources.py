"""From the word on the command line to a camera."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from airside.cameras.camera import Camera
from airside.cameras.capture import Capture, device_stamp_ns, open_device, open_stream
from airside.cameras.decode import IMAGE_SUFFIXES
from airside.cameras.live import LiveCamera, LiveSource
from airside.cameras.stills import StillsCamera, pictures_in
from airside.cameras.video import VideoCamera
from airside.errors import InputError, UnavailableError, UsageError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mjpeg", ".mjpg", ".h264", ".h265"}
)
_STREAM_SCHEMES = ("rtsp", "rtsps")


def open_camera(source: str, name: str = "front", *, fps: float = 5.0, timeout_s: float = 5.0) -> Camera:
    """Open ``source``: a folder of pictures, one picture, a video file, a device or a network stream.

    A device is ``/dev/video0`` or its number, a stream ``rtsp://...``. ``fps`` is the rate at which pictures of a
    folder count as taken. ``timeout_s`` bounds opening and reading of live sources.

    Raises :class:`InputError` for files that are no use, :class:`UnavailableError` for a device or stream that does
    not answer, :class:`UsageError` for a source of no known kind.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"fps must be a positive number, got {fps}")
    if not source:
        raise UsageError("the source is empty: give a folder, a picture, a video, /dev/video0 or rtsp://...")
    if is_live(source):
        return LiveCamera(live_source(source, timeout_s), name=name, timeout_s=timeout_s)
    return open_file_camera(Path(source), name, fps=fps)


def open_file_camera(path: Path, name: str, *, fps: float) -> StillsCamera | VideoCamera:
    """A folder of pictures, one picture, or a video file."""
    if is_folder(path):
        return StillsCamera(pictures_in(path), name=name, fps=fps)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return StillsCamera([path], name=name, fps=fps)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoCamera(path, name=name)
    # By name, not by trying: FFmpeg plays text files as terminal art and follows playlists to other addresses.
    raise InputError(
        f"source {path}: neither a picture ({', '.join(sorted(IMAGE_SUFFIXES))}) nor a video "
        f"({', '.join(sorted(VIDEO_SUFFIXES))}) by its name; rename or convert it"
    )


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder or a file; :class:`InputError` where it is neither."""
    try:
        folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:  # no permission on the way there; a zero byte in the path
        raise InputError(f"source {path}: cannot be looked at ({error}); check the path") from None
    if not exists:
        raise InputError(f"source {path}: no such file or folder; check the path")
    return folder


def is_live(source: str) -> bool:
    """Whether ``source`` names a device or a network stream, by its form alone."""
    return _is_number(source) or source.startswith("/dev/") or "://" in source


def live_source(source: str, timeout_s: float) -> LiveSource:
    """The way to a device or network stream; nothing is opened yet. :class:`UsageError` for any other source."""
    if "://" in source:
        return _stream(source, timeout_s)
    path = f"/dev/video{int(source)}" if _is_number(source) else source
    if not path.startswith("/dev/"):
        raise UsageError(f"source {source}: wanted a live camera (/dev/video0, its number, or rtsp://...)")
    return LiveSource(partial(_open_device, path), label=path, stamp_ns=device_stamp_ns)


def _is_number(source: str) -> bool:
    return source.isascii() and source.isdigit()


def _open_device(path: str) -> Capture:
    if not os.path.exists(path):
        present = sorted(str(device) for device in Path("/dev").glob("video*"))
        raise UnavailableError(f"camera {path}: not there; connected: {', '.join(present) or 'none'}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise UnavailableError(f"camera {path}: no permission; run: sudo usermod -aG video $USER, and log in again")
    return open_device(path)


def _stream(url: str, timeout_s: float) -> LiveSource:
    scheme = url.split("://", 1)[0].lower()
    if scheme not in _STREAM_SCHEMES:
        raise UsageError(f"source {without_password(url)}: wanted {' or '.join(_STREAM_SCHEMES)}, got {scheme}")
    return LiveSource(partial(open_stream, url, timeout_s), label=without_password(url))


def without_password(url: str) -> str:
    """``rtsp://user:secret@host/x`` as ``rtsp://user:***@host/x``: messages end up in logs."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.split("://", 1)[0] + "://..."
    account, at, host = parts.netloc.rpartition("@")
    if not at:
        return url
    user = account.partition(":")[0]
    return parts._replace(netloc=f"{user}:***@{host}").geturl()
