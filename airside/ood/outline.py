"""A region's pixels at network size -> its box and outline in the frame's own pixels."""

from __future__ import annotations

import cv2
import numpy as np

from airside.errors import UsageError
from airside.messages import Box, NetworkInput


def fill_holes(mask: np.ndarray) -> np.ndarray:
    """``mask`` [H, W] bool with everything its outer contours enclose."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, contours, -1, 1, thickness=cv2.FILLED)
    return np.asarray(filled > 0)


def frame_outline(mask: np.ndarray, network_input: NetworkInput, tolerance_px: float) -> tuple[Box, np.ndarray]:
    """Box and outline of ``mask`` ([H, W] bool at network size) in the frame's pixels.

    The outline is the largest part's outer contour, simplified to ``tolerance_px`` of the network's picture:
    [K, 2] float32 (u, v), closed (the first point is not repeated), K >= 3; a part too thin for a polygon gives its
    box's corners. The box spans all parts, its far sides exclusive: pixel centres are integers, so pixel k covers
    k - 0.5 to k + 0.5, and those edges are what the affine map scales. Raises :class:`UsageError` on an empty mask.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        raise UsageError("an empty mask has no outline")
    scale, offset = np.asarray(network_input.scale), np.asarray(network_input.offset_px)
    points = np.concatenate([c.reshape(-1, 2) for c in contours])
    near = (points.min(axis=0) - 0.5) * scale + offset + 0.5
    far = (points.max(axis=0) + 0.5) * scale + offset + 0.5
    box = (float(near[0]), float(near[1]), float(far[0]), float(far[1]))
    polygon = cv2.approxPolyDP(max(contours, key=cv2.contourArea), tolerance_px, True).reshape(-1, 2)
    if len(polygon) < 3:
        (x0, y0), (x1, y1) = near - 0.5, far - 0.5
        return box, np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)
    return box, (polygon * scale + offset).astype(np.float32)
