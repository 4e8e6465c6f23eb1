"""Changes of people that several ways lead to: disable, erase."""

from __future__ import annotations

from auth.people import messages, store
from auth.people.domain import Person
from auth.signin.entering import leave
from auth.visits import store as visits
from chassis.messaging.work import Work


async def save(work: Work, before: Person, after: Person) -> None:
    """Save a changed person. Who is disabled is signed out everywhere."""
    if after == before:
        return
    await store.save_person(work, after)
    work.emit(messages.of(after, work.now))
    if not after.enabled:
        await leave(work, [after.id])
        gone = await visits.end_visits(work, after.id)
        work.emit(*(messages.ended(visit_id, customer_id, work.now) for visit_id, customer_id in gone))


async def erase(work: Work, person: Person) -> None:
    """Forget a person's name, address, password and devices. What they did stays, under their id."""
    await save(work, person, person.erased(work.now))
    await store.forget(work, person)
