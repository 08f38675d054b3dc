"""What the vehicle does without: torch and what comes with it."""

from __future__ import annotations

import importlib.util

from airside.errors import UnavailableError

MODEL_PACKAGES = ("torch", "timm", "peft", "safetensors", "onnx", "onnxscript")


def require_model_extra(command: str) -> None:
    """Raise :class:`UnavailableError` naming what ``command`` lacks on this machine."""
    missing = [name for name in MODEL_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"airside {command} needs {', '.join(missing)}, which the vehicle does without; "
            "install them where you prepare models: pip install 'airside[model]'"
        )
