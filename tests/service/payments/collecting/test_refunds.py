"""Refunds that the provider can't give are refused before anything is saved."""

import pytest

from chassis.http.problems import Problem
from chassis.messaging.work import Units
from payments.collecting.api.refunds import RefundRequest, _refund
from payments.collecting.store.payments import lock_payment
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit import paying

MATCHED = """
UPDATE payments SET status = 'succeeded', reconciliation = 'matched', effective_on = current_date, provider_id = 'pi_1',
    currency = $1, amount = $2, surcharge = $3, allocated_amounts = ARRAY[$2::bigint]"""


async def refund(units: Units, payment_id: str, minor: int | None) -> int:
    asked = RefundRequest(amount_minor=minor, reason="too much")
    provider = StripeAdapter(url="http://127.0.0.1:9", key="k", webhook_secret="s")
    try:
        async with units.begin() as work:
            payment = await lock_payment(work, payment_id)
            assert payment
            _, view = await _refund(asked, provider, payment, work)
            return int(view["amount_minor"])
    finally:
        await provider.close()


async def matched(units: Units, currency: str, amount: int, surcharge: int = 0) -> str:
    payment, _ = await paying.submitted(units)
    await units.pool.execute(MATCHED, currency, amount, surcharge)
    return payment.id


class TestProvidersStep:
    @pytest.mark.parametrize(
        ("currency", "amount", "surcharge", "minor", "step"),
        [("MGA", 100_000, 0, 12_345, 100), ("MGA", 100_000, 3_000, 10_100, 100), ("KWD", 10_000, 0, 1_234, 10)],
    )
    async def test_other_amount_is_refused_and_saves_nothing(
        self, units: Units, currency: str, amount: int, surcharge: int, minor: int, step: int
    ) -> None:
        payment_id = await matched(units, currency, amount, surcharge)
        with pytest.raises(Problem) as refused:
            await refund(units, payment_id, minor)
        assert (refused.value.status, refused.value.slug) == (422, "amount-not-refundable")
        assert refused.value.extra == {"step_minor": step}
        assert await units.pool.fetchval("SELECT count(*) FROM reversals") == 0

    async def test_whole_steps_and_the_whole_rest_are_taken(self, units: Units) -> None:
        payment_id = await matched(units, "MGA", 100_000, 3_000)
        assert await refund(units, payment_id, 10_000) == 10_000
        assert await refund(units, payment_id, None) == 90_000
        sums = await units.pool.fetch("SELECT amount + surcharge AS sum FROM reversals ORDER BY created_at, id")
        assert [row["sum"] for row in sums] == [10_300, 92_700]
