"""Our official kind of figures against those that the SegmentMeIfYouCan code gave for the same score maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.metrics.components import ANOMALY_SIZES, F1_THRESHOLDS, OBSTACLE_SIZES, PooledComponents, frame_components
from eval.metrics.official import PooledBins, figures_of, frame_bins

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden"
pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="../shared/golden is absent")

FRAMES = 10
TOLERANCE = 1e-3
CASES = [
    (file, f"{track}_q{quality}")
    for file in ("smiyc_metrics", "smiyc_metrics_rare")
    for track in ("anomaly", "obstacle")
    for quality in ("0.6", "1.2")
]


@pytest.mark.parametrize(("file", "case"), CASES)
def test_every_official_figure(file: str, case: str) -> None:
    wanted = json.loads((GOLDEN / f"{file}.json").read_text())[case]
    with np.load(GOLDEN / f"{file}.npz") as arrays:
        pairs = [
            (arrays[f"{case}_score_{k}"].astype(np.float32), np.asarray(arrays[f"label_{k}"])) for k in range(FRAMES)
        ]
    curve = PooledBins([frame_bins(np.sort(s[y == 1]), np.sort(s[y == 0])) for s, y in pairs]).curve()
    assert curve is not None
    pixel = figures_of(curve)
    sizes = ANOMALY_SIZES if case.startswith("anomaly") else OBSTACLE_SIZES
    pooled = PooledComponents([frame_components(s > pixel.best_f1_threshold, y, sizes) for s, y in pairs])
    component, counts = pooled.figures(), pooled.counts()
    at = {
        name: int(np.argmin(np.abs(F1_THRESHOLDS - value))) for name, value in (("25", 0.25), ("50", 0.5), ("75", 0.75))
    }
    got = {
        "average_precision": pixel.ap,
        "auroc": pixel.auroc,
        "fpr_at_95_tpr": pixel.fpr95,
        "best_f1": pixel.best_f1,
        "best_f1_threshold": pixel.best_f1_threshold,
        "siou_gt": component.siou,
        "ppv": component.ppv,
        **{f"f1_{name}": component.f1[k] for name, k in at.items()},
        "f1_mean": component.f1_mean,
        **{f"{kind}_50": counts[kind][at["50"]] for kind in ("tp", "fp", "fn")},
    }
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        assert got[name] == (None if value is None else pytest.approx(value, abs=TOLERANCE)), name
