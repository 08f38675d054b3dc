"""The prototype bank as a value: what is known, immutable, bound to one model.

Every value checks itself when it is made (:class:`UsageError` says what came and what was wanted) and keeps
read-only copies of its arrays, so a bank that exists is a bank that can be searched and stored.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airside.errors import MismatchError, UsageError

UNIT_TOLERANCE = 1e-3  # how far a vector's length, or a cosine's size, may be from 1
MAX_NAME_CHARS = 200


class ClassKind(enum.StrEnum):
    THING = "thing"  # countable: reported as a named object
    STUFF = "stuff"  # tarmac, sky, grass: known, never reported


@dataclass(frozen=True, slots=True)
class SupportCrop:
    """A picture the class was taught from, kept so that a new model can re-embed it."""

    jpeg: bytes  # encoded RGB crop with context around the object
    mask_png: bytes  # encoded uint8 mask of the crop's size, 255 = object
    sha256: str  # of the decoded source pixels: finds the same photograph again

    def __post_init__(self) -> None:
        for field, value in (("jpeg", self.jpeg), ("mask_png", self.mask_png)):
            if not isinstance(value, bytes) or not value:
                raise UsageError(f"SupportCrop.{field}: wanted encoded bytes, at least one; got {_words(value)}")
        if not isinstance(self.sha256, str) or not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise UsageError(f"SupportCrop.sha256: wanted 64 lower-case hex digits; got {_words(self.sha256)}")


@dataclass(frozen=True, slots=True)
class KnownClass:
    """One class: its prototypes, and how similar held-out patches of it are to them."""

    name: str
    kind: ClassKind
    protected: bool  # persons: named, never a reason to lower an alert level
    prototypes: np.ndarray  # [P, C] float32, unit length, P >= 1
    mean: np.ndarray  # [C] float32, unit length: PROWL's one vector
    held_out_similarity: np.ndarray  # [S] float32, leave-one-image-out cosine of known patches, ascending
    support: tuple[SupportCrop, ...]
    pictures: int  # it was learnt from; 0: not known (snapshots older than this field), taken as many

    def __post_init__(self) -> None:
        _require_name("KnownClass.name", self.name)
        where = f"class {self.name!r}"
        if not isinstance(self.kind, ClassKind):
            raise UsageError(f"{where}: kind: wanted a ClassKind; got {_words(self.kind)}")
        if not isinstance(self.protected, bool):
            raise UsageError(f"{where}: protected: wanted True or False; got {_words(self.protected)}")
        _require_tuple_of(f"{where}: support", self.support, SupportCrop)
        if type(self.pictures) is not int or self.pictures < 0:
            raise UsageError(f"{where}: pictures: wanted an int >= 0; got {_words(self.pictures)}")
        prototypes = _unit_rows(f"{where}: prototypes", self.prototypes, (None, None))
        if prototypes.shape[0] < 1 or prototypes.shape[1] < 1:
            raise UsageError(f"{where}: prototypes: wanted [P, C] with P and C >= 1; got {prototypes.shape}")
        mean = _unit_rows(f"{where}: mean", self.mean, (prototypes.shape[1],))
        held_out = _finite_float32(f"{where}: held_out_similarity", self.held_out_similarity, (None,))
        if held_out.size and float(np.abs(held_out).max()) > 1.0 + UNIT_TOLERANCE:
            extreme = float(held_out[np.abs(held_out).argmax()])
            raise UsageError(f"{where}: held_out_similarity: wanted cosines in [-1, 1]; got {extreme:.4g}")
        if np.any(np.diff(held_out) < 0):
            raise UsageError(f"{where}: held_out_similarity: wanted ascending values; got an unsorted array")
        object.__setattr__(self, "prototypes", prototypes)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "held_out_similarity", held_out)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Site threshold on the region score, from clean frames. NaN until calibrated: nothing may be promised then.

    ``method`` is what its thresholds are filed under (``Scorer.calibrated_as``): one of an earlier score that was
    called the same is not found, so it can promise nothing.
    """

    method: str
    threshold: float  # a region alarms when its ood_score exceeds this
    alpha: float  # promised share of clean frames that alarm; NaN until calibrated
    clean_frames: int

    def __post_init__(self) -> None:
        _require_name("Calibration.method", self.method)
        where = f"calibration {self.method!r}"
        if math.isinf(self.threshold):
            raise UsageError(f"{where}: threshold: wanted a finite number or NaN (uncalibrated); got {self.threshold}")
        if not (math.isnan(self.alpha) or 0.0 <= self.alpha <= 1.0):
            raise UsageError(f"{where}: alpha: wanted a share in [0, 1] or NaN (uncalibrated); got {self.alpha}")
        if not isinstance(self.clean_frames, int) or self.clean_frames < 0:
            raise UsageError(f"{where}: clean_frames: wanted an int >= 0; got {_words(self.clean_frames)}")


@dataclass(frozen=True, slots=True)
class PrototypeBank:
    """Everything the engine knows. A change makes a new bank; two banks never share a snapshot id by accident."""

    model_fingerprint: str
    classes: tuple[KnownClass, ...]
    calibrations: tuple[Calibration, ...]  # one per scoring method
    guard_tokens: np.ndarray  # [G, C] float32, unit length: patches that must stay unknown
    guard_names: tuple[str, ...]  # [G] what each guard patch shows
    guard_support: tuple[tuple[str, SupportCrop], ...] = ()  # pictures of guarded things by name, for a new model

    def __post_init__(self) -> None:
        _require_name("PrototypeBank.model_fingerprint", self.model_fingerprint)
        _require_tuple_of("PrototypeBank.classes", self.classes, KnownClass)
        _require_tuple_of("PrototypeBank.calibrations", self.calibrations, Calibration)
        _require_tuple_of("PrototypeBank.guard_names", self.guard_names, str)
        _require_tuple_of("PrototypeBank.guard_support", self.guard_support, tuple)
        _require_tuple_of("PrototypeBank.guard_support: crops", tuple(c for _, c in self.guard_support), SupportCrop)
        _require_distinct("PrototypeBank.classes: names", self.names)
        _require_distinct("PrototypeBank.calibrations: methods", [c.method for c in self.calibrations])
        for name in self.guard_names:
            _require_name("PrototypeBank.guard_names", name)
        guard = _unit_rows("PrototypeBank.guard_tokens", self.guard_tokens, (len(self.guard_names), None))
        for known in self.classes:
            if known.mean.shape[0] != guard.shape[1]:
                raise UsageError(
                    f"class {known.name!r} has {known.mean.shape[0]} channels, but guard_tokens has {guard.shape[1]}: "
                    f"one bank holds vectors of one model"
                )
        object.__setattr__(self, "guard_tokens", guard)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    @property
    def channels(self) -> int:
        """Embedding width C of every vector in the bank."""
        return int(self.guard_tokens.shape[1])

    def require_model(self, fingerprint: str, bank_path: str, model_path: str) -> None:
        """Raise :class:`MismatchError` unless this bank was made with the model ``fingerprint``."""
        if fingerprint != self.model_fingerprint:
            raise MismatchError(
                f"bank {bank_path} was made with model {self.model_fingerprint[:12]}, but {model_path} is "
                f"{fingerprint[:12]}; re-embed it with: airside bank migrate --bank {bank_path} --model {model_path}"
            )


def _words(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _require_name(what: str, value: str) -> None:
    """A printable name also survives UTF-8, JSON and a terminal: lone surrogates and line breaks are refused."""
    ok = isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARS and value.isprintable() and value == value.strip()
    if not ok:
        raise UsageError(
            f"{what}: wanted 1 to {MAX_NAME_CHARS} printable characters without outer spaces; got {_words(value)}"
        )


def _require_tuple_of(what: str, value: object, member: type) -> None:
    if not isinstance(value, tuple):
        raise UsageError(f"{what}: wanted a tuple of {member.__name__}; got {_words(value)}")
    for index, item in enumerate(value):
        if not isinstance(item, member):
            raise UsageError(f"{what}[{index}]: wanted {member.__name__}; got {_words(item)}")


def _require_distinct(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{what}: wanted each once; got several of {', '.join(map(repr, twice))}")


def _finite_float32(what: str, value: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """A read-only, contiguous float32 array of ``shape`` (``None`` = any length), every number finite."""
    fits = (
        isinstance(value, np.ndarray)
        and value.dtype == np.float32
        and value.ndim == len(shape)
        and all(want in (None, got) for want, got in zip(shape, value.shape, strict=True))
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise UsageError(f"{what}: wanted a float32 array of shape [{wanted}]; got {_words(value)}")
    if not np.isfinite(value).all():
        bad = int(value.size - np.isfinite(value).sum())
        raise UsageError(f"{what}: wanted finite numbers; got {bad} of {value.size} NaN or infinite")
    if value.flags.writeable or not value.flags.c_contiguous:
        value = np.array(value, order="C", copy=True)
        value.flags.writeable = False
    return value


def _unit_rows(what: str, value: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """As :func:`_finite_float32`, and every vector along the last axis has length 1."""
    value = _finite_float32(what, value, shape)
    lengths = np.atleast_1d(np.linalg.norm(value, axis=-1))
    worst = float(lengths[np.abs(lengths - 1.0).argmax()]) if lengths.size else 1.0
    if abs(worst - 1.0) > UNIT_TOLERANCE:
        raise UsageError(f"{what}: wanted vectors of unit length; got one of length {worst:.6g}: normalise first")
    return value
