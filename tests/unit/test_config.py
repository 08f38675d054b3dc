"""Settings files: the shipped ones load, and nothing doubtful does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from airside.config import RigConfig, SiteConfig, load_rig, load_site, site_from_text, site_text
from airside.config.site import ZoneConfig
from airside.errors import UsageError
from airside.geometry.ground import ground_point_from_uv

CONFIGS = Path(__file__).parents[2] / "configs"
RIG = yaml.safe_load((CONFIGS / "rigs" / "front.yaml").read_text())


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def test_shipped_rig() -> None:
    camera = load_rig(CONFIGS / "rigs" / "front.yaml").camera("front")
    left, right = camera.pinhole.ray_cam_from_uv(np.array([[-0.5, 111.5], [391.5, 111.5]]))
    assert np.degrees(np.arccos(left @ right)) == pytest.approx(90)
    mount = camera.ego_from_cam.transform
    np.testing.assert_allclose(mount.translation_m, (1.2, 0, 1.8))
    point = ground_point_from_uv((195.5, 111.5), camera.pinhole, mount)  # 3 degrees down from 1.8 m
    assert point is not None
    assert point[0] == pytest.approx(1.2 + 1.8 / np.tan(np.radians(3)))


def test_a_recorded_site_is_the_same_and_opens_as_a_file(tmp_path: Path) -> None:
    site = SiteConfig(zone="ramp", zones=(ZoneConfig("ramp", 12.5, 1.75),), reaction_s=0.1 + 0.2, tick_ms=150)
    assert site_from_text(site_text(site)) == site
    assert load_site(write(tmp_path, site_text(site))) == site


@pytest.mark.parametrize("text", ["", "{", "[]", "{}x", '{"zone": 3}', '{"zones": []}', '{"speed": 1}', "[" * 10_000])
def test_a_recorded_site_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        site_from_text(text)


def test_shipped_site_names_every_setting_with_its_default() -> None:
    path = CONFIGS / "sites" / "default.yaml"
    assert load_site(path) == SiteConfig()
    assert set(yaml.safe_load(path.read_text())) == {field.name for field in dataclasses.fields(SiteConfig)}


def test_an_empty_table_is_the_default_site(tmp_path: Path) -> None:
    assert load_site(write(tmp_path, "{}")) == SiteConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file: wanted keys and values, got nothing"),
        ("- 1", "the file: wanted keys and values, got a list"),
        ("reaction: 3.0", "unknown key 'reaction'; did you mean 'reaction_s'"),
        ("7: 3.0", "unknown key 7; did you mean"),
        ("reaction_s: far", "reaction_s: wanted a number, got text 'far'"),
        ("reaction_s: true", "reaction_s: wanted a number, got true or false"),
        ("reaction_s: .nan", "reaction_s: wanted a finite number"),
        ("reaction_s: .inf", "reaction_s: wanted a finite number"),
        ("reaction_s: 1" + "0" * 400, "reaction_s: wanted a finite number"),
        ("reaction_s: null", "reaction_s: wanted a number, got nothing"),
        ("tick_ms: 200.0", "tick_ms: wanted a whole number, got a number"),
        ("tick_ms: true", "tick_ms: wanted a whole number, got true or false"),
        ("tick_ms: 0", "tick_ms: must be positive"),
        ("tick_ms: -200", "tick_ms: must be positive"),
        ("nearest_m: 0", "nearest_m: must be positive"),
        ("soft_braking_mps2: 4.0", "soft_braking_mps2 < hard_braking_mps2 must hold, got 4, 3"),
        ("stale_ms: 100", "stale_ms: must be at least tick_ms"),
        ("zone: taxiway", "there is no 'taxiway' among the zones: road, stand"),
        ("zones: []", "zone: there is no 'road' among the zones: none"),
        ("zones: [{name: road, speed_kmh: 25.0}, {name: road, speed_kmh: 5.0}]", "zones: names must differ"),
        ("zones: [{name: road, speed_kmh: 0}]", r"zones\[0\]: speed_kmh: must be positive"),
        ("rules: []", r"rules: a row with when: \[unknown\] alone is needed"),
        ("rules: [{level: HALT, reason: a, when: [unknown]}]", r"rules\[0\]: level: wanted one of NONE"),
        ("rules: [{level: STOP, reason: a, when: [new]}]", r"rules\[0\]: when: no such fact: new"),
        ("rules: [{level: STOP, reason: a, when: [unknown, protected]}]", "resembles decides nothing"),
        ("rules: [{level: STOP, reason: a, when: [unknown], within: near}]", "within: wanted stop, slow, caution"),
        ("rules: [{level: NONE, reason: a, when: [unknown]}]", "what is unknown is at least NOTICE; lower: a"),
        ("rules: [{level: STOP, reason: a, when: [unknown]}]", r"rules: a row with when: \[known\] alone"),
        ("expires_ms: 100", "expires_ms: must be at least tick_ms"),
        ("scene_novelty_limit: 1.5", "scene_novelty_limit: a share"),
        ("tick_ms: 200\ntick_ms: 100", "key 'tick_ms' is given twice"),
        ("tick_ms: [", "not valid YAML"),
        ("tick_ms: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("a: &a [1, 1]\nb: &b [*a, *a]", "unknown key 'a'"),
        ("tick_ms: 2026-99-99", "not valid YAML"),
        ("? [1, 2]\n: 3", "not valid YAML|unknown key"),
    ],
)
def test_site_refusals(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError, match=message) as caught:
        load_site(path)
    assert str(path) in str(caught.value)


def changed(**changes: object) -> str:
    """The shipped rig with values of its camera replaced; ``None`` leaves the key out."""
    camera = RIG["cameras"][0] | changes
    return yaml.safe_dump({"cameras": [{key: value for key, value in camera.items() if value is not None}]})


MOUNT = RIG["cameras"][0]["ego_from_cam"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cameras: []", "cameras: at least one"),
        ("cameras: {name: front}", "cameras: wanted a list, got keys and values"),
        ("cameras: [front]", r"cameras\[0\]: wanted keys and values, got text"),
        (changed(fx=None), r"cameras\[0\]: the key 'fx' is missing"),
        (changed(focal=1.0), r"cameras\[0\]: unknown key 'focal'"),
        (changed(fx=0.0), r"cameras\[0\]: camera fx must be positive"),
        (changed(width=392.0), r"cameras\[0\].width: wanted a whole number"),
        (changed(name=""), r"cameras\[0\]: name: must not be empty"),
        (changed(name=5), r"cameras\[0\].name: wanted text"),
        (changed(max_range_m=0), r"max_range_m: must be positive"),
        (changed(ego_from_cam=[1, 2]), r"cameras\[0\].ego_from_cam: wanted keys and values"),
        (changed(ego_from_cam=MOUNT | {"xyz_m": [1, 2]}), r"ego_from_cam.xyz_m: wanted 3 values, got 2"),
        (changed(ego_from_cam=MOUNT | {"xyz_m": [1, 2, "3"]}), r"ego_from_cam.xyz_m\[2\]: wanted a number"),
        (changed(ego_from_cam=MOUNT | {"xyz_m": [1, 2, 0]}), r"ego_from_cam: xyz_m: the camera must be above"),
        (changed(ego_from_cam=MOUNT | {"pitch": 3}), r"unknown key 'pitch'; did you mean 'pitch_deg'"),
        (yaml.safe_dump({"cameras": RIG["cameras"] * 2}), "names must differ, got front, front"),
    ],
)
def test_rig_refusals(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_rig(write(tmp_path, text))


def test_no_such_camera() -> None:
    rig: RigConfig = load_rig(CONFIGS / "rigs" / "front.yaml")
    with pytest.raises(UsageError, match="no camera 'rear'; it has: front"):
        rig.camera("rear")


def test_file_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_site(tmp_path / "missing.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        load_rig(tmp_path)
    with pytest.raises(UsageError, match="not a settings file"):
        load_site(write(tmp_path, "#" * (2 << 20)))
    (tmp_path / "bytes.yaml").write_bytes(b"\x80\x81\x00")
    with pytest.raises(UsageError, match="not valid YAML"):
        load_site(tmp_path / "bytes.yaml")


def test_a_message_about_nested_aliases_stays_short(tmp_path: Path) -> None:
    lines = ["cameras: &a0 [x, x, x, x, x, x, x, x]"] + [
        f"k{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 9)
    ]
    text = "\n".join(lines[1:-1]).replace("*a0", "x")
    path = write(tmp_path, text + "\ntick_ms: *a7")
    with pytest.raises(UsageError) as caught:
        load_site(path)
    assert len(str(caught.value)) < 2000
    path = write(tmp_path, "tick_ms: &a [x, x]")
    with pytest.raises(UsageError, match="tick_ms: wanted a whole number, got a list"):
        load_site(path)
