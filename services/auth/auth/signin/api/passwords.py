"""Passwords: register from an invitation, sign in, change, forget."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from auth.edge import SignedIn
from auth.own import Own
from auth.people import store as people
from auth.people.domain import Person
from auth.signin import store
from auth.signin.api.cookies import client_of, counted_as, known_browser, set_session
from auth.signin.api.sessions import own_session
from auth.signin.api.shapes import (
    Address,
    AddressAndPassword,
    JustPassword,
    JustToken,
    SessionView,
    Taken,
    TokenAndPassword,
    bad_password,
    link_ended,
    password_refused,
    too_many_tries,
    user_agent,
)
from auth.signin.api.views import view_of
from auth.signin.domain import CONFIRMATION, MailToken
from auth.signin.entering import end_visits, enter, leave, send_link
from auth.signin.jobs import MAKE_RESETS
from chassis.http.bodies import StrictRoute
from chassis.http.identity import need_fresh
from chassis.messaging.work import Cause, Work
from chassis.running import Running, cause_of, running_of
from chassis.tasks.queue import enqueue
from contracts.ids import new_id

router = APIRouter(route_class=StrictRoute)


@router.post("/v1/sign-in/password")
async def sign_in_by_password(request: Request, body: AddressAndPassword, response: Response) -> SessionView:
    """Sign in with a password. Sets the cookies `__Host-paidup-session` and `__Host-paidup-browser`."""
    here: Running[Own] = running_of(request)
    own, account = here.own, here.own.pepper.account(body.email)
    browser = own.pepper.browser(known_browser(request, response))
    async with here.units.begin(Cause()) as work:
        client, budget = await counted_as(work, request, own, account, browser)
        taken = await store.count_try(work, client)
        guess_left = taken and await store.guess_password(work, account, budget, work.clock.today())
        kept = await store.hold_password(work, account) if taken else None
    if not taken:
        raise too_many_tries()
    right = await own.hasher.matches(body.password, kept)  # also when there is no password, and no guess left
    if not right or not guess_left:
        raise password_refused()
    async with here.units.begin(Cause()) as work:
        await store.forgive_try(work, client, work.now)
        await store.forgive_guess(work, account, "password", budget, work.clock.today())
        who = await people.of_account(work.connection, account)
        entered = who and await enter(
            work, own, who[0], browser=browser, user_agent=user_agent(request), proved_at=work.now
        )
        if not entered or await store.hold_password(work, account) != kept:  # it was changed meanwhile
            raise password_refused()
        view = await view_of(work.connection, entered[0], who[0])
    set_session(response, entered[1])
    return view


@router.post("/v1/registrations", status_code=202)
async def register(request: Request, body: TokenAndPassword) -> Taken:
    """Choose a password with the link of an invitation. A second mail confirms the address; then it can be used.

    An invitation lasts 72 hours, and ends when a newer one is sent.
    """
    here: Running[Own] = running_of(request)
    digest = here.own.pepper.token(body.token)
    kept = await _chosen(here, digest, "invitation", body.password)
    async with here.units.begin(Cause()) as work:
        _, person = await _opened(work, digest, "invitation")
        await send_link(work, here.own, person, "confirmation", CONFIRMATION, password=kept)
    return Taken(detail="A mail is on its way to you. Open its link to confirm your address, then sign in.")


@router.post("/v1/registrations/confirm", status_code=204, response_class=Response)
async def confirm_registration(request: Request, body: JustToken) -> Response:
    """Confirm the address with the link of the second mail. From then on the password can be used."""
    here: Running[Own] = running_of(request)
    async with here.units.begin(Cause()) as work:
        token, person = await _opened(work, here.own.pepper.token(body.token), "confirmation")
        assert token.password is not None, "a confirmation holds a password"
        await _set_password(work, person, token.password)
        await store.end_tokens(work, [person.id], "invitation")
    return Response(status_code=204)


@router.post("/v1/password/forgot", status_code=202)
async def forget_password(request: Request, body: Address) -> Taken:
    """Ask for a link to choose a new password. It lasts 30 minutes. The answer is the same for every address."""
    here: Running[Own] = running_of(request)
    async with here.units.begin(Cause()) as work:
        taken = await store.count_try(work, client_of(request, here.own))
        if taken:
            account = here.own.pepper.account(body.email).hex()
            await enqueue(work, MAKE_RESETS, new_id(), {"account": account})
    if not taken:
        raise too_many_tries()
    return Taken(detail="If this address can sign in here, a link is on its way. It works once, for 30 minutes.")


@router.post("/v1/password/reset", status_code=204, response_class=Response)
async def reset_password(request: Request, body: TokenAndPassword) -> Response:
    """Choose a new password with the link of the mail. All sessions of the address end."""
    here: Running[Own] = running_of(request)
    digest = here.own.pepper.token(body.token)
    kept = await _chosen(here, digest, "reset", body.password)
    async with here.units.begin(Cause()) as work:
        _, person = await _opened(work, digest, "reset")
        await _set_password(work, person, kept)
        await store.forgive_try(work, client_of(request, here.own), work.now)
    return Response(status_code=204)


@router.put("/v1/password", status_code=204, response_class=Response)
async def change_password(request: Request, body: JustPassword, who: SignedIn) -> Response:
    """Choose a new password. Needs a sign-in of the last 30 minutes; your other sessions end."""
    session, person = await own_session(request, who)
    here: Running[Own] = running_of(request)
    need_fresh(who, here.clock.now())
    kept = await _good(here.own, body.password, person)
    async with here.units.begin(cause_of(request, who)) as work:
        await _set_password(work, person, kept, but=session.id)
    return Response(status_code=204)


async def _opened(work: Work, digest: bytes, purpose: str) -> tuple[MailToken, Person]:
    """The token and its person, both locked; a 410 problem when it has ended, or the person may not sign in."""
    token = await store.lock_token(work, digest, purpose)
    person = await people.lock_person(work, token.person_id) if token else None
    if token is None or person is None or not person.enabled:
        raise link_ended()
    return token, person


async def _chosen(here: Running[Own], digest: bytes, purpose: str, password: str) -> str:
    """The hash of a password that somebody chose by a link. To hash takes long, so no transaction is open meanwhile."""
    async with here.units.begin(Cause()) as work:
        _, person = await _opened(work, digest, purpose)
    return await _good(here.own, password, person)


async def _good(own: Own, password: str, person: Person) -> str:
    """The hash of a password that is good enough; else a 422 problem."""
    if reason := await own.hasher.refusal(password, str(person.email)):
        raise bad_password(reason)
    return await own.hasher.hash(password)


async def _set_password(work: Work, person: Person, kept: str, *, but: str | None = None) -> None:
    """Save the password of an address. All sessions but one, all visits and older links of its people end."""
    assert person.account is not None, "an erased person has no password"
    await store.save_password(work, person.account, kept)
    everybody = [one.id for one in await people.of_account(work.connection, person.account)]
    await leave(work, everybody, but=but)
    await end_visits(work, everybody)
    await store.end_tokens(work, everybody, "reset", "confirmation")
