"""Notify over HTTP: mails that were sent, addresses that do not exist, and what a contact wants to be mailed."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from chassis.http import set_aside
from chassis.http.bodies import StrictRoute
from chassis.http.cursors import invalid_cursor
from chassis.http.identity import Identity, allow, whose
from chassis.http.problems import Problem, conflict, not_found
from chassis.messaging.work import Cause
from chassis.running import cause_of, running_of
from chassis.tasks.queue import enqueue
from contracts.ids import is_id
from contracts.invoicing import Email
from notify import store
from notify.domain.catalogue import BY_NAME, GROUPS, Group
from notify.domain.mails import Person, State, message_id
from notify.domain.unsubscribe import read_token
from notify.mailing import MAILS
from notify.rendering.texts import Texts

router = APIRouter(route_class=StrictRoute)
router.routes.extend(set_aside.router_of("notify").routes)

ReadMails = Annotated[Identity, allow("mails:read", by="programs")]
WriteMails = Annotated[Identity, allow("mails:write", by="programs")]
ReportBounces = Annotated[Identity, allow("mails:write", by="company")]
OwnWishes = Annotated[Identity, allow("customers:read", by="contacts")]


class MailView(BaseModel):
    """What became of one mail to one person; its text is kept nowhere."""

    id: str
    kind: Annotated[str, Field(description="Which mail it is, as `invoice_issued`.")]
    state: State
    reason: Annotated[str | None, Field(description="Why it was not sent, or not yet.")]
    customer_id: str | None
    person_id: Annotated[str, Field(description="The contact, or the one of your own people, whom it is for.")]
    address: Annotated[
        str | None, Field(description="Where it went; null if it was not sent, or the person is erased.")
    ]
    language: Annotated[str | None, Field(description="The language in which it was sent, as `en`.")]
    subject: Annotated[str | None, Field(description="As it was sent.")]
    message_id: Annotated[str, Field(description="What stands before the @ of its Message-ID.")]
    attempts: Annotated[int, Field(description="How often the mail server answered to it.")]
    resends: Annotated[int, Field(description="How often somebody had it sent again.")]
    made_at: Annotated[datetime, Field(description="When its cause was heard, in UTC.")]
    sent_at: Annotated[datetime | None, Field(description="When the mail server took it, in UTC.")]


class Mails(BaseModel):
    items: list[MailView]
    next_cursor: str | None


class Bounce(BaseModel):
    """A mail came back. `message_id`: of that mail, with or without what follows the @."""

    model_config = ConfigDict(extra="forbid")

    address: Annotated[Email, Field(description="The address that does not exist.")]
    message_id: Annotated[
        str | None,
        Field(max_length=200, pattern=r"^[^\x00]*$", description="Of the mail that came back, if it is known."),
    ] = None


class Bounced(BaseModel):
    people: Annotated[int, Field(description="How many people have this address, and were not marked before.")]


class MailPreferences(BaseModel):
    """Which mails a contact wants. All others are needed, and can't be switched off."""

    model_config = ConfigDict(extra="forbid")

    invoices: Annotated[bool, Field(strict=True, description="New invoices.")] = True
    receipts: Annotated[bool, Field(strict=True, description="Payments received and refunded.")] = True
    methods: Annotated[bool, Field(strict=True, description="Saved cards that expire soon.")] = True


@router.get("/v1/mails", tags=["mails"])
async def list_mails(
    request: Request, who: ReadMails,
    customer_id: Annotated[str | None, Query(max_length=36)] = None,
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=36)] = None,
) -> Mails:  # fmt: skip
    """List mails, the newest first, with what became of each."""
    if cursor is not None and not is_id(cursor):
        raise invalid_cursor()
    found = await store.list_mails(running_of(request).reads(who), whose(customer_id, who), state, cursor, limit + 1)
    items = [MailView(**row) for row in found[:limit]]
    return Mails(items=items, next_cursor=items[-1].id if len(found) > limit else None)


@router.post("/v1/mails/{mail_id}/resend", status_code=202, tags=["mails"])
async def resend_mail(mail_id: str, request: Request, who: WriteMails) -> MailView:
    """Send a mail again, as it would be written now. A mail that waits to be sent is left as it is.

    Codes and links are not sent again: have a new one made. For the mail of an invoice, `POST /v1/payer-links` with
    `mail` does so.
    """
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        found = await store.lock_mail(work, mail_id, who.customer_id) if is_id(mail_id) else None
        if found is None:
            raise not_found("mail", mail_id)
        if found["state"] == "queued":
            return MailView(**found)
        if found["kind"] == "invoice_issued":
            raise conflict("not-sent-again", 'Its link is kept nowhere: POST /v1/payer-links with "mail": true.')
        if BY_NAME[found["kind"]].sealed:
            raise conflict("not-sent-again", "Its code, link or text is kept nowhere: have a new one made.")
        cause = await store.cause_of_mail(work, mail_id)
        again = message_id(cause, found["person_id"], found["resends"] + 1)
        if not await store.send_again(work, mail_id, again):
            raise conflict("not-sent-again", "The person whom it was for is not known any more.")
        await enqueue(work, MAILS, mail_id)
        return MailView(**(await store.lock_mail(work, mail_id, who.customer_id) or found))


@router.post("/v1/mail-bounces", status_code=202, tags=["mails"])
async def report_bounce(request: Request, body: Bounce, who: ReportBounces) -> Bounced:
    """Say that an address does not exist: nothing is sent there any more, until it is changed, but codes and links."""
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        if body.message_id is not None:
            await store.mark_mail_bounced(work, body.message_id.strip(" <>").partition("@")[0])
        return Bounced(people=await store.mark_bounced(work, body.address))


@router.delete("/v1/mail-bounces/{person_id}", status_code=204, response_class=Response, tags=["mails"])
async def clear_bounce(person_id: str, request: Request, who: ReportBounces) -> Response:
    """Send to the address of this contact, or of one of your own people, again. Call it once the address exists."""
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        if not is_id(person_id) or not await store.clear_bounce(work, person_id):
            raise not_found("person with an address that came back", person_id)
    return Response(status_code=204)


@router.get("/v1/mail-preferences", tags=["mails"])
async def get_mail_preferences(request: Request, who: OwnWishes) -> MailPreferences:
    """Show which mails a contact wants; of the contact who asks."""
    unwanted = await store.find_unwanted(running_of(request).reads(who), _contact(who))
    return MailPreferences(**{group: group not in unwanted for group in GROUPS})


@router.put("/v1/mail-preferences", tags=["mails"])
async def set_mail_preferences(request: Request, body: MailPreferences, who: OwnWishes) -> MailPreferences:
    """Choose which mails a contact wants; of the contact who asks."""
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        await store.want(work, _contact(who), who.customer_id, body.model_dump())
    return body


def _contact(who: Identity) -> str:
    if who.kind != "contact":
        raise Problem(status=403, slug="forbidden", detail="Only a customer's contact has preferences of mails.")
    return who.subject


@router.get("/v1/unsubscribe/{token}", response_class=HTMLResponse, tags=["mails"])
async def ask_unsubscribe(token: str, request: Request) -> HTMLResponse:
    """The page that the link in a mail opens. To open it changes nothing, because programs open links, too."""
    person, _ = await _of_token(request, token)
    texts: Texts = running_of(request).own.texts
    return HTMLResponse(texts.page(person.language, secrets.token_urlsafe(16)))


@router.post("/v1/unsubscribe/{token}", status_code=204, response_class=Response, tags=["mails"])
async def unsubscribe(token: str, request: Request) -> Response:
    """Stop the mails of one group to one person: what a mail program sends at one click (RFC 8058)."""
    person, group = await _of_token(request, token)
    async with running_of(request).units.begin(Cause(actor="system:unsubscribe")) as work:
        await store.want(work, person.id, person.customer_id, {group: False})
    return Response(status_code=204)


async def _of_token(request: Request, token: str) -> tuple[Person, Group]:
    running: Any = running_of(request)
    read = read_token(running.settings.unsubscribe_secret.get_secret_value().encode(), token)
    person = await store.find_person(running.pool, read[0]) if read else None
    if read is None or person is None:
        raise not_found("such link", token[:8])
    return person, read[1]
