"""The cookies of people: the session's, and the one by which a browser is known."""

from __future__ import annotations

from fastapi import Request, Response

from auth.hashes import new_token
from auth.own import Own
from auth.signin import store
from auth.signin.domain import BROWSER, LONGEST, STRANGERS
from chassis.messaging.work import Work
from contracts.auth import BROWSER_COOKIE, SESSION_COOKIE

BROWSER_HEADER, CLIENT_HEADER = "paidup-browser", "paidup-client-address"
LONGEST_COOKIE = 200


def browser_of(request: Request) -> str:
    """The text of the browser's cookie as the gateway passes it on; empty when there is none."""
    return request.headers.get(BROWSER_HEADER, "")[:LONGEST_COOKIE]


def client_of(request: Request, own: Own) -> bytes:
    """The network address that asks, as a keyed hash."""
    return own.pepper.client(request.headers.get(CLIENT_HEADER, ""))


async def counted_as(work: Work, request: Request, own: Own, account: bytes, browser: bytes) -> tuple[bytes, bytes]:
    """The client whose failed tries are counted, and the budget to which guesses count.

    A device from which the address has signed in has both for itself, so strangers use up nothing of it.
    """
    if await store.device_known(work, account, browser):
        return browser, browser
    return client_of(request, own), STRANGERS


def known_browser(request: Request, response: Response) -> str:
    """The text of the browser's cookie, which is set when there is none."""
    text = browser_of(request) or new_token()
    set_cookie(response, BROWSER_COOKIE, text, int(BROWSER.total_seconds()))
    return text


def set_session(response: Response, text: str) -> None:
    set_cookie(response, SESSION_COOKIE, text, int(LONGEST.total_seconds()))


def set_cookie(response: Response, name: str, text: str, seconds: int, path: str = "/") -> None:
    response.set_cookie(name, text, max_age=seconds, path=path, secure=True, httponly=True, samesite="lax")


def clear_session(response: Response) -> None:
    set_cookie(response, SESSION_COOKIE, "", 0)
