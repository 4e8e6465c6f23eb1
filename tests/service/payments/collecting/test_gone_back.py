"""What a payment paid of invoices and does not any more, as invoicing's events tell it."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from chassis.messaging.records import Received
from chassis.messaging.work import Cause, Units
from contracts.envelope import Amount
from contracts.ids import new_id
from contracts.invoicing import AllocatedPart, CreditApplied, SettlementPosted, SettlementReversed
from contracts.money import Money
from payments.checks import CHECKS
from payments.collecting import handlers
from payments.collecting.api.views import view_of_payment
from payments.collecting.domain.payments import Payment, receive
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import NewPayment, add_payments, load_payment
from payments.projections.store import keep_customers
from tests.kit import paying

DAY = date(2026, 3, 1)
ONE, OTHER = new_id(), new_id()
WENT = "what went back of credit is not what its payments have"


def usd(minor: int) -> Amount:
    return Amount.of(Money(minor, "USD"))


def parts(**minors: int) -> tuple[AllocatedPart, ...]:
    names = {"one": ONE, "other": OTHER}
    return tuple(AllocatedPart(invoice_id=names[name], amount=usd(minor)) for name, minor in minors.items() if minor)


def what(payment: Payment, allocations: Sequence[AllocatedPart], credit: int = 0) -> dict[str, Any]:
    return {
        "payment_id": payment.id, "customer_id": payment.customer_id, "allocations": allocations, "credit": usd(credit),
        "effective_on": DAY,
    }  # fmt: skip


async def hear(units: Units, *events: Any, since: int = 0) -> None:
    """Events of one batch, of which the first is of the place `since`."""
    async with units.begin() as work:
        received = [Received(event, new_id(), place, b"", Cause()) for place, event in enumerate(events, since)]
        await handlers.keep_allocations(received, work)


async def shown(units: Units, payment: Payment) -> tuple[dict[str, int], dict[str, int]]:
    """Minor units by invoice: what it pays, and what went back."""
    found = await load_payment(units.pool, payment.id, None)
    assert found is not None
    view = view_of_payment(found)
    pays, gone = (
        [(each["invoice_id"], each["amount_minor"]) for each in view[name]] for name in ("allocations", "gone_back")
    )
    assert len(dict(gone)) == len(gone)
    return dict(pays), dict(gone)


class TestReversedInvoices:
    @pytest.mark.parametrize("together", [True, False])
    async def test_parts_sum_up_by_invoice(self, units: Units, together: bool) -> None:
        payment, _ = await paying.submitted(units)
        bystander, _ = await paying.submitted(units, "pm_2")
        events = [
            SettlementPosted(**what(payment, parts(one=600, other=400))),
            SettlementPosted(**what(bystander, parts(one=50))),
            SettlementReversed(**what(payment, parts(other=300)), left=parts(one=600, other=100), credit_left=usd(0)),
            SettlementReversed(**what(payment, parts(other=100, one=200)), left=parts(one=400), credit_left=usd(0)),
        ]
        for batch in [events] if together else [[event] for event in events]:
            await hear(units, *batch)
        assert await shown(units, payment) == ({ONE: 400}, {OTHER: 400, ONE: 200})
        assert await shown(units, bystander) == ({ONE: 50}, {})
        await hear(units, SettlementReversed(**what(payment, parts(one=400)), left=(), credit_left=usd(0)))
        assert await shown(units, payment) == ({}, {OTHER: 400, ONE: 600})

    async def test_credit_movements_are_none(self, units: Units) -> None:
        payment, _ = await paying.submitted(units)
        await hear(
            units,
            SettlementPosted(**what(payment, parts(one=600), 400)),
            CreditApplied(
                **what(payment, parts(other=100), 100),
                applied_by=new_id(),
                left=parts(one=600, other=100),
                credit_left=usd(300),
            ),
            SettlementReversed(**what(payment, (), 300), left=parts(one=600, other=100), credit_left=usd(0)),
        )
        assert await shown(units, payment) == ({ONE: 600, OTHER: 100}, {})
        assert await units.pool.fetchval("SELECT gone_invoices FROM payments") is None


async def receipt(units: Units) -> Payment:
    """A receipt of which nothing is known yet."""
    async with units.single() as work:
        customer = new_id()
        await keep_customers(work, {customer: None})
        step = receive(customer, Money(1_000, "USD"), DAY, None, (), work.now, on_account=True)
        work.emit(*payment_events([step], work.now))
        assert await add_payments(work, [NewPayment(step)]) == {step.payment.id}
    return step.payment


async def using(units: Units, method: str = "pm_1", credit: int = 400) -> Payment:
    """A payment of 10.00 of two invoices, of which credit is to pay the first, before the card."""
    payment, _ = await paying.submitted(units, method)
    sql = """UPDATE payments SET credit_used = $2, asked_invoices = $3, asked_amounts = $4, status = 'succeeded',
        reconciliation = 'matched' WHERE id = $1"""
    await units.pool.execute(sql, payment.id, credit, [ONE, OTHER], [credit, 1_000])
    return payment


def applied(whose: Payment, by: Payment, *, left: int, **minors: int) -> CreditApplied:
    spent = sum(minors.values())
    return CreditApplied(
        **what(whose, parts(**minors), spent), applied_by=by.id, left=parts(**minors), credit_left=usd(left)
    )


def went(whose: Payment, **minors: int) -> SettlementReversed:
    return SettlementReversed(**what(whose, parts(**minors)), left=(), credit_left=usd(0))


async def by_credit(units: Units, payment: Payment) -> tuple[dict[str, int], dict[str, int]]:
    """Minor units by invoice: what credit pays of it, and what went back."""
    found = await load_payment(units.pool, payment.id, None)
    assert found is not None
    view = view_of_payment(found)
    pays, gone = ({e["invoice_id"]: e["amount_minor"] for e in view[n]} for n in ("credit_allocations", "gone_back"))
    return pays, gone


class TestReversedCredit:
    @pytest.mark.parametrize("told", range(3))
    @pytest.mark.parametrize("together", [True, False])
    async def test_is_taken_from_its_use_in_any_order(self, units: Units, told: int, together: bool) -> None:
        cheque, payment = await receipt(units), await using(units)
        assert await by_credit(units, payment) == ({ONE: 400}, {})  # as its quote had it
        events: list[Any] = [applied(cheque, payment, left=600, one=400), went(cheque, one=300)]
        events.insert(told, SettlementPosted(**what(payment, parts(other=1_000)), by_credit=parts(one=400)))
        for place, batch in enumerate([events] if together else [[event] for event in events]):
            await hear(units, *batch, since=place)
        assert await by_credit(units, payment) == ({ONE: 100}, {ONE: 300})
        await hear(units, went(cheque, one=100), went(payment, other=200), since=9)
        assert await by_credit(units, payment) == ({}, {ONE: 400, OTHER: 200})
        assert await units.pool.fetch(CHECKS[WENT]) == []

    async def test_missing_credit_is_not_shown_as_paid(self, units: Units) -> None:
        payment = await using(units)
        posted = what(payment, parts(other=1_000))
        await hear(units, SettlementPosted(**posted, by_credit=()))
        assert await by_credit(units, payment) == ({}, {})
        await hear(units, SettlementPosted(**posted))  # as of a refund that did not arrive: it says nothing of credit
        assert await by_credit(units, payment) == ({}, {})

    async def test_newest_use_goes_first_and_own_part_last(self, units: Units) -> None:
        cheque, older, newer = await receipt(units), await using(units), await using(units, "pm_2")
        await hear(
            units,
            SettlementPosted(**what(cheque, parts(one=100), 900)),
            SettlementPosted(**what(older, ()), by_credit=parts(one=400)),
            SettlementPosted(**what(newer, ()), by_credit=parts(one=200)),
            applied(cheque, older, left=500, one=400),
            applied(cheque, newer, left=300, one=200),
            went(cheque, one=250),
        )
        assert await by_credit(units, newer) == ({}, {ONE: 200})
        assert await by_credit(units, older) == ({ONE: 350}, {ONE: 50})
        await hear(units, went(cheque, one=450), since=6)
        assert await by_credit(units, older) == ({}, {ONE: 400})
        assert await shown(units, cheque) == ({}, {ONE: 700})
        assert await units.pool.fetch(CHECKS[WENT]) == []

    async def test_is_checked_against_its_uses(self, units: Units) -> None:
        cheque, payment = await receipt(units), await using(units)
        await hear(units, applied(cheque, payment, left=600, one=400), went(cheque, one=300))
        await units.pool.execute("UPDATE credit_uses SET gone = 299")
        assert [row["id"] for row in await units.pool.fetch(CHECKS[WENT])] == [payment.id]
