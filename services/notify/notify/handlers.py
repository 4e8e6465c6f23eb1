"""Handlers of the events that notify hears."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from chassis.messaging.handlers import Handlers, customers_of
from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import auth, invoicing, payments
from contracts.envelope import Envelope
from contracts.ids import is_id
from notify import store
from notify.domain.catalogue import EVENTS, TO_CUSTOMERS, kind_of
from notify.mailing import UNADDRESSED, Occasion, mail

handlers = Handlers("notify", gathers_ms=1_000)  # nobody waits for it in a request


# --- what mails name


@handlers.on_many(auth.ContactChanged, auth.StaffChanged)
async def keep_people(events: Sequence[Received[Any]], work: Work) -> None:
    await store.keep_people(work, [received.event for received in events])
    work.wake(UNADDRESSED)


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


@handlers.on_many(invoicing.InvoiceIssued)
async def keep_invoices(events: Sequence[Received[invoicing.InvoiceIssued]], work: Work) -> None:
    await store.keep_invoices(work, [received.event for received in events])


@handlers.on_many(payments.MethodAdded, payments.MethodChanged, payments.MethodRemoved)
async def keep_methods(events: Sequence[Received[Any]], work: Work) -> None:
    await store.keep_methods(work, [received.event for received in events])


async def by_contacts(envelopes: Sequence[Envelope], work: Work) -> Collection[str]:
    return {one.id for one in envelopes if contact_of(one.actor) is not None}


@handlers.on_many(payments.PaymentSubmitted, wants=by_contacts)
async def keep_payers(events: Sequence[Received[payments.PaymentSubmitted]], work: Work) -> None:
    """Keep which contact confirmed a payment, as the header `actor` says."""
    paid = [(received.event, contact_of(received.cause.actor)) for received in events]
    await store.keep_payers(work, [(event, contact) for event, contact in paid if contact is not None])


def contact_of(actor: str | None) -> str | None:
    kind, _, subject = (actor or "").partition(":")
    return subject if kind == "contact" and is_id(subject) else None


# --- what causes mails


async def of_reachable_customers(envelopes: Sequence[Envelope], work: Work) -> Collection[str]:
    """All but those that would be mailed to a customer who has no contact, nor an address of which one is made."""
    customers = customers_of([one for one in envelopes if one.type in TO_CUSTOMERS])
    nobody = await store.without_anybody(work, customers) if customers else frozenset()
    return {one.id for one in envelopes if one.customer not in nobody or one.type not in TO_CUSTOMERS}


@handlers.on_many(*EVENTS, acts=True, wants=of_reachable_customers)
async def mail_people(events: Sequence[Received[Any]], work: Work) -> None:
    """Mail what the catalogue has of each event. Events older than this consumer mail nobody."""
    ids = [received.event.payment_id for received in events if isinstance(received.event, payments.PaymentState)]
    payers = await store.find_payers(work, ids) if ids else {}
    occasions = [occasion_of(received, payers) for received in events]
    await mail([one for one in occasions if one is not None], work)


def occasion_of(received: Received[Any], payers: Mapping[str, str]) -> Occasion | None:
    """What an event causes, if anything. Its body is kept as it is: it holds no names, and secrets are sealed."""
    kind = kind_of(received.event)
    if kind is None:
        return None
    facts = orjson.loads(received.body)
    return Occasion(
        received.id, kind.name, {name: value for name, value in facts.items() if name not in SEALED_OR_PERSONAL},
        facts.get("sealed"), getattr(received.event, "expires_at", None),
        person_id=facts.get("person_id"),
        people=facts.get("to", ()),
        staff=facts.get("assigned_to") if kind.to == "staff" else None,
        customer_id=facts.get("customer_id") if kind.to != "staff" else None,
        payer=payers.get(facts.get("payment_id", "")) if kind.to == "payer" else None,
    )  # fmt: skip


SEALED_OR_PERSONAL = frozenset({"sealed", "assigned_to", "to"})
