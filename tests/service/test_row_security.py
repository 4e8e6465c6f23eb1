"""What is a customer's is read under row-level security: the database refuses what a query forgets to filter."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from chassis.db.pool import open_pool
from chassis.db.reads import OfCustomer, open_portal
from contracts.ids import new_id
from tests.kit.postgres import Database, drop_database, fresh_database

OPEN_TO_THE_PORTAL = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped
WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT (c.relrowsecurity AND EXISTS (
    SELECT FROM pg_policies p WHERE p.tablename = c.relname AND p.policyname = 'of_one_customer' AND p.cmd = 'SELECT'
    AND p.roles = ARRAY[$1::name] AND p.qual LIKE '(customer_id = %'))
"""
OPEN_BESIDE = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
AND has_table_privilege($1, c.oid, 'SELECT') AND NOT c.relrowsecurity ORDER BY 1
"""
OF_ALL = {"payments": ["surcharge_editions", "surcharge_rules"]}  # the same for every customer
ADD = """
INSERT INTO api_keys (id, name, prefix, hash, scopes, customer_id, made_by, created_at, sequence)
SELECT id, 'ERP', 'paidup_sk_x', sha256(id::text::bytea), '{*}', customer_id, 'test', now(), 1
FROM unnest($1::uuid[], $2::uuid[]) AS k (id, customer_id)
"""
ONE, OTHER = new_id(), new_id()


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    made = await fresh_database("auth")
    pool = await open_pool(made.api_url, size=1, application="test")
    async with pool:
        await pool.execute(ADD, [new_id() for _ in range(3)], [ONE, OTHER, None])
    yield made
    await drop_database(made)


@pytest.fixture
async def portal(database: Database) -> AsyncIterator[asyncpg.Pool]:
    async with await open_portal(database.api_url, size=1, application="test") as pool:
        yield pool


@pytest.mark.parametrize("service", ["auth", "invoicing", "notify", "payments", "support"])
async def test_every_table_with_customers_is_protected(service: str) -> None:
    made = await fresh_database(service)
    connection = await asyncpg.connect(made.owner_url)
    try:
        assert await connection.fetch(OPEN_TO_THE_PORTAL, f"{service}_portal") == []
        assert await connection.fetchval("SELECT count(*) FROM pg_policies") > 0
        beside = [row[0] for row in await connection.fetch(OPEN_BESIDE, f"{service}_portal")]
        assert beside == OF_ALL.get(service, [])
    finally:
        await connection.close()
        await drop_database(made)


class TestOneCustomersReads:
    async def test_query_without_filter_shows_own_rows(self, portal: asyncpg.Pool) -> None:
        for customer in (ONE, OTHER, ONE):  # on one connection, one after the other
            rows = await OfCustomer(portal, customer).fetch("SELECT customer_id FROM api_keys")
            assert [row["customer_id"] for row in rows] == [customer]

    async def test_unknown_customer_sees_nothing(self, portal: asyncpg.Pool) -> None:
        assert await OfCustomer(portal, new_id()).fetchval("SELECT count(*) FROM api_keys") == 0

    async def test_no_customer_is_refused(self, portal: asyncpg.Pool) -> None:
        with pytest.raises(asyncpg.PostgresError):
            await portal.fetch("SELECT customer_id FROM api_keys")

    @pytest.mark.parametrize("sql", ["UPDATE api_keys SET name = 'x'", "SELECT * FROM outbox", "SELECT * FROM seen"])
    async def test_nothing_else_is_allowed(self, portal: asyncpg.Pool, sql: str) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await OfCustomer(portal, ONE).fetch(sql)

    async def test_customer_index_is_used(self, portal: asyncpg.Pool) -> None:
        plan = await OfCustomer(portal, ONE).fetch("EXPLAIN SELECT * FROM api_keys ORDER BY id DESC LIMIT 10")
        assert "Index Cond: (customer_id = " in "\n".join(row[0] for row in plan)


class TestOtherRoles:
    async def test_services_and_owner_see_all(self, database: Database) -> None:
        for url in (database.owner_url, database.api_url, database.work_url):
            connection = await asyncpg.connect(url)
            assert await connection.fetchval("SELECT count(*) FROM api_keys") == 3
            await connection.close()
