"""Disputes in invoicing on a real database: held, credited once, listed."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.http.problems import Problem
from chassis.messaging.records import Received
from chassis.messaging.work import Cause, Units, Wake
from contracts import support
from contracts.envelope import Amount
from contracts.ids import new_id
from invoicing import handlers, issuing, store
from invoicing.api.invoices import decide
from invoicing.bank_days import held_until
from invoicing.checks import CHECKS
from invoicing.domain import Invoice
from invoicing.store.book import LOAD_DISPUTES, LOAD_NOTED, LOCK_NUMBER
from invoicing.store.credit_notes import NEWEST
from invoicing.store.history import NOTES
from tests.kit.postgres import drop_database, fresh_database
from tests.service.invoicing.test_invoicing_store import DAY, customer, issue, received, reserve, settle, wish


@pytest_asyncio.fixture
async def units() -> AsyncIterator[Units]:
    database = await fresh_database("invoicing")
    pool = await open_pool(database.work_url, size=4, application="test")
    yield Units(pool, Clock("UTC"), Wake())
    for what, sql in CHECKS.items():
        assert not await pool.fetch(sql), what
    await pool.close()
    await drop_database(database)


def usd(minor: int) -> Amount:
    return Amount(amount_minor=minor, currency="USD")


class Said:
    """The events of one dispute."""

    def __init__(self, invoice: Invoice, *lines: tuple[int, int | None]) -> None:
        named = [support.DisputedLine(line=line, amount=usd(minor) if minor else None) for line, minor in lines]
        self.body = {"dispute_id": new_id(), "ticket_id": new_id(), "customer_id": invoice.customer_id,
                     "invoice_id": invoice.id, "lines": tuple(named)}  # fmt: skip
        self.sequence = 0

    def then(self, kind: type[support.DisputeState], status: str) -> Received[Any]:
        self.sequence += 1
        return Received(kind(**self.body, status=status), new_id(), self.sequence, b"", Cause())

    def raised(self) -> Received[Any]:
        return self.then(support.DisputeRaised, "open")

    def accepted(self) -> Received[Any]:
        return self.then(support.DisputeAccepted, "accepted")

    def rejected(self) -> Received[Any]:
        return self.then(support.DisputeRejected, "rejected")


async def hear(units: Units, *events: Received[Any]) -> None:
    async with units.begin() as work:
        await handlers.follow_disputes(events, work)


async def made(units: Units, *minors: int) -> Invoice:
    """An invoice with these lines."""
    lines = [{"description": "Work", "unit_price_minor": minor} for minor in minors]
    (one,) = await issue(units, wish(await customer(units), new_id()[-8:], lines=lines))
    assert isinstance(one, issuing.Issued)
    return one.invoice


async def amounts(units: Units) -> tuple[Any, ...]:
    row = await units.pool.fetchrow("SELECT state, credited, settled, in_dispute, resting FROM invoices")
    assert row is not None
    return tuple(row)


async def said(units: Units, topic: str = "invoicing.invoice.v1") -> list[str]:
    return [
        row["type"] for row in await units.pool.fetch("SELECT type FROM outbox WHERE topic = $1 ORDER BY id", topic)
    ]


class TestHolding:
    async def test_lines_are_held_at_most_whole(self, units: Units) -> None:
        invoice = await made(units, 600, 400)
        dispute = Said(invoice, (1, 700), (3, None))
        await hear(units, dispute.raised())
        assert await amounts(units) == ("open", 0, 0, 600, 0)
        assert await said(units) == ["InvoiceIssued", "InvoiceHeld"]

    async def test_rejected_rests_for_banking_days(self, units: Units) -> None:
        dispute = Said(await made(units, 600, 400), (1, None))
        await hear(units, dispute.raised(), dispute.rejected())
        assert await amounts(units) == ("open", 0, 0, 0, 600)
        until = await units.pool.fetchval("SELECT held_until FROM invoices")
        assert until == held_until(Clock("UTC").today())
        assert (await said(units))[-1] == "InvoiceHoldEnded"

    async def test_summary_counts_what_is_owed(self, units: Units) -> None:
        invoice = await made(units, 600, 400)
        await hear(units, Said(invoice, (1, None)).raised())
        for paid, disputed in ((300, 600), (300, 400)):
            await settle(units, received(new_id(), invoice.customer_id, paid))
            (one,) = (await store.load_summary(units.pool, invoice.customer_id, DAY))["currencies"]
            assert one["disputed_minor"] == disputed

    async def test_summary_asks_for_undisputed_money(self, units: Units) -> None:
        invoice = await made(units, 600, 400)
        later = invoice.due_on + timedelta(days=1)
        for line, count, minor in ((1, 1, 400), (2, 0, 0)):
            await hear(units, Said(invoice, (line, None)).raised())
            (one,) = (await store.load_summary(units.pool, invoice.customer_id, later))["currencies"]
            assert (one["overdue_payable_count"], one["overdue_payable_minor"]) == (count, minor)
            assert (one["overdue_count"], one["payable_now_minor"]) == (1, 1_000)


class TestCrediting:
    async def test_invoice_with_a_note_is_not_voided(self, units: Units) -> None:
        """What it paid went back; the customer has the note's credit."""
        invoice, payment = await made(units, 600, 400), new_id()
        await settle(units, received(payment, invoice.customer_id, 1_000))
        dispute = Said(invoice, (1, None))
        await hear(units, dispute.raised(), dispute.accepted())
        await units.pool.execute("UPDATE invoices SET state = 'open', settled = 0")
        with pytest.raises(Problem, match="credited"):
            async with units.begin() as work:
                await decide(invoice, work, "void")
        await units.pool.execute("UPDATE invoices SET state = 'paid', settled = 1000")

    async def test_only_accepting_locks_the_number(self, units: Units) -> None:
        """A dispute that is raised or rejected, and a payment of its invoice, wait for no credit note."""
        invoice = await made(units, 600, 400)
        dispute = Said(invoice, (1, None))
        async with units.begin() as work, asyncio.timeout(10):
            await work.connection.fetchval(LOCK_NUMBER)
            await hear(units, dispute.raised())
            await settle(units, received(new_id(), invoice.customer_id, 300))
            await hear(units, dispute.rejected())
        assert await amounts(units) == ("open", 0, 300, 0, 600)

    async def test_raised_and_accepted_in_one_batch(self, units: Units) -> None:
        one, other = await made(units, 600, 400), await made(units, 50)
        first, second = Said(one, (1, None)), Said(other)
        await hear(units, first.raised(), first.accepted(), second.raised(), second.accepted())
        rows = await store.list_credit_notes(units.pool, one.customer_id, None, 5)
        assert [(row["number"], row["amount_minor"], row["applied_minor"]) for row in rows] == [("CN-1001", 600, 600)]
        assert await units.pool.fetchval("SELECT count(*) FROM credit_notes") == 2
        assert await said(units, "invoicing.credit-note.v1") == ["CreditNoteIssued"] * 2

    async def test_same_event_again_credits_nothing(self, units: Units) -> None:
        dispute = Said(await made(units, 600, 400), (1, None))
        await hear(units, dispute.raised(), dispute.accepted(), dispute.accepted())
        assert await amounts(units) == ("open", 600, 0, 0, 0)
        assert await units.pool.fetchval("SELECT count(*) FROM credit_notes") == 1

    async def test_waits_until_money_under_way_ends(self, units: Units) -> None:
        invoice = await made(units, 600, 400)
        payment = await reserve(units, invoice.customer_id, None, (invoice.id, 900))
        dispute = Said(invoice, (1, None))
        await hear(units, dispute.raised(), dispute.accepted())
        assert await amounts(units) == ("open", 0, 0, 600, 0)
        await settle(units, received(payment, invoice.customer_id, 900))
        assert await amounts(units) == ("paid", 100, 900, 0, 0)
        (note,) = await store.list_credit_notes(units.pool, invoice.customer_id, None, 5)
        assert (note["applied_minor"], note["balance_minor"]) == (100, 500)
        history = await store.load_history(units.pool, invoice.id, invoice.customer_id)
        assert [event["payload"]["number"] for event in history.events if event["type"] == "CreditNoteIssued"] == [
            note["number"]
        ]

    async def test_voided_before_the_acceptance_is_said(self, units: Units) -> None:
        """No note comes of the dispute, and who waits for one hears it."""
        invoice = await made(units, 600, 400)
        dispute = Said(invoice, (1, None))
        await hear(units, dispute.raised())
        async with units.begin() as work:
            await decide(invoice, work, "void")
        await hear(units, dispute.accepted())
        assert await said(units, "invoicing.credit-note.v1") == []
        assert (await said(units))[-2:] == ["InvoiceVoided", "InvoiceChanged"]
        last = await units.pool.fetchval(
            "SELECT payload FROM outbox WHERE topic = 'invoicing.invoice.v1' ORDER BY id DESC"
        )
        assert json.loads(last)["uncredited"] == [dispute.body["dispute_id"]]

    async def test_rest_pays_another_invoice(self, units: Units) -> None:
        invoice = await made(units, 600, 400)
        await settle(units, received(new_id(), invoice.customer_id, 1_000))
        dispute = Said(invoice, (1, None))
        await hear(units, dispute.raised(), dispute.accepted())
        (one,) = await issue(units, wish(invoice.customer_id, "NEXT", minor=600))
        assert isinstance(one, issuing.Issued)
        payment, who = new_id(), invoice.customer_id
        asked = received(payment, who, 0, (one.invoice.id, 600))
        async with units.begin() as work:
            book = await store.load_book(work, invoices=[one.invoice.id], credits_of=[(who, "USD")])
            book.reserve(payment, who, handlers._asked(asked.event.asked), "USD", credit=600)
            await store.save_book(work, book)
        await settle(units, asked)
        state = await units.pool.fetchrow("SELECT state, credited, settled FROM invoices WHERE number = 'NEXT'")
        assert tuple(state or ()) == ("paid", 600, 0)
        assert (await said(units, "invoicing.credit-note.v1"))[-1] == "CreditNoteChanged"


async def test_reads_have_their_index(units: Units) -> None:
    for sql, values in ((LOAD_DISPUTES, ([new_id()], DAY)), (LOAD_NOTED, ([new_id()],)),
                        (NOTES, (new_id(),)), (NEWEST, (new_id(), new_id(), 20))):  # fmt: skip
        plan = "\n".join(row[0] for row in await units.pool.fetch(f"EXPLAIN {sql}", *values))
        assert "Seq Scan" not in plan, plan
