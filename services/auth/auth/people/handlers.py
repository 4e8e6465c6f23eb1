"""Keeps customers' names, and makes their first contacts, from invoicing's events."""

from __future__ import annotations

from collections.abc import Sequence

from auth.people import messages, store
from auth.people.changing import erase
from auth.people.domain import new_person
from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import invoicing as heard
from contracts.auth import is_mailable
from contracts.ids import new_id


async def keep_customers(events: Sequence[Received[heard.CustomerChanged]], work: Work) -> None:
    """A customer's e-mail address makes its first contact, who may sign in."""
    known = {one.event.customer_id: one for one in events}
    await store.keep_customers(work, {customer: one.event.name for customer, one in known.items()})
    mailable = [customer for customer, one in known.items() if is_mailable(one.event.email or "")]
    for customer in sorted(await store.without_people(work, mailable)):
        email = str(known[customer].event.email)
        person = new_person(new_id(), email, work.own.pepper.account(email), work.now, customer_id=customer)
        work.cause = known[customer].cause
        if await store.insert_person(work, person):
            work.emit(messages.of(person, work.now))


async def forget_customers(events: Sequence[Received[heard.CustomerErased]], work: Work) -> None:
    await store.keep_customers(work, {one.event.customer_id: None for one in events})
    for one in events:
        work.cause = one.cause
        for person in await store.lock_customers_people(work, one.event.customer_id):
            await erase(work, person)
