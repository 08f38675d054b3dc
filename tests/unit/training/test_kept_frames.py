"""Folders that cannot keep frames, and kept frames that are damaged, are named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airside.errors import InputError, StorageError
from training import kept_frames


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="taken"):
        list(kept_frames.render_plans([], cache=tmp_path / "taken"))


def test_damaged_frames_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Iterator[None]:
        yield None
        raise ValueError("Cannot load file containing pickled data")

    monkeypatch.setattr(kept_frames.bulk, "render_plans", broken)
    with pytest.raises(InputError, match="pickled data"):
        list(kept_frames.render_plans([], cache=tmp_path))
    with pytest.raises(ValueError, match="pickled data"):  # nothing was kept: a mistake of ours stays one
        list(kept_frames.render_plans([]))
