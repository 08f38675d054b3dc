"""Pictures a bank is asked about, each pixel named: of a labelled data set, or development frames of the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airside.engine.bundle import Manifest
from prototypes.labelled import UNLABELLED, LabelledSet
from training.apron.families import UNKNOWN
from training.apron.frames import WorldPlan
from training.kept_frames import render_plans

SEED_REPORT = 13_000_000  # no other seed of the simulator
APRON_WORLDS, APRON_FRAMES = 20, 12

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture at the network's size."""

    image: np.ndarray  # [H, W, 3] uint8
    observed: np.ndarray  # [Hp, Wp] bool
    classes: np.ndarray  # [H, W] indices into names
    names: tuple[str, ...]
    unnamed: frozenset[str]  # of the names: what says nothing


def labelled_pictures(labelled: LabelledSet, root: Path, manifest: Manifest, report: Report) -> Iterator[Shown]:
    """The test pictures of ``labelled`` below ``root``. Raises :class:`airside.errors.InputError` where none is."""
    pictures = labelled.pictures(root, "test")
    for done, picture in enumerate(pictures, 1):
        net, classes = picture.for_network(manifest, labelled.unlabelled)
        yield Shown(net.image, net.observed, classes, labelled.names, frozenset({UNLABELLED}))
        report("test pictures", done, len(pictures))


def apron_pictures(cache: Path | None, manifest: Manifest, report: Report) -> Iterator[Shown]:
    """Frames with known and unknown types, from worlds that neither bank nor benchmark uses."""
    plans = [
        WorldPlan(SEED_REPORT, k, APRON_FRAMES, unknown=tuple(UNKNOWN), known_count=(6, 12), unknown_count=(1, 3))
        for k in range(APRON_WORLDS)
    ]
    everything = np.ones(manifest.grid, bool)
    for done, (_, frames) in enumerate(render_plans(plans, cache=cache), 1):
        for frame in frames:
            yield Shown(frame.rgb, everything, frame.label, frame.names, frozenset())
        report("report worlds", done, len(plans))
