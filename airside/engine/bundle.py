"""The model bundle: networks, ``manifest.json`` and ``parity.npz`` in one folder, bound by a fingerprint.

``model.onnx``: ``images`` [N, H, W, 3] uint8 -> ``tokens`` and, where declared, ``depth`` (see
:class:`airside.engine.engine.NetworkOutput`). ``bev.onnx``, where declared: ``tokens``, ``rays`` [N, Hp, Wp, 3], and
``patch``, ``depth_bin``, ``cell`` [P] int64 of a splat table -> ``bev`` and ``depth_probability``
(:class:`airside.engine.engine.BevMaps`). The rig is an input: a new calibration needs no new export.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from airside.engine.bev_spec import BevSpec
from airside.errors import CorruptError, InputError, UsageError

OUTPUTS = ("tokens", "depth", "bev")
_FILES = ("model.onnx", "manifest.json", "parity.npz")
_SINCE_SCHEMA_2 = ("depth_focal_px", "bev", "bev_sha256")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle declares about itself. ``fingerprint`` covers the networks' bytes and every other field."""

    name: str
    height_px: int
    width_px: int
    patch_px: int
    token_width: int
    feature: str  # which tokens, e.g. "last block, final norm, unit length"
    outputs: tuple[str, ...]  # "tokens" always; "depth" and "bev" only where a trained head exists
    position_embedding: str  # interpolation policy, or "native"
    trained_on: str
    licence: str
    network_sha256: str
    parity_sha256: str
    fingerprint: str = ""
    depth_focal_px: float | None = None  # the fx at the network's size that ``depth`` is told for
    bev: BevSpec | None = None
    bev_sha256: str | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Patch grid (Hp, Wp)."""
        return self.height_px // self.patch_px, self.width_px // self.patch_px

    @property
    def schema(self) -> int:
        """1 for tokens alone, as they have always been written; 2 with anything more."""
        return 1 if all(getattr(self, name) is None for name in _SINCE_SCHEMA_2) else 2

    def as_json(self) -> dict[str, Any]:
        """The contents of ``manifest.json``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.schema == 1:
            values = {name: value for name, value in values.items() if name not in _SINCE_SCHEMA_2}
        elif self.bev is not None:
            values["bev"] = self.bev.as_json()
        return {"schema": self.schema, **values}

    def computed_fingerprint(self) -> str:
        values = self.as_json()
        del values["fingerprint"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened, checked bundle."""

    path: Path
    manifest: Manifest
    network: bytes
    bev_network: bytes | None


def file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(path: Path, manifest: Manifest) -> Manifest:
    """Seal ``manifest`` with its fingerprint and write it into the bundle folder ``path``."""
    sealed = replace(manifest, fingerprint=manifest.computed_fingerprint())
    (path / "manifest.json").write_text(json.dumps(sealed.as_json(), indent=2) + "\n")
    return sealed


def open_bundle(path: Path) -> Bundle:
    """Read and check a bundle folder.

    Raises:
        InputError: it is not a bundle folder.
        CorruptError: a file is missing, damaged, or not the one the manifest was sealed with; or the manifest
            contradicts itself.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a model bundle: wanted a folder with {', '.join(_FILES)}")
    _require_files(path, _FILES)
    try:
        manifest = _read_manifest(json.loads((path / "manifest.json").read_text()))
    except (OSError, ValueError, TypeError, KeyError, UsageError) as error:
        raise _unreadable(path, error) from error
    if manifest.bev is not None:
        _require_files(path, ("bev.onnx",))
    try:
        network = (path / "model.onnx").read_bytes()
        bev_network = (path / "bev.onnx").read_bytes() if manifest.bev is not None else None
        parity_sha = file_sha256(path / "parity.npz")
    except OSError as error:
        raise _unreadable(path, error) from error
    for name, wanted, came in (
        ("model.onnx", manifest.network_sha256, hashlib.sha256(network).hexdigest()),
        ("bev.onnx", manifest.bev_sha256, None if bev_network is None else hashlib.sha256(bev_network).hexdigest()),
        ("parity.npz", manifest.parity_sha256, parity_sha),
        ("manifest.json", manifest.fingerprint, manifest.computed_fingerprint()),
    ):
        if wanted != came:
            raise CorruptError(
                f"{path / name} is not the file this bundle was sealed with (wanted {str(wanted)[:12]}, found "
                f"{str(came)[:12]}); copy the whole folder again or export it anew"
            )
    return Bundle(path, manifest, network, bev_network)


def _unreadable(path: Path, error: Exception) -> CorruptError:
    return CorruptError(f"model bundle {path} cannot be read ({error}); copy it again or export it anew")


def _require_files(path: Path, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise CorruptError(
            f"model bundle {path} lacks {', '.join(missing)}; copy the whole folder again or export it anew"
        )


def _read_manifest(raw: Any) -> Manifest:
    if not isinstance(raw, dict):
        raise TypeError(f"manifest.json holds a {type(raw).__name__}, wanted an object")
    schema = raw.pop("schema")
    if schema not in (1, 2):
        raise ValueError(f"manifest schema {schema}, this airside reads 1 and 2")
    read = {**raw, "outputs": tuple(raw["outputs"])}
    if raw.get("bev") is not None:
        read["bev"] = BevSpec.from_json(raw["bev"])
    manifest = Manifest(**read)
    for field in ("height_px", "width_px", "patch_px", "token_width"):
        value = getattr(manifest, field)
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"{field} is {value!r}, wanted a positive integer")
    if manifest.height_px % manifest.patch_px or manifest.width_px % manifest.patch_px:
        raise ValueError(
            f"input {manifest.height_px}x{manifest.width_px} is no multiple of the patch {manifest.patch_px}"
        )
    require_consistent(manifest)
    if set(manifest.as_json()) - {"schema"} != raw.keys() or manifest.schema != schema:
        raise ValueError(f"its fields are not those of schema {schema}")
    return manifest


def require_consistent(manifest: Manifest) -> None:
    """Raise :class:`ValueError` unless ``outputs`` names what the other fields describe, no more and no less."""
    told = (True, manifest.depth_focal_px is not None, manifest.bev is not None)
    wanted = tuple(name for name, there in zip(OUTPUTS, told, strict=True) if there)
    if manifest.outputs != wanted:
        raise ValueError(f"it declares the outputs {list(manifest.outputs)}, its other fields describe {list(wanted)}")
    if (manifest.bev is None) != (manifest.bev_sha256 is None):
        raise ValueError("bev and bev_sha256 go together, only one of them is there")
    focal = manifest.depth_focal_px
    if focal is not None and not (isinstance(focal, float | int) and math.isfinite(focal) and focal > 0):
        raise ValueError(f"depth_focal_px is {focal!r}, wanted a positive number")
