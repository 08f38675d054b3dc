"""Every class's support crops on one sheet, the object outlined: what the bank was taught from, at a glance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from airside.bank.bank import KnownClass, PrototypeBank, SupportCrop
from airside.bank.durable import write_durably
from airside.drawing import INK, MUTED, SEMIBOLD, TEAL, put_text, shortened
from airside.enrolment.support import decode_crop
from airside.errors import CorruptError, InputError, UsageError

CELL_PX = 128
LABEL_PX = 230
GAP_PX = 6
MAX_CROPS = 10  # of a class; the label says how many there are
MAX_CLASSES = 200  # rows: beyond that the sheet no longer opens anywhere


def write_contact_sheet(bank: PrototypeBank, path: Path) -> int:
    """Write the sheet as a PNG; returns the number of classes shown."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--crops {path}: the name must end in .png")
    classes = [known for known in bank.classes if known.support][:MAX_CLASSES]
    if not classes:
        raise InputError("the bank keeps no support crops: there is nothing to show")
    columns = min(MAX_CROPS, max(len(known.support) for known in classes))
    width = LABEL_PX + columns * (CELL_PX + GAP_PX) + GAP_PX
    sheet = np.empty((len(classes) * (CELL_PX + GAP_PX) + GAP_PX, width, 3), np.uint8)
    sheet[:] = INK
    for row, known in enumerate(classes):
        _draw_row(sheet, known, GAP_PX + row * (CELL_PX + GAP_PX))
    ok, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not ok:
        raise InputError(f"the contact sheet cannot be encoded for {path}")
    write_durably(path, data.tobytes())
    return len(classes)


def _draw_row(sheet: np.ndarray, known: KnownClass, top: int) -> None:
    name = shortened(known.name, LABEL_PX - 3 * GAP_PX, 18, SEMIBOLD)
    put_text(sheet, name, 2 * GAP_PX, top + CELL_PX // 2 - 12, 18, weight=SEMIBOLD)
    note = f"{known.kind.value}{', protected' if known.protected else ''}, {len(known.support)} crops"
    put_text(sheet, note, 2 * GAP_PX, top + CELL_PX // 2 + 14, 14, MUTED)
    for column, crop in enumerate(known.support[:MAX_CROPS]):
        left = LABEL_PX + column * (CELL_PX + GAP_PX)
        cell = sheet[top : top + CELL_PX, left : left + CELL_PX]
        try:
            _draw_crop(cell, crop, f"{known.name} #{column}")
        except CorruptError:
            put_text(cell, "damaged", GAP_PX, CELL_PX // 2, 14, MUTED)


def _draw_crop(cell: np.ndarray, crop: SupportCrop, label: str) -> None:
    kept = decode_crop(crop, label)
    height, width = kept.image.shape[:2]
    zoom = CELL_PX / max(height, width)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    small = cv2.resize(kept.image, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    if kept.mask is not None:
        mask = cv2.resize(kept.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(small, outlines, -1, TEAL, 1, cv2.LINE_AA)
    left, top = (CELL_PX - size[0]) // 2, (CELL_PX - size[1]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
