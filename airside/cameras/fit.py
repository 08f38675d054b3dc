"""A frame brought to the network's size, with the exact way back to its own pixels."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from airside.errors import InputError, UsageError
from airside.geometry.path import Window
from airside.messages import NetworkInput

ASPECT_TOLERANCE = 1.05  # a stretch this small changes no shape that matters; beyond it, bars are added
BAR_RGB = (124, 116, 104)  # ImageNet's mean: zero after normalisation


def fit_to_network(image: np.ndarray, height: int, width: int, patch: int) -> NetworkInput:
    """Resize ``image`` ([H, W, 3] uint8 RGB) to ``height`` x ``width`` pixels, multiples of ``patch``.

    An aspect ratio within 5 % of the network's is met by one resize; any other keeps its shape between bars of the
    mean colour, and a patch that is mostly bar (half or more of its area) is not ``observed``. Area averaging when
    shrinking, bilinear when enlarging. Pixel centres are at integers: ``frame_px = input_px * scale + offset_px``.

    Raises :class:`UsageError` on a wrong array or size, :class:`InputError` on a picture so narrow that no patch
    would be observed.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise UsageError(f"wanted an image [H, W, 3] uint8, got {list(image.shape)} {image.dtype}")
    if patch < 1 or height < patch or width < patch or height % patch or width % patch:
        raise UsageError(f"the network's size {height} x {width} must be a positive multiple of its patch, {patch} px")

    frame_height, frame_width = image.shape[:2]
    stretch = (frame_width / frame_height) / (width / height)
    if 1 / ASPECT_TOLERANCE <= stretch <= ASPECT_TOLERANCE:
        inner_height, inner_width = height, width
    else:
        inner_height = height if stretch < 1 else max(1, round(height / stretch))
        inner_width = width if stretch > 1 else max(1, round(width * stretch))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2

    scale = (frame_width / inner_width, frame_height / inner_height)
    # The outer edges of the two pictures coincide, half a pixel outside the outermost centres.
    offset = (0.5 * scale[0] - 0.5 - left * scale[0], 0.5 * scale[1] - 0.5 - top * scale[1])

    rows = _covered(top, inner_height, height, patch)
    columns = _covered(left, inner_width, width, patch)
    observed = rows[:, None] * columns[None, :] > 0.5
    if not observed.any():
        raise InputError(
            f"a picture of {frame_width} x {frame_height} px is too narrow for a network of {width} x {height}: "
            "it would fill no patch; crop it first"
        )
    return NetworkInput(
        image=_place(image, height, width, inner_height, inner_width, top, left),
        scale=scale,
        offset_px=offset,
        observed=observed,
    )


def fit_window(image: np.ndarray, window_px: Window, height: int, width: int, patch: int) -> NetworkInput:
    """The part ``window_px``, which lies within ``image``, brought to the network's size as a whole picture
    is by :func:`fit_to_network`, with the way back to the pixels of ``image``. Raises as it does."""
    x, y, window_width, window_height = window_px
    net = fit_to_network(image[y : y + window_height, x : x + window_width], height, width, patch)
    return replace(net, offset_px=(net.offset_px[0] + x, net.offset_px[1] + y))


def _covered(start: int, length: int, total: int, patch: int) -> np.ndarray:
    """[total // patch] float, the share of each patch's side that the picture covers."""
    edges = np.arange(0, total + 1, patch)
    inside = np.minimum(edges[1:], start + length) - np.maximum(edges[:-1], start)
    return np.asarray(np.clip(inside, 0, None) / patch)


def _place(
    image: np.ndarray, height: int, width: int, inner_height: int, inner_width: int, top: int, left: int
) -> np.ndarray:
    shrinking = inner_height <= image.shape[0] and inner_width <= image.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(image), (inner_width, inner_height), interpolation=method)
    if (inner_height, inner_width) == (height, width):
        return np.asarray(resized)
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = BAR_RGB
    canvas[top : top + inner_height, left : left + inner_width] = resized
    return canvas
