"""A card payment in the database of payments, without the services around it."""

from datetime import UTC, datetime, timedelta

from chassis.http.idempotency import Key
from chassis.messaging.work import Units
from contracts.allocation import Part
from contracts.ids import new_id
from contracts.money import Money
from payments.collecting.domain.payments import Payment, Step, submit
from payments.collecting.domain.quotes import Quote
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import Answer, NewPayment, add_payments
from payments.collecting.store.quotes import add_quotes
from payments.methods.domain.methods import Method
from payments.methods.store.methods import add_method
from payments.projections.store import keep_customers

ROUTE, KEY, ANSWER = "POST /v1/payments", "k", Answer(202, b"{}", "seen")
INVOICE = """
INSERT INTO invoices (id, customer_id, number, status, currency, issued_on, due_on, balance, payable_now, sequence)
VALUES ($1, $2, 'INV-1', 'open', 'USD', '2026-01-02', '2026-02-01', 1000, 1000, 1)"""


async def submitted(units: Units, provider_method: str = "pm_1", *, saved: bool = True) -> tuple[Payment, Quote]:
    """A payment of one invoice, 10.00 and 0.30 surcharge, that waits for its reservation; answered under KEY."""
    customer, invoice, now = new_id(), new_id(), datetime.now(UTC)
    method = Method(new_id(), customer, provider_method, "card", "credit", "visa", "4242", saved=saved)
    amount, surcharge = Money(1_000, "USD"), Money(30, "USD")
    until = now + timedelta(minutes=15)
    quote = Quote(new_id(), customer, method.id, amount, surcharge, (Part(invoice, amount),), (True,), until)
    step = submit(quote, method.kind, True, expected_by=now.date() + timedelta(days=5), now=now)
    assert isinstance(step, Step)
    async with units.begin() as work:
        await keep_customers(work, {customer: None})
        await work.connection.execute(INVOICE, invoice, customer)
        await add_method(work, method)
        await add_quotes([quote], work)
    async with units.single() as work:
        work.emit(*payment_events([step], now))
        new = NewPayment(step, Key(customer, ROUTE, KEY, b"print"), ANSWER)
        assert await add_payments(work, [new]) == {step.payment.id}
    return step.payment, quote
