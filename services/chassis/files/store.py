"""Every SQL statement of files. The table is made by `SELECT keep_files()` in a migration of the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from chassis.db.reads import Reads
from chassis.messaging.work import Work


@dataclass(frozen=True, slots=True)
class NewFile:
    """`customer_id`: whose it is; None: the company sent it, for a customer who is named when it is attached."""

    id: str
    customer_id: str | None
    uploaded_by: str
    name: str
    type: str
    size: int
    sha256: bytes
    place: str


ADD = """
INSERT INTO files (id, customer_id, uploaded_by, name, type, size, sha256, place, state, uploaded_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, 'arriving', $9
WHERE (SELECT count(*) FROM (SELECT FROM files WHERE uploaded_by = $3 AND attached_at IS NULL LIMIT $10) AS waiting) < $10
"""


async def add_file(pool: asyncpg.Pool, file: NewFile, now: datetime, most: int) -> bool:
    """Note that a file arrives. False: its sender has `most` others that are attached to nothing."""
    arguments = (file.id, file.customer_id, file.uploaded_by, file.name, file.type, file.size, file.sha256, file.place)
    return bool(await pool.execute(ADD, *arguments, now, most) != "INSERT 0 0")


async def arrived(work: Work, file_id: str, *, scanned: bool) -> None:
    """Its bytes are all there."""
    sql = "UPDATE files SET state = $2 WHERE id = $1 AND state = 'arriving'"
    await work.connection.execute(sql, file_id, "ready" if scanned else "scanning")


async def decide(pool: asyncpg.Pool, file_id: str, *, clean: bool) -> None:
    """Keep what the scan has found."""
    sql = "UPDATE files SET state = $2 WHERE id = $1 AND state IN ('scanning', 'infected')"
    await pool.execute(sql, file_id, "ready" if clean else "infected")


async def forget(pool: asyncpg.Pool, file_id: str) -> None:
    """Its bytes are gone."""
    await pool.execute("DELETE FROM files WHERE id = $1 AND attached_at IS NULL", file_id)


ORPHANS = """
UPDATE files SET state = 'going' WHERE id IN (
    SELECT id FROM files WHERE attached_at IS NULL AND uploaded_at < $1 ORDER BY uploaded_at LIMIT $2)
AND attached_at IS NULL RETURNING id, place
"""


async def let_go(pool: asyncpg.Pool, before: datetime, most: int) -> list[tuple[str, str]]:
    """Have files that were never attached go: from now on nobody can attach them. Returns ids and places."""
    return [(row["id"], row["place"]) for row in await pool.fetch(ORPHANS, before, most)]


ATTACH = """
UPDATE files SET attached_at = $4, customer_id = $2, internal = $5
WHERE id = ANY($1::uuid[]) AND uploaded_by = $3 AND attached_at IS NULL AND state IN ('ready', 'scanning')
    AND (customer_id IS NULL OR customer_id = $2) RETURNING id
"""


async def attach(work: Work, ids: Sequence[str], customer_id: str, uploaded_by: str, *, internal: bool) -> set[str]:
    """Attach files to what a customer has, each once. Returns those that could be: the sender's own, not used yet."""
    rows = await work.connection.fetch(ATTACH, ids, customer_id, uploaded_by, work.now, internal)
    return {row["id"] for row in rows}


FILE = "id, name, type, size, state, place, attached_at"
# Of one customer, or of all; of others only what is attached. `internal`: for the company's eyes alone.
SEEN = "($2::uuid IS NULL OR customer_id = $2 AND NOT internal) AND (attached_at IS NOT NULL OR uploaded_by = $3)"
LOAD = f"SELECT {FILE} FROM files WHERE id = $1 AND {SEEN} AND state <> 'going'"  # noqa: S608


async def load_file(reads: Reads, file_id: str, customer_id: str | None, uploaded_by: str) -> dict[str, Any] | None:
    row = await reads.fetchrow(LOAD, file_id, customer_id, uploaded_by)
    return dict(row) if row else None


async def find_file(pool: asyncpg.Pool, file_id: str) -> dict[str, Any] | None:
    """For whoever has a signed link, and for a scan."""
    row = await pool.fetchrow(f"SELECT {FILE} FROM files WHERE id = $1", file_id)  # noqa: S608
    return dict(row) if row else None


OF_ENTRIES = """
SELECT id, name, type, size, state FROM files WHERE id = ANY($1::uuid[]) AND attached_at IS NOT NULL
    AND (state IN ('ready', 'infected') OR uploaded_by = $2)
"""


async def load_attached(reads: Reads, ids: Sequence[str], uploaded_by: str) -> dict[str, dict[str, Any]]:
    """Attached files by id. What is not scanned yet is there for its sender alone."""
    rows = await reads.fetch(OF_ENTRIES, ids, uploaded_by) if ids else []
    return {row["id"]: dict(row) for row in rows}


async def places(connection: asyncpg.Connection) -> dict[str, tuple[str, str]]:
    """The place of each file, with its id and its state."""
    rows = await connection.fetch("SELECT place, id::text, state FROM files")
    return {row["place"]: (row["id"], row["state"]) for row in rows}
