"""The session under way, the others of the same person, and proving again who one is."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from auth.edge import SignedIn
from auth.own import Own
from auth.people import store as people
from auth.people.domain import VISIT_SCOPES, Person
from auth.signin import store
from auth.signin.api import codes
from auth.signin.api.cookies import browser_of, clear_session, set_session
from auth.signin.api.shapes import (
    CustomerView,
    Sessions,
    SessionView,
    StaffView,
    StepUp,
    Switch,
    Taken,
    code_refused,
    person_view,
    session_item,
    user_agent,
)
from auth.signin.api.views import view_of
from auth.signin.domain import Session
from auth.signin.entering import end_visits, enter, leave
from auth.visits.store import load_visit
from chassis.http.bodies import NOT_KEPT, StrictRoute
from chassis.http.identity import Identity, step_up_required, unauthenticated
from chassis.http.problems import Problem, not_found
from chassis.running import Running, cause_of, running_of
from contracts.ids import is_id

router = APIRouter(route_class=StrictRoute)


async def own_session(request: Request, who: Identity) -> tuple[Session, Person]:
    """The caller's session with its person. A 403 problem for programs, and for who looks as a customer."""
    if who.session is None or who.acting_for is not None:
        raise Problem(status=403, slug="forbidden", detail="This is for a person who signed in.")
    reads = running_of(request).pool
    session = await store.load_session(reads, who.session)
    person = await people.load_person(reads, who.subject)
    if session is None or person is None or session.ended_at or not person.enabled:
        raise unauthenticated("The session has ended: sign in again.")
    return session, person


@router.get("/v1/session")
async def read_session(request: Request, who: SignedIn) -> SessionView:
    """Who is signed in, what they may do, and until when.

    Below `/as/<grant>/` it is the visit: `staff` looks as `customer`.
    """
    if who.acting_for is not None:
        return await _visit(request, who)
    session, person = await own_session(request, who)
    return await view_of(running_of(request).pool, session, person)


async def _visit(request: Request, who: Identity) -> SessionView:
    reads = running_of(request).pool
    visit = await load_visit(reads, str(who.session))
    person = await people.load_person(reads, who.subject)
    if visit is None or person is None or person.role is None or not person.enabled:
        raise unauthenticated("The visit has ended.")
    names = await people.customer_names(reads, [visit.customer_id])
    return SessionView(
        kind="staff", staff=StaffView(**person_view(person), role=person.role), scopes=sorted(VISIT_SCOPES), csrf="1",
        customer=CustomerView(id=visit.customer_id, name=names.get(visit.customer_id)), expires_at=visit.expires_at,
        ends_at=visit.expires_at, grant=visit.id, reason=visit.reason,
    )  # fmt: skip


@router.delete("/v1/session", status_code=204, response_class=Response)
async def sign_out(request: Request, who: SignedIn) -> Response:
    """Sign out: the session is refused everywhere within a second."""
    session, person = await own_session(request, who)
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        await leave(work, [person.id], only=session.id)
        await end_visits(work, [person.id])
    answer = Response(status_code=204)
    clear_session(answer)
    return answer


@router.get("/v1/sessions")
async def list_sessions(request: Request, who: SignedIn) -> Sessions:
    """List your sessions, the newest first."""
    _, person = await own_session(request, who)
    here = running_of(request)
    found = await store.living_sessions(here.pool, [person.id], here.clock.now())
    return Sessions(items=[session_item(one, who.session) for one in found])


@router.delete("/v1/sessions/{session_id}", status_code=204, response_class=Response)
async def end_session(request: Request, session_id: str, who: SignedIn) -> Response:
    """End one of your sessions. It is refused everywhere within a second."""
    _, person = await own_session(request, who)
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        gone = await leave(work, [person.id], only=session_id) if is_id(session_id) else []
    if not gone:
        raise not_found("session", session_id)
    return Response(status_code=204)


@router.post("/v1/session/step-up", responses={202: {"model": Taken}}, dependencies=[NOT_KEPT])
async def prove_again(request: Request, body: StepUp, who: SignedIn, response: Response) -> SessionView | Taken:
    """Prove again who you are: without `code` one is mailed to you (202), with it a fresh session replaces this one.

    Adding methods, switching autopay on and changing the password need this after 30 minutes, and always after
    signing in by a payer link.
    """
    session, person = await own_session(request, who)
    here: Running[Own] = running_of(request)
    if body.code is None:
        await codes.wish_for_code(request, response, str(person.email), session_id=session.id)
        response.status_code = 202
        return Taken(detail="A code is on its way to your address. It works once, for 10 minutes.")
    browser = here.own.pepper.browser(browser_of(request))
    async with here.units.begin(cause_of(request, who)) as work:
        entered = None
        guess = await codes.proved(work, here.own, browser, session.id, code=body.code)
        if guess.one is not None:
            await leave(work, [person.id], only=session.id)
            entered = await enter(
                work, here.own, person, browser=session.browser, user_agent=user_agent(request), proved_at=work.now,
                link_id=session.link_id,
            )  # fmt: skip
    if entered is None:
        raise code_refused(guess.tries_left)
    set_session(response, entered[1])
    return await view_of(here.pool, entered[0], person)


@router.post("/v1/session/switch", dependencies=[NOT_KEPT])
async def switch_customer(request: Request, body: Switch, who: SignedIn, response: Response) -> SessionView:
    """Go on as the same address's contact of another customer. The present session ends."""
    session, person = await own_session(request, who)
    if session.proved_at is None:
        raise step_up_required()
    here: Running[Own] = running_of(request)
    others = await people.of_account(here.pool, person.account or b"")
    other = next((one for one in others if one.id == body.contact_id), None)
    if other is None:
        raise not_found("contact", body.contact_id)
    async with here.units.begin(cause_of(request, who)) as work:
        await leave(work, [person.id], only=session.id)
        entered = await enter(
            work, here.own, other, browser=session.browser, user_agent=user_agent(request),
            proved_at=session.proved_at, link_id=session.link_id, ends=session.expires_at,
        )  # fmt: skip
        if entered is None:
            raise not_found("contact", body.contact_id)
    set_session(response, entered[1])
    return await view_of(here.pool, entered[0], other)
