"""From a score per patch to a score per pixel."""

from __future__ import annotations

import cv2
import numpy as np

from airside.errors import UsageError
from airside.messages import NetworkInput
from airside.ood.affinity import alike_sums
from airside.ood.logit import logit, sigmoid

SHARPENING = 0.6  # chosen, like the next two, on development frames of the simulator (eval/LOG.md)
_REACH = 2  # patches around one in which its endmembers are sought
_SHARPNESS = 8  # exponent of a score as the weight of an endmember
_FLOOR, _LEAST_STEP = 1e-12, 1e-4


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


def sharpened(score: np.ndarray, tokens: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
    """Score map [Hp, Wp] -> [Hp, Wp] float32, each patch set off from those around it that look like it.

    A transformer's tokens know what is beside them, so evidence leaks from patch to patch along likeness, and what
    enlarges the map blurs it once more. Unsharp masking of the log odds takes that back: ``x + w (x - m)``, ``m`` the
    mean of the 8 neighbours weighted by their squared cosines with the patch. For outlines only: what a region is
    judged by gains nothing from it. ``score`` in [0, 1], ``tokens`` [Hp, Wp, C] unit length; patches not ``observed``
    ([Hp, Wp] bool, ``None``: all are) lend nothing.

    Raises :class:`UsageError` on shapes that differ.
    """
    _require_one_grid(score, tokens)
    odds = np.asarray(logit(score), np.float32)
    total, weight = alike_sums(odds, tokens, observed)
    around = np.where(weight > _FLOOR, total / np.maximum(weight, _FLOOR), odds)
    return np.asarray(sigmoid(odds + SHARPENING * (odds - around)), np.float32)


def unmixed(score: np.ndarray, tokens: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
    """Score map [Hp, Wp] -> [Hp, Wp] float32 in which a patch that shows two things has the score of its mixture.

    A patch at an object's edge is scored by what fills most of it. Linear mixing (Keshava and Mustard 2002, eq. 1)
    with two endmembers found around it: where the most and the least unfamiliar tokens nearby are ``u`` and ``k``, with
    scores ``s_u`` and ``s_k``, the patch's share of ``u`` is ``a = (t - k) . (u - k) / |u - k|^2``, within [0, 1], and
    its score moves towards ``s_k + a (s_u - s_k)`` by ``s_u - s_k``: nothing moves where there is no edge. ``score`` in
    [0, 1], ``tokens`` [Hp, Wp, C] unit length; patches not ``observed`` ([Hp, Wp] bool, ``None``: all are) lend
    nothing.

    Raises :class:`UsageError` on shapes that differ.
    """
    _require_one_grid(score, tokens)
    seen = np.ones(score.shape, np.float32) if observed is None else observed.astype(np.float32)
    flat = np.asarray(score, np.float32)
    # with a floor: where all is unfamiliar, or all familiar, both endmembers are the plain mean, and there is no edge
    unfamiliar_score, unfamiliar = _endmember(seen * (flat**_SHARPNESS + _FLOOR), flat, tokens)
    familiar_score, familiar = _endmember(seen * ((1 - flat) ** _SHARPNESS + _FLOOR), flat, tokens)
    step = unfamiliar - familiar
    along = np.einsum("hwc,hwc->hw", tokens - familiar, step)
    share = np.clip(along / np.maximum(np.einsum("hwc,hwc->hw", step, step), _LEAST_STEP), 0, 1)
    edge = np.clip(unfamiliar_score - familiar_score, 0, 1)
    return np.asarray(flat + edge * (familiar_score + share * edge - flat), np.float32)


def _endmember(weight: np.ndarray, score: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of ``score`` [Hp, Wp] and ``tokens`` over the window around each patch, itself left out, by ``weight``."""
    values = np.dstack([weight, weight * score, weight[..., None] * tokens])
    padded = np.pad(values, ((_REACH, _REACH), (_REACH, _REACH), (0, 0)))
    height, width = score.shape
    others = np.zeros_like(padded[:height])  # of the other rows
    for k in (*range(_REACH), *range(_REACH + 1, 2 * _REACH + 1)):
        others += padded[k : k + height]
    own, around = padded[_REACH : _REACH + height], np.zeros_like(values)
    for k in range(2 * _REACH + 1):  # taking the patch away from a sum would leave rounding where all else is tiny
        around += others[:, k : k + width]
        around += own[:, k : k + width] if k != _REACH else 0
    mean = around[..., 1:] / np.maximum(around[..., :1], _FLOOR / 2)
    return mean[..., 0], mean[..., 1:]


def _require_one_grid(score: np.ndarray, tokens: np.ndarray) -> None:
    if score.ndim != 2 or tokens.ndim != 3 or tokens.shape[:2] != score.shape:
        raise UsageError(f"score [Hp, Wp] and tokens [Hp, Wp, C] are wanted: {score.shape}, {tokens.shape}")


def refined(score: np.ndarray, tokens: np.ndarray, net: NetworkInput, *, sharp: bool) -> np.ndarray:
    """The map [H, W] float32 at network size that a picture's ``score`` [Hp, Wp] and ``tokens`` [Hp, Wp, C] give.

    ``sharp``: sharpened and unmixed first, as a score gains from whose log odds neither saturate nor flicker from patch
    to patch (:attr:`airside.ood.scoring.Scorer.sharp`).
    """
    if sharp:
        score = unmixed(sharpened(score, tokens, net.observed), tokens, net.observed)
    return guided_upsample(score, net.image)
