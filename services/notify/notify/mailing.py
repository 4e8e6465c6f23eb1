"""Makes mails of events: one row and one task for each recipient, in the transaction that hears the event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from chassis.messaging.work import Work
from chassis.tasks.queue import enqueue
from contracts.ids import new_id
from notify import store
from notify.domain.catalogue import BY_NAME
from notify.domain.mails import Person, message_id, recipients

MAILS, AT_ONCE, UNADDRESSED = "mails", "mails-at-once", "address-mails"
NO_CONTACT_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is to be mailed, before it is known to whom.

    `person_id`: to that person; `people`: to each of them; `staff`: to one of the company's people, by id or address.
    Else to contacts of `customer_id`, to `payer` alone if that is one of them.
    """

    cause: str
    kind: str
    facts: Mapping[str, Any]
    sealed: str | None = None
    expires_at: datetime | None = None
    person_id: str | None = None
    people: Sequence[str] = ()
    staff: str | None = None
    customer_id: str | None = None
    payer: str | None = None


async def mail(occasions: Sequence[Occasion], work: Work) -> None:
    """Address each occasion and write its mails. Who is not known yet may become known in the next seconds."""
    customers = sorted({one.customer_id for one in occasions if one.customer_id})
    contacts: dict[str | None, list[Person]] = defaultdict(list)
    for person in await store.contacts_of(work, customers) if customers else []:
        contacts[person.customer_id].append(person)
    rows: list[tuple[Any, ...]] = []
    waiting: list[tuple[str | None, str | None, str]] = []
    for one in occasions:
        if one.person_id is not None:
            rows.append(_row(one, one.person_id))
        elif one.people:
            rows += [_row(one, person_id) for person_id in one.people]
        elif one.staff is not None:
            called = await store.staff_called(work, one.staff)
            rows += [_row(one, staff_id) for staff_id in called]
            waiting += [] if called else [(None, one.staff, written(one))]
        elif contacts[one.customer_id]:
            rows += [_row(one, to.id) for to in recipients(contacts[one.customer_id], one.payer)]
        elif one.customer_id is not None:
            waiting.append((one.customer_id, None, written(one)))
    await store.add_unaddressed(work, waiting, work.now + NO_CONTACT_FOR)
    for mail_id, at_once in await store.add_mails(work, rows):
        await enqueue(work, AT_ONCE if at_once else MAILS, mail_id)


def _row(one: Occasion, person_id: str) -> tuple[Any, ...]:
    return (
        new_id(), one.cause, person_id, one.customer_id, one.kind, BY_NAME[one.kind].at_once,
        orjson.dumps(one.facts).decode(), one.sealed, one.expires_at, message_id(one.cause, person_id),
    )  # fmt: skip


def written(one: Occasion) -> str:
    return orjson.dumps({name: getattr(one, name) for name in Occasion.__slots__}).decode()


def read(found: Mapping[str, Any]) -> Occasion:
    ends = found["expires_at"]
    return Occasion(**{**found, "expires_at": datetime.fromisoformat(ends) if ends else None})
