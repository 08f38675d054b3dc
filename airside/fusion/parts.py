"""Unknown regions that are a part of a known thing, or stand behind one: told by where they lie in its picture."""

from __future__ import annotations

from collections.abc import Sequence

from airside.messages import Box, Kind, Sighting

INSIDE = 0.9  # of the unknown region's box lies in that of the known thing
NEARER = 0.10  # of the range, one sigma of a depth network: what is nearer by more stands before the known thing
WIDTH = 0.2  # of the known thing's: a cone before a bus is a cone, whatever surrounds it


def parts_of_known(sightings: Sequence[Sighting]) -> frozenset[int]:
    """Numbers of the placed unknown ones among ``sightings`` that a known thing of the same picture surrounds, that
    are no larger, end higher in the picture than it does and are not clearly nearer: whoever drives there meets the
    known thing first.

    A stair truck's box in fog is one. A drum before a truck is none, for its foot is the lower one.
    """
    placed = [(number, seen) for number, seen in enumerate(sightings) if seen.placement is not None]
    known = [seen for _, seen in placed if seen.region.kind is Kind.KNOWN]
    return frozenset(
        number
        for number, seen in placed
        if seen.region.kind is Kind.UNKNOWN and any(_is_part(seen, thing) for thing in known)
    )


def _is_part(odd: Sighting, thing: Sighting) -> bool:
    assert odd.placement is not None
    assert thing.placement is not None
    odd_left, _, odd_right, odd_foot = odd.region.box_px
    left, _, right, foot = thing.region.box_px
    return (
        odd.camera == thing.camera
        and odd_foot < foot  # both may be cut off by the picture's end: then nothing is told by them
        and odd.region.patches <= thing.region.patches
        and odd_right - odd_left >= WIDTH * (right - left)
        and thing.placement.range_m <= (1 + NEARER) * odd.placement.range_m
        and _share_inside(odd.region.box_px, thing.region.box_px) >= INSIDE
    )


def _share_inside(box: Box, other: Box) -> float:
    """The share of ``box`` that lies in ``other``."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0.0) * max(height, 0.0) / max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
