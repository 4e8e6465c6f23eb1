"""A refund whose key may be forgotten at the provider is looked for in its record, never asked for again."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import cast

import pytest

from chassis.messaging.work import Units
from contracts.ids import new_id
from payments.collecting import jobs
from payments.collecting.domain.payments import Payment, Reversal, Step
from payments.collecting.store.payments import save_steps
from payments.collecting.store.reversals import RefundCall, load_reversals
from payments.ledger import Posting
from payments.providers import Charge, Provider, RefundRequest, TakenBack
from tests.kit import paying

NOW = datetime.now(UTC)


class Forgetful:
    """A provider that has forgotten the key: asked again, it would give the money back again."""

    def __init__(self, payment: Payment, *back: TakenBack) -> None:
        total = payment.total
        self.charge = Charge("pi_1", None, "succeeded", total.minor, "USD", total.minor, NOW, None, back)

    async def refund(self, _: RefundRequest) -> TakenBack:
        raise AssertionError("the refund was asked for again")

    async def get_charge(self, _: str) -> Charge:
        return self.charge


async def refund_of_yesterday(units: Units) -> tuple[Payment, Reversal]:
    """A matched payment, and a refund of all of it that was asked for long ago."""
    payment, _ = await paying.submitted(units)
    day = date(2026, 3, 1)
    entries = (
        ("psp_clearing", payment.total),
        ("customer_funds", -payment.amount),
        ("surcharge_income", -payment.surcharge),
    )
    posting = Posting(new_id(), payment.id, payment.customer_id, "charge", day, entries)
    matched = replace(
        payment, status="succeeded", reconciliation="matched", provider_id="pi_1", sequence=3, effective_on=day,
        going_back=payment.total.minor,
    )  # fmt: skip
    made = Reversal(
        new_id(), payment.id, payment.customer_id, "refund", "requested", payment.amount, payment.surcharge,
        NOW - timedelta(days=2), code="refund",
    )  # fmt: skip
    async with units.begin() as work:
        await save_steps(work, [Step(matched, "moved", posting, made)])
    return matched, made


@pytest.mark.parametrize("made", [True, False])
async def test_old_refund_follows_the_providers_record(units: Units, made: bool) -> None:
    payment, reversal = await refund_of_yesterday(units)
    back = TakenBack("re_1", "refund", "succeeded", payment.total.minor, NOW, "refund", reversal.id)
    provider = Forgetful(payment, *([back] if made else []))
    await jobs._refund(units, cast(Provider, provider), RefundCall(reversal, "pi_1", 9))
    (known,) = await load_reversals(units.pool, [payment.id])
    assert (known.state, known.code) == (("succeeded", "refund") if made else ("failed", "never_made"))
    assert await units.pool.fetchval("SELECT reversed FROM payments") == (payment.total.minor if made else 0)
