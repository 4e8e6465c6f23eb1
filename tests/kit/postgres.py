"""Databases of their own for tests, on one PostgreSQL that the session shares."""

import asyncio
import hashlib
import pathlib
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg

from chassis.db import migrate as chassis_migrate
from paidup_local.postgres import PARTS, provision
from tests.kit import containers, keeper

SERVICES = keeper.ROOT / "services"
PASSWORD = "test"


@dataclass(frozen=True)
class Database:
    """Addresses of one database by role: the owner migrates, `api` serves requests, `work` consumes."""

    name: str
    owner_url: str
    api_url: str
    work_url: str

    def environment(self, service: str) -> dict[str, str]:
        """The variables by which the service finds this database."""
        urls = {"OWNER": self.owner_url, "API": self.api_url, "WORK": self.work_url}
        return {f"{service.upper()}_{part}_URL": url for part, url in urls.items()}


def admin_dsn() -> str:
    """Address of the superuser; starts the server at the first call."""
    return containers.postgres_dsn() if containers.wanted() else keeper.shared("postgres")["dsn"]


async def fresh_database(service: str, migrations: pathlib.Path | None = None) -> Database:
    """A new database as the service's migrations leave it, copied from a template made once a session."""
    folder = SERVICES / service / "migrations" if migrations is None else migrations
    admin = await asyncio.to_thread(admin_dsn)
    template = await _template(admin, service, folder)
    database = _database(admin, service, f"{service}_{secrets.token_hex(5)}")
    await provision(admin, service, _passwords(service), database=database.name, template=template)
    return database


async def drop_database(database: Database) -> None:
    """Remove it, ending whoever is still connected."""
    connection = await asyncpg.connect(await asyncio.to_thread(admin_dsn))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{database.name}" WITH (FORCE)')
    finally:
        await connection.close()


async def _template(admin: str, service: str, folder: pathlib.Path) -> str:
    name = f"{service}_template_{_digest(folder)}"
    async with _lock(admin, name) as connection:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1 AND datistemplate", name):
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            await provision(admin, service, _passwords(service), database=name)
            await chassis_migrate.migrate(_database(admin, service, name).owner_url, folder)
            await connection.execute(f'ALTER DATABASE "{name}" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false')
    return name


class _lock:  # noqa: N801
    """One at a time across all processes that share the server."""

    def __init__(self, admin: str, word: str) -> None:
        self.admin, self.key = admin, int(hashlib.sha256(word.encode()).hexdigest()[:12], 16)

    async def __aenter__(self) -> asyncpg.Connection:
        self.connection = await asyncpg.connect(self.admin)
        await self.connection.execute("SELECT pg_advisory_lock($1)", self.key)
        return self.connection

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()


def _database(admin: str, service: str, name: str) -> Database:
    place = urlsplit(admin)
    urls = [f"postgresql://{service}{part}:{PASSWORD}@{place.hostname}:{place.port}/{name}" for part in PARTS]
    return Database(name, *urls)


def _passwords(service: str) -> dict[str, str]:
    return {service + part: PASSWORD for part in PARTS}


def _digest(folder: pathlib.Path) -> str:
    parts = hashlib.sha256()
    for path in [*sorted(chassis_migrate.CHASSIS.glob("*.sql")), *sorted(folder.glob("*.sql"))]:
        parts.update(path.name.encode() + b"\0" + path.read_bytes())
    return parts.hexdigest()[:10]
