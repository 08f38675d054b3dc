"""The things the pipeline asks of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from airside.engine.bundle import Manifest
from airside.geometry.bev_view import BevView


@dataclass(frozen=True, slots=True)
class NetworkOutput:
    """One backbone pass. ``tokens`` [N, Hp, Wp, C] float32, unit length.

    ``depth`` [N, Hd, Wd] float32: metres along the optical axis AS IF seen through ``manifest.depth_focal_px`` at the
    network's size; times the camera's own fx there, over ``depth_focal_px``, it is metric. ``None`` where the bundle
    has no depth. Hd and Wd are multiples of the patch grid.
    """

    tokens: np.ndarray
    depth: np.ndarray | None


@dataclass(frozen=True, slots=True)
class BevMaps:
    """The bird's-eye view of one rig. ``layers`` [L, X, Y] float32 probabilities in [0, 1], as ``manifest.bev.layers``
    names them, on ``manifest.bev.grid``; ``depth_probability`` [N, D, Hp, Wp] float32 over ``manifest.bev.bins``."""

    layers: np.ndarray
    depth_probability: np.ndarray


class Engine(Protocol):
    """Runs one model bundle."""

    @property
    def manifest(self) -> Manifest: ...

    def tokens(self, images: np.ndarray) -> np.ndarray:
        """``images`` [N, H, W, 3] uint8 RGB at the bundle's size -> tokens [N, Hp, Wp, C] float32, unit length."""
        ...

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        """The same pass, with everything the network gives."""
        ...

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
        """The bird's-eye view of :meth:`outputs`' tokens [N, Hp, Wp, C], seen by the N cameras of ``view``.

        ``measured`` [N, D, Hp, Wp] float32: the share of a patch's pixels in each of ``manifest.bev.bins`` by their
        metric depth (:func:`airside.geometry.lift_map.depth_probability_from_metric`), zeros where nothing is known of
        it; ``None``: nowhere.

        Raises :class:`airside.errors.UsageError` where the bundle has none, :class:`airside.errors.MismatchError` where
        tokens, view or measured are not of its grid, bins and patches.
        """
        ...
