"""What one site decided: speeds and the distances they need, the alert rules, and when a result is too old to use."""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass
from pathlib import Path

from airside.config.strict import checked, load_settings, require
from airside.errors import UsageError
from airside.messages import Level

DISTANCES = ("stop", "slow", "caution")  # nearest first
FACTS = (
    "unknown", "known", "protected", "confirmed", "tentative", "distinct", "faint", "in_path", "entering_path",
    "placed", "unplaced", "lower_middle",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the alert table. It fits what has all the facts in ``when`` and, with ``within``, is nearer than that
    distance of the zone.

    Facts: ``unknown`` or ``known``; ``protected`` (a person; it can raise a level and never lowers one); ``confirmed``
    or ``tentative`` (a track seen 2 of 3 times, or not yet); ``placed`` or ``unplaced`` (a place on the ground is
    known, or not); ``distinct`` or ``faint`` (unknown by the threshold of the site, or only by the path's own, which
    is lower, or a part of a known thing); ``in_path`` (its place reaches into the corridor, ahead or behind);
    ``entering_path`` (its velocity takes it there within ``reaction_s + caution_s``); ``lower_middle`` (unplaced, its
    box reaches the lower middle of the picture, where the path runs).
    """

    level: str  # NONE, NOTICE, CAUTION, SLOW_STOP or STOP
    reason: str  # the code published with the alert
    when: tuple[str, ...]
    within: str = ""  # stop, slow or caution; empty: at any distance

    def __post_init__(self) -> None:
        names = [level.name for level in Level]
        require(self.level in names, f"level: wanted one of {', '.join(names)}, got {self.level!r}")
        require(bool(self.reason), "reason: must not be empty")
        strange = [fact for fact in self.when if fact not in FACTS]
        require(not strange, f"when: no such fact: {', '.join(strange)}; there are {', '.join(FACTS)}")
        resembling = "unknown" in self.when and "protected" in self.when
        require(not resembling, "when: what an unknown thing resembles decides nothing: leave protected out")
        require(
            self.within in ("", *DISTANCES), f"within: wanted {', '.join(DISTANCES)} or nothing, got {self.within!r}"
        )


RULES = (
    Rule("STOP", "unknown_in_stop_distance", ("unknown", "distinct", "confirmed", "in_path"), "stop"),
    Rule("SLOW_STOP", "unknown_in_slow_distance", ("unknown", "distinct", "confirmed", "in_path"), "slow"),
    Rule("CAUTION", "unknown_in_caution_distance", ("unknown", "distinct", "in_path"), "caution"),
    Rule("CAUTION", "unfamiliar_on_path", ("unknown", "faint", "confirmed", "in_path"), "caution"),
    Rule("CAUTION", "unknown_entering_path", ("unknown", "confirmed", "entering_path"), "caution"),
    Rule("CAUTION", "unknown_ahead_range_unknown", ("unknown", "unplaced", "lower_middle")),
    Rule("NOTICE", "unknown_elsewhere", ("unknown",)),
    Rule("NOTICE", "person_in_stop_distance", ("known", "protected", "in_path"), "stop"),
    Rule("NOTICE", "person_ahead_range_unknown", ("known", "protected", "unplaced", "lower_middle")),
    Rule("NONE", "known", ("known",)),
)


@dataclass(frozen=True, slots=True)
class ZoneConfig:
    """A part of the site with its speed limit and the width of the path the vehicle sweeps there."""

    name: str
    speed_kmh: float
    corridor_half_width_m: float = 2.0  # |y| up to here, margin included

    def __post_init__(self) -> None:
        require(bool(self.name), "name: must not be empty")
        for name in ("speed_kmh", "corridor_half_width_m"):
            require(getattr(self, name) > 0, f"{name}: must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """The site's decisions. The distances of the zone the vehicle is in follow from its speed:

    stop = v r + v^2 / (2 hard), slow = v r + v^2 / (2 soft), caution = slow + v c, each at least ``nearest_m``.
    At 25 km/h with the defaults: 15, 27 and 41 m.
    """

    zone: str = "road"  # where the vehicle is now, one of ``zones``; a running engine follows the saved file
    zones: tuple[ZoneConfig, ...] = (ZoneConfig("road", 25.0), ZoneConfig("stand", 6.0))
    reaction_s: float = 1.0
    soft_braking_mps2: float = 1.2  # what a loaded train of dollies can do
    hard_braking_mps2: float = 3.0
    caution_s: float = 2.0  # warning time before the slow distance is reached
    nearest_m: float = 3.0  # no distance is shorter, however slow the zone
    rules: tuple[Rule, ...] = RULES
    hold_ms: int = 1000  # a level outlives its cause by so much; an object looked for and not found, by 1 s at most
    tick_ms: int = 200
    stale_ms: int = 350  # a frame older than this shows nothing any more
    expires_ms: int = 600  # an alert older than this is worth nothing
    bev_every: int = 2  # ticks from one bird's-eye view to the next; in between the last one is shown
    min_patches: float = 4.0  # smaller regions are not reported
    scene_novelty_limit: float = 0.5  # share of the observed patches; beyond it the scene is new, not the objects

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float):
                require(value > 0, f"{field.name}: must be positive, got {value}")
        names = [zone.name for zone in self.zones]
        require(len(set(names)) == len(names), f"zones: names must differ, got {', '.join(names)}")
        require(self.zone in names, f"zone: there is no {self.zone!r} among the zones: {', '.join(names) or 'none'}")
        require(
            self.soft_braking_mps2 < self.hard_braking_mps2,
            "soft_braking_mps2 < hard_braking_mps2 must hold, got "
            f"{self.soft_braking_mps2:g}, {self.hard_braking_mps2:g}",
        )
        require(
            self.expires_ms >= self.tick_ms,
            f"expires_ms: must be at least tick_ms ({self.tick_ms}), got {self.expires_ms}: "
            "an alert would expire before the next one comes",
        )
        require(
            self.stale_ms >= self.tick_ms,
            f"stale_ms: must be at least tick_ms ({self.tick_ms}), got {self.stale_ms}: "
            "a camera as fast as the ticks would be stale",
        )
        require(
            self.scene_novelty_limit <= 1, f"scene_novelty_limit: a share, at most 1, got {self.scene_novelty_limit}"
        )
        self._require_last_rows()

    @property
    def here(self) -> ZoneConfig:
        return next(zone for zone in self.zones if zone.name == self.zone)

    @property
    def corridor_half_width_m(self) -> float:
        return self.here.corridor_half_width_m

    @property
    def speed_mps(self) -> float:
        return self.here.speed_kmh / 3.6

    @property
    def stop_distance_m(self) -> float:
        return self._braked(self.hard_braking_mps2)

    @property
    def slow_distance_m(self) -> float:
        return self._braked(self.soft_braking_mps2)

    @property
    def caution_distance_m(self) -> float:
        return self.slow_distance_m + self.speed_mps * self.caution_s

    def distance_m(self, name: str) -> float:
        """Of :data:`DISTANCES`."""
        return float(getattr(self, f"{name}_distance_m"))

    def _braked(self, braking_mps2: float) -> float:
        v = self.speed_mps
        return max(v * self.reaction_s + v * v / (2 * braking_mps2), self.nearest_m)

    def _require_last_rows(self) -> None:
        """Whatever is seen must meet a row, and what is unknown never reads as nothing."""
        for kind, least in (("unknown", Level.NOTICE), ("known", Level.NONE)):
            last = [rule for rule in self.rules if rule.when == (kind,) and not rule.within]
            require(bool(last), f"rules: a row with when: [{kind}] alone is needed, for what no other row fits")
            of_kind = [rule for rule in self.rules if kind in rule.when]
            low = [rule.reason for rule in of_kind if Level[rule.level] < least]
            require(not low, f"rules: what is {kind} is at least {least.name}; lower: {', '.join(low)}")


def load_site(path: str | Path) -> SiteConfig:
    """The site in the YAML file ``path``; :class:`UsageError` says what is wrong and where."""
    return load_settings(SiteConfig, Path(path))


def site_text(site: SiteConfig) -> str:
    """``site`` as one line of JSON, which a site file may hold as well."""
    return json.dumps(dataclasses.asdict(site), separators=(",", ":"))


def site_from_text(text: str) -> SiteConfig:
    """The site that :func:`site_text` wrote; raises :class:`UsageError` as :func:`load_site`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the site is not valid JSON: {error}") from None
    return typing.cast(SiteConfig, checked(SiteConfig, value, ""))
