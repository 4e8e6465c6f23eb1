"""Paidup-Seen: a request that names what its sender has seen elsewhere waits until this service has it too."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import asyncpg
from fastapi import Request

from chassis.http.identity import Identity, bearer
from chassis.http.problems import invalid, unavailable

HEADER = "Paidup-Seen"
PATIENCE_SECONDS = 2.0
SOONEST_SECONDS, LATEST_SECONDS = 0.02, 0.2
MOST_OF_CUSTOMER, MOST_OF_KEY, MOST_WAITING = 8, 64, 128
SEEN = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Sequences:
    """SQL: how far this service is with an aggregate ($1), for callers of all customers and for callers of one ($2)."""

    for_all: str
    for_customer: str


def sequences(own: str, own_of_customer: str = "") -> Sequences:
    """How far the service is with its own aggregates and with those that its consumers hear of.

    `own` is SQL for callers who see all customers.
    `own_of_customer` is the same as `own` for the rows of the customer $2.
    """
    heard = "SELECT sequence FROM seen WHERE aggregate = $1::uuid::text"
    return Sequences(_greatest(heard, own), _greatest(f"{heard} AND coalesce(customer, $2) = $2", own_of_customer))


def _greatest(*parts: str) -> str:
    known = " UNION ALL ".join(part for part in parts if part)
    return f"SELECT coalesce(max(sequence), 0) FROM ({known}) AS known"  # noqa: S608 - own SQL


class Waiting:
    """The requests that wait in this process. Each caller's share is bounded, so that others are answered at once."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()

    @contextlib.contextmanager
    def counted(self, who: Identity) -> Iterator[bool]:
        """Whether this one may wait, too."""
        share, most = (who.customer_id, MOST_OF_CUSTOMER) if who.customer_id else (who.subject, MOST_OF_KEY)
        if self._count[share] >= most or self._count.total() >= MOST_WAITING:
            yield False
            return
        self._count[share] += 1
        try:
            yield True
        finally:
            self._count[share] -= 1
            self._count += Counter()  # forgets those of none


async def caught_up(request: Request) -> None:
    """Wait until the service has seen what the header names; a 503 problem after two seconds, 422 for a wrong header.

    Returns at once without the header, and in a service that hears no events.

    What the caller may not see never arrives, whether it exists or not.
    """
    sent = request.headers.get(HEADER)
    if sent is None:
        return
    read = SEEN.fullmatch(sent)
    if read is None:
        raise invalid([{"field": HEADER, "message": "send it as it was answered, as <id>:<sequence>"}])
    state = request.app.state
    if state.sequences is None:
        return
    who: Identity = state.verifier.verify(bearer(request))  # a stranger is not waited for
    sql: Sequences = state.sequences
    asked = (sql.for_customer, read[1], who.customer_id) if who.customer_id else (sql.for_all, read[1])
    pool: asyncpg.Pool = state.pool
    if await pool.fetchval(*asked) >= int(read[2]):
        return
    with state.waiting.counted(who) as may_wait:
        if not may_wait or not await _arrives(pool, asked, int(read[2])):
            detail = "What you saw elsewhere has not arrived here yet. Send the request again in a second."
            raise unavailable(detail, slug="not-yet-here")


async def _arrives(pool: asyncpg.Pool, asked: tuple[str, ...], sequence: int) -> bool:
    """Looks again after 20 ms, then more and more seldom, because most events arrive soon."""
    now = asyncio.get_running_loop().time
    end, pause = now() + PATIENCE_SECONDS, SOONEST_SECONDS
    while now() < end:
        await asyncio.sleep(pause)
        pause = min(LATEST_SECONDS, pause * 1.3)
        if await pool.fetchval(*asked) >= sequence:
            return True
    return False


async def patiently(look: Callable[[], Awaitable[bool]]) -> bool:
    """Look again for up to two seconds, because something that another service just made may not have arrived."""
    end, pause = asyncio.get_running_loop().time() + PATIENCE_SECONDS, 0.01
    while not await look():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return True
