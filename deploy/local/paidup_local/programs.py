"""Running programs: start, watch, restart with backoff, bounded logs, clean stop; none outlives this process."""

import asyncio
import contextlib
import os
import pathlib
import signal
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from paidup_local.children import STOP_GRACE, die_with_parent, note, open_log
from paidup_local.errors import StackError
from paidup_local.forkserver import Fork, Forks

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 1.0  # who waits for space is back soon after there is some
HEALTHY_AFTER = 10.0
DEATHS_BEFORE_READY = 4
LOG_LIMIT = 20_000_000
Probe = Callable[[int], Awaitable[bool]]


async def answers_http(port: int, path: str = "/readyz") -> bool:
    """True when a GET of the path on 127.0.0.1 is answered with 200."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    return b" 200 " in await _first_bytes(port, head, 13)


async def answers_postgres(port: int) -> bool:
    """True when the server asks for a password, which it does only once it takes connections."""
    body = struct.pack(">I", 196608) + b"user\0postgres\0database\0postgres\0\0"
    return await _first_bytes(port, struct.pack(">I", len(body) + 4) + body, 1) == b"R"


async def answers_kafka(port: int) -> bool:
    """True when the broker answers an ApiVersions request (version 0) without error."""
    body = struct.pack(">hhih", 18, 0, 7, 6) + b"paidup"
    answer = await _first_bytes(port, struct.pack(">I", len(body)) + body, 10)
    return len(answer) == 10 and answer[4:] == struct.pack(">ih", 7, 0)


async def _first_bytes(port: int, question: bytes, count: int) -> bytes:
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(question)
                return await reader.readexactly(count)
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError):
        return b""


@dataclass(frozen=True)
class Program:
    """What to run, and how to see that it is ready."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    port: int | None = None
    probe: Probe = answers_http
    stop_signal: int = signal.SIGTERM
    user: int | None = None
    folder: pathlib.Path | None = None

    @property
    def module(self) -> tuple[str, ...]:
        """The words after `python -P -m`, if that is how it is run."""
        start = (sys.executable, "-P", "-m")
        return self.command[3:] if self.command[:3] == start else ()


async def begin(program: Program, log: BinaryIO, forks: Forks | None) -> asyncio.subprocess.Process | Fork:
    """Start a program: as a fork, if it is a module of Python and there are forks."""
    if forks and (words := program.module):
        return await forks.spawn(words, program.env, program.folder, log)
    mine = {} if program.user is None else {"user": program.user, "group": program.user}
    return await asyncio.create_subprocess_exec(
        *program.command,
        env=dict(program.env),
        cwd=program.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        umask=0o066,  # what a program writes is for its owner alone
        preexec_fn=die_with_parent(program.stop_signal),
        **(mine | {"extra_groups": []} if mine else {}),  # type: ignore[arg-type]
    )


@dataclass(eq=False)
class Running:
    """One program kept alive until `stop`."""

    program: Program
    logs: pathlib.Path
    changed: Callable[[], None] = lambda: None
    forks: Forks | None = None
    pid: int | None = None
    deaths: int = 0
    _stopping: bool = False
    _seen_ready: bool = False
    _process: asyncio.subprocess.Process | Fork | None = None
    _keeper: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def log(self) -> pathlib.Path:
        return self.logs / f"{self.program.name}.log"

    async def start(self) -> None:
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    async def ready(self) -> bool:
        if self.pid is None:
            return False
        return self.program.port is None or await self.program.probe(self.program.port)

    async def wait_ready(self, seconds: float) -> None:
        """Return once the program is ready; StackError when it dies again and again, or takes too long."""
        deadline = time.monotonic() + seconds
        while not await self.ready():
            if self.deaths >= DEATHS_BEFORE_READY:
                raise StackError(f"{self.program.name} does not start.\n{self.tail()}", f"read {self.log}.")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.program.name} was not ready within {seconds:.0f} s.\n{self.tail()}", f"read {self.log}."
                )
            await asyncio.sleep(0.05)
        self._seen_ready = True

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Ask the program to end, and kill it when it has not within the grace."""
        self._stopping = True
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if (process := self._process) and process.returncode is None:
            self._signal(self.program.stop_signal)
            try:
                async with asyncio.timeout(grace):
                    await process.wait()
            except TimeoutError:
                self._signal(signal.SIGKILL)
                await process.wait()
        self.pid = None

    def bound_log(self) -> None:
        """Keep the newest two pieces of the log; the file itself is cut, since the program holds it open."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT:
                with contextlib.suppress(OSError):  # no space for a copy: all the more reason to cut
                    self.log.with_suffix(".log.1").write_bytes(self.log.read_bytes())
                os.truncate(self.log, 0)

    def tail(self, lines: int = 15) -> str:
        with contextlib.suppress(FileNotFoundError):
            found = self.log.read_text(errors="replace")[-8000:].splitlines()[-lines:]
            return "\n".join(f"  | {line}" for line in found)
        return ""

    async def _spawn(self) -> None:
        with open_log(self.log) as log:
            self._process = await begin(self.program, log, self.forks)
        self.pid = self._process.pid
        self.changed()

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping:
            assert self._process
            began = time.monotonic()
            code = await self._process.wait()
            self.pid = None
            self.deaths += 0 if self._seen_ready else 1
            self.changed()
            if time.monotonic() - began > HEALTHY_AFTER:
                pause = FIRST_PAUSE
            note(self.log, f"{self.program.name} ended with {code}; starting it again in {pause:.1f} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            await self._spawn_again()

    async def _spawn_again(self) -> None:
        while True:
            try:
                return await self._spawn()
            except (OSError, StackError) as problem:
                note(self.log, f"{self.program.name} could not be started: {problem}")
                await asyncio.sleep(LONGEST_PAUSE)

    def _signal(self, number: int) -> None:
        assert self._process
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
