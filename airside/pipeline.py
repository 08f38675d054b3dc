"""The engine in one page: frame -> network input -> one pass of the network -> bank search -> novelty map -> regions
-> places in the ego frame -> alerts; where the model has them, depth gives the places and the bird's-eye view follows.

Read this file first. Each arrow is one value type of :mod:`airside.messages`; each step is a pure function of another
room; the only state is the bank snapshot in use, the previous picture, the latest bird's-eye view and the tick counter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from airside.alerts.rules import level_for, reaches_lower_middle
from airside.bank.bank import ClassKind, PrototypeBank
from airside.bank.search import PrototypeIndex
from airside.bank.store import BankStore
from airside.cameras.fit import fit_to_network
from airside.config import CameraConfig, SiteConfig
from airside.engine.engine import Engine
from airside.errors import AirsideError, InputError, MismatchError
from airside.fusion.bev_layers import BevLayers, bev_layers
from airside.fusion.mounted import MountedView
from airside.fusion.place import place
from airside.fusion.viewpoint import Viewpoint, lacking, viewpoint
from airside.geometry.bev_view import BevView
from airside.health import OK, frozen_count, frozen_health, picture_health, scene_health, worst
from airside.messages import (
    CameraStatus,
    Frame,
    Health,
    HealthState,
    Kind,
    NetworkInput,
    OodMap,
    Placement,
    Region,
    Sighting,
    TickRecord,
)
from airside.ood.calibration import TailModel
from airside.ood.refine import guided_upsample
from airside.ood.regions import RegionRules, find_regions
from airside.ood.scoring import Scorer, ood_map, scorer

DEFAULT_METHOD = "default"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """A bank snapshot laid out for one scoring method: everything a tick asks of it."""

    snapshot: str
    model_fingerprint: str
    method: str
    scorer: Scorer
    index: PrototypeIndex
    tails: TailModel | None
    kinds: tuple[ClassKind, ...]
    protected: frozenset[str]
    threshold: float  # on the region score
    calibrated: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick's record, and the maps behind it for whoever draws or measures."""

    record: TickRecord
    net: NetworkInput
    map: OodMap
    pixel_score: np.ndarray  # [H, W] float32 at network size, high = unknown
    threshold: float
    view: MountedView | None = None  # where a rig tells how the camera is mounted
    depth_m: np.ndarray | None = None  # [Hd, Wd] float32 along the optical axis, over the network's picture
    bev: BevLayers | None = None


def knowledge_from_bank(bank: PrototypeBank, snapshot: str, method: str) -> Knowledge:
    """Prepare ``bank`` for ``method``; without a calibration of its own the method's stand-in threshold is used."""
    rule = scorer(method)
    own = next((c for c in bank.calibrations if c.method == method and np.isfinite(c.threshold)), None)
    return Knowledge(
        snapshot=snapshot,
        model_fingerprint=bank.model_fingerprint,
        method=method,
        scorer=rule,
        index=PrototypeIndex(bank),
        tails=TailModel.from_classes(bank.classes) if rule.needs_tails else None,
        kinds=tuple(c.kind for c in bank.classes),
        protected=frozenset(c.name for c in bank.classes if c.protected),
        threshold=own.threshold if own is not None else rule.uncalibrated_threshold,
        calibrated=own is not None,
    )


def map_from_tokens(tokens: np.ndarray, knowledge: Knowledge) -> OodMap:
    """Patch tokens [Hp, Wp, C] of unit length -> how unfamiliar every patch is."""
    flat = tokens.reshape(-1, tokens.shape[-1])
    scores = knowledge.scorer(knowledge.index.similarity(flat), knowledge.tails)
    return ood_map(scores, (tokens.shape[0], tokens.shape[1]), knowledge.index.names)


class Pipeline:
    """Runs one camera. A new bank snapshot is in use from the tick after it was committed."""

    def __init__(
        self,
        engine: Engine,
        store: BankStore,
        *,
        site: SiteConfig,
        method: str = DEFAULT_METHOD,
        mount: CameraConfig | None = None,
        model_path: str = "the model in use",
    ) -> None:
        self._engine, self._store, self._site, self._mount = engine, store, site, mount
        self._method, self._model_path = method, model_path
        self._knowledge = self._load()
        self._rules = RegionRules(min_patches_unknown=site.min_patches)
        self._previous: np.ndarray | None = None
        self._viewpoint: tuple[tuple[int, ...], Viewpoint] | None = None
        self._bev: BevLayers | None = None  # the latest
        self._same, self._count = 0, 0

    def tick(self, frame: Frame, *, live: bool = False) -> Tick:
        """Everything airside says of one frame. ``live``: the frame's time is this machine's monotonic clock.

        Raises :class:`InputError` for a frame of no use (see :meth:`blind_record`); the next one may be. Raises
        :class:`MismatchError` when the first frame has another shape than the rig's camera.
        """
        clock = _StageClock()
        bank_health = self._follow_head()
        knowledge = self._knowledge
        net = fit_to_network(frame.image, *self._input_size)
        clock.lap("fit")
        seen_from = self._viewpoint_of(frame, net)
        found = self._engine.outputs(net.image[None])
        tokens = found.tokens[0]
        _require_finite(tokens, "tokens")
        clock.lap("network")
        score_map = map_from_tokens(tokens, knowledge)
        clock.lap("bank_search")
        pixel_score = guided_upsample(score_map.ood_score, net.image)
        regions = find_regions(
            score_map, pixel_score, knowledge.threshold, net, knowledge.kinds, tokens=tokens, rules=self._rules
        )
        clock.lap("regions")
        depth_m = None
        if found.depth is not None:
            _require_finite(found.depth, "depth")
            depth_m = seen_from.depth_m(found.depth[0]) if seen_from is not None else None
            clock.lap("depth")
        scene = scene_health(score_map.ood_score, net.observed, knowledge.threshold, self._site.scene_novelty_limit)
        if scene.reasons:  # a new scene is said once, not as a hundred objects
            regions = tuple(r for r in regions if r.kind is Kind.KNOWN)
        health = worst(picture_health(frame.image), self._frozen(frame.image), scene, bank_health)
        places: tuple[Placement | None, ...] = (None,) * len(regions)
        if seen_from is not None:
            places = tuple(place(region, seen_from.view, depth_m) for region in regions)
            clock.lap("fusion")
        if seen_from is not None and seen_from.above is not None and self._count % self._site.bev_every == 0:
            self._bev = self._from_above(tokens, seen_from.above, score_map)
            clock.lap("bev")
        sightings = tuple(self._sighting(*pair, frame) for pair in zip(regions, places, strict=True))
        clock.lap("alerts")
        published_ns = time.monotonic_ns() if live else frame.capture_ns + clock.total_ns
        record = TickRecord(
            tick=self._count,
            capture_ns=frame.capture_ns,
            published_ns=published_ns,
            valid=health.state is not HealthState.BLIND,
            expires_ns=frame.capture_ns + self._site.expires_ms * 1_000_000,
            health=health,
            cameras=(CameraStatus(frame.camera, health, frame.capture_ns, observed=True),),
            bank_snapshot=knowledge.snapshot,
            model_fingerprint=knowledge.model_fingerprint,
            method=knowledge.method,
            sightings=sightings,
            alerts=(),
            timing_ms=clock.laps_ms,
        )
        self._count += 1
        view = seen_from.view if seen_from is not None else None
        return Tick(record, net, score_map, pixel_score, knowledge.threshold, view, depth_m, self._bev)

    def blind_record(self, camera: str, now_ns: int, reason: str) -> TickRecord:
        """The record of a tick that has no usable picture: not valid, nothing seen, BLIND and why."""
        bank_health = self._follow_head()
        blind = worst(Health(HealthState.BLIND, (reason,)), bank_health)
        record = TickRecord(
            tick=self._count,
            capture_ns=now_ns,
            published_ns=now_ns,
            valid=False,
            expires_ns=now_ns + self._site.expires_ms * 1_000_000,
            health=blind,
            cameras=(CameraStatus(camera, blind, None, observed=False),),
            bank_snapshot=self._knowledge.snapshot,
            model_fingerprint=self._knowledge.model_fingerprint,
            method=self._knowledge.method,
            sightings=(),
            alerts=(),
            timing_ms={},
        )
        self._count += 1
        return record

    @property
    def knowledge(self) -> Knowledge:
        """What the latest tick asked."""
        return self._knowledge

    @property
    def mounted(self) -> bool:
        """Whether a rig tells how the camera is mounted."""
        return self._mount is not None

    @property
    def without(self) -> tuple[str, ...]:
        """What this run does without, for want of a rig or of a head of the model: to be said once."""
        return lacking(self._mount, self._engine.manifest)

    @property
    def _input_size(self) -> tuple[int, int, int]:
        m = self._engine.manifest
        return m.height_px, m.width_px, m.patch_px

    def _load(self) -> Knowledge:
        bank, info = self._store.load()
        bank.require_model(self._engine.manifest.fingerprint, str(self._store.path), self._model_path)
        return knowledge_from_bank(bank, info.id, self._method)

    def _follow_head(self) -> Health:
        """Take up a new snapshot; one that cannot be read is refused, said so, and the old one stays in use."""
        try:
            if self._store.head_id() != self._knowledge.snapshot:
                self._knowledge = self._load()
        except AirsideError as error:
            return Health(HealthState.DEGRADED, (f"bank_unreadable_{type(error).__name__}",))
        return OK if self._knowledge.calibrated else Health(HealthState.DEGRADED, ("threshold_uncalibrated",))

    def _frozen(self, image: np.ndarray) -> Health:
        self._same = frozen_count(image, self._previous, self._same)
        self._previous = image
        return frozen_health(self._same)

    def _viewpoint_of(self, frame: Frame, net: NetworkInput) -> Viewpoint | None:
        """Made anew only when the frames change their size."""
        if self._mount is None:
            return None
        shape = frame.image.shape
        if self._viewpoint is None or self._viewpoint[0] != shape:
            try:
                self._viewpoint = shape, viewpoint(self._mount, self._engine.manifest, shape, net)
            except MismatchError as error:
                if self._viewpoint is None:  # the rig is that of another camera
                    raise
                raise InputError(str(error)) from error  # it fitted before: one odd picture, the next may be right
        return self._viewpoint[1]

    def _from_above(self, tokens: np.ndarray, above: BevView, score_map: OodMap) -> BevLayers:
        maps, spec = self._engine.bev(tokens[None], above), self._engine.manifest.bev
        assert spec is not None  # there would be no view from above
        _require_finite(maps.layers, "bird's-eye view")
        _require_finite(maps.depth_probability, "depth distribution")
        return bev_layers(maps, spec, above, score_map.ood_score)

    def _sighting(self, region: Region, placement: Placement | None, frame: Frame) -> Sighting:
        height, width = frame.image.shape[:2]
        protected = region.nearest_class in self._knowledge.protected
        in_middle = reaches_lower_middle(region.box_px, width, height)
        level, reasons = level_for(region.kind, protected, placement, in_middle, self._site)
        return Sighting(frame.camera, region, placement, level, reasons)


def _require_finite(values: np.ndarray, what: str) -> None:
    """Never a score or a range, never clear: whoever runs the loop says BLIND."""
    if not np.isfinite(values).all():
        raise InputError(f"the network's {what} for this picture is not finite; check with: airside doctor")


class _StageClock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._start = self._last = time.perf_counter_ns()

    def lap(self, stage: str) -> None:
        now = time.perf_counter_ns()
        self.laps_ms[stage] = (now - self._last) / 1e6
        self._last = now

    @property
    def total_ns(self) -> int:
        return time.perf_counter_ns() - self._start
