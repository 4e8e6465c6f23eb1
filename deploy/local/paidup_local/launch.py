"""Starting the supervisor: in this terminal, or on its own with its messages followed until it is ready."""

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Mapping

from paidup_local import state
from paidup_local.downloads import Say
from paidup_local.errors import StackError
from paidup_local.settings import Settings


def foreground(settings: Settings, say: Say) -> None:
    from paidup_local import supervisor

    _refuse_second(settings)
    supervisor.run(settings, say)


def detached(
    settings: Settings, say: Say, *, watched: int | None = None, extra: Mapping[str, str] | None = None
) -> None:
    """Return once the stack is ready; StackError with what the supervisor said when it gave up.

    With `watched` the stack ends by itself when that process does; `extra` are variables for every process.
    """
    _refuse_second(settings)
    settings.logs.mkdir(parents=True, exist_ok=True)
    log = settings.logs / "supervisor.log"
    with log.open("ab") as file:
        begin = file.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "paidup_local.supervisor", *([str(watched)] if watched else [])],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=settings.environment(os.environ) | dict(extra or {}),
            start_new_session=True,
        )
    _follow(settings, process, log, begin, say)
    process.returncode = 0  # it lives on by itself: no warning when this object goes


def _refuse_second(settings: Settings) -> None:
    if found := state.running(settings):
        raise StackError(
            f"A stack already runs in {settings.home} (supervisor {found.supervisor.pid}).",
            "`paidup status` shows it, `make down` stops it.",
        )


def _follow(settings: Settings, process: "subprocess.Popen[bytes]", log: pathlib.Path, begin: int, say: Say) -> None:
    ready = False
    while not ready:
        ended = process.poll() is not None
        found = state.read(settings)
        ready = found is not None and found.ready and found.supervisor.pid == process.pid
        lines, begin = _new_lines(log, begin)
        if ended:
            raise StackError("\n".join(line for line in lines if line.strip()) or f"it ended at once; read {log}.")
        for line in lines:
            say(line)
        time.sleep(0.05)


def _new_lines(log: pathlib.Path, begin: int) -> tuple[list[str], int]:
    with log.open("rb") as file:
        file.seek(begin)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), begin + len(whole)
