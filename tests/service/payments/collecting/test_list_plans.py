"""The lists of payments have their indexes: a page costs the same however many payments there are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from contracts.ids import new_id
from payments.collecting.store.lists import PaymentFilter, list_query
from tests.kit.postgres import drop_database, fresh_database

# Payments of ten customers; of each a few are declined or were received offline.
MANY = """
INSERT INTO payments (id, customer_id, way, status, currency, amount, asked_invoices, asked_amounts, sequence,
    created_at, method_id)
SELECT gen_random_uuid(), ('00000000-0000-7000-8000-00000000000' || n % 10)::uuid,
    CASE WHEN n % 97 = 0 THEN 'receive' ELSE 'collect' END, CASE WHEN n % 89 = 0 THEN 'declined' ELSE 'succeeded' END,
    'USD', 100, '{}', '{}', 1, now() - n * interval '1 minute', gen_random_uuid()
FROM generate_series(1, 20000) n"""
WHOSE = "00000000-0000-7000-8000-000000000003"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def units() -> AsyncIterator[Units]:
    database = await fresh_database("payments")
    pool = await open_pool(database.owner_url, size=2, application="test")
    await pool.execute(MANY)
    await pool.execute("ANALYZE payments")
    yield Units(pool, Clock("UTC"), Wake())
    await pool.close()
    await drop_database(database)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (PaymentFilter(way="receive"), "payments_received"),
        (PaymentFilter(way="receive", customer_id=WHOSE), "payments_received_of_customer"),
        (PaymentFilter(status="declined", customer_id=WHOSE), "payments_of_customer_in_state"),
        (PaymentFilter(status="declined"), "payments_in_state"),
        (PaymentFilter(customer_id=WHOSE), "payments_newest"),
        (PaymentFilter(way="receive", after=(datetime.now(UTC), WHOSE)), "payments_received"),
        (PaymentFilter(customer_id=WHOSE, sort="created_at"), "payments_newest"),
    ],
    ids=[
        "offline",
        "offline of a customer",
        "state of a customer",
        "state",
        "customer",
        "a further page",
        "oldest first",
    ],
)
async def test_list_walks_an_index_in_order(units: Units, asked: PaymentFilter, index: str, plans: str) -> None:
    sql, values = list_query(asked, 20)
    async with units.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = {plans}")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *values))
    assert f"using {index} on" in plan
    assert "Sort" not in plan
    assert "Filter" not in plan


def test_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="no state"):
        list_query(PaymentFilter(status="paid' OR true --", customer_id=new_id()), 20)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "asked", [PaymentFilter(digits="0123456789ab"), PaymentFilter(q="P-1", q_digits="0123456789ab")]
)
async def test_payment_number_uses_its_index(units: Units, asked: PaymentFilter) -> None:
    sql, values = list_query(asked, 20)
    async with units.pool.acquire() as connection:
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *values))
    assert "payments_by_number" in plan
