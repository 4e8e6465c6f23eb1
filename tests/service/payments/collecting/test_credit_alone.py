"""A quote and its payment without a method, as the database keeps them."""

from datetime import UTC, date, datetime

import asyncpg
import pytest

from chassis.http.idempotency import Key
from chassis.messaging.records import Received
from chassis.messaging.work import Cause, Units
from contracts.envelope import Amount
from contracts.ids import new_id
from contracts.invoicing import ReservationPlaced, ReservationRefused
from payments.collecting import handlers
from payments.collecting.domain.payments import Payment, Step, submit
from payments.collecting.domain.quotes import Quote, Wish, Wishes, make_quote
from payments.collecting.domain.surcharges import NO_SURCHARGE
from payments.collecting.messages import payment_events
from payments.collecting.store.lists import PaymentFilter, list_payments
from payments.collecting.store.payments import NewPayment, add_payments, load_payment
from payments.collecting.store.quotes import add_quotes, load_confirming, load_payable, load_wished
from payments.methods.store.consents import load_consents
from payments.projections.store import keep_customers
from tests.kit import paying

NOW, DAY = datetime.now(UTC), date(2026, 3, 1)


async def quoted(units: Units) -> Quote:
    """A quote of one invoice of 10.00 that credit pays, of a customer that has no method."""
    customer, invoice = new_id(), new_id()
    async with units.begin() as work:
        await keep_customers(work, {customer: None})
        await work.connection.execute(paying.INVOICE, invoice, customer)
        method, invoices = await load_wished(work.connection, None, customer, [invoice])
        assert method is None
        quote = make_quote(
            None, Wishes((Wish(invoice, None),)), invoices, NO_SURCHARGE, NOW, credit=1_000, customer_id=customer
        )
        assert isinstance(quote, Quote)
        await add_quotes([quote], work)
    return quote


async def submitted(units: Units) -> Payment:
    quote = await quoted(units)
    step = submit(quote, None, None, expected_by=DAY, now=NOW)
    assert isinstance(step, Step)
    async with units.single() as work:
        work.emit(*payment_events([step], NOW))
        new = NewPayment(step, Key(quote.customer_id, paying.ROUTE, paying.KEY, b"print"), paying.ANSWER)
        assert await add_payments(work, [new]) == {step.payment.id}
    return step.payment


async def paid(units: Units) -> Payment:
    payment = await submitted(units)
    placed = ReservationPlaced(payment_id=payment.id, customer_id=payment.customer_id, amount=Amount.of(payment.amount))
    async with units.begin() as work:
        await handlers.charge_reserved_payments([Received(placed, new_id(), 1, b"", Cause())], work)
    return payment


class TestQuoteWithoutMethod:
    async def test_is_read_back_the_same(self, units: Units) -> None:
        quote = await quoted(units)
        found = await load_confirming(units.pool, quote.id, quote.customer_id, paying.ROUTE, paying.KEY)
        assert found is not None
        assert (found.quote.id, found.quote.customer_id, found.quote.method_id) == (quote.id, quote.customer_id, None)
        assert (found.quote.parts, found.quote.credit_used, found.method) == (quote.parts, 1_000, None)
        assert await load_confirming(units.pool, quote.id, new_id(), paying.ROUTE, paying.KEY) is None

    async def test_payable_invoices_are_found(self, units: Units) -> None:
        quote = await quoted(units)
        for method_id in (None, new_id()):
            method, invoices = await load_payable(units.pool, method_id, quote.customer_id, "USD", 10)
            assert (method, list(invoices)) == (None, [quote.parts[0].invoice_id])


class TestPaymentWithoutMethod:
    async def test_ends_paid_and_is_in_the_history(self, units: Units) -> None:
        payment = await paid(units)
        for asked in (PaymentFilter(payment.customer_id), PaymentFilter(payment.customer_id, status="succeeded")):
            (listed,) = await list_payments(units.pool, asked, 10)
            assert (listed.id, listed.method_id, listed.status, listed.reconciliation) == (
                payment.id, None, "succeeded", "matched",
            )  # fmt: skip
        assert await load_consents(units.pool, payment.id) == []
        assert await units.pool.fetchval("SELECT count(*) FROM ledger_transactions") == 0

    @pytest.mark.parametrize(("left", "again"), [(1_000, True), (999, False)])
    async def test_refused_reservation_is_quoted_again_while_credit_suffices(
        self, units: Units, left: int, again: bool
    ) -> None:
        payment = await submitted(units)
        refused = ReservationRefused(
            payment_id=payment.id, customer_id=payment.customer_id, reason="invoice_changed",
            invoice_id=payment.asked[0].invoice_id,
        )  # fmt: skip
        async with units.begin() as work:
            sql = "INSERT INTO credits (id, customer_id, currency, available, sequence) VALUES ($1, $2, 'USD', $3, 1)"
            await work.connection.execute(sql, new_id(), payment.customer_id, left)
            await handlers.cancel_refused_payments([Received(refused, new_id(), 1, b"", Cause())], work)
        ended = await load_payment(units.pool, payment.id, None)
        assert ended is not None
        assert (ended.status, ended.reason, ended.new_quote_id is not None) == ("cancelled", "invoice_changed", again)
        if ended.new_quote_id:
            found = await load_confirming(units.pool, ended.new_quote_id, None, paying.ROUTE, paying.KEY)
            assert found is not None
            assert (found.quote.method_id, found.quote.credit_used) == (None, 1_000)

    @pytest.mark.parametrize("table", ["quotes", "payments"])
    async def test_database_refuses_a_charge(self, units: Units, table: str) -> None:
        await paid(units)
        with pytest.raises(asyncpg.CheckViolationError):
            await units.pool.execute(f"UPDATE {table} SET amount = 1")
