"""Seeded builders of small, valid values for tests: no network, no GPU, no files."""

from __future__ import annotations

import math

import cv2
import numpy as np

from airside.bank.bank import Calibration, ClassKind, KnownClass, PrototypeBank, SupportCrop


def unit_rows(rng: np.random.Generator, rows: int, channels: int) -> np.ndarray:
    """[rows, channels] float32, every row of length 1."""
    vectors = rng.normal(size=(rows, channels))
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)


def support_crop(rng: np.random.Generator, side_px: int = 12) -> SupportCrop:
    """A crop of noise that really decodes."""
    _, jpeg = cv2.imencode(".jpg", rng.integers(0, 256, (side_px, side_px, 3), np.uint8))
    _, mask = cv2.imencode(".png", np.full((side_px, side_px), 255, np.uint8))
    return SupportCrop(jpeg.tobytes(), mask.tobytes(), rng.bytes(32).hex())


def tiny_class(
    rng: np.random.Generator,
    name: str,
    *,
    channels: int = 8,
    prototypes: int = 3,
    held_out: int = 5,
    crops: int = 2,
    kind: ClassKind = ClassKind.THING,
    protected: bool = False,
) -> KnownClass:
    return KnownClass(
        name=name,
        kind=kind,
        protected=protected,
        prototypes=unit_rows(rng, prototypes, channels),
        mean=unit_rows(rng, 1, channels)[0],
        held_out_similarity=np.sort(rng.uniform(-1, 1, held_out)).astype(np.float32),
        support=tuple(support_crop(rng) for _ in range(crops)),
    )


def tiny_bank(
    rng: np.random.Generator,
    classes: int = 3,
    channels: int = 8,
    *,
    prototypes: int = 3,
    crops: int = 2,
    guards: int = 2,
    fingerprint: str = "f" * 64,
) -> PrototypeBank:
    """Classes ``class0`` (stuff), ``class1`` (protected thing), ``class2``, ...; one method calibrated, one not."""
    return PrototypeBank(
        model_fingerprint=fingerprint,
        classes=tuple(
            tiny_class(
                rng,
                f"class{i}",
                channels=channels,
                prototypes=prototypes,
                crops=crops,
                kind=ClassKind.STUFF if i == 0 else ClassKind.THING,
                protected=i == 1,
            )
            for i in range(classes)
        ),
        calibrations=(Calibration("default", 0.75, 0.01, 200), Calibration("prowl", math.nan, math.nan, 0)),
        guard_tokens=unit_rows(rng, guards, channels),
        guard_names=tuple(f"guard{i}" for i in range(guards)),
    )
