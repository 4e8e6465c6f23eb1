"""Keeps invoicing's customers and credits, from its events."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import invoicing as heard
from payments.projections import store


async def keep_credits(
    events: Sequence[Received[heard.CreditChanged] | Received[heard.CreditNoteState]], work: Work
) -> None:
    await store.keep_credits(work, events)


async def keep_customers(events: Sequence[Received[heard.CustomerChanged]], work: Work) -> None:
    await store.keep_customers(work, {received.event.customer_id: received.event.name for received in events})


async def forget_customers(events: Sequence[Received[heard.CustomerErased]], work: Work) -> None:
    await store.keep_customers(work, {received.event.customer_id: None for received in events})
