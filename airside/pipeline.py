"""The engine in one page: frames -> network inputs -> one pass of the network -> bank search -> novelty maps -> regions
-> places in the ego frame -> objects -> tracks -> alerts; where the model has them, depth gives the places and the
bird's-eye view the occupancy.

Read this file first. Each arrow is one value type of :mod:`airside.messages`; each step is a pure function of another
room. The state: the bank snapshot in use, what is remembered of each camera, the tracks, the levels held, when the
newest picture was taken, the tick counter.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from airside.alerts.hold import Memory, alerts_of
from airside.alerts.rules import level_of_sighting, nearest_m
from airside.bank.store import BankStore
from airside.camera_watch import Watched, judged, remembered
from airside.cameras.fit import fit_to_network, fit_window
from airside.cameras.rectify import Rectifier
from airside.config import CameraConfig, SiteConfig
from airside.engine.bev_spec import BevSpec
from airside.engine.engine import Engine
from airside.errors import AirsideError, InputError
from airside.fusion.bev_layers import BevLayers, RigAbove, bev_layers, measured_depth, nothing_seen, rig_above
from airside.fusion.joined import joined
from airside.fusion.occupancy import occupancy
from airside.fusion.place import place
from airside.fusion.viewpoint import Viewpoint, lacking, looked_at, viewpoint, window_of
from airside.geometry.path import Window
from airside.health import OK, rig_health, worst
from airside.knowledge import Knowledge, knowledge_from_bank
from airside.messages import (
    Alert,
    CameraStatus,
    Frame,
    FrameBundle,
    Health,
    HealthState,
    Level,
    NetworkInput,
    Occupancy,
    Placement,
    Sighting,
    TickRecord,
)
from airside.perception import CameraView, StageClock, perceived, with_window
from airside.tracking.tracker import Tracker
from airside.workload import FULL, Workload, ahead_cameras

DEFAULT_METHOD = "default"


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick's record, and what is behind it for whoever draws, measures or publishes."""

    record: TickRecord
    views: tuple[CameraView, ...]  # of the cameras that were looked at
    threshold: float
    timing_ms: dict[str, float]  # stage -> milliseconds
    bev: BevLayers | None = None  # the latest
    occupancy: Occupancy | None = None  # made in this tick


class Pipeline:
    """Runs the cameras of one vehicle. A new bank snapshot is in use from the tick after it was committed.

    ``rig`` names the cameras; a camera with no :class:`CameraConfig` gives no places, only levels by its picture.
    ``rectified``: their frames were, before they were recorded.
    """

    def __init__(
        self,
        engine: Engine,
        store: BankStore,
        *,
        site: SiteConfig,
        rig: Mapping[str, CameraConfig | None],
        method: str = DEFAULT_METHOD,
        model_path: str = "the model in use",
        rectified: bool = False,
    ) -> None:
        self.site = site  # may be replaced between ticks
        self._engine, self._store, self._rig = engine, store, dict(rig)
        self._method, self._model_path = method, model_path
        self._knowledge = self._load()
        self._mounted = tuple(mount for mount in self._rig.values() if mount is not None)
        self._ahead = frozenset(ahead_cameras(self._mounted)) or frozenset(self._rig)  # without them no path is seen
        self._above = rig_above(self._mounted, engine.manifest) if self._mounted else None
        self._rectifiers = {mount.name: Rectifier(mount, done=rectified) for mount in self._mounted}
        self._watched = dict.fromkeys(self._rig, Watched())
        self._viewpoints: dict[tuple[str, Window | None], tuple[tuple[int, ...], Viewpoint]] = {}  # of the latest size
        self._beside = ThreadPoolExecutor(1, "airside-above")
        self._tracker = Tracker()
        self._held: Memory = {}
        self._newest_ns: int | None = None  # capture of the newest frame of the latest tick that looked at any
        self._bev: BevLayers | None = None  # the latest
        self.next_tick = 0  # a replay sets it to the number that the tick had

    def tick(self, bundle: FrameBundle, workload: Workload = FULL, *, live: bool = False) -> Tick:
        """Everything airside says at ``bundle.now_ns``. ``live``: times are those of this machine's monotonic clock.

        Raises nothing for a frame of no use: its camera's status says why, and its view counts as not observed.
        """
        clock = StageClock()
        bank_health = self._follow_head()
        judged_cameras, frames = self._judge(bundle, workload)
        statuses, views = self._look(judged_cameras, frames, workload, clock)
        waiting = not views and any(status.health.state is not HealthState.BLIND for status in statuses)
        begun = self._begin_above(views, workload) if not waiting else None  # no camera has a new picture yet
        placed = self._placed(views)
        clock.lap("fusion")
        alerts, sightings = self._alerts(placed, views, bundle.now_ns)
        clock.lap("alerts")
        made = self._end_above(begun, alerts, clock)
        health = worst(rig_health(statuses, self._ahead), workload.health, bank_health)
        self._newest_ns = max((view.frame.capture_ns for view in views), default=self._newest_ns)
        record = TickRecord(
            tick=self.next_tick,
            now_ns=bundle.now_ns,
            capture_ns=bundle.now_ns if self._newest_ns is None else self._newest_ns,
            published_ns=time.monotonic_ns() if live else bundle.now_ns,
            valid=health.state is not HealthState.BLIND,
            expires_ns=bundle.now_ns + self.site.expires_ms * 1_000_000,
            health=health,
            cameras=statuses,
            bank_snapshot=self._knowledge.snapshot,
            model_fingerprint=self._knowledge.model_fingerprint,
            method=self._knowledge.method,
            sightings=sightings,
            alerts=alerts,
            timing_ms=clock.laps_ms if live else {},  # a recording gives the same record every time
        )
        self.next_tick += 1
        return Tick(record, views, self._knowledge.threshold, clock.laps_ms, self._bev, made)

    @property
    def knowledge(self) -> Knowledge:
        """What the latest tick asked."""
        return self._knowledge

    @property
    def mounted(self) -> bool:
        """Whether a rig tells how a camera is mounted."""
        return bool(self._mounted)

    @property
    def without(self) -> tuple[str, ...]:
        """What this run does without, for want of a rig, a head of the model or a calibration: to be said once."""
        return lacking(self._mounted, self._engine.manifest, self._knowledge.path_threshold)

    def _load(self) -> Knowledge:
        bank, info = self._store.load()
        bank.require_model(self._engine.manifest.fingerprint, str(self._store.path), self._model_path)
        return knowledge_from_bank(bank, info.id, self._method)

    def _follow_head(self) -> Health:
        """Take up a new snapshot; one that cannot be read is refused, said so, and the old one stays in use."""
        try:
            if self._store.head_id() != self._knowledge.snapshot:
                self._knowledge = self._load()
                self._tracker.forget_names()
        except AirsideError as error:
            return Health(HealthState.DEGRADED, (f"bank_unreadable_{type(error).__name__}",))
        return OK if self._knowledge.calibrated else Health(HealthState.DEGRADED, ("threshold_uncalibrated",))

    def _judge(self, bundle: FrameBundle, workload: Workload) -> tuple[list[CameraStatus], list[Frame]]:
        """What each camera's newest frame is worth, and the frames to look at."""
        newest = {frame.camera: frame for frame in bundle.frames}
        troubles = {name: tuple(r for camera, r in bundle.troubles if camera == name) for name in self._rig}
        statuses: list[CameraStatus] = []
        for name in self._rig:
            size_px = self._rectifiers[name].takes_px if name in self._rectifiers else None
            status, watched = judged(name, newest.get(name), self._watched[name], bundle.now_ns, self.site, size_px)
            if name in workload.skipped and status.observed:
                status = replace(status, health=_SHED, observed=False)  # and looked at when its turn comes
            else:
                self._watched[name] = watched
            if troubles[name]:
                told = worst(status.health, Health(HealthState.DEGRADED, troubles[name]))
                status = replace(status, health=told)
            statuses.append(status)
        return statuses, [newest[status.camera] for status in statuses if status.observed]

    def _look(
        self, statuses: Sequence[CameraStatus], frames: Sequence[Frame], workload: Workload, clock: StageClock
    ) -> tuple[tuple[CameraStatus, ...], tuple[CameraView, ...]]:
        """One pass of the network over all ``frames``, a closer look at the path; each picture's map and regions."""
        found: dict[str, Health] = {}  # camera -> what the look at its frame tells of it
        fitted: list[tuple[Frame, NetworkInput]] = []
        for frame in frames:
            try:
                fitted.append(self._fitted(frame))
            except InputError:
                found[frame.camera] = _UNUSABLE
        clock.lap("fit")
        views: list[CameraView] = []
        if fitted:
            images = np.stack([net.image for _, net in fitted])
            if workload.depth:
                out = self._engine.outputs(images)
                tokens, depth = out.tokens, out.depth
            else:
                tokens, depth = self._engine.tokens(images), None
            clock.lap("network")
            for number, (frame, net) in enumerate(fitted):
                of_camera = None if depth is None else depth[number]
                if not np.isfinite(tokens[number]).all() or (
                    of_camera is not None and not np.isfinite(of_camera).all()
                ):
                    found[frame.camera] = _NOT_FINITE
                    continue
                point = self._viewpoint_of(frame, net)
                views.append(perceived(frame, net, tokens[number], of_camera, point, self._knowledge, self.site, clock))
        too_much = workload.bev_slower > 1 and self._above_is_due(workload)
        seen = self._look_closer(views, clock) if workload.closer and not too_much else views
        found |= {view.frame.camera: view.scene for view in seen}
        for name, health in found.items():
            self._watched[name] = remembered(self._watched[name], health)
        return tuple(_after_look(status, found.get(status.camera, OK)) for status in statuses), tuple(seen)

    def _look_closer(self, views: Sequence[CameraView], clock: StageClock) -> Sequence[CameraView]:
        """``views`` with the far part of the path looked at once more, in the one whose frame shows it largest."""
        site, ahead = self.site, [None if view.scene.reasons else view.view for view in views]
        chosen = window_of(ahead, site.corridor_half_width_m, site.caution_distance_m)
        if chosen is None or self._knowledge.path_threshold is None:
            return views
        k, window_px = chosen
        frame, m = views[k].frame, self._engine.manifest
        net = fit_window(frame.image, window_px, m.height_px, m.width_px, m.patch_px)
        net = self._rectifiers[frame.camera].observed(net, *frame.image.shape[:2])
        point = self._viewpoint_of(frame, net, window_px)
        assert point is not None  # views[k] is mounted
        clock.lap("fit")
        tokens = self._engine.tokens(net.image[None])[0]
        clock.lap("network")
        closer = with_window(views[k], net, tokens, point.view, self._knowledge, site, clock)
        return (*views[:k], closer, *views[k + 1 :])

    def _fitted(self, frame: Frame) -> tuple[Frame, NetworkInput]:
        """The frame as a pinhole's, and as the network sees it."""
        m, rectifier = self._engine.manifest, self._rectifiers.get(frame.camera)
        if rectifier is not None:
            frame = rectifier.frame(frame)
        net = fit_to_network(frame.image, m.height_px, m.width_px, m.patch_px)
        return frame, net if rectifier is None else rectifier.observed(net, *frame.image.shape[:2])

    def _viewpoint_of(self, frame: Frame, net: NetworkInput, window_px: Window | None = None) -> Viewpoint | None:
        """Of the whole frame or of a part; made anew only when the frames change their size."""
        mount, shape, part = self._rig[frame.camera], frame.image.shape, (frame.camera, window_px)
        if mount is None:
            return None
        made_for, point = self._viewpoints.get(part, (None, None))
        if point is None or made_for != shape:
            point = viewpoint(mount, self._engine.manifest, shape, net)
            self._viewpoints[part] = shape, point
        return point

    def _placed(self, views: Sequence[CameraView]) -> list[Sighting]:
        """Every region with its place, levels follow; of what is faint only what stands in the path."""
        found = []
        for view in views:
            for region in view.regions:
                placement = place(region, view.view, view.depth_m) if view.view is not None else None
                if not region.faint or (placement is not None and self._in_path(placement)):
                    found.append(Sighting(view.frame.camera, region, placement, Level.NONE, ()))
        return found

    def _in_path(self, placement: Placement) -> bool:
        (x_m, y_m, _), (xx, xy, yy) = placement.xyz_ego_m, placement.covariance_m2
        range_m = nearest_m(np.array([x_m, y_m]), np.array([[xx, xy], [xy, yy]]))
        ahead = x_m > 0 and abs(y_m) <= self.site.corridor_half_width_m
        return ahead and range_m <= self.site.caution_distance_m

    def _alerts(
        self, sightings: Sequence[Sighting], views: Sequence[CameraView], now_ns: int
    ) -> tuple[tuple[Alert, ...], tuple[Sighting, ...]]:
        """Placed sightings become objects, objects tracks, tracks alerts; the others are judged by their picture."""
        protected = self._knowledge.protected
        # A camera whose scene is novel tells of known things alone: it has neither looked for what was feared, nor may
        # it name it.
        mounted = {v.frame.camera: v.view for v in views if v.view is not None and not v.scene.reasons}
        placed = [s if s.camera in mounted else replace(s, placement=None) for s in sightings]
        observations = joined(placed, protected)
        tracks, ids = self._tracker.update(observations, now_ns, lambda places: looked_at(places, mounted.values()))
        told = [track for track in tracks if track.confirmed or not track.faint]  # one faint patch once is nothing
        alerts, self._held = alerts_of(told, self._held, self.site, now_ns, self._knowledge.snapshot)
        of_track = {alert.track.id: alert for alert in alerts}
        of_sighting = {
            k: None if i is None else of_track.get(i)
            for seen, i in zip(observations, ids, strict=True)
            for k in seen.sightings
        }
        sizes = {v.frame.camera: (v.frame.image.shape[1], v.frame.image.shape[0]) for v in views}
        judged_sightings = []
        for number, sighting in enumerate(sightings):
            alert = of_sighting.get(number)
            if alert is None and number in of_sighting:
                continue
            if alert is not None:
                level, reasons, track_id = alert.level, alert.reasons, alert.track.id
            else:
                known_person = sighting.region.nearest_class in protected
                level, reasons = level_of_sighting(sighting, known_person, sizes[sighting.camera], self.site)
                track_id = None
            judged_sightings.append(replace(sighting, level=level, reasons=reasons, track_id=track_id))
        return alerts, tuple(judged_sightings)

    def _begin_above(self, views: Sequence[CameraView], workload: Workload) -> Future[BevLayers | None] | None:
        """The bird's-eye view of the cameras that see something they know their way in, where it is due: made beside
        the tracking, which needs the other core less."""
        spec, above = self._engine.manifest.bev, self._above
        if spec is None or above is None or not self._above_is_due(workload):
            return None
        return self._beside.submit(self._from_above, spec, above, [view for view in views if not view.scene.reasons])

    def _above_is_due(self, workload: Workload) -> bool:
        return self.next_tick % (self.site.bev_every * workload.bev_slower) == 0

    def _from_above(self, spec: BevSpec, above: RigAbove, views: Sequence[CameraView]) -> BevLayers | None:
        """``None`` where nothing was seen, or the network gave no numbers: never a cell that reads as free."""
        by_name = {view.frame.camera: view for view in views}
        seen = above.seen_by(by_name.keys())
        if seen is None:
            return None
        grid, width = self._engine.manifest.grid, self._engine.manifest.token_width
        tokens, score = np.zeros((len(above.cameras), *grid, width), np.float32), np.zeros((len(above.cameras), *grid))
        for number, name in enumerate(above.cameras):
            if name in by_name:
                tokens[number], score[number] = by_name[name].tokens, by_name[name].map.ood_score
        depth_m = [by_name[name].depth_m if name in by_name else None for name in above.cameras]
        maps = self._engine.bev(tokens, seen, measured_depth(depth_m, self._engine.manifest))
        finite = np.isfinite(maps.layers).all() and np.isfinite(maps.depth_probability).all()
        return bev_layers(maps, spec, seen, score) if finite else None

    def _end_above(
        self, begun: Future[BevLayers | None] | None, alerts: Sequence[Alert], clock: StageClock
    ) -> Occupancy | None:
        if begun is None:
            return None
        self._bev, spec = begun.result(), self._engine.manifest.bev
        assert spec is not None  # or nothing had begun
        made = occupancy(self._bev or nothing_seen(spec), [alert.track for alert in alerts])
        clock.lap("bev")
        return made


_SHED = Health(HealthState.DEGRADED, ("shed",))
_UNUSABLE = Health(HealthState.BLIND, ("frame_unusable",))
_NOT_FINITE = Health(HealthState.BLIND, ("network_not_finite",))


def _after_look(status: CameraStatus, found: Health) -> CameraStatus:
    """What is BLIND was not observed: never a score or a range, never clear."""
    observed = status.observed and found.state is not HealthState.BLIND
    return replace(status, health=worst(status.health, found), observed=observed)
