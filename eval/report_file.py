"""A benchmark's figures on disk, as every command of this package leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.errors import StorageError, UsageError


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Indented JSON, its folder made if need be. Raises :class:`StorageError` where it cannot be written."""
    _write(path, (json.dumps(report, indent=2) + "\n").encode())


def write_text(path: Path, text: str) -> None:
    """As :func:`write_json`, for a page."""
    _write(path, text.encode())


def require_png(path: Path) -> None:
    """Raise :class:`UsageError` for another kind of picture: before the work, not after it."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--picture {path}: the name must end in .png")


def write_png(path: Path, image: np.ndarray) -> None:
    """``image`` [H, W, 3] uint8 RGB; raises as :func:`write_json` and :func:`require_png` do."""
    require_png(path)
    _write(path, cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error
