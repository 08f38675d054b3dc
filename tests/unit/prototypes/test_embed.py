"""What the wheel carries is replaced by a network that is there, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from airside.errors import InputError, MismatchError
from prototypes.embed import embed


def test_a_wrong_checkpoint_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "assets" / "model").mkdir(parents=True)
    (tmp_path / "garbage.pt").write_text("no checkpoint")
    for name, error in (("absent.pt", InputError), ("garbage.pt", MismatchError)):
        with pytest.raises(error):
            embed(tmp_path / name, lambda *_: None, tmp_path / "assets")
    assert (tmp_path / "assets" / "model").exists()
