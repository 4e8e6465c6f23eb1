"""A service looks at itself: statements that list what is wrong in its tables, counted on /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import asyncpg
import structlog
from prometheus_client import Gauge

log = structlog.get_logger()
violations = Gauge(
    "paidup_violations", "What did not hold at the last look, and still did not a minute later", ["check"]
)

EVERY_SECONDS = 15 * 60
SETTLED_SECONDS = 60.0
LONGEST_SECONDS = 300
MOST = 50
EVERYWHERE = {
    "an event is not published": "SELECT aggregate, concat_ws(': ', type, error) FROM outbox",
    "a message waits in the dead letters": "SELECT d.id::text, d.error FROM dead_letters d WHERE state = 'waiting'",
}


async def look(pool: asyncpg.Pool, checks: Mapping[str, str], *, patience: float = SETTLED_SECONDS) -> None:
    """Run all checks. A violation has to be found twice, because work under way between services may look like one."""
    for what, sql in checks.items():
        try:
            found = await _listed(pool, sql)
            if found:
                await asyncio.sleep(patience)
                found &= await _listed(pool, sql)
        except (TimeoutError, asyncpg.PostgresError) as error:  # the others are looked at all the same
            log.warning("a check could not be made", check=what, error=repr(error))
            continue
        violations.labels(what).set(len(found))
        if found:
            log.error("something does not hold", check=what, count=len(found), some=sorted(found)[:3])


async def _listed(pool: asyncpg.Pool, sql: str) -> set[tuple[str, str]]:
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        await connection.execute("SET LOCAL enable_seqscan = on")  # off elsewhere; here whole tables are read
        rows = await connection.fetch(
            f"SELECT * FROM ({sql}) AS wrong (id, what) ORDER BY 1, 2 LIMIT {MOST}",  # noqa: S608
            timeout=LONGEST_SECONDS,
        )
    return {(row[0], row[1]) for row in rows}
