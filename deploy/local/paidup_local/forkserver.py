"""A process that has imported what all services import. On Linux each program of the local stack is a fork of it.

A service then starts with half a second of processor time instead of five, and all share the memory of these modules.

The supervisor runs `python -m paidup_local.forkserver FD` and sends orders over that socket: what to run and with
which variables, with the log's descriptor beside the message. The answers say which process runs it and, later, how
that process ended. `Forks` is the supervisor's side. The server ends with its supervisor, and its forks with it.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from paidup_local.children import die_with_parent, open_log
from paidup_local.errors import StackError

IMPORTED = ("chassis.service", "aiohttp")  # no module of a service: what it registers is its own
LARGEST = 200_000


class Fork:
    """A forked process, as `asyncio.subprocess.Process` shows one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


class Forks:
    """Has programs started by the server, which is started at the first need and again when it has died."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._one_at_a_time = asyncio.Lock()
        self._running: dict[int, Fork] = {}
        self._born: asyncio.Future[Fork] | None = None  # who asked for the next fork, and may have given up
        self._socket: socket.socket | None = None
        self._hearing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the server, if it does not run."""
        if self._socket is not None:
            return
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own.setblocking(False)
        with its, open_log(self._log) as log:
            server = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "paidup_local.forkserver", str(its.fileno()),
                env=os.environ | {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "1"},
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[its.fileno()],
                start_new_session=True, preexec_fn=die_with_parent(signal.SIGTERM),
            )  # fmt: skip
        self._socket = own
        self._hearing = asyncio.create_task(self._hear(own, server))

    async def spawn(self, words: Sequence[str], env: Mapping[str, str], folder: Path | None, log: BinaryIO) -> Fork:
        """Run `python -m` with these words and this log; StackError when the server died meanwhile."""
        order = json.dumps({"words": words, "env": dict(env), "folder": str(folder or Path.cwd())})
        async with self._one_at_a_time:
            await self.open()
            assert self._socket is not None
            self._born = asyncio.get_running_loop().create_future()
            socket.send_fds(self._socket, [order.encode()], [log.fileno()])
            return await self._born

    async def close(self) -> None:
        """End the server, if it runs. All its forks have ended before."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_WR)
        if self._hearing is not None:
            await asyncio.wait([self._hearing])

    async def _hear(self, own: socket.socket, server: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        with own, contextlib.suppress(ConnectionError):
            while text := await loop.sock_recv(own, LARGEST):
                said = json.loads(text)
                if "code" in said:
                    self._running.pop(said["pid"]).end(said["code"])
                    continue
                fork = self._running[said["pid"]] = Fork(said["pid"])
                if self._born and not self._born.done():
                    self._born.set_result(fork)
        self._socket = None
        if self._born and not self._born.done():
            self._born.set_exception(StackError("The process that starts services ended.", f"read {self._log}."))
        for fork in self._running.values():
            fork.end(-signal.SIGTERM)
        self._running.clear()
        await server.wait()


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        for name in IMPORTED:
            importlib.import_module(name)
        gc.collect()
        gc.freeze()  # the collector writes into no object that the forks share
        order = _serve(asked, die_with_parent(signal.SIGTERM))
    if order is not None:  # this is a fork
        runpy.run_module(order["words"][0], run_name="__main__", alter_sys=True)


def _serve(asked: socket.socket, hook: Callable[[], None] | None) -> Any:
    """Fork at each order, until the supervisor is gone: then None. In a fork, its order."""
    with _children() as children, selectors.DefaultSelector() as both:
        both.register(asked, selectors.EVENT_READ)
        both.register(children, selectors.EVENT_READ)
        while True:
            for key, _ in both.select():
                if key.fileobj is children:
                    children.recv(4096)
                    _say_ended(asked)
                    continue
                text, logs, *_ = socket.recv_fds(asked, LARGEST, 1)
                if not text:
                    return None
                pid = os.fork()
                if pid == 0:
                    order = json.loads(text)
                    _become(order, logs[0], hook)
                    return order
                os.close(logs[0])
                _say(asked, {"pid": pid})


@contextlib.contextmanager
def _children() -> Iterator[socket.socket]:
    """A socket with something to read whenever a child has ended."""
    woken, wake = socket.socketpair()
    with woken, wake:
        wake.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        yield woken


def _say_ended(asked: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _say(asked, {"pid": ended[0], "code": os.waitstatus_to_exitcode(ended[1])})


def _say(asked: socket.socket, what: Mapping[str, int]) -> None:
    with contextlib.suppress(ConnectionError):  # the supervisor is gone; the next read shows it
        asked.send(json.dumps(what).encode())


def _become(order: Any, log: int, hook: Callable[[], None] | None) -> None:
    """Make a fork what a program started by the supervisor itself would be."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if hook is not None:
        hook()
    os.setsid()
    os.umask(0o066)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["folder"])
    sys.argv = order["words"]
    sys.orig_argv = [sys.executable, "-P", "-m", *order["words"]]
    time.tzset()


if __name__ == "__main__":
    main()
