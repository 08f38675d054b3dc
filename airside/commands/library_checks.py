"""Are the libraries there, and of the versions airside was tested with?"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from importlib import metadata

from airside.commands.check import FAIL, OK, WARN, Check

MODULE_FROM_PACKAGE = {
    "faiss-cpu": "faiss",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "threadpoolctl": "threadpoolctl",
    "zarr": "zarr",
}


def library_checks() -> Iterator[Check]:
    """One check a library."""
    bounds = _declared_bounds()
    for package, module in MODULE_FROM_PACKAGE.items():
        mend = f"run: pip install '{package}{bounds.get(package, '')}'"
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken binary raises whatever it likes
            yield Check(FAIL, package, f"cannot be imported ({type(error).__name__}: {error}); {mend}")
            continue
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            yield Check(WARN, package, f"imported, but not under this name: another build of it? If it fails, {mend}")
            continue
        if within(version, bounds.get(package, "")):
            yield Check(OK, package, version)
        else:
            yield Check(WARN, package, f"{version}, tested with {bounds[package]}; {mend}")


def within(version: str, bounds: str) -> bool:
    """Whether ``version`` meets comma-separated ``>=`` and ``<`` bounds; anything else is not judged."""
    for operator, limit in re.findall(r"(>=|<)([\d.]+)", bounds):
        below = _numbers(version) < _numbers(limit)
        if below != (operator == "<"):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()  # 5.1 and 5.1.0 are one version
    return tuple(numbers)


def _declared_bounds() -> dict[str, str]:
    """Package -> bounds, from airside's own metadata; empty in a checkout that was never installed."""
    try:
        required = metadata.requires("airside") or []
    except metadata.PackageNotFoundError:
        return {}
    parts = (re.match(r"([A-Za-z0-9_.-]+)\s*([<>=!~,\d.\s]*)(;.*)?$", line) for line in required)
    return {m[1].lower(): m[2].strip() for m in parts if m and not m[3]}
