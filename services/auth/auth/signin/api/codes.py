"""Sign in by a code: ask for it, type it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from auth.links.store import load_link
from auth.own import Own
from auth.people import store as people
from auth.signin import store
from auth.signin.api.cookies import browser_of, counted_as, known_browser, set_session
from auth.signin.api.shapes import (
    Address,
    CodeOrToken,
    SessionView,
    Taken,
    code_refused,
    too_many_tries,
    user_agent,
)
from auth.signin.api.views import view_of
from auth.signin.domain import CODE, Guess, SignIn, opens
from auth.signin.entering import enter
from auth.signin.jobs import MAKE_CODES
from chassis.http.bodies import StrictRoute
from chassis.http.problems import invalid
from chassis.messaging.work import Cause, Work
from chassis.running import Running, running_of
from chassis.tasks.queue import enqueue
from contracts.ids import new_id

router = APIRouter(route_class=StrictRoute)
SENT = "If this address can sign in here, a code is on its way. It works once, for 10 minutes, in this browser."


@router.post("/v1/sign-in/codes", status_code=202)
async def ask_for_a_code(request: Request, body: Address, response: Response) -> Taken:
    """Ask for a code by e-mail. The answer is the same whether or not the address is known.

    The code is six digits. It works once, for 10 minutes, in the browser that asked (cookie `__Host-paidup-browser`).
    A new code ends the one before.
    """
    await wish_for_code(request, response, body.email)
    return Taken(detail=SENT)


async def wish_for_code(
    request: Request, response: Response, email: str, *, link_id: str | None = None, session_id: str | None = None
) -> None:
    """Write the request down; the code is made, and its mail sent, by a task."""
    here: Running[Own] = running_of(request)
    pepper = here.own.pepper
    account, browser = pepper.account(email), pepper.browser(known_browser(request, response))
    async with here.units.begin(Cause()) as work:
        client, budget = await counted_as(work, request, here.own, account, browser)
        taken = await store.count_try(work, client)
        if taken:
            one = SignIn(
                new_id(), account, browser, link_id, session_id, client, budget, None, None, work.now,
                work.now + CODE,
            )  # fmt: skip
            await store.insert_sign_in(work, one)
            await enqueue(work, MAKE_CODES, one.id)
    if not taken:
        raise too_many_tries()


@router.post("/v1/sign-in/codes/verify")
async def sign_in_by_code(request: Request, body: CodeOrToken, response: Response) -> SessionView:
    """Sign in with the code, or with what the link in the same mail holds. Sets the cookie `__Host-paidup-session`.

    A code and an address have a limit of wrong guesses. The link works even when there are none left.
    """
    if (body.code is None) == (body.token is None):
        raise invalid([{"field": "code", "message": "send the code or the token, one of the two"}])
    here: Running[Own] = running_of(request)
    async with here.units.begin(Cause()) as work:
        entered = await _verified(request, here, body, work)
    if entered is None or isinstance(entered, int):
        raise code_refused(entered)
    view, text = entered
    set_session(response, text)
    return view


async def _verified(
    request: Request, here: Running[Own], body: CodeOrToken, work: Work
) -> tuple[SessionView, str] | int | None:
    """Who is signed in; else how many tries are left, None for a link. The guess stays counted when it was wrong."""
    own, browser = here.own, here.own.pepper.browser(browser_of(request))
    guess = await proved(work, own, browser, None, code=body.code, token=body.token)
    one, refused = guess.one, guess.tries_left if body.token is None else None
    if one is None:
        return refused
    who = await people.of_account(work.connection, one.account)
    if one.link_id is not None:
        customer = await _customer_of(work, one.link_id)
        who = [person for person in who if person.customer_id == customer]
    if not who:
        return refused
    entered = await enter(
        work, own, who[0], browser=browser, user_agent=user_agent(request), link_id=one.link_id,
        proved_at=None if one.link_id else work.now,
    )  # fmt: skip
    return (await view_of(work.connection, entered[0], who[0]), entered[1]) if entered else refused


async def _customer_of(work: Work, link_id: str) -> str | None:
    link = await load_link(work.connection, link_id)
    return link.customer_id if link and link.alive(work.now) else None


async def proved(
    work: Work, own: Own, browser: bytes, session_id: str | None, *, code: str | None, token: str | None = None
) -> Guess:
    """The request that this code, or this link, belongs to; it is used up. Without one: refused, and counted."""
    if token is not None:
        guess = Guess(await store.lock_by_token(work, browser, own.pepper.token(token)))
    else:
        typed = (code or "").replace(" ", "")
        guess = await store.guess_code(work, browser, session_id, work.clock.today())
        one = guess.one
        if not opens(own.pepper.code(one.id if one else "", typed), one.code if one else None):
            return Guess(None, guess.tries_left)
    if guess.one is not None:
        await store.end_sign_in(work, guess.one, work.clock.today())
        await store.forgive_try(work, guess.one.client, guess.one.made_at)
    return guess
