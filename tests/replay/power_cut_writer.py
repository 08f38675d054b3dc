"""Run by test_power_cut.py: commits to a bank and prints each id once it is acknowledged.

    python -m tests.replay.power_cut_writer commit BANK NAME COUNT
    python -m tests.replay.power_cut_writer killed-at-random BANK KILLS SEED
    python -m tests.replay.power_cut_writer killed-at-each-call BANK

The killing modes fork a child per kill, so that 100 kills do not cost 100 starts of Python. Each child is ended by
SIGKILL alone: no handler, no ``finally``, no flush runs in it.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from airside.bank.bank import PrototypeBank
from airside.bank.store import BankStore

_write = os.write  # the real one: printing is no part of the commit
CALLS = ("open", "write", "fsync", "replace", "close", "unlink")


def commit_forever(store: BankStore, name: str) -> None:
    for count in itertools.count():
        commit(store, f"{name}-{count}")


def commit(store: BankStore, name: str) -> None:
    """Add a class called ``name``; the id is printed only when ``commit`` has returned."""

    def update(bank: PrototypeBank) -> PrototypeBank:
        kept = bank.classes[-20:]  # the bank stays tiny
        return replace(bank, classes=(*kept, replace(kept[0], name=name)))

    line = store.commit(update, "writer", name).id + "\n"
    _write(sys.stdout.fileno(), line.encode())  # one call: print() may write the line's end in a second one


def killed_at_random(store: BankStore, kills: int, seed: int) -> None:
    """``kills`` children in turn, each killed at a moment drawn from the time that its first three commits take."""
    start_s = time.monotonic()
    child = os.fork()
    if child == 0:
        for count in range(3):
            commit(store, f"timing{count}")
        os._exit(0)
    os.waitpid(child, 0)
    longest_s = time.monotonic() - start_s
    rng = random.Random(seed)
    for kill in range(kills):
        child = os.fork()
        if child == 0:
            commit_forever(store, f"kill{kill}")
        time.sleep(rng.uniform(0.0, longest_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def killed_at_each_call(store: BankStore) -> None:
    """One commit per child, killed just before its first system call, then its second, ... until one gets through.

    Prints ``killed <call>`` after each kill.
    """
    for deadly in itertools.count():
        child = os.fork()
        if child == 0:
            kill_before_call(deadly)
            commit(store, f"call{deadly}")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return
        _write(sys.stdout.fileno(), f"killed {deadly}\n".encode())


def kill_before_call(deadly: int) -> None:
    countdown = itertools.count(deadly, -1)

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if next(countdown) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **named)

        return call

    for name in CALLS:
        setattr(os, name, guarded(getattr(os, name)))


def main(mode: str, bank: str, *rest: str) -> None:
    store = BankStore(bank)
    if mode == "commit":
        print("ready", flush=True)
        sys.stdin.readline()  # the test lets several writers go at once
        for count in range(int(rest[1])):
            commit(store, f"{rest[0]}{count}")
    elif mode == "killed-at-random":
        killed_at_random(store, int(rest[0]), int(rest[1]))
    elif mode == "killed-at-each-call":
        killed_at_each_call(store)
    else:
        sys.exit(f"unknown mode {mode!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
