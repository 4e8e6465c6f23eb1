"""Where the local stack lives and which ports it takes, read from the environment."""

import json
import os
import pathlib
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contracts.services import SERVICES
from paidup_local.errors import StackError

MAX_REPLICAS = 4
PORTS_IN_A_BLOCK = 100
OFFSETS = {service.name: service.port for service in SERVICES} | {
    "sandbox": 9,
    "postgres": 10,
    "kafka": 11,
    "kafka controller": 12,
    "mail": 13,
    "smtp": 14,
    "replies": 15,
}


@dataclass(frozen=True)
class Settings:
    """One stack: two of them run side by side when home and port block differ."""

    home: pathlib.Path
    port: int
    cache: pathlib.Path
    split: bool = False
    replicas: int = 1
    kafka: str | None = None
    postgres: str | None = None
    forks: bool = sys.platform == "linux"

    def port_of(self, name: str) -> int:
        return self.port + OFFSETS[name]

    def replica_port(self, service: str, part: str, replica: int) -> int:
        """Port of one process of a service; the first that answers HTTP keeps the service's own port."""
        place = OFFSETS[service]
        if part == "work":
            return self.port + 50 + (replica - 1) * 10 + place
        return self.port + place if replica == 1 else self.port + 20 + (replica - 2) * 10 + place

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The variables from which `load` reads these settings again, on top of others."""
        servers = {"PAIDUP_KAFKA": self.kafka, "PAIDUP_POSTGRES": self.postgres}
        own = {
            "PAIDUP_HOME": str(self.home),
            "PAIDUP_PORT": str(self.port),
            "PAIDUP_CACHE": str(self.cache),
            "PAIDUP_SPLIT": str(int(self.split)),
            "PAIDUP_REPLICAS": str(self.replicas),
            "PAIDUP_FORKS": str(int(self.forks)),
        }
        kept = {key: value for key, value in base.items() if key not in servers}
        return kept | own | {key: value for key, value in servers.items() if value}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mail_url(self) -> str:
        """Where every mail of the stack can be read."""
        return f"http://127.0.0.1:{self.port_of('mail')}"

    @property
    def replies_url(self) -> str:
        """Where the answers to its mails are taken."""
        return f"smtp://127.0.0.1:{self.port_of('replies')}"

    @property
    def kafka_address(self) -> str:
        return self.kafka or f"127.0.0.1:{self.port_of('kafka')}"

    @property
    def clock_file(self) -> pathlib.Path:
        return self.home / "clock"

    @property
    def env_file(self) -> pathlib.Path:
        return self.home / "paidup.env"

    @property
    def state_file(self) -> pathlib.Path:
        return self.home / "stack.json"

    @property
    def logs(self) -> pathlib.Path:
        return self.home / "logs"

    def secret(self, name: str) -> str:
        """A random word made at first use and kept in a file that only its owner reads."""
        path = self.home / "secrets" / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, secrets.token_urlsafe(24))
        return path.read_text()


def write_private(path: pathlib.Path, text: str) -> None:
    """Write a file of mode 0600 in one step, so that no reader sees half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from PAIDUP_* variables; what the stack itself sets for services is not read back."""
    return Settings(
        home=pathlib.Path(environ.get("PAIDUP_HOME", ".local")).expanduser().resolve(),
        port=_number(environ, "PAIDUP_PORT", 18080, 1024, 65535 - PORTS_IN_A_BLOCK),
        cache=cache_folder(environ),
        split=_is_on(environ, "PAIDUP_SPLIT", "0"),
        replicas=_number(environ, "PAIDUP_REPLICAS", 1, 1, MAX_REPLICAS),
        kafka=_other_kafka(environ),
        postgres=environ.get("PAIDUP_POSTGRES") or None,
        forks=sys.platform == "linux" and _is_on(environ, "PAIDUP_FORKS", "1"),
    )


def _other_kafka(environ: Mapping[str, str]) -> str | None:
    """A broker that runs already and is to be used; not the address that a stack's own env file set in this shell."""
    named = environ.get("PAIDUP_KAFKA") or None
    return None if named == environ.get("PAIDUP_OWN_KAFKA") else named


def cache_folder(environ: Mapping[str, str] = os.environ) -> pathlib.Path:
    """Where downloads are kept for all stacks of this user."""
    base = pathlib.Path(environ.get("XDG_CACHE_HOME", "~/.cache"))
    return pathlib.Path(environ.get("PAIDUP_CACHE") or base / "paidup").expanduser().resolve()


def read_env_file(settings: Settings) -> tuple[str, str]:
    """Address and API key of the stack in this home."""
    try:
        lines = settings.env_file.read_text().splitlines()
    except FileNotFoundError:
        raise StackError(
            f"{settings.env_file} is not there: no stack has been started in this home.",
            "run `make up` first, or point PAIDUP_HOME at the stack's home.",
        ) from None
    pairs = env_pairs(lines)
    return pairs["PAIDUP_URL"], pairs["PAIDUP_API_KEY"]


def env_text(settings: Settings, key: str, kafka: Mapping[str, str]) -> str:
    """What a shell sources to speak to the stack, and to find the `paidup` command. `kafka`: an outsider's variables.

    PAIDUP_OWN_KAFKA marks the address as this stack's own: it is not taken for a broker that the next stack is to use.
    """
    pairs = {
        "PAIDUP_URL": settings.url,
        "PAIDUP_API_KEY": key,
        "PAIDUP_MAIL_URL": settings.mail_url,
        "PAIDUP_REPLIES_URL": settings.replies_url,
        **kafka,
        "PAIDUP_OWN_KAFKA": "" if settings.kafka else settings.kafka_address,
        "PATH": f'"{pathlib.Path(sys.executable).parent}:$PATH"',
    }
    return "".join(f"export {name}={value}\n" for name, value in pairs.items())


def env_pairs(lines: Iterable[str]) -> dict[str, str]:
    """The variables of a file that a shell sources, whether it exports them or not."""
    return dict(line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)


def read_json(path: pathlib.Path) -> dict[str, object] | None:
    """A JSON object from a file, or None while the file is absent or broken."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _is_on(environ: Mapping[str, str], name: str, default: str) -> bool:
    return environ.get(name, default).lower() in {"1", "true", "yes"}


def _number(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, str(default))
    if text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise StackError(f"{name} is {text!r}.", f"set it to a whole number from {low} to {high}.")
