"""The official folder layouts: a root in, the labelled frames found there out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from airside.cameras.decode import IMAGE_SUFFIXES
from airside.errors import InputError
from eval.datasets.frames import ALL, IGNORE, KNOWN, UNKNOWN, RoadFrame, frame_from_files, label_codes

MASK_CODES = label_codes({0: KNOWN, 1: UNKNOWN, 255: IGNORE})
ROAD_ANOMALY_CODES = label_codes({0: KNOWN, 1: UNKNOWN, 2: UNKNOWN, 255: IGNORE})
LOST_AND_FOUND_CODES = label_codes({0: IGNORE, 1: KNOWN, **dict.fromkeys(range(2, 201), UNKNOWN), 255: IGNORE})

MASK_SUFFIX = "_labels_semantic.png"
OBSTACLE_VALIDATION_LEFT_OUT = tuple(f"validation_{k}" for k in (19, *range(21, 30)))
# LostAndFound test frames whose labels are empty, by place in the sorted list of all 1203
LOST_AND_FOUND_FRAMES = 1203
LOST_AND_FOUND_EMPTY = frozenset((17, 37, 55, 72, 91, 110, 129, 153, 174, 197, 218, 353, 490, 618, 686, 792, 793))
# what LostAndFound shows that is no obstacle: children and bicycles
LOST_AND_FOUND_KNOWN = (
    "15_Rechbergstr_Deckenpfronn",
    "01_Hanns_Klemm_Str_45_000006",
    "01_Hanns_Klemm_Str_45_000007",
    "10_Schlossberg_9_000004",
)


def masked_images(root: Path) -> tuple[RoadFrame, ...]:
    """``images/X.{jpg,png,webp}`` and ``labels_masks/X_labels_semantic.png`` (or ``X.png``)."""
    return _masked(root, lambda name: ALL)


def obstacle_track(root: Path) -> tuple[RoadFrame, ...]:
    """As :func:`masked_images`; the scene is the name up to its first underscore."""
    frames = _masked(root, lambda name: name.split("_")[0])
    return tuple(f for f in frames if not f.name.startswith(OBSTACLE_VALIDATION_LEFT_OUT))


def _masked(root: Path, condition: Callable[[str], str]) -> tuple[RoadFrame, ...]:
    images = _by_stem((root / "images").glob("*"))
    frames = []
    for label in sorted((root / "labels_masks").glob("*.png")):
        name = label.name.removesuffix(MASK_SUFFIX).removesuffix(".png")
        if label.name.endswith(MASK_SUFFIX) or not label.name.endswith("_color.png"):
            frames.append(frame_from_files(name, _image(images, name, label), label, MASK_CODES, condition(name)))
    return tuple(frames)


def road_anomaly(root: Path) -> tuple[RoadFrame, ...]:
    """``frames/X.jpg`` and ``frames/X.labels/labels_semantic.png``."""
    images = _by_stem((root / "frames").glob("*.*"))
    return tuple(
        frame_from_files(label.parent.stem, _image(images, label.parent.stem, label), label, ROAD_ANOMALY_CODES)
        for label in sorted((root / "frames").glob("*.labels/labels_semantic.png"))
    )


def lost_and_found(root: Path) -> tuple[RoadFrame, ...]:
    """The test split: ``leftImg8bit/test/SCENE/X_leftImg8bit.png``, ``gtCoarse/test/SCENE/X_gtCoarse_labelIds.png``."""
    images = _by_stem((root / "leftImg8bit" / "test").glob("*/*_leftImg8bit.*"), "_leftImg8bit")
    labels = _by_stem((root / "gtCoarse" / "test").glob("*/*_gtCoarse_labelIds.png"), "_gtCoarse_labelIds")
    names = sorted(labels)
    if len(names) == LOST_AND_FOUND_FRAMES:
        names = [name for k, name in enumerate(names) if k not in LOST_AND_FOUND_EMPTY]
    return tuple(
        frame_from_files(
            name, _image(images, name, labels[name]), labels[name], LOST_AND_FOUND_CODES, labels[name].parent.name
        )
        for name in names
    )


def lost_and_found_without_known(root: Path) -> tuple[RoadFrame, ...]:
    """LostAndFound without the scenes of children and bicycles."""
    return tuple(f for f in lost_and_found(root) if not f.name.startswith(LOST_AND_FOUND_KNOWN))


def fishyscapes_lost_and_found(root: Path) -> tuple[RoadFrame, ...]:
    """``NNNN_X_labels.png`` anywhere below the root, and LostAndFound's own ``X_leftImg8bit.png``; or
    :func:`fishyscapes_pairs`."""
    images = _by_stem(root.rglob("*_leftImg8bit.*"), "_leftImg8bit")
    found = []
    for label in sorted(root.rglob("*_labels.png")):
        name = label.name.removesuffix("_labels.png").split("_", 1)[-1]
        found.append(frame_from_files(name, _image(images, name, label), label, MASK_CODES))
    return tuple(found) or fishyscapes_pairs(root)


def fishyscapes_static(root: Path) -> tuple[RoadFrame, ...]:
    """``X_labels.png`` beside ``X_rgb.png`` anywhere below the root; or :func:`fishyscapes_pairs`."""
    images = _by_stem(root.rglob("*_rgb.*"), "_rgb")
    found = []
    for label in sorted(root.rglob("*_labels.png")):
        name = label.name.removesuffix("_labels.png")
        found.append(frame_from_files(name, _image(images, name, label), label, MASK_CODES))
    return tuple(found) or fishyscapes_pairs(root)


def fishyscapes_pairs(root: Path) -> tuple[RoadFrame, ...]:
    """``original/X.png`` and ``labels/X.png``, as the data set is often handed on."""
    images = _by_stem((root / "original").glob("*"))
    return tuple(
        frame_from_files(label.stem, _image(images, label.stem, label), label, MASK_CODES)
        for label in sorted((root / "labels").glob("*.png"))
    )


def _by_stem(paths: Iterable[Path], suffix: str = "") -> dict[str, Path]:
    return {p.stem.removesuffix(suffix): p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES}


def _image(images: dict[str, Path], name: str, label: Path) -> Path:
    if name not in images:
        raise InputError(f"label {label}: its picture {name!r} is missing; unpack the data set again")
    return images[name]
