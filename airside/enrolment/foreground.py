"""Which patches of a support picture are the object: inside a mask, inside a box, or found from the tokens alone."""

from __future__ import annotations

import cv2
import numpy as np

from airside.bank.bank import ClassKind, PrototypeBank
from airside.bank.search import PrototypeIndex
from airside.ood.calibration import TailModel

MIN_COVER = 0.55  # share of a patch that the object must fill
KNOWN_STUFF = 0.30  # tail probability from which a patch is ordinary ground, sky or building
MIN_KEPT = 0.25  # of a box: less than that left over means that the box itself is the better guess


class Background:
    """Tells ordinary surroundings from objects with the stuff classes of a bank."""

    def __init__(self, bank: PrototypeBank) -> None:
        self._index = PrototypeIndex(bank)
        self._tails = TailModel.from_classes(bank.classes) if bank.classes else None
        self._stuff = np.array([c.kind is ClassKind.STUFF for c in bank.classes], bool)

    def probability(self, tokens: np.ndarray) -> np.ndarray:
        """[Hp, Wp, C] -> [Hp, Wp] in [0, 1], high = a stuff class of the bank explains the patch."""
        flat = tokens.reshape(-1, tokens.shape[-1])
        if self._tails is None or not self._stuff.any():
            return np.zeros(tokens.shape[:2])
        tails = self._tails.tail_probability(self._index.class_similarity(flat))
        return np.asarray(tails[:, self._stuff].max(axis=1).reshape(tokens.shape[:2]))


def patches_in_box(tokens: np.ndarray, cover: np.ndarray, background: Background) -> np.ndarray:
    """Patches of a boxed object [Hp, Wp] bool: the box without what the bank knows as ground, sky or building."""
    inside = cover >= MIN_COVER
    kept = inside & (background.probability(tokens) < KNOWN_STUFF)
    return kept if kept.sum() >= MIN_KEPT * inside.sum() else inside


def patches_without_hint(tokens: np.ndarray, observed: np.ndarray, background: Background) -> np.ndarray:
    """The one object of a picture that came without box or mask, [Hp, Wp] bool.

    Patches that no stuff class explains, or, where that says nothing, those least like the picture's border; then the
    connected piece with the most patches, weighted towards the middle of the picture.
    """
    hp, wp = observed.shape
    strange = observed & (background.probability(tokens) < KNOWN_STUFF)
    if not 0.01 < strange.sum() / max(observed.sum(), 1) < 0.7:
        strange = observed & _unlike_border(tokens, observed)
    count, pieces = cv2.connectedComponents(strange.astype(np.uint8), connectivity=8)
    if count < 2:
        return strange
    v, u = np.mgrid[-1 : 1 : hp * 1j, -1 : 1 : wp * 1j]
    weight = np.exp(-1.5 * (u**2 + v**2))
    best = 1 + int(np.argmax([weight[pieces == k].sum() for k in range(1, count)]))
    return np.asarray(pieces == best)


def _unlike_border(tokens: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Otsu's split (1979) of each patch's best cosine with the patches along the picture's border."""
    inner = cv2.erode(observed.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    border = tokens[observed & ~inner]
    similarity = (tokens @ border.T).max(axis=2)
    grey = np.clip((similarity + 1) * 127.5, 0, 255).astype(np.uint8)
    inside = grey[inner]
    if inside.size == 0:
        return observed
    limit, _ = cv2.threshold(inside.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return np.asarray(inner & (grey <= limit))
