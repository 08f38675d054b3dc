"""A tick as a picture, of one camera or of a whole rig."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from airside.cameras.fit import fit_to_network
from airside.config import RigConfig, SiteConfig
from airside.messages import Frame, Occupancy
from airside.overlay import draw_overlay
from airside.overlay_bev import BevPanel
from airside.overlay_rig import draw_rig_overlay
from airside.pipeline import Tick

_NO_PICTURE = (224, 392, 3)  # shown where a camera has not given one yet
Picture = Callable[[Tick], np.ndarray]  # [H, W, 3] uint8 RGB


class CameraPicture:
    """One camera's picture with the map and the regions, beside it the view from above where it is ``mounted``; black,
    as large as the last one, where no picture was looked at."""

    def __init__(self, mounted: bool) -> None:
        self._mounted = mounted
        self._shape: tuple[int, ...] = _NO_PICTURE

    def __call__(self, tick: Tick) -> np.ndarray:
        if tick.views:
            view = tick.views[0]
            self._shape = view.frame.image.shape
            panel = BevPanel(view.view, tick.bev) if view.view is not None else None
            return draw_overlay(view.frame, view.net, view.pixel_score(), tick.record, tick.threshold, panel)
        record = tick.record
        frame = Frame(record.cameras[0].camera, np.zeros(self._shape, np.uint8), record.now_ns, record.tick)
        net = fit_to_network(frame.image, _NO_PICTURE[0], _NO_PICTURE[1], 14)
        panel = BevPanel(None, None) if self._mounted else None
        return draw_overlay(frame, net, np.zeros((16, 28), np.float32), record, tick.threshold, panel)


class RigPicture:
    """All cameras around the view from above; the occupancy is that of the latest tick that made one."""

    def __init__(self, rig: RigConfig, site: Callable[[], SiteConfig]) -> None:
        self._rig, self._site = rig, site
        self._occupancy: Occupancy | None = None

    def __call__(self, tick: Tick) -> np.ndarray:
        if tick.occupancy is not None:
            self._occupancy = tick.occupancy
        pictures = {view.frame.camera: view.frame.image for view in tick.views}
        return draw_rig_overlay(pictures, tick.record, self._occupancy, self._site(), self._rig)
