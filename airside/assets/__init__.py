"""What the wheel brings along: the airside-mini model and its bank. Read-only for users: an upgrade replaces it."""

from __future__ import annotations

from pathlib import Path

from airside.errors import RefusedError, UnavailableError

_PACKAGE = Path(__file__).parent.parent
_MINI = Path(__file__).parent / "airside-mini"


def embedded_model() -> Path:
    """The folder of the embedded model bundle. Raises :class:`UnavailableError` where the installation has none."""
    return _embedded("model", "manifest.json", "--model DIR")


def is_embedded(model: Path) -> bool:
    """Whether the bundle folder ``model`` is the embedded one, so that its bank and drive belong to it."""
    return model.resolve() == (_MINI / "model").resolve()


def embedded_bank() -> Path:
    """The folder of the embedded bank. Raises :class:`UnavailableError` where the installation has none."""
    return _embedded("bank", "HEAD", "--bank DIR")


def embedded_demo() -> Path:
    """The folder of the demo: ``drive/``, ``support/``, ``rig.yaml``, ``script.json``."""
    return _embedded("demo", "script.json", "airside run SOURCE instead of airside demo")


def require_own_bank(path: Path) -> None:
    """Raise :class:`RefusedError` for a bank inside the package: an upgrade would drop what was added to it."""
    if path.resolve().is_relative_to(_PACKAGE.resolve()):
        raise RefusedError(
            f"{path} belongs to the installation and is not changed; copy it with: airside bank init --bank DIR, "
            "and use that folder as --bank"
        )


def _embedded(part: str, witness: str, option: str) -> Path:
    path = _MINI / part
    if not (path / witness).is_file():
        raise UnavailableError(
            f"this installation has no embedded {part} ({path}): install the airside wheel again, or give {option}"
        )
    return path
