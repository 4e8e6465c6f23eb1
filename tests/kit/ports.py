"""Blocks of a hundred free ports, below those that the system hands out by itself."""

import fcntl
import os
import pathlib
import random
import tempfile

from paidup_local.plan import is_free
from paidup_local.settings import PORTS_IN_A_BLOCK

LOW, HIGH = 20_000, 32_000


def free_block() -> int:
    """The first port of a block that nobody uses; it stays this process's own until it ends."""
    blocks = list(range(LOW, HIGH, PORTS_IN_A_BLOCK))
    random.shuffle(blocks)
    for first in blocks:
        if _claim(first) and all(is_free(port) for port in range(first, first + PORTS_IN_A_BLOCK)):
            return first
    raise RuntimeError(f"no block of {PORTS_IN_A_BLOCK} free ports between {LOW} and {HIGH}")


def _claim(first: int) -> bool:
    folder = pathlib.Path(tempfile.gettempdir(), f"paidup-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT, 0o600)  # open, and so held, until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True
