"""JSON lines: what is written can be read, and nothing false or half is ever written."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airside.alerts.jsonl import JsonLinesWriter, json_line, read_records
from airside.errors import CorruptError, InputError, StorageError
from airside.messages import (
    Health,
    HealthState,
    Kind,
    Level,
    Placement,
    RangeSource,
    Region,
    Sighting,
    TickRecord,
)
from tests.records import alert, tick_record

INFINITE = Placement(1.0, 0.0, (1.0, 0.0, 0.0), RangeSource.DEPTH, ((np.inf, 1.0),) * 3)
REGION = Region(
    Kind.UNKNOWN, "belt_loader", np.float32(0.41), 0.97, 12.5, (1.0, 2.0, 30.0, 40.0),  # type: ignore[arg-type]
    np.array([[1.04, 2.06], [30, 2], [30, 40]], np.float32),
)  # fmt: skip
CORNERS = ((9.0, 1.0), (9.0, 2.5), (10.256, 2.5))
SIGHTING = Sighting(
    "front",
    REGION,
    Placement(9.4, 0.2, (9.2, 1.9, 0.0), RangeSource.BOTH, CORNERS),
    Level.STOP,
    ("unknown_in_stop_distance",),
)


def record(tick: int = 0, *sightings: Sighting, **changes: Any) -> TickRecord:
    plain = tick_record(
        tick,
        health=Health(HealthState.DEGRADED, ("novel_scene",)),
        sightings=sightings,
        timing_ms={"engine": 31.23456},
    )
    return dataclasses.replace(plain, **changes)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    with JsonLinesWriter(path) as writer:
        writer.write(record(0, SIGHTING, dataclasses.replace(SIGHTING, placement=None, level=Level.NOTICE)))
        assert len(read_records(path)) == 1  # there before the file is closed
        writer.write(record(1))
    writer.close()
    first, second = read_records(path)
    assert first["schema"] == 2
    assert (first["level"], first["level_name"]) == (4, "STOP")
    assert first["health"] == {"state": "DEGRADED", "reasons": ["novel_scene"]}
    sighting = first["sightings"][0]
    assert sighting["name"] == "unknown"
    assert sighting["similarity"] == 0.41
    assert sighting["outline_px"] == [[1.0, 2.1], [30.0, 2.0], [30.0, 40.0]]
    assert sighting["placement"] == {
        "range_m": 9.4, "bearing_rad": 0.2, "xyz_ego_m": [9.2, 1.9, 0.0], "source": "both",
        "footprint_xy_m": [[9.0, 1.0], [9.0, 2.5], [10.26, 2.5]],
        "covariance_m2": [0.0, 0.0, 0.0], "height_m": 0.0,
    }  # fmt: skip
    assert first["cameras"] == [{"camera": "front", "health": first["health"], "capture_ns": 1, "observed": True}]
    assert first["sightings"][1]["placement"] is None
    assert (second["level"], second["sightings"]) == (0, [])
    assert second["timing_ms"] == {"engine": 31.235}


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        (record(0, timing_ms={"engine": float("nan")}), "record.timing_ms.engine is nan"),
        (record(0, dataclasses.replace(SIGHTING, region=dataclasses.replace(REGION, similarity=np.nan))), "similarity"),
        (record(0, dataclasses.replace(SIGHTING, placement=Placement(np.inf, 0, (0, 0, 0)))), "range_m is inf"),
        (
            record(0, dataclasses.replace(SIGHTING, placement=INFINITE)),
            r"footprint_xy_m\[0\]\[0\] is inf",
        ),
        (
            record(0, dataclasses.replace(SIGHTING, region=dataclasses.replace(REGION, outline_px=[[np.nan, 1.0]]))),
            r"outline_px\[0\]\[0\]",
        ),
    ],
)  # fmt: skip
def test_numbers_that_are_not_finite_are_not_published(tmp_path: Path, bad: TickRecord, where: str) -> None:
    with JsonLinesWriter(tmp_path / "a.jsonl") as writer, pytest.raises(InputError, match=where):
        writer.write(bad)
    assert read_records(tmp_path / "a.jsonl") == []


def test_full_disk() -> None:
    with JsonLinesWriter("/dev/full") as writer, pytest.raises(StorageError, match="No space left"):
        writer.write(record())


def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    length = len(json_line(record()))
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with JsonLinesWriter(path) as writer:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2 * length, old_limit[1]))  # one line and most of another
            writer.write(record(0))
            with pytest.raises(StorageError, match="File too large"):
                writer.write(record(1))
            resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
            assert [r["tick"] for r in read_records(path)] == [0]
            writer.write(record(2))  # space again
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert [r["tick"] for r in read_records(path)] == [0, 2]


def test_places_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        JsonLinesWriter(tmp_path / "none" / "a.jsonl")
    with pytest.raises(StorageError, match="Is a directory"):
        JsonLinesWriter(tmp_path)
    with pytest.raises(StorageError, match="No such file"):
        read_records(tmp_path / "a.jsonl")


def test_a_failing_close_is_told(tmp_path: Path) -> None:
    writer = JsonLinesWriter(tmp_path / "a.jsonl")
    os.close(writer._file.fileno())
    with pytest.raises(StorageError, match="Bad file descriptor"):
        writer.close()


def line(**changes: Any) -> str:
    value = json.loads(json_line(record(5, SIGHTING)))
    value.update(changes)
    return json.dumps({key: part for key, part in value.items() if part != "drop"})


def sighting(**changes: Any) -> list[dict[str, Any]]:
    one: dict[str, Any] = json.loads(json_line(record(5, SIGHTING)))["sightings"][0]
    return [{key: part for key, part in (one | changes).items() if part != "drop"}]


def placement(**changes: Any) -> dict[str, Any]:
    one: dict[str, Any] = sighting()[0]["placement"]
    return {key: part for key, part in (one | changes).items() if part != "drop"}


def alert_entry(**changes: Any) -> list[dict[str, Any]]:
    one: dict[str, Any] = json.loads(json_line(tick_record(5, alerts=(alert(),))))["alerts"][0]
    return [{key: part for key, part in (one | changes).items() if part != "drop"}]


def test_an_alert_tells_its_track() -> None:
    value = json.loads(json_line(tick_record(5, alerts=(alert(x_m=3.0, y_m=4.0),))))
    assert (value["level"], value["predicted"]) == (4, False)
    assert value["alerts"] == [
        {
            "id": 1, "kind": "unknown", "name": "unknown", "nearest_class": "cone", "protected": False,
            "confirmed": True, "faint": False, "range_m": 5.0, "bearing_rad": 0.9273, "xy_ego_m": [3.0, 4.0],
            "velocity_mps": [-2.0, 0.0], "covariance_m2": [0.5, 0.0, 0.1],
            "footprint_xy_m": [[9.0, 1.0], [9.0, 2.5], [10.26, 2.5], [10.26, 1.0]], "height_m": 1.2,
            "similarity": 0.41, "ood_score": 0.93, "cameras": ["front"], "first_ns": 0, "seen_ns": 1, "level": 4,
            "level_name": "STOP", "reasons": ["unknown_in_stop_distance"],
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line(), "last line is incomplete"),
        ("\n", "line 1"),
        ("nonsense\n", "line 1"),
        ("[1]\n", "not an object"),
        (line() + "\n" + line() + "\n", "line 2: tick 5 does not follow 5"),
        (line(tick="drop") + "\n", "lacks 'tick'"),
        (line(tick="5") + "\n", "tick has the wrong type"),
        (line(tick=True) + "\n", "tick has the wrong type"),
        (line(valid=1) + "\n", "valid has the wrong type"),
        (line(schema=1) + "\n", "schema 1 is not 2"),
        (line(level=0) + "\n", "level 0 is not that of the alerts and sightings, 4"),
        (line(health={"state": "FINE"}) + "\n", "no known state"),
        (line(timing_ms={"engine": float("nan")}) + "\n", "NaN is no JSON number"),
        (line(timing_ms={"engine": 12345.5}).replace("12345.5", "1e999") + "\n", "engine is not finite"),
        (line(sightings=sighting(reasons="drop")) + "\n", r"sightings\[0\] lacks 'reasons'"),
        (line(sightings=sighting(similarity=None)) + "\n", "similarity has the wrong type"),
        (line(sightings=sighting(kind="odd")) + "\n", "kind 'odd' is unknown"),
        (line(sightings=sighting(level=9), level=9) + "\n", "level 9"),
        (line(sightings=sighting(placement={})) + "\n", r"placement lacks 'range_m'"),
        (line(sightings=sighting(placement=placement(range_m="9"))) + "\n", "range_m has the wrong type"),
        (line(sightings=sighting(placement=placement(source="lidar"))) + "\n", "source 'lidar' is unknown"),
        (line(sightings=sighting(placement=placement(footprint_xy_m=[[1, 2], [3, 4]]))) + "\n", "is no polygon"),
        (line(sightings=sighting(placement=placement(footprint_xy_m=[[1], [2], [3]]))) + "\n", "is no polygon"),
        (line(sightings=sighting(placement=placement(footprint_xy_m=[[1, "2"]] * 3))) + "\n", "is no polygon"),
        (line(sightings=sighting(placement=placement(footprint_xy_m=5))) + "\n", "footprint_xy_m has the wrong type"),
        (line(sightings=sighting(camera="drop")) + "\n", r"sightings\[0\] lacks 'camera'"),
        (line(cameras=[{"camera": "front"}]) + "\n", r"cameras\[0\] lacks 'health'"),
        (line(alerts=alert_entry(id=1.5)) + "\n", r"alerts\[0\].id has the wrong type"),
        (line(alerts=alert_entry(kind="odd")) + "\n", "kind 'odd' is unknown"),
        (line(alerts=alert_entry(footprint_xy_m=[[1, 2]])) + "\n", "is no polygon"),
        (
            line(alerts=alert_entry(level=3), level=3, sightings=[]).replace('"level": 3', '"level": 2', 1) + "\n",
            "level",
        ),
        ("[" * 100_000 + "\n", "line 1"),
    ],
)
def test_bad_lines_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(CorruptError, match=message):
        read_records(path)


def test_1000_mutated_files_raise_only_our_own_errors(tmp_path: Path) -> None:
    draw, path, refused = random.Random(9), tmp_path / "a.jsonl", 0
    good = (json_line(record(0, SIGHTING, alerts=(alert(),))) + "\n" + json_line(record(1)) + "\n").encode()
    for _ in range(1000):
        data = bytearray(good)
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(len(data))] = draw.choice(b'{}[]:,"0129-.eEnaN\x00\xff\n ')
        if draw.random() < 0.3:
            del data[draw.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            read_records(path)
        except CorruptError:
            refused += 1
    assert refused > 500
