"""The events of people."""

from __future__ import annotations

from datetime import datetime

from auth.people.domain import Person
from contracts.auth import ContactChanged, ContactErased, CredentialEnded, NoticeState, StaffChanged
from contracts.envelope import Event, Message, message


def of(person: Person, now: datetime) -> Message:
    """The person after its newest change."""
    return message(_event(person), sequence=person.sequence, time=now, customer=person.customer_id)


def _event(person: Person) -> Event:
    if person.email is None:
        return ContactErased(contact_id=person.id)
    if person.customer_id is None:
        assert person.role is not None, "staff have a role"
        return StaffChanged(
            staff_id=person.id, email=person.email, name=person.name, language=person.language, role=person.role,
            enabled=person.enabled,
        )  # fmt: skip
    return ContactChanged(
        contact_id=person.id, customer_id=person.customer_id, email=person.email, name=person.name,
        language=person.language, enabled=person.enabled,
    )  # fmt: skip


def notice(
    what: type[NoticeState], person: Person, sealed: str, *, now: datetime, expires_at: datetime | None = None
) -> Message:
    """What the person is mailed at once. `person.notices` counts this one, too."""
    event = what(person_id=person.id, sealed=sealed, expires_at=expires_at)
    return message(event, sequence=person.notices, time=now, customer=person.customer_id)


def ended(session_id: str, customer_id: str | None, now: datetime) -> Message:
    """A session or a visit is over. The gateway hears it."""
    return message(
        CredentialEnded(credential_id=session_id, kind="session"), sequence=1, time=now, customer=customer_id
    )
