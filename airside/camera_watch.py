"""Whether a camera's newest frame may be used: fresh, of the right shape, alive. One small memory per camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from airside.config import SiteConfig
from airside.geometry.camera_model import same_shape
from airside.health import OK, frozen_count, frozen_health, picture_health, worst
from airside.messages import CameraStatus, Frame, Health, HealthState

AHEAD_NS = 100_000_000  # a frame from further in the future has a clock of its own


@dataclass(frozen=True, slots=True)
class Watched:
    """What is remembered of a camera between ticks."""

    index: int | None = None  # of the newest frame looked at
    image: np.ndarray | None = None
    same: int = 0  # equal pictures in a row
    health: Health = OK  # what that frame was found to be worth


def judged(
    name: str, frame: Frame | None, watched: Watched, now_ns: int, site: SiteConfig, size_px: tuple[int, int] | None
) -> tuple[CameraStatus, Watched]:
    """The camera's status, ``observed`` where ``frame`` is new and may be looked at, and what to remember.

    A frame that an earlier tick has seen shows nothing new: the camera is what that tick found, until it is stale.
    ``size_px``: width and height, at any scale, of the camera's frames; ``None``: any.
    """
    if frame is None:
        return CameraStatus(name, _blind("no_frame"), None, observed=False), watched
    clock = _clock_health(frame.capture_ns, now_ns, site)
    if clock.state is HealthState.BLIND:
        return CameraStatus(name, clock, frame.capture_ns, observed=False), watched
    if frame.index == watched.index:
        return CameraStatus(name, watched.health, frame.capture_ns, observed=False), watched
    shape = _shape_health(frame.image, size_px)
    if shape.state is HealthState.BLIND:
        refused = replace(watched, index=frame.index, health=shape)
        return CameraStatus(name, shape, frame.capture_ns, observed=False), refused
    same = frozen_count(frame.image, watched.image, watched.same)
    health = worst(picture_health(frame.image), frozen_health(same))
    return (
        CameraStatus(name, health, frame.capture_ns, observed=health.state is not HealthState.BLIND),
        Watched(frame.index, frame.image, same, health),
    )


def remembered(watched: Watched, found: Health) -> Watched:
    """``watched`` after its newest frame has been looked at, which ``found`` more about it."""
    return replace(watched, health=worst(watched.health, found))


def _clock_health(capture_ns: int, now_ns: int, site: SiteConfig) -> Health:
    if capture_ns > now_ns + AHEAD_NS:
        return _blind("clock_ahead")
    return _blind("stale") if now_ns - capture_ns > site.stale_ms * 1_000_000 else OK


def _shape_health(image: np.ndarray, size_px: tuple[int, int] | None) -> Health:
    if size_px is None:
        return OK
    taken = image.shape[1], image.shape[0]
    return OK if same_shape(taken, size_px) else _blind("wrong_size")


def _blind(reason: str) -> Health:
    return Health(HealthState.BLIND, (reason,))
