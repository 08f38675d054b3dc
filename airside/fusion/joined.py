"""One object, whatever number of cameras it is seen by: sightings -> observations in the ego frame."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from airside.fusion.parts import parts_of_known
from airside.geometry.motion import shifted
from airside.geometry.uncertainty import GATE2, mahalanobis2
from airside.messages import Kind, Observation, Placement, Sighting

SHAPE_M = 0.5  # one sigma by which two cameras see different near sides of the same thing
FURTHEST_M, FURTHEST_SHARE = 2.0, 0.2  # two places further apart than this, or this share of the range, are two things
PART = 1 / 3  # of a known thing's width: what is narrower, and unknown to another camera, is another thing


def joined(sightings: Sequence[Sighting], protected: Collection[str]) -> tuple[Observation, ...]:
    """The placed ones among ``sightings`` as objects. ``protected`` names the bank's protected classes.

    Sightings of different cameras within each other's uncertainty are one object, the largest first; its place is their
    mean weighted by what each is known to err, and what it is, the camera says that sees it largest. Two regions of one
    picture are never one object: there they were told apart. Nor is what one camera finds unknown, and more than faint,
    a known thing that another camera shows much wider: an aircraft must not swallow the drum before its wheel. What
    :mod:`airside.fusion.parts` finds to be a part of a known thing is faint, however strange.
    """
    placed = [index for index, sighting in enumerate(sightings) if sighting.placement is not None]
    placed.sort(key=lambda index: -sightings[index].region.patches)
    far2 = _distances2([_place(sightings[index]) for index in placed])
    groups: list[list[int]] = []  # of numbers in ``placed``
    for number, index in enumerate(placed):
        seen = sightings[index]
        possible = [
            group for group in groups
            if seen.camera not in {sightings[placed[k]].camera for k in group}
            and not _much_smaller(seen, sightings[placed[group[0]]])
            and not _much_smaller(sightings[placed[group[0]]], seen)
        ]  # fmt: skip
        best = min(possible, key=lambda group: far2[group[0], number], default=None)
        if best is not None and far2[best[0], number] < GATE2:
            best.append(number)
        else:
            groups.append([number])
    faint = {k for k in placed if sightings[k].region.faint} | parts_of_known(sightings)
    return tuple(_observation(sightings, [placed[k] for k in group], faint, protected) for group in groups)


def _distances2(places: Sequence[Placement]) -> np.ndarray:
    """[n, n] squared Mahalanobis distances of each (second) from each (first); infinite where they cannot be one."""
    xy_m = np.array([place.xyz_ego_m[:2] for place in places]).reshape(-1, 2)
    covariance = np.array([_covariance(place) for place in places]).reshape(-1, 2, 2)
    furthest_m = np.array([max(FURTHEST_M, FURTHEST_SHARE * place.range_m) for place in places])
    apart = xy_m - xy_m[:, None]
    far2 = mahalanobis2(apart, covariance[:, None] + covariance + np.eye(2) * SHAPE_M**2)
    return np.where(np.hypot(apart[..., 0], apart[..., 1]) > furthest_m[:, None], np.inf, far2)


def _much_smaller(odd: Sighting, known: Sighting) -> bool:
    unknown = odd.region.kind is Kind.UNKNOWN and not odd.region.faint
    thing = known.region.kind is Kind.KNOWN
    return unknown and thing and _width_m(_place(odd)) < PART * _width_m(_place(known))


def _width_m(place: Placement) -> float:
    """Of the footprint, across the line of sight; 0 where it is not told."""
    corners = np.array(place.footprint_xy_m).reshape(-1, 2)
    if len(corners) == 0:
        return 0.0
    across = corners @ (-np.sin(place.bearing_rad), np.cos(place.bearing_rad))
    return float(across.max() - across.min())


def _observation(
    sightings: Sequence[Sighting], group: Sequence[int], faint: Collection[int], protected: Collection[str]
) -> Observation:
    largest = sightings[group[0]]
    unknown = [k for k in group if sightings[k].region.kind is Kind.UNKNOWN]
    places = [_place(sightings[k]) for k in group]
    weights = [np.linalg.inv(_covariance(place)) for place in places]
    covariance = np.linalg.inv(sum(weights))
    xy = covariance @ sum(w @ np.array(place.xyz_ego_m[:2]) for w, place in zip(weights, places, strict=True))
    move = xy - places[0].xyz_ego_m[:2]
    return Observation(
        kind=largest.region.kind,
        nearest_class=largest.region.nearest_class,
        protected=largest.region.nearest_class in protected,
        xy_m=xy,
        covariance_m2=covariance,
        footprint_xy_m=shifted(places[0].footprint_xy_m, move),
        height_m=places[0].height_m,
        similarity=largest.region.similarity,
        ood_score=max(sightings[k].region.ood_score for k in group),
        cameras=tuple(sightings[k].camera for k in group),
        sightings=tuple(group),
        faint=largest.region.kind is Kind.UNKNOWN and all(k in faint for k in unknown),
        begins=any(sightings[k].region.begins for k in group),
    )


def _place(sighting: Sighting) -> Placement:
    assert sighting.placement is not None
    return sighting.placement


def _covariance(place: Placement) -> np.ndarray:
    """[2, 2] float64, never singular."""
    xx, xy, yy = place.covariance_m2
    return np.array([[xx, xy], [xy, yy]]) + np.eye(2) * 1e-4
