"""A bank as a few arrays and one JSON table, and back: what a snapshot stores and what its id is the hash of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from airside.bank.bank import Calibration, ClassKind, KnownClass, PrototypeBank, SupportCrop

DTYPE_AND_NDIM = {
    "guard_tokens": ("<f4", 2),  # [G, C]
    "held_out_similarity": ("<f4", 1),  # [sum of S]
    "means": ("<f4", 2),  # [classes, C]
    "prototypes": ("<f4", 2),  # [sum of P, C]
    "support": ("|u1", 1),  # every crop's jpeg then mask, one after the other
}


def arrays_from_bank(bank: PrototypeBank) -> dict[str, np.ndarray]:
    """The arrays of :data:`DTYPE_AND_NDIM`."""
    no_rows = np.zeros((0, bank.channels), np.float32)
    all_crops = [*(crop for known in bank.classes for crop in known.support), *(crop for _, crop in bank.guard_support)]
    crops = b"".join(part for crop in all_crops for part in (crop.jpeg, crop.mask_png))
    return {
        "guard_tokens": bank.guard_tokens,
        "held_out_similarity": np.concatenate([no_rows[:, 0], *(c.held_out_similarity for c in bank.classes)]),
        "means": np.concatenate([no_rows, *(c.mean[None] for c in bank.classes)]),
        "prototypes": np.concatenate([no_rows, *(c.prototypes for c in bank.classes)]),
        "support": np.frombuffer(crops, np.uint8),
    }


def meta_from_bank(bank: PrototypeBank) -> dict[str, Any]:
    """Everything that is not an array, and how to cut the arrays into classes; NaN becomes null."""
    return {
        "model_fingerprint": bank.model_fingerprint,
        "guard_names": list(bank.guard_names),
        "guard_support": [{"name": name, **_json_from_crop(crop)} for name, crop in bank.guard_support],
        "calibrations": [
            {
                "method": c.method,
                "threshold": _json_from_float(c.threshold),
                "alpha": _json_from_float(c.alpha),
                "clean_frames": c.clean_frames,
            }
            for c in bank.calibrations
        ],
        "classes": [
            {
                "name": c.name,
                "kind": c.kind.value,
                "protected": c.protected,
                "prototypes": len(c.prototypes),
                "held_out": len(c.held_out_similarity),
                "support": [_json_from_crop(s) for s in c.support],
                "pictures": c.pictures,
            }
            for c in bank.classes
        ],
    }


def bank_from_contents(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> PrototypeBank:
    """The inverse. Raises ValueError, KeyError, TypeError or :class:`UsageError` on anything that does not fit."""
    prototypes, held_out = _Cut(arrays["prototypes"]), _Cut(arrays["held_out_similarity"])
    means, crops = _Cut(arrays["means"]), _Cut(arrays["support"])
    classes = tuple(
        KnownClass(
            name=c["name"],
            kind=ClassKind(c["kind"]),
            protected=c["protected"],
            prototypes=prototypes.take(c["prototypes"]),
            mean=means.take(1)[0],
            held_out_similarity=held_out.take(c["held_out"]),
            support=tuple(_take_crop(crops, s) for s in c["support"]),
            pictures=c.get("pictures", 0),
        )
        for c in meta["classes"]
    )
    guard_support = tuple((s["name"], _take_crop(crops, s)) for s in meta["guard_support"])
    for what, cut in (("prototypes", prototypes), ("held_out", held_out), ("means", means), ("support", crops)):
        if cut.start != len(cut.array):
            raise ValueError(f"{what}: {len(cut.array)} stored, {cut.start} declared")
    calibrations = tuple(
        Calibration(c["method"], _float_from_json(c["threshold"]), _float_from_json(c["alpha"]), c["clean_frames"])
        for c in meta["calibrations"]
    )
    names = tuple(meta["guard_names"])
    return PrototypeBank(meta["model_fingerprint"], classes, calibrations, arrays["guard_tokens"], names, guard_support)


class _Cut:
    """Hands out consecutive pieces of an array along its first axis."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.start = array, 0

    def take(self, length: int) -> np.ndarray:
        if not isinstance(length, int) or not 0 <= length <= len(self.array) - self.start:
            raise ValueError(f"wanted {length} rows, {len(self.array) - self.start} are left")
        self.start += length
        return self.array[self.start - length : self.start]


def _json_from_crop(crop: SupportCrop) -> dict[str, Any]:
    return {"sha256": crop.sha256, "jpeg_bytes": len(crop.jpeg), "mask_bytes": len(crop.mask_png)}


def _take_crop(crops: _Cut, meta: dict[str, Any]) -> SupportCrop:
    jpeg, mask = crops.take(meta["jpeg_bytes"]), crops.take(meta["mask_bytes"])
    return SupportCrop(jpeg.tobytes(), mask.tobytes(), meta["sha256"])


def _json_from_float(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _float_from_json(value: float | None) -> float:
    return math.nan if value is None else float(value)
