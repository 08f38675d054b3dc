"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import importlib

import pytest

import training.apron  # noqa: F401  # chooses MuJoCo's way to render, before any test imports mujoco


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
