"""What events of payments do to tickets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import payments
from support.projections.store import keep_payments as save_payments
from support.tickets import store
from support.tickets.domain import closed_by_payment
from support.tickets.threads import happen


async def keep_payments(events: Sequence[Received[Any]], work: Work) -> None:
    """Save payments first, which waits for requests that are opening tickets about them; then close such tickets.

    An event that is read again, as after a start from the first one, is no news and closes nothing.
    """
    news = await save_payments(work, events)
    found = [one for one in events if isinstance(one.event, payments.PaymentReconciled)]
    reconciled = {one.event.payment_id: one for one in found if one.event.payment_id in news}
    if not reconciled:
        return
    for ticket in await store.lock_tickets_of_payments(work, sorted(reconciled)):
        work.cause = reconciled[str(ticket.payment_id)].cause
        await happen(work, ticket, [closed_by_payment(work.now)])
