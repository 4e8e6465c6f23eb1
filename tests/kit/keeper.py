"""Servers that a whole test session shares: started by the first who asks, ended when the session's process is gone.

Run as `python -m tests.kit.keeper NAME FOLDER PID`; it writes FOLDER/NAME.json once the server is ready.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import psutil

from paidup_local import kafka, postgres, state
from paidup_local.programs import Program, Running
from paidup_local.settings import Settings, cache_folder
from tests.kit import ports

ROOT = pathlib.Path(__file__).parents[2]
START_SECONDS = 600.0


def session() -> tuple[int, pathlib.Path]:
    """The process that the session's servers outlive by a moment only, and the folder they share."""
    pid = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    began = int(psutil.Process(pid).create_time())
    folder = pathlib.Path(tempfile.gettempdir(), f"paidup-tests-{os.getuid()}", f"{pid}-{began}")
    folder.mkdir(parents=True, exist_ok=True)
    return pid, folder


@contextlib.contextmanager
def only_one(name: str) -> Iterator[pathlib.Path]:
    """Held by one process of the session at a time; gives the session's folder."""
    _, folder = session()
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def shared(name: str) -> dict[str, str]:
    """What the keeper of the server wrote, after starting it where that was still to do; blocking."""
    pid, _ = session()
    with only_one(name) as folder:
        note = folder / f"{name}.json"
        if not note.exists():
            log = (folder / f"{name}.keeper.log").open("ab")
            keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.kit.keeper", name, str(folder), str(pid)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            log.close()
            _await_note(note, keeper)
        found: dict[str, str] = json.loads(note.read_text())
        return found


def _await_note(note: pathlib.Path, keeper: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not note.exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(note.with_name(f"{note.stem}.keeper.log").read_text())
        time.sleep(0.02)
    keeper.returncode = 0  # it lives on: no warning when this object goes


async def keep(name: str, folder: pathlib.Path, watched: int) -> None:
    settings = Settings(home=folder / name, port=ports.free_block(), cache=cache_folder())
    settings.home.mkdir(exist_ok=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    running = Running(await asyncio.to_thread(_program, name, settings), settings.logs)
    try:
        await running.start()
        await running.wait_ready(START_SECONDS)
        _write_note(name, folder, settings, running)
        await _until_gone(watched, ended)
    finally:
        await running.stop(5)
        for one in postgres.data_folders(settings):
            shutil.rmtree(one, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


async def _until_gone(watched: int, ended: asyncio.Event) -> None:
    process = state.Process("session", watched, None, state.started(watched))
    while process.alive and not ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 0.2)


def _program(name: str, settings: Settings) -> Program:
    def say(text: str) -> None:
        print(text, flush=True)

    if name == "postgres":
        return postgres.prepare(settings, say, durable=False)
    return kafka.prepare(settings, say, guarded=False)


def _write_note(name: str, folder: pathlib.Path, settings: Settings, running: Running) -> None:
    note = {
        "dsn": postgres.admin_dsn(settings) if name == "postgres" else "",
        "bootstrap": settings.kafka_address,
        "pid": str(running.pid),
        "log": str(running.log),
    }
    fresh = folder / f"{name}.new"
    fresh.write_text(json.dumps(note))
    fresh.replace(folder / f"{name}.json")


if __name__ == "__main__":
    asyncio.run(keep(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])))
