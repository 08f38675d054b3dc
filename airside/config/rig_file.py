"""A rig written as the YAML that :func:`airside.config.load_rig` reads back equal."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from airside.bank.durable import write_durably
from airside.config.rig import RigConfig
from airside.errors import UsageError

_HEAD = """\
# Frame "ego": x forward, y left, z up, origin on the ground. Yaw positive left, pitch positive down, roll positive
# right side down; degrees. Pixel centres at integers. Ranges beyond max_range_m are not told.
"""


def rig_text(rig: RigConfig) -> str:
    """The YAML of ``rig``, keys at their default left out."""
    return _HEAD + yaml.safe_dump(
        _written(rig), sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000
    )


def save_rig(rig: RigConfig, path: Path) -> None:
    """Write ``path``, which must not exist: what a person changed in it is not to be lost.

    Raises :class:`UsageError` where it does, :class:`airside.errors.StorageError` where the disk refuses.
    """
    if path.exists():
        raise UsageError(f"{path} exists already: give another name, or move it away")
    write_durably(path, rig_text(rig).encode())


def _written(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            field.name: _written(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != field.default
        }
    if isinstance(value, tuple):
        return [_written(part) for part in value]
    return value
