"""The apron simulator: parametric equipment, aircraft and debris on a lit, weathered airport apron."""

import ctypes
import os


def _backend() -> str:
    """Render without a display; where EGL is missing, mujoco must at least import (with "egl" it would not)."""
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return "disable"
    return "egl"


os.environ.setdefault("MUJOCO_GL", _backend())  # read when mujoco is first imported
