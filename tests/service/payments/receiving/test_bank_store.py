"""Lines of bank files in the database: what counts, and what it costs to find that out."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import orjson

from chassis.messaging.work import Units
from contracts.ids import new_id
from payments.bank_files.identity import identities
from payments.bank_files.line import BankLine
from payments.checks import CHECKS
from payments.receiving.store import bank, remittances

READ = """
SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
WHERE relname LIKE 'bank%'
"""


def line(number: int, bank_reference: str | None, entry_reference: str | None = None) -> BankLine:
    day = date(2026, 3, 1)
    return BankLine(
        "DE1", "USD", 100 + number, day, day, "booked", bank_reference, None, (), f"transfer {number}", None, None,
        None, False, f"line {number}", entry_reference,
    )  # fmt: skip


async def kept(units: Units, lines: Sequence[BankLine]) -> list[int]:
    """The ids of a statement's lines."""
    statement = new_id()
    async with units.begin() as work:
        assert await bank.add_statement(work, statement, hashlib.sha256(statement.encode()).digest(), "camt.053", None)
        await bank.add_rows(work, statement, [bank.row_of(*each) for each in identities(lines)])
        return [one.id for one in await bank.new_lines(work, statement, 0, len(lines))]


async def claimed(units: Units, ids: Sequence[int]) -> int:
    async with units.begin() as work:
        return len(await bank.claim_lines(work, ids))


class TestCounts:
    async def test_lines_are_counted_by_state(self, units: Units) -> None:
        lines = await kept(units, [line(number, f"REF{number}") for number in range(5)])
        statement = await units.pool.fetchval("SELECT id FROM bank_statements")
        for states in (dict.fromkeys(lines[:3], "posted") | {lines[3]: "proposed"}, {lines[3]: "resolved"}):
            async with units.begin() as work:
                await bank.keep_states(work, states)
        run = await bank.load_run(units.pool, statement)
        assert run is not None
        assert {state: n for state, n in run.counts.items() if n} == {"posted": 3, "resolved": 1}
        assert await units.pool.fetch(CHECKS["a bank file's counts are not those of its lines"]) == []
        await units.pool.execute("UPDATE bank_line_counts SET n = n + 1 WHERE state = 'posted'")
        assert len(await units.pool.fetch(CHECKS["a bank file's counts are not those of its lines"])) == 1

    async def test_sum_and_parts_count_once_in_any_order(self, units: Units) -> None:
        parts = await kept(units, [line(1, "A1", "SUM-A"), line(2, "A2", "SUM-A")])
        assert await claimed(units, parts) == 2
        assert await claimed(units, await kept(units, [line(103, "SUM-A")])) == 0
        assert await claimed(units, await kept(units, [line(103, "SUM-B")])) == 1
        assert await claimed(units, await kept(units, [line(1, "B1", "SUM-B"), line(2, "B2", "SUM-B")])) == 0

    async def test_another_payer_before_equal_lines_makes_one_doubtful(
        self,
        units: Units,
    ) -> None:
        alice, bob = (replace(line(1, None), text="rent", payer_account=f"GB{n}") for n in (1, 2))
        (counted,) = await kept(units, [alice])
        assert await claimed(units, [counted]) == 1
        whole = await kept(units, [bob, alice, alice, alice])
        async with units.begin() as work:
            new = await bank.claim_lines(work, whole)
            assert new == set(whole[1:])
            assert await bank.moved_lines(work, whole, new) == {whole[1]}  # made three times, of which one counted
            assert await bank.doubted_lines(work, whole[:1]) == {whole[0]}
        again = await kept(units, [bob, alice, alice, alice])
        assert await claimed(units, again) == 0


class TestCost:
    async def test_counting_a_line_stays_cheap(self, units: Units) -> None:
        many = await kept(units, [line(number, f"REF{number}") for number in range(20_000)])
        for first in range(0, len(many), 500):
            assert await claimed(units, many[first : first + 500]) == 500
        few = await kept(units, [line(number, f"NEW{number}", f"ENTRY{number}") for number in range(50)])
        async with units.begin() as work:
            before = await work.connection.fetchval(READ)
            assert len(await bank.claim_lines(work, few)) == 50
            assert await work.connection.fetchval(READ) - before < 500

    async def test_reading_the_next_lines_stays_cheap(self, units: Units) -> None:
        taken = await kept(units, [line(number, f"REF{number}") for number in range(5_000)])
        statement = await units.pool.fetchval("SELECT id FROM bank_statements")
        await units.pool.execute("ANALYZE bank_lines")
        async with units.begin() as work:
            await bank.keep_states(work, dict.fromkeys(taken[:4_900], "posted"))
            await bank.move_on(work, statement, taken[4_899])
        async with units.begin() as work:
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {bank.NEW_LINES}"
            plan = orjson.loads(await work.connection.fetchval(explain, statement, taken[4_899], 50))[0]["Plan"]
            assert (plan["Actual Rows"], plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 100) == (50, True)

    async def test_finding_a_returned_line_stays_cheap(self, units: Units) -> None:
        paid = [
            replace(line(1, f"REF{number}"), payer_account=f"GB{number}", references=("1",)) for number in range(3_000)
        ]
        await kept(units, paid)
        back = [replace(each, amount_minor=-101, bank_reference=f"NEW{n}") for n, each in enumerate(paid[:20])]
        ids = await kept(units, [*back, *(replace(each, amount_minor=-101) for each in paid[20:40])])
        await units.pool.execute("ANALYZE bank_lines")
        async with units.begin() as work:
            before = await work.connection.fetchval(READ)
            assert await remittances.find_taken_back(work, ids) == {}
            assert await work.connection.fetchval(READ) - before < 500

    async def test_many_equal_lines_are_counted_in_one_pass(self, units: Units) -> None:
        many = await kept(units, [replace(line(1, None), text="fee", payer_account="GB1") for _ in range(4_000)])
        other = await kept(units, [replace(line(1, None), text="fee", payer_account="GB1") for _ in range(4_000)])
        assert await claimed(units, other) == 4_000
        async with units.begin() as work:
            await work.connection.execute("UPDATE bank_lines SET identity = identity || 'x' WHERE id = ANY($1)", many)
            last = many[-500:]
            new = await bank.claim_lines(work, last)
            before = await work.connection.fetchval(READ)
            assert await bank.moved_lines(work, last, new) == set(last)
            assert await work.connection.fetchval(READ) - before < 30_000
