"""Pictures and videos of one grey level a frame, so that a test can tell which one it got."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SHAPE = (32, 48, 3)


def flat(level: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.full(shape, level, np.uint8)


def encoded(level: int, kind: str = "PNG", shape: tuple[int, int, int] = SHAPE) -> bytes:
    file = io.BytesIO()
    Image.fromarray(flat(level, shape)).save(file, kind)
    return file.getvalue()


def save_folder(folder: Path, levels: list[int]) -> Path:
    folder.mkdir(parents=True)
    for number, level in enumerate(levels):
        (folder / f"{number}.png").write_bytes(encoded(level))
    return folder


def save_video(path: Path, levels: list[int], fps: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), fps, SHAPE[1::-1])
    assert writer.isOpened()
    for level in levels:
        writer.write(flat(level))
    writer.release()
    return path
