"""A process that has imported what all services import. On Linux each program of the local stack is a fork of it.

A service then starts with half a second of processor time instead of five, and all share the memory of these modules.

The supervisor runs `python -m paidup_local.forkserver FD` and sends orders over that socket: what to run and with
which variables, with the log's descriptor beside the message. The answers say which process runs it and, later, how
that process ended. `Forks` is the supervisor's side. The server ends with its supervisor, and its forks with it.
"""

import asyncio
import contextlib
import errno
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

import psutil

from paidup_local.children import STOP_GRACE, die_with_parent, note, open_log
from paidup_local.errors import StackError

IMPORTED = ("chassis.service", "aiohttp")  # no module of a service: what it registers is its own
LARGEST = 200_000
ANSWER_SECONDS = 120.0  # it imports before its first answer, which takes a slow machine half a minute
LOOK_SECONDS = 2.0  # between looks at a process of which the server says nothing


class Fork:
    """A forked process, as `asyncio.subprocess.Process` shows one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        self._seen: psutil.Process | None = None
        with contextlib.suppress(psutil.NoSuchProcess):
            self._seen = psutil.Process(pid)

    @property
    def gone(self) -> bool:
        """Whether the process has ended. How it ended only the server knows."""
        with contextlib.suppress(psutil.NoSuchProcess):
            seen = self._seen
            return seen is None or not seen.is_running() or seen.status() == psutil.STATUS_ZOMBIE
        return True

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    async def wait(self) -> int:
        """How it ended, as the server says. A process that is gone without such a word counts as killed."""
        while self.returncode is None:
            gone = self.gone
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._ended.wait()
            if gone and self.returncode is None:
                self.end(-signal.SIGKILL)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    async def see_off(self) -> None:
        """Return once it is gone. The death of its server asks it to end; after STOP_GRACE it is killed here."""
        deadline = time.monotonic() + STOP_GRACE
        while not self.gone:
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            await asyncio.sleep(0.05)
        self.end(-signal.SIGTERM)


Orders = dict[int, "asyncio.Future[Fork]"]


class Forks:
    """Has programs started by the server, which is started at the first need and again when it has died."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._opening = asyncio.Lock()
        self._orders: Orders = {}
        self._last = 0  # number of the last order
        self._closing = False
        self._socket: socket.socket | None = None
        self._server: asyncio.subprocess.Process | None = None
        self._hearing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start the server, if it does not run."""
        async with self._opening:
            if self._socket is not None:
                return
            own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            own.setblocking(False)
            with its, open_log(self._log) as log:
                self._server = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "paidup_local.forkserver", str(its.fileno()),
                    env=os.environ | {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "1"},
                    stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[its.fileno()],
                    start_new_session=True, preexec_fn=die_with_parent(signal.SIGTERM),
                )  # fmt: skip
            self._socket, self._orders = own, {}
            hearing = asyncio.create_task(self._hear(own, self._server, self._orders))
            self._hearing.add(hearing)
            hearing.add_done_callback(self._hearing.discard)

    async def spawn(self, words: Sequence[str], env: Mapping[str, str], folder: Path | None, log: BinaryIO) -> Fork:
        """Run `python -m` with these words and this log; StackError when the server can't, or does not answer."""
        await self.open()
        assert self._socket is not None
        assert self._server is not None
        server, orders = self._server, self._orders
        self._last = number = self._last + 1
        order = {"order": number, "words": words, "env": dict(env), "folder": str(folder or Path.cwd())}
        born: asyncio.Future[Fork] = asyncio.get_running_loop().create_future()
        orders[number] = born
        try:
            socket.send_fds(self._socket, [json.dumps(order).encode()], [log.fileno()])
            async with asyncio.timeout(ANSWER_SECONDS):
                return await born
        except OSError as problem:
            if isinstance(problem, TimeoutError):
                _kill(server)  # it is stopped, or hangs: the next order has a new one
            raise StackError(f"The process that starts services can't be asked: {problem!r}.", self._remedy) from None
        finally:
            del orders[number]

    async def close(self) -> None:
        """End the server, if it runs. All its forks have ended before."""
        self._closing = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
        if self._hearing:
            await asyncio.wait(self._hearing, timeout=LOOK_SECONDS)
        if self._hearing:
            assert self._server is not None
            _kill(self._server)
            await asyncio.wait(self._hearing)

    async def _hear(self, own: socket.socket, server: asyncio.subprocess.Process, orders: Orders) -> None:
        loop, mine = asyncio.get_running_loop(), dict[int, Fork]()
        with own, contextlib.suppress(ConnectionError):
            while text := await loop.sock_recv(own, LARGEST):
                said = json.loads(text)
                if "code" in said:
                    if fork := mine.pop(said["pid"], None):
                        fork.end(said["code"])
                elif "problem" in said:
                    _answer(orders, said["order"], StackError(said["problem"], self._remedy))
                else:
                    fork = mine[said["pid"]] = Fork(said["pid"])
                    if not _answer(orders, said["order"], fork):
                        fork.send_signal(signal.SIGKILL)  # who asked for it has given up
        if self._socket is own:
            self._socket = None
        code = await server.wait()
        if not self._closing:
            note(self._log, f"the process that starts services ended with {code}")
        for number in list(orders):
            _answer(orders, number, StackError("The process that starts services ended.", self._remedy))
        await asyncio.gather(*(fork.see_off() for fork in mine.values()))

    @property
    def _remedy(self) -> str:
        return f"read {self._log}."


def _answer(orders: Orders, number: int, answer: Fork | StackError) -> bool:
    """Whether somebody waits for this answer."""
    born = orders.get(number)
    if born is None or born.done():
        return False
    if isinstance(answer, Fork):
        born.set_result(answer)
    else:
        born.set_exception(answer)
    return True


def _kill(server: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        server.kill()


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
                order = json.loads(text)
                if _is_fork(asked, order["order"], logs):
                    _become(order, logs[0], hook)
                    return order
                for log in logs:
                    os.close(log)


def _is_fork(asked: socket.socket, number: int, logs: Sequence[int]) -> bool:
    """Fork, and answer the order. A fork that fails is this program's problem alone: the others go on."""
    try:
        if not logs:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        pid = os.fork()
    except OSError as error:
        _say(asked, {"order": number, "problem": f"No process can be started: {error}."})
        return False
    if pid:
        _say(asked, {"order": number, "pid": pid})
    return pid == 0


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


def _say(asked: socket.socket, what: Mapping[str, int | str]) -> None:
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
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(order["words"][0])  # what `top` and `ps -o comm` show
    sys.orig_argv = [sys.executable, "-P", "-m", *order["words"]]
    time.tzset()


if __name__ == "__main__":
    main()
