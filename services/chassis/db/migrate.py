"""Plain .sql files, each once and in order: an advisory lock, a checksum, a transaction per file."""

import hashlib
from pathlib import Path

import asyncpg

LOCK = 7_208_851_904
CHASSIS = Path(__file__).parent / "migrations"


class MigrationChangedError(RuntimeError):
    """A file that has run already is not what it was; write a new file instead."""


async def migrate(dsn: str, folder: Path) -> list[str]:
    """Run what has not run yet, the chassis's own files first; the names of the files that ran."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, sha256 text NOT NULL, ran_at timestamptz DEFAULT now())"
        )
        ran = dict(await connection.fetch("SELECT name, sha256 FROM migrations"))
        files = [("chassis/", path) for path in sorted(CHASSIS.glob("*.sql"))] + [
            ("", path) for path in sorted(folder.glob("*.sql"))
        ]
        return [prefix + path.name for prefix, path in files if await _run(connection, prefix + path.name, path, ran)]
    finally:
        await connection.close()


async def _run(connection: asyncpg.Connection, name: str, path: Path, ran: dict[str, str]) -> bool:
    text = path.read_text()
    digest = hashlib.sha256(text.encode()).hexdigest()
    if name in ran:
        if ran[name] != digest:
            raise MigrationChangedError(f"{name} has already run with other content; write a new file instead")
        return False
    async with connection.transaction():
        await connection.execute(text)
        await connection.execute("INSERT INTO migrations (name, sha256) VALUES ($1, $2)", name, digest)
    return True
