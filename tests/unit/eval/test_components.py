from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from eval.metrics.components import (
    ANOMALY_SIZES,
    ComponentSizes,
    FrameComponents,
    PooledComponents,
    frame_components,
)

ALL = ComponentSizes(predicted_px=1, true_px=1)


def components_reference(flagged: np.ndarray, label: np.ndarray, sizes: ComponentSizes) -> FrameComponents:
    """The definition, one component at a time."""
    eight = np.ones((3, 3))
    true, true_count = ndimage.label(label == 1, eight)
    predicted, count = ndimage.label(flagged & (label != 255), eight)
    predicted[np.isin(predicted, [k for k in range(1, count + 1) if (predicted == k).sum() < sizes.predicted_px])] = 0
    small = [k for k in range(1, true_count + 1) if (true == k).sum() < sizes.true_px]
    seen = (label != 255) & ~np.isin(true, small)
    true, predicted = true[seen], predicted[seen]
    siou = []
    for k in sorted(set(true.tolist()) - {0}):
        touching = np.isin(predicted, sorted(set(predicted[true == k].tolist()) - {0}))
        hit = (touching & (true == k)).sum()
        union = (touching | (true == k)).sum() - (touching & (true != k) & (true != 0)).sum()
        siou.append(hit / union)
    ppv = [(true[predicted == k] > 0).mean() for k in sorted(set(predicted.tolist()) - {0})]
    return FrameComponents(np.array(siou), np.array(ppv))


@pytest.mark.parametrize("seed", range(12))
def test_fast_components_are_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(2, 60, 80)), (0, 2.0, 2.0))
    label = (noise[0] > 0.15).astype(np.uint8)
    label[:8] = 255
    flagged = noise[0] * 0.7 + noise[1] > 0.12
    sizes = ComponentSizes(predicted_px=12, true_px=20) if seed % 2 else ALL
    got, wanted = frame_components(flagged, label, sizes), components_reference(flagged, label, sizes)
    np.testing.assert_allclose(np.sort(got.siou), np.sort(wanted.siou))
    np.testing.assert_allclose(np.sort(got.ppv), np.sort(wanted.ppv))
    assert len(got.siou) > 3


def test_what_touches_nothing_has_no_precision_and_small_truth_is_ignored() -> None:
    label = np.zeros((40, 40), np.uint8)
    label[2:4, 2:4] = 1  # 4 px: under the size
    label[20:30, 20:30] = 1
    flagged = np.zeros((40, 40), bool)
    flagged[20:30, 20:25] = True
    flagged[35:38, 2:8] = True
    flagged[2:4, 2:4] = True  # on the small one: ignored with it
    found = frame_components(flagged, label, ComponentSizes(predicted_px=4, true_px=10))
    np.testing.assert_allclose(found.siou, [0.5])
    np.testing.assert_allclose(np.sort(found.ppv), [0.0, 1.0])


def test_diagonal_pixels_are_one_component() -> None:
    label = np.eye(20, dtype=np.uint8)
    assert len(frame_components(label == 1, label, ALL).siou) == 1


def test_no_truth_and_no_prediction_are_null() -> None:
    empty = np.zeros((40, 40), np.uint8)
    truth = empty.copy()
    truth[5:35, 5:35] = 1
    nothing = PooledComponents([frame_components(empty == 1, empty, ANOMALY_SIZES)]).figures()
    assert (nothing.siou, nothing.ppv, nothing.f1_mean) == (None, None, None)
    missed = PooledComponents([frame_components(empty == 1, truth, ANOMALY_SIZES)]).figures()
    assert (missed.siou, missed.ppv, missed.f1_mean) == (0.0, None, 0.0)
    false = PooledComponents([frame_components(truth == 1, empty, ANOMALY_SIZES)]).figures()
    assert (false.siou, false.ppv, false.f1_mean) == (None, 0.0, 0.0)


def test_weights_count_frames() -> None:
    frames = [FrameComponents(np.array([0.9, 0.1]), np.array([0.2])), FrameComponents(np.array([0.6]), np.zeros(0))]
    doubled = PooledComponents([frames[0], frames[1], frames[1]]).figures()
    assert PooledComponents(frames).figures(np.array([1, 2])) == doubled
    assert doubled.f1[0] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
