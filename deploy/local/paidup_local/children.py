"""What each child process has: a log of its own, and an end with its parent."""

import contextlib
import ctypes
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

STOP_GRACE = 12.0  # seconds that a child has to end when it is asked to, before it is killed


def open_log(path: pathlib.Path) -> BinaryIO:
    """To run matters more than to be heard: without a place for its log a program runs silently."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError:
        return open(os.devnull, "ab")


def note(log: pathlib.Path, text: str) -> None:
    """A line of the supervisor's own in a program's log; where that has no space, the program is kept all the same."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with contextlib.suppress(OSError), log.open("a") as file:
        file.write(f"{stamp} supervisor: {text}\n")


def die_with_parent(number: int) -> Callable[[], None] | None:
    """A hook for a child, run before its program: on Linux it gets this signal when its parent is killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def hook() -> None:
        prctl(1, number, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    return hook
