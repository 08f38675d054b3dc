"""What one picture shows: bank search -> novelty map -> regions, and metric depth where a rig tells of the lens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from airside.config import SiteConfig
from airside.fusion.mounted import MountedView
from airside.fusion.viewpoint import Viewpoint, path_of
from airside.geometry.path import NEAR_PATCH_M
from airside.health import scene_health
from airside.knowledge import Knowledge, maps_from_tokens
from airside.messages import Frame, Health, HealthState, Kind, NetworkInput, OodMap, Region
from airside.ood.path import faint_regions, patches_in_boxes
from airside.ood.refine import refined
from airside.ood.regions import RegionRules, find_regions


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera's picture in one tick, and the maps behind what is said of it."""

    frame: Frame
    net: NetworkInput
    tokens: np.ndarray  # [Hp, Wp, C] float32, unit length
    map: OodMap
    regions: tuple[Region, ...]
    view: MountedView | None  # where a rig tells how the camera is mounted
    depth_m: np.ndarray | None  # [Hd, Wd] float32 along the optical axis, over the network's picture
    scene: Health  # DEGRADED: most of the picture is unlike anything known

    pixel_score: Callable[[], np.ndarray]  # [H, W] float32 at network size, high = unknown; made when first asked for


class StageClock:
    """Milliseconds between laps, summed by stage."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._last = time.perf_counter_ns()

    def lap(self, stage: str) -> None:
        now = time.perf_counter_ns()
        self.laps_ms[stage] = self.laps_ms.get(stage, 0.0) + (now - self._last) / 1e6
        self._last = now


def perceived(
    frame: Frame,
    net: NetworkInput,
    tokens: np.ndarray,
    depth: np.ndarray | None,
    point: Viewpoint | None,
    knowledge: Knowledge,
    site: SiteConfig,
    clock: StageClock,
) -> CameraView:
    """``tokens`` [Hp, Wp, C] unit length and ``depth`` [Hd, Wd] are the network's of ``net``; ``point`` is the mounted
    camera."""
    score_map, path_map = maps_from_tokens(tokens, knowledge)
    clock.lap("bank_search")
    pixel_score = cache(lambda: refined(score_map.ood_score, tokens, net, sharp=knowledge.scorer.sharp))
    regions = find_regions(
        score_map,
        pixel_score,
        knowledge.threshold,
        net,
        knowledge.kinds,
        tokens=tokens,
        rules=RegionRules(min_patches_unknown=site.min_patches),
    )
    clock.lap("regions")
    if point is not None:
        view, threshold = point.view, knowledge.path_threshold
        regions = (*regions, *_on_path(path_map, net, view, threshold, view, regions, knowledge, site))
        clock.lap("path")
    scene = scene_health(score_map.ood_score, net.observed, knowledge.threshold, site.scene_novelty_limit)
    if scene.reasons:  # a new scene is said once, not as a hundred objects
        regions = tuple(region for region in regions if region.kind is Kind.KNOWN)
    depth_m = point.depth_m(depth) if point is not None else None
    clock.lap("depth")
    mounted = point.view if point is not None else None
    return CameraView(frame, net, tokens, score_map, regions, mounted, depth_m, scene, pixel_score)


def with_window(
    seen: CameraView,
    net: NetworkInput,
    tokens: np.ndarray,
    window: MountedView,
    knowledge: Knowledge,
    site: SiteConfig,
    clock: StageClock,
) -> CameraView:
    """``seen`` by a mounted camera, and what only the window ``net`` of its frame shows; ``tokens`` [Hp, Wp, C] are the
    network's of it. It adds what is faint on the path; all else the whole picture tells. One odd patch is enough there
    too, but by the site's threshold where that is the higher one: a second look is a second chance to be wrong."""
    assert seen.view is not None
    if not np.isfinite(tokens).all():
        return replace(seen, scene=Health(HealthState.DEGRADED, ("path_window_not_finite",)))
    _, path_map = maps_from_tokens(tokens, knowledge)
    threshold = max(knowledge.path_threshold, knowledge.threshold) if knowledge.path_threshold is not None else None
    found = _on_path(path_map, net, window, threshold, seen.view, seen.regions, knowledge, site)
    clock.lap("window")
    return replace(seen, regions=(*seen.regions, *found))


def _on_path(
    path_map: OodMap,
    net: NetworkInput,
    view: MountedView,
    threshold: float | None,
    whole: MountedView,
    regions: Sequence[Region],
    knowledge: Knowledge,
    site: SiteConfig,
) -> tuple[Region, ...]:
    """What is faint on the path in the picture ``net`` that ``view`` describes, beside what ``regions`` settle already.
    Where the far part begins, the camera's ``whole`` picture decides."""
    if threshold is None:
        return ()
    finer = whole.network.fx / view.network.fx
    far, path = (
        path_of(view, site.corridor_half_width_m, site.caution_distance_m, least_patch_m)
        for least_patch_m in (NEAR_PATCH_M * finer, 0.0)
    )
    doubted = dict(zip(path_map.class_names, knowledge.index.doubted, strict=True))
    settled = [r.box_px for r in regions if r.kind is Kind.UNKNOWN or doubted[r.nearest_class]]
    return tuple(faint_regions(path_map, far, path, threshold, patches_in_boxes(settled, net), net))
