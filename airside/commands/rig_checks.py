"""What a rig sees and what it lacks, one check each; and its picture from above."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from airside.bank.durable import write_durably
from airside.commands.check import INFO, OK, WARN, Check
from airside.config import RigConfig, SiteConfig
from airside.coverage import OBJECT_M, OBJECT_RANGE_M, CameraView, Coverage, NetworkSize, coverage_of
from airside.engine.bundle import open_bundle
from airside.errors import InputError, UsageError
from airside.fusion.viewpoint import window_of
from airside.overlay_coverage import draw_coverage

ENOUGH_PATCHES = 3.0  # across; what is smaller seldom becomes a region
NEAR_M, MIDDLE_M = 5.0, 10.0
_LOW_M, _HIGH_M = 0.3, 6.0
_UNSEEN = 0.05


def network_size(model: Path) -> NetworkSize:
    """The size that pictures are brought to by the model bundle."""
    manifest = open_bundle(model).manifest
    return NetworkSize(manifest.height_px, manifest.width_px, manifest.patch_px)


def rig_checks(rig: RigConfig, size: NetworkSize, out: Path | None, name: str) -> Iterator[Check]:
    """Each camera, then all together; the picture is written into the folder ``out``, if given."""
    coverage = coverage_of(rig, size)
    for view in coverage.views:
        yield Check(INFO, f"camera {view.name}", sentence(view))
    yield from coverage_checks(coverage)
    if out is None:
        yield Check(INFO, "rig from above", "give --out DIR for a picture of what the cameras see")
        return
    path = out / f"{name}_coverage.png"
    write_picture(coverage, name, path)
    yield Check(OK, "rig from above", f"{path}")


def sentence(view: CameraView) -> str:
    """One camera in words."""
    wide, tall = view.fov_deg
    ground = "no ground in reach"
    if view.ground_from_m is not None:
        ground = f"ground from {view.ground_from_m:.1f} to {view.ground_to_m:.0f} m"
    parts = (
        f"{wide:.0f}° x {tall:.0f}°",
        f"{view.deg_per_patch:.1f}° a patch in the middle, {view.mean_deg_per_patch:.1f}° on average",
        f"{OBJECT_M:g} m at {OBJECT_RANGE_M:g} m: {view.patches_at_27_m:.1f} patches",
        _horizon(view),
        ground,
        view.lens,
    )
    return "; ".join(parts)


def write_picture(coverage: Coverage, name: str, path: Path) -> None:
    """The rig from above as a PNG."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--out {path}: the name must end in .png")
    notes = [(check.what, check.detail) for check in coverage_checks(coverage) if check.state == WARN]
    ok, data = cv2.imencode(".png", cv2.cvtColor(draw_coverage(coverage, name, notes), cv2.COLOR_RGB2BGR))
    if not ok:
        raise InputError(f"the picture of the rig cannot be encoded for {path}")
    write_durably(path, data.tobytes())


def coverage_checks(coverage: Coverage) -> Iterator[Check]:
    """Bearings, overlap, the way ahead, and what is doubtful about single cameras."""
    yield from _bearings(coverage)
    yield _ahead(coverage)
    yield _far_path(coverage)
    for view in coverage.views:
        yield from _doubts(view)
    yield from _twins(coverage.views)


def _bearings(coverage: Coverage) -> Iterator[Check]:
    for range_m in (NEAR_M, MIDDLE_M, OBJECT_RANGE_M):
        blind = coverage.blind_bearings(range_m)
        what = f"blind at {range_m:g} m"
        if not blind:
            yield Check(OK, what, f"no bearing; {coverage.shared(range_m):.0%} are seen by two cameras or more")
            continue
        share = sum((end - start) % 360 or 360 for start, end in blind) / 360
        listed = ", ".join(arc_words(*arc) for arc in blind[:6]) + (", ..." if len(blind) > 6 else "")
        yield Check(WARN, what, f"nobody sees {listed}: {max(share, 0.01):.0%} of all bearings")
    first = coverage.first_seen_m
    if np.isfinite(first).any():
        nearest, farthest = float(first.min()), float(first[np.isfinite(first)].max())
        detail = (
            f"from {nearest:.1f} to {farthest:.1f} m around the vehicle's origin, by bearing; nearer it is not seen"
        )
        yield Check(INFO, "ground begins", detail)


def arc_words(start_deg: float, end_deg: float) -> str:
    """``20° right to 15° left``."""
    return "all round" if end_deg - start_deg == 360 else f"{_side(start_deg)} to {_side(end_deg)}"


def _side(degrees: float) -> str:
    if degrees in (0.0, 180.0, -180.0):
        return "ahead" if degrees == 0 else "behind"
    return f"{abs(degrees):.0f}° {'left' if degrees > 0 else 'right'}"


def _ahead(coverage: Coverage) -> Check:
    point = np.array([OBJECT_RANGE_M, 0.0, 0.0])
    seeing = [view for view in coverage.views if view.sees(point)]
    if not seeing:
        return Check(WARN, "way ahead", f"no camera sees the ground {OBJECT_RANGE_M:g} m ahead: turn or add one")
    best = max(seeing, key=lambda view: view.patches_at_27_m)
    found = f"{OBJECT_M:g} m at {OBJECT_RANGE_M:g} m is {best.patches_at_27_m:.1f} patches wide in {best.name}"
    if best.patches_at_27_m >= ENOUGH_PATCHES:
        return Check(OK, "way ahead", found)
    columns = coverage.size.width_px / coverage.size.patch_px
    most = math.degrees(2 * math.atan(columns / 2 / ENOUGH_PATCHES * OBJECT_M / OBJECT_RANGE_M))
    advice = f"fewer than {ENOUGH_PATCHES:g}: add a narrow camera ahead, at most {most:.0f}° wide"
    return Check(WARN, "way ahead", f"{found}, {advice}")


def _far_path(coverage: Coverage) -> Check:
    """By an untouched site's settings."""
    site, size = SiteConfig(), coverage.size
    views = [view.mounted for view in coverage.views]
    found = window_of(views, site.corridor_half_width_m, site.caution_distance_m)
    if found is None:
        advice = f"a camera ahead with more than twice the network's {size.width_px} x {size.height_px} px, such as "
        return Check(INFO, "far path", advice + "882 across 35°, would show it larger in a closer look")
    k, (x, y, width, height) = found
    larger = views[k].frame.width / width
    detail = f"{coverage.views[k].name} looks once more at its {width} x {height} px from ({x}, {y}), "
    return Check(OK, "far path", detail + f"{larger:.1f} times as large")


def _doubts(view: CameraView) -> Iterator[Check]:
    what, height_m = f"camera {view.name}", float(view.mounted.ego_from_cam.translation_m[2])
    if view.ground_from_m is None:
        detail = f"sees no ground within its {view.max_range_m:g} m: nothing it sees gets a place. "
        detail += "Is the mounting that of the optical frame (z ahead), and pitch positive down?"
        yield Check(WARN, what, detail)
    elif view.horizon is None or not 0 <= view.horizon <= 1:
        yield Check(WARN, what, f"{_horizon(view)}: what stands far off is not in it")
    if height_m < _LOW_M or height_m > _HIGH_M:
        yield Check(WARN, what, f"{height_m:g} m above the ground: is the ego frame's origin on the ground?")
    if view.unseen_share > _UNSEEN:
        detail = f"{view.unseen_share:.0%} of its rectified picture shows nothing: choose a smaller pinhole_fov_deg"
        yield Check(WARN, what, detail)
    bars = 1 - view.mounted.observed.mean()
    if bars > 0:
        yield Check(INFO, what, f"{bars:.0%} of the network's patches are bars: its pictures have another shape")


def _twins(views: Sequence[CameraView]) -> Iterator[Check]:
    for one, other in itertools.combinations(views, 2):
        what = f"{one.name} and {other.name}"
        if one.config.source and one.config.source == other.config.source:
            yield Check(WARN, what, "have the same source: one of them looks through the other's lens")
        if one.config.ego_from_cam == other.config.ego_from_cam and one.config.pinhole == other.config.pinhole:
            yield Check(WARN, what, "are mounted at one place and look one way: was one copied from the other?")


def _horizon(view: CameraView) -> str:
    if view.horizon is None:
        return "no horizon, it looks straight up or down"
    if 0 <= view.horizon <= 1:
        return f"horizon {view.horizon:.0%} from the top"
    return f"horizon {'above' if (view.horizon < 0) == (abs(view.tilt_deg) < 90) else 'below'} the picture"
