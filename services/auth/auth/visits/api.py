"""Visits over HTTP: begin, end, and who looked at a customer's portal."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, StringConstraints

from auth.edge import Before, Strict
from auth.hashes import new_token, sha256
from auth.own import Own
from auth.people import messages
from auth.people import store as people
from auth.signin.api.cookies import set_cookie
from auth.visits import store
from auth.visits.domain import LASTS, Visit
from chassis.http.bodies import NOT_KEPT, StrictRoute
from chassis.http.identity import Identity, allow, unauthenticated, whose
from chassis.http.problems import Problem, not_found
from chassis.running import Running, cause_of, running_of
from contracts.auth import VISIT_COOKIE
from contracts.ids import is_id, new_id

router = APIRouter(route_class=StrictRoute)
WriteVisits = Annotated[Identity, allow("visits:write")]
ReadVisits = Annotated[Identity, allow("visits:read")]


class NewVisit(Strict):
    customer_id: str
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500, pattern=r"^[^\x00]*$")
    ]


class BegunVisit(BaseModel):
    """`path`: where the portal opens as this customer, in this browser."""

    id: str
    path: str
    expires_at: datetime


class VisitView(BaseModel):
    id: str
    by: str
    reason: str
    made_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    requests: int


class Visits(BaseModel):
    items: list[VisitView]
    next_cursor: str | None


@router.post("/v1/visits", status_code=201, dependencies=[NOT_KEPT])
async def begin_visit(request: Request, body: NewVisit, who: WriteVisits, response: Response) -> BegunVisit:
    """Look at the portal as a customer sees it, until `expires_at`. Needs one of the company's people.

    Nothing is changed there, but tickets and questions are written for the customer.

    The reason and each request are kept, and the customer sees who looked and why. Sets a cookie for `path` alone.
    """
    if who.kind != "staff" or who.acting_for is not None or who.session is None:
        raise Problem(status=403, slug="forbidden", detail="Only one of the company's people looks as a customer.")
    here: Running[Own] = running_of(request)
    if not is_id(body.customer_id) or not await people.customer_known(here.pool, body.customer_id):
        raise not_found("customer", body.customer_id)
    person = await people.load_person(here.pool, who.subject)
    if person is None or not person.enabled:
        raise unauthenticated("The session has ended: sign in again.")
    text = new_token()
    async with here.units.begin(cause_of(request, who)) as work:
        visit = Visit(
            new_id(), sha256(text), who.subject, body.customer_id, body.reason, work.now, work.now + LASTS,
            person.name or str(person.email),
        )  # fmt: skip
        await store.insert_visit(work, visit)
    path = f"/as/{visit.id}/"
    set_cookie(response, VISIT_COOKIE, text, int(LASTS.total_seconds()), path)
    return BegunVisit(id=visit.id, path=path, expires_at=visit.expires_at)


@router.delete("/v1/visits/{visit_id}", status_code=204, response_class=Response)
async def end_visit(request: Request, visit_id: str, who: WriteVisits) -> Response:
    """Stop looking. The visit is refused everywhere within a second."""
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        gone = await store.end_visits(work, who.subject, visit_id) if is_id(visit_id) and is_id(who.subject) else []
        work.emit(*(messages.ended(one, customer, work.now) for one, customer in gone))
    if not gone:
        raise not_found("visit", visit_id)
    return Response(status_code=204)


@router.get("/v1/customers/{customer_id}/visits")
async def list_visits(
    request: Request, customer_id: str, who: ReadVisits, cursor: Before, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Visits:
    """List who looked at a customer's portal, and why, the newest first."""
    whose(customer_id, who)
    found = await store.page_of_visits(running_of(request).reads(who), customer_id, cursor, limit + 1)
    items = [
        VisitView(
            id=one["id"], by=one["called"], reason=one["reason"], made_at=one["made_at"],
            expires_at=one["expires_at"], ended_at=one["ended_at"], requests=one["requests"],
        )
        for one in found[:limit]
    ]  # fmt: skip
    return Visits(items=items, next_cursor=items[-1].id if len(found) > limit else None)
