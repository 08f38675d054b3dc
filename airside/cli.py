"""The command line: finds the command, runs it, and turns every error into one line and an exit code.

Nothing heavy is imported before the command is known, so that ``airside --help`` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from airside import __version__
from airside.errors import AirsideError, StorageError, UsageError

COMMANDS = {
    "demo": "see it work: an unknown vehicle is flagged, taught from five pictures, and named",
    "run": "watch a folder, a video, a camera or a stream, and write what is seen",
    "replay": "run a recorded drive again and compare its alerts",
    "register": "teach a bank a new class from 5 to 20 pictures",
    "bank": "look at a bank's versions; go back, compare, verify, move to another model",
    "rig": "make a rig file from a calibration, or look at what its cameras see",
    "export": "make a model bundle from DINOv2 or DINOv3 weights",
    "convert": "turn a .pth checkpoint into safetensors, once",
    "verify": "hold an engine on this machine against a model's stored outputs",
    "doctor": "check this installation, the model and the bank",
}
EXIT_UNEXPECTED = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print: errors leave by one door."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see: {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never raises."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name need not be valid text
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return code
    except SystemExit as leaving:  # argparse after --help or --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except BaseException as error:
        return _told(error)


def _dispatch(argv: list[str]) -> int:
    if argv and argv[0] in COMMANDS:
        name = argv[0]
        module = importlib.import_module(f"airside.commands.{name}")
        parser = _Parser(prog=f"airside {name}", description=module.__doc__, allow_abbrev=False,
                         formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        module.add_arguments(parser)
        # Pictures and their boxes may alternate: airside register tug a.png --box ... b.png --box ...
        parse = parser.parse_intermixed_args if getattr(module, "INTERMIXED", False) else parser.parse_args
        return int(module.run(parse(argv[1:])))
    parser = _Parser(prog="airside", description="Notices what an airport vehicle has never been shown.",
                     allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
                     epilog="commands:\n" + "\n".join(f"  {name:<10}{what}" for name, what in COMMANDS.items())
                     + "\n\nairside COMMAND --help says more of each.")  # fmt: skip
    parser.add_argument("--version", action="version", version=f"airside {__version__}")
    parser.add_argument("command", nargs="?", metavar="COMMAND", choices=list(COMMANDS), help="what to do")
    parser.parse_args(argv)
    parser.print_help(sys.stderr)
    return UsageError.exit_code


def _told(error: BaseException) -> int:
    """Say ``error`` in one line on standard error; returns its exit code."""
    if os.environ.get("AIRSIDE_TRACEBACK"):
        traceback.print_exception(error)
    message, code = _message_and_code(error)
    if message:
        with contextlib.suppress(OSError):  # nobody is listening
            print(f"airside: {message}", file=sys.stderr, flush=True)
    return code


def _message_and_code(error: BaseException) -> tuple[str, int]:
    if isinstance(error, AirsideError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", EXIT_INTERRUPTED
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        return "", EXIT_BROKEN_PIPE
    if isinstance(error, MemoryError):
        return "not enough memory: close other programs or give smaller pictures. Nothing stored was lost", 6
    if isinstance(error, OSError):
        from airside.bank.durable import advice_from_os_error

        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or error}{where}: {advice_from_os_error(error)}", StorageError.exit_code
    if isinstance(error, ImportError):
        return f"a part of the installation is missing ({error}): install airside again, then run airside doctor", 8
    detail = " ".join(str(error).split())[:300]
    return (
        f"unexpected {type(error).__name__}: {detail}. This is a fault in airside: please report it with the output of "
        "the same command under AIRSIDE_TRACEBACK=1",
        EXIT_UNEXPECTED,
    )


def _forget_stdout() -> None:
    """The reader of our output has gone: let Python's own flush at exit go nowhere."""
    with contextlib.suppress(OSError, ValueError):  # in tests it is no real file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
