"""The same object from tick to tick: gated nearest-neighbour assignment, 2 of 3 to confirm, votes on what it is.

What is faint must last as well: most of what is not there goes as it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from airside.geometry.motion import carried, shifted
from airside.geometry.uncertainty import GATE2, mahalanobis2
from airside.messages import Footprint, Kind, Observation, Track
from airside.tracking.kalman import corrected

SPEED_MPS = 5.0  # one sigma of a new object's velocity around that of the others
SHAPE_M = 0.5  # one sigma by which the near side of the same thing moves with the view
CONFIRM_OF = 3
CONFIRM_HITS = 2
CONFIRM_FAINT_S = 1.0  # and what only the path's threshold tells of must have been there for so long
VOTES = 5  # newest observations that decide what an object is
LOST_S = 1.0  # a confirmed object is carried on so long where one looks and does not see it
UNSEEN_S = 3.0  # and so long where nobody looks, unless only the path's threshold ever told of it
LOST_TENTATIVE_S = 0.45
FURTHEST_SIGMA_M = 8.0  # a place known no better than this is none


@dataclass(frozen=True, slots=True)
class _Vote:
    kind: Kind
    nearest_class: str
    protected: bool
    faint: bool


@dataclass(frozen=True, slots=True)
class _Live:
    """A track and what the tracker remembers of it. ``shape`` is its footprint relative to its near side."""

    track: Track
    hits: tuple[bool, ...]
    votes: tuple[_Vote, ...]
    shape: Footprint


class Tracker:
    """Holds the live tracks. Times are those of the ticks; positions are in the ego frame, which moves: a thing that
    stands still comes nearer at the vehicle's speed, so a new object starts with the median velocity of the others."""

    def __init__(self) -> None:
        self._live: tuple[_Live, ...] = ()
        self._next_id = 1
        self._now_ns: int | None = None

    def update(
        self, observations: Sequence[Observation], now_ns: int, looked_at: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[tuple[Track, ...], tuple[int | None, ...]]:
        """All tracks at ``now_ns``, and for each observation the id of its track, ``None`` where it begins none.

        ``looked_at`` tells of places [K, 2] in ego metres whether a camera saw them in this tick [K] bool: where nobody
        looks a track lives longer.
        """
        dt_s = 0.0 if self._now_ns is None else max(now_ns - self._now_ns, 0) / 1e9
        self._now_ns = now_ns
        live = [_carried(item, dt_s) for item in self._live]
        pairs = _assigned([item.track for item in live], observations)
        drift = self._drift()
        kept: list[_Live] = []
        seen = looked_at(np.array([item.track.state[:2] for item in live]).reshape(-1, 2))
        for number, item in enumerate(live):
            found = pairs.get(number)
            item = _met(item, observations[found], now_ns) if found is not None else _missed(item)
            if found is not None or not _is_lost(item, now_ns, bool(seen[number])):
                kept.append(item)
        ids = {found: live[number].track.id for number, found in pairs.items()}
        for index, observation in enumerate(observations):
            if index not in ids and observation.begins:
                kept.append(_born(observation, self._next_id, now_ns, drift))
                ids[index] = self._next_id
                self._next_id += 1
        self._live = tuple(kept)
        return tuple(item.track for item in kept), tuple(ids.get(index) for index in range(len(observations)))

    def forget_names(self) -> None:
        """A new bank snapshot: what an object was taken for counts no more. The next observation decides; one that is
        not seen again where a camera looks was an object to the old bank only."""
        self._live = tuple(replace(item, votes=()) for item in self._live)

    def _drift(self) -> np.ndarray:
        moving = [item.track.state[2:] for item in self._live if item.track.confirmed]
        return np.median(moving, axis=0) if moving else np.zeros(2)


def _carried(item: _Live, dt_s: float) -> _Live:
    return replace(item, track=carried(item.track, dt_s))


def _assigned(tracks: Sequence[Track], observations: Sequence[Observation]) -> dict[int, int]:
    """Track number -> observation number: the nearest pairs first, each once, none beyond the gate."""
    if not tracks or not observations:
        return {}
    apart = np.stack([o.xy_m for o in observations]) - np.stack([t.state[:2] for t in tracks])[:, None]
    spread = np.stack([o.covariance_m2 for o in observations]) + np.eye(2) * SHAPE_M**2
    far2 = mahalanobis2(apart, spread + np.stack([t.covariance[:2, :2] for t in tracks])[:, None])
    unknown, begins = np.array([t.kind is Kind.UNKNOWN for t in tracks]), np.array([o.begins for o in observations])
    near = np.argwhere((far2 < GATE2) & (unknown[:, None] | begins))
    pairs = near[np.argsort(far2[tuple(near.T)], kind="stable")].tolist()
    chosen: dict[int, int] = {}
    taken: set[int] = set()
    for number, index in pairs:
        if number not in chosen and index not in taken:
            chosen[number] = index
            taken.add(index)
    return chosen


def _met(item: _Live, seen: Observation, now_ns: int) -> _Live:
    noise = seen.covariance_m2 + np.eye(2) * SHAPE_M**2
    state, covariance = corrected(item.track.state, item.track.covariance, seen.xy_m, noise)
    hits = (*item.hits, True)[-CONFIRM_OF:]
    votes = (*item.votes, _vote(seen))[-VOTES:]
    shape = shifted(seen.footprint_xy_m, -seen.xy_m)
    kind, nearest, protected = _elected(votes)
    faint = kind is Kind.UNKNOWN and not _distinct(votes)
    lasted = not faint or now_ns - item.track.first_ns >= round(CONFIRM_FAINT_S * 1e9)
    track = replace(
        item.track,
        kind=kind,
        nearest_class=nearest,
        protected=protected,
        confirmed=item.track.confirmed or (sum(hits) >= CONFIRM_HITS and lasted),
        state=state,
        covariance=covariance,
        footprint_xy_m=shifted(shape, state[:2]),
        height_m=seen.height_m,
        similarity=seen.similarity,
        ood_score=seen.ood_score,
        cameras=seen.cameras,
        seen_ns=now_ns,
        faint=faint,
    )
    return _Live(track, hits, votes, shape)


def _missed(item: _Live) -> _Live:
    return replace(item, hits=(*item.hits, False)[-CONFIRM_OF:])


def _born(seen: Observation, number: int, now_ns: int, drift_mps: np.ndarray) -> _Live:
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = seen.covariance_m2 + np.eye(2) * SHAPE_M**2
    covariance[2:, 2:] = np.eye(2) * SPEED_MPS**2
    track = Track(
        id=number,
        kind=seen.kind,
        nearest_class=seen.nearest_class,
        protected=seen.protected,
        confirmed=False,
        state=np.concatenate([seen.xy_m, drift_mps]),
        covariance=covariance,
        footprint_xy_m=seen.footprint_xy_m,
        height_m=seen.height_m,
        similarity=seen.similarity,
        ood_score=seen.ood_score,
        cameras=seen.cameras,
        first_ns=now_ns,
        seen_ns=now_ns,
        faint=seen.faint,
    )
    return _Live(track, (True,), (_vote(seen),), shifted(seen.footprint_xy_m, -seen.xy_m))


def _vote(seen: Observation) -> _Vote:
    return _Vote(seen.kind, seen.nearest_class, seen.protected, seen.faint)


def _elected(votes: Sequence[_Vote]) -> tuple[Kind, str, bool]:
    """What most of the newest observations say; a tie is unknown where one of them is more than faint, and of equal
    names the newest wins."""
    unknown = sum(vote.kind is Kind.UNKNOWN for vote in votes)
    wins = 2 * unknown >= len(votes) if _distinct(votes) else 2 * unknown > len(votes)
    kind = Kind.UNKNOWN if wins else Kind.KNOWN
    names = Counter(vote.nearest_class for vote in votes if vote.kind is kind)
    best = max(names.values())
    chosen = next(v for v in reversed(votes) if v.kind is kind and names[v.nearest_class] == best)
    return kind, chosen.nearest_class, chosen.protected


def _distinct(votes: Sequence[_Vote]) -> bool:
    """Whether one of them says unknown by the site's own threshold."""
    return any(vote.kind is Kind.UNKNOWN and not vote.faint for vote in votes)


def _is_lost(item: _Live, now_ns: int, looked_at: bool) -> bool:
    track = item.track
    if looked_at and not item.votes:
        return True
    limit_s = (LOST_S if track.confirmed else LOST_TENTATIVE_S) if looked_at or track.faint else UNSEEN_S
    too_vague = float(np.trace(track.covariance[:2, :2])) > FURTHEST_SIGMA_M**2
    return too_vague or (now_ns - track.seen_ns) / 1e9 > limit_s
