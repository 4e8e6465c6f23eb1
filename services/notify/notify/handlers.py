"""Handlers of the events that notify hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from chassis.messaging.handlers import Handlers
from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import auth, invoicing
from notify import store
from notify.domain.catalogue import KINDS, kind_of
from notify.mailing import Occasion, mail

handlers = Handlers("notify")


# --- what mails name


@handlers.on_many(auth.ContactChanged, auth.StaffChanged)
async def keep_people(events: Sequence[Received[Any]], work: Work) -> None:
    await store.keep_people(work, [received.event for received in events])


@handlers.on_many(auth.ContactErased)
async def forget_people(events: Sequence[Received[auth.ContactErased]], work: Work) -> None:
    await store.forget_people(work, [received.event.contact_id for received in events])


@handlers.on_many(auth.CompanyChanged)
async def keep_company(events: Sequence[Received[auth.CompanyChanged]], work: Work) -> None:
    await store.keep_company(work, events[-1].event)


@handlers.on_many(invoicing.CustomerChanged)
async def keep_customers(events: Sequence[Received[invoicing.CustomerChanged]], work: Work) -> None:
    await store.keep_customers(work, [received.event for received in events])


@handlers.on_many(invoicing.CustomerErased)
async def forget_customers(events: Sequence[Received[invoicing.CustomerErased]], work: Work) -> None:
    await store.forget_customers(work, [received.event.customer_id for received in events])


@handlers.on_many(
    invoicing.InvoiceIssued, invoicing.InvoiceChanged, invoicing.InvoiceInProgress, invoicing.InvoicePaid,
    invoicing.InvoiceReopened, invoicing.InvoiceVoided, invoicing.InvoiceWrittenOff,
)  # fmt: skip
async def keep_invoices(events: Sequence[Received[Any]], work: Work) -> None:
    await store.keep_invoices(work, [received.event for received in events])


# --- what causes mails


@handlers.on_many(*dict.fromkeys(kind.event for kind in KINDS if kind.event), acts=True)
async def mail_people(events: Sequence[Received[Any]], work: Work) -> None:
    """Mail what the catalogue has of each event. Events older than this consumer mail nobody."""
    occasions = [occasion_of(received) for received in events]
    await mail([one for one in occasions if one is not None], work)


def occasion_of(received: Received[Any]) -> Occasion | None:
    kind = kind_of(received.event)
    if kind is None:
        return None
    facts = orjson.loads(received.body)
    sealed = facts.pop("sealed", None)
    return Occasion(
        received.id, kind.name, facts, sealed, getattr(received.event, "expires_at", None),
        person_id=facts.get("person_id"), customer_id=facts.get("customer_id"),
    )  # fmt: skip
