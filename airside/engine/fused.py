"""The vehicle's graph beside a bundle: one network for one rig, ``BUNDLE/fused/``, bound to the bundle it repeats.

``fused.onnx``: ``images`` [N, H, W, 3] uint8 -> ``tokens`` and what else the manifest declares, N the rig's cameras.
``parity.npz``: what the bundle's own networks give in float32 for N pictures and this rig. ``fused.json``: hashes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from airside.engine.bundle import Bundle, file_sha256
from airside.engine.parity import StoredOutputs, load_outputs
from airside.errors import CorruptError, MismatchError, UnavailableError

SCHEMA = 1
FOLDER = "fused"


@dataclass(frozen=True, slots=True)
class Fused:
    """An opened, checked ``fused`` folder. ``attentions``: how many an engine must fuse."""

    path: Path
    network: bytes
    attentions: int
    stored: StoredOutputs

    @property
    def cameras(self) -> int:
        """N."""
        return len(self.stored.images)


def seal_fused(folder: Path, fingerprint: str, attentions: int) -> None:
    """Write ``fused.json`` beside ``fused.onnx`` and ``parity.npz``."""
    told = {
        "schema": SCHEMA,
        "bundle": fingerprint,
        "attentions": attentions,
        "network_sha256": file_sha256(folder / "fused.onnx"),
        "parity_sha256": file_sha256(folder / "parity.npz"),
    }
    (folder / "fused.json").write_text(json.dumps(told, indent=2) + "\n")


def open_fused(bundle: Bundle) -> Fused:
    """Read and check the graph of ``bundle``.

    Raises :class:`UnavailableError` where there is none, :class:`MismatchError` where it belongs to another bundle,
    :class:`CorruptError` where it is damaged.
    """
    folder = bundle.path / FOLDER
    if not folder.is_dir():
        raise UnavailableError(
            f"{bundle.path} has no graph for a vehicle ({folder}): make it where its weights are (airside export "
            f"--backbone NAME --weights FILE --fused RIG --out {bundle.path}), or use another engine"
        )
    try:
        told = json.loads((folder / "fused.json").read_text())
        network = (folder / "fused.onnx").read_bytes()
        sums = hashlib.sha256(network).hexdigest(), file_sha256(folder / "parity.npz")
        wanted = told["network_sha256"], told["parity_sha256"]
        schema, of, attentions = told["schema"], told["bundle"], int(told["attentions"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CorruptError(f"{folder} cannot be read ({error}); copy it again or make it anew") from error
    if schema != SCHEMA or sums != wanted:
        raise CorruptError(f"{folder} is not the one that was sealed; copy it again or make it anew")
    if of != bundle.manifest.fingerprint:
        raise MismatchError(
            f"{folder} was made for bundle {str(of)[:12]}, this is {bundle.manifest.fingerprint[:12]}; make it anew"
        )
    return Fused(folder, network, attentions, load_outputs(folder / "parity.npz", bundle.manifest))
