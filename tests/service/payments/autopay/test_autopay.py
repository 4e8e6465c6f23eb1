"""Autopay as the database keeps it: announced once, charged once, whatever is killed or comes twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import asyncpg
import orjson
import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.records import Received
from chassis.messaging.work import Cause, Units, Wake, Work
from chassis.running import Running
from contracts import invoicing as heard
from contracts.envelope import Amount
from contracts.ids import new_id
from contracts.money import Money
from payments import handlers
from payments.autopay import jobs as autopaying
from payments.autopay.domain import Autopay
from payments.autopay.store import list_upcoming, load_autopay, load_left, lock_autopay_of, save_autopay
from payments.checks import CHECKS
from payments.collecting.data_files import SURCHARGE_RULES, read_surcharge_rules
from payments.collecting.domain.payments import Reversal, Step
from payments.collecting.reconciling import follow_codes
from payments.collecting.store.payments import load_payment
from payments.collecting.store.surcharges import take_rules
from payments.methods import setting_up
from payments.methods.domain.methods import Method
from payments.methods.store.consents import load_consents
from payments.methods.store.methods import list_methods, method_needed
from payments.own import Own
from payments.projections.store import keep_customers, keep_invoices, lock_customer
from payments.providers import Provider
from tests.kit.postgres import drop_database, fresh_database

DAY = date(2026, 3, 1)
BANK = ("bank_account", None, "A Bank", "6789")
FILE = read_surcharge_rules(SURCHARGE_RULES)


class MovedClock(Clock):
    """The business clock, some time on."""

    def __init__(self, by: timedelta) -> None:
        super().__init__("UTC")
        self._offset = by


class TakesAll:
    """A provider that can charge anything."""

    def charges_in(self, _: str) -> int:
        return 1

    def accepts(self, _amount: int, _currency: str) -> str | None:
        return None


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[asyncpg.Pool]:
    database = await fresh_database("payments")
    pool = await open_pool(database.work_url, size=6, application="test")
    async with pool.acquire() as connection:
        await take_rules(connection, FILE.edition, FILE.digest, FILE.rules, datetime.now(UTC))
    yield pool
    await pool.close()
    await drop_database(database)


def running(pool: asyncpg.Pool, **later: float) -> Running:
    clock = MovedClock(timedelta(**later))
    return Running(None, clock, pool, Units(pool, clock, Wake()), Own(cast(Provider, TakesAll()), FILE.rules))


async def customer(pool: asyncpg.Pool, **more: Any) -> str:
    """One with autopay switched on an hour ago, by a debit card unless said otherwise."""
    whose = new_id()
    card = ("card", more.pop("funding", "debit"), "visa", "4242")
    method = Method(new_id(), whose, f"pm_{new_id()}", *(BANK if more.pop("bank", False) else card))
    since = datetime.now(UTC) - timedelta(hours=1)
    autopay = Autopay(whose, True, method.id, "due", False, enabled_at=since, enabled_by="key:p", sequence=1)
    async with running(pool).units.begin() as work:
        await keep_customers(work, {whose: None})
        await setting_up.add(method, work)
        await save_autopay(work, replace(autopay, **more))
    return whose


def issued(whose: str, minor: int = 10_000, **more: Any) -> Received[heard.InvoiceIssued]:
    money = Amount.of(Money(minor, more.get("currency", "USD")))
    event = heard.InvoiceIssued.model_construct(
        invoice_id=new_id(), customer_id=whose, number=f"INV-{new_id()}", status="open", issued_on=DAY, due_on=DAY,
        total=money, balance=money, payable_now=money,
    )  # fmt: skip
    return Received(event, new_id(), 1, b"", Cause(correlation="an issue"), more.get("time", datetime.now(UTC)))


async def hear(pool: asyncpg.Pool, *events: Received[Any]) -> None:
    async with running(pool).units.begin() as work:
        await handlers.keep_invoices(events, work)


async def payments(pool: asyncpg.Pool) -> list[asyncpg.Record]:
    return list(await pool.fetch("SELECT * FROM payments ORDER BY id"))


async def end(pool: asyncpg.Pool, status: str, reason: str | None = None) -> None:
    await pool.execute(
        "UPDATE payments SET status = $1, reason = $2, reconciliation = NULL WHERE status = 'submitted'", status, reason
    )


async def charges(pool: asyncpg.Pool) -> list[tuple[int, str]]:
    rows = await pool.fetch("SELECT attempt, state FROM autopay_charges ORDER BY invoice_id, attempt")
    return [(row["attempt"], row["state"]) for row in rows]


async def told(pool: asyncpg.Pool, kind: str) -> list[int]:
    rows = await pool.fetch("SELECT sequence FROM outbox WHERE type = $1 ORDER BY sequence", kind)
    return [row["sequence"] for row in rows]


class TestOnceForEachCharge:
    async def test_second_payment_is_refused(self, pool: asyncpg.Pool) -> None:
        await hear(pool, issued(await customer(pool)))
        await autopaying.charge_due(running(pool, days=3))
        await pool.execute("UPDATE autopay_charges SET state = 'scheduled', payment_id = NULL")  # not saved
        await autopaying.charge_due(running(pool, days=3))
        assert len(await payments(pool)) == 1
        (setback,) = await pool.fetch("SELECT error FROM setbacks WHERE job = 'charge-autopay'")
        assert "payments_of_autopay_charges" in setback["error"]


class TestCodes:
    async def test_wrong_security_code_keeps_autopay(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool)
        await hear(pool, issued(whose))
        await autopaying.charge_due(running(pool, days=3))
        payment = await load_payment(pool, (await payments(pool))[0]["id"], None)
        assert payment is not None
        async with running(pool).units.begin() as work:
            await follow_codes([Step(replace(payment, reason="incorrect_cvc"), "declined")], work)
        autopay = await load_autopay(pool, whose)
        assert autopay is not None
        assert autopay.charges

    async def test_return_disables_the_method_and_holds_autopay(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool)
        await hear(pool, issued(whose))
        await autopaying.charge_due(running(pool, days=3))
        payment = await load_payment(pool, (await payments(pool))[0]["id"], None)
        assert payment is not None
        back = Reversal(
            new_id(),
            payment.id,
            whose,
            "return",
            "succeeded",
            payment.amount,
            payment.surcharge,
            datetime.now(UTC),
            "R02",
        )
        for _ in range(2):
            async with running(pool).units.begin() as work:
                await follow_codes([Step(payment, "reversed", reversal=back)], work)
        (method,) = await list_methods(pool, whose)
        autopay = await load_autopay(pool, whose)
        assert autopay is not None
        assert (method.disabled_reason, autopay.held_reason) == ("The account is closed", "R02")
        assert await told(pool, "MethodChanged") == [2]


def then(before: Received[heard.InvoiceIssued], kind: Any, status: str, **more: Any) -> Received[Any]:
    """The invoice's next event."""
    owed = before.event.total if status == "open" else Amount.of(Money(0, "USD"))
    state = {**dict(before.event), "status": status, "balance": owed, "payable_now": owed, **more}
    return replace(before, event=kind.model_construct(**state), sequence=before.sequence + 1)


def usd(minor: int) -> Amount:
    return Amount.of(Money(minor, "USD"))


def owed(minor: int, *, disputed: int = 0, held: int = 0, until: date | None = None) -> dict[str, Any]:
    """What the invoice's next event says of it, if no payment is under way."""
    of = {"balance": usd(minor), "payable_now": usd(minor), "held_until": until}
    return of | {"disputed": usd(disputed) if disputed else None, "held": usd(held) if held else None}


async def announced(pool: asyncpg.Pool) -> list[int]:
    """The amount of each notice, in order."""
    rows = await pool.fetch("SELECT payload FROM outbox WHERE type = 'AutopayScheduled' ORDER BY sequence")
    return [orjson.loads(row["payload"])["amount"]["amount_minor"] for row in rows]


async def charge(pool: asyncpg.Pool, **later: float) -> None:
    await autopaying.charge_due(running(pool, **later))


async def ended(pool: asyncpg.Pool, status: str, reason: str | None = None, **later: float) -> None:
    await end(pool, status, reason)
    await autopaying.follow_ends(running(pool, **later))


async def charged_but_for_a_part(pool: asyncpg.Pool, whose: str) -> Received[Any]:
    """Charge an invoice of 100.00, of which 40.00 are held; returns what was heard of it last."""
    event = issued(whose)
    raised = then(event, heard.InvoiceHeld, "open", **owed(10_000, disputed=4_000, held=4_000))
    await hear(pool, event, raised)
    await charge(pool, days=3)
    return raised


class TestHeld:
    async def test_rest_is_charged_then_what_was_held(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool)
        event = issued(whose)
        held = {"disputed": Amount.of(Money(4_000, "USD")), "held": Amount.of(Money(4_000, "USD"))}
        raised = then(event, heard.InvoiceHeld, "open", **held)
        await hear(pool, event, raised)
        since = datetime.now(UTC) - timedelta(hours=1)
        (coming,) = await list_upcoming(pool, whose, since, DAY)
        assert coming.amount == Money(6_000, "USD")
        await autopaying.charge_due(running(pool, days=3))
        assert [payment["amount"] for payment in await payments(pool)] == [6_000]
        until, left = date.today() + timedelta(days=7), Amount.of(Money(4_000, "USD"))  # noqa: DTZ011
        rest = {"payable_now": left, "balance": left, "disputed": None, "held": left, "held_until": until}
        ended = then(raised, heard.InvoiceHoldEnded, "open", **rest)
        await end(pool, "succeeded")
        await autopaying.follow_ends(running(pool, days=3))
        await hear(pool, ended)
        await hear(pool, ended)
        assert await charges(pool) == [(1, "paid"), (2, "scheduled")]
        assert len(await told(pool, "AutopayScheduled")) == 2
        await autopaying.charge_due(running(pool, days=5))
        assert len(await payments(pool)) == 1
        await autopaying.charge_due(running(pool, days=10))
        assert [payment["amount"] for payment in await payments(pool)] == [6_000, 4_000]

    async def test_rejected_before_the_try_is_charged_later(self, pool: asyncpg.Pool) -> None:
        event = issued(await customer(pool))
        until = date.today() + timedelta(days=7)  # noqa: DTZ011
        raised = then(event, heard.InvoiceHeld, "open", **owed(10_000, disputed=4_000, held=4_000))
        rejected = then(raised, heard.InvoiceHoldEnded, "open", **owed(10_000, held=4_000, until=until))
        await hear(pool, event, raised, rejected)
        await charge(pool, days=3)
        await hear(pool, then(rejected, heard.InvoiceChanged, "open", **owed(4_000, held=4_000, until=until)))
        await ended(pool, "succeeded", days=3)
        assert await charges(pool) == [(1, "paid"), (2, "scheduled")]
        await charge(pool, days=7)
        assert len(await payments(pool)) == 1
        await charge(pool, days=9)
        assert [payment["amount"] for payment in await payments(pool)] == [6_000, 4_000]
        assert await announced(pool) == [10_000, 4_000]

    async def test_declined_part_is_tried_as_announced(self, pool: asyncpg.Pool) -> None:
        """The dispute is withdrawn while the payment of the rest is under way."""
        event = issued(await customer(pool))
        raised = then(event, heard.InvoiceHeld, "open", **owed(10_000, disputed=4_000, held=4_000))
        await hear(pool, event, raised)
        await charge(pool, days=3)
        withdrawn = then(raised, heard.InvoiceHoldEnded, "open", **owed(10_000))
        await hear(pool, withdrawn)
        assert await charges(pool) == [(1, "submitted")]
        await ended(pool, "declined", "insufficient_funds", days=3)
        rows = await pool.fetch("SELECT attempt, declines, announced FROM autopay_charges ORDER BY attempt")
        assert [tuple(row) for row in rows] == [(1, 0, 10_000), (2, 1, 6_000)]
        await charge(pool, days=5)
        await hear(pool, then(withdrawn, heard.InvoiceChanged, "open", **owed(4_000)))
        await ended(pool, "succeeded", days=5)
        await charge(pool, days=6, hours=23)
        assert len(await payments(pool)) == 2
        await charge(pool, days=7, minutes=1)
        assert [payment["amount"] for payment in await payments(pool)] == [6_000, 6_000, 4_000]
        assert await announced(pool) == [10_000, 6_000, 4_000]

    async def test_second_hold_that_ends_is_announced_anew(self, pool: asyncpg.Pool) -> None:
        event = issued(await customer(pool))
        raised = then(event, heard.InvoiceHeld, "open", **owed(10_000, disputed=6_000, held=6_000))
        await hear(pool, event, raised)
        await charge(pool, days=3)
        await ended(pool, "succeeded", days=3)
        first = then(raised, heard.InvoiceHoldEnded, "open", **owed(6_000, disputed=2_000, held=2_000))
        second = then(first, heard.InvoiceHoldEnded, "open", **owed(6_000))
        await hear(pool, first)
        await hear(pool, second)
        await charge(pool, days=3)
        await hear(pool, then(second, heard.InvoiceChanged, "open", **owed(2_000)))
        await ended(pool, "succeeded", days=3)
        await charge(pool, days=6)
        assert [payment["amount"] for payment in await payments(pool)] == [4_000, 4_000, 2_000]
        assert await announced(pool) == [10_000, 4_000, 2_000]
        for name, sql in CHECKS.items():
            if "by itself" in name:
                assert await pool.fetch(sql) == [], name

    async def test_hold_ending_as_it_is_paid_resumes_once(self, pool: asyncpg.Pool) -> None:
        invoices, whose = list[Received[Any]](), await customer(pool)
        for _ in range(10):
            event = issued(whose)
            raised = then(event, heard.InvoiceHeld, "open", **owed(10_000, disputed=4_000, held=4_000))
            await hear(pool, event, raised)
            invoices.append(then(raised, heard.InvoiceHoldEnded, "open", **owed(4_000)))
        await charge(pool, days=3)
        await end(pool, "succeeded")
        follows = [autopaying.follow_ends(running(pool, days=3)) for _ in range(2)]
        await asyncio.gather(*follows, *(hear(pool, each) for each in invoices))
        while await autopaying.follow_ends(running(pool, days=3)):
            pass
        assert await charges(pool) == [(1, "paid"), (2, "scheduled")] * 10
        assert sorted(await announced(pool)) == [4_000] * 10 + [10_000] * 10

    async def test_refunded_part_is_paid_by_hand(self, pool: asyncpg.Pool) -> None:
        whose, since = await customer(pool), datetime.now(UTC) - timedelta(hours=1)
        raised = await charged_but_for_a_part(pool, whose)
        rest = then(raised, heard.InvoiceChanged, "open", **owed(4_000, disputed=4_000, held=4_000))
        await hear(pool, rest)
        await ended(pool, "succeeded", days=3)
        refunded = then(rest, heard.InvoiceChanged, "open", **owed(10_000, disputed=4_000, held=4_000))
        withdrawn = then(refunded, heard.InvoiceHoldEnded, "open", **owed(10_000))
        await hear(pool, refunded)
        await hear(pool, withdrawn)
        (coming,) = await list_upcoming(pool, whose, since, DAY)
        assert coming.amount == Money(4_000, "USD")
        await charge(pool, days=6)
        await hear(pool, then(withdrawn, heard.InvoiceChanged, "open", **owed(6_000)))
        await ended(pool, "succeeded", days=6)
        await charge(pool, days=20)
        assert [payment["amount"] for payment in await payments(pool)] == [6_000, 4_000]
        assert await announced(pool) == [10_000, 4_000]
        assert [invoice.payable_now for invoice, _ in await load_left(pool, whose, since)] == [6_000]

    @pytest.mark.parametrize("paid_first", [True, False])
    async def test_part_held_of_closed_invoice_is_not_charged(self, pool: asyncpg.Pool, paid_first: bool) -> None:
        whose, since = await customer(pool), datetime.now(UTC) - timedelta(hours=1)
        raised = await charged_but_for_a_part(pool, whose)
        if paid_first:
            await ended(pool, "succeeded", days=3)
        closed = then(raised, heard.InvoicePaid, "paid", **owed(0))
        await hear(pool, closed)
        if not paid_first:
            await ended(pool, "succeeded", days=3)
        again = then(closed, heard.InvoiceReopened, "open", **owed(6_000, disputed=2_000, held=2_000))
        await hear(pool, again)
        assert [invoice.payable_now for invoice, _ in await load_left(pool, whose, since)] == [6_000]
        await hear(pool, then(again, heard.InvoiceHoldEnded, "open", **owed(6_000)))
        await charge(pool, days=20)
        assert (await charges(pool), await announced(pool)) == ([(1, "paid")], [10_000])

    async def test_dispute_of_the_rest_is_not_by_hand(self, pool: asyncpg.Pool) -> None:
        whose, since = await customer(pool), datetime.now(UTC) - timedelta(hours=1)
        raised = await charged_but_for_a_part(pool, whose)
        rest = then(raised, heard.InvoiceChanged, "open", **owed(4_000, disputed=4_000, held=4_000))
        await hear(pool, rest)
        await ended(pool, "succeeded", days=3)
        assert await load_left(pool, whose, since) == []
        assert [tried for _, tried in await load_left(pool, whose, None)] == [True], "held, or switched on anew"
        until = date.today() + timedelta(days=7)  # noqa: DTZ011
        await hear(pool, then(rest, heard.InvoiceHoldEnded, "open", **owed(4_000, held=4_000, until=until)))
        (coming,) = await list_upcoming(pool, whose, since, date.today())  # noqa: DTZ011
        assert (coming.amount, await load_left(pool, whose, since)) == (Money(4_000, "USD"), [])

    async def test_all_held_is_not_coming(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool)
        event = issued(whose)
        await hear(
            pool, event, then(event, heard.InvoiceHeld, "open", disputed=event.event.total, held=event.event.total)
        )
        assert not await list_upcoming(pool, whose, datetime.now(UTC) - timedelta(hours=1), DAY)
        await autopaying.charge_due(running(pool, days=3))
        assert not await payments(pool)


class TestAllHeld:
    """All of an invoice is in dispute on the day of its charge, or was until shortly before."""

    SINCE = timedelta(hours=1)

    async def disputed(self, pool: asyncpg.Pool) -> tuple[str, Received[Any]]:
        whose = await customer(pool)
        event = issued(whose)
        raised = then(event, heard.InvoiceHeld, "open", **owed(10_000, disputed=10_000, held=10_000))
        await hear(pool, event, raised)
        return whose, raised

    async def upcoming(self, pool: asyncpg.Pool, whose: str, **later: float) -> list[tuple[date, int]]:
        today = running(pool, **later).clock.today()
        coming = await list_upcoming(pool, whose, datetime.now(UTC) - self.SINCE, today)
        return [(each.charge.charge_on, each.amount.minor) for each in coming]

    async def hear_later(self, pool: asyncpg.Pool, event: Received[Any], **later: float) -> None:
        async with running(pool, **later).units.begin() as work:
            await handlers.keep_invoices([event], work)

    async def test_withdrawn_after_the_day_is_announced_anew(self, pool: asyncpg.Pool) -> None:
        whose, raised = await self.disputed(pool)
        for days in range(2, 44):
            await charge(pool, days=days, minutes=1)
        rows = await pool.fetch("SELECT state, reason FROM autopay_charges")
        assert [tuple(row) for row in rows] == [("skipped", "all_held")]
        assert await self.upcoming(pool, whose, days=43) == []
        assert await load_left(pool, whose, datetime.now(UTC) - self.SINCE) == []
        withdrawn = then(raised, heard.InvoiceHoldEnded, "open", **owed(10_000))
        for _ in range(2):
            await self.hear_later(pool, withdrawn, days=43, hours=1)
        day = running(pool, days=45, hours=1).clock.today()
        assert await self.upcoming(pool, whose, days=43, hours=1) == [(day, 10_000)]
        assert (await announced(pool), await told(pool, "AutopayScheduled")) == ([10_000, 10_000], [2, 3])
        await charge(pool, days=45)
        assert await payments(pool) == []
        await charge(pool, days=45, hours=1, minutes=1)
        assert [payment["amount"] for payment in await payments(pool)] == [10_000]
        await ended(pool, "succeeded", days=46)
        assert await charges(pool) == [(1, "skipped"), (2, "paid")]

    async def test_rejected_after_the_day_waits_for_both(self, pool: asyncpg.Pool) -> None:
        whose, raised = await self.disputed(pool)
        await charge(pool, days=3)
        until = running(pool, days=11).clock.today()
        rejected = then(raised, heard.InvoiceHoldEnded, "open", **owed(10_000, held=10_000, until=until))
        await self.hear_later(pool, rejected, days=4)
        day = until + timedelta(days=1)
        assert await self.upcoming(pool, whose, days=4) == [(day, 10_000)]
        assert await announced(pool) == [10_000, 10_000]
        for days in range(5, 12):
            await charge(pool, days=days)
        assert await payments(pool) == []
        await charge(pool, days=13)
        assert [payment["amount"] for payment in await payments(pool)] == [10_000]

    async def test_rejected_before_the_day_is_announced_anew(self, pool: asyncpg.Pool) -> None:
        whose, raised = await self.disputed(pool)
        until = running(pool, days=8).clock.today()
        rejected = then(raised, heard.InvoiceHoldEnded, "open", **owed(10_000, held=10_000, until=until))
        await self.hear_later(pool, rejected, days=1)
        assert await self.upcoming(pool, whose, days=1) == []
        await charge(pool, days=2, minutes=1)
        assert await charges(pool) == [(1, "skipped"), (2, "scheduled")]
        assert await self.upcoming(pool, whose, days=2) == [(until + timedelta(days=1), 10_000)]
        assert await announced(pool) == [10_000, 10_000]
        await charge(pool, days=8)
        assert await payments(pool) == []
        await charge(pool, days=10)
        assert [payment["amount"] for payment in await payments(pool)] == [10_000]

    async def test_withdrawn_before_the_day_is_charged_then(self, pool: asyncpg.Pool) -> None:
        _, raised = await self.disputed(pool)
        await self.hear_later(pool, then(raised, heard.InvoiceHoldEnded, "open", **owed(10_000)), days=1)
        await charge(pool, days=2, minutes=1)
        assert [payment["amount"] for payment in await payments(pool)] == [10_000]
        assert await announced(pool) == [10_000]

    async def test_withdrawn_during_a_payment_is_announced_after(self, pool: asyncpg.Pool) -> None:
        whose, raised = await self.disputed(pool)
        await charge(pool, days=3)
        none = {"balance": usd(10_000), "payable_now": usd(0)}
        paying = then(raised, heard.InvoiceInProgress, "in_progress", **none)
        withdrawn = then(paying, heard.InvoiceHoldEnded, "in_progress", **none, disputed=None, held=None)
        for event in (paying, withdrawn):
            await self.hear_later(pool, event, days=4)
        assert await announced(pool) == [10_000]
        declined = then(withdrawn, heard.InvoiceChanged, "open", **owed(10_000))
        for _ in range(2):
            await self.hear_later(pool, declined, days=5)
        assert await self.upcoming(pool, whose, days=5) == [(running(pool, days=7).clock.today(), 10_000)]
        assert await announced(pool) == [10_000, 10_000]

    async def test_accepted_is_never_charged_nor_after_reopening(self, pool: asyncpg.Pool) -> None:
        whose, raised = await self.disputed(pool)
        await charge(pool, days=3)
        credited = then(raised, heard.InvoicePaid, "paid", **owed(0))
        await self.hear_later(pool, credited, days=4)
        again = then(credited, heard.InvoiceReopened, "open", **owed(10_000, disputed=10_000, held=10_000))
        await self.hear_later(pool, again, days=5)
        await self.hear_later(pool, then(again, heard.InvoiceHoldEnded, "open", **owed(10_000)), days=6)
        await charge(pool, days=60)
        assert (await payments(pool), await announced(pool)) == ([], [10_000])
        rows = await pool.fetch("SELECT state, reason FROM autopay_charges")
        assert [tuple(row) for row in rows] == [("skipped", "invoice_paid")]
        left = await load_left(pool, whose, datetime.now(UTC) - self.SINCE)
        assert [(invoice.payable_now, tried) for invoice, tried in left] == [(10_000, True)]

    async def test_hold_ending_on_the_day_resumes_once(self, pool: asyncpg.Pool) -> None:
        invoices = [(await self.disputed(pool))[1] for _ in range(10)]
        freed = [then(raised, heard.InvoiceHoldEnded, "open", **owed(10_000)) for raised in invoices]
        charging = [autopaying.charge_due(running(pool, days=3)) for _ in range(2)]
        await asyncio.gather(*charging, *(self.hear_later(pool, each, days=3) for each in freed))
        while await autopaying.charge_due(running(pool, days=3)):
            pass
        rows = await pool.fetch(
            """SELECT array_agg(state || coalesce(' ' || reason, '') ORDER BY attempt) AS tries FROM autopay_charges
            GROUP BY invoice_id"""
        )
        assert len(rows) == 10
        assert all(row["tries"] in (["submitted"], ["skipped all_held", "scheduled"]) for row in rows)


class TestAnnouncing:
    async def test_invoice_heard_twice_is_announced_once(self, pool: asyncpg.Pool) -> None:
        event = issued(await customer(pool))
        await hear(pool, event)
        await hear(pool, event)
        assert await charges(pool) == [(1, "scheduled")]
        assert await told(pool, "AutopayScheduled") == [2]

    async def test_early_unrelated_or_held_invoices_are_not_announced(self, pool: asyncpg.Pool) -> None:
        held = await customer(pool, held_reason="R01", held_at=datetime.now(UTC))
        off, on = await customer(pool, enabled=False), await customer(pool)
        early = issued(on, time=datetime.now(UTC) - timedelta(hours=2))
        await hear(pool, issued(held), issued(off), issued(new_id()), early)
        assert await charges(pool) == []

    async def test_paid_invoice_is_not_announced(self, pool: asyncpg.Pool) -> None:
        event = issued(await customer(pool))
        paid = then(event, heard.InvoicePaid, "paid")
        await hear(pool, event, paid, then(paid, heard.InvoiceReopened, "open"))
        assert (await charges(pool), await told(pool, "AutopayScheduled")) == ([], [])


CHARGES = """
INSERT INTO autopay_charges (id, customer_id, invoice_id, attempt, first_at, notice_at, charge_at, charge_on, state)
SELECT gen_random_uuid(), $1, gen_random_uuid(), 1, now(), now(), now() + interval '3 days', '2026-03-01', 'scheduled'
FROM generate_series(1, 5000)
"""
READ = """
SELECT max(seq_tup_read) + sum(idx_tup_read) FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i USING (relid)
WHERE t.relname = 'autopay_charges'
"""


class TestCharging:
    async def test_charges_once_after_two_days_despite_concurrency(
        self,
        pool: asyncpg.Pool,
    ) -> None:
        whose = await customer(pool)
        await hear(pool, *(issued(whose) for _ in range(3)))
        assert await autopaying.charge_due(running(pool, days=1)) == 0
        await asyncio.gather(*(autopaying.charge_due(running(pool, days=2, seconds=1)) for _ in range(5)))
        await autopaying.charge_due(running(pool, days=2, seconds=1))
        made = await payments(pool)
        assert [(p["status"], p["amount"]) for p in made] == [("submitted", 10_000)] * 3
        assert await charges(pool) == [(1, "submitted")] * 3
        assert len({p["autopay_charge_id"] for p in made} - {None}) == 3
        actors = await pool.fetch(
            "SELECT DISTINCT headers::json ->> 'actor' AS who FROM outbox WHERE type = 'PaymentSubmitted'"
        )
        assert [row["who"] for row in actors] == ["system:autopay"]

    @pytest.mark.parametrize("dies_in", ["add_quotes", "add_payments", "save_charges"])
    async def test_killed_charge_is_made_once_by_the_next(
        self, pool: asyncpg.Pool, dies_in: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await hear(
            pool, issued(await customer(pool, funding="credit", surcharge_consent=True, surcharge_rate=Decimal("0.03")))
        )
        real = getattr(autopaying, dies_in)

        async def dies(*arguments: Any) -> None:
            await real(*arguments)
            raise ConnectionResetError("killed")

        monkeypatch.setattr(autopaying, dies_in, dies)
        with pytest.raises(ConnectionResetError):
            await autopaying.charge_due(running(pool, days=3))
        assert await payments(pool) == []
        monkeypatch.setattr(autopaying, dies_in, real)
        await autopaying.charge_due(running(pool, days=3))
        await autopaying.charge_due(running(pool, days=3))
        (payment,) = await payments(pool)
        assert (payment["amount"], payment["surcharge"]) == (10_000, 300)
        (consent,) = await load_consents(pool, payment["id"])
        assert (consent["given"], consent["actor"], consent["surcharge"]) == (True, "system:autopay", 300)

    async def test_surcharge_without_consent_holds_autopay(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool, funding="credit")
        await hear(pool, issued(whose), issued(whose))
        await autopaying.charge_due(running(pool, days=3))
        assert await payments(pool) == []
        held = await load_autopay(pool, whose)
        assert held is not None
        assert (held.held_reason, held.charges) == ("surcharge_without_consent", False)
        assert await told(pool, "AutopayChanged") == [4]

    async def test_switching_off_meanwhile_deadlocks_nothing(
        self,
        pool: asyncpg.Pool,
    ) -> None:
        people = [await customer(pool) for _ in range(20)]
        await hear(pool, *(issued(whose) for whose in people for _ in range(3)))

        async def switch_off(whose: str) -> None:
            async with running(pool).units.begin() as work:
                await lock_customer(work, whose)
                autopay = await lock_autopay_of(work, whose)
                assert autopay is not None
                await save_autopay(work, replace(autopay, enabled=False, sequence=autopay.sequence + 1))

        jobs = [autopaying.charge_due(running(pool, days=3)) for _ in range(4)]
        await asyncio.gather(*jobs, *(switch_off(whose) for whose in people[::2]))
        while await autopaying.charge_due(running(pool, days=3)):
            pass
        assert {state for _, state in await charges(pool)} <= {"submitted", "skipped"}
        assert len(await payments(pool)) >= 30
        for name, sql in CHECKS.items():
            if "neither final" not in name:
                assert await pool.fetch(sql) == [], name

    async def test_database_refuses_a_second_open_attempt(self, pool: asyncpg.Pool) -> None:
        event = issued(await customer(pool))
        await hear(pool, event)
        with pytest.raises(asyncpg.UniqueViolationError):
            await pool.execute(
                """INSERT INTO autopay_charges (id, customer_id, invoice_id, attempt, first_at, notice_at, charge_at,
                charge_on, state)
            SELECT $1, customer_id, invoice_id, 2, first_at, notice_at, charge_at, charge_on, state
            FROM autopay_charges""",
                new_id(),
            )
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute("UPDATE autopay_charges SET charge_at = notice_at + interval '47 hours'")

    async def test_waits_for_a_payment_by_hand(self, pool: asyncpg.Pool) -> None:
        event = issued(await customer(pool))
        await hear(pool, event)
        under_way = "UPDATE invoices SET status = 'in_progress', payable_now = 0"
        await pool.execute(under_way)
        await autopaying.charge_due(running(pool, days=3))
        assert (await charges(pool), await payments(pool)) == ([(1, "scheduled")], [])
        assert await autopaying.charge_due(running(pool, days=3, hours=23)) == 0
        await pool.execute("UPDATE invoices SET status = 'open', payable_now = balance")
        await autopaying.charge_due(running(pool, days=4, minutes=1))
        (payment,) = await payments(pool)
        assert (await charges(pool), payment["amount"]) == ([(1, "submitted")], 10_000)

    @pytest.mark.parametrize("at_once", [False, True])
    @pytest.mark.parametrize(
        ("kind", "status"),
        [(heard.InvoicePaid, "paid"), (heard.InvoiceVoided, "void"), (heard.InvoiceWrittenOff, "uncollectible")],
    )
    async def test_closed_invoice_is_never_charged_even_when_reopened(
        self, pool: asyncpg.Pool, kind: Any, status: str, at_once: bool
    ) -> None:
        whose = await customer(pool)
        event, other = issued(whose), issued(whose)
        await hear(pool, event, other)
        closed = then(event, kind, status)
        again = then(closed, heard.InvoiceReopened, "open")
        for events in ([closed, again],) if at_once else ([closed], [again]):
            await hear(pool, *events)
            upcoming = await list_upcoming(pool, whose, datetime.now(UTC) - timedelta(hours=1), DAY)
            assert [each.charge.invoice_id for each in upcoming] == [other.event.invoice_id]
            assert [(each.number, each.amount) for each in upcoming] == [(other.event.number, Money(10_000, "USD"))]
        await autopaying.charge_due(running(pool, days=3))
        assert [payment["amount"] for payment in await payments(pool)] == [10_000]
        rows = await pool.fetch("SELECT state, reason FROM autopay_charges ORDER BY state")
        assert [tuple(row) for row in rows] == [("skipped", f"invoice_{status}"), ("submitted", None)]

    async def test_closing_an_invoice_stays_cheap_with_many_charges(self, pool: asyncpg.Pool) -> None:
        """Also by a plan that was made while there were none."""
        whose = await customer(pool)
        paid = then(issued(whose), heard.InvoicePaid, "paid")
        async with pool.acquire() as connection:
            work = Work(connection, Clock("UTC"), datetime.now(UTC))
            for _ in range(2):
                await keep_invoices(work, [paid])
            await connection.execute(CHARGES, whose)
            await connection.execute("SELECT pg_stat_force_next_flush()")
            before = await connection.fetchval(READ)
            await keep_invoices(work, [paid])
            await connection.execute("SELECT pg_stat_force_next_flush()")
            assert await connection.fetchval(READ) - before < 100


class TestRetries:
    async def test_four_soft_declines_or_one_hard_end_them(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool)
        await hear(pool, issued(whose))
        for days in (2, 3, 5, 9, 20):
            await autopaying.charge_due(running(pool, days=days, minutes=1))
            await end(pool, "declined", "insufficient_funds")
            await autopaying.follow_ends(running(pool, days=days, minutes=1))
        assert await charges(pool) == [(n, "declined") for n in (1, 2, 3, 4)]
        assert await told(pool, "AutopayScheduled") == [2, 3, 4, 5]
        autopay = await load_autopay(pool, whose)
        assert autopay is not None
        assert autopay.charges
        await hear(pool, issued(whose))
        await autopaying.charge_due(running(pool, days=30))
        await end(pool, "declined", "stolen_card")
        await asyncio.gather(*(autopaying.follow_ends(running(pool, days=30)) for _ in range(3)))
        autopay = await load_autopay(pool, whose)
        assert autopay is not None
        assert autopay.held_reason == "stolen_card"

    async def test_paid_invoice_is_not_charged_again(self, pool: asyncpg.Pool) -> None:
        event = issued(await customer(pool))
        await hear(pool, event)
        await autopaying.charge_due(running(pool, days=2, minutes=1))
        await hear(pool, then(event, heard.InvoicePaid, "paid"))
        await end(pool, "cancelled", "invoice_changed")
        await autopaying.follow_ends(running(pool, days=2, minutes=1))
        assert (await charges(pool), await told(pool, "AutopayScheduled")) == ([(1, "declined")], [2])

    async def test_cancelled_attempt_leaves_all_four(self, pool: asyncpg.Pool) -> None:
        await hear(pool, issued(await customer(pool)))
        await autopaying.charge_due(running(pool, days=2, minutes=1))
        await end(pool, "cancelled", "invoice_changed")
        await autopaying.follow_ends(running(pool, days=2, minutes=1))
        for days in (2, 3, 5, 9, 20):
            await autopaying.charge_due(running(pool, days=days, minutes=3))
            await end(pool, "declined", "insufficient_funds")
            await autopaying.follow_ends(running(pool, days=days, minutes=3))
        assert await charges(pool) == [(n, "declined") for n in (1, 2, 3, 4, 5)]


class TestReturnedDebits:
    async def test_presented_three_times_then_held(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool, bank=True)
        await hear(pool, issued(whose))
        for days in range(2, 200, 6):
            await autopaying.charge_due(running(pool, days=days, minutes=1))
            await end(pool, "declined", "insufficient_funds")
            await autopaying.follow_ends(running(pool, days=days, minutes=1))
        assert await charges(pool) == [(n, "declined") for n in (1, 2, 3)]
        autopay = await load_autopay(pool, whose)
        assert autopay is not None
        assert autopay.held_reason == "R01"


class TestCurrencies:
    async def test_what_no_method_pays_is_not_announced(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool, bank=True)
        euros, dollars = issued(whose, currency="EUR"), issued(whose)
        await hear(pool, euros, dollars)
        assert await charges(pool) == [(1, "scheduled")]
        left = await load_left(pool, whose, datetime.now(UTC) - timedelta(hours=1))
        assert [(invoice.id, tried) for invoice, tried in left] == [(euros.event.invoice_id, False)]

    async def test_each_is_charged_by_its_method(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool, bank=True)
        card = Method(new_id(), whose, f"pm_{new_id()}", "card", "debit", "visa", "4242")
        autopay = await load_autopay(pool, whose)
        assert autopay is not None
        async with running(pool).units.begin() as work:
            await setting_up.add(card, work)
            await save_autopay(work, replace(autopay, by_currency=(("EUR", card.id),)))
        await hear(pool, issued(whose, currency="EUR"), issued(whose))
        await autopaying.charge_due(running(pool, days=3))
        made = {(p["currency"], p["method_id"], p["method_kind"]) for p in await payments(pool)}
        assert made == {("EUR", card.id, "card"), ("USD", autopay.method_id, "bank_account")}
        assert (await method_needed(pool, card.id))[0]

    async def test_lost_card_of_a_currency_holds(self, pool: asyncpg.Pool) -> None:
        whose = await customer(pool, bank=True)
        card = Method(new_id(), whose, f"pm_{new_id()}", "card", "debit", "visa", "4242")
        autopay = await load_autopay(pool, whose)
        assert autopay is not None
        async with running(pool).units.begin() as work:
            await setting_up.add(card, work)
            await save_autopay(work, replace(autopay, by_currency=(("EUR", card.id),)))
        await hear(pool, issued(whose, currency="EUR"))
        await autopaying.charge_due(running(pool, days=3))
        payment = await load_payment(pool, (await payments(pool))[0]["id"], None)
        assert payment is not None
        async with running(pool).units.begin() as work:
            await follow_codes([Step(replace(payment, reason="stolen_card"), "declined")], work)
        held = await load_autopay(pool, whose)
        assert held is not None
        assert held.held_reason == "stolen_card"
