"""Changes of people that several ways lead to: disable, erase."""

from __future__ import annotations

from auth.people import messages, store
from auth.people.domain import Person
from auth.signin.entering import end_visits, leave
from chassis.messaging.work import Work


async def save(work: Work, before: Person, after: Person) -> None:
    """Save a changed person. Who is disabled, or gets another role or address, is signed out everywhere."""
    if after == before:
        return
    await store.save_person(work, after)
    work.emit(messages.of(after, work.now))
    if not after.enabled or after.role != before.role or after.account != before.account:
        await leave(work, [after.id])
        await end_visits(work, [after.id])


async def move(work: Work, before: Person, after: Person) -> None:
    """Save a person with another address. What was mailed to the old address opens nothing any more."""
    await save(work, before, after)
    if after.account != before.account:
        await store.forget(work, before)


async def erase(work: Work, person: Person) -> None:
    """Forget a person's name, address, password and devices. What they did stays, under their id."""
    await save(work, person, person.erased(work.now))
    await store.forget(work, person)
