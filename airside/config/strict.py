"""Strict YAML to frozen dataclasses: unknown keys, wrong types and odd numbers are errors that say where."""

from __future__ import annotations

import dataclasses
import difflib
import math
import reprlib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from airside.errors import UsageError

T = TypeVar("T")
_MOST_INT = 1 << 63
_MAX_BYTES = 1 << 20  # a settings file is a page; anything larger is the wrong file


class _StrictLoader(yaml.SafeLoader):
    """YAML's own loader lets the last of two equal keys win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
        return super().construct_mapping(node, deep)


def load_settings(cls: type[T], path: Path) -> T:
    """The strict YAML ``path`` as the frozen dataclass ``cls``; :class:`UsageError` says what is wrong, and where."""
    documents = read_documents(path, "settings")
    require(len(documents) == 1, f"settings {path}: wanted one YAML document, got {len(documents)}")
    try:
        return typing.cast(T, checked(cls, documents[0], ""))
    except UsageError as error:
        raise UsageError(f"settings {path}: {error}") from None


def read_documents(path: Path, what: str) -> list[Any]:
    """The YAML documents in ``path``, at least one; :class:`UsageError` says why not, naming it ``what``."""
    text = read_small(path, what)
    try:
        return list(yaml.load_all(text, _StrictLoader)) or [None]  # derived from the safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-99-99 where a date is looked for
        detail = " ".join(str(error).split())
        raise UsageError(f"{what} {path}: not valid YAML: {detail}") from None


def read_small(path: Path, what: str) -> bytes:
    """The contents of a file of at most 1 MiB; raises as :func:`read_documents`."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{what} {path}: cannot be read ({error.strerror}); check the path") from None
    except ValueError:  # a zero byte in the path
        raise UsageError(f"{what} {str(path)!r}: no file can have this name") from None
    if len(text) > _MAX_BYTES:
        raise UsageError(f"{what} {path}: larger than {_MAX_BYTES} bytes; this is not a {what} file")
    return text


def checked(wanted: Any, value: Any, where: str) -> Any:
    """``value`` checked against the annotation ``wanted``; whole numbers pass as floats, nothing else is converted."""
    label = where or "the file"
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _record(wanted, value, where)
    if typing.get_origin(wanted) is tuple:
        return _sequence(typing.get_args(wanted), value, label)
    if typing.get_origin(wanted) is types.UnionType:  # X | None: who wants the None leaves the key out
        (wanted,) = (kind for kind in typing.get_args(wanted) if kind is not types.NoneType)
        return checked(wanted, value, where)
    if typing.get_origin(wanted) is typing.Literal:
        known = typing.get_args(wanted)
        require(
            type(value) is str and value in known,
            f"{label}: wanted one of {', '.join(known)}, got {_name(type(value))} {reprlib.repr(value)}",
        )
        return value
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e300 else math.inf
        require(math.isfinite(number), f"{label}: wanted a finite number, got {value}")
        return number
    if isinstance(wanted, types.GenericAlias) or type(value) is not wanted:
        raise UsageError(f"{label}: wanted {_name(wanted)}, got {_name(type(value))} {reprlib.repr(value)}")
    require(wanted is not int or abs(value) < _MOST_INT, f"{label}: {reprlib.repr(value)} is too large a number")
    return value


def _sequence(items: tuple[Any, ...], value: Any, label: str) -> tuple[Any, ...]:
    require(isinstance(value, list), f"{label}: wanted a list, got {_name(type(value))} {reprlib.repr(value)}")
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    require(len(value) == len(items), f"{label}: wanted {len(items)} values, got {len(value)}")
    return tuple(checked(item, part, f"{label}[{i}]") for i, (item, part) in enumerate(zip(items, value, strict=True)))


def _record(cls: type[Any], value: Any, where: str) -> Any:
    label = where or "the file"
    require(isinstance(value, dict), f"{label}: wanted keys and values, got {_name(type(value))}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.0)
            raise UsageError(f"{label}: unknown key {key!r}; did you mean {near[0]!r}? known: {', '.join(fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        require(name in value or not required, f"{label}: the key {name!r} is missing")
    hints = typing.get_type_hints(cls)
    parts = {key: checked(hints[key], part, f"{where}.{key}" if where else key) for key, part in value.items()}
    try:
        return cls(**parts)
    except UsageError as error:
        raise UsageError(f"{where}: {error}" if where else str(error)) from None


def _name(kind: Any) -> str:
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "keys and values",
            list: "a list", type(None): "nothing"}.get(kind, str(getattr(kind, "__name__", kind)))  # fmt: skip


def require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
