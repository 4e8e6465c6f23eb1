"""The queries of bank files have their indexes: cost per line stays flat as lines, invoices and payments grow."""

from datetime import date
from typing import Any

import pytest

from chassis.messaging.work import Units
from contracts.ids import new_id
from payments.projections import store as projections
from payments.receiving.store import bank, remittances

SUMS: list[Any] = [["USD"], [100]]


INVOICE = """
INSERT INTO invoices (id, customer_id, number, status, currency, issued_on, due_on, balance, payable_now, sequence)
VALUES ($1, $1, 'INV-1', 'open', 'USD', '2026-01-02', '2026-02-01', 1000, 1000, 1)
"""
PARTS = """
INSERT INTO receipt_parts (invoice_id, payment_id, amount)
SELECT gen_random_uuid(), gen_random_uuid(), 1 FROM generate_series(1, 5000)
"""
READ = """
SELECT seq_tup_read + idx_tup_read FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid)
WHERE t.relname = 'receipt_parts'
"""


PAYOUTS = """
INSERT INTO payouts (provider_id, state, currency, amount, arrives_on, created_at)
SELECT 'po_' || n, 'paid', 'USD', n, '2026-03-01', now() FROM generate_series(1, 5000) n
"""


class TestPlans:
    @pytest.mark.parametrize(
        ("sql", "arguments", "index"),
        [
            (remittances.NAMED, [["INV1"]], "invoices_by_number"),
            (remittances.ALIKE, SUMS, "invoices_by_amount"),
            (remittances.RECORDED, [*SUMS, [date(2026, 3, 1)]], "payments_recorded"),
            (remittances.RECORDED, [*SUMS, [date(2026, 3, 1)]], "payments_gone_back"),
            (remittances.DEPOSITED, [["USD"], [date(2026, 3, 1)]], "payments_recorded_of_day"),
            (remittances.ARRIVING, SUMS, "payouts_to_arrive"),
            (remittances.TRACED, [["02601577123042"]], "payouts_by_trace"),
            (remittances.DECIDED, [[1], ["INV1"]], "bank_lines_decided"),
            (remittances.DECIDED, [[1], ["INV1"]], "exceptions_of_line"),
            (remittances.PAYERS, [["DE1"]], "bank_lines_of_payer"),
            (remittances.NAMESAKES, [["ACME"]], "customers_by_name"),
            (remittances.OWING, [[new_id()], ["USD"]], "invoices_payable"),
            (bank.NEW_LINES, [new_id(), 0, 500], "bank_lines_of_statement"),
            (bank.LINES, [new_id(), "a", "z", "", 0, 21], "bank_lines_of_statement"),
            (remittances.NAMED, [["INV1"]], "receipt_parts_pkey"),
            (bank.CLAIM, [[1]], "bank_lines_by_entry"),
            (bank.CLAIM, [[1]], "bank_lines_by_reference"),
            (bank.DOUBTED, [[1]], "bank_identities_pkey"),
            (bank.MOVED, [[1], [1]], "bank_lines_paid_by"),
            (bank.DOUBTED, [[1]], "bank_lines_by_reference"),
            (bank.DOUBTED, [[1]], "bank_lines_by_entry"),
            (bank.DOUBTED, [[1]], "bank_lines_paid_by"),
            (bank.REORDERED, [[1], [1]], "bank_lines_by_reference"),
            (bank.REORDERED, [[1], [1]], "bank_lines_by_entry"),
            (bank.AGAIN, [[1]], "bank_lines_by_reference"),
            (bank.AGAIN, [[1]], "bank_lines_by_entry"),
            (remittances.BACK_BY_REFERENCE, [[1], []], "bank_lines_by_reference"),
            (remittances.BACK_BY_ENTRY, [[1], []], "bank_lines_by_entry"),
            (remittances.RECEIPTS, [[1], ["USD"], [1], [date(2026, 3, 1)]], "payments_banked"),
            (remittances.BACK_BY_PAYER, [[1], []], "bank_lines_paid_by"),
            (remittances.BACK_BY_INVOICE, [[1], ["INV1"]], "receipt_parts_pkey"),
            (remittances.BACK_BY_INVOICE, [[1], ["INV1"]], "payments_recorded_of_customer"),
        ],
        ids=[
            "named", "alike", "recorded", "gone-back", "deposited", "arriving", "traced", "decided", "decided-doubt",
            "payers", "namesakes", "owing", "new-lines",
            "lines", "unsettled", "claim", "claim-sum", "doubted", "moved",
            "doubted-reference", "doubted-entry", "doubted-payer", "reordered", "reordered-entry", "again",
            "again-entry", "back", "back-entry", "receipts", "back-payer",
            "back-invoice", "back-cheque",
        ],
    )  # fmt: skip
    async def test_each_query_of_a_line_uses_its_index(
        self, units: Units, sql: str, arguments: list[Any], index: str
    ) -> None:
        plan = "\n".join(row[0] for row in await units.pool.fetch(f"EXPLAIN {sql}", *arguments))
        assert index in plan
        assert "Seq Scan" not in plan

    async def test_newest_runs_are_read_from_an_index(self, units: Units) -> None:
        runs = f"EXPLAIN {bank.RUN} ORDER BY s.received_at DESC, s.id DESC LIMIT 20"
        plan = "\n".join(row[0] for row in await units.pool.fetch(runs))
        assert "bank_statements_newest" in plan
        assert "Sort" not in plan

    async def test_plan_of_empty_receipt_parts_stays_fast(
        self,
        units: Units,
    ) -> None:
        async with units.pool.acquire() as connection:
            asked = await connection.prepare(remittances.NAMED)
            for _ in range(6):  # from then on it has the plan that was made for any values
                await asked.fetch(["INV1"])
            await connection.execute(INVOICE, new_id())
            await connection.execute(PARTS)
            await connection.execute("SELECT pg_stat_force_next_flush()")
            before = await connection.fetchval(READ)
            assert len(await asked.fetch(["INV1"])) == 1
            await connection.execute("SELECT pg_stat_force_next_flush()")
            assert await connection.fetchval(READ) - before < 100

    async def test_plan_of_empty_payouts_stays_fast(self, units: Units) -> None:
        amounts = [["USD"] * 100, list(range(1, 101))]
        read = READ.replace("receipt_parts", "payouts")
        async with units.pool.acquire() as connection:
            asked = await connection.prepare(remittances.ARRIVING)
            for _ in range(6):
                await asked.fetch(*amounts)
            await connection.execute(PAYOUTS)
            await connection.execute("SELECT pg_stat_force_next_flush()")
            before = await connection.fetchval(f"SELECT sum(n) FROM ({read}) AS t (n)")
            assert len(await asked.fetch(*amounts)) == 100
            await connection.execute("SELECT pg_stat_force_next_flush()")
            assert await connection.fetchval(f"SELECT sum(n) FROM ({read}) AS t (n)") - before < 1_000

    async def test_invoice_changes_use_the_index_of_receipt_parts(
        self,
        units: Units,
    ) -> None:
        columns: list[Any] = [[] for _ in range(10)]
        asked = [*columns, [new_id()], [new_id()], [], [], [], [], []]
        for _ in range(2):
            plan = "\n".join(row[0] for row in await units.pool.fetch(f"EXPLAIN {projections.KEEP_INVOICES}", *asked))
            assert "receipt_parts_pkey" in plan
            assert "Seq Scan on receipt_parts" not in plan
            await units.pool.execute("ANALYZE receipt_parts")
