"""What to do about what is seen: the site's table, read from the top; the first row that fits decides."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from airside.config import SiteConfig
from airside.messages import Box, Kind, Level, Sighting, Track

# The lower middle of the picture: where the path runs when no rig tells. Shares of width and height.
LOWER_MIDDLE_LEFT = 1 / 3
LOWER_MIDDLE_RIGHT = 2 / 3
LOWER_MIDDLE_TOP = 2 / 3
MOVING_MPS = 0.5  # sideways; slower is standing still, seen from a vehicle that steers a little
MOVING_SIGMA = 2.0  # and so many standard deviations of the velocity from none

Verdict = tuple[Level, tuple[str, ...]]


def level_of_track(track: Track, site: SiteConfig) -> Verdict:
    """The level of one tracked object, and the reason code for it."""
    facts = {track.kind.value, "placed", "confirmed" if track.confirmed else "tentative"}
    facts.add("faint" if track.faint else "distinct")
    facts |= {name for name, holds in _track_facts(track, site) if holds}
    return _first_row(facts, nearest_m(track.state[:2], track.covariance[:2, :2]), site)


def level_of_sighting(sighting: Sighting, protected: bool, size: tuple[int, int], site: SiteConfig) -> Verdict:
    """The level of a region that has no place on the ground, in a picture of ``size`` (width, height) px."""
    facts = {sighting.region.kind.value, "unplaced", "tentative", "distinct"}
    if protected and sighting.region.kind is Kind.KNOWN:
        facts.add("protected")
    if reaches_lower_middle(sighting.region.box_px, *size):
        facts.add("lower_middle")
    return _first_row(facts, None, site)


def nearest_m(xy_m: np.ndarray, covariance_m2: np.ndarray) -> float:
    """The range of a place [2], less one sigma [2, 2] along the line of sight: distances are kept by what may be."""
    range_m = max(float(np.hypot(*xy_m)), 1e-6)
    axis = xy_m / range_m
    return max(range_m - math.sqrt(axis @ covariance_m2 @ axis), 0.0)


def reaches_lower_middle(box_px: Box, width: int, height: int) -> bool:
    """Whether ``box_px`` reaches the middle third of the lowest third of a picture of ``width`` x ``height`` px."""
    x0, _, x1, y1 = box_px
    return x1 > width * LOWER_MIDDLE_LEFT and x0 < width * LOWER_MIDDLE_RIGHT and y1 > height * LOWER_MIDDLE_TOP


def _track_facts(track: Track, site: SiteConfig) -> Iterator[tuple[str, bool]]:
    half_m = site.corridor_half_width_m
    ys = [float(track.state[1]), *(y for _, y in track.footprint_xy_m)]
    low, high = min(ys), max(ys)
    in_path = low <= half_m and high >= -half_m  # behind is path too: which way the vehicle will move is not known here
    vy = float(track.state[3])
    moving = abs(vy) > max(MOVING_MPS, MOVING_SIGMA * float(track.covariance[3, 3]) ** 0.5)
    swept = vy * (site.reaction_s + site.caution_s)
    enters = low + min(swept, 0.0) <= half_m and high + max(swept, 0.0) >= -half_m
    yield "protected", track.protected and track.kind is Kind.KNOWN
    yield "in_path", in_path
    yield "entering_path", moving and enters and not in_path


def _first_row(facts: set[str], range_m: float | None, site: SiteConfig) -> Verdict:
    for rule in site.rules:
        near = not rule.within or (range_m is not None and range_m <= site.distance_m(rule.within))
        if near and facts.issuperset(rule.when):
            return Level[rule.level], (rule.reason,)
    raise AssertionError(f"the rule table has no row for {sorted(facts)}")  # SiteConfig refuses such a table
