"""Lists and search at 100,000 tickets: each by its index, and at once."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chassis.db.pool import open_pool
from chassis.db.reads import OfCustomer, open_portal
from contracts.ids import new_id
from support.tickets import store
from support.tickets.store import Filter
from tests.kit.postgres import drop_database, fresh_database

MANY, CUSTOMERS, STAFF = 100_000, 100, 20
MOST_MS, MOST_BLOCKS = 5.0, 1_200
COMMON = "about an invoice"
LIVE = ("new", "open", "waiting_for_you")
FILL = """
INSERT INTO tickets (id, customer_id, kind, subject, search, created_at, status, changed_at, assignee, escalated,
    ended_at, sequence, notices, entries)
SELECT gen_random_uuid(), ($1::uuid[])[1 + n % $3], (ARRAY['request', 'question', 'payment'])[1 + n % 3],
    'Ticket ' || n, 'ticket ' || n || ' about an invoice and a box that did not come ' || md5(n::text), at,
    s, at, CASE WHEN n % 4 > 0 THEN ($2::uuid[])[1 + n % $4] END, false,
    CASE WHEN s IN ('solved', 'closed') THEN at END, 1, 0, 1
FROM generate_series(1, $5) AS n, LATERAL (SELECT '2026-01-01'::timestamptz + n * interval '1 minute' AS at,
    CASE WHEN n > $5 - 500 THEN 'new' WHEN n % 50 = 0 THEN 'open' WHEN n % 49 = 0 THEN 'waiting_for_you'
        WHEN n % 10 = 0 THEN 'solved' ELSE 'closed' END AS s) AS more
"""


class World:
    def __init__(self, pool: Any, portal: Any, customers: list[str], staff: list[str]) -> None:
        self.pool, self.portal, self.customers, self.staff = pool, portal, customers, staff

    def filters(self) -> dict[str, Filter]:
        one, lee = self.customers[0], self.staff[3]
        return {
            "all": Filter(),
            "status": Filter(statuses=("waiting_for_you",)),
            "kind": Filter(kind="question"),
            "kind and status": Filter(kind="question", statuses=("new",)),
            "assignee": Filter(assignee=lee),
            "assignee and status": Filter(assignee=lee, statuses=("open",)),
            "nobody's new ones": Filter(assignee="", statuses=("new",)),
            "waiting for the company": Filter(statuses=("new", "open")),
            "one person's, not ended": Filter(assignee=lee, statuses=LIVE),
            "nobody's, not ended": Filter(assignee="", statuses=LIVE),
            "not ended of a kind, with words": Filter(kind="question", statuses=LIVE, q=COMMON),
            "customer's, not ended": Filter(customer_id=one, statuses=LIVE, q="box"),
            "customer's that others go into": Filter(customer_id=one, statuses=LIVE, mergeable=True),
            "customer": Filter(customer_id=one),
            "customer and status": Filter(customer_id=one, statuses=("closed",)),
            "common words": Filter(q=COMMON),
            "rare words": Filter(q="c4ca4238a0b9"),  # the first ticket's alone
            "no words": Filter(q="nothing has this"),
            "number": Filter(q="T-1500"),
            "words of a customer": Filter(customer_id=one, q="box"),
            "rare words of a customer": Filter(customer_id=one, q="nothing has this"),
        }


@pytest_asyncio.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    database = await fresh_database("support")
    customers, staff = [new_id() for _ in range(CUSTOMERS)], [new_id() for _ in range(STAFF)]
    async with (
        await open_pool(database.owner_url, size=1, application="test") as owner,
        await open_pool(database.api_url, size=2, application="test") as pool,
        await open_portal(database.api_url, size=2, application="test") as portal,
    ):
        index = await owner.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = 'tickets_searched'")
        await owner.execute("DROP INDEX tickets_searched")
        await owner.execute(FILL, customers, staff, CUSTOMERS, STAFF, MANY, timeout=300)
        await owner.execute(index, timeout=300)
        await owner.execute("VACUUM ANALYZE tickets", timeout=300)
        yield World(pool, portal, customers, staff)
    await drop_database(database)


NAMES = list(World(None, None, [new_id()], [new_id()] * 4).filters())


def ways(asked: Filter) -> tuple[str, ...]:
    """The statements that a list may need."""
    if not asked.q:
        return ("plain",)
    return ("in turn",) if asked.customer_id else ("newest",) if asked.q == COMMON else ("newest", "by words")


async def measured(reads: Any, asked: Filter) -> tuple[float, int, str]:
    """Milliseconds in the database and blocks that were read, of all statements, and their plans."""
    took, blocks, plans = 0.0, 0, ""
    for way in ways(asked):
        sql, arguments = store.query(asked, None, 20, way)
        found = [
            json.loads(await reads.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *arguments))[0]
            for _ in range(8)
        ]
        took += min(one["Execution Time"] for one in found)  # the other times waited for this machine
        blocks += found[-1]["Plan"]["Shared Hit Blocks"] + found[-1]["Plan"]["Shared Read Blocks"]
        plans += json.dumps(found[-1]["Plan"])
    return took, blocks, plans


@pytest.mark.parametrize("name", NAMES)
async def test_pages_come_at_once_by_index(world: World, name: str) -> None:
    took, blocks, plans = await measured(world.pool, world.filters()[name])
    assert (took <= MOST_MS, blocks <= MOST_BLOCKS) == (True, True), (took, blocks)
    assert '"Seq Scan", "Parallel Aware": false, "Async Capable": false, "Relation Name": "tickets"' not in plans


MERGED = {
    "to merge": (store.TO_MERGE, lambda one: [[one, one], one]),
    "who wrote": (store.ASKING, lambda one: [one, one]),
}


@pytest.mark.parametrize("name", MERGED)
async def test_merged_ones_are_found_by_index(world: World, name: str) -> None:
    sql, arguments = MERGED[name]
    plan = await world.pool.fetch(f"EXPLAIN {sql}", *arguments(new_id()))
    text = "\n".join(row[0] for row in plan)
    assert "tickets_merged" in text
    assert "Seq Scan on tickets" not in text


@pytest.mark.parametrize("q", [None, "box", "nothing has this"])
async def test_row_security_costs_no_index(world: World, q: str | None) -> None:
    asked = Filter(customer_id=world.customers[7], q=q)
    took, blocks, _ = await measured(OfCustomer(world.portal, world.customers[7]), asked)
    assert (took <= MOST_MS, blocks <= MOST_BLOCKS) == (True, True), (took, blocks)
    found = await store.list_tickets(OfCustomer(world.portal, world.customers[7]), Filter(q=q), None, 20)
    assert {row["customer_id"] for row in found} <= {world.customers[7]}


class TestPaging:
    @pytest.mark.parametrize("q", [None, "box"])
    async def test_pages_are_the_whole_in_order(self, world: World, q: str | None) -> None:
        asked, after, seen = Filter(customer_id=world.customers[5], q=q), None, []
        while True:
            found = await store.list_tickets(world.pool, asked, after, 100)
            seen += found[:100]
            if len(found) <= 100:
                break
            after = (found[99]["changed_at"], found[99]["id"])
        assert len(seen) == len({row["id"] for row in seen}) == MANY // CUSTOMERS
        assert seen == sorted(seen, key=lambda row: (row["changed_at"], row["id"]), reverse=True)

    async def test_states_are_merged_in_order(self, world: World) -> None:
        seen: list[Any] = []
        while not seen or len(seen) % 100 == 0:
            after = (seen[-1]["changed_at"], seen[-1]["id"]) if seen else None
            found = (await store.list_tickets(world.pool, Filter(statuses=("solved", "open")), after, 100))[:100]
            seen += found
            if len(seen) >= 1_000:
                break
        assert {row["status"] for row in seen} == {"solved", "open"}
        assert seen == sorted(seen, key=lambda row: (row["changed_at"], row["id"]), reverse=True)
        assert len({row["id"] for row in seen}) == len(seen)

    async def test_rare_words_are_found_in_all(self, world: World) -> None:
        found = await store.list_tickets(world.pool, Filter(q="C4CA4238a0b9"), None, 20)
        assert [row["subject"] for row in found] == ["Ticket 1"]

    async def test_signs_of_patterns_are_plain(self, world: World) -> None:
        for q in ("%", "_", "100\\%"):
            assert await store.list_tickets(world.pool, Filter(q=q), None, 20) == []
