"""A settings file that changes while the engine runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from airside.config.strict import load_settings, require
from airside.errors import UsageError
from airside.operations.settings_watch import Watched


@dataclass(frozen=True, slots=True)
class Site:
    stop_distance_m: float = 15.0

    def __post_init__(self) -> None:
        require(self.stop_distance_m > 0, "stop_distance_m: must be positive")


def load_site(path: Path) -> Site:
    return load_settings(Site, path)


def test_a_new_content_is_taken_up_once(tmp_path: Path) -> None:
    path, loads = tmp_path / "site.yaml", []
    path.write_text("stop_distance_m: 12.0\n")

    def load(file: Path) -> float:
        loads.append(file)
        return load_site(file).stop_distance_m

    site = Watched(path, load)
    assert [site.current() for _ in range(3)] == [12.0] * 3
    assert len(loads) == 1
    path.write_text("stop_distance_m: 10.5\n")
    assert [site.current() for _ in range(3)] == [10.5] * 3
    assert (len(loads), site.changes, site.reasons) == (2, 1, ())


def test_the_same_size_and_time_but_another_file(tmp_path: Path) -> None:
    """As `mv` leaves it: only the inode differs."""
    path, other = tmp_path / "site.yaml", tmp_path / "new.yaml"
    path.write_text("stop_distance_m: 12.0\n")
    other.write_text("stop_distance_m: 11.0\n")
    site = Watched(path, load_site)
    state = path.stat()
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.replace(path)
    assert site.current().stop_distance_m == 11.0


@pytest.mark.parametrize("broken", ["stop_distance_m: -1\n", "stop: 3\n", "{", b"\xff\xfe\x00", None])
def test_a_broken_or_missing_file_leaves_the_old_value_and_is_said(tmp_path: Path, broken: str | bytes | None) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("stop_distance_m: 12.0\n")
    site = Watched(path, load_site)
    if broken is None:
        path.unlink()
    elif isinstance(broken, bytes):
        path.write_bytes(broken)
    else:
        path.write_text(broken)
    for _ in range(2):
        assert site.current().stop_distance_m == 12.0
        assert site.reasons == ("site_unreadable",)
        assert site.fault is not None
        assert "site.yaml" in site.fault
    path.write_text("stop_distance_m: 13.5\n")
    assert site.current().stop_distance_m == 13.5
    assert (site.reasons, site.fault) == ((), None)


def test_put_back_as_it_was_it_is_mended_too(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("stop_distance_m: 12.0\n")
    site = Watched(path, load_site)
    path.rename(tmp_path / "away.yaml")
    site.current()
    assert site.reasons == ("site_unreadable",)
    (tmp_path / "away.yaml").rename(path)
    site.current()
    assert site.reasons == ()


def test_the_first_content_must_be_whole(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Watched(tmp_path / "none.yaml", load_site)
