"""The local stack's own parts: real servers, databases and roles, topics, restarts, messages with a remedy."""

import asyncio
import dataclasses
import errno
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

import asyncpg
import psutil
import pytest

from contracts.services import WITH_DATABASE
from paidup_local import business_clock, downloads, forkserver, launch, plan, postgres, programs, state, supervisor
from paidup_local.errors import StackError
from paidup_local.forkserver import Forks
from paidup_local.settings import Settings, cache_folder, load
from tests.kit import containers, kafka, keeper, ports
from tests.kit.postgres import admin_dsn, drop_database, fresh_database
from tests.kit.stack import local_stack

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    return Settings(tmp_path / "home", ports.free_block(), tmp_path / "cache")


async def test_topics_are_made_once_with_their_partitions() -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    name = kafka.unique("local.test.v1")
    address = await kafka.create_topics(name, partitions=3)
    await kafka.create_topics(name, partitions=3)
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    (found,) = await admin.describe_topics([name])
    await admin.close()
    assert len(found["partitions"]) == 3


class TestDatabases:
    async def test_each_service_has_its_own_with_roles(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / "0001_things.sql").write_text("CREATE TABLE things (id int); GRANT SELECT ON things TO shop_api;")
        database = await fresh_database("shop", tmp_path)
        for url, role in (
            (database.owner_url, "shop"),
            (database.api_url, "shop_api"),
            (database.work_url, "shop_work"),
        ):
            connection = await asyncpg.connect(url)
            assert await connection.fetchval("SELECT current_user") == role
            await connection.close()
        api = await asyncpg.connect(database.api_url)
        assert await api.fetch("SELECT * FROM things") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.execute("CREATE TABLE mine (id int)")
        await api.close()
        await drop_database(database)

    async def test_provisioning_may_be_repeated_at_once(self) -> None:
        words = {"twice" + part: "word" for part in postgres.PARTS}
        admin = await asyncio.to_thread(admin_dsn)
        await asyncio.gather(*(postgres.provision(admin, "twice", words) for _ in range(5)))
        connection = await asyncpg.connect(admin)
        assert await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'twice'") == 1
        await connection.execute("DROP DATABASE twice")
        await connection.close()

    async def test_no_service_reaches_another(self, tmp_path: pathlib.Path) -> None:
        mine, other = await fresh_database("mine", tmp_path), await fresh_database("other", tmp_path)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(mine.owner_url.rsplit("/", 1)[0] + f"/{other.name}")
        await drop_database(mine)
        await drop_database(other)

    @pytest.mark.skipif(containers.wanted(), reason="the container has its own version")
    async def test_server_is_postgresql_18_with_extensions(self, tmp_path: pathlib.Path) -> None:
        connection = await asyncpg.connect(await asyncio.to_thread(admin_dsn))
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
        names = {row["name"] for row in await connection.fetch("SELECT name FROM pg_available_extensions")}
        assert {"pg_trgm", "pg_stat_statements"} <= names
        await connection.close()

    @pytest.mark.skipif(containers.wanted(), reason="containers are ended by their own watcher")
    def test_servers_of_a_killed_session_end(self) -> None:
        script = (
            "import os, time\n"
            "from tests.kit import keeper\n"
            "print(keeper.shared('postgres')['pid'], flush=True)\n"
            "time.sleep(600)\n"
        )
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_XDIST")}
        process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=keeper.ROOT, env=environ, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        server = psutil.Process(int(process.stdout.readline()))
        process.kill()
        process.wait()
        process.stdout.close()
        server.wait(15)
        assert not server.is_running()


async def _changed(running: programs.Running, first: int) -> bool:
    return running.pid not in {None, first}


async def _logged(running: programs.Running, word: str) -> bool:
    return word in running.log.read_text()


class TestSupervisor:
    async def test_dead_program_is_started_again(self, settings: Settings) -> None:
        running = programs.Running(programs.Program("sleeper", SLEEPER, dict(os.environ)), settings.logs)
        await running.start()
        first = running.pid
        assert first
        os.kill(first, signal.SIGKILL)
        await _until(lambda: _changed(running, first))
        await running.stop()
        assert running.pid is None
        assert "starting it again" in running.log.read_text()

    async def test_failed_start_shows_the_last_lines(self, settings: Settings) -> None:
        command = (sys.executable, "-c", "raise SystemExit('no settings at all')")
        program = programs.Program("broken", command, dict(os.environ), port=settings.port)
        running = programs.Running(program, settings.logs)
        await running.start()
        with pytest.raises(StackError, match=r"(?s)broken does not start.*no settings at all"):
            await running.wait_ready(60)
        await running.stop()

    async def test_ignored_signal_ends_in_a_kill(self, settings: Settings) -> None:
        deaf = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
            "print('deaf', flush=True); time.sleep(60)"
        )
        running = programs.Running(
            programs.Program("deaf", (sys.executable, "-c", deaf), dict(os.environ)), settings.logs
        )
        await running.start()
        await _until(lambda: _logged(running, "deaf"))
        began = time.monotonic()
        await running.stop(grace=0.3)
        assert 0.3 <= time.monotonic() - began < 5

    async def test_log_is_bounded(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(programs, "LOG_LIMIT", 10)
        running = programs.Running(programs.Program("chatty", SLEEPER, {}), settings.logs)
        settings.logs.mkdir(parents=True)
        running.log.write_text("a line too long\n")
        running.bound_log()
        assert running.log.read_text() == ""
        assert running.log.with_suffix(".log.1").read_text() == "a line too long\n"


SHOWS = """
import os, pathlib, sys, time
pathlib.Path("made").touch()
print(sys.argv[1:], os.environ["WORD"], os.environ.get("HOME"), os.getsid(0) == os.getpid(), os.getcwd(), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="programs are forks on Linux alone")
class TestForks:
    @pytest.fixture
    async def forks(
        self, settings: Settings, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[Forks]:
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # where the server finds the module
        made = Forks(settings.logs / "forkserver.log")
        yield made
        await made.close()

    async def test_fork_is_a_program_of_its_own(self, forks: Forks, settings: Settings, tmp_path: pathlib.Path) -> None:
        running = started(forks, settings, tmp_path, SHOWS)
        await running.start()
        await _until(lambda: _logged(running, "]"), 60)
        assert running.log.read_text() == f"['a', 'b'] mine None True {tmp_path}\n"
        assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600
        await running.stop()
        assert running.pid is None

    async def test_dead_fork_is_started_again(self, forks: Forks, settings: Settings, tmp_path: pathlib.Path) -> None:
        running = started(forks, settings, tmp_path, SHOWS)
        await running.start()
        first = running.pid
        assert first
        os.kill(first, signal.SIGKILL)
        await _until(lambda: _changed(running, first))
        assert "shows ended with -9; starting it again" in running.log.read_text()
        await running.stop()

    async def test_failed_fork_shows_the_last_lines(
        self, forks: Forks, settings: Settings, tmp_path: pathlib.Path
    ) -> None:
        running = started(forks, settings, tmp_path, "raise SystemExit('no settings at all')", port=settings.port)
        await running.start()
        with pytest.raises(StackError, match=r"(?s)shows does not start.*no settings at all.*ended with 1"):
            await running.wait_ready(60)
        await running.stop()

    async def test_killed_server_comes_back_with_forks(
        self, forks: Forks, settings: Settings, tmp_path: pathlib.Path
    ) -> None:
        running = started(forks, settings, tmp_path, SHOWS)
        await running.start()
        first = running.pid
        assert first
        server = psutil.Process(first).ppid()
        os.kill(server, signal.SIGKILL)
        await _until(lambda: _changed(running, first), 60)
        assert not psutil.pid_exists(first)
        assert running.pid is not None
        assert psutil.Process(running.pid).ppid() not in {server, os.getpid()}
        await running.stop()

    async def test_server_that_cannot_start_says_where(
        self, forks: Forks, settings: Settings, tmp_path: pathlib.Path
    ) -> None:
        (tmp_path / "aiohttp.py").write_text("raise ImportError('not installed well')")
        with pytest.raises(StackError, match=r"(?s)process that starts services ended.*forkserver\.log"):
            await started(forks, settings, tmp_path, SHOWS).start()
        await forks.close()
        assert "not installed well" in (settings.logs / "forkserver.log").read_text()

    async def test_abandoned_start_leaves_no_process(
        self, forks: Forks, settings: Settings, tmp_path: pathlib.Path
    ) -> None:
        """The next start has its own process, not the one that nobody waits for any more."""
        first, second = (started(forks, settings, tmp_path, WRITES, name=name) for name in ("one", "two"))
        await forks.open()
        abandoned = asyncio.create_task(first.start())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        abandoned.cancel()
        await second.start()
        await _until(lambda: _logged(second, "two"), 60)
        assert second.pid == int((tmp_path / "two").read_text())
        if (tmp_path / "one").exists():  # it had time to write
            assert not psutil.pid_exists(int((tmp_path / "one").read_text()))
        await second.stop()

    async def test_fork_that_outlives_its_server_is_killed(
        self, forks: Forks, settings: Settings, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forkserver, "STOP_GRACE", 0.5)
        running = started(forks, settings, tmp_path, STUBBORN)
        await running.start()
        first = running.pid
        assert first
        await _until(lambda: _logged(running, "here"), 60)
        os.kill(psutil.Process(first).ppid(), signal.SIGKILL)
        await _until(lambda: _changed(running, first), 60)
        assert not psutil.pid_exists(first)
        assert "the process that starts services ended with -9" in (settings.logs / "forkserver.log").read_text()
        await running.stop(grace=0.2)

    async def test_stopped_server_holds_up_nobody(
        self, forks: Forks, settings: Settings, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forkserver, "LOOK_SECONDS", 0.2)
        running, other = (started(forks, settings, tmp_path, SHOWS, name=name) for name in ("one", "two"))
        await running.start()
        assert running.pid
        os.kill(psutil.Process(running.pid).ppid(), signal.SIGSTOP)
        await running.stop(grace=0.2)
        monkeypatch.setattr(forkserver, "ANSWER_SECONDS", 0.2)
        with pytest.raises(StackError, match="can't be asked"):
            await other.start()
        await forks.close()

    @pytest.mark.parametrize("logs", [[], [1]])
    def test_fork_that_fails_is_answered(self, logs: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a descriptor for its log, or without room for one more process."""
        monkeypatch.setattr(os, "fork", _no_process)
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with own, its:
            assert not forkserver._is_fork(its, 7, logs)
            said = json.loads(own.recv(1_000))
        assert said["order"] == 7
        assert "No process can be started" in said["problem"]


WRITES = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
print(sys.argv[1], flush=True)
time.sleep(60)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(60)
"""


def _no_process() -> int:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def started(
    forks: Forks, settings: Settings, folder: pathlib.Path, text: str, port: int | None = None, name: str = "shows"
) -> programs.Running:
    """A module of this text, to be run by a fork in this folder; it is given the words `a b`, or its name."""
    (folder / f"{name}.py").write_text(text)
    words = ("a", "b") if name == "shows" else (name,)
    program = programs.Program(name, plan.python(name, *words), {"WORD": "mine"}, port=port, folder=folder)
    return programs.Running(program, settings.logs, forks=forks)


class TestTwoStarts:
    def test_home_is_held_from_the_start(self, settings: Settings) -> None:
        assert not state.held(settings)
        with supervisor._alone(settings):
            assert state.held(settings)
            with pytest.raises(StackError, match="already runs"), supervisor._alone(settings):
                pass
        assert not state.held(settings)

    def test_error_of_another_start_stops_nobody(self, settings: Settings, tmp_path: pathlib.Path) -> None:
        log = tmp_path / "supervisor.log"
        log.write_text("postgres ready\nError: A stack already runs.\nstop it\n")
        said = list[str]()
        with subprocess.Popen(SLEEPER) as process:
            try:
                stack = supervisor.Stack(settings, said.append)
                stack.is_ready = True
                stack.note()
                found = state.read(settings)
                assert found is not None
                own = dataclasses.replace(found.supervisor, pid=process.pid)
                state.write(settings, dataclasses.replace(found, supervisor=own))
                launch._follow(settings, process, log, 0, said.append)
            finally:
                process.kill()
        assert said == ["postgres ready"]

    def test_own_error_is_given(self, settings: Settings, tmp_path: pathlib.Path) -> None:
        log = tmp_path / "supervisor.log"
        log.write_text("postgres ready\nError: no space\nmake some\n")
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            process.wait()
            with pytest.raises(StackError, match=r"(?s)^no space.make some"):
                launch._follow(settings, process, log, 0, lambda _: None)


class TestDownloads:
    def test_failed_one_names_its_file_and_remedy(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PAIDUP_MAVEN", f"http://127.0.0.1:{settings.port}")
        with pytest.raises(StackError, match=r"(?s)Could not download .*slf4j-api.*HTTPS_PROXY.*PAIDUP_MAVEN"):
            downloads.fetch(["org.slf4j:slf4j-api:1.7.36"], settings.cache, lambda text: None, "a jar")
        assert not list((settings.cache / "jars").iterdir())

    def test_jar_other_than_pinned_is_refused(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        def forged(coordinate: str, folder: pathlib.Path) -> pathlib.Path:
            (folder / "it.jar").write_bytes(b"something else")
            return folder / "it.jar"

        monkeypatch.setattr(downloads, "_resolve", forged)
        with pytest.raises(StackError, match="as pinned"):
            downloads.fetch(["org.slf4j:slf4j-api:1.7.36"], settings.cache, lambda text: None, "a jar")


class TestSettings:
    def test_taken_port_is_named_with_its_setting(self, settings: Settings) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", settings.port_of("postgres")))
            other.listen()
            with pytest.raises(
                StackError, match=rf"(?s)port {settings.port_of('postgres')} \(postgres\).*PAIDUP_PORT="
            ):
                plan.check_ports(settings)
        plan.check_ports(settings)

    def test_wrong_ones_are_refused_by_name(self) -> None:
        with pytest.raises(StackError, match="PAIDUP_PORT is 'many'"):
            load({"PAIDUP_PORT": "many"})
        with pytest.raises(StackError, match="PAIDUP_REPLICAS is '9'"):
            load({"PAIDUP_REPLICAS": "9"})

    def test_survive_the_environment(self, settings: Settings) -> None:
        assert load(settings.environment({"PAIDUP_KAFKA": "elsewhere:1"})) == settings

    def test_replicas_have_their_own_names_and_ports(self, tmp_path: pathlib.Path) -> None:
        stack = Settings(tmp_path, 20_000, tmp_path, split=True, replicas=2)
        found = {one.name: one.port for one in plan.programs(stack)}
        assert set(found) >= {"gateway", "gateway-2", "payments-serve", "payments-serve-2", "payments-work-2"}
        split = len(WITH_DATABASE)  # each serves in one process and works in another
        assert len(set(found.values())) == len(found) == 2 * (2 * split + 1)
        assert set(found.values()) < set(plan.ports(stack))

    def test_only_auth_has_the_private_key(self, settings: Settings) -> None:
        names = {one: set(plan.decided(settings, one)) for one in ("auth", "invoicing", "gateway", "sandbox")}
        assert "AUTH_PRIVATE_KEY" in names["auth"]
        assert "AUTH_PRIVATE_KEY" not in names["invoicing"]
        assert {"INVOICING_OWNER_URL", "INVOICING_API_URL", "INVOICING_WORK_URL"} <= names["invoicing"]
        assert not [name for one in ("gateway", "sandbox") for name in names[one] if name.endswith("_OWNER_URL")]

    def test_secrets_are_readable_by_their_owner_alone(self, settings: Settings) -> None:
        plan.make_keys(settings)
        private = settings.home / "keys/private.json"
        made = private.read_text()
        plan.make_keys(settings)
        assert private.read_text() == made
        assert settings.secret("provider") == settings.secret("provider")
        for path in (private, settings.home / "secrets/provider"):
            assert path.stat().st_mode & 0o777 == 0o600


class TestCommand:
    def test_business_time_moves_on_and_back(self, settings: Settings) -> None:
        business_clock.advance(settings, "1d12h")
        business_clock.advance(settings, "90s")
        assert business_clock.offset(settings) == Decimal(36 * 3600 + 90)
        with pytest.raises(StackError, match="write it as 3d"):
            business_clock.advance(settings, "soon")

    def test_status_without_a_stack_has_a_remedy(self, settings: Settings) -> None:
        with pytest.raises(StackError, match="make up"):
            state.status(settings)
        assert state.stop(settings) is False

    def test_fails_without_a_traceback(self, settings: Settings) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "paidup_local.cli", "status"],
            env=settings.environment(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("Error: No stack runs in")
        assert "Traceback" not in done.stderr

    def test_whole_stack_survives_kills(self) -> None:
        with local_stack() as stack:
            shown = stack.paidup_json("status", "--json")
            assert set(shown) == {"processes", "kafka", "postgres"}
            assert {"sandbox", "auth", "invoicing", "payments", "gateway"} <= {
                one["name"] for one in shown["processes"]
            }
            assert all(set(one) == {"name", "pid", "port", "ready"} and one["ready"] for one in shown["processes"])
            assert stack.settings.env_file.stat().st_mode & 0o777 == 0o600
            stack.restart("sandbox")
            if not containers.wanted():
                stack.stop_postgres_at_once()
            stack.restart("auth")
            stack.wait_ready()
            made = stack.paidup_json("keys", "create", "--name", "reader", "--scopes", "invoices:read")
            assert made["key"]
            pids = [one["pid"] for one in stack.status()["processes"]]
            assert stack.paidup("down").returncode == 0
            assert not [pid for pid in pids if pid and psutil.pid_exists(pid)]

    def test_second_stack_is_refused_with_a_remedy(self) -> None:
        first = ports.free_block()
        with socket.socket() as other, tempfile.TemporaryDirectory() as folder:
            other.bind(("127.0.0.1", first))
            other.listen()
            settings = Settings(pathlib.Path(folder), first, cache_folder())
            with pytest.raises(StackError, match=rf"(?s)Already in use: port {first} \(gateway\).*PAIDUP_HOME"):
                launch.detached(settings, lambda text: None, watched=os.getpid())


async def _until(look: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await look():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class TestSupervisorWithoutLogs:
    async def test_died_program_starts_again(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither its log nor the file of who runs can be written, as on a full disk."""
        settings.logs.mkdir(parents=True)
        stack = supervisor.Stack(settings, lambda _: None)
        running = stack.running["sleeper"] = programs.Running(
            programs.Program("sleeper", SLEEPER, os.environ), settings.logs, stack.note
        )
        await running.start()
        first = running.pid
        assert first is not None
        running.log.unlink()
        running.log.symlink_to("/dev/full")
        monkeypatch.setattr("paidup_local.state.write", _no_space)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while running.pid in (None, first):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert not stack.is_noted
        running.log.unlink()
        running.log.mkdir()
        assert running.pid is not None
        os.kill(second := running.pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            while running.pid in (None, second):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await running.stop()


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


class TestHome:
    async def test_is_for_its_owner_alone(self, settings: Settings) -> None:
        for path in (settings.home / "kafka", settings.logs):
            path.mkdir(parents=True, mode=0o755)
        (settings.home / "clock").write_text("0")
        one = programs.Running(programs.Program("toucher", TOUCHER, os.environ, folder=settings.logs), settings.logs)
        await one.start()
        async with asyncio.timeout(10):
            while not (settings.logs / "made").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await one.stop()
        supervisor._for_its_owner_alone(settings)
        modes = {path.name: path.stat().st_mode & 0o077 for path in settings.home.rglob("*")}
        assert modes == dict.fromkeys(("kafka", "logs", "clock", "toucher.log", "made"), 0)
        assert settings.home.stat().st_mode & 0o066 == 0


TOUCHER = (sys.executable, "-c", "import time; open('made', 'w'); time.sleep(600)")
