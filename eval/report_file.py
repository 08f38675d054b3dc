"""A benchmark's figures on disk, as every command of this package leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airside.errors import StorageError


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Indented JSON, its folder made if need be. Raises :class:`StorageError` where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error
