"""Objects over time: one id for one thing, two of three to confirm, votes on its name, a fair notion of its speed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from airside.geometry.motion import carried, predicted
from airside.messages import Kind, Observation, Track
from airside.tracking.kalman import corrected
from airside.tracking.tracker import CONFIRM_FAINT_S, LOST_S, UNSEEN_S, Tracker

TICK_NS = 200_000_000


def seen(x_m: float, y_m: float = 0.0, sigma_m: float = 0.3, **changes: Any) -> Observation:
    corners = tuple((x_m + dx, y_m + dy) for dx, dy in ((0, -0.5), (0, 0.5), (1, 0.5), (1, -0.5)))
    plain: dict[str, Any] = {
        "kind": Kind.UNKNOWN, "nearest_class": "cone", "protected": False, "xy_m": np.array([x_m, y_m]),
        "covariance_m2": np.eye(2) * sigma_m**2, "footprint_xy_m": corners, "height_m": 1.0, "similarity": 0.4,
        "ood_score": 0.9, "cameras": ("front",), "sightings": (0,),
    }  # fmt: skip
    return Observation(**(plain | changes))


def everywhere(places: np.ndarray) -> np.ndarray:
    return np.ones(len(places), bool)


def nowhere(places: np.ndarray) -> np.ndarray:
    return np.zeros(len(places), bool)


class Drive:
    """Ticks of 0.2 s."""

    def __init__(self) -> None:
        self.tracker, self.now_ns = Tracker(), 0

    def tick(self, *observations: Observation, looked_at: Any = everywhere) -> tuple[Track, ...]:
        self.now_ns += TICK_NS
        tracks, ids = self.tracker.update(observations, self.now_ns, looked_at)
        assert len(ids) == len(observations)
        assert set(ids) <= {None, *(track.id for track in tracks)}
        return tracks


def test_an_approaching_thing_is_one_track_with_its_speed() -> None:
    drive, rng, found = Drive(), np.random.default_rng(0), []
    for k in range(25):
        at = 50 - 1.4 * k
        (track,) = drive.tick(seen(at + rng.normal(0, 0.2), rng.normal(0, 0.1)))
        found.append(track)
        assert track.confirmed is (k >= 1)
    assert {track.id for track in found} == {1}
    last = found[-1]
    np.testing.assert_allclose(last.state, [50 - 1.4 * 24, 0, -7.0, 0], atol=0.5)
    assert (last.first_ns, last.seen_ns, last.cameras) == (TICK_NS, drive.now_ns, ("front",))
    assert np.isfinite(last.covariance).all()
    assert (np.linalg.eigvalsh(last.covariance) > 0).all()
    xs = [x for x, _ in last.footprint_xy_m]
    assert min(xs) == pytest.approx(last.state[0])  # the shape moves with the near side
    assert max(xs) - min(xs) == pytest.approx(1.0)


def test_two_of_three_confirm_and_one_flash_is_gone() -> None:
    drive = Drive()
    assert [t.confirmed for t in drive.tick(seen(20))] == [False]
    drive.tick()
    assert [t.confirmed for t in drive.tick(seen(20))] == [True]
    drive = Drive()
    drive.tick(seen(20))
    assert [len(drive.tick()) for _ in range(4)] == [1, 1, 0, 0]


@pytest.mark.parametrize("every", [1, 2])  # also where it is looked for in every second tick only
def test_what_is_faint_must_last_and_what_is_distinct_need_not(every: int) -> None:
    drive, confirmed = Drive(), []
    for k in range(7):
        (track,) = drive.tick(*([seen(20, faint=True)] if k % every == 0 else []))
        confirmed.append(track.confirmed)
    assert confirmed.index(True) * 0.2 == pytest.approx(CONFIRM_FAINT_S if every == 1 else CONFIRM_FAINT_S + 0.2)
    assert all(confirmed[confirmed.index(True) :])
    drive = Drive()
    drive.tick(seen(20, faint=True))
    assert [t.confirmed for t in drive.tick(seen(20))] == [True]


def test_a_confirmed_thing_outlives_gaps_and_longer_where_nobody_looks() -> None:
    for looked_at, faint, limit_s in (
        (everywhere, False, LOST_S),
        (nowhere, False, UNSEEN_S),
        (everywhere, True, LOST_S),
        (nowhere, True, LOST_S),  # what was never more than unfamiliar is not carried on behind the vehicle
    ):
        drive = Drive()
        for _ in range(12):  # until its speed is known well
            drive.tick(seen(20, faint=faint))
        lives = 0
        while any(track.cameras == () for track in drive.tick(looked_at=looked_at)):
            lives += 1
        assert lives * 0.2 == pytest.approx(limit_s, abs=0.11)


def test_near_things_keep_their_ids_and_far_ones_begin_anew() -> None:
    drive = Drive()
    for k in range(8):
        tracks = drive.tick(seen(20 - k, -2), seen(20 - k, 2))
    assert {track.id: np.sign(track.state[1]) for track in tracks} == {1: -1, 2: 1}
    more = drive.tick(seen(12, -2), seen(12, 2), seen(30, 0))
    assert [track.id for track in more] == [1, 2, 3]


def test_a_new_thing_starts_with_the_speed_of_the_others() -> None:
    drive = Drive()
    for k in range(15):
        drive.tick(seen(60 - 1.4 * k, 5))
    tracks = drive.tick(seen(60 - 1.4 * 15, 5), seen(25, 0))
    assert tracks[-1].state[2] == pytest.approx(-7.0, abs=0.7)
    assert [track.id for track in drive.tick(seen(60 - 1.4 * 16, 5), seen(23.6, 0))] == [1, 2]


def test_votes_decide_the_name_and_a_new_bank_wipes_them() -> None:
    def named(name: str) -> Observation:
        return seen(10, kind=Kind.KNOWN, nearest_class=name, protected=name == "person")

    drive = Drive()
    for _ in range(5):
        drive.tick(seen(10))
    assert [t.name for t in drive.tick(named("tug"))] == ["unknown"]
    assert [t.name for t in drive.tick(named("tug"))] == ["unknown"]
    assert [t.name for t in drive.tick(named("tug"))] == ["tug"]
    (track,) = drive.tick(named("person"))
    assert (track.name, track.protected) == ("tug", False)
    drive = Drive()
    for _ in range(5):
        drive.tick(seen(10))
    drive.tracker.forget_names()
    (track,) = drive.tick(named("person"))
    assert (track.id, track.name, track.protected) == (1, "person", True)  # the same thing, known at once


def test_a_known_thing_that_once_looked_unfamiliar_is_known() -> None:
    drive = Drive()
    drive.tick(seen(20, kind=Kind.KNOWN))
    (track,) = drive.tick(seen(20, faint=True))
    assert (track.kind, track.faint) == (Kind.KNOWN, False)
    (track,) = drive.tick(seen(20, faint=True))  # two of three: unknown, and no more than unfamiliar
    assert (track.kind, track.faint) == (Kind.UNKNOWN, True)
    (track,) = drive.tick(seen(20))
    assert (track.kind, track.faint) == (Kind.UNKNOWN, False)


def test_what_begins_nothing_continues_what_is_unknown() -> None:
    drive = Drive()
    assert drive.tick(seen(6, faint=True, begins=False)) == ()
    for x_m in (12, 11, 10):
        drive.tick(seen(x_m))
    for x_m in range(9, 2, -1):
        (track,) = drive.tick(seen(x_m, faint=True, begins=False))
    assert (track.id, track.seen_ns, track.faint) == (1, drive.now_ns, True)
    drive = Drive()
    drive.tick(seen(10, kind=Kind.KNOWN))
    (track,) = drive.tick(seen(10, faint=True, begins=False))
    assert (track.kind, track.seen_ns) == (Kind.KNOWN, drive.now_ns - TICK_NS)


def test_what_only_the_old_bank_saw_is_gone_at_once() -> None:
    for looked_at, left in ((everywhere, 1), (nowhere, 2)):
        drive = Drive()
        for _ in range(5):
            drive.tick(seen(10), seen(30))
        drive.tracker.forget_names()
        assert len(drive.tick(seen(10), looked_at=looked_at)) == left


def test_an_even_vote_is_unknown() -> None:
    drive = Drive()
    drive.tick(seen(10, kind=Kind.KNOWN, nearest_class="tug"))
    assert [t.name for t in drive.tick(seen(10))] == ["unknown"]


def test_each_observation_has_a_track_of_its_own() -> None:
    drive = Drive()
    drive.tick(seen(10))
    tracks, ids = drive.tracker.update([seen(10), seen(10.1), seen(10.2)], drive.now_ns + TICK_NS, everywhere)
    assert len(set(ids)) == len(tracks) == 3


def test_the_same_ticks_give_the_same_tracks() -> None:
    def run() -> list[bytes]:
        drive, rng = Drive(), np.random.default_rng(3)
        told = []
        for _ in range(30):
            count = int(rng.integers(0, 6))
            tracks = drive.tick(*(seen(*rng.uniform((5, -8), (40, 8))) for _ in range(count)))
            told.append(b"".join(t.state.tobytes() + t.covariance.tobytes() for t in tracks))
        return told

    assert run() == run()


def test_the_filter_is_the_least_squares_line_where_nothing_pushes() -> None:
    """Without acceleration and with a vague start it must agree with a straight line fitted to all positions."""
    rng = np.random.default_rng(1)
    times = np.arange(12) * 0.2
    truth = np.stack([30 - 6.5 * times, 1 + 0.4 * times], axis=1)
    measured = truth + rng.normal(0, 0.3, truth.shape)
    state, covariance = np.array([*measured[0], 0, 0]), np.diag([0.09, 0.09, 1e6, 1e6])
    for k in range(1, 12):
        state, covariance = predicted(state, covariance, 0.2, 0.0)
        state, covariance = corrected(state, covariance, measured[k], np.eye(2) * 0.09)
    for axis in range(2):
        slope, start = np.polyfit(times, measured[:, axis], 1)
        assert state[axis] == pytest.approx(start + slope * times[-1], abs=1e-3)
        assert state[2 + axis] == pytest.approx(slope, abs=1e-3)


def test_carrying_on_is_a_prediction() -> None:
    drive = Drive()
    for k in range(10):
        (track,) = drive.tick(seen(30 - 1.4 * k))
    later = carried(track, 0.1)
    assert later.state[0] == pytest.approx(track.state[0] + 0.1 * track.state[2])
    assert np.trace(later.covariance) > np.trace(track.covariance)
    assert (later.cameras, later.id, later.confirmed) == ((), track.id, True)
    moved = np.array(later.footprint_xy_m) - np.array(track.footprint_xy_m)
    np.testing.assert_allclose(moved, np.tile(later.state[:2] - track.state[:2], (4, 1)))
