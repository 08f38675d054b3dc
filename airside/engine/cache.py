"""The folder for what can be made again: results of ``airside verify`` and networks made from a bundle."""

from __future__ import annotations

import os
from pathlib import Path

from airside.bank.durable import storage_error_from_os_error, write_durably
from airside.errors import StorageError

ADVICE = "set XDG_CACHE_HOME to a folder that can be written"


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/airside``, or ``~/.cache/airside``; a relative XDG_CACHE_HOME counts as unset (XDG says so)."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given) / "airside"
    try:
        return Path.home() / ".cache" / "airside"
    except RuntimeError as error:
        raise StorageError(f"this user has no home folder for a cache: {ADVICE}") from error


def write_cached(path: Path, data: bytes) -> None:
    """Write ``path``, inside :func:`cache_folder`, whole or not at all. Raises :class:`StorageError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)
    except OSError as error:
        cause = storage_error_from_os_error("making the cache folder", path.parent, error)
        raise StorageError(f"{cause}; {ADVICE}") from error
    except StorageError as error:
        raise StorageError(f"{error}; {ADVICE}") from error
