"""Keeps what tickets name of other services, from their events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import auth, invoicing
from support.projections import store


async def keep_people(events: Sequence[Received[Any]], work: Work) -> None:
    await store.keep_people(work, [received.event for received in events])


async def forget_people(events: Sequence[Received[auth.ContactErased]], work: Work) -> None:
    await store.forget_people(work, [received.event.contact_id for received in events])


async def keep_customers(events: Sequence[Received[invoicing.CustomerChanged]], work: Work) -> None:
    await store.keep_customers(work, [received.event for received in events])


async def forget_customers(events: Sequence[Received[invoicing.CustomerErased]], work: Work) -> None:
    await store.forget_customers(work, [received.event.customer_id for received in events])


async def keep_invoices(events: Sequence[Received[Any]], work: Work) -> None:
    await store.keep_invoices(work, events)
    await store.keep_uncredited(work, events)


async def keep_credit_notes(events: Sequence[Received[invoicing.CreditNoteIssued]], work: Work) -> None:
    await store.keep_credit_notes(work, [received.event for received in events])
