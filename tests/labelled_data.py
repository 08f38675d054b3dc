"""A tiny CamVid: streets of flat colours with a car and a pedestrian in some."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from prototypes.labelled import CAMVID_NAMES
from tests.road_data import write_png

COLOURS = {
    "sky": (120, 180, 230),
    "road": (90, 90, 90),
    "tree": (20, 120, 30),
    "car": (170, 30, 30),
    "pedestrian": (160, 20, 160),
}


def street(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB [120, 210, 3] uint8 and class indices [120, 210] uint8."""
    rng = np.random.default_rng(seed)
    classes = np.full((120, 210), CAMVID_NAMES.index("road"), np.uint8)
    classes[:40] = CAMVID_NAMES.index("sky")
    classes[20:70, :60] = CAMVID_NAMES.index("tree")
    for name, shape in (("car", (40, 60)), ("pedestrian", (62, 60))):
        top, left = rng.integers(50, 60), rng.integers(60, 90) if name == "car" else 150
        classes[top : top + shape[0], left : left + shape[1]] = CAMVID_NAMES.index(name)
    classes[-3:] = len(CAMVID_NAMES) - 1
    rgb = np.full((*classes.shape, 3), 128, np.uint8)
    for name, colour in COLOURS.items():
        rgb[classes == CAMVID_NAMES.index(name)] = colour
    return cv2.add(rgb, rng.integers(0, 14, rgb.shape, np.uint8)), classes


def tiny_camvid(root: Path, train: int = 9, test: int = 3) -> Path:
    for split, count, start in (("train", train, 0), ("test", test, 100)):
        for k in range(count):
            rgb, classes = street(start + k)
            write_png(root / split / f"s_{k:03d}.png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
            write_png(root / f"{split}annot" / f"s_{k:03d}.png", classes)
    return root
