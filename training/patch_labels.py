"""What a patch shows: its majority label and how much of it that is."""

from __future__ import annotations

import numpy as np


def patch_labels(label: np.ndarray, classes: int, patch_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Majority label and its share per patch: ``label`` [H, W] below ``classes`` -> ([Hp, Wp], [Hp, Wp] 0..1)."""
    h, w = label.shape
    rows, cols = h // patch_px, w // patch_px
    cells = label[: rows * patch_px, : cols * patch_px].reshape(rows, patch_px, cols, patch_px)
    cells = cells.transpose(0, 2, 1, 3).reshape(rows * cols, -1).astype(np.int64)
    counts = np.bincount((np.arange(len(cells))[:, None] * classes + cells).ravel(), minlength=len(cells) * classes)
    counts = counts.reshape(len(cells), classes)
    return counts.argmax(1).reshape(rows, cols), (counts.max(1) / patch_px**2).reshape(rows, cols)
