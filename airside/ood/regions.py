"""Score maps -> objects: unknown regions, and known things under their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from airside.bank.bank import ClassKind
from airside.errors import InputError, UsageError
from airside.messages import Kind, NetworkInput, OodMap, Region
from airside.ood.affinity import affinity_groups
from airside.ood.evidence import patch_evidence
from airside.ood.logit import logit, sigmoid
from airside.ood.outline import fill_holes, frame_outline


@dataclass(frozen=True, slots=True)
class RegionRules:
    """How regions are cut out of a map. None of these enters a region's score."""

    grow_log_odds: float = 1.0  # a region grows over pixels this far below the threshold that it had to exceed
    min_patches_unknown: float = 2.0
    min_patches_known: int = 4
    split_cosine: float = 0.3  # neighbouring patches below it are not tied; a region in two untied pieces is two
    outline_tolerance_px: float = 1.0


def find_regions(
    ood_map: OodMap,
    refined: Callable[[], np.ndarray],
    threshold: float,
    network_input: NetworkInput,
    kinds: Sequence[ClassKind],
    *,
    tokens: np.ndarray | None = None,
    rules: RegionRules | None = None,
) -> tuple[Region, ...]:
    """Unknown regions, highest score first, then known things in the order of their classes.

    ``refined`` gives the refined map [H, W] float in [0, 1] at network size; it is asked only where something is
    unknown, as in few pictures. ``kinds`` are one per class name,
    ``tokens`` [Hp, Wp, C] unit length (``None``: components are not split). A region is unknown when its score, the
    greatest :func:`patch_evidence` over its patches, exceeds ``threshold``; the score itself knows no threshold.

    Raises :class:`UsageError` on a threshold outside [0, 1) or NaN (not calibrated) and on shapes or kinds that do not
    fit, :class:`InputError` on a map that is not finite.
    """
    _check(ood_map, threshold, network_input, kinds)
    rules = rules or RegionRules()
    evidence = patch_evidence(ood_map.ood_score, network_input.observed)
    unknown: list[Region] = []
    seed = evidence > threshold
    taken = np.zeros(network_input.image.shape[:2], bool)
    for mask in _unknown_masks(seed, refined, threshold, network_input, tokens, rules) if seed.any() else ():
        taken |= mask
        cover = patch_cover(mask, evidence.shape)
        unknown.append(_region(Kind.UNKNOWN, ood_map, evidence, mask, cover, None, network_input, rules))
    unknown.sort(key=lambda r: -r.ood_score)
    free = network_input.observed & (patch_cover(taken, evidence.shape) < 0.5)
    return (*unknown, *_known_regions(ood_map, evidence, free, taken, kinds, network_input, rules))


def _unknown_masks(
    seed: np.ndarray,
    refined: Callable[[], np.ndarray],
    threshold: float,
    network_input: NetworkInput,
    tokens: np.ndarray | None,
    rules: RegionRules,
) -> Iterator[np.ndarray]:
    """Pixel masks [H, W] bool, disjoint but for filled holes: hysteresis, split by tokens, closed, not too small."""
    pixel_score = refined()
    if pixel_score.shape != network_input.image.shape[:2]:
        raise UsageError(f"the pixel map is {list(pixel_score.shape)}, the picture {network_input.image.shape[:2]}")
    if not np.isfinite(pixel_score).all():
        raise InputError("the pixel map holds values that are not finite")
    patch = patch_of_pixel(pixel_score.shape, seed.shape)
    low = float(sigmoid(logit(np.asarray(threshold)) - rules.grow_log_odds))
    grown = (pixel_score >= low) & network_input.observed.reshape(-1)[patch]
    # smoothing may have sunk a small seed below the low threshold; what the statistic saw must not vanish
    grown |= (seed & (patch_cover(grown, seed.shape) == 0)).reshape(-1)[patch]
    _, component = cv2.connectedComponents(grown.astype(np.uint8), connectivity=8)
    seeded = np.unique(component[seed.reshape(-1)[patch] & grown])
    for number in seeded[seeded > 0]:
        whole = component == number
        for part in _split(whole, patch, seed.shape, tokens, rules):
            if not seed[patch_cover(part, seed.shape) > 0].any():
                continue
            closed = fill_holes(part)
            if closed.sum() * seed.size / closed.size >= rules.min_patches_unknown:
                yield closed


def _split(
    mask: np.ndarray, patch: np.ndarray, grid: tuple[int, int], tokens: np.ndarray | None, rules: RegionRules
) -> Iterator[np.ndarray]:
    """The parts of ``mask`` whose tokens hang together; patches it merely touches follow the nearest part."""
    if tokens is None:
        yield mask
        return
    cover = patch_cover(mask, grid)
    inside = cover >= 0.5  # other patches show mostly what is behind
    territory = affinity_groups(inside, tokens, rules.split_cosine, max(int(rules.min_patches_unknown), 1))
    of_pixel = territory.reshape(-1)[patch]
    for number in np.unique(territory[cover > 0]):
        yield mask & (of_pixel == number)


def _known_regions(
    ood_map: OodMap,
    evidence: np.ndarray,
    free: np.ndarray,
    taken: np.ndarray,
    kinds: Sequence[ClassKind],
    network_input: NetworkInput,
    rules: RegionRules,
) -> Iterator[Region]:
    """Connected ``free`` patches [Hp, Wp] of one thing class, outlined without unknowns' pixels ``taken`` [H, W]."""
    height, width = taken.shape
    for index, kind in enumerate(kinds):
        if kind is not ClassKind.THING:
            continue
        of_class = (free & (ood_map.class_index == index)).astype(np.uint8)
        count, component = cv2.connectedComponents(of_class, connectivity=8)
        for number in range(1, count):
            patches = component == number
            if patches.sum() < rules.min_patches_known:
                continue
            soft = cv2.resize(patches.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            mask = (soft >= 0.5) & ~taken
            if mask.any():
                yield _region(Kind.KNOWN, ood_map, evidence, mask, patches, index, network_input, rules)


def _region(
    kind: Kind,
    ood_map: OodMap,
    evidence: np.ndarray,
    mask: np.ndarray,
    cover: np.ndarray,
    class_index: int | None,
    network_input: NetworkInput,
    rules: RegionRules,
) -> Region:
    """One region from its pixels and the share of each patch it covers ([Hp, Wp]); ``None``: its commonest class."""
    touched = cover > 0
    inside = cover >= 0.5 if (cover >= 0.5).any() else touched
    nearest = int(np.argmax(np.bincount(ood_map.class_index[inside]))) if class_index is None else class_index
    box, outline = frame_outline(mask, network_input, rules.outline_tolerance_px)
    return Region(
        kind=kind,
        nearest_class=ood_map.class_names[nearest],
        similarity=float(ood_map.similarity[inside & (ood_map.class_index == nearest)].mean()),
        ood_score=float(evidence[touched].max()),
        patches=float(cover.sum()),
        box_px=box,
        outline_px=outline,
    )


def patch_cover(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Share of each patch that ``mask`` ([H, W] bool) covers: [Hp, Wp] float64 in [0, 1]."""
    height, width = mask.shape[0] // grid[0], mask.shape[1] // grid[1]
    above_left = cv2.integral(mask.view(np.uint8))[::height, ::width]
    return np.asarray(np.diff(np.diff(above_left, axis=0), axis=1) / (height * width))


@lru_cache(maxsize=8)
def patch_of_pixel(shape: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """Row-by-row number of the patch each pixel lies in: [H, W] int32, read-only."""
    rows, columns = np.arange(shape[0]) * grid[0] // shape[0], np.arange(shape[1]) * grid[1] // shape[1]
    number = (rows[:, None] * grid[1] + columns).astype(np.int32)
    number.setflags(write=False)
    return number


def _check(
    ood_map: OodMap,
    threshold: float,
    network_input: NetworkInput,
    kinds: Sequence[ClassKind],
) -> None:
    grid = ood_map.ood_score.shape
    if not 0.0 <= threshold < 1.0:  # NaN is refused too
        raise UsageError(f"threshold must lie in [0, 1), got {threshold}; calibrate the site on clean frames first")
    if len(kinds) != len(ood_map.class_names):
        raise UsageError(f"{len(ood_map.class_names)} classes but {len(kinds)} kinds")
    size = network_input.image.shape[:2]
    if any(pixels % patches for pixels, patches in zip(size, grid, strict=True)):
        raise UsageError(f"a picture of {list(size)} does not divide into {list(grid)} patches")
    if network_input.observed.shape != grid:
        raise UsageError("network input and score map are not of one picture")
