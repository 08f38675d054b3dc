"""The one thing the pipeline asks of an engine."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from airside.engine.bundle import Manifest


class Engine(Protocol):
    """Runs one model bundle."""

    @property
    def manifest(self) -> Manifest: ...

    def tokens(self, images: np.ndarray) -> np.ndarray:
        """``images`` [N, H, W, 3] uint8 RGB at the bundle's size -> tokens [N, Hp, Wp, C] float32, unit length."""
        ...
