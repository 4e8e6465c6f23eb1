"""Plain .sql files, each once and in order: an advisory lock, a checksum, a transaction per file.

`python -m chassis.db.migrate NAME` migrates the database of a service, at the address in `<NAME>_OWNER_URL`.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path

import asyncpg

from chassis.db.locks import MIGRATIONS

CHASSIS = Path(__file__).parent / "migrations"


class MigrationChangedError(RuntimeError):
    """A file that has run already was changed. Remedy: undo the change and write a new file."""


async def migrate(dsn: str, folder: Path) -> list[str]:
    """Run the files that have not run yet, the chassis's own first. Returns the names of those that ran."""
    files = _read(CHASSIS, "chassis/") + _read(folder, "")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATIONS)
        await connection.execute(LEDGER)
        ran = dict(await connection.fetch("SELECT name, sha256 FROM migrations"))
        return [name for name, text in files if await _run(connection, name, text, ran)]
    finally:
        await connection.close()


def folder_of(service: str) -> Path:
    """Where the migrations of a service are: beside its package, which is not imported."""
    spec = importlib.util.find_spec(service)
    if spec is None or spec.origin is None:
        raise LookupError(f"there is no package {service}: install it first")
    return Path(spec.origin).parents[1] / "migrations"


def _read(folder: Path, prefix: str) -> list[tuple[str, str]]:
    return [(prefix + path.name, path.read_text()) for path in sorted(folder.glob("*.sql"))]


async def _run(connection: asyncpg.Connection, name: str, text: str, ran: dict[str, str]) -> bool:
    digest = hashlib.sha256(text.encode()).hexdigest()
    if name in ran:
        if ran[name] != digest:
            raise MigrationChangedError(f"{name} has already run with other content; write a new file instead")
        return False
    async with connection.transaction():
        await connection.execute(text)
        await connection.execute("INSERT INTO migrations (name, sha256) VALUES ($1, $2)", name, digest)
    return True


LEDGER = """
CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, sha256 text NOT NULL, ran_at timestamptz DEFAULT now())
"""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m chassis.db.migrate NAME")
    service = sys.argv[1]
    name = f"{service.upper()}_OWNER_URL"
    if name not in os.environ:
        sys.exit(f"{name} is not set: it is the address of the database as its owner")
    ran = asyncio.run(migrate(os.environ[name], folder_of(service)))
    sys.stdout.write(json.dumps({"ran": ran}) + "\n")


if __name__ == "__main__":
    main()
