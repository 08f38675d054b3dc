"""Who may import whom: import-linter's contracts, and what really gets loaded with the runtime."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OFFLINE = ("torch", "torchvision", "timm", "mujoco", "sklearn", "matplotlib", "onnx", "training", "eval", "prototypes")
WITH_TORCH = ("airside.model", "airside.export")  # the rooms of DESIGN section 2 that are allowed torch


def _runtime_modules() -> list[str]:
    names = ["airside", *(m.name for m in pkgutil.walk_packages([str(ROOT / "airside")], "airside."))]
    return [n for n in names if not n.startswith(WITH_TORCH) and not n.endswith("__main__")]


def _loaded_by(modules: list[str]) -> set[str]:
    """Which of :data:`OFFLINE` a fresh interpreter has loaded after importing ``modules``."""
    code = f"import sys, {', '.join(modules)}; print(*sorted(set({OFFLINE!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_contracts_of_pyproject_are_kept() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_importing_the_runtime_loads_nothing_offline() -> None:
    modules = _runtime_modules()
    assert {"airside.cli", "airside.pipeline", "airside.bank.store", "airside.engine.onnx"} <= set(modules)
    assert _loaded_by(modules) == set()


def test_the_check_notices_what_is_loaded() -> None:
    assert _loaded_by(["training.apron.conditions"]) == {"training", "mujoco"}
