"""One labelled frame of a data set, read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from airside.cameras.decode import read_image
from airside.errors import InputError

KNOWN, UNKNOWN, IGNORE = 0, 1, 255
ALL = "all"  # the condition of a data set that tells none apart


@dataclass(frozen=True, slots=True)
class RoadFrame:
    """A picture and its truth. Nothing is read before :meth:`rgb` or :meth:`label` is called."""

    name: str  # the official tool's frame id: names its prediction's file
    condition: str  # scene, weather or light, for rows of their own; :data:`ALL` where there is one
    source: str  # what an error about the truth names
    load_rgb: Callable[[], np.ndarray]
    load_label: Callable[[], np.ndarray]

    def rgb(self) -> np.ndarray:
        """[H, W, 3] uint8."""
        return self.load_rgb()

    def label(self) -> np.ndarray:
        """[H, W] uint8: 0 known, 1 unknown, 255 ignored. Raises :class:`InputError` where nothing is told at all."""
        label = self.load_label()
        if (label == IGNORE).all():
            raise InputError(
                f"label {self.source}: every pixel is ignored, the frame says nothing; take it out or fix its mask"
            )
        return label


def label_codes(codes: Mapping[int, int]) -> np.ndarray:
    """Stored value -> 0, 1 or 255 as a table [256] int16; a value that ``codes`` does not name is -1: refused."""
    table = np.full(256, -1, np.int16)
    table[list(codes)] = list(codes.values())
    return table


def frame_from_files(name: str, image: Path, label: Path, codes: np.ndarray, condition: str = ALL) -> RoadFrame:
    """``codes``: of :func:`label_codes`."""
    return RoadFrame(
        name, condition, str(label), lambda: read_image(image), lambda: _coded(read_index_image(label), codes, label)
    )


def _coded(values: np.ndarray, codes: np.ndarray, path: Path) -> np.ndarray:
    label = codes[values]
    if label.min() < 0:
        odd = ", ".join(str(v) for v in np.unique(values[label < 0])[:5])
        known = ", ".join(str(v) for v in np.flatnonzero(codes >= 0)[:5])
        raise InputError(f"label {path}: holds the values {odd}; this layout knows {known}: check the data set's name")
    return np.asarray(label, np.uint8)


def read_index_image(path: Path) -> np.ndarray:
    """An 8-bit label picture as its stored numbers [H, W] uint8: palettes are not resolved. Raises
    :class:`InputError` on anything else."""
    try:
        with Image.open(path) as image:
            if image.mode not in ("L", "P", "1"):
                raise InputError(
                    f"label {path}: wanted one channel of 8 bits, got mode {image.mode}; "
                    "take the data set's label picture, not its coloured one"
                )
            return np.asarray(image if image.mode == "P" else image.convert("L"))
    except FileNotFoundError:
        raise InputError(f"label {path}: no such file; unpack the data set again") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"label {path}: cannot be read ({error}); copy it again from its source") from None
