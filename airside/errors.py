"""Every error airside raises on purpose, grouped by what the person or program catching it should do.

Each message says what came, what was wanted, and what to do next. The command line prints the message and
exits with the class's ``exit_code``; nothing else is ever shown as a bare traceback.
"""

from __future__ import annotations


class AirsideError(Exception):
    """Root of the tree."""

    exit_code = 1


class UsageError(AirsideError):
    """The call itself is wrong: fix the arguments or the configuration file."""

    exit_code = 2


class InputError(AirsideError):
    """An image, video, mask or box cannot be used: give another one."""

    exit_code = 3


class MismatchError(AirsideError):
    """Two artifacts do not belong together (bank and model, say): run the command in the message."""

    exit_code = 4


class CorruptError(AirsideError):
    """An artifact is damaged or incomplete: restore it or roll back to an earlier snapshot."""

    exit_code = 5


class StorageError(AirsideError):
    """The disk or its permissions stand in the way: free space, fix rights, retry. Nothing was lost."""

    exit_code = 6


class RefusedError(AirsideError):
    """A safety rule said no: read the reasons; an explicit override exists where the message names one."""

    exit_code = 7


class UnavailableError(AirsideError):
    """A device, library or engine is not there: install or connect what the message names."""

    exit_code = 8
