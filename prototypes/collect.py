"""Labelled pictures -> tokens by class and picture, with a few support crops of each class."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import cv2
import numpy as np

from airside.bank.bank import SupportCrop
from airside.engine.engine import Engine
from airside.enrolment.support import SupportImage, kept_crop

MIN_PURITY = 0.7  # of a patch; mixed patches describe nothing
MAX_TOKENS_PER_PICTURE = 40
CROPS_PER_CLASS = 6
MIN_CROP_PATCHES = 3


@dataclass
class Collector:
    """Gathers patch tokens of each class, picture by picture."""

    engine: Engine
    rng: np.random.Generator
    tokens: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    crops: dict[str, list[SupportCrop]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self, rgb: np.ndarray, label: np.ndarray, names: tuple[str, ...], skip: frozenset[str] = frozenset()
    ) -> None:
        """One picture at the network's size: ``rgb`` [H, W, 3] uint8, ``label`` [H, W] indices into ``names``."""
        grid = self.engine.tokens(rgb[None])[0]
        patch = self.engine.manifest.patch_px
        hp, wp = grid.shape[:2]
        cells = label.reshape(hp, patch, wp, patch).transpose(0, 2, 1, 3).reshape(hp, wp, -1)
        for index in np.unique(label):
            name = names[index]
            pure = (cells == index).mean(axis=2) >= MIN_PURITY
            if name in skip or not pure.any():
                continue
            chosen = grid[pure]
            if len(chosen) > MAX_TOKENS_PER_PICTURE:
                chosen = chosen[self.rng.permutation(len(chosen))[:MAX_TOKENS_PER_PICTURE]]
            self.tokens[name].append(chosen)
            if len(self.crops[name]) < CROPS_PER_CLASS and pure.sum() >= MIN_CROP_PATCHES:
                self.crops[name].append(kept_crop(SupportImage(name, rgb, None), _largest_piece(label == index)))


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return np.asarray(pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())) if count > 1 else mask
