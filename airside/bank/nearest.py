"""Nearest prototypes of the whole bank: exact while that is quick, through inverted lists beyond.

Prototypes fall into lists around k-means centres; a search looks into the few lists nearest to its token and compares
there exactly. How few is measured when the index is built, on the bank's own prototypes, against the exact search;
a bank whose prototypes do not cluster stays exact. So what is returned is always a true cosine, and only whether it is
the very best is not certain. Compared and not chosen (``python -m eval.scale``): 4-bit product codes with refinement
lose recall where hundreds of prototypes lie equally near; graphs (HNSW) take many minutes to build at a million.
"""

from __future__ import annotations

import faiss
import numpy as np

EXACT_UP_TO = 20_000
RECALL = 0.995  # of the nearest other prototype, where the index is built
PROBES = (2, 4, 8, 16, 32, 64)
TRIALS = 256
TRAINING_PER_LIST, ROUNDS = 32, 8


class NearestIndex:
    """Over ``prototypes`` [P, C] float32, unit length; immutable. ``probes``: lists looked into, 0 where exact."""

    def __init__(self, prototypes: np.ndarray, *, exact_up_to: int = EXACT_UP_TO) -> None:
        exact = faiss.IndexFlatIP(prototypes.shape[1])
        exact.add(np.ascontiguousarray(prototypes))
        self._index: faiss.Index = exact
        self._everywhere: faiss.SearchParametersIVF | None = None
        self.probes = 0
        if len(prototypes) > exact_up_to:
            lists = _lists(prototypes)
            self.probes = _probes_needed(lists, exact, prototypes)
            if self.probes:
                lists.nprobe = self.probes
                self._index, self._everywhere = lists, faiss.SearchParametersIVF()
                self._everywhere.nprobe = lists.nlist

    def search(self, tokens: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """tokens [T, C] -> cosine [T, k] float32 and row [T, k] int64, best first."""
        tokens = np.ascontiguousarray(tokens)
        similarity, row = self._index.search(tokens, k)
        if self._everywhere is not None and (row < 0).any():  # those lists hold fewer than k
            similarity, row = self._index.search(tokens, k, params=self._everywhere)
        return similarity, row


def _lists(prototypes: np.ndarray) -> faiss.IndexIVFFlat:
    count, channels = prototypes.shape
    lists = 1 << round(np.log2(2 * np.sqrt(count)))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(channels), channels, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.spherical, index.cp.seed = ROUNDS, True, 7
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, TRAINING_PER_LIST
    sample = np.random.default_rng(7).permutation(count)[: TRAINING_PER_LIST * lists]
    index.train(np.ascontiguousarray(prototypes[sample]))
    index.add(np.ascontiguousarray(prototypes))
    return index


def _probes_needed(lists: faiss.IndexIVFFlat, exact: faiss.Index, prototypes: np.ndarray) -> int:
    """The fewest lists that find :data:`RECALL` of some prototypes' nearest other prototype; 0 where none does."""
    trials = prototypes[np.random.default_rng(8).permutation(len(prototypes))[:TRIALS]]
    wanted = exact.search(trials, 2)[0][:, 1]
    for probes in PROBES:
        lists.nprobe = probes
        if np.mean(lists.search(trials, 2)[0][:, 1] >= wanted - 1e-6) >= RECALL:
            return probes
    return 0
