"""From file names and boxes to support pictures, one after the other and none larger than enrolment can use."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from airside.cameras.decode import read_image, read_mask
from airside.enrolment.support import SupportImage, mask_from_box
from airside.errors import InputError, UsageError
from airside.messages import Box

Hint = Box | Path  # a box in pixels of the upright picture, or a mask file

MAX_PICTURES = 32
MAX_PIXELS = 3_000_000  # of each while learning: with 32 of them in memory, all stays below 1 GB
MAX_SIDE_PX = 8192


def box_from_text(text: str) -> Box:
    """``x0,y0,x1,y1`` as numbers; for argparse."""
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted x0,y0,x1,y1 in pixels, got {text!r}") from None
    return x0, y0, x1, y1


def read_support(paths: Sequence[Path], hints: Sequence[Hint]) -> list[SupportImage]:
    """The pictures with their masks; ``hints`` is empty or has one for each, in order.

    Raises :class:`UsageError` when the counts differ, :class:`InputError` for a file, box or mask that is no use.
    """
    if not 1 <= len(paths) <= MAX_PICTURES:
        raise UsageError(f"{len(paths)} pictures: registering takes 1 to {MAX_PICTURES} at a time, 5 to 20 are best")
    if hints and len(hints) != len(paths):
        raise UsageError(
            f"{len(paths)} pictures came with {len(hints)} boxes or masks: give one for each picture, in the same "
            "order, or none at all"
        )
    return [_read_one(path, hints[k] if hints else None) for k, path in enumerate(paths)]


def _read_one(path: Path, hint: Hint | None) -> SupportImage:
    image = read_image(path)
    mask = None
    if isinstance(hint, Path):
        mask = read_mask(hint)
        if mask.shape != image.shape[:2]:
            (mask_height, mask_width), (height, width) = mask.shape, image.shape[:2]
            raise InputError(
                f"mask {hint} is {mask_width} x {mask_height} px, its picture {path} is {width} x {height}: "
                "they must be of one size"
            )
    elif hint is not None:
        mask = mask_from_box(hint, (image.shape[0], image.shape[1]), str(path))
    return _bounded(SupportImage(str(path), image, mask))


def _bounded(support: SupportImage) -> SupportImage:
    height, width = support.image.shape[:2]
    zoom = min(1.0, (MAX_PIXELS / (height * width)) ** 0.5, MAX_SIDE_PX / max(height, width))
    if zoom == 1.0:
        return support
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    image = cv2.resize(support.image, size, interpolation=cv2.INTER_AREA)
    mask = support.mask
    if mask is not None:
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
        if not mask.any():
            raise InputError(f"{support.label}: the object is too small in its picture; give a closer one")
    return SupportImage(support.label, image, mask)
