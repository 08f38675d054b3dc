"""What one site decided: distances for the alert rules, and when a result is too old or too strange to use."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from airside.config.strict import load_settings, require


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """What one site decided: distances for the alert rules, and when a result is too old or too strange to use."""

    corridor_half_width_m: float = 2.0  # the vehicle's path: |y| up to here
    stop_distance_m: float = 15.0
    slow_distance_m: float = 27.0
    caution_distance_m: float = 40.0
    tick_ms: int = 200
    expires_ms: int = 600  # an alert older than this is worth nothing
    bev_every: int = 2  # ticks from one bird's-eye view to the next; in between the last one is shown
    min_patches: float = 4.0  # smaller regions are not reported
    scene_novelty_limit: float = 0.5  # share of the observed patches; beyond it the scene is new, not the objects

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            require(value > 0, f"{field.name}: must be positive, got {value}")
        require(
            self.stop_distance_m < self.slow_distance_m < self.caution_distance_m,
            "stop_distance_m < slow_distance_m < caution_distance_m must hold, got "
            f"{self.stop_distance_m:g}, {self.slow_distance_m:g}, {self.caution_distance_m:g}",
        )
        require(
            self.expires_ms >= self.tick_ms,
            f"expires_ms: must be at least tick_ms ({self.tick_ms}), got {self.expires_ms}: "
            "an alert would expire before the next one comes",
        )
        require(
            self.scene_novelty_limit <= 1, f"scene_novelty_limit: a share, at most 1, got {self.scene_novelty_limit}"
        )


def load_site(path: str | Path) -> SiteConfig:
    """The site in the YAML file ``path``; :class:`UsageError` says what is wrong and where."""
    return load_settings(SiteConfig, Path(path))
