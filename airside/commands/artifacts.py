"""The options that name a bank and a model, and what stands behind them."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable
from pathlib import Path

from airside.assets import embedded_bank, embedded_model, require_own_bank
from airside.bank.bank import PrototypeBank
from airside.bank.snapshot import SnapshotInfo, bank_digest
from airside.bank.store import BankStore


def add_model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, metavar="DIR", help="model bundle (default: the embedded airside-mini)")


def add_bank_option(parser: argparse.ArgumentParser, *, required: bool) -> None:
    default = "" if required else " (default: the embedded one, for airside-mini)"
    parser.add_argument("--bank", type=Path, metavar="DIR", required=required, help="prototype bank" + default)


def add_provenance_options(parser: argparse.ArgumentParser) -> None:
    """What a new snapshot says of itself."""
    parser.add_argument("--message", metavar="M", help="why, for the log")
    parser.add_argument("--author", metavar="A", default=None, help="who, for the log (default: the user's name)")


def model_path(given: Path | None) -> Path:
    return given if given is not None else embedded_model()


def bank_path(given: Path | None) -> Path:
    return given if given is not None else embedded_bank()


def store_to_change(path: Path) -> BankStore:
    """The bank at ``path``, which must exist and not belong to the installation."""
    require_own_bank(path)
    store = BankStore(path)
    store.head_id()
    return store


def author(given: str | None) -> str:
    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user need not have a name
        return "unknown"


def commit_prepared(
    store: BankStore, change: Callable[[PrototypeBank], PrototypeBank], author: str, message: str
) -> SnapshotInfo:
    """Store ``change(HEAD)``. The long work happens outside the writers' lock; where somebody else committed
    meanwhile, it happens again, inside, on what they left: both changes land."""
    before, _ = store.load()
    after, digest = change(before), bank_digest(before)

    def update(current: PrototypeBank) -> PrototypeBank:
        return after if bank_digest(current) == digest else change(current)

    return store.commit(update, author, message)
