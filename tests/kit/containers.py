"""The same servers from testcontainers, with STACK=containers: for machines that have Docker."""

import functools
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

PASSWORD = "paidup"


def wanted() -> bool:
    return os.environ.get("STACK") == "containers"


@functools.cache
def postgres_dsn() -> str:
    """Address of the superuser of a PostgreSQL in a container of this process."""
    from testcontainers.core.container import DockerContainer

    server = DockerContainer("postgres:18").with_env("POSTGRES_PASSWORD", PASSWORD).with_exposed_ports(5432)
    server.with_command("postgres -c max_connections=300 -c fsync=off")
    server.start()
    dsn = f"postgresql://postgres:{PASSWORD}@{server.get_container_host_ip()}:{server.get_exposed_port(5432)}/postgres"
    _await_log(server, "database system is ready to accept connections", times=2)
    return dsn


@functools.cache
def kafka_bootstrap() -> str:
    """Address of an Apache Kafka in a container of this process; it needs its outer port before it starts."""
    from testcontainers.core.container import DockerContainer

    from tests.kit import ports

    port = ports.free_block()
    server = DockerContainer("apache/kafka:4.1.2").with_bind_ports(port, port)
    for name, value in _kafka_settings(port).items():
        server.with_env(name, value)
    server.start()
    _await_log(server, "Kafka Server started", times=1)
    return f"127.0.0.1:{port}"


def _kafka_settings(port: int) -> dict[str, str]:
    from paidup_local.kafka import SERVER

    places = {
        "listeners": f"CLIENT://:{port},CONTROLLER://:29093",
        "advertised.listeners": f"CLIENT://127.0.0.1:{port}",
        "controller.quorum.voters": "1@localhost:29093",
        "log.dirs": "/tmp/kafka-logs",
    }
    return {f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in (SERVER | places).items()}


def _await_log(server: "DockerContainer", line: str, *, times: int, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while sum(said.decode(errors="replace").count(line) for said in server.get_logs()) < times:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the container did not say {line!r} within {seconds:.0f} s: {server.get_logs()!r}")
        time.sleep(0.2)
