"""What to do about what is seen: one table, read from the top, the first row that fits decides.

Distances are the site's (:class:`airside.config.SiteConfig`); a row names the setting it uses.
"""

from __future__ import annotations

from dataclasses import dataclass

from airside.config import SiteConfig
from airside.messages import Box, Kind, Level, Placement

# The lower middle of the picture: where the path runs when no rig tells. Shares of width and height.
LOWER_MIDDLE_LEFT = 1 / 3
LOWER_MIDDLE_RIGHT = 2 / 3
LOWER_MIDDLE_TOP = 2 / 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. ``None`` in a condition means: does not matter."""

    name: str
    reason: str  # the code published with the alert
    level: Level
    kind: Kind
    protected: bool | None = None  # the nearest class is protected (a person); asked of known things only
    ranged: bool | None = None  # a place on the ground is known
    in_corridor: bool | None = None  # that place lies within the path, ahead or behind
    within: str | None = None  # the SiteConfig distance the range must not exceed
    in_lower_middle: bool | None = None  # the box reaches the lower middle of the picture


RULES: tuple[Rule, ...] = (
    Rule("unknown, path, stop distance", "unknown_in_stop_distance", Level.STOP, Kind.UNKNOWN,
         ranged=True, in_corridor=True, within="stop_distance_m"),
    Rule("unknown, path, slow distance", "unknown_in_slow_distance", Level.SLOW_STOP, Kind.UNKNOWN,
         ranged=True, in_corridor=True, within="slow_distance_m"),
    Rule("unknown, path, caution distance", "unknown_in_caution_distance", Level.CAUTION, Kind.UNKNOWN,
         ranged=True, in_corridor=True, within="caution_distance_m"),
    Rule("unknown, no range, lower middle", "unknown_ahead_range_unknown", Level.CAUTION, Kind.UNKNOWN,
         ranged=False, in_lower_middle=True),
    Rule("unknown, anywhere else", "unknown_elsewhere", Level.NOTICE, Kind.UNKNOWN),
    Rule("person, path, stop distance", "person_in_stop_distance", Level.NOTICE, Kind.KNOWN,
         protected=True, ranged=True, in_corridor=True, within="stop_distance_m"),
    Rule("person, no range, lower middle", "person_ahead_range_unknown", Level.NOTICE, Kind.KNOWN,
         protected=True, ranged=False, in_lower_middle=True),
    Rule("known, anything else", "known", Level.NONE, Kind.KNOWN),
)  # fmt: skip


def level_for(
    kind: Kind, protected: bool, placement: Placement | None, in_lower_middle: bool, site: SiteConfig
) -> tuple[Level, tuple[str, ...]]:
    """The level of one region and the reason codes for it.

    ``protected`` is that of the nearest class: it can raise the level of a known thing and never lowers any.
    ``placement`` is ``None`` where no range is known; then :func:`reaches_lower_middle` stands in for the path.
    """
    for rule in RULES:
        if _fits(rule, kind, protected, placement, in_lower_middle, site):
            return rule.level, (rule.reason,)
    raise AssertionError(f"the rule table has no row for {kind}")  # a test goes through every combination


def reaches_lower_middle(box_px: Box, width: int, height: int) -> bool:
    """Whether ``box_px`` reaches the middle third of the lowest third of a picture of ``width`` x ``height`` px."""
    x0, _, x1, y1 = box_px
    return x1 > width * LOWER_MIDDLE_LEFT and x0 < width * LOWER_MIDDLE_RIGHT and y1 > height * LOWER_MIDDLE_TOP


def _fits(
    rule: Rule, kind: Kind, protected: bool, placement: Placement | None, in_lower_middle: bool, site: SiteConfig
) -> bool:
    # The path counts behind the vehicle too: which way it will move is not known here.
    in_corridor = placement is not None and abs(placement.xyz_ego_m[1]) <= site.corridor_half_width_m
    facts = (
        (rule.protected, protected),
        (rule.ranged, placement is not None),
        (rule.in_corridor, in_corridor),
        (rule.in_lower_middle, in_lower_middle),
    )
    if rule.kind is not kind or any(wanted is not None and wanted != fact for wanted, fact in facts):
        return False
    if rule.within is None:
        return True
    limit_m: float = getattr(site, rule.within)
    return placement is not None and placement.range_m <= limit_m
