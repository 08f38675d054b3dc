"""A library that is there and does not load is a message, whatever it raises."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airside.engine.bundle import open_bundle
from airside.engine.engines import load_named
from airside.engine.optional import optional_library
from airside.errors import UnavailableError
from tests.builders import tiny_bundle

BROKEN = {
    "ImportError('libx.so: cannot open shared object file')": "libx.so: cannot open shared object file",
    "RuntimeError('driver of another\\n version')": "driver of another version",
    "KeyError()": "KeyError",
}


@pytest.mark.parametrize("raised", BROKEN)
def test_why_and_what_to_do(raised: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_library.py").write_text(f"raise {raised}")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnavailableError, match=rf"broken_library does not load \({BROKEN[raised]}.*'airside\[int8\]'"):
        optional_library("broken_library", "airside[int8]")
    assert optional_library("json", "nothing").loads("1") == 1


@pytest.mark.parametrize(("engine", "library"), [("openvino", "openvino"), ("onnxruntime-int8", "onnx")])
def test_engines_say_it(engine: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "libraries" / library).mkdir(parents=True)
    (tmp_path / "libraries" / library / "__init__.py").write_text("raise RuntimeError('built for another machine')")
    bundle = open_bundle(tiny_bundle(tmp_path / "model"))
    loaded = [name for name in sys.modules if name == library or name.startswith(f"{library}.")]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path / "libraries"))
    with pytest.raises(UnavailableError, match=f"{library} does not load .built for another machine"):
        load_named(engine, bundle, 1)
