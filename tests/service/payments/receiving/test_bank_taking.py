"""What becomes of the lines of banks' files: whose money is taken, and whose is taken back."""

import asyncio
import contextlib
import hashlib
import io
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from chassis.http.problems import Problem
from chassis.messaging.records import Received
from chassis.messaging.work import Cause, Units
from chassis.running import Running
from contracts.allocation import Part
from contracts.envelope import Amount
from contracts.ids import new_id
from contracts.invoicing import AllocatedPart, InvoiceChanged
from contracts.money import Money
from contracts.refusals import Refusal
from payments.bank_files.identity import identities
from payments.bank_files.line import BankLine
from payments.checks import CHECKS
from payments.collecting.announcing import Voided, receipt_voided
from payments.collecting.domain.payments import Step, receive
from payments.collecting.domain.reversals import refund, void
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import NewPayment, add_payments, keep_allocations, lock_payment, save_steps
from payments.exceptions import store as exceptions
from payments.projections.store import keep_customers, keep_invoices
from payments.receiving import intake as bank_intake
from payments.receiving.api import bank_statements, decisions, matching, posting, resolutions
from payments.receiving.domain.remittance import Matcher
from payments.receiving.jobs import bank_lines as bank_runs
from payments.receiving.store import bank, remittances

DAY = date(2026, 3, 2)


def line(minor: int, text: str, **more: Any) -> BankLine:
    told: dict[str, Any] = {"booked_on": DAY, "value_on": DAY, "bank_reference": None, "end_to_end_id": None}
    told |= {"references": (), "payer": None, "payer_account": None, "code": None, "reversal": False, "place": text}
    return BankLine(account="DE1", currency="USD", amount_minor=minor, status="booked", text=text, **{**told, **more})


def back(paid: BankLine, **more: Any) -> BankLine:
    """The line by which the bank takes another one back."""
    return replace(paid, **{"amount_minor": -paid.amount_minor, "reversal": True, "place": "back", **more})


async def owed(units: Units, minor: int, number: str, customer: str | None = None) -> tuple[str, str]:
    """A customer, and an invoice that it owes."""
    customer, invoice = customer or new_id(), new_id()
    async with units.begin() as work:
        await keep_customers(work, {customer: None})
        await work.connection.execute(
            """INSERT INTO invoices (id, customer_id, number, status, currency, issued_on, due_on, balance, payable_now,
                sequence) VALUES ($1, $2, $3, 'open', 'USD', $4, $4, $5, $5, 1)""",
            invoice, customer, number, DAY, minor,
        )  # fmt: skip
    return customer, invoice


async def kept(units: Units, *lines: BankLine) -> str:
    """A file, kept to be taken."""
    statement = new_id()
    async with units.begin() as work:
        await bank.add_statement(work, statement, hashlib.sha256(statement.encode()).digest(), "camt.053", None)
        await bank.add_rows(work, statement, [bank.row_of(*each) for each in identities(lines)])
    return statement


async def take(units: Units, *lines: BankLine) -> list[str]:
    """What became of the lines of one file, in order."""
    statement = await kept(units, *lines)
    after = 0
    while True:
        async with units.begin() as work:
            new = await bank.new_lines(work, statement, after, 500)
            if not new:
                return await states(units, statement)
            await bank_runs._take(new, work)
            after = new[-1].id


async def states(units: Units, statement: str) -> list[str]:
    rows = await units.pool.fetch("SELECT state FROM bank_lines WHERE statement_id = $1 ORDER BY id", statement)
    return [row["state"] for row in rows]


async def gone(units: Units, customer: str) -> int:
    """Minor units that went back of what a customer paid."""
    found: int = await units.pool.fetchval(
        "SELECT coalesce(sum(reversed), 0)::bigint FROM payments WHERE customer_id = $1", customer
    )
    return found


async def waiting(units: Units) -> list[tuple[str, int]]:
    rows = await units.pool.fetch("SELECT class, amount FROM exceptions WHERE state = 'open' ORDER BY created_at, id")
    return [(row["class"], row["amount"]) for row in rows]


async def recorded(units: Units, customer: str, minor: int, reference: str | None, *invoices: str) -> str:
    """The id of a receipt that somebody recorded by hand."""
    parts = [Part(invoice, Money(minor // len(invoices), "USD")) for invoice in invoices]
    step = receive(customer, Money(minor, "USD"), DAY, reference, parts, datetime.now(UTC))
    async with units.begin() as work:
        assert await add_payments(work, [NewPayment(step)])
    return step.payment.id


async def given_back(units: Units, payment_id: str, minor: int | None = None) -> None:
    """The company refunds so much of a receipt, and its invoice is owed again."""
    async with units.begin() as work:
        payment = await lock_payment(work, payment_id)
        assert payment is not None
        step = refund(payment, (), minor, "it bounced", now=work.now, today=DAY)
        assert not isinstance(step, Refusal)
        await save_steps(work, [step])


async def posted(units: Units, **asked: Any) -> Any:
    """The payment that a person's decision makes of the one exception."""
    exception = await units.pool.fetchval("SELECT id FROM exceptions WHERE state = 'open'")
    async with units.begin() as work:
        row = await exceptions.lock_exception(work, exception)
        payment = await posting.post(row, resolutions.Resolution(action="post", reason="theirs", **asked), work)
    return await units.pool.fetchrow("SELECT asked_invoices, on_account FROM payments WHERE id = $1", payment)


async def split(units: Units, *customers: str, **more: Any) -> None:
    """Post the one exception's money to customers in equal shares."""
    row = await units.pool.fetchrow("SELECT id, amount FROM exceptions WHERE state = 'open'")
    each = [{"customer_id": one, "amount_minor": row["amount"] // len(customers)} for one in customers]
    async with units.begin() as work:
        asked = resolutions.Resolution(action="post", shares=each, reason="a payment of both", **more)
        await posting.post(await exceptions.lock_exception(work, row["id"]), asked, work)
        await exceptions.resolve_exception(work, row["id"], None)
        await bank.keep_states(work, {each["line_id"]: "resolved" for each in await bank_lines(work)})


async def bank_lines(work: Any) -> list[Any]:
    return list(await work.connection.fetch("SELECT id AS line_id FROM bank_lines WHERE state = 'proposed'"))


async def voided(units: Units, payment_id: str) -> str | None:
    """The exception in which the line of a receipt waits that was recorded in error."""
    async with units.begin() as work:
        payment = await lock_payment(work, payment_id)
        assert payment
        step = void(payment, (), "an error", work.now)
        assert isinstance(step, Step)
        work.emit(*payment_events([step], work.now))
        await save_steps(work, [step])
        return await receipt_voided(Voided(payment, "an error"), work)


class TestSplitLines:
    async def test_reassigned_money_is_not_posted_from_another_file(self, units: Units) -> None:
        """Its invoice is owed again, or was issued later: it would be paid by the same money."""
        later = line(10_000, "INV-1001 told late", booked_on=DAY + timedelta(days=1))
        _, invoice = await owed(units, 10_000, "INV-1001")
        right, _ = await owed(units, 5_000, "INV-1002")
        assert await take(units, line(10_000, "INV-1001", payer_account="DE1")) == ["posted"]
        payment = await units.pool.fetchval("SELECT id FROM payments")
        await units.pool.execute(
            "UPDATE payments SET allocated_invoices = ARRAY[$1::uuid], allocated_amounts = '{10000}'", invoice
        )
        await units.pool.execute("UPDATE receipt_parts SET settled = true")
        await units.pool.execute("UPDATE invoices SET payable_now = 0, status = 'paid' WHERE id = $1", invoice)
        exception = await voided(units, payment)
        proposals = orjson.loads(await units.pool.fetchval("SELECT proposals::text FROM exceptions"))
        assert [(one["payment_id"], one["invoices"]) for one in proposals][:1] == [
            (None, [{"invoice_id": invoice, "amount_minor": 10_000}])
        ]
        assert payment not in [one["payment_id"] for one in proposals]
        await units.pool.execute("UPDATE invoices SET payable_now = 10000, status = 'open' WHERE id = $1", invoice)
        assert await take(units, later) == ["proposed"]  # while the first waits
        await units.pool.execute(
            "UPDATE exceptions SET state = 'resolved', resolved_at = now() WHERE id <> $1", exception
        )
        await split(units, right)
        other = replace(later, booked_on=DAY + timedelta(days=2), text="INV-1001 told later still")
        assert await take(units, other) == ["proposed"]  # and once it is another's
        assert [why for why, _ in await waiting(units)] == ["doubled"]
        far = replace(later, booked_on=DAY + timedelta(days=40), text="INV-1001 a month later")
        assert await take(units, far) == ["posted"]

    async def test_return_reverses_every_share(self, units: Units) -> None:
        (one, _), (other, _) = await owed(units, 5_000, "INV-1001"), await owed(units, 5_000, "INV-1002")
        paid = line(10_000, "of both", bank_reference="A1")
        assert await take(units, paid) == ["proposed"]
        await split(units, one, other)
        posted_more = CHECKS["more is posted of a bank's line, or waits, than it brought"]
        assert await units.pool.fetch(posted_more) == []
        await units.pool.execute("UPDATE bank_lines SET amount = amount - 1")
        assert len(await units.pool.fetch(posted_more)) == 1
        await units.pool.execute("UPDATE bank_lines SET amount = amount + 1")
        assert await take(units, back(paid)) == ["posted"]
        assert (await gone(units, one), await gone(units, other), await waiting(units)) == (5_000, 5_000, [])

    async def test_each_voided_share_waits_alone(self, units: Units) -> None:
        """Whoever decides about one decides about its amount, whatever else is voided meanwhile."""
        (one, _), (other, _) = await owed(units, 6_000, "INV-1001"), await owed(units, 4_000, "INV-1002")
        paid = line(10_000, "INV-1001 INV-1002", bank_reference="A1")
        assert await take(units, paid) == ["proposed"]
        await split(units, one, other)
        for row in await units.pool.fetch("SELECT id FROM payments ORDER BY customer_id = $1", one):
            assert await voided(units, row["id"])
        assert await waiting(units) == [("missing_here", 5_000), ("missing_here", 5_000)]
        assert await take(units, back(paid, booked_on=DAY + timedelta(days=1))) == [
            "proposed"
        ]  # none is taken back by itself
        rows = await units.pool.fetch(
            "SELECT id, line_id FROM exceptions WHERE state = 'open' AND amount > 0 ORDER BY created_at"
        )
        for place, row in enumerate(rows):
            async with units.begin() as work:
                asked = resolutions.Resolution(action="post", customer_id=one, on_account=True, reason="theirs")
                payment_id = await posting.post(await exceptions.lock_exception(work, row["id"]), asked, work)
                await exceptions.resolve_exception(work, row["id"], payment_id)
                assert await exceptions.line_waits(work, row["line_id"]) is (place == 0)
        assert await units.pool.fetchval("SELECT sum(amount) FROM payments WHERE bank_line_id IS NOT NULL") == 10_000

    async def test_concurrent_decisions_keep_the_lines_state(self, units: Units) -> None:
        """What waits of it, its state, and how many lines of its file have that state."""
        counts = CHECKS["a bank file's counts are not those of its lines"]
        (one, _), (other, _) = await owed(units, 6_000, "INV-1001"), await owed(units, 4_000, "INV-1002")
        for number in range(6):
            assert await take(units, line(10_000, f"of both {number}", bank_reference=f"A{number}")) == ["proposed"]
            await split(units, one, other)
            sql = "SELECT id FROM payments WHERE bank_line_id = (SELECT max(id) FROM bank_lines)"
            found = await asyncio.gather(*(voided(units, row["id"]) for row in await units.pool.fetch(sql)))
            assert await units.pool.fetch(counts) == []

            async def decide(exception: str | None) -> None:
                async with units.begin() as work:
                    row = await exceptions.lock_exception(work, str(exception))
                    asked = resolutions.Resolution(action="post", customer_id=one, on_account=True, reason="theirs")
                    payment_id = await posting.post(row, asked, work)
                    await exceptions.resolve_exception(work, str(exception), payment_id)
                    await decisions._line_is_decided(row["line_id"], work)

            await asyncio.gather(*map(decide, found))
            assert await units.pool.fetchval("SELECT state FROM bank_lines ORDER BY id DESC LIMIT 1") == "resolved"
            assert await units.pool.fetch(counts) == []

    async def test_doubted_and_reassigned_line_counts_as_decided(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        other, _ = await owed(units, 5_000, "INV-2000")
        receipts = [await recorded(units, customer, 10_000, "CHQ") for _ in range(2)]
        assert await take(units, line(10_000, "INV-1001", payer_account="GB1")) == ["proposed"]
        assert [why for why, _ in await waiting(units)] == ["doubled"]
        for receipt in receipts:
            await voided(units, receipt)
        await split(units, other)
        await units.pool.execute("UPDATE exceptions SET state = 'resolved', resolved_at = now()")
        late = line(10_000, "INV-1001 told late", booked_on=DAY + timedelta(days=1), bank_reference="B1")
        assert await take(units, late) == ["proposed"]

    async def test_decided_line_is_found_by_its_invoice(
        self,
        units: Units,
    ) -> None:
        await owed(units, 999, "INV-1001")
        await take(units, *(line(999, f"subscription {number}", payer=f"P{number}") for number in range(60)))
        assert await take(units, line(999, "INV-1001")) == ["posted"]
        await voided(units, await units.pool.fetchval("SELECT id FROM payments"))
        await units.pool.execute("UPDATE receipt_parts SET settled = true")
        assert await take(units, line(999, "INV-1001 told late", booked_on=DAY + timedelta(days=1))) == ["proposed"]

    async def test_return_waits_while_a_share_waits(self, units: Units) -> None:
        (one, _), (other, _) = await owed(units, 6_000, "INV-1001"), await owed(units, 4_000, "INV-1002")
        paid = line(10_000, "of both", bank_reference="A1")
        assert await take(units, paid) == ["proposed"]
        await split(units, one, other)
        assert await voided(units, await units.pool.fetchval("SELECT id FROM payments WHERE customer_id = $1", one))
        assert await take(units, back(paid)) == ["proposed"]
        assert await gone(units, other) == 0


class TestTaking:
    async def test_failing_line_is_set_aside_alone(self, units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
        judge = Matcher.judge

        def fails(matcher: Matcher, came: Any) -> Any:
            if any(each.text == "poison" for each in came):
                raise RuntimeError("nobody thought of this")
            return judge(matcher, came)

        monkeypatch.setattr(Matcher, "judge", fails)
        for number in (1, 2, 3):
            await owed(units, number * 1_000, f"INV-100{number}")
        lines = [line(1_000, "INV-1001"), line(5, "poison"), line(2_000, "INV-1002")]
        statements = [await kept(units, *lines), await kept(units, line(3_000, "INV-1003"))]
        running = cast(Running, SimpleNamespace(units=units))
        async with asyncio.timeout(20):
            while await bank_runs.take_lines(running):
                pass
        assert [await states(units, each) for each in statements] == [["posted", "proposed", "posted"], ["posted"]]
        assert await waiting(units) == [("missing_here", 5)]

    async def test_one_process_takes_lines_at_a_time(self, units: Units) -> None:
        for number in (1, 2):
            await kept(units, line(number, "a line"))
        async with units.begin() as one, units.begin() as other:
            assert await bank.lock_running(one) is not None
            assert await bank.lock_running(other) is None

    async def test_future_line_is_an_exception(self, units: Units) -> None:
        await owed(units, 9_000, "INV-1001")
        assert await take(units, line(9_000, "INV-1001", booked_on=datetime.now(UTC).date() + timedelta(days=2))) == [
            "proposed"
        ]
        assert await waiting(units) == [("missing_here", 9_000)]


async def settled(units: Units, payment: str, invoice: str, *minor: int, credit: int = 0) -> None:
    """Invoicing says what the payment pays: a part of the invoice, or nothing."""
    parts = [AllocatedPart(invoice_id=invoice, amount=Amount(amount_minor=each, currency="USD")) for each in minor]
    async with units.begin() as work:
        await keep_allocations(work, [(payment, parts, credit)])


async def told(units: Units, customer: str, invoice: str, payment: str, payable: int) -> None:
    """Invoicing says what is left of the invoice after the payment."""
    none, left = Amount(amount_minor=0, currency="USD"), Amount(amount_minor=payable, currency="USD")
    event = InvoiceChanged(
        invoice_id=invoice, customer_id=customer, number="INV-1001", status="open", issued_on=DAY, due_on=DAY,
        total=left, credited=none, settled=none, balance=left, pending=none, payable_now=left, payment_id=payment,
    )  # fmt: skip
    async with units.begin() as work:
        await keep_invoices(work, [Received(event, new_id(), 2, b"", Cause())])


class TestAllocations:
    async def test_asked_amount_is_held_until_the_invoice_changes(self, units: Units) -> None:
        """A payment's settlement comes on another topic than its invoice, and may be there first."""
        customer, invoice = await owed(units, 9_000, "INV-1001")
        paid = [line(9_000, "INV-1001", bank_reference=reference) for reference in ("A1", "A2", "A3")]
        assert [await take(units, each) for each in paid[:2]] == [["posted"], ["proposed"]]
        payment = await units.pool.fetchval("SELECT id FROM payments")
        await settled(units, payment, invoice, 9_000)
        assert await take(units, paid[2]) == ["proposed"]
        assert await waiting(units) == [("doubled", 9_000), ("doubled", 9_000)]
        await told(units, customer, invoice, payment, 500)
        assert await take(units, line(500, "INV-1001", bank_reference="A4")) == ["posted"]

    async def test_unused_amount_is_free_again(self, units: Units) -> None:
        _, invoice = await owed(units, 9_000, "INV-1001")
        assert await take(units, line(9_000, "INV-1001", bank_reference="A1")) == ["posted"]
        await settled(units, await units.pool.fetchval("SELECT id FROM payments"), invoice, credit=9_000)
        assert await take(units, line(9_000, "INV-1001", bank_reference="A2")) == ["posted"]

    async def test_settlement_updates_in_place_and_no_index(self, units: Units) -> None:
        await owed(units, 9_000, "INV-1001")
        assert await take(units, line(9_000, "INV-1001")) == ["posted"]
        paid = await units.pool.fetchrow("SELECT id, asked_invoices FROM payments")
        part = AllocatedPart(invoice_id=paid["asked_invoices"][0], amount=Amount(amount_minor=9_000, currency="USD"))
        in_place = "SELECT pg_stat_get_xact_tuples_hot_updated($1::text::regclass)"
        async with units.begin() as work:
            await keep_allocations(work, [(paid["id"], [part], 0)])
            assert await work.connection.fetchval(in_place, "payments") == 1
        async with units.begin() as work:
            await keep_allocations(work, [(paid["id"], [], 9_000)])
            assert await work.connection.fetchval(in_place, "receipt_parts") == 1


class TestMatching:
    async def test_receipt_linked_meanwhile_is_not_matched_again(
        self, units: Units, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        receipt = await recorded(units, customer, 10_000, "INV-1001 wire 7781")
        assert await take(units, line(10_000, "of nothing known", bank_reference="B1")) == ["proposed"]
        other, load_known = await units.pool.fetchval("SELECT id FROM bank_lines"), remittances.load_facts

        async def meanwhile(*about: Any) -> Any:
            known = await load_known(*about)
            async with units.begin() as work:
                assert await remittances.link_payments(work, {receipt: other}) == {other}
            return known

        monkeypatch.setattr(remittances, "load_facts", meanwhile)
        assert await take(units, line(10_000, "INV-1001 wire 7781")) == ["proposed"]
        assert ("doubled", 10_000) in await waiting(units)

    async def test_line_of_a_refunded_receipt_waits(self, units: Units) -> None:
        """Its invoice is owed again: the deposit, told late, must not pay it once more by itself."""
        customer, invoice = await owed(units, 10_000, "INV-1001")
        cheque = await recorded(units, customer, 10_000, None, invoice)
        await given_back(units, cheque)
        assert await take(units, line(10_000, "INV-1001"), line(-10_000, "returned")) == ["proposed", "proposed"]
        proposals = orjson.loads(await units.pool.fetchval("SELECT proposals::text FROM exceptions WHERE amount > 0"))
        assert [(each["payment_id"], len(each["invoices"])) for each in proposals] == [(cheque, 0), (None, 1)]
        exception = await units.pool.fetchval("SELECT id FROM exceptions WHERE amount > 0")
        async with units.begin() as work:
            row = await exceptions.lock_exception(work, exception)
            asked = resolutions.Resolution(action="match", proposal=0, reason="it is the bounced cheque")
            assert await matching.match(row, asked, work) == cheque

    async def test_partly_refunded_receipt_is_matched_with_its_line(self, units: Units) -> None:
        customer, invoice = await owed(units, 10_000, "INV-1001")
        cheque = await recorded(units, customer, 10_000, "CHQ 771", invoice)
        await given_back(units, cheque, 1_000)
        assert await take(units, line(10_000, "CHQ 771")) == ["proposed"]
        exception = await units.pool.fetchval("SELECT id FROM exceptions")
        async with units.begin() as work:
            row = await exceptions.lock_exception(work, exception)
            asked = resolutions.Resolution(action="match", payment_id=cheque, reason="the deposit")
            assert await matching.match(row, asked, work) == cheque
        assert await units.pool.fetchval("SELECT bank_line_id FROM payments WHERE id = $1", cheque)

    async def test_invoice_of_the_receipt_decides(self, units: Units) -> None:
        customer, first = await owed(units, 10_000, "INV-1001")
        _, second = await owed(units, 10_000, "INV-1002", customer)
        await recorded(units, customer, 10_000, "WIRE 7781", first)
        assert await take(units, line(10_000, "INV-1002 wire 7781"), line(10_000, "wire 7781")) == ["posted", "matched"]
        paid = await units.pool.fetchval("SELECT asked_invoices FROM payments WHERE reference LIKE 'INV-1002%'")
        assert paid == [second]

    async def test_several_possible_receipts_are_all_proposed(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        receipts = {await recorded(units, customer, 10_000, "RENT OF 2026") for _ in range(2)}
        assert await take(units, line(10_000, "rent of 2026")) == ["proposed"]
        proposals = orjson.loads(await units.pool.fetchval("SELECT proposals::text FROM exceptions"))
        assert {proposal["payment_id"] for proposal in proposals} == receipts

    async def test_voided_receipt_is_not_matched(self, units: Units) -> None:
        """It had been recorded for another customer; the line confirms the one that was recorded then."""
        (wrong, _), (right, _) = await owed(units, 10_000, "INV-1001"), await owed(units, 10_000, "INV-1002")
        error = await recorded(units, wrong, 10_000, "CHQ 771")
        assert await voided(units, error) is None
        anew = await recorded(units, right, 10_000, "CHQ 771")
        assert await take(units, line(10_000, "CHQ 771")) == ["matched"]
        assert await units.pool.fetchval("SELECT id FROM payments WHERE bank_line_id IS NOT NULL") == anew
        assert await take(units, line(10_000, "rent")) == ["proposed"]
        exception = await units.pool.fetchval("SELECT id FROM exceptions")
        asked = resolutions.Resolution(action="match", payment_id=error, reason="it is")
        async with units.begin() as work:
            row = await exceptions.lock_exception(work, exception)
            with pytest.raises(Problem) as caught:
                await matching.match(row, asked, work)
        assert caught.value.slug == "not-this-money"

    async def test_receipt_of_the_amount_is_proposed(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        receipt = await recorded(units, customer, 10_000, None)
        assert await take(units, line(10_000, "thank you", payer="Acme")) == ["proposed"]
        proposals = orjson.loads(await units.pool.fetchval("SELECT proposals::text FROM exceptions"))
        assert proposals[0]["payment_id"] == receipt

    async def test_person_matches_only_a_receipt_of_the_amount(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        one, _ = [await recorded(units, customer, 10_000, "RENT OF 2026") for _ in range(2)]
        less = await recorded(units, customer, 9_999, None)
        assert await take(units, line(10_000, "rent of 2026")) == ["proposed"]
        exception = await units.pool.fetchval("SELECT id FROM exceptions")

        async def match(**asked: Any) -> str:
            async with units.begin() as work:
                row = await exceptions.lock_exception(work, exception)
                return await matching.match(row, resolutions.Resolution(action="match", reason="it is", **asked), work)

        for wrong in (less, new_id(), "none"):
            with pytest.raises(Problem):
                await match(payment_id=wrong)
        assert await match(payment_id=one) == one
        with pytest.raises(Problem) as caught:
            await match(payment_id=one)
        assert caught.value.slug == "not-this-money"
        linked = await units.pool.fetch("SELECT id FROM payments WHERE bank_line_id IS NOT NULL")
        assert [row["id"] for row in linked] == [one]

    async def test_deposit_is_matched_with_all_its_cheques(self, units: Units) -> None:
        customer, other = (await owed(units, 10_000, "INV-1001"))[0], (await owed(units, 5_000, "INV-1002"))[0]
        cheques = [await recorded(units, whose, minor, "CHQ") for whose, minor in ((customer, 6_000), (other, 2_500))]
        wrong = await recorded(units, other, 2_501, "CHQ")
        deposit = line(8_500, "deposit of 2 items", bank_reference="A1")
        assert await take(units, deposit) == ["proposed"]

        async def match(*ids: str) -> str | None:
            async with units.begin() as work:
                row = await exceptions.lock_exception(work, await work.connection.fetchval("SELECT id FROM exceptions"))
                asked = resolutions.Resolution(action="match", payment_ids=list(ids), reason="the deposit slip")
                return await matching.match(row, asked, work)

        for ids, slug in (
            ((cheques[0], wrong), "other-amount"),
            ((*cheques, cheques[0]), "payment-twice"),
            ((*cheques, new_id()), "unknown-payment"),
            ((*cheques, "none"), "unknown-payment"),
        ):
            with pytest.raises(Problem) as caught:
                await match(*ids)
            assert (caught.value.slug, (caught.value.errors or [{}])[0].get("field")) == (slug, "payment_ids")
        assert await match(*cheques) is None
        linked = await units.pool.fetch("SELECT id FROM payments WHERE bank_line_id IS NOT NULL ORDER BY id")
        assert [row["id"] for row in linked] == sorted(cheques)
        async with units.begin() as work:
            await exceptions.resolve_exception(work, await work.connection.fetchval("SELECT id FROM exceptions"), None)
            await bank.keep_states(work, {each["line_id"]: "resolved" for each in await bank_lines(work)})
        assert await take(units, back(deposit)) == ["posted"]
        assert (await gone(units, customer), await gone(units, other)) == (6_000, 2_500)


class TestPosting:
    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"action": "post", "payment_id": "p"}, "payment_id"),
            ({"action": "match", "invoices": [{"invoice_id": "i"}]}, "invoices"),
            ({"action": "dismiss", "proposal": 0}, "proposal"),
            ({"action": "post", "proposal": 0, "customer_id": "c"}, "proposal"),
        ],
    )
    def test_unused_field_is_refused(self, asked: dict[str, Any], field: str) -> None:
        with pytest.raises(Problem) as caught:
            decisions._refuse_unused(resolutions.Resolution(reason="so", **asked))
        assert (caught.value.slug, (caught.value.errors or [{}])[0].get("field")) == ("not-used", field)

    @pytest.mark.parametrize(
        ("change", "slug", "field"),
        [
            ({"amount_minor": 4_000}, "not-the-amount", "shares"),
            ({"customer_id": "somebody"}, "customer-missing", "shares.1.customer_id"),
            ({"customer_id": "first"}, "customer-twice", "shares"),
            ({"customer_id": "00000000-0000-7000-8000-000000000000"}, "unknown-customer", "shares.1.customer_id"),
            ({"invoices": [{"invoice_id": "first's"}]}, "unknown-invoice", "shares.1.invoices.0.invoice_id"),
            (
                {"invoices": [{"invoice_id": "second's", "amount_minor": 5_001}]},
                "more-than-received",
                "shares.1.invoices",
            ),
        ],
    )
    async def test_wrong_shares_are_refused_and_post_nothing(
        self, units: Units, change: dict[str, Any], slug: str, field: str
    ) -> None:
        (one, ones), (other, others) = await owed(units, 5_000, "INV-1001"), await owed(units, 5_000, "INV-1002")
        assert await take(units, line(10_000, "of both")) == ["proposed"]
        names = {"first": one, "first's": ones, "second's": others}
        change = {key: names.get(value, value) if isinstance(value, str) else value for key, value in change.items()}
        for named in change.get("invoices", []):
            named["invoice_id"] = names[named["invoice_id"]]
        shares = [{"customer_id": one, "amount_minor": 5_000}, {"customer_id": other, "amount_minor": 5_000} | change]
        with pytest.raises(Problem) as caught:
            await posted(units, shares=shares)
        assert (caught.value.slug, (caught.value.errors or [{}])[0].get("field")) == (slug, field)
        assert await units.pool.fetchval("SELECT count(*) FROM payments") == 0

    async def test_paid_invoice_is_refused_and_makes_no_credit(self, units: Units) -> None:
        customer, invoice = await owed(units, 10_000, "INV-1001")
        assert await take(units, line(10_000, "thanks", payer="Nobody")) == ["proposed"]
        await units.pool.execute("UPDATE invoices SET payable_now = 0, status = 'paid'")
        with pytest.raises(Problem) as caught:
            await posted(units, proposal=0)
        assert (caught.value.status, caught.value.slug) == (409, "not-payable")
        assert "INV-1001" in (caught.value.detail or "")
        with pytest.raises(Problem) as caught:
            await posted(units, customer_id=customer, invoices=[{"invoice_id": invoice}])
        assert caught.value.errors is not None
        assert caught.value.errors[0]["field"] == "invoices.0"
        payment = await posted(units, customer_id=customer, on_account=True)
        assert (payment["asked_invoices"], payment["on_account"]) == ([], True)

    async def test_named_invoice_takes_at_most_its_payable_amount(self, units: Units) -> None:
        customer, invoice = await owed(units, 6_000, "INV-1001")
        _, theirs = await owed(units, 1_000, "INV-1002")
        assert await take(units, line(10_000, "thanks", payer="Nobody")) == ["proposed"]
        for wrong, slug in (
            ({"invoice_id": invoice, "amount_minor": 6_001}, "not-payable"),
            ({"invoice_id": theirs}, "unknown-invoice"),
            ({"invoice_id": new_id()}, "unknown-invoice"), ({"invoice_id": "none"}, "unknown-invoice"),
        ):  # fmt: skip
            with pytest.raises(Problem) as caught:
                await posted(units, customer_id=customer, invoices=[wrong])
            assert caught.value.slug == slug
        payment = await posted(units, customer_id=customer, invoices=[{"invoice_id": invoice}])
        assert payment["asked_invoices"] == [invoice]

    async def test_payment_keeps_the_request_of_the_decision(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        assert await take(units, line(4_000, "a part")) == ["proposed"]
        exception = await units.pool.fetchval("SELECT id FROM exceptions")
        async with units.begin(Cause(correlation="request-1")) as work:
            row = await exceptions.lock_exception(work, exception)
            asked = resolutions.Resolution(action="post", customer_id=customer, reason="theirs")
            payment = await posting.post(row, asked, work)
        assert await units.pool.fetchval("SELECT correlation FROM payments WHERE id = $1", payment) == "request-1"


async def whole(*said: str) -> bank_intake.Whole:
    """A file of Paidup's own format with a line for each text."""
    rows = "".join(f"2026-03-02,1.00,USD,DE1,,{text},,\n" for text in said)
    header = "date,amount,currency,account,reference,text,payer,payer_account\n"
    return await bank_intake.read_whole(io.BytesIO((header + rows).encode()), io.BytesIO())


class TestIntake:
    async def test_every_line_is_kept_as_it_was_read(self, units: Units) -> None:
        said = [f"line {number}" for number in range(1_100)]
        async with units.begin() as work:
            run_id = await bank_intake.keep(await whole(*said), b"digest of a file", work)
        rows = await units.pool.fetch("SELECT * FROM bank_lines WHERE statement_id = $1 ORDER BY id", run_id)
        assert [row["text"] for row in rows] == said
        assert {(row["booked_on"], row["amount"], row["account"]) for row in rows} == {(DAY, 100, "DE1")}
        run = await bank.load_run(units.pool, str(run_id))
        assert run is not None
        assert (run.lines, run.account, run.format) == (1_100, "DE1", "csv:paidup")

    async def test_no_connection_is_held_before_all_is_read(self, units: Units) -> None:
        held = []

        class Slow(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                held.append(units.pool.get_size() - units.pool.get_idle_size())
                return super().read(size)

        slow = Slow(b"date,amount,currency,account,reference,text,payer,payer_account\n2026-03-02,1.00,USD,DE1,,a,,\n")
        running = cast(Running, SimpleNamespace(pool=units.pool, units=units))
        made = await bank_statements._kept(slow, b"another digest", None, None, running, Cause())
        assert made is not None
        assert set(held) == {0}

    async def test_file_another_request_takes_is_not_waited_for(self, units: Units) -> None:
        digest, read = hashlib.sha256(b"one file").digest(), await whole("a line")
        async with units.begin() as first:
            run_id = await bank_intake.keep(read, digest, first)
            with pytest.raises(bank_intake.BeingTakenError):
                async with asyncio.timeout(1), units.begin() as second:
                    await bank_intake.keep(read, digest, second)
        async with units.begin() as third:
            assert await bank_intake.keep(read, digest, third) is None
        run = await bank.find_run(units.pool, digest)
        assert run is not None
        assert run.id == run_id

    async def test_sender_gets_the_run_or_a_retry(self, units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("chassis.http.seen.PATIENCE_SECONDS", 0.2)
        digest = hashlib.sha256(b"one file").digest()
        with pytest.raises(Problem) as caught:
            await bank_statements._taken_meanwhile(units.pool, digest)
        assert (caught.value.status, dict(caught.value.headers or {})) == (409, {"Retry-After": "5"})
        assert digest.hex() in caught.value.detail
        async with units.begin() as work:
            run_id = await bank_intake.keep(await whole("a line"), digest, work)
        assert (await bank_statements._taken_meanwhile(units.pool, digest)).id == run_id

    async def test_stops_only_once_nothing_reads_the_file(self) -> None:
        reading: list[bool] = []

        def batches() -> Iterator[int]:
            for number in range(200):
                reading.append(True)
                time.sleep(0.005)
                reading.pop()
                yield number

        async with contextlib.aclosing(bank_intake.beside(batches())) as made:
            async for one in made:
                assert one == 0
                break
        assert reading == []

        async def keep() -> None:
            async with contextlib.aclosing(bank_intake.beside(batches())) as made:
                async for _ in made:
                    pass

        keeping = asyncio.create_task(keep())
        await asyncio.sleep(0.02)
        keeping.cancel()
        await asyncio.wait([keeping])
        assert reading == []


class TestProposals:
    async def test_number_in_another_script_needs_its_letters(self, units: Units) -> None:
        await owed(units, 4_100, "СЧЁТ-63567")
        assert await take(units, line(4_100, "building 63567 deposit")) == ["proposed"]
        assert await take(units, line(4_100, "за счёт 63567")) == ["posted"]

    async def test_paid_invoice_is_not_replaced_by_another(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        await owed(units, 10_000, "INV-1002", customer)
        for reference, state in (("A1", "posted"), ("A2", "proposed")):
            assert await take(units, line(10_000, "INV-1001", payer_account="GB1", bank_reference=reference)) == [state]
        assert await waiting(units) == [("doubled", 10_000)]
        exception, proposals = await units.pool.fetchrow("SELECT id, proposals::text FROM exceptions")
        (told,) = orjson.loads(proposals)  # only whose it may be, which is not enough to post it
        assert (told["customer_id"], told["invoices"]) == (customer, [])
        assert told["reasons"] == ["names INV-1001, which is about to be paid"]
        async with units.begin() as work:
            row = await exceptions.lock_exception(work, exception)
            with pytest.raises(Problem) as caught:
                await posting.post(row, resolutions.Resolution(action="post", proposal=0, reason="theirs"), work)
        assert caught.value.slug == "no-invoices"

    async def test_owed_invoice_is_proposed_by_the_payers_name(self, units: Units) -> None:
        customer, invoice = await owed(units, 9_000, "INV-1001")
        other, _ = await owed(units, 8_000, "INV-1002")
        async with units.begin() as work:
            await keep_customers(work, {customer: "Acme & Söhne GmbH", other: "Other Ltd"})
        assert await take(units, line(4_000, "on account", payer="ACME & SÖHNE  GMBH")) == ["proposed"]
        (told,) = orjson.loads(await units.pool.fetchval("SELECT proposals::text FROM exceptions"))
        assert (told["customer_id"], told["reasons"]) == (customer, ["the payer has the customer's name"])
        assert told["invoices"] == [{"invoice_id": invoice, "amount_minor": 4_000}]
        async with units.begin() as work:
            await keep_customers(work, {customer: "Acme Holding"})
        assert await take(units, line(3_000, "on account", payer="Acme & Söhne GmbH")) == ["proposed"]
        assert await units.pool.fetchval("SELECT proposals::text FROM exceptions WHERE amount = 3_000") == "[]"

    async def test_legal_form_alone_is_no_common_name(self, units: Units) -> None:
        customer, _ = await owed(units, 9_000, "INV-1001")
        async with units.begin() as work:
            await keep_customers(work, {customer: "Рога и копыта GmbH"})
        assert await take(units, line(4_000, "on account", payer="东方贸易 GmbH")) == ["proposed"]
        assert await units.pool.fetchval("SELECT proposals::text FROM exceptions") == "[]"

    async def test_whole_reference_without_digits_is_a_number(self, units: Units) -> None:
        await owed(units, 9_000, "INV-DCFEBDDA")
        assert await take(units, line(9_000, "rent", references=("inv-dcfebdda",))) == ["posted"]


class TestBankReturns:
    @pytest.mark.parametrize("told", [{"end_to_end_id": "1"}, {"references": ("MONTHLY",)}, {}])
    async def test_shared_reference_of_another_payer_reverses_nothing(self, units: Units, told: dict[str, Any]) -> None:
        theirs, _ = await owed(units, 10_000, "INV-1001")
        paid = line(10_000, "INV-1001", bank_reference="A1", payer_account="GB1", **told)
        assert await take(units, paid) == ["posted"]
        other = back(paid, bank_reference="B9", payer_account="GB2")
        assert await take(units, other) == ["proposed"]
        assert await gone(units, theirs) == 0
        assert await waiting(units) == [("missing_here", -10_000)]

    async def test_banks_reference_chooses_between_equal_payments(self, units: Units) -> None:
        (first, _), (second, _) = [await owed(units, 10_000, number) for number in ("INV-1001", "INV-1002")]
        paid = [
            line(10_000, number, bank_reference=reference, end_to_end_id="1", payer_account="GB1")
            for number, reference in (("INV-1001", "A1"), ("INV-1002", "A2"))
        ]
        assert await take(units, *paid) == ["posted", "posted"]
        assert await take(units, back(paid[0])) == ["posted"]
        assert (await gone(units, first), await gone(units, second)) == (10_000, 0)

    async def test_second_return_in_one_file_is_an_exception(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        paid = line(10_000, "INV-1001", bank_reference="A1", payer_account="GB1", references=("RENT",))
        assert await take(units, paid) == ["posted"]
        assert await take(units, back(paid), back(paid)) == ["posted", "proposed"]
        assert await gone(units, customer) == 10_000
        assert await waiting(units) == [("missing_here", -10_000)]

    async def test_excess_over_the_rest_is_an_exception(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        paid = line(10_000, "INV-1001", bank_reference="A1")
        assert await take(units, paid) == ["posted"]
        payment_id = await units.pool.fetchval("SELECT id FROM payments")
        async with units.begin() as work:
            payment = await lock_payment(work, payment_id)
            assert payment is not None
            given = refund(payment, [], 3_000, "goodwill", now=work.now, today=DAY)
            assert not isinstance(given, Refusal)
            await save_steps(work, [given])
        assert await take(units, back(paid)) == ["proposed"]
        assert await gone(units, customer) == 10_000
        assert await waiting(units) == [("wrong_amount", -3_000)]

    async def test_outgoing_payment_like_a_return_is_an_exception(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        paid = line(10_000, "INV-1001", payer_account="GB1", references=("RENT",))
        assert await take(units, paid) == ["posted"]
        out = replace(back(paid, text="our payment", references=()), reversal=False)
        assert await take(units, out, replace(out, payer_account="GB2"), replace(out, amount_minor=-9_999)) == [
            "proposed", "ignored", "ignored",
        ]  # fmt: skip
        assert await gone(units, customer) == 0
        assert await waiting(units) == [("missing_here", -10_000)]

    async def test_second_return_does_not_reverse_another_payment(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        await owed(units, 10_000, "INV-1002", customer)
        paid = [
            line(10_000, number, bank_reference=reference, end_to_end_id="1", payer_account="GB1")
            for number, reference in (("INV-1001", "A1"), ("INV-1002", "A2"))
        ]
        assert await take(units, *paid) == ["posted", "posted"]
        assert await take(units, back(paid[0])) == ["posted"]
        assert await take(units, back(paid[0], booked_on=date(2026, 3, 9), text="once more")) != ["posted"]
        assert await gone(units, customer) == 10_000
        # without the bank's reference: the payer's own, and only one of the two has something left
        assert await take(units, back(paid[1], bank_reference="B9")) == ["posted"]
        assert await gone(units, customer) == 20_000

    async def test_none_of_several_possible_payments_is_reversed(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        await owed(units, 10_000, "INV-1002", customer)
        paid = [
            line(10_000, number, bank_reference=reference, end_to_end_id="1", payer_account="GB1")
            for number, reference in (("INV-1001", "A1"), ("INV-1002", "A2"))
        ]
        assert await take(units, *paid) == ["posted", "posted"]
        assert await take(units, back(paid[0], bank_reference="B9")) == ["proposed"]
        assert await gone(units, customer) == 0

    @pytest.mark.parametrize("together", [True, False])
    @pytest.mark.parametrize("told", [{"bank_reference": "A1"}, {"payer_account": "FR11", "references": ("RENT",)}])
    async def test_older_receipt_is_kept_while_the_transfer_waits(
        self, units: Units, told: dict[str, Any], together: bool
    ) -> None:
        """References repeat: the newer transfer of the amount is for a person still, and so is its reversal."""
        customer, _ = await owed(units, 5_000, "INV-1001")
        old = line(5_000, "INV-1001", booked_on=date(2025, 9, 1), **told)
        assert await take(units, old) == ["posted"]
        new = line(5_000, "rent of march", **told)
        undone = back(new, booked_on=date(2026, 3, 4))
        taken = await take(units, new, undone) if together else await take(units, new) + await take(units, undone)
        assert (taken, await gone(units, customer)) == (["proposed", "proposed"], 0)

    async def test_one_dated_in_the_future_is_an_exception(self, units: Units) -> None:
        await owed(units, 5_000, "INV-1001")
        assert await take(units, line(5_000, "INV-1001", payer_account="FR11")) == ["posted"]
        tomorrow = datetime.now(UTC).date() + timedelta(days=2)
        assert await take(units, line(-5_000, "RETURNED", payer_account="FR11", booked_on=tomorrow)) == ["proposed"]
        assert await waiting(units) == [("missing_here", -5_000)]

    async def test_recorded_receipt_and_return_in_one_file_cancel(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-1001")
        await recorded(units, customer, 10_000, "WIRE 7781")
        paid = line(10_000, "wire 7781", bank_reference="A1")
        assert await take(units, paid, back(paid)) == ["matched", "posted"]
        assert await gone(units, customer) == 10_000

    async def test_reversal_of_an_entry_is_not_a_duplicate(self, units: Units) -> None:
        await owed(units, 9_000, "INV-1001")
        await owed(units, 6_000, "INV-1002")
        parts = [line(9_000, "INV-1001", entry_reference="E1"), line(6_000, "INV-1002", entry_reference="E1")]
        assert await take(units, *parts) == ["posted", "posted"]
        assert await take(units, line(-15_000, "taken back", bank_reference="E1", reversal=True)) == ["proposed"]
        assert await waiting(units) == [("missing_here", -15_000)]

    async def test_outgoing_payment_naming_a_paid_invoice_is_proposed(
        self,
        units: Units,
    ) -> None:
        await owed(units, 7_000, "INV-1001")
        assert await take(units, line(7_000, "INV-1001")) == ["posted"]
        paid = await units.pool.fetchval("SELECT id FROM payments")
        assert await take(units, line(-7_000, "for INV-1001"), line(-6_999, "for INV-1001")) == ["proposed", "ignored"]
        proposals = orjson.loads(await units.pool.fetchval("SELECT proposals::text FROM exceptions"))
        assert [each["payment_id"] for each in proposals] == [paid]

    async def test_unmarked_return_in_the_same_file_is_proposed(self, units: Units) -> None:
        await owed(units, 7_000, "INV-1001")
        assert await take(units, line(7_000, "INV-1001"), line(-7_000, "RETURN INV-1001")) == ["posted", "proposed"]

    async def test_companys_payment_that_returns_is_an_exception(self, units: Units) -> None:
        await owed(units, 9_000, "INV-1001")
        assert await take(units, line(9_000, "INV-1001", reversal=True), line(-5, "paid")) == ["proposed", "ignored"]
        assert await waiting(units) == [("missing_here", 9_000)]

    async def test_outgoing_amount_of_credit_or_cheque_is_proposed(self, units: Units) -> None:
        customer, invoice = await owed(units, 10_000, "INV-1001")
        cheque = await recorded(units, customer, 4_000, None, invoice)
        assert await take(units, line(10_000, "INV-1001")) == ["posted"]
        transfer = await units.pool.fetchval("UPDATE payments SET credit = 1_500 WHERE amount = 10_000 RETURNING id")
        paid_out = [line(-minor, "INV-1001 too much") for minor in (1_500, 4_000, 2_000)]
        assert await take(units, *paid_out) == ["proposed", "proposed", "ignored"]
        found = await units.pool.fetch("SELECT amount, proposals::text FROM exceptions ORDER BY amount DESC")
        told = [(row["amount"], [each["payment_id"] for each in orjson.loads(row["proposals"])]) for row in found]
        assert told == [(-1_500, [transfer]), (-4_000, [cheque])]

    @pytest.mark.parametrize(
        "told",
        [
            {"text": "Returned cheque", "references": ("CHQ 7002",)},
            {"text": "RETURNED CHQ 7002", "payer": "Bramble Lane Nursery"},
            {"text": "our payment", "payer": "BRAMBLE LANE NURSERY"},
            {"text": "our payment", "payer_account": "GB1"},
            {"text": "RTN-UNKNOWN"},
            {"text": "a debit", "code": "PMNT/RCHQ/UPCQ"},
            {"text": "taken back", "reversal": True, "bank_reference": "Z9"},
        ],
        ids=["reference", "text", "name", "account", "word", "code", "reversal"],
    )
    async def test_bounced_cheque_is_proposed_with_its_receipt(self, units: Units, told: dict[str, Any]) -> None:
        customer, invoice = await owed(units, 11_100, "INV-1001")
        async with units.begin() as work:
            await keep_customers(work, {customer: "Bramble Lane Nursery"})
        cheque = await recorded(units, customer, 11_100, "CHQ 7002", invoice)
        assert await take(units, line(11_100, "deposit CHQ 7002", payer_account="GB1")) == ["matched"]
        assert await take(units, replace(line(-11_100, "x"), **told), line(-11_100, "a supplier")) == [
            "proposed",
            "ignored",
        ]
        exception, proposals = await units.pool.fetchrow("SELECT id, proposals::text FROM exceptions")
        assert [one["payment_id"] for one in orjson.loads(proposals)] == [cheque]
        async with units.begin() as work:
            row = await exceptions.lock_exception(work, exception)
            asked = resolutions.Resolution(action="match", proposal=0, reason="it bounced")
            assert await matching.match(row, asked, work) == cheque
        assert await gone(units, customer) == 11_100
        kind, day = await units.pool.fetchrow("SELECT kind, effective_on FROM reversals")
        assert (kind, day) == ("return", DAY)
        async with units.begin() as work:
            with pytest.raises(Problem) as caught:
                await matching.match(row, asked, work)
        assert caught.value.slug == "more-than-left"

    async def test_unrecorded_returned_cheque_is_an_exception(self, units: Units) -> None:
        assert await take(units, line(-64_000, "RETURNED CHEQUE 004511 NSF")) == ["proposed"]
        assert await waiting(units) == [("missing_here", -64_000)]


class TestDuplicates:
    async def test_another_payer_is_seen_in_any_script(self, units: Units) -> None:
        ivanov, petrov = (line(6_107, "payment", payer=name) for name in ("Иванов ООО", "Петров ООО"))
        assert await take(units, ivanov) == ["proposed"]
        assert await take(units, petrov, ivanov) == ["proposed", "proposed"]
        assert sorted(await waiting(units)) == [("doubled", 6_107), ("missing_here", 6_107), ("missing_here", 6_107)]

    @pytest.mark.parametrize("again", [line(10_000, "pays INV-1001"), line(10_000, "INV-1001", payer_account="DE77")])
    async def test_returned_transfer_in_another_file_is_not_posted(self, units: Units, again: BankLine) -> None:
        await owed(units, 10_000, "INV-1001")
        paid = line(10_000, "INV-1001", bank_reference="A1")
        assert await take(units, paid, back(paid)) == ["posted", "posted"]
        assert await take(units, again) == ["proposed"]
        assert await waiting(units) == [("doubled", 10_000)]

    async def test_fee_with_the_entrys_reference_hides_no_transfer(self, units: Units) -> None:
        await owed(units, 9_000, "INV-1001")
        await owed(units, 6_000, "INV-1002")
        assert await take(units, line(-200, "fee", bank_reference="E1")) == ["ignored"]
        parts = [line(9_000, "INV-1001", entry_reference="E1"), line(6_000, "INV-1002", entry_reference="E1")]
        assert await take(units, *parts) == ["posted", "posted"]
        assert await take(units, line(15_000, "in one sum", bank_reference="E1")) == ["duplicate"]
        assert await take(units, line(14_000, "another sum", bank_reference="E1")) == ["proposed"]

    async def test_reference_of_another_day_is_an_exception_once(self, units: Units) -> None:
        await owed(units, 9_000, "INV-1001")
        await owed(units, 9_000, "INV-1002")
        first = line(9_000, "INV-1001", bank_reference="A1")
        other = line(9_000, "INV-1002", bank_reference="A1", booked_on=date(2026, 3, 4))
        assert await take(units, first) == ["posted"]
        before = replace(first, booked_on=date(2026, 3, 3))  # it may be the same, told before it was booked
        assert await take(units, before) == ["proposed"]
        assert await take(units, other) == ["proposed"]
        assert await take(units, other, line(1, "a later file")) == ["duplicate", "proposed"]
        assert await take(units, before, first) == ["duplicate", "duplicate"]
        assert await waiting(units) == [("doubled", 9_000), ("doubled", 9_000), ("missing_here", 1)]

    @pytest.mark.parametrize(
        ("alice", "bob"),
        [
            ({"payer_account": "FR11"}, {"payer_account": "FR22"}),
            ({"payer": "Alice Ltd"}, {"payer": "Bob Ltd"}),
            ({"references": ("INV-1001",)}, {"references": ("INV-1002",)}),
            ({"end_to_end_id": "INV-1001"}, {"end_to_end_id": "INV-1002"}),
        ],
    )
    async def test_another_payers_equal_transfer_is_an_exception_once(
        self, units: Units, alice: dict[str, Any], bob: dict[str, Any]
    ) -> None:
        customers = [(await owed(units, 6_000, number))[0] for number in ("INV-1001", "INV-1002")]
        one, other = line(6_000, "Payment", **alice), line(6_000, "Payment", **bob)
        await take(units, one)
        before = await waiting(units)
        assert await take(units, one) == ["duplicate"]
        assert await take(units, other) == ["proposed"]
        assert await take(units, other, one) == ["duplicate", "proposed"]  # it may be the first of that day, or another
        assert (await waiting(units))[len(before)] == ("doubled", 6_000)
        named = "INV-1002" in (*bob.get("references", ()), bob.get("end_to_end_id"))
        proposals = await units.pool.fetchval("SELECT proposals::text FROM exceptions WHERE class = 'doubled' LIMIT 1")
        assert [each["customer_id"] for each in orjson.loads(proposals)] == customers[1:] * named

    async def test_other_order_of_a_day_adds_nothing(self, units: Units) -> None:
        paid = [
            line(4_900, "Monthly fee", payer=name, payer_account=account)
            for name, account in (("A", "FR1"), ("B", "FR2"))
        ]
        assert await take(units, *paid) == ["proposed", "proposed"]
        assert await take(units, *paid[::-1]) == ["duplicate", "duplicate"]

    async def test_less_about_the_payer_is_a_duplicate(self, units: Units) -> None:
        await owed(units, 6_000, "INV-1001")
        told = line(6_000, "INV-1001", payer="Alice and Sons Limited", payer_account="FR11", references=("R1",))
        assert await take(units, told) == ["posted"]
        for less in (
            {"payer": "ALICE AND SONS LIM", "payer_account": None}, {"payer_account": None, "payer": None},
            {"references": ()}, {"payer": "Sons and Alice", "references": ("r-1",)}, {"payer_account": "11"},
        ):  # fmt: skip
            assert await take(units, replace(told, **less)) == ["duplicate"]

    async def test_reused_reference_is_an_exception_once(self, units: Units) -> None:
        first = line(4_900, "Subscription", bank_reference="00001", payer_account="FR11")
        assert await take(units, first) == ["proposed"]
        for other in (
            replace(first, booked_on=DAY + timedelta(28)),
            replace(first, payer_account="FR22", value_on=DAY),
        ):
            before = len(await waiting(units))
            assert await take(units, other) == ["proposed"]
            assert await take(units, other) == ["duplicate"]
            assert (await waiting(units))[before:] == [("doubled", 4_900)]
        assert await take(units, replace(first, booked_on=DAY + timedelta(28), payer_account=None)) == ["duplicate"]

    async def test_two_equal_lines_pay_one_invoice_once(
        self,
        units: Units,
    ) -> None:
        await owed(units, 9_000, "INV-1001")
        paid = [line(9_000, "INV-1001", bank_reference=reference) for reference in ("A1", "A2")]
        assert [await take(units, each) for each in paid] == [["posted"], ["proposed"]]
        assert await waiting(units) == [("doubled", 9_000)]

    @pytest.mark.parametrize("first_has_it", [True, False])
    async def test_copy_without_the_banks_reference_is_an_exception(self, units: Units, *, first_has_it: bool) -> None:
        """Two instalments of one amount: what repeats the first must not be taken for the second."""
        await owed(units, 20_000, "TV-2")
        told = line(10_000, "TV-2 Abschlag", payer_account="GB29", bank_reference="BR902")
        tellings = [told, replace(told, bank_reference=None)][:: 1 if first_has_it else -1]
        assert await take(units, tellings[0]) == ["proposed"]
        await units.pool.execute("UPDATE invoices SET payable_now = 10_000")  # a person posts it
        assert await take(units, tellings[1]) == ["proposed"]
        assert await waiting(units) == [("short_payment", 10_000), ("doubled", 10_000)]
        second = replace(told, bank_reference="BR903")
        # what was told without the bank's reference may be this one as well
        assert await take(units, told, second) == ["duplicate", "posted" if first_has_it else "proposed"]


class TestNumbersByChance:
    async def test_date_of_a_known_payer_pays_nobody_else(self, units: Units) -> None:
        beta, _ = await owed(units, 4_900, "BE-1")
        assert await take(units, line(4_900, "BE-1", payer="Beta", payer_account="DE7")) == ["posted"]
        alpha, _ = await owed(units, 4_900, "020326")
        _, second = await owed(units, 4_900, "BE-2", beta)
        dated = line(4_900, "Subscription of 02.03.26", payer="Beta", payer_account="DE7", place="2")
        assert await take(units, dated) == ["proposed"]
        named = line(4_900, "", references=("020326",), payer="Beta", payer_account="DE7", place="3")
        assert await take(units, named) == ["proposed"]
        first, *_ = orjson.loads(
            await units.pool.fetchval("SELECT proposals FROM exceptions ORDER BY created_at LIMIT 1")
        )
        assert first["customer_id"] == beta
        assert [part["invoice_id"] for part in first["invoices"]] == [second]
        assert await units.pool.fetchval("SELECT count(*) FROM payments WHERE customer_id = $1", alpha) == 0

    @pytest.mark.parametrize(
        ("number", "told"),
        [
            ("80331", {"text": "Rechnung 4711 80331 Muenchen"}),
            ("75008", {"text": "Facture 75008 Paris"}),
            ("12500", {"text": "Invoice 4711 12500"}),
            ("0891234567", {"text": "Inv 4711 0891234567"}),
            ("0891234567", {"text": "x", "references": ("089/1234567",)}),
            ("D-80331", {"text": "Miete Haus D-80331 Muenchen"}),
        ],
    )
    async def test_digits_near_a_label_are_proposed(self, units: Units, number: str, told: dict[str, Any]) -> None:
        customer, invoice = await owed(units, 4_900, number)
        assert await take(units, replace(line(4_900, "x"), **told)) == ["proposed"]
        (first,) = orjson.loads(await units.pool.fetchval("SELECT proposals::text FROM exceptions"))
        assert (first["customer_id"], first["invoices"][0]["invoice_id"]) == (customer, invoice)
        assert first["reasons"][0].startswith("its digits contain")

    async def test_digits_of_the_customer_who_pays_post(self, units: Units) -> None:
        customer, _ = await owed(units, 4_900, "0891234567")
        async with units.begin() as work:
            await keep_customers(work, {customer: "Alpha GmbH"})
        paid = line(4_900, "x", references=("089/1234567",), payer="Alpha GmbH")
        assert await take(units, paid) == ["posted"]

    async def test_payer_with_another_customers_name_is_proposed(self, units: Units) -> None:
        await owed(units, 4_900, "INV-1")
        async with units.begin() as work:
            await keep_customers(work, {new_id(): "Beta GmbH"})
        assert await take(units, line(4_900, "INV-1", payer="BETA GmbH")) == ["proposed"]

    async def test_account_paying_for_several_posts_for_each(self, units: Units) -> None:
        for number in ("INV-1", "INV-2"):
            await owed(units, 4_900, number)
            assert await take(units, line(4_900, number)) == ["posted"]
        await units.pool.execute("UPDATE bank_lines SET payer_account = 'DE7'")
        customer = await units.pool.fetchval("SELECT customer_id FROM payments ORDER BY created_at LIMIT 1")
        await owed(units, 5_900, "INV-3", customer)
        assert await take(units, line(5_900, "INV-3", payer_account="DE7")) == ["posted"]

    @pytest.mark.parametrize(
        ("number", "written"),
        [
            ("RE/2026/03/77", "Payment of RE/2026/03/77"),
            ("INV-2026-03-A", "INV 2026 03 A"),
            ("RF18539007547034", "thanks, RF18 5390 0754 7034"),
        ],
    )
    async def test_a_number_of_four_pieces_is_found(self, units: Units, number: str, written: str) -> None:
        await owed(units, 4_900, number)
        assert await take(units, line(4_900, written)) == ["posted"]


class TestReferencesThatRepeat:
    async def test_within_one_file_another_day_counts(self, units: Units) -> None:
        for number in ("INV-1", "INV-2", "INV-3"):
            await owed(units, 5_000, number)
        days = [
            line(5_000, f"INV-{number}", bank_reference="LOC0042", booked_on=DAY + timedelta(number))
            for number in range(4)
        ]
        assert await take(units, *days[1:3]) == ["posted", "posted"]
        assert await take(units, *days[1:]) == ["duplicate", "duplicate", "posted"]  # a file of more days
        assert await waiting(units) == []

    async def test_same_text_on_another_day_is_an_exception(self, units: Units) -> None:
        first = line(20_000, "DEPOSIT NORTH STREET", bank_reference="LOC0042")
        assert await take(units, first) == ["proposed"]
        assert await take(units, replace(first, booked_on=DAY + timedelta(1))) == ["proposed"]
        assert await take(units, replace(first, booked_on=DAY + timedelta(1)), first) == ["duplicate", "duplicate"]
        assert await waiting(units) == [("missing_here", 20_000), ("doubled", 20_000)]

    async def test_the_reference_of_an_entry_may_repeat_too(self, units: Units) -> None:
        one = line(20_000, "a transaction", entry_reference="B1", end_to_end_id="E1")
        assert await take(units, one, replace(one, booked_on=DAY + timedelta(1))) == ["proposed", "proposed"]
        assert await take(units, replace(one, booked_on=DAY + timedelta(2))) == ["proposed"]
        assert [why for why, _ in await waiting(units)] == ["missing_here", "missing_here", "doubled"]

    async def test_sum_and_parts_of_another_day_wait(self, units: Units) -> None:
        whole = line(300, "batch", bank_reference="B1")
        parts = [line(minor, f"part {minor}", entry_reference="B1", end_to_end_id=str(minor)) for minor in (100, 200)]
        later = [replace(part, booked_on=DAY + timedelta(1)) for part in parts]
        assert await take(units, whole) == ["proposed"]
        assert await take(units, *parts) == ["duplicate", "duplicate"]
        assert await take(units, *later) == ["proposed", "proposed"]
        assert [why for why, _ in await waiting(units)] == ["missing_here", "doubled", "doubled"]

    async def test_parts_and_a_sum_of_another_day_wait(self, units: Units) -> None:
        parts = [line(minor, f"part {minor}", entry_reference="B1", end_to_end_id=str(minor)) for minor in (100, 200)]
        whole = line(300, "batch", bank_reference="B1", booked_on=DAY + timedelta(1))
        assert await take(units, *parts) == ["proposed", "proposed"]
        assert await take(units, replace(whole, booked_on=DAY)) == ["duplicate"]
        assert await take(units, whole) == ["proposed"]
        assert (await waiting(units))[-1] == ("doubled", 300)


class TestDeposits:
    async def test_receipts_of_equal_sum_are_proposed_first(self, units: Units) -> None:
        await owed(units, 10_000, "INV-9")  # of just this amount
        first, second = [(await owed(units, minor, f"INV-{minor}"))[0] for minor in (4_000, 6_000)]
        cheques = [await recorded(units, first, 4_000, "CHQ 1"), await recorded(units, second, 6_000, "CHQ 2")]
        assert await take(units, line(10_000, "deposit")) == ["proposed"]
        row = await units.pool.fetchrow("SELECT id, proposals FROM exceptions")
        assert row is not None
        proposals = orjson.loads(row["proposals"])
        assert sorted(proposals[0]["payment_ids"]) == sorted(cheques)
        assert proposals[0]["reasons"] == [
            f"2 receipts recorded for {DAY} sum to it, and no bank line is matched with them"
        ]
        assert [part["amount_minor"] for part in proposals[1]["invoices"]] == [10_000]

    async def test_proposal_of_several_matches_them_all(self, units: Units) -> None:
        customer, _ = await owed(units, 10_000, "INV-9")
        cheques = [await recorded(units, customer, minor, None) for minor in (1_000, 2_000, 3_000)]
        assert await take(units, line(6_000, "deposit")) == ["proposed"]
        exception = await units.pool.fetchval("SELECT id FROM exceptions")
        async with units.begin() as work:
            row = await exceptions.lock_exception(work, exception)
            with pytest.raises(Problem) as caught:
                posting._proposed(row, 0)
            assert caught.value.slug == "recorded-already"
            await matching.match(row, resolutions.Resolution(action="match", proposal=0, reason="the slip"), work)
        linked = await units.pool.fetch("SELECT id FROM payments WHERE bank_line_id IS NOT NULL")
        assert sorted(row["id"] for row in linked) == sorted(cheques)


class TestPartsOfOneFile:
    async def test_a_copy_of_a_file_counts_once(self, units: Units) -> None:
        await owed(units, 20_000, "INV-1")
        for paid in (line(5_000, "INV-1", bank_reference="R1"), line(2_000, "INV-1")):
            await take(units, paid, replace(paid, part=2))
            assert await take(units, paid) == ["duplicate"]
        assert await units.pool.fetchval("SELECT count(*) FROM payments") + len(await waiting(units)) == 2

    async def test_two_equal_transfers_of_one_count_twice(self, units: Units) -> None:
        paid = line(5_000, "rent", bank_reference="R1")
        again = replace(paid, part=2)
        assert await take(units, paid, paid, again, again) == ["proposed", "proposed", "duplicate", "duplicate"]

    @pytest.mark.parametrize("sum_first", [True, False])
    async def test_a_sum_and_its_parts_count_once(self, units: Units, *, sum_first: bool) -> None:
        whole = [line(300, "batch", bank_reference="B1")]
        parts = [line(minor, f"part {minor}", entry_reference="B1", end_to_end_id=str(minor)) for minor in (100, 200)]
        first, second = (whole, parts) if sum_first else (parts, whole)
        became = await take(units, *first, *(replace(each, part=2) for each in second))
        assert became == ["proposed"] * len(first) + ["duplicate"] * len(second)


class TestSharedReferences:
    ORDER = line(20_000, "Pay IA-1 Ann", bank_reference="ORDER7")

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({}, {"text": "Pay IB-1 Bob"}),
            ({"text": "DEPOSIT", "references": ("IA-1",)}, {"text": "DEPOSIT", "references": ("IB-1",)}),
            ({"text": "order", "payer": "Ann"}, {"text": "order", "payer": "Bob"}),
            ({"text": "", "references": ("IA-1",)}, {"text": "Pay IB-1"}),
            ({"text": "Pay 7 IA-1", "payer_account": "FR1"}, {"text": "Pay 7 IB-1", "payer_account": "FR1"}),
        ],
    )
    async def test_other_money_is_one_exception(self, units: Units, one: dict[str, Any], other: dict[str, Any]) -> None:
        await take(units, replace(self.ORDER, **one))
        before = len(await waiting(units))
        assert await take(units, replace(self.ORDER, **other)) == ["proposed"]
        assert await take(units, replace(self.ORDER, **other), line(1, "another file")) == ["duplicate", "proposed"]
        assert (await waiting(units))[before] == ("doubled", 20_000)

    @pytest.mark.parametrize(
        "less",
        [
            {}, {"text": ""}, {"text": "PAY  IA-1"}, {"text": "Ann, IA-1"}, {"text": "SEPA CREDIT Pay IA-1 Ann END"},
            {"text": "", "references": ("IA-1",)}, {"payer": "Ann"}, {"references": ("IA-1",)}, {"text": "Pay I A-1 A"},
        ],
    )  # fmt: skip
    async def test_repeat_with_less_text_is_a_duplicate(self, units: Units, less: dict[str, Any]) -> None:
        await take(units, self.ORDER)
        assert await take(units, replace(self.ORDER, **less)) == ["duplicate"]

    @pytest.mark.parametrize("told", [{"bank_reference": "ORDER7"}, {"entry_reference": "E1"}])
    async def test_another_order_loses_none(self, units: Units, told: dict[str, Any]) -> None:
        zero, one, two = (line(5_500, f"QB-{n}", **told) for n in range(3))
        assert await take(units, zero) == ["proposed"]
        assert await take(units, zero, one) == ["duplicate", "proposed"]
        assert await take(units, one, zero) == ["duplicate", "duplicate"]
        # one of them takes a place that is new: a person looks at it, too
        assert await take(units, two, zero, one) == ["proposed", "duplicate", "proposed"]
        assert [why for why, _ in await waiting(units)] == ["missing_here", "missing_here", "doubled", "doubled"]
