"""What a result depends on besides the bundle: the processor, and the versions of the libraries."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_NAMES = ("model name", "CPU implementer", "CPU part", "Processor")
_ABILITIES = ("flags", "Features")


@functools.cache
def processor_abilities() -> frozenset[str]:
    """The instruction sets Linux names (``avx512_vnni``, ``avx512_bf16``, ``asimddp``, ...); empty elsewhere."""
    first = _first_processor()
    return frozenset(word for name in _ABILITIES for word in first.get(name, "").split())


@functools.cache
def processor() -> str:
    """Machine, model and a digest of the instruction sets: a virtual machine may rename one model or hide another."""
    first = _first_processor()
    named = [first[name] for name in _NAMES if name in first] or [platform.processor() or "unnamed"]
    digest = hashlib.sha256(" ".join(sorted(processor_abilities())).encode()).hexdigest()[:8]
    return f"{platform.machine()} {' '.join(named)} ({digest})"


def versions(*packages: str) -> Mapping[str, str]:
    """Package -> version; "unknown" where a build goes by another name."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def _first_processor() -> Mapping[str, str]:
    try:
        block = _CPUINFO.read_text(errors="replace").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in block.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
