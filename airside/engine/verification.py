"""Has this engine repeated the bundle's stored outputs, on this machine, with these libraries? The answer, kept.

A bundle may be read-only, so answers lie in the cache, one small JSON file each, named by everything they depend on:
another bundle, engine, processor, library or limit is another question.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from airside.engine.cache import cache_folder, write_cached
from airside.engine.engines import Identity, Precision
from airside.engine.parity import TOLERANCE, Comparison
from airside.errors import StorageError

SCHEMA = 2  # 1 did not hold single pictures and tokens alone against the stored outputs


class Limit(NamedTuple):
    """Which figure of a :class:`Comparison` decides, and how far it may go: a cosine down to it, others up to it."""

    figure: Literal["cosine", "relative", "absolute"]
    bound: float

    def holds(self, comparison: Comparison) -> bool:
        value = float(getattr(comparison, self.figure))  # NaN holds nothing
        return value >= self.bound if self.figure == "cosine" else value <= self.bound


_SAME = {
    "tokens": Limit("absolute", TOLERANCE),
    "depth": Limit("relative", TOLERANCE),
    "bev": Limit("absolute", TOLERANCE),
    "depth_probability": Limit("absolute", TOLERANCE),
}
_CLOSE = {
    "tokens": Limit("cosine", 0.995),
    "depth": Limit("relative", 0.15),
    "bev": Limit("absolute", 0.05),
    "depth_probability": Limit("absolute", 0.05),
}
LIMITS: dict[Precision, dict[str, Limit]] = {"float32": _SAME, "bfloat16": _CLOSE, "float16": _CLOSE, "int8": _CLOSE}
DETECTIONS_AGREE = 0.95  # what reduced precision must reach; float32 is held to its outputs


@dataclass(frozen=True, slots=True)
class Detections:
    """What the engine reports beside onnxruntime in float32, on ``pictures`` with one bank.

    ``agreement`` in [0, 1]: twice the sightings both have, over all sightings of both; 1 where neither has any.
    ``score_gap`` in [0, 1]: mean absolute difference of a patch's novelty.
    """

    pictures: int
    agreement: float
    score_gap: float


@dataclass(frozen=True, slots=True)
class Verification:
    """One engine held against one bundle's stored outputs, ``at`` a time (UTC, ISO 8601)."""

    identity: Identity
    model: str
    outputs: tuple[Comparison, ...]
    detections: Detections | None
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def failed(self) -> tuple[str, ...]:
        """What speaks against the engine, in words; empty where it passed."""
        limits = LIMITS[self.identity.precision]
        found = [
            f"{c.output} differs ({limit.figure} {getattr(c, limit.figure):.2g}, allowed {limit.bound:g})"
            for c in self.outputs
            if not (limit := limits[c.output]).holds(c)
        ]
        if self.identity.precision != "float32":
            if self.detections is None:
                found.append("no detections were compared, and reduced precision needs that")
            elif not self.detections.agreement >= DETECTIONS_AGREE:
                found.append(f"detections agree by {self.detections.agreement:.1%} only, wanted {DETECTIONS_AGREE:.0%}")
        return tuple(found)

    @property
    def passed(self) -> bool:
        return not self.failed

    def as_json(self) -> dict[str, Any]:
        """For a person's eyes, a script, and the cache; numbers that are not finite become ``null``."""
        limits = LIMITS[self.identity.precision]
        outputs = [
            _finite(asdict(c)) | {**limits[c.output]._asdict(), "passed": limits[c.output].holds(c)}
            for c in self.outputs
        ]
        detections = None if self.detections is None else _finite(asdict(self.detections))
        return {
            "schema": SCHEMA,
            "key": key_of(self.identity),
            "model": self.model,
            **asdict(self.identity),
            "at": self.at,
            "passed": self.passed,
            "failed": list(self.failed),
            "outputs": outputs,
            "detections": detections,
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """What the cache says of an engine."""

    passed: bool
    failed: tuple[str, ...]
    at: str


def key_of(identity: Identity) -> str:
    """Hex digest of everything the answer depends on, the limits included."""
    question = {
        "identity": asdict(identity),
        "limits": {name: list(limit) for name, limit in LIMITS[identity.precision].items()},
        "detections": DETECTIONS_AGREE,
        "schema": SCHEMA,
    }
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def keep(verification: Verification) -> Path:
    """Write the answer into the cache. Raises :class:`StorageError` where it cannot be written."""
    path = _path(verification.identity)
    write_cached(path, (json.dumps(verification.as_json(), indent=2) + "\n").encode())
    return path


def kept(identity: Identity) -> Kept | None:
    """The answer for exactly this engine, or ``None``: nobody asked yet, or the file cannot be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, StorageError):
        raw = json.loads(_path(identity).read_bytes())
        if raw["key"] == key_of(identity) and isinstance(raw["passed"], bool):
            return Kept(raw["passed"], tuple(map(str, raw["failed"])), str(raw["at"]))
    return None


def _path(identity: Identity) -> Path:
    return cache_folder() / "verified" / f"{identity.engine}-{key_of(identity)[:24]}.json"


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
