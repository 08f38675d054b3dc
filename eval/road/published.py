"""Results others published, as DESIGN section 11 records them: read beside ours, never re-run here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """Fractions in [0, 1]; ``None`` where the source gives none that is comparable."""

    method: str
    ap: float
    fpr95: float | None
    note: str


_TRACKS_NOTE = "on the hidden test set, not on the validation frames"

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "anomaly-track": (
        Published("UNO", 0.963, 0.020, _TRACKS_NOTE),
        Published("PixOOD (DINOv2-L)", 0.689, None, f"{_TRACKS_NOTE}; no outlier data"),
    ),
    "obstacle-track": (
        Published("AnomDINO + RbA", 0.971, 0.0003, f"{_TRACKS_NOTE}; F1* 0.928"),
        Published("PixOOD (DINOv2-L)", 0.889, None, f"{_TRACKS_NOTE}; no outlier data"),
        Published("PROWL", 0.7353, None, "its FPR column is not FPR95"),
    ),
    "road-anomaly": (
        Published("MultiShiftSeg", 0.902, 0.075, "with outlier data"),
        Published("cDNP (kNN)", 0.856, 0.098, "without outlier data"),
        Published("PROWL", 0.7525, None, "its FPR column is not FPR95"),
    ),
    "fishyscapes-laf": (Published("RbA", 0.708, 0.063, ""),),
    "fishyscapes-static": (
        Published("PROWL", 0.7027, None, "its FPR column is not FPR95"),
        Published("EoMT", 0.683, None, ""),
    ),
}
