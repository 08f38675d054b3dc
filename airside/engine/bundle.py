"""The model bundle: ``model.onnx``, ``manifest.json`` and ``parity.npz`` in one folder, bound by a fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airside.errors import CorruptError, InputError

SCHEMA = 1
_FILES = ("model.onnx", "manifest.json", "parity.npz")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle declares about itself. ``fingerprint`` covers the network's bytes and every other field."""

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

    @property
    def grid(self) -> tuple[int, int]:
        """Patch grid (Hp, Wp)."""
        return self.height_px // self.patch_px, self.width_px // self.patch_px

    def computed_fingerprint(self) -> str:
        fields = {k: v for k, v in asdict(self).items() if k != "fingerprint"} | {"schema": SCHEMA}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened, checked bundle."""

    path: Path
    manifest: Manifest
    network: bytes


def file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(path: Path, manifest: Manifest) -> Manifest:
    """Seal ``manifest`` with its fingerprint and write it into the bundle folder ``path``."""
    sealed = Manifest(**{**asdict(manifest), "fingerprint": manifest.computed_fingerprint()})
    (path / "manifest.json").write_text(json.dumps({"schema": SCHEMA, **asdict(sealed)}, indent=2) + "\n")
    return sealed


def open_bundle(path: Path) -> Bundle:
    """Read and check a bundle folder.

    Raises:
        InputError: it is not a bundle folder.
        CorruptError: a file is missing, damaged, or not the one the manifest was sealed with.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a model bundle: wanted a folder with {', '.join(_FILES)}")
    missing = [name for name in _FILES if not (path / name).is_file()]
    if missing:
        raise CorruptError(
            f"model bundle {path} lacks {', '.join(missing)}; copy the whole folder again or export it anew"
        )
    try:
        manifest = _read_manifest(json.loads((path / "manifest.json").read_text()))
        network = (path / "model.onnx").read_bytes()
        parity_sha = file_sha256(path / "parity.npz")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CorruptError(f"model bundle {path} cannot be read ({error}); copy it again or export it anew") from error
    for name, wanted, came in (
        ("model.onnx", manifest.network_sha256, hashlib.sha256(network).hexdigest()),
        ("parity.npz", manifest.parity_sha256, parity_sha),
        ("manifest.json", manifest.fingerprint, manifest.computed_fingerprint()),
    ):
        if wanted != came:
            raise CorruptError(
                f"{path / name} is not the file this bundle was sealed with (wanted {wanted[:12]}, found {came[:12]}); "
                "copy the whole folder again or export it anew"
            )
    return Bundle(path, manifest, network)


def _read_manifest(raw: Any) -> Manifest:
    if not isinstance(raw, dict):
        raise TypeError(f"manifest.json holds a {type(raw).__name__}, wanted an object")
    schema = raw.pop("schema")
    if schema != SCHEMA:
        raise ValueError(f"manifest schema {schema}, this airside reads {SCHEMA}")
    manifest = Manifest(**{**raw, "outputs": tuple(raw["outputs"])})
    for field in ("height_px", "width_px", "patch_px", "token_width"):
        value = getattr(manifest, field)
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"{field} is {value!r}, wanted a positive integer")
    if manifest.height_px % manifest.patch_px or manifest.width_px % manifest.patch_px:
        raise ValueError(
            f"input {manifest.height_px}x{manifest.width_px} is no multiple of the patch {manifest.patch_px}"
        )
    return manifest
