"""Many patch tokens -> the few vectors that stand for them."""

from __future__ import annotations

import faiss
import numpy as np

PROTOTYPES = 2  # of a class; chosen on development frames of the simulator, see eval/LOG.md
TOKENS_PER_PROTOTYPE = 4


def unit(vectors: np.ndarray) -> np.ndarray:
    """[..., C] scaled to unit length; a zero vector is refused by the caller's shape, never divided by."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float32)


def prototypes_from_tokens(tokens: np.ndarray, count: int = PROTOTYPES) -> np.ndarray:
    """Spherical k-means of ``tokens`` [T, C] unit length -> [P, C] unit length, P <= ``count``; the same every time."""
    p = max(1, min(count, len(tokens) // TOKENS_PER_PROTOTYPE))
    if p == 1:
        return unit(tokens.mean(axis=0, keepdims=True))
    kmeans = faiss.Kmeans(
        tokens.shape[1], p, niter=12, spherical=True, seed=7, min_points_per_centroid=1, max_points_per_centroid=512
    )
    kmeans.train(np.ascontiguousarray(tokens, np.float32))
    return unit(np.asarray(kmeans.centroids))
