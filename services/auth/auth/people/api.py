"""Contacts and staff over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, StringConstraints

from auth.edge import Before, Strict
from auth.keys.domain import Maker
from auth.own import Own
from auth.people import messages, store
from auth.people.changing import erase, move, save
from auth.people.domain import (
    DEFAULT_LANGUAGE,
    MOST_CONTACTS,
    OWN_SCOPE,
    Person,
    beyond_own_rights,
    last_administrator,
    new_person,
)
from auth.signin.domain import INVITATION
from auth.signin.entering import send_link
from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity, allow, whose
from chassis.http.problems import Problem, conflict, not_found, problem_of
from chassis.messaging.work import Work
from chassis.running import Running, cause_of, running_of
from contracts.auth import Language, MailAddress, Role
from contracts.ids import is_id, new_id
from contracts.normal import Name

router = APIRouter(route_class=StrictRoute)

ReadContacts = Annotated[Identity, allow("contacts:read")]
WriteContacts = Annotated[Identity, allow("contacts:write")]
ChangeContacts = Annotated[Identity, allow("contacts:write", also=OWN_SCOPE)]
ReadStaff = Annotated[Identity, allow("staff:read", by="company")]
WriteStaff = Annotated[Identity, allow("staff:write", by="company")]
Limit = Annotated[int, Query(ge=1, le=100)]
Chosen = Annotated[str, StringConstraints(pattern="^(en|es)$")]


class NewContact(Strict):
    customer_id: str
    email: MailAddress
    name: Name | None = None
    language: Chosen = DEFAULT_LANGUAGE
    enabled: bool = True


class Change(Strict):
    name: Name | None = None
    language: Chosen | None = None
    enabled: bool | None = None


class ContactChange(Change):
    email: MailAddress | None = None


class ContactView(BaseModel):
    id: str
    customer_id: str
    email: str
    name: str | None
    language: Language
    enabled: bool
    created_at: datetime


class Contacts(BaseModel):
    items: list[ContactView]
    next_cursor: str | None


class Invitation(BaseModel):
    """`expires_at`: from then on the link of the mail is refused."""

    contact_id: str
    expires_at: datetime


class NewStaff(Strict):
    email: MailAddress
    name: Name | None = None
    role: Role
    language: Chosen = DEFAULT_LANGUAGE


class StaffChange(Change):
    role: Role | None = None


class StaffMember(BaseModel):
    id: str
    email: str
    name: str | None
    role: Role
    language: Language
    enabled: bool
    created_at: datetime


class Staff(BaseModel):
    items: list[StaffMember]
    next_cursor: str | None


def contact_view(person: Person) -> ContactView:
    return ContactView(
        id=person.id, customer_id=str(person.customer_id), email=str(person.email), name=person.name,
        language=person.language, enabled=person.enabled, created_at=person.created_at,
    )  # fmt: skip


def staff_view(person: Person) -> StaffMember:
    assert person.role is not None, "staff have a role"
    return StaffMember(
        id=person.id, email=str(person.email), name=person.name, role=person.role, language=person.language,
        enabled=person.enabled, created_at=person.created_at,
    )  # fmt: skip


@router.get("/v1/contacts")
async def list_contacts(
    request: Request, who: ReadContacts, cursor: Before, customer_id: str | None = None, limit: Limit = 20
) -> Contacts:
    """List the contacts of a customer, or of all, the newest first."""
    found = await store.page_of_contacts(running_of(request).pool, whose(customer_id, who), cursor, limit + 1)
    items = [contact_view(person) for person in found[:limit]]
    return Contacts(items=items, next_cursor=items[-1].id if len(found) > limit else None)


@router.post("/v1/contacts", status_code=201)
async def add_contact(request: Request, body: NewContact, who: WriteContacts) -> ContactView:
    """Add a contact to a customer. An enabled contact signs in with a code by e-mail at once, or is invited first."""
    whose(body.customer_id, who)
    here: Running[Own] = running_of(request)
    async with here.units.begin(cause_of(request, who)) as work:
        if not await store.customer_known(work.connection, body.customer_id):
            raise not_found("customer", body.customer_id)
        if await store.living_contacts(work, body.customer_id) >= MOST_CONTACTS:
            raise conflict("too-many-contacts", f"This customer has {MOST_CONTACTS} contacts: erase some first.")
        person = new_person(
            new_id(), body.email, here.own.pepper.account(body.email), work.now, customer_id=body.customer_id,
            name=body.name, language=body.language, enabled=body.enabled,
        )  # fmt: skip
        if not await store.insert_person(work, person):
            raise email_taken()
        work.emit(messages.of(person, work.now))
    return contact_view(person)


@router.patch("/v1/contacts/{contact_id}")
async def change_contact(request: Request, contact_id: str, body: ContactChange, who: ChangeContacts) -> ContactView:
    """Change a contact's name, address, language, or if it may sign in. Who is disabled is refused within a second.

    Contacts change their own name and language. A contact with a new address signs in anew, with a code to it.
    """
    own = who.subject == contact_id and body.enabled is None and body.email is None
    if not own and not who.may("contacts:write"):
        raise Problem(status=403, slug="scope-missing", detail="This needs the scope contacts:write.")
    here: Running[Own] = running_of(request)
    account = here.own.pepper.account(body.email) if body.email else None
    try:
        async with here.units.begin(cause_of(request, who)) as work:
            person = await _contact(work, contact_id, who)
            after = person.changed(
                name=body.name, language=body.language, enabled=body.enabled, email=body.email, account=account
            )
            await move(work, person, after)
    except asyncpg.UniqueViolationError:
        raise email_taken() from None
    return contact_view(after)


def email_taken() -> Problem:
    return conflict("email-taken", "This customer has a contact with this address already.")


@router.delete("/v1/contacts/{contact_id}", status_code=204, response_class=Response)
async def erase_contact(request: Request, contact_id: str, who: WriteContacts) -> Response:
    """Erase a contact: name, address and password go everywhere, also from mails sent. Invoices and payments stay."""
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        await erase(work, await _contact(work, contact_id, who))
    return Response(status_code=204)


@router.post("/v1/contacts/{contact_id}/invitations", status_code=202)
async def invite_contact(request: Request, contact_id: str, who: WriteContacts) -> Invitation:
    """Mail a contact a link to choose a password. It lasts 72 hours; sending again ends the one before."""
    here: Running[Own] = running_of(request)
    async with here.units.begin(cause_of(request, who)) as work:
        person = await _contact(work, contact_id, who)
        if not person.enabled:
            raise conflict("contact-disabled", "This contact is disabled: enable it first.")
        made = await send_link(work, here.own, person, "invitation", INVITATION)
    return Invitation(contact_id=person.id, expires_at=made.expires_at)


async def _contact(work: Work, contact_id: str, who: Identity) -> Person:
    """The contact, locked; a 404 problem if the caller sees none of this id."""
    person = await store.lock_person(work, contact_id) if is_id(contact_id) else None
    if person is None or person.kind != "contact" or person.erased_at or not who.sees(person.customer_id):
        raise not_found("contact", contact_id)
    return person


@router.get("/v1/staff")
async def list_staff(request: Request, who: ReadStaff, cursor: Before, limit: Limit = 20) -> Staff:
    """List the company's own people, the newest first."""
    found = await store.page_of_staff(running_of(request).pool, cursor, limit + 1)
    items = [staff_view(person) for person in found[:limit]]
    return Staff(items=items, next_cursor=items[-1].id if len(found) > limit else None)


@router.post("/v1/staff", status_code=201)
async def add_staff(request: Request, body: NewStaff, who: WriteStaff) -> StaffMember:
    """Add one of the company's people, who is invited by e-mail and signs in with a code.

    You can't give a role that may do more than you: a key needs the scope `*` to add an administrator.
    """
    here: Running[Own] = running_of(request)
    if refusal := beyond_own_rights(Maker(who.subject, who.scopes), body.role):
        raise problem_of(refusal)
    async with here.units.begin(cause_of(request, who)) as work:
        person = await invite_staff(work, here.own, body.email, body.name, body.role, body.language)
    if person is None:
        raise conflict("email-taken", "One of the company's people has this address already.")
    return staff_view(person)


async def invite_staff(
    work: Work, own: Own, email: str, name: str | None, role: Role, language: str = DEFAULT_LANGUAGE
) -> Person | None:
    """Add somebody and have the invitation mailed. None: there is one of this address."""
    account = own.pepper.account(email)
    person = new_person(new_id(), email, account, work.now, role=role, name=name, language=language)
    if not await store.insert_person(work, person):
        return None
    work.emit(messages.of(person, work.now))
    await send_link(work, own, person, "invitation", INVITATION)
    return person


@router.patch("/v1/staff/{staff_id}")
async def change_staff(request: Request, staff_id: str, body: StaffChange, who: WriteStaff) -> StaffMember:
    """Change the role of one of the company's people, name, language, or whether they may sign in.

    You can't change somebody who may do more than you, nor give a role that does. One enabled administrator remains.
    """
    if who.subject == staff_id and (body.enabled is False or body.role):
        raise conflict(
            "not-oneself", "Nobody disables themselves or changes their own role: ask another administrator."
        )
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        administrators = await store.lock_administrators(work)
        person = await _staff_member(work, staff_id)
        after = person.changed(name=body.name, language=body.language, enabled=body.enabled, role=body.role)
        roles = [one.role for one in (person, after) if one.role]
        maker = Maker(who.subject, who.scopes)
        if refusal := beyond_own_rights(maker, *roles) or last_administrator(person, after, administrators):
            raise problem_of(refusal)
        await save(work, person, after)
    return staff_view(after)


async def _staff_member(work: Work, staff_id: str) -> Person:
    """One of the company's people, locked; a 404 problem if there is none of this id."""
    person = await store.lock_person(work, staff_id) if is_id(staff_id) else None
    if person is None or person.kind != "staff" or person.erased_at:
        raise not_found("person", staff_id)
    return person
