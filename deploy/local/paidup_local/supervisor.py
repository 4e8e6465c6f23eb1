"""Starts the stack with all that can overlap, keeps it alive, and stops it in reverse order."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator

from contracts.rights import OUTSIDE
from contracts.services import WITH_DATABASE
from paidup_local import kafka, plan, postgres, rights, state
from paidup_local.downloads import Say
from paidup_local.errors import StackError
from paidup_local.forkserver import Forks
from paidup_local.programs import Program, Running, begin
from paidup_local.settings import Settings, env_pairs, env_text, load, write_private

START_SECONDS = 240.0  # a process that dies is noticed at once; this one is for slow machines
LOOK_EVERY = 1.0
FAILED = "Error: "


class Stack:
    """All processes of one home."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self.settings = settings
        self.say = say
        self.running: dict[str, Running] = {}
        self.forks = Forks(settings.logs / "forkserver.log") if settings.forks else None
        self.is_ready = False
        self.is_noted = True

    async def up(self) -> None:
        """Start everything and return once every process is ready; on failure the error, with nothing left running."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._start_all(group)
        except BaseExceptionGroup as problems:
            raise _first(problems) from None

    async def down(self) -> None:
        """Services first and at once, then the sandbox, the mail catcher, Kafka and PostgreSQL."""
        self.is_ready = False
        servers = [self.running.pop(name) for name in ("postgres", "kafka", "sandbox", "mail") if name in self.running]
        services, self.running = list(self.running.values()), {}
        await asyncio.gather(*(one.stop() for one in reversed(services)))
        await asyncio.gather(*(one.stop() for one in reversed(servers)))
        if self.forks:
            await self.forks.close()

    async def _start_all(self, group: asyncio.TaskGroup) -> None:
        plan.make_keys(self.settings)
        if self.forks:
            await self.forks.open()
        database = group.create_task(self._database())
        broker = group.create_task(self._broker())
        group.create_task(self._run(plan.sandbox(self.settings)))
        group.create_task(self._run(plan.mail(self.settings)))
        migrated = {one: group.create_task(self._migrated(one, database)) for one in WITH_DATABASE}
        group.create_task(self._first_key(migrated["auth"]))
        # A service waits for its broker by itself; only at a first start that is of no use before it has its topics.
        first = [] if self.settings.kafka or rights.are_given(self.settings) else [broker]
        for program in plan.programs(self.settings):
            service = program.name.split("-")[0]
            needs = [*first, *([migrated[service]] if service in migrated else [])]
            group.create_task(self._after(needs, self._run(program)))

    async def _after(self, needs: list[asyncio.Task[None]], then: Coroutine[None, None, None]) -> None:
        try:
            await asyncio.gather(*needs)
        except BaseException:
            then.close()
            raise
        await then

    async def _run(self, program: Program) -> None:
        one = self.running[program.name] = Running(program, self.settings.logs, self.note, self.forks)
        await one.start()
        await one.wait_ready(START_SECONDS)
        self.say(f"{program.name} ready")

    async def _database(self) -> None:
        if not self.settings.postgres:
            await self._run(await asyncio.to_thread(postgres.prepare, self.settings, self.say))

    async def _broker(self) -> None:
        from contracts.topics import TOPICS

        if not self.settings.kafka:
            await self._run(await asyncio.to_thread(kafka.prepare, self.settings, self.say))
            await rights.apply(self.settings)
        await kafka.create_topics(rights.client(self.settings), TOPICS)

    async def _migrated(self, service: str, database: asyncio.Task[None]) -> None:
        await database
        passwords = plan.passwords(self.settings, service)
        new = await postgres.provision(postgres.admin_dsn(self.settings), service, passwords)
        mark, digest = self.settings.home / "migrated" / service, plan.migrations_digest(service)
        if new or not mark.exists() or mark.read_text() != digest:
            await self._once(service, "chassis.db.migrate", service)
            mark.parent.mkdir(exist_ok=True)
            mark.write_text(digest)

    async def _first_key(self, auth: asyncio.Task[None]) -> None:
        """The key of every scope for the person at this machine, and the file that holds it."""
        path, key = self.settings.env_file, None
        if path.exists():
            key = env_pairs(path.read_text().splitlines()).get("PAIDUP_API_KEY")
        await auth
        if key is None:
            printed = await self._once("auth", "auth", "keys", "create", "--name", "local", "--scopes", "*")
            key = json.loads(printed.strip().splitlines()[-1])["key"]
        write_private(path, env_text(self.settings, key, rights.variables(self.settings, OUTSIDE)))

    async def _once(self, service: str, module: str, *words: str) -> str:
        """Run a command with a service's variables to its end; its output, or a StackError with what it said."""
        command, env = plan.python(module, *words), plan.environment(self.settings, service)
        with tempfile.TemporaryFile() as said:
            process = await begin(Program(module, command, env, folder=self.settings.home), said, self.forks)
            try:
                code = await process.wait()
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGKILL)
            said.seek(0)
            text = said.read().decode(errors="replace")
        if code:
            raise StackError(
                f"`python -m {module} {' '.join(words)}` failed:\n{text[-3000:]}",
                "correct what it names, then try again.",
            )
        return text

    def note(self) -> None:
        """Write down who runs, for `status` and `down`; what has no space now is written at the next look."""
        self.is_noted = False
        with contextlib.suppress(OSError):
            self._write()
            self.is_noted = True

    def _write(self) -> None:
        own = state.Process("supervisor", os.getpid(), None, state.started(os.getpid()))
        processes = tuple(
            state.Process(one.program.name, one.pid, one.program.port, state.started(one.pid))
            for one in self.running.values()
        )
        admin = postgres.admin_dsn(self.settings).rsplit("@", 1)[-1].split("/")[0]
        noted = state.State(own, self.is_ready, processes, self.settings.kafka_address, admin)
        state.write(self.settings, noted)


def _first(problems: BaseExceptionGroup[BaseException]) -> BaseException:
    known, _ = problems.split(StackError)
    one: BaseException = known or problems
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the home: a second supervisor there is refused."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"A stack already runs in {settings.home}.",
                "stop it with `make down`, or start another one with its own PAIDUP_HOME and PAIDUP_PORT.",
            ) from None
        yield


def _for_its_owner_alone(settings: Settings) -> None:
    """Nobody else reads a home, whatever made its files. PostgreSQL, under another user of root's, passes through."""
    settings.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for path in settings.home.iterdir():
        if path not in postgres.data_folders(settings) and not path.is_symlink() and path.stat().st_uid == os.geteuid():
            path.chmod(0o700 if path.is_dir() else 0o600)


async def supervise(settings: Settings, say: Say, watched: int | None = None) -> None:
    """Run the stack until SIGINT or SIGTERM, or until the watched process is gone."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    stack, began = Stack(settings, say), time.monotonic()
    stack.note()  # `down` finds a stack that starts
    looking = asyncio.create_task(_look_after(stack, ended, watched))
    archiving: asyncio.Task[None] | None = None
    try:
        starting = asyncio.create_task(stack.up())
        stopped = asyncio.create_task(ended.wait())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            await _give_up(stack, starting)
        await starting
        _for_its_owner_alone(settings)
        say(f"ready after {time.monotonic() - began:.1f} s: {settings.url} (documents at {settings.url}/docs)")
        say(f"address and API key are in {settings.env_file}; mails are caught at {settings.mail_url}")
        stack.is_ready = True
        stack.note()
        if not settings.kafka:
            archiving = asyncio.create_task(kafka.archive_classes(settings))
        await stopped
    finally:
        say("stopping")
        looking.cancel()
        if archiving:
            archiving.cancel()
            await asyncio.wait([archiving])
        await stack.down()
        settings.state_file.unlink(missing_ok=True)
        say("stopped")


async def _give_up(stack: Stack, starting: asyncio.Task[None]) -> None:
    """Stop in the middle of a start, without waiting for a download in another thread."""
    stack.say("stopping before the stack was ready")
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError, StackError):
        await starting
    await stack.down()
    stack.settings.state_file.unlink(missing_ok=True)
    sys.stdout.flush()
    os._exit(130)


async def _look_after(stack: Stack, ended: asyncio.Event, watched: int | None) -> None:
    since = state.started(watched)
    while True:
        await asyncio.sleep(LOOK_EVERY)
        if watched is not None and not state.Process("watched", watched, None, since).alive:
            ended.set()
        if not stack.is_noted:
            stack.note()
        for one in list(stack.running.values()):
            with contextlib.suppress(OSError):
                one.bound_log()


def run(settings: Settings, say: Say, watched: int | None = None) -> None:
    """Check that nothing is in the way, then supervise."""
    with _alone(settings):
        _for_its_owner_alone(settings)
        if state.stop(settings):
            say("stopped what an earlier stack in this home had left running")
        plan.check_ports(settings)
        asyncio.run(supervise(settings, say, watched))


def say_line(text: str) -> None:
    """A message in one write, since threads speak at once. Nobody to read it, or no space for it, stops nothing."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def main() -> None:
    """`python -m paidup_local.supervisor [PID]`: a stack without terminal, which ends with the process PID."""
    watched = int(sys.argv[1]) if len(sys.argv) > 1 else None
    try:
        run(load(), say_line, watched)
    except StackError as problem:
        say_line(f"{FAILED}{problem}")
        sys.exit(1)


if __name__ == "__main__":
    main()
