"""Which drives there are, in the order in which they are rendered: what is wanted first comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

from training.apron.families import UNKNOWN
from training.apron.frames import model_of
from training.apron_drives import MOVERS, DrivePlan

RIGS = Path(__file__).parent.parent.parent / "configs" / "rigs"
LARGE_M = 1.5  # of the largest side: the size classes of the aims
FAST_KMH, SLOW_KMH = 25.0, 10.0
CLEAN_DRIVES, CLEAN_FIRST, CLEAN_S = 120, 20, 30.0  # an hour; its first ten minutes; of one drive
_CLEAN_WEATHER = (
    "day", "night", "wet", "overcast", "day", "low_sun", "fog", "night", "wet", "snow", "day", "spray",
)  # fmt: skip


def largest_m(family: str) -> float:
    """The largest side of the unknown type's fixed model."""
    return max(model_of(family).size_m)


def quick_plans() -> list[DrivePlan]:
    """One drive of each kind, and one by night: they are drives of the full plan too."""
    large = _by_size()[0]
    return [
        DrivePlan("approach", 3, "day", FAST_KMH, "apron6", large[3]),
        DrivePlan("approach", 200, "night", FAST_KMH, "apron6", large[0]),
        DrivePlan("crossing", 0, "day", FAST_KMH, "apron6", MOVERS[0]),
        DrivePlan("parked", 0, "wet", FAST_KMH, "apron6", "portable_generator"),
        DrivePlan("stand", 0, "day", SLOW_KMH, "apron6", "hand_cart"),
        clean_plan(0),
    ]


def all_plans() -> list[DrivePlan]:
    """The full plan, each drive once: the quick ones, approaches by day, ten minutes of clean drives, the rest."""
    large, small = _by_size()
    order = [
        quick_plans(),
        _approaches(0, 22, "day", large),
        _approaches(100, 12, "day", small),
        [clean_plan(k) for k in range(CLEAN_FIRST)],
        _mixed(200, 12, "night", large, small),
        _mixed(300, 12, "wet", large, small),
        _passing("crossing", 0, 8, ("day", "night", "wet", "day"), MOVERS),
        _passing("parked", 0, 12, ("wet", "day", "night", "day"), ("portable_generator", *sorted(UNKNOWN))),
        _passing("stand", 0, 9, ("day", "night", "wet"), ("hand_cart", *small, *large)),
        _approaches(400, 6, "day", large, rig="apron8"),
        _passing("parked", 400, 2, ("day", "wet"), large, rig="apron8"),
        _passing("stand", 400, 2, ("day", "night"), small, rig="apron8"),
        _mixed(500, 4, "fog", large, small),
        _mixed(510, 4, "snow", large, small),
        [clean_plan(k) for k in range(CLEAN_FIRST, CLEAN_DRIVES)],
    ]
    return _once(plan for part in order for plan in part)


def clean_plan(number: int) -> DrivePlan:
    """Every kind of weather in turn, quick and slow; every thirtieth with eight cameras."""
    return DrivePlan(
        "clean",
        number,
        _CLEAN_WEATHER[number % len(_CLEAN_WEATHER)],
        SLOW_KMH if number % 2 == 0 else FAST_KMH,
        "apron8" if number % 30 == 29 else "apron6",
        duration_s=CLEAN_S,
    )


def _by_size() -> tuple[list[str], list[str]]:
    """The unknown types of at least :data:`LARGE_M`, and the smaller ones."""
    names = sorted(UNKNOWN)
    sizes = {name: largest_m(name) for name in names}
    return [n for n in names if sizes[n] >= LARGE_M], [n for n in names if sizes[n] < LARGE_M]


def _approaches(
    first: int, count: int, condition: str, families: Sequence[str], rig: str = "apron6"
) -> list[DrivePlan]:
    return [
        DrivePlan("approach", first + k, condition, FAST_KMH, rig, family)
        for k, family in enumerate(islice(cycle(families), count))
    ]


def _mixed(first: int, count: int, condition: str, large: Sequence[str], small: Sequence[str]) -> list[DrivePlan]:
    """Two large ones to one small one."""
    both = [name for pair in zip(cycle(large), large[1:] + large[:1], small, strict=False) for name in pair]
    return _approaches(first, count, condition, both)


def _passing(
    kind: str, first: int, count: int, weather: Sequence[str], families: Sequence[str], rig: str = "apron6"
) -> list[DrivePlan]:
    """Stands slowly; crossings and passings quick and slow in turn."""
    return [
        DrivePlan(kind, first + k, condition, SLOW_KMH if kind == "stand" or k % 2 else FAST_KMH, rig, family)
        for k, (condition, family) in enumerate(islice(zip(cycle(weather), cycle(families)), count))
    ]


def _once(plans: Iterable[DrivePlan]) -> list[DrivePlan]:
    return list(dict.fromkeys(plans))
