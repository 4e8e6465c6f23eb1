"""What a payment paid of invoices and does not any more, as invoicing's events tell it."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.consume import Received
from chassis.messaging.work import Cause, Units, Wake
from contracts.envelope import Amount
from contracts.ids import new_id
from contracts.invoicing import AllocatedPart, CreditApplied, SettlementPosted, SettlementReversed
from contracts.money import Money
from payments import handlers, store
from payments.api.views import view_of_payment
from payments.domain import Payment
from tests.kit import paying
from tests.kit.postgres import drop_database, fresh_database

DAY = date(2026, 3, 1)
ONE, OTHER = new_id(), new_id()


@pytest_asyncio.fixture
async def units() -> AsyncIterator[Units]:
    database = await fresh_database("payments")
    pool = await open_pool(database.work_url, size=2, application="test")
    yield Units(pool, Clock("UTC"), Wake())
    await pool.close()
    await drop_database(database)


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


async def hear(units: Units, *events: Any) -> None:
    """Events of one batch."""
    async with units.begin() as work:
        received = [Received(event, new_id(), place, b"", Cause()) for place, event in enumerate(events)]
        await handlers.keep_allocations(received, work)


async def shown(units: Units, payment: Payment) -> tuple[dict[str, int], dict[str, int]]:
    """Minor units by invoice: what it pays, and what went back."""
    found = await store.load_payment(units.pool, payment.id, None)
    assert found is not None
    view = view_of_payment(found)
    pays, gone = (
        [(each["invoice_id"], each["amount_minor"]) for each in view[name]] for name in ("allocations", "gone_back")
    )
    assert len(dict(gone)) == len(gone)
    return dict(pays), dict(gone)


@pytest.mark.parametrize("together", [True, False])
async def test_what_goes_back_in_parts_is_one_sum_for_each_invoice(units: Units, together: bool) -> None:
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


async def test_credit_that_goes_back_or_pays_invoices_is_no_invoice_that_went_back(units: Units) -> None:
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
