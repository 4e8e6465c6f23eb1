"""Which processes a stack has, their environment and their ports."""

import hashlib
import json
import os
import pathlib
import sys
from typing import Literal
from urllib.parse import urlsplit

from chassis.db.migrate import CHASSIS, folder_of
from contracts.services import SERVICES, WITH_DATABASE
from paidup_local import postgres, rights
from paidup_local.errors import StackError
from paidup_local.programs import Program
from paidup_local.settings import Settings, env_pairs, write_private

DEFAULTS = {
    "PAIDUP_TIME_ZONE": "America/New_York",
    "PAIDUP_LOG_LEVEL": "info",
    "GATEWAY_RATE_PER_KEY": "20000",
    "GATEWAY_RATE_PER_ADDRESS": "20000",
}


def programs(settings: Settings) -> list[Program]:
    """Every process of the services: one each, or serve and work apart, as many times as there are replicas."""
    found = []
    for service in SERVICES:
        parts = ("serve", "work") if settings.split and service.database else ("",)
        for replica in range(1, settings.replicas + 1):
            found += [_program(settings, service.name, part, replica) for part in parts]
    return found


def sandbox(settings: Settings) -> Program:
    return Program(
        "sandbox",
        python("sandbox"),
        environment(settings, "sandbox"),
        port=settings.port_of("sandbox"),
        folder=settings.home,
    )


def mail(settings: Settings) -> Program:
    """The catcher: every mail of the stack ends there."""
    ports = {"MAIL_PORT": str(settings.port_of("mail")), "MAIL_SMTP_PORT": str(settings.port_of("smtp"))}
    return Program(
        "mail", python("sandbox.mail"), DEFAULTS | dict(os.environ) | ports, port=settings.port_of("mail"),
        folder=settings.home,
    )  # fmt: skip


def python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", module, *arguments)


def _program(settings: Settings, service: str, part: str, replica: int) -> Program:
    name = "-".join(word for word in (service, part, str(replica) if replica > 1 else "") if word)
    port = settings.replica_port(service, part, replica)
    return Program(
        name,
        python(service, *([part] if part else [])),
        environment(settings, service)
        | {f"{service.upper()}_PORT": str(port)}
        | ({"GATEWAY_METRICS_PORT": str(metrics_port(port))} if service == "gateway" else {}),
        port=port,
        folder=settings.home,
    )


def metrics_port(gateway: int) -> int:
    """Where a gateway's /metrics is: not on its own port, which is public."""
    return gateway + 4


def environment(settings: Settings, service: str) -> dict[str, str]:
    """All variables of one process: defaults, what the user has set, and what the stack decides."""
    return DEFAULTS | dict(os.environ) | _decided(settings, service)


def decided(settings: Settings, service: str) -> dict[str, str]:
    """The variables that make a service part of this stack, without the rest of the environment."""
    found = environment(settings, service)
    decided, prefixes = _decided(settings, service), ("PAIDUP_", f"{service.upper()}_")
    return {key: found[key] for key in sorted(found) if key in decided or key.startswith(prefixes)}


def _decided(settings: Settings, service: str) -> dict[str, str]:
    home = settings.home
    common = {
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "1",  # threads of these processes do little: one place for their memory is enough
        "PAIDUP_HOME": str(home),
        "PAIDUP_CLOCK_FILE": str(settings.clock_file),
        "PAIDUP_PUBLIC_KEYS": str(home / "keys/public.json"),
        "PAIDUP_PUBLIC_URL": settings.url,
        f"{service.upper()}_HOST": "127.0.0.1",
        f"{service.upper()}_PORT": str(settings.port_of(service)),
    }
    if service != "sandbox":
        common |= rights.variables(settings, service)
    if service in WITH_DATABASE:
        common |= database_urls(settings, service)
    return common | _own(settings, service)


def _own(settings: Settings, service: str) -> dict[str, str]:
    """What the service's own `local.env` says, with its braces filled in; of the gateway also where the others are."""
    if service == "sandbox":
        text = SANDBOX
    else:
        file = folder_of(service).parent / "local.env"
        text = file.read_text() if file.exists() else ""
    places = {one.name: _every_replica(settings, one.name) for one in SERVICES}
    filled = text.format(
        home=settings.home,
        secret=_Secrets(settings),
        url=places | {"sandbox": _sandbox(settings)},
        port=_Ports(settings),
    )
    owners = {f"GATEWAY_{one.name.upper()}_URL": places[one.name] for one in SERVICES if one.paths}
    return env_pairs(filled.splitlines()) | (owners if service == "gateway" else {})


class _Secrets:
    """`{secret[name]}`: a word of this stack's own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __getitem__(self, name: str) -> str:
        return self._settings.secret(name)


class _Ports:
    """`{port[name]}`: a port of this stack's own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __getitem__(self, name: str) -> int:
        return self._settings.port_of(name)


SANDBOX = """\
SANDBOX_HOME={home}/sandbox
SANDBOX_KEY=sk_test_{secret[provider]}
SANDBOX_WEBHOOK_SECRET=whsec_{secret[webhook]}
SANDBOX_WEBHOOK_URL={url[gateway]}/v1/webhooks/stripe
"""


def _sandbox(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.port_of('sandbox')}"


def _every_replica(settings: Settings, service: str) -> str:
    part = "serve" if settings.split else ""
    ports = [settings.replica_port(service, part, replica) for replica in range(1, settings.replicas + 1)]
    return ",".join(f"http://127.0.0.1:{port}" for port in ports)


def passwords(settings: Settings, service: str) -> dict[str, str]:
    """Password of each database role of a service."""
    return {role: settings.secret(f"role-{role}") for role in (service + part for part in postgres.PARTS)}


def database_urls(settings: Settings, service: str) -> dict[str, str]:
    place = urlsplit(postgres.admin_dsn(settings))
    address = f"{place.hostname}:{place.port or 5432}/{service}"
    names = dict(zip(("OWNER", "API", "WORK"), passwords(settings, service).items(), strict=True))
    return {
        f"{service.upper()}_{name}_URL": f"postgresql://{role}:{password}@{address}"
        for name, (role, password) in names.items()
    }


def migrations_digest(service: str) -> str:
    """Changes with any migration of the service or the chassis, so that a start without news skips them."""
    parts = hashlib.sha256()
    for path in (*sorted(CHASSIS.glob("*.sql")), *sorted(folder_of(service).glob("*.sql"))):
        parts.update(path.name.encode() + path.read_bytes())
    return parts.hexdigest()


def make_keys(settings: Settings) -> None:
    """Two pairs of keys, each made once: auth signs internal tokens, and seals to notify what only notify may read."""
    keys = settings.home / "keys"
    _make_pair(keys / "private.json", keys / "public.json", "Ed25519")
    _make_pair(keys / "notify-private.json", keys / "notify-public.json", "X25519")


def _make_pair(private: pathlib.Path, public: pathlib.Path, curve: Literal["Ed25519", "X25519"]) -> None:
    """A private JWK, and its public half as a key set."""
    if private.exists() and public.exists():
        return
    from joserfc.jwk import OKPKey

    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = OKPKey.generate_key(curve, auto_kid=True)
    write_private(private, json.dumps(key.as_dict(private=True)))
    write_private(public, json.dumps({"keys": [key.as_dict(private=False)]}))


def ports(settings: Settings) -> dict[int, str]:
    """Every port the stack is about to take, with who takes it."""
    found = {one.port: one.name for one in programs(settings) if one.port}
    found |= {metrics_port(port): f"{name}'s metrics" for port, name in found.items() if name.startswith("gateway")}
    found |= {settings.port_of(name): name for name in ("sandbox", "mail", "smtp", "replies")}
    if not settings.postgres:
        found[settings.port_of("postgres")] = "postgres"
    if not settings.kafka:
        found |= {settings.port_of(name): name for name in ("kafka", "kafka controller")}
    return found


def check_ports(settings: Settings) -> None:
    """StackError that names every port which somebody else has."""
    taken = [
        f"port {port} ({name}){_holder(port)}" for port, name in sorted(ports(settings).items()) if not is_free(port)
    ]
    if taken:
        raise StackError(
            f"Already in use: {', '.join(taken)}.",
            "stop what uses it, or choose another block of ports, as PAIDUP_PORT=19080 (100 ports from there;\n"
            "  a second stack beside a first one also needs its own PAIDUP_HOME).",
        )


def is_free(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    import psutil

    try:
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr[1:] == (port,) and one.pid:
                return f" by process {one.pid} ({psutil.Process(one.pid).name()})"
    except psutil.Error:
        pass
    return ""
