"""The data sets by name: layout, component sizes, official names, and where to get them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from airside.errors import InputError, UsageError
from eval.datasets import layouts
from eval.datasets.access import listing
from eval.datasets.apron_frames import apron_frames
from eval.datasets.frames import RoadFrame
from eval.metrics.components import ANOMALY_SIZES, OBSTACLE_SIZES, ComponentSizes


@dataclass(frozen=True, slots=True)
class DataSet:
    """``official`` names the folders of predictions: the first is written. ``kept_under``: where the official code
    itself puts this split's maps and looks for them (its ``name_for_persistence``: one folder for all splits of a
    source), so every map is written there too. All are read."""

    name: str
    title: str
    official: tuple[str, ...]
    find: Callable[[Path], tuple[RoadFrame, ...]]
    sizes: ComponentSizes
    wanted: str
    source: str
    kept_under: tuple[str, ...] = ()

    def frames(self, root: Path) -> tuple[RoadFrame, ...]:
        """Every labelled frame below ``root``. Raises :class:`InputError` where there is none, saying what was wanted
        and where to get it."""
        with listing():
            if not root.is_dir():
                raise InputError(
                    f"{root}: no such folder; {self.title} is wanted there ({self.wanted}), from {self.source}"
                )
            frames = self.find(root)
        if not frames:
            raise InputError(f"{root} holds no frame of {self.title}: wanted {self.wanted}. Get it from {self.source}")
        return frames

    def some_frames(self, root: Path, count: int | None) -> tuple[RoadFrame, ...]:
        """``count`` of :meth:`frames`, evenly spread; all of them where it is ``None`` or larger. Raises
        :class:`UsageError` on a count under 1."""
        if count is not None and count < 1:
            raise UsageError(f"--frames must be at least 1, got {count}")
        frames = self.frames(root)
        if count is None or count >= len(frames):
            return frames
        return tuple(frames[k * len(frames) // count] for k in range(count))


_SMIYC = "https://segmentmeifyoucan.com/datasets"
_LAF = "http://wwwlehre.dhbw-stuttgart.de/~sgehrig/lostAndFoundDataset/index.html"
_LAF_SOURCE = f"{_LAF} (leftImg8bit.zip, gtCoarse.zip)"
_MASKED = "images/X.jpg and labels_masks/X_labels_semantic.png"
_LAF_WANTED = "leftImg8bit/test/SCENE/X_leftImg8bit.png and gtCoarse/test/SCENE/X_gtCoarse_labelIds.png"
_FISHY = "https://fishyscapes.com/dataset"

DATA_SETS = {
    d.name: d
    for d in (
        DataSet(
            "road-anomaly", "RoadAnomaly", ("RoadAnomaly-test",), layouts.road_anomaly, ANOMALY_SIZES,
            "frames/X.jpg and frames/X.labels/labels_semantic.png", "https://www.epfl.ch/labs/cvlab/data/road-anomaly/",
        ),
        DataSet(
            "anomaly-track", "RoadAnomaly21 validation", ("AnomalyTrack-validation",),
            layouts.masked_images, ANOMALY_SIZES, _MASKED, f"{_SMIYC} (dataset_AnomalyTrack.zip)",
            ("AnomalyTrack-all",),
        ),
        DataSet(
            "obstacle-track", "RoadObstacle21 validation", ("ObstacleTrack-validation",),
            layouts.obstacle_track, OBSTACLE_SIZES, _MASKED, f"{_SMIYC} (dataset_ObstacleTrack.zip)",
            ("ObstacleTrack-all",),
        ),
        DataSet(
            "lost-and-found", "LostAndFound test", ("LostAndFound-testValid",),
            layouts.lost_and_found, OBSTACLE_SIZES, _LAF_WANTED, _LAF_SOURCE, ("LostAndFound-test",),
        ),
        DataSet(
            "lost-and-found-noknown", "LostAndFound NoKnown", ("LostAndFound-testNoKnown",),
            layouts.lost_and_found_without_known, OBSTACLE_SIZES, _LAF_WANTED, _LAF_SOURCE, ("LostAndFound-test",),
        ),
        DataSet(
            "fishyscapes-laf", "Fishyscapes LostAndFound", ("FishyLAFAnomaly-val", "FishyLAF-val"),
            layouts.fishyscapes_lost_and_found, ANOMALY_SIZES,
            "NNNN_X_labels.png and X_leftImg8bit.png (or original/X.png and labels/X.png)",
            f"{_FISHY} (fishyscapes_lostandfound.zip), pictures from {_LAF}",
            ("LostAndFound-train", "LostAndFound-test"),  # each frame is looked for in the split it came from
        ),
        DataSet(
            "fishyscapes-static", "Fishyscapes Static", ("FishyStatic-val",), layouts.fishyscapes_static,
            OBSTACLE_SIZES, "X_rgb.png and X_labels.png (or original/X.png and labels/X.png)", _FISHY,
        ),
        DataSet(
            "apron", "apron simulator, unknown types", ("Apron-test",), apron_frames, OBSTACLE_SIZES,
            "a folder that keeps the rendered frames (it may be empty)", "the simulator: pip install -e '.[sim]'",
        ),
        DataSet(
            "folder", "pictures and masks", ("folder",), layouts.masked_images, ANOMALY_SIZES,
            f"{_MASKED} (0 known, 1 unknown, 255 ignored)",
            "your own labelling tool",
        ),
    )
}  # fmt: skip


def data_set(name: str) -> DataSet:
    """Raises :class:`UsageError` naming the ones there are."""
    if name not in DATA_SETS:
        raise UsageError(f"no data set is called {name!r}; choose one of {', '.join(DATA_SETS)}")
    return DATA_SETS[name]
