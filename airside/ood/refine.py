"""From a score per patch to a score per pixel, and from noisy patches to agreeing neighbours."""

from __future__ import annotations

import cv2
import numpy as np

from airside.errors import UsageError
from airside.ood.affinity import neighbour_cosines


def upsample(score: np.ndarray, shape: tuple[int, int], *, cubic: bool = False) -> np.ndarray:
    """Score map [Hp, Wp] -> [H, W] float32, bilinear or bicubic about patch centres, within the map's own range."""
    flat = np.ascontiguousarray(score, np.float32)
    if flat.ndim != 2 or flat.size == 0 or min(shape) < 1:
        raise UsageError(f"a map [Hp, Wp] and a size are wanted, got {list(flat.shape)} and {shape}")
    method = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    large = cv2.resize(flat, (shape[1], shape[0]), interpolation=method)
    # bicubic overshoots at steps: a score above 1 or above its own patch would be evidence from nowhere
    return np.asarray(np.clip(large, flat.min(), flat.max()))


def guided_upsample(
    score: np.ndarray, image: np.ndarray, radius: int = 16, eps: float = 1e-4, *, subsample: int = 4
) -> np.ndarray:
    """Score map [Hp, Wp] -> [H, W] float32 whose edges follow the picture's.

    Guided filter on colour (He, Sun and Tang 2010, eq. 19-21) of the bilinear map, its coefficients found at
    ``1 / subsample`` of the size (He and Sun, arXiv 1505.00996). ``image`` [H, W, 3] uint8 RGB; ``radius`` of the box
    in pixels of the image (about one patch); ``eps`` is the colour variance, of values in [0, 1], under which the
    picture is taken as flat and the map only smoothed. The result stays within the map's own range. Radius and ``eps``
    were chosen on development frames of the simulator (eval/LOG.md).

    Raises :class:`UsageError` on another image layout or parameters out of range.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UsageError(f"image must be [H, W, 3] uint8, got {list(image.shape)} {image.dtype}")
    if radius < 1 or subsample < 1 or not eps > 0:
        raise UsageError(f"radius and subsample must be 1 or more and eps positive: {radius}, {subsample}, {eps}")
    height, width = image.shape[:2]
    size = (max(width // subsample, 1), max(height // subsample, 1))
    guide = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    target = upsample(score, (size[1], size[0]))
    slope, offset = _guided_coefficients(guide, target, max(round(radius / subsample), 1), eps)
    slope, offset = (cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in (slope, offset))
    large = cv2.multiply(slope, image, scale=1.0 / 255.0, dtype=cv2.CV_32F)
    large = cv2.transform(large, np.ones((1, 3), np.float32)) + offset
    return np.asarray(np.clip(large, np.float32(np.min(score)), np.float32(np.max(score))))


def _guided_coefficients(
    guide: np.ndarray, target: np.ndarray, radius: int, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """``target ~ slope . guide + offset`` per window, averaged over the windows of a pixel: [h, w, 3], [h, w]."""
    red, green, blue = cv2.split(guide)
    mean = _box(guide, radius)
    # entries rr, rg, rb, gg, gb, bb of the colours' covariance, eps on its diagonal
    second = _box(cv2.merge([red * red, red * green, red * blue]), radius)
    third = _box(cv2.merge([green * green, green * blue, blue * blue]), radius)
    m = cv2.split(mean)
    rr, rg, rb = (s - m[0] * m[j] for s, j in zip(cv2.split(second), (0, 1, 2), strict=True))
    gg, gb, bb = (s - m[i] * m[j] for s, (i, j) in zip(cv2.split(third), ((1, 1), (1, 2), (2, 2)), strict=True))
    rr, gg, bb = rr + np.float32(eps), gg + np.float32(eps), bb + np.float32(eps)
    target_mean = _box(target, radius)
    shared = _box(guide * target[..., None], radius) - mean * target_mean[..., None]
    c = cv2.split(shared)
    # inverse of the symmetric 3x3 by cofactors: a batched np.linalg.solve takes ten times as long
    k_rr, k_rg, k_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    k_gg, k_gb, k_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    det = rr * k_rr + rg * k_rg + rb * k_rb
    slope = cv2.merge(
        [
            (k_rr * c[0] + k_rg * c[1] + k_rb * c[2]) / det,
            (k_rg * c[0] + k_gg * c[1] + k_gb * c[2]) / det,
            (k_rb * c[0] + k_gb * c[1] + k_bb * c[2]) / det,
        ]
    )
    offset = target_mean - cv2.transform(slope * mean, np.ones((1, 3), np.float32))
    return _box(slope, radius), _box(offset, radius)


def _box(values: np.ndarray, radius: int) -> np.ndarray:
    side = 2 * radius + 1
    return np.asarray(cv2.boxFilter(values, cv2.CV_32F, (side, side), borderType=cv2.BORDER_REFLECT))


def affinity_smooth(
    score: np.ndarray, tokens: np.ndarray, temperature: float = 0.1, observed: np.ndarray | None = None
) -> np.ndarray:
    """Average each patch with its 8 neighbours, weighted by the softmax of ``cosine / temperature``.

    Our form of PROWL's refinement (arXiv 2404.07664), which uses a second, unsupervised segmentation network: patches
    of one object share a token direction, so the average stays inside it. The patch itself takes part with cosine 1.
    ``score`` [Hp, Wp] (any scale: log odds keep more than probabilities), ``tokens`` [Hp, Wp, C] unit length ->
    [Hp, Wp] float32 within the map's range. Patches not ``observed`` ([Hp, Wp] bool) lend nothing.

    Raises :class:`UsageError` on shapes that differ or a temperature that is not positive.
    """
    if score.ndim != 2 or tokens.ndim != 3 or tokens.shape[:2] != score.shape:
        raise UsageError(f"score [Hp, Wp] and tokens [Hp, Wp, C] are wanted: {score.shape}, {tokens.shape}")
    if not temperature > 0:
        raise UsageError(f"temperature must be positive, got {temperature}")
    seen = np.ones(score.shape, np.float32) if observed is None else observed.astype(np.float32)
    flat = np.asarray(score, np.float32)
    total, weight = flat.copy(), np.ones_like(flat)  # of the patch itself: exp((1 - 1) / temperature)
    for here, there, cosine in neighbour_cosines(tokens):
        affinity = np.exp((cosine - 1.0) / np.float32(temperature))
        for a, b in ((here, there), (there, here)):
            lent = affinity * seen[b]
            total[a] += lent * flat[b]
            weight[a] += lent
    return np.asarray(total / weight, np.float32)
