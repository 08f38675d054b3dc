"""Run by test_register_killed.py: ``airside register`` in a forked child, killed by SIGKILL at a random moment.

    python -m tests.replay.register_killer KILLS SEED -- REGISTER-WORDS...

The parent only imports, so that no child pays for it and none inherits a thread. ``@`` in the words stands for the
number of the kill. What the children print (with --json, one line for each acknowledged snapshot) goes through.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

import airside.commands.register  # noqa: F401
from airside.cli import main

TIMED = 2  # first, undisturbed registrations


def child_of(words: list[str], count: int) -> int:
    child = os.fork()
    if child == 0:
        os._exit(main([word.replace("@", str(count)) for word in words]))
    return child


def killed_at_random(kills: int, seed: int, words: list[str]) -> None:
    times_s = []
    for count in range(TIMED):
        start_s = time.monotonic()
        os.waitpid(child_of(words, count), 0)
        times_s.append(time.monotonic() - start_s)
    longest_s = 1.1 * min(times_s)  # a busy machine's slow run must not put every kill after the end
    rng = random.Random(seed)
    for count in range(TIMED, TIMED + kills):
        child = child_of(words, count)
        time.sleep(rng.uniform(0.0, longest_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    killed_at_random(int(sys.argv[1]), int(sys.argv[2]), sys.argv[4:])
