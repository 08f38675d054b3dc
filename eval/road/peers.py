"""Other ways to score the same patch tokens: each learns from support patches, each score is high = unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from airside.bank.prototypes import prototypes_from_tokens, unit
from airside.bank.search import SOFT_TEMPERATURE
from airside.errors import UnavailableError
from eval.road.support import SupportPatches
from prototypes.curate import farthest_first

PatchScore = Callable[[np.ndarray], np.ndarray]  # tokens [T, C] float32, unit length -> [T] float32

KMEANS_PROTOTYPES = 16  # of a class
CORESET_SHARE = 0.1
SHRINKAGE = 0.1  # of a covariance towards a multiple of the identity
SUBSPACE_VARIANCE = 0.9  # that the known subspace explains
PEER_NEIGHBOURS = 10
LOGIT_TEMPERATURE = 0.07  # of cosine: what the network's own classifiers were trained with
LOGIT_STEPS, LOGIT_RATE = 200, 0.05  # of fitting a classifier


def knn_patches(support: SupportPatches) -> PatchScore:
    """One minus the cosine with the nearest of all support patches (Sun et al., arXiv 2204.06507, with k = 1)."""
    return _one_minus_nearest(support.tokens)


def k_means(support: SupportPatches) -> PatchScore:
    """The same against :data:`KMEANS_PROTOTYPES` spherical k-means centres of each class."""
    centres = [prototypes_from_tokens(support.of_class(k), KMEANS_PROTOTYPES) for k in range(len(support.names))]
    return _one_minus_nearest(np.concatenate(centres))


def coreset(support: SupportPatches) -> PatchScore:
    """The same against a tenth of the support patches, chosen farthest first (PatchCore, arXiv 2106.08265)."""
    chosen = farthest_first(support.tokens, max(1, round(CORESET_SHARE * len(support.tokens))))
    return _one_minus_nearest(support.tokens[chosen])


def mahalanobis(support: SupportPatches) -> PatchScore:
    """Distance to the nearest class mean under the covariance all classes share (Lee et al., arXiv 1807.03888)."""
    means = np.stack([support.of_class(k).mean(axis=0) for k in range(len(support.names))]).astype(np.float64)
    inside = support.tokens - means[support.class_index]
    whiten = _whitening(inside.T @ inside / len(inside))
    white_means = means @ whiten

    def score(tokens: np.ndarray) -> np.ndarray:
        white = tokens @ whiten
        square = (white**2).sum(axis=1)[:, None] - 2 * white @ white_means.T + (white_means**2).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(square.min(axis=1), 0)), np.float32)

    return score


def pca_residual(support: SupportPatches) -> PatchScore:
    """Length of what lies outside the subspace that explains nine tenths of the known variance (as in ViM, arXiv
    2203.10807)."""
    centre = support.tokens.mean(axis=0)
    _, spread, axes = np.linalg.svd(support.tokens - centre, full_matrices=False)
    explained = np.cumsum(spread**2) / np.sum(spread**2)
    known = axes[: int(np.searchsorted(explained, SUBSPACE_VARIANCE)) + 1]

    def score(tokens: np.ndarray) -> np.ndarray:
        centred = tokens - centre
        return np.asarray(np.linalg.norm(centred - centred @ known.T @ known, axis=1), np.float32)

    return score


def max_logit(support: SupportPatches) -> PatchScore:
    """Minus the largest logit (Hendrycks et al., arXiv 1911.11132). A bundle carries no classifier, so one like those
    that the network was trained with is fitted to the support patches: cosine with one direction a class over
    :data:`LOGIT_TEMPERATURE`, every class weighing the same, from the class means on. (At the means themselves it
    would rank as ``prowl`` does.)"""
    tokens = support.tokens.astype(np.float64)
    count = np.bincount(support.class_index)
    hit = np.zeros((len(tokens), len(support.names)))
    hit[np.arange(len(tokens)), support.class_index] = 1
    weight = 1 / (len(count) * count[support.class_index])[:, None]
    directions = unit(hit.T @ tokens / count[:, None]).astype(np.float64)
    for _ in range(LOGIT_STEPS):
        logits = tokens @ directions.T / LOGIT_TEMPERATURE
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        directions = unit(directions - LOGIT_RATE * ((chance - hit) * weight).T @ tokens / LOGIT_TEMPERATURE)
    fitted = directions.astype(np.float32)
    return lambda tokens: np.asarray(-(tokens @ fitted.T).max(axis=1) / LOGIT_TEMPERATURE)


def _one_minus_nearest(vectors: np.ndarray) -> PatchScore:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, np.float32))

    def score(tokens: np.ndarray) -> np.ndarray:
        return np.asarray(1.0 - index.search(np.ascontiguousarray(tokens), 1)[0][:, 0], np.float32)

    return score


def _whitening(covariance: np.ndarray) -> np.ndarray:
    """[C, C] float64 with ``W W^T`` the inverse of the shrunk covariance."""
    channels = len(covariance)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / channels * np.eye(channels)
    values, vectors = np.linalg.eigh(shrunk)
    return np.asarray(vectors / np.sqrt(values))


def outside_features(detector: str) -> Callable[[SupportPatches], PatchScore]:
    """A detector of pytorch-ood that fits features."""

    def fit(support: SupportPatches) -> PatchScore:
        torch, detectors = _pytorch_ood()
        settings = {"k": PEER_NEIGHBOURS} if detector == "KNN" else {}
        fitted = getattr(detectors, detector)(None, **settings)
        fitted.fit_features(torch.from_numpy(support.tokens), torch.from_numpy(support.class_index))
        return lambda tokens: _numpy(fitted.predict_features(torch.from_numpy(np.ascontiguousarray(tokens))))

    return fit


def outside_logits(detector: str) -> Callable[[SupportPatches], PatchScore]:
    """A detector of pytorch-ood that reads logits: here the cosines with the class means, over the temperature."""

    def fit(support: SupportPatches) -> PatchScore:
        torch, detectors = _pytorch_ood()
        means = unit(np.stack([support.of_class(k).mean(axis=0) for k in range(len(support.names))]))
        rule = getattr(detectors, detector)(torch.nn.Identity())  # its network: the logits are there already
        return lambda tokens: _numpy(rule.predict(torch.from_numpy(tokens @ means.T / SOFT_TEMPERATURE)))

    return fit


def _numpy(score: Any) -> np.ndarray:
    return np.asarray(score.detach().cpu().numpy(), np.float32).reshape(-1)


def _pytorch_ood() -> tuple[Any, Any]:
    try:
        import torch
        from pytorch_ood import detector
    except ImportError as error:
        raise UnavailableError(f"this method is pytorch-ood's ({error}): pip install -e '.[peers]'") from error
    return torch, detector


PEERS: dict[str, Callable[[SupportPatches], PatchScore]] = {
    "knn-patches": knn_patches,
    "k-means": k_means,
    "coreset": coreset,
    "mahalanobis": mahalanobis,
    "pca-residual": pca_residual,
    "max-logit": max_logit,
    "ood-knn": outside_features("KNN"),
    "ood-mahalanobis": outside_features("Mahalanobis"),
    "ood-rmd": outside_features("RMD"),
    "ood-energy": outside_logits("EnergyBased"),
    "ood-entropy": outside_logits("Entropy"),
    "ood-max-softmax": outside_logits("MaxSoftmax"),
}
