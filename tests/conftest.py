"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import training.apron  # noqa: F401  # chooses MuJoCo's way to render, before any test imports mujoco


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests leave the user's cache alone and share one of their own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def egl() -> None:
    """Ask for this fixture to render; the test is skipped where no EGL context can be made."""
    with contextlib.suppress(ImportError):
        # Both triton (which torch's optimisers load) and Mesa bring an LLVM; triton crashes when it comes second.
        importlib.import_module("triton")
    renderer = pytest.importorskip("training.apron.renderer", reason="rendering needs mujoco (pip install -e .[sim])")
    try:
        renderer.open_context(8, 8).free()
    except renderer.NoRenderingError as error:
        pytest.skip(str(error))
