"""What the demo counts, on records made by hand; and, where the assets are built, the demo itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from airside.alerts.jsonl import read_records
from airside.assets import embedded_demo
from airside.commands.demo import Script, TrueObject, as_text, load_script, summarise
from airside.errors import CorruptError, UnavailableError
from airside.messages import Box, Kind, Level, Region, Sighting, TickRecord
from tests.records import tick_record

ROBOT_BOX, DRUM_BOX, FAR_BOX = (10.0, 10.0, 30.0, 20.0), (60.0, 10.0, 70.0, 30.0), (80.0, 80.0, 90.0, 90.0)
ROBOT, DRUM = TrueObject("robot", ROBOT_BOX, 9.0), TrueObject("drum", DRUM_BOX, 4.0)


def _seen(kind: Kind, nearest: str, box: Box) -> Sighting:
    outline = np.array([box[:2], (box[2], box[1]), box[2:]], np.float32)
    return Sighting("front", Region(kind, nearest, 0.5, 0.9, 4.0, box, outline), None, Level.NOTICE, ())


def _unknown(box: Box) -> Sighting:
    return _seen(Kind.UNKNOWN, "tug", box)


def _named(name: str, box: Box) -> Sighting:
    return _seen(Kind.KNOWN, name, box)


def _records(*ticks: tuple[Sighting, ...]) -> list[TickRecord]:
    return [tick_record(k, sightings=sightings) for k, sightings in enumerate(ticks)]


def _script(*truth: tuple[TrueObject, ...]) -> Script:
    return Script("robot", "drum", truth, ())


def test_counts() -> None:
    both = (ROBOT, DRUM)
    script = _script((), both, both, (ROBOT,))
    before = _records((_unknown(FAR_BOX),), (_unknown(ROBOT_BOX), _unknown(DRUM_BOX)), (_unknown(ROBOT_BOX),), ())
    after = _records(
        (_named("robot", FAR_BOX),),  # named where there is none
        (_named("robot", ROBOT_BOX), _unknown(DRUM_BOX)),
        (_named("robot", DRUM_BOX), _unknown(ROBOT_BOX)),  # the wrong one is named
        (_named("tug", ROBOT_BOX),),
    )
    assert summarise(script, before, after) == {
        "unknown_type": "robot",
        "other_unknown_type": "drum",
        "before": {"ticks": 4, "ticks_flagged": 2, "ticks_flagged_other": 1},
        "after": {
            "ticks": 4,
            "ticks_flagged": 1,
            "ticks_named": 3,
            "named_correctly": 1,
            "ticks_flagged_other": 1,
        },
    }


def test_two_regions_on_one_object_count_once() -> None:
    halves = (_unknown((10, 10, 20, 20)), _unknown((20, 10, 30, 20)))
    found = summarise(_script((ROBOT,)), _records(halves), _records(()))
    assert found["before"]["ticks_flagged"] == 1


@pytest.mark.parametrize(
    ("box", "same"),
    [
        (ROBOT_BOX, True),
        ((10, 10, 20, 20), True),  # half of it
        ((0, 0, 100, 100), True),  # it within a larger one
        ((24, 10, 44, 20), True),  # 30 % of either
        ((24.2, 10, 44.2, 20), False),
        ((30, 10, 50, 20), False),  # side by side
        ((10, 20, 30, 30), False),  # one above the other
        ((50, 50, 60, 60), False),  # apart both ways: two negative sides make no area
    ],
)
def test_when_two_boxes_are_the_same_object(box: Box, same: bool) -> None:
    found = summarise(_script((ROBOT,)), _records((_unknown(box),)), _records((_named("robot", box),)))
    assert found["before"]["ticks_flagged"] == found["after"]["named_correctly"] == same
    assert found["after"]["ticks_named"] == 1


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (3, 2), (2, 3)])
def test_as_many_records_as_ticks(before: int, after: int) -> None:
    with pytest.raises(ValueError, match="argument"):
        summarise(_script((), ()), _records(*[()] * before), _records(*[()] * after))


def _raw() -> dict[str, Any]:
    return {
        "unknown_type": "robot",
        "other_type": "drum",
        "truth": [[], [{"type": "robot", "box_px": [1, 2, 3, 4], "patches": 2.5}]],
        "support": [{"file": "robot_1.jpg", "box_px": [5, 6, 7, 8]}],
    }


def test_a_script_is_read(tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text(json.dumps(_raw()))
    assert load_script(tmp_path) == Script(
        "robot",
        "drum",
        ((), (TrueObject("robot", (1, 2, 3, 4), 2.5),)),
        ((tmp_path / "support" / "robot_1.jpg", (5, 6, 7, 8)),),
    )


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        "5",
        "{}",
        *(json.dumps({k: v for k, v in _raw().items() if k != gone}) for gone in _raw()),
        json.dumps(_raw() | {"truth": 5}),
        json.dumps(_raw() | {"truth": [[{"type": "robot"}]]}),
        json.dumps(_raw() | {"truth": [[{"type": "robot", "box_px": 5, "patches": 1}]]}),
        json.dumps(_raw() | {"support": [{"file": 5, "box_px": [1, 2, 3, 4]}]}),
    ],
)
def test_refuses_a_damaged_script(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "script.json").write_text(text)
    with pytest.raises(CorruptError, match=r"embedded demo in .* is damaged .*install the airside wheel again"):
        load_script(tmp_path)


def test_the_table_says_the_counts() -> None:
    summary = summarise(_script((ROBOT, DRUM)), _records((_unknown(ROBOT_BOX),)), _records((_unknown(DRUM_BOX),)))
    summary |= {"register_ms": 123.4, "throughput_hz": 9.87, "stage_ms": {"fit": 0.1, "network": 40.0}}
    rows = [line.split() for line in as_text(summary, Path("o")).splitlines()]
    assert ["robot", "unknown", "1", "0"] in rows
    assert ["drum", "unknown", "0", "1"] in rows
    assert "registered in 123 ms; 9.9 ticks a second" in as_text(summary, Path("o"))
    assert "network 40.0 ms" in as_text(summary, Path("o"))


def test_the_embedded_demo(tmp_path: Path, airside: Callable[..., SimpleNamespace]) -> None:
    try:
        embedded_demo()
    except UnavailableError as error:
        pytest.skip(f"{error}; built by: python -m prototypes embed --checkpoint FILE")
    out = tmp_path / "out"
    answer = airside("demo", "--out", out)
    assert answer.code == 0, answer.err
    summary = json.loads((out / "summary.json").read_text())
    assert {"unknown_type", "before", "register_ms", "after", "throughput_hz"} <= summary.keys()
    before, after = summary["before"], summary["after"]
    assert {"ticks", "ticks_flagged"} <= before.keys()
    assert {"ticks", "ticks_flagged", "ticks_named", "named_correctly", "ticks_flagged_other"} <= after.keys()
    assert before["ticks"] == after["ticks"] > 0
    assert before["ticks_flagged"] > 0
    assert after["named_correctly"] > 0
    assert after["ticks_flagged_other"] > 0
    assert after["ticks_flagged"] < before["ticks_flagged"]
    for part in ("before", "after"):
        assert len(read_records(out / part / "alerts.jsonl")) == before["ticks"]
        assert (out / part / "overlay.mp4").stat().st_size > 0
    assert (out / "before_after.png").stat().st_size > 0
