"""Where the cache lies, and what is said where there is no place for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from airside.engine import machine
from airside.engine.cache import cache_folder, write_cached
from airside.errors import StorageError


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "airside"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for unset in ("", "relative/folder"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert cache_folder() == tmp_path / "home" / ".cache" / "airside"


def test_without_a_home_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(StorageError, match="XDG_CACHE_HOME"):
        cache_folder()


def test_files_are_written_whole_or_refused(tmp_path: Path) -> None:
    write_cached(tmp_path / "new" / "file", b"whole")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file"]
    with pytest.raises(StorageError, match=r"cache folder.*XDG_CACHE_HOME"):
        write_cached(tmp_path / "new" / "file" / "below", b"")


@pytest.mark.parametrize(
    ("text", "name", "ability"),
    [
        ("model name\t: EPYC 9\nflags\t: avx2 avx512_vnni\n\nmodel name: other\n", "EPYC 9", "avx512_vnni"),
        ("CPU implementer : 0x41\nCPU part : 0xd42\nFeatures : asimddp i8mm\n", "0x41 0xd42", "asimddp"),
    ],
)
def test_processors_are_told_apart(
    text: str, name: str, ability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    assert name in machine.processor.__wrapped__()
    assert ability in machine.processor_abilities.__wrapped__()
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "none")
    assert machine.processor_abilities.__wrapped__() == frozenset()


def test_versions() -> None:
    found = machine.versions("numpy", "no-such-package")
    assert found["numpy"][0].isdigit()
    assert found["no-such-package"] == "unknown"
