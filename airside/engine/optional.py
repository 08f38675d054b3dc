"""Libraries that not every installation has."""

from __future__ import annotations

import importlib
from typing import Any

from airside.errors import UnavailableError


def optional_library(module: str, install: str) -> Any:
    """Import ``module``; ``install`` is what brings it.

    Raises :class:`UnavailableError` where it does not load: not there, damaged, or built for another machine.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # a library that does not fit raises whatever it likes
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise UnavailableError(
            f"{module} does not load ({said}); run: pip install --force-reinstall '{install}', or use another engine"
        ) from error
