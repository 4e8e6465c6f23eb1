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
from paidup_local.supervisor import FAILED


def foreground(settings: Settings, say: Say) -> None:
    from paidup_local import supervisor

    if found := state.running(settings):
        raise StackError(
            f"A stack already runs in {settings.home} (supervisor {found.supervisor.pid}).",
            "`paidup status` shows it, `make down` stops it.",
        )
    supervisor.run(settings, say)


def detached(
    settings: Settings, say: Say, *, watched: int | None = None, extra: Mapping[str, str] | None = None
) -> None:
    """Return once the stack is ready; StackError with what the supervisor said when it gave up.

    With `watched` the stack ends by itself when that process does; `extra` are variables for every process.
    """
    if state.held(settings):
        say(f"a stack already runs or starts in {settings.home}")
        return _await_ready(settings)
    settings.logs.mkdir(parents=True, exist_ok=True)
    log = settings.logs / "supervisor.log"
    with log.open("ab") as file:
        log.chmod(0o600)
        begin = file.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "paidup_local.supervisor", *([str(watched)] if watched else [])],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=settings.environment(os.environ) | dict(extra or {}),
            start_new_session=True,
        )
    try:
        _follow(settings, process, log, begin, say)
    except KeyboardInterrupt:
        process.terminate()
        raise
    process.returncode = 0  # it lives on: no warning when this object goes


def _follow(settings: Settings, process: "subprocess.Popen[bytes]", log: pathlib.Path, begin: int, say: Say) -> None:
    problem = ""
    while True:
        ended, ready = process.poll() is not None, _is_ready(settings, process.pid)
        text, begin = _new_text(log, begin)
        said, failed, rest = ("", "", text) if problem else text.partition(FAILED)
        problem += failed + rest  # it may be of another start, which shares the log: ours has failed only if it ended
        for line in said.splitlines():
            say(line)
        if ended:
            raise StackError(problem.removeprefix(FAILED).strip() or f"It ended before it was ready; read {log}.")
        if ready:
            return
        time.sleep(0.05)


def _await_ready(settings: Settings) -> None:
    while state.held(settings):
        found = state.running(settings)
        if found and found.ready:
            return
        time.sleep(0.1)
    raise StackError("It ended before it was ready.", f"read {settings.logs / 'supervisor.log'}.")


def _is_ready(settings: Settings, pid: int) -> bool:
    found = state.read(settings)
    return found is not None and found.ready and found.supervisor.pid == pid


def _new_text(log: pathlib.Path, begin: int) -> tuple[str, int]:
    """The whole lines written since, and where they end."""
    with log.open("rb") as file:
        file.seek(begin)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    return whole.decode(errors="replace"), begin + len(whole)
