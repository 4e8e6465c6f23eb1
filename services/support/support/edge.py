"""What all requests of support share: who may ask, on which side; answers; what other services made a moment ago."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chassis.db.reads import Reads
from chassis.http import idempotency
from chassis.http.identity import Identity, allow
from chassis.http.problems import Problem, not_found, problem_of
from chassis.messaging.work import Work
from chassis.running import cause_of, running_of
from contracts.refusals import Refusal
from support.tickets.domain import Author, Ticket

ReadTickets = Annotated[Identity, allow("tickets:read", by="everybody")]
OpenTickets = Annotated[Identity, allow("tickets:write", by="everybody")]  # also for a customer whom one looks as
OwnTickets = Annotated[Identity, allow("tickets:write", by="contacts")]
ReadAsCompany = Annotated[Identity, allow("tickets:read", by="company")]
WorkTickets = Annotated[Identity, allow("tickets:write", by="company")]
OptionalKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)]

ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"  # it becomes the subject of mails
Subject = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=ONE_LINE)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")]


FileIds = Annotated[list[str], Field(max_length=10)]


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


def author_of(who: Identity) -> Author:
    """Whoever asks for one customer is on the customer's side, also one of the company's people who looks as it."""
    return Author("company" if who.customer_id is None else "customer", who.kind, who.subject, who.acting_for)


def author_on_invoice(who: Identity) -> Author:
    """Who asks about an invoice or disputes it. A program does so for the customer, as nobody else would answer it."""
    author = author_of(who)
    return replace(author, side="customer") if author.kind == "system" else author


def answer(body: Any, status: int = 200, seen: str | None = None) -> Response:
    headers = {"Paidup-Seen": seen} if seen else None
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


Effect = Callable[[Work], Awaitable[Ticket]]
Show = Callable[[Reads, Reads, str, Identity], Awaitable[Any]]


async def once(
    request: Request, who: Identity, route: str, key_text: str | None, asked: Asked, do: Effect, show: Show
) -> Response:
    """Write in a ticket, or open one, in one transaction, with the id of the ticket under the key of the request.

    The same request again shows that ticket as it is now and as this caller sees it. A thread can be long, so no copy
    of it is kept. `route`: with the ids of its path. Without a key the request is carried out each time.
    """
    running = running_of(request)

    async def written(work: Work) -> tuple[str, Response]:
        try:
            ticket = await do(work)
        except Refusal as refusal:
            raise problem_of(refusal) from None
        shown = await show(work.connection, work.connection, ticket.id, who)
        return ticket.id, answer(shown, 201, seen=f"{ticket.id}:{ticket.sequence}")

    async def again(stored: Mapping[str, Any]) -> Response:
        replayed = idempotency.replay(stored, key)
        ticket_id = orjson.loads(replayed.body)["id"]
        replayed.body = orjson.dumps(await show(running.reads(who), running.pool, ticket_id, who))
        replayed.headers["Content-Length"] = str(len(replayed.body))
        return replayed

    if key_text is None:
        async with running.units.begin(cause_of(request, who)) as work:
            return (await written(work))[1]
    print_ = idempotency.fingerprint({"route": route, **asked.model_dump(mode="json")})
    name = "POST " + request.scope["route"].path
    key = idempotency.Key(who.key_owner, name, idempotency.checked(key_text), print_)
    stored = await idempotency.find(running.pool, key)
    if stored is not None:
        return await again(stored)
    try:
        async with running.units.begin(cause_of(request, who)) as work:
            ticket_id, response = await written(work)
            kept, seen = orjson.dumps({"id": ticket_id}), response.headers["Paidup-Seen"]
            await idempotency.keep(work, key, response.status_code, kept, seen)
            return response
    except asyncpg.LockNotAvailableError:
        raise idempotency.still_running() from None
    except asyncpg.UniqueViolationError:  # the key got its answer in this very moment
        stored = await idempotency.find(running.pool, key)
        if stored is None:
            raise
        return await again(stored)


def only_for_company(who: Identity) -> None:
    if who.customer_id is not None:
        raise Problem(status=403, slug="forbidden", detail="Only the company writes internal notes.")


def no_ticket(ticket_id: str) -> Problem:
    return not_found("ticket", ticket_id)
