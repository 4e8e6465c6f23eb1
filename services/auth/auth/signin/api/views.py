"""A session as its browser needs it."""

from __future__ import annotations

from datetime import timedelta

from auth.people import store as people
from auth.people.domain import Person
from auth.signin.api.shapes import CustomerView, OtherContact, PersonView, SessionView, StaffView, person_view
from auth.signin.domain import Session
from chassis.db.reads import Reads
from chassis.http.identity import FRESH_SECONDS


async def view_of(reads: Reads, session: Session, person: Person) -> SessionView:
    """The session with its person and customer; `others` only for who has proved more than a payer link does."""
    proof = session.proved_at + timedelta(seconds=FRESH_SECONDS) if session.proved_at else None
    common = {
        "kind": person.kind, "scopes": sorted(person.scopes), "csrf": "1", "expires_at": session.until,
        "ends_at": session.expires_at, "proof_until": proof,
    }  # fmt: skip
    if person.role is not None:
        return SessionView(**common, staff=StaffView(**person_view(person), role=person.role))
    assert person.account is not None, "an erased person has no session"
    assert person.customer_id is not None, "a contact has a customer"
    every = [one for one in await people.of_account(reads, person.account) if one.customer_id and session.proved_at]
    names = await people.customer_names(reads, [person.customer_id, *(str(one.customer_id) for one in every)])
    others = [
        OtherContact(contact_id=one.id, customer=CustomerView(id=one.customer_id, name=names.get(one.customer_id)))
        for one in every if one.customer_id and one.id != person.id
    ]  # fmt: skip
    customer = CustomerView(id=person.customer_id, name=names.get(person.customer_id))
    return SessionView(**common, contact=PersonView(**person_view(person)), customer=customer, others=others)
