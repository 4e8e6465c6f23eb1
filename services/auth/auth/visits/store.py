"""Every SQL statement of visits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from auth.people.domain import Person
from auth.people.store import COLUMNS as PERSON
from auth.people.store import person_of
from auth.visits.domain import Visit
from chassis.db.reads import Reads
from chassis.messaging.work import Work

COLUMNS = "id, digest, staff_id, customer_id, reason, made_at, expires_at, called, ended_at"


async def insert_visit(work: Work, visit: Visit) -> None:
    await work.connection.execute(
        f"INSERT INTO visits ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",  # noqa: S608
        visit.id, visit.digest, visit.staff_id, visit.customer_id, visit.reason, visit.made_at, visit.expires_at,
        visit.called, visit.ended_at,
    )  # fmt: skip


async def load_visit(reads: Reads, visit_id: str) -> Visit | None:
    row = await reads.fetchrow(f"SELECT {COLUMNS} FROM visits WHERE id = $1", visit_id)  # noqa: S608
    return Visit(**dict(row)) if row else None


V = ", ".join(f"v.{name} AS v_{name}" for name in COLUMNS.split(", "))
P = ", ".join(f"p.{name}" for name in PERSON.split(", "))
FIND = f"SELECT {V}, {P} FROM visits v JOIN people p ON p.id = v.staff_id WHERE v.digest = $1"  # noqa: S608


async def find_visit(reads: Reads, digest: bytes) -> tuple[Visit, Person] | None:
    """The visit of a cookie, with whose it is."""
    row = await reads.fetchrow(FIND, digest)
    if row is None:
        return None
    return Visit(**{name: row["v_" + name] for name in COLUMNS.split(", ")}), person_of(
        {name: row[name] for name in PERSON.split(", ")}
    )


async def note_request(
    pool: asyncpg.Pool, visit_id: str, method: str, path: str, request_id: str, now: datetime
) -> None:
    """Keep what was looked at, before it is."""
    await pool.execute(
        "INSERT INTO visit_requests (visit_id, at, method, path, request_id) VALUES ($1, $2, $3, $4, $5)",
        visit_id, now, method, path, request_id,
    )  # fmt: skip


END = """
UPDATE visits SET ended_at = $3 WHERE staff_id = $1 AND ($2::uuid IS NULL OR id = $2) AND ended_at IS NULL AND expires_at > $3
RETURNING id, customer_id
"""


async def end_visits(work: Work, staff_id: str, visit_id: str | None = None) -> list[tuple[str, str]]:
    """End the living visits of somebody, or one of them: ids with their customers."""
    rows = await work.connection.fetch(END, staff_id, visit_id, work.now)
    return [(row["id"], row["customer_id"]) for row in rows]


PAGE = """
SELECT v.id, v.called, v.reason, v.made_at, v.expires_at, v.ended_at,
    (SELECT count(*) FROM visit_requests r WHERE r.visit_id = v.id) AS requests
FROM visits v WHERE v.customer_id = $1 AND ($2::uuid IS NULL OR v.id < $2) ORDER BY v.id DESC LIMIT $3
"""


async def page_of_visits(reads: Reads, customer_id: str, before: str | None, limit: int) -> list[dict[str, Any]]:
    """Who looked at a customer's portal, newest first."""
    return [dict(row) for row in await reads.fetch(PAGE, customer_id, before, limit)]
