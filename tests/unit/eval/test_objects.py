import numpy as np
import pytest
from scipy.stats import binomtest

from eval.metrics.objects import ObjectAccumulator, ObjectFinding, Recall, clean_alarm_rate, find_objects


def test_cover_of_a_quarter_finds_an_object() -> None:
    instance = np.zeros((40, 40), np.int32)
    instance[:10, :10], instance[20:30, 20:40] = 3, 7
    flagged = np.zeros((40, 40), bool)
    flagged[0:5, 0:5] = True  # exactly a quarter, in one piece
    flagged[20, 20:30] = flagged[29, 20:30] = True  # a tenth, in two pieces
    first, second = find_objects(instance, flagged, (3, 7, 99), patch_area_px=10)
    assert (first.instance, first.patches, first.covered, first.found) == (3, 10.0, 0.25, True)
    assert (second.instance, second.patches, second.covered, second.found) == (7, 20.0, 0.1, False)
    assert find_objects(instance, flagged, (7,), 10) == [second]
    assert [f.found for f in find_objects(instance, ~flagged, (3, 7), 10)] == [True, True]


def test_recall_by_size() -> None:
    sizes = [3.9, 4, 9.9, 10, 20.9, 21, 50.9, 51, 400]
    accumulator = ObjectAccumulator()
    for index, patches in enumerate(sizes):
        accumulator.add([ObjectFinding(index, patches, covered=1.0 if index % 2 else 0.1)])
    assert accumulator.recall_by_patches() == {
        "4-9": Recall(1, 2),
        "10-20": Recall(1, 2),
        "21-50": Recall(1, 2),
        "51+": Recall(1, 2),
    }
    assert accumulator.recall() == Recall(4, 8)
    assert accumulator.recall(at_least=21).rate == 0.5
    assert ObjectAccumulator().recall().rate is None


@pytest.mark.parametrize(("alarms", "frames"), [(0, 50), (1, 100), (7, 1000), (50, 50), (1, 1)])
def test_interval_equals_scipys(alarms: int, frames: int) -> None:
    for confidence in (0.9, 0.95):
        got = clean_alarm_rate(alarms, frames, confidence)
        wanted = binomtest(alarms, frames).proportion_ci(confidence, method="exact")
        assert (got.low, got.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
        assert got.low <= got.rate <= got.high


@pytest.mark.parametrize(("alarms", "frames", "confidence"), [(0, 0, 0.95), (5, 4, 0.95), (-1, 4, 0.95), (1, 4, 1.0)])
def test_rate_refuses(alarms: int, frames: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="out of frames"):
        clean_alarm_rate(alarms, frames, confidence)


def test_objects_refuse() -> None:
    instance, flagged = np.zeros((4, 4), int), np.zeros((4, 4), bool)
    with pytest.raises(ValueError, match="bool mask"):
        find_objects(instance, flagged[:2], (1,), 196)
    with pytest.raises(ValueError, match="bool mask"):
        find_objects(instance, flagged.astype(float), (1,), 196)
    with pytest.raises(ValueError, match="area"):
        find_objects(instance, flagged, (1,), 0)
