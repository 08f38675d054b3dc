"""Tiny data sets in the official layouts, and score maps for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import h5py
import numpy as np

SHAPE = (72, 96)


def write_png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def picture(seed: int) -> np.ndarray:
    """[H, W, 3] uint8: a grey road under a sky, with the object of :func:`truth`."""
    rng = np.random.default_rng(seed)
    image = np.full((*SHAPE, 3), 90, np.uint8)
    image[:24] = (230, 180, 120)
    image[truth(seed) == 1] = (20, 160, 40)
    return cv2.add(image, rng.integers(0, 12, image.shape, np.uint8))


def truth(seed: int) -> np.ndarray:
    """[H, W] uint8: an object of 24 x 28 px, a strip that is ignored."""
    rng = np.random.default_rng(seed)
    label = np.zeros(SHAPE, np.uint8)
    label[-4:] = 255
    top, left = rng.integers(26, 40), rng.integers(2, 60)
    label[top : top + 24, left : left + 28] = 1
    return label


def scores(seed: int, quality: float = 2.0) -> np.ndarray:
    """[H, W] float32 in [0, 1], better with ``quality``."""
    rng = np.random.default_rng(seed + 100)
    raw = cv2.GaussianBlur(rng.normal(size=SHAPE), (0, 0), 2.0) * 4 + quality * (truth(seed) == 1)
    return np.asarray(1 / (1 + np.exp(-raw)), np.float32)


def masked_folder(root: Path, names: Iterable[str], suffix: str = "jpg") -> Path:
    """``images/`` and ``labels_masks/``, seeds counting from 0."""
    for seed, name in enumerate(names):
        write_png(root / "images" / f"{name}.{suffix}", picture(seed))
        write_png(root / "labels_masks" / f"{name}_labels_semantic.png", truth(seed))
    return root


def flat_predictions(folder: Path, names: Iterable[str], quality: float = 2.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        np.save(folder / f"{name}.npy", scores(seed, quality).astype(np.float16))
    return folder


def official_predictions(root: Path, method: str, official: str, names: Iterable[str], quality: float = 2.0) -> Path:
    folder = root / "anomaly_p" / method / official
    folder.mkdir(parents=True)
    for seed, name in enumerate(names):
        with h5py.File(folder / f"{name}.hdf5", "w") as file:
            file["value"] = scores(seed, quality).astype(np.float16)
    return root
