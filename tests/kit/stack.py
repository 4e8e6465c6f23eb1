"""A whole stack of a test's own: its home, its ports, and the means to disturb it."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.rights import ADMIN
from paidup_local import launch, plan, postgres, rights, state
from paidup_local.settings import Settings, cache_folder, read_env_file
from tests.kit import containers, ports


@dataclass(frozen=True)
class LocalStack:
    """A running stack; `url` and `api_key` are what `paidup.env` holds."""

    settings: Settings
    url: str
    api_key: str

    @property
    def home(self) -> pathlib.Path:
        return self.settings.home

    def kafka(self, principal: str = ADMIN) -> dict[str, Any]:
        """The arguments of a Kafka client, who may do everything unless another is named."""
        return rights.client(self.settings, principal)

    def status(self) -> dict[str, Any]:
        """As `paidup status --json`."""
        return dict(state.status(self.settings))

    def names(self) -> list[str]:
        return [one["name"] for one in self.status()["processes"]]

    def pid(self, name: str) -> int | None:
        """Process number, None while the process is being restarted."""
        found = state.running(self.settings)
        assert found, "the stack is not running"
        return next(one.pid for one in found.processes if one.name == name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a process, by default the one that nobody can catch; gives the number of the process."""
        pid = self._await(lambda: self.pid(name), f"{name} to run", 30)
        os.kill(pid, number)
        return int(pid)

    def stop_postgres_at_once(self) -> None:
        """An immediate stop: no checkpoint, every connection cut; the supervisor starts it again."""
        self.kill("postgres", signal.SIGQUIT)

    def restart(self, name: str, number: int = signal.SIGKILL, seconds: float = 60) -> None:
        """Kill a process and return once its successor is ready."""
        self.wait_successor(name, self.kill(name, number), seconds)

    def wait_successor(self, name: str, before: int | None, seconds: float = 60) -> None:
        """Return once a process has followed the one with this number, and is ready."""
        self._await(lambda: self.pid(name) not in {None, before}, f"a successor of {name}", seconds)
        self.wait_ready(name, seconds=seconds)

    def wait_ready(self, *names: str, seconds: float = 60) -> None:
        """Return once the named processes, or all of them, are ready."""
        self._await(lambda: self._all_ready(names), f"{names or 'everything'} to be ready", seconds)

    def paidup(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run the `paidup` command against this stack."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "paidup_local.cli", *words],
            env=self.settings.environment(os.environ), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"paidup {' '.join(words)}: {done.stderr}"
        return done

    def paidup_json(self, *words: str, check: bool = True) -> Any:
        """The JSON of the command's last line."""
        return json.loads(self.paidup(*words, check=check).stdout.strip().splitlines()[-1])

    def environment(self, service: str) -> dict[str, str]:
        """Every variable that a process of the service gets."""
        return plan.environment(self.settings, service)

    def database_url(self, service: str, role: str = "OWNER") -> str:
        """Address of a service's database as its OWNER, API or WORK role."""
        return plan.database_urls(self.settings, service)[f"{service.upper()}_{role}_URL"]

    def sandbox(self, path: str, **body: Any) -> Any:
        """Ask the provider's sandbox for something, over its control address."""
        url = f"http://127.0.0.1:{self.settings.port_of('sandbox')}/_control/{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            read: bytes = answer.read()
            return json.loads(read) if "json" in answer.headers.get("content-type", "") else read

    def intents(self) -> dict[str, str]:
        """The provider's id of the charge of each payment, declined ones too."""
        return {one["metadata"].get("payment_id", ""): one["payment_intent"] for one in self.charges()}

    def charges(self) -> Iterator[Any]:
        """The provider's own record of charges, the oldest first."""
        after: int | None = 0
        while after is not None:
            url = f"http://127.0.0.1:{self.settings.port_of('sandbox')}/_control/charges?after={after}&limit=10000"
            with urllib.request.urlopen(url) as answer:
                page = json.load(answer)
            yield from page["items"]
            after = page["next"]

    def log(self, name: str) -> str:
        return (self.settings.logs / f"{name}.log").read_text(errors="replace")

    def _all_ready(self, names: tuple[str, ...]) -> bool:
        found = self.status()["processes"]
        return all(one["ready"] for one in found if not names or one["name"] in names)

    @staticmethod
    def _await(look: Callable[[], Any], what: str, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.05)
        return found


@contextlib.contextmanager
def local_stack(
    *,
    split: bool = False,
    replicas: int = 1,
    extra: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda text: None,
    keep: bool = False,
    prepare: Callable[[pathlib.Path], None] = lambda home: None,
) -> Iterator[LocalStack]:
    """Start a stack of its own and end it, with its data unless `keep`; it also ends when this process is killed.

    `prepare` is given the home before anything is in it.
    """
    base = pathlib.Path(tempfile.gettempdir(), f"paidup-stacks-{os.getuid()}")
    base.mkdir(exist_ok=True)
    home = pathlib.Path(tempfile.mkdtemp(dir=base))
    home.chmod(0o755)  # PostgreSQL runs as another user when this one is root
    prepare(home)
    settings = Settings(home.resolve(), ports.free_block(), cache_folder(), split, replicas, *_servers())
    try:
        launch.detached(settings, say, watched=os.getpid(), extra=extra)
        yield LocalStack(settings, *read_env_file(settings))
    finally:
        state.stop(settings)
        if not keep:
            for folder in postgres.data_folders(settings):
                shutil.rmtree(folder, ignore_errors=True)


def _servers() -> tuple[str | None, str | None]:
    """Kafka and PostgreSQL from containers where those are wanted."""
    return (containers.kafka_bootstrap(), containers.postgres_dsn()) if containers.wanted() else (None, None)
