"""What the database itself promises about money, whatever the code does."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Literal

import asyncpg
import pytest

from chassis.http.idempotency import Key, replay
from chassis.messaging.work import Units
from contracts.allocation import Part
from contracts.ids import new_id
from contracts.money import Money
from payments.collecting.domain.observing import Seen, observe
from payments.collecting.domain.payments import Reversal, Step, expire, overdue, receive
from payments.collecting.domain.reversals import SeenBack
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import Answer, NewPayment, add_payments, lock_payment, save_steps
from payments.collecting.store.quotes import load_confirming
from payments.collecting.store.reversals import load_reversals
from payments.projections.store import keep_customers
from tests.kit import paying

NOW, DAY = datetime(2026, 3, 1, tzinfo=UTC), date(2026, 3, 1)


async def accept(units: Units, step: Step, key: str = "k") -> bool:
    async with units.single() as work:
        work.emit(*payment_events([step], work.now))
        known = Key(step.payment.customer_id, "route", key, b"print")
        saved = await add_payments(work, [NewPayment(step, known, Answer(202, b"{}", "seen"))])
        return step.payment.id in saved


async def known_customer(units: Units) -> str:
    customer = new_id()
    async with units.begin() as work:
        await keep_customers(work, {customer: None})
    return customer


def receipt(customer: str, minor: int = 500) -> Step:
    return receive(customer, Money(minor, "USD"), DAY, None, (), datetime.now(UTC))


def returned(step: Step) -> Step:
    """All of its money taken back."""
    assert step.posting is not None
    payment, entries = step.payment, tuple((account, -money) for account, money in step.posting.entries)
    back = Reversal(
        new_id(), payment.id, payment.customer_id, "return", "succeeded", payment.amount, payment.surcharge, NOW, "R01",
        provider_id=new_id(), effective_on=DAY,
    )  # fmt: skip
    posting = replace(step.posting, id=new_id(), kind="reversal", entries=entries, reversal_id=back.id)
    whole = payment.total.minor
    return Step(replace(payment, reversed=whole, going_back=whole), "moved", posting, back)


class TestLedger:
    async def test_unbalanced_transaction_is_refused(self, units: Units) -> None:
        await accept(units, receipt(await known_customer(units)))
        with pytest.raises(asyncpg.CheckViolationError, match="does not sum to zero"):
            await units.pool.execute(
                """INSERT INTO ledger_entries (transaction_id, account, customer_id, currency, amount)
            SELECT transaction_id, 'bank', customer_id, currency, 1 FROM ledger_entries LIMIT 1"""
            )

    @pytest.mark.parametrize(
        "change",
        [
            "DELETE FROM ledger_entries",
            "UPDATE ledger_entries SET amount = 1",
            "TRUNCATE ledger_entries",
            "DELETE FROM ledger_transactions",
            "UPDATE ledger_transactions SET effective_on = '2020-01-01'",
        ],
    )
    async def test_is_append_only(self, units: Units, change: str) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await units.pool.execute(change)

    async def test_posting_and_its_reversal_may_come_together(self, units: Units) -> None:
        step = receipt(await known_customer(units))
        await accept(units, replace(step, posting=None))
        back = returned(step)
        async with units.begin() as work:
            await save_steps(work, [step, back])
            (known,) = await load_reversals(work.connection, [step.payment.id])
        assert known == back.reversal

    async def test_each_posting_and_reversal_is_saved_once(self, units: Units) -> None:
        step = receipt(await known_customer(units))
        await accept(units, step)
        back = returned(step)
        async with units.begin() as work:
            await save_steps(work, [back])
        insert = "INSERT INTO ledger_transactions (id, payment_id, kind, effective_on, booked_at, reversal_id)"
        assert back.reversal is not None
        for kind, reversal_id in (("receipt", None), ("reversal", back.reversal.id)):
            with pytest.raises(asyncpg.UniqueViolationError):
                await units.pool.execute(
                    f"{insert} VALUES ($1, $2, $3, $4, now(), $5)", new_id(), step.payment.id, kind, DAY, reversal_id
                )

    async def test_more_than_came_never_goes_back(self, units: Units) -> None:
        step = receipt(await known_customer(units))
        await accept(units, step)
        back = returned(step)
        too_much = replace(back.payment, going_back=back.payment.total.minor + 1)
        with pytest.raises(asyncpg.CheckViolationError):
            async with units.begin() as work:
                await save_steps(work, [replace(back, payment=too_much)])


class TestAddingPayments:
    async def test_receipt_writes_payment_posting_event_and_answer(self, units: Units) -> None:
        await accept(units, receipt(await known_customer(units)))
        counts = await units.pool.fetchrow(
            """\
SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM ledger_entries), (SELECT count(*) FROM outbox),
            (SELECT count(*) FROM idempotency_keys), (SELECT sum(amount) FROM ledger_entries)"""
        )
        assert tuple(counts) == (1, 2, 1, 1, 0)

    async def test_unknown_customer_or_invoice_writes_nothing(self, units: Units) -> None:
        assert not await accept(units, receipt(new_id()))
        asked = (Part(new_id(), Money(500, "USD")),)
        known = await known_customer(units)
        assert not await accept(units, receive(known, Money(500, "USD"), DAY, None, asked, datetime.now(UTC)))
        counts = await units.pool.fetchrow(
            """SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM ledger_transactions),
            (SELECT count(*) FROM outbox), (SELECT count(*) FROM idempotency_keys)"""
        )
        assert tuple(counts) == (0, 0, 0, 0)

    async def test_only_the_impossible_payment_is_left_out(self, units: Units) -> None:
        customer = await known_customer(units)
        steps = [receipt(customer), receipt(new_id()), receipt(customer)]
        async with units.single() as work:
            work.emit(*payment_events(steps, work.now))
            new = [
                NewPayment(step, Key(step.payment.customer_id, "route", str(n), b"print"), Answer(202, b"", ""))
                for n, step in enumerate(steps)
            ]
            assert await add_payments(work, new) == {steps[0].payment.id, steps[2].payment.id}
        counts = await units.pool.fetchrow(
            """\
SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM ledger_entries), (SELECT count(*) FROM outbox),
            (SELECT count(*) FROM idempotency_keys)"""
        )
        assert tuple(counts) == (2, 4, 2, 2)

    async def test_used_key_writes_nothing_and_stops_no_other(self, units: Units) -> None:
        customer = await known_customer(units)
        await accept(units, receipt(customer))
        assert not await accept(units, receipt(customer))
        assert await units.pool.fetchval("SELECT count(*) FROM payments") == 1
        assert await units.pool.fetchval("SELECT count(*) FROM outbox") == 1

    async def test_hot_path_never_scans_a_table(self, units: Units) -> None:
        for n in range(60):
            await accept(units, receipt(await known_customer(units)), key=str(n))
        await units.pool.fetchval("SELECT pg_stat_force_next_flush()")
        tables = ["ledger_entries", "payments", "idempotency_keys"]
        scanned = await units.pool.fetch(
            "SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE relname = ANY($1)", tables
        )
        assert {row["relname"]: row["seq_tup_read"] for row in scanned} == dict.fromkeys(tables, 0)

    async def test_confirmations_key_finds_its_own_answer(self, units: Units) -> None:
        _, quote = await paying.submitted(units)
        found = await load_confirming(units.pool, quote.id, None, paying.ROUTE, paying.KEY)
        assert found is not None
        assert found.stored is not None
        assert replay(found.stored, Key(quote.customer_id, paying.ROUTE, paying.KEY, b"print")).status_code == 202
        other = await load_confirming(units.pool, quote.id, None, paying.ROUTE, "another")
        assert other is not None
        assert other.stored is None


class TestExceptions:
    @pytest.mark.parametrize("state", ["declined", "cancelled", "expired"])
    async def test_one_ends_with_its_payment(self, units: Units, state: Literal["declined", "cancelled"]) -> None:
        payment, _ = await paying.submitted(units)
        late = overdue(payment)
        async with units.begin() as work:
            await save_steps(work, [late])
        seen = Seen("pi_1", state, payment.total, DAY, None, evidence=True)
        ended = [expire(late.payment)] if state == "expired" else observe(late.payment, seen, NOW)
        async with units.begin() as work:
            await save_steps(work, ended)
        (known,) = await units.pool.fetch("SELECT class, state, resolved_at IS NOT NULL AS at FROM exceptions")
        assert tuple(known) == ("missing_there", "resolved", True)
        note = "SELECT detail FROM exception_notes WHERE action = 'resolved'"
        assert await units.pool.fetchval(note) == "the payment ended without money"

    async def test_money_after_the_end_opens_a_new_one(self, units: Units) -> None:
        payment, _ = await paying.submitted(units)
        (ended,) = observe(payment, Seen("pi_1", "declined", payment.total, DAY, None, evidence=True), NOW)
        steps = observe(ended.payment, Seen("pi_1", "succeeded", payment.total, DAY, None, evidence=True), NOW)
        async with units.begin() as work:
            await save_steps(work, [ended, *steps])
        assert [tuple(row) for row in await units.pool.fetch("SELECT class, state FROM exceptions")] == [
            ("missing_here", "open")
        ]

    async def test_each_reversal_has_its_own(
        self,
        units: Units,
    ) -> None:
        payment, _ = await paying.submitted(units)
        gone, rest = Money(payment.total.minor // 10, payment.total.currency), payment.total

        async def record(*states: str) -> None:
            back = [
                SeenBack("re_1", "refund", states[0], gone, DAY),  # type: ignore[arg-type]
                SeenBack("re_2", "refund", states[1], gone, DAY),  # type: ignore[arg-type]
                *(SeenBack("du_1", "chargeback", state, rest, DAY) for state in states[2:]),  # type: ignore[arg-type]
            ]
            seen = Seen("pi_1", "succeeded", rest, DAY, None, True, tuple(back))
            async with units.begin() as work:
                now = await lock_payment(work, payment.id)
                assert now is not None
                steps = observe(now, seen, NOW, await load_reversals(work.connection, [payment.id]))
                if steps:
                    await save_steps(work, steps)

        async def asked() -> list[tuple[str, str, int]]:
            sql = "SELECT provider_id, state, amount FROM exceptions ORDER BY provider_id"
            return [tuple(row) for row in await units.pool.fetch(sql)]

        await record("succeeded", "succeeded")
        await record("succeeded", "succeeded", "open")
        assert await asked() == [("du_1", "open", -2 * gone.minor)]
        await record("failed", "succeeded", "open")
        assert await asked() == [("du_1", "open", -gone.minor), ("re_1", "open", gone.minor)]
        await record("failed", "failed", "open")
        closed = ("du_1", "resolved", -gone.minor)
        assert await asked() == [closed, ("re_1", "open", gone.minor), ("re_2", "open", gone.minor)]
        parts = [each.part for each in await load_reversals(units.pool, [payment.id]) if each.kind == "chargeback"]
        assert sorted(parts) == [1, 2, 3]
        assert await units.pool.fetchval("SELECT disputed FROM payments") == rest.minor

    async def test_closed_one_hides_no_later_failure(
        self,
        units: Units,
    ) -> None:
        payment, _ = await paying.submitted(units)
        about = [Step(payment, "moved", opens=why, about_id="re_1") for why in ("wrong_amount", "missing_there")]  # type: ignore[arg-type]
        for step in (about[0], replace(about[0], opens=None, closes=True), about[0], about[1]):
            async with units.begin() as work:
                await save_steps(work, [step])
        rows = await units.pool.fetch("SELECT class, state FROM exceptions ORDER BY class")
        assert [tuple(row) for row in rows] == [("missing_there", "open"), ("wrong_amount", "resolved")]
