"""Methods by name: airside's own rules and their peers, all on the same tokens of one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from airside.bank.bank import PrototypeBank
from airside.cameras.fit import fit_to_network
from airside.engine.engine import Engine
from airside.errors import InputError, UsageError
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.messages import NetworkInput
from airside.ood.refine import refined
from airside.ood.scoring import METHODS
from eval.road.peers import PEERS, PatchScore
from eval.road.support import SupportPatches

ALL_METHODS = (*METHODS, *PEERS)
SHOWN_BY_DEFAULT = "prowl,knn,default"


def methods_from(words: str) -> tuple[str, ...]:
    """``a,b,c`` or ``all``. Raises :class:`UsageError` on a method that is not there, or named twice."""
    names = ALL_METHODS if words == "all" else tuple(words.split(","))
    unknown = [n for n in names if n not in ALL_METHODS]
    if unknown or len(set(names)) < len(names):
        raise UsageError(f"--methods {words}: choose some of {', '.join(ALL_METHODS)}, each once, or all")
    return names


def patch_scorers(
    bank: PrototypeBank, methods: Sequence[str], support_of_bank: Callable[[], SupportPatches]
) -> dict[str, PatchScore]:
    """Tokens [T, C] -> score [T], by method. ``support_of_bank`` is asked only where a method learns from patches."""
    support = support_of_bank() if any(m in PEERS for m in methods) else None
    found: dict[str, PatchScore] = {}
    for method in methods:
        if method in METHODS:
            found[method] = _own(bank, method)
        else:
            assert support is not None
            found[method] = PEERS[method](support)
    return found


def _own(bank: PrototypeBank, method: str) -> PatchScore:
    way = knowledge_from_bank(bank, "", method)
    return lambda tokens: map_from_tokens(tokens[None], way).ood_score[0]


def score_maps(engine: Engine, scorers: Mapping[str, PatchScore], rgb: np.ndarray) -> dict[str, np.ndarray]:
    """Every method's score at every pixel of ``rgb`` [H, W, 3] uint8: [H, W] float32, high = unknown.

    As the vehicle does it: one pass at the network's size, edges refined there, then back to the frame's own pixels.
    Raises :class:`InputError` where the network's tokens or a score are not finite.
    """
    manifest = engine.manifest
    net = fit_to_network(rgb, manifest.height_px, manifest.width_px, manifest.patch_px)
    tokens = engine.tokens(net.image[None])[0]
    if not np.isfinite(tokens).all():
        raise InputError("the network's tokens for this picture are not finite; check with: airside doctor")
    found = {}
    for method, score in scorers.items():
        patches = score(tokens.reshape(-1, tokens.shape[-1])).reshape(manifest.grid)
        if not np.isfinite(patches).all():
            raise InputError(f"method {method}: a score is not finite; leave it out of --methods")
        pixels = refined(patches, tokens, net, sharp=method in METHODS and METHODS[method].sharp)
        found[method] = frame_from_network(pixels, net, (rgb.shape[0], rgb.shape[1]))
    return found


def frame_from_network(values: np.ndarray, net: NetworkInput, shape: tuple[int, int]) -> np.ndarray:
    """A map at the network's size [H', W'] float32, at the frame's own pixels [H, W], bilinear; bars are cut off."""
    (sx, sy), (ox, oy) = net.scale, net.offset_px
    network_from_frame = np.array([[1 / sx, 0, -ox / sx], [0, 1 / sy, -oy / sy]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (shape[1], shape[0])
    warped = cv2.warpAffine(values, network_from_frame, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)
