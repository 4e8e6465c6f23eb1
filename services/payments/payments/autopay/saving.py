"""Changes of a customer's autopay, saved and announced together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chassis.messaging.work import Work
from contracts.money import Money
from payments.autopay.domain import Autopay, AutopayCharge, hold
from payments.autopay.messages import autopay_changed, autopay_scheduled
from payments.autopay.store import lock_autopay, save_autopay


async def announce(
    charge: AutopayCharge, amount: Money, surcharge: Money, charging: dict[str, Autopay], work: Work
) -> None:
    """Emit the notice of a charge, if its customer is in `charging`: the locked autopay rows, updated in place."""
    autopay = charging.get(charge.customer_id)
    if autopay is not None:
        charging[charge.customer_id] = autopay = replace(autopay, sequence=autopay.sequence + 1)
        work.emit(autopay_scheduled(charge, autopay, amount, surcharge, work.now))
        await save_autopay(work, autopay)


async def hold_autopay(reasons: Sequence[tuple[AutopayCharge, str]], work: Work) -> None:
    """Hold the autopay of the customers of these charges, each with a reason, until a person switches it on again."""
    if not reasons:
        return
    charging = await lock_autopay(work, [charge.customer_id for charge, _ in reasons])
    for charge, reason in reasons:
        autopay = charging.get(charge.customer_id)
        held = hold(autopay, reason, work.now, charge.notice_at) if autopay else None
        if held is not None:
            charging[charge.customer_id] = held
            await save_autopay(work, held)
            work.emit(autopay_changed(held, work.now))
