"""What runs in a home, as the supervisor notes it in stack.json and as `status` and `down` read it."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from paidup_local import programs
from paidup_local.errors import StackError
from paidup_local.settings import Settings, read_json, write_private

PROBES = {"postgres": programs.answers_postgres, "kafka": programs.answers_kafka}


@dataclass(frozen=True)
class Process:
    """A process as noted; `started` distinguishes it from a later one with the same number."""

    name: str
    pid: int | None
    port: int | None
    started: float | None = None

    @property
    def alive(self) -> bool:
        import psutil

        if self.pid is None:
            return False
        try:
            found = psutil.Process(self.pid)
            same = self.started is None or abs(found.create_time() - self.started) < 1
            return same and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True)
class State:
    """The supervisor and its children; `ready` once every one has answered."""

    supervisor: Process
    ready: bool
    processes: tuple[Process, ...]
    kafka: str
    postgres: str


def started(pid: int | None) -> float | None:
    import psutil

    try:
        return None if pid is None else psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def write(settings: Settings, state: State) -> None:
    write_private(settings.state_file, json.dumps(_plain(state), indent=1))


def read(settings: Settings) -> State | None:
    found = read_json(settings.state_file)
    if found is None:
        return None
    found["supervisor"] = Process(**found["supervisor"])  # type: ignore[arg-type]
    found["processes"] = tuple(Process(**one) for one in found["processes"])  # type: ignore[attr-defined]
    return State(**found)  # type: ignore[arg-type]


def _plain(state: State) -> dict[str, object]:
    return vars(state) | {
        "supervisor": vars(state.supervisor),
        "processes": [vars(one) for one in state.processes],
    }


def running(settings: Settings) -> State | None:
    """The state of the stack when its supervisor lives."""
    state = read(settings)
    return state if state and state.supervisor.alive else None


def held(settings: Settings) -> bool:
    """Whether a supervisor has this home: its stack runs, starts or stops."""
    with contextlib.suppress(FileNotFoundError), (settings.home / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def the_running(settings: Settings) -> State:
    """The state of the stack of this home; StackError when none runs."""
    state = running(settings)
    if state is None:
        raise StackError(f"No stack runs in {settings.home}.", "start one with `make up`, or set PAIDUP_HOME.")
    return state


def as_it_runs(settings: Settings) -> Settings:
    """Settings with the ports of the stack that runs in this home, whatever PAIDUP_PORT says in this shell."""
    state = the_running(settings)
    gateway = next((one for one in state.processes if one.name == "gateway"), None)
    if gateway is None:
        raise StackError(f"The stack in {settings.home} is starting.", "wait until `make up` says that it is ready.")
    own = {one.name for one in state.processes}
    return replace(
        settings,
        port=gateway.port or settings.port,
        kafka=settings.kafka if "kafka" in own else state.kafka,
        postgres=settings.postgres,
    )


def status(settings: Settings) -> Mapping[str, object]:
    """Each process with pid, port and whether it answers now; StackError when no stack runs in this home."""
    state = the_running(settings)
    return {
        "processes": asyncio.run(_asked(state.processes)),
        "kafka": state.kafka,
        "postgres": state.postgres,
    }


async def _asked(processes: tuple[Process, ...]) -> list[dict[str, object]]:
    ready = await asyncio.gather(*(_ready(one) for one in processes))
    return [
        {"name": one.name, "pid": one.pid, "port": one.port, "ready": answer}
        for one, answer in zip(processes, ready, strict=True)
    ]


async def _ready(process: Process) -> bool:
    if not process.alive:
        return False
    return process.port is None or await PROBES.get(process.name, programs.answers_http)(process.port)


def stop(settings: Settings, seconds: float = 60) -> bool:
    """End the stack of this home, or what a killed supervisor left behind; False when there was nothing."""
    state = read(settings)
    if state is None:
        return False
    left = [one for one in (state.supervisor, *state.processes) if one.alive]
    if not left:
        return False
    if state.supervisor.alive:
        _signal(state.supervisor, signal.SIGTERM)
    else:
        _sweep(left)
    _await_end(left, seconds)
    return True


def _sweep(left: list[Process]) -> None:
    for one in left:
        _signal(one, signal.SIGINT if one.name == "postgres" else signal.SIGTERM)


def _await_end(left: list[Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(one.alive for one in left):
        if time.monotonic() > deadline:
            for one in left:
                _signal(one, signal.SIGKILL)
            return
        time.sleep(0.05)


def _signal(process: Process, number: int) -> None:
    if process.pid is not None and process.alive:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return
