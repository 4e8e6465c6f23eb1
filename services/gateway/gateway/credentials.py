"""Turns credentials into internal tokens: asked of auth, kept for seconds, dropped when a credential ends."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from starlette.types import Scope

from chassis.clock import Clock
from chassis.http.identity import unauthenticated
from chassis.http.problems import Problem, unavailable
from chassis.logs import request_id
from contracts.auth import EVERY_SCOPE, Audience, CredentialKind
from gateway.client import Answer, BrokenError, Headers, UnreachableError, Upstream
from gateway.cookies import NONE, SESSION, VISIT, Cookies, cleared, key_of
from gateway.limits import Share

KEEP_SECONDS = 50
STALE_SECONDS = 1  # while the end of a credential can't be heard
REFUSAL_SECONDS = 2
ENDED_SECONDS = 600
MOST_TOKENS = 20_000
LONGEST_PATH = 300  # of a visit's request, as it is recorded
CUSTOMERS_PART, OTHERS_PART = 0.25, 0.75


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key, a session or a visit. The gateway keeps and sends only the SHA-256 of the text.

    `grant`: the id of the visit that the path names.
    """

    kind: CredentialKind
    digest: bytes
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Visited:
    """A request of a visit, as auth records it. Asked about twice, it keeps its id."""

    method: str
    path: str
    request_id: str


def visited_of(scope: Scope, grant: str | None) -> Visited | None:
    if grant is None:
        return None
    path: bytes = scope["raw_path"]
    return Visited(scope["method"], path[:LONGEST_PATH].decode("latin-1"), request_id.get())


def credential_of(headers: Headers, cookies: Cookies = NONE, grant: str | None = None) -> Credential:
    """The credential of a request; a 401 problem when there is none. Below `/as/<grant>/` only a visit's counts."""
    if grant is not None:
        if visit := cookies.get(VISIT):
            return Credential("visit", hashlib.sha256(visit).digest(), grant)
        raise unauthenticated(REFUSALS["visit"])
    if key := key_of(headers):
        return Credential("key", hashlib.sha256(key).digest())
    if (session := cookies.get(SESSION)) and not any(name == b"authorization" for name, _ in headers):
        return Credential("session", hashlib.sha256(session).digest())
    raise unauthenticated("Sign in, or send an API key: Authorization: Bearer paidup_sk_…")


@dataclass(frozen=True, slots=True)
class Pass:
    """Auth's answer about a credential. No `authorization`: refused.

    `asked` and `until` are on the monotonic clock. `ends`: the business time from when auth has to be asked again.
    """

    asked: float
    until: float
    credential_id: str = ""
    scopes: frozenset[str] = frozenset()
    customer_id: str | None = None
    authorization: bytes | None = None
    ends: datetime | None = None
    visit: bool = False

    def may(self, scope: str) -> bool:
        return scope in self.scopes or EVERY_SCOPE in self.scopes

    @property
    def share(self) -> Share:
        """All credentials of one customer are one small share, because a customer can make many credentials.

        A visit is of the company's people, so it has a share of its own.
        """
        if self.customer_id and not self.visit:
            return Share(self.customer_id, CUSTOMERS_PART)
        return Share(self.credential_id, OTHERS_PART)


Place = tuple[Credential, Audience]
REFUSALS: dict[CredentialKind, str] = {
    "key": "The API key is unknown, expired or revoked.",
    "session": "The session has ended: sign in again.",
    "visit": "There is no such visit, or it has ended: sign in again, or begin another one.",
}


class Credentials:
    def __init__(self, auth: Upstream, internal_secret: str, clock: Clock) -> None:
        self._auth, self._clock = auth, clock
        self._headers = [
            (b"content-type", b"application/json"),
            (b"paidup-internal", internal_secret.encode()),
        ]
        self._passes: OrderedDict[Place, Pass] = OrderedDict()
        self._asking: dict[Place, asyncio.Task[Pass]] = {}
        self._ended: dict[str, float] = {}
        self.on_ended: Callable[[str], None] = lambda _credential_id: None
        self.hears: Callable[[], bool] = lambda: True  # whether the end of a credential would be heard now

    async def admit(self, credential: Credential, audience: Audience, visited: Visited | None = None) -> Pass:
        """The pass of a credential at an audience; a 401 problem when auth refuses the credential.

        Auth records each request of a visit, so `visited` names it and the pass is for this request alone.
        """
        place = (credential, audience)
        found = self._passes.get(place)
        if found is None or self._outdated(found):
            found = await (self._ask(credential, audience, visited) if visited else self._ask_once(place))
        if found.authorization is None:
            raise refusal_of(credential)
        return found

    async def again(
        self, credential: Credential, audience: Audience, admitted: Pass, visited: Visited | None = None
    ) -> Pass:
        """A pass for a request that was admitted and has waited since; a 401 problem when its credential has ended."""
        if admitted.visit and not self.has_ended(admitted.credential_id) and not self._outdated(admitted):
            return admitted
        return await self.admit(credential, audience, visited)

    def has_ended(self, credential_id: str) -> bool:
        return credential_id in self._ended

    def over(self, admitted: Pass) -> bool:
        """Whether the business time has come from when auth has to be asked again."""
        return admitted.ends is not None and self._clock.now() >= admitted.ends

    def _outdated(self, found: Pass) -> bool:
        now = time.monotonic()
        unheard = found.asked + STALE_SECONDS <= now and not self.hears()
        return found.until <= now or unheard or self.over(found)

    def end(self, credential_id: str) -> None:
        """Forget the tokens of the credential, and refuse it even if an older answer of auth is still on its way."""
        now = time.monotonic()
        self._ended = {known: since for known, since in self._ended.items() if now - since < ENDED_SECONDS}
        self._ended[credential_id] = now
        for place in [place for place, kept in self._passes.items() if kept.credential_id == credential_id]:
            del self._passes[place]
        self.on_ended(credential_id)

    async def _ask_once(self, place: Place) -> Pass:
        """One question at a time per credential and audience: the others wait for its answer."""
        task = self._asking.get(place)
        if task is None:
            task = self._asking[place] = asyncio.create_task(self._ask(*place))
            task.add_done_callback(lambda _: self._asking.pop(place, None))
        return await asyncio.shield(task)

    async def _ask(self, credential: Credential, audience: Audience, visited: Visited | None = None) -> Pass:
        asked = time.monotonic()
        question: dict[str, Any] = {"kind": credential.kind, "digest": credential.digest.hex(), "audience": audience}
        if visited is not None:
            question["request"] = asdict(visited)
        try:
            answer = await self._auth.request(
                b"POST", b"/internal/token", self._headers, orjson.dumps(question), repeatable=True
            )
        except (UnreachableError, BrokenError, TimeoutError) as error:
            raise unavailable("Who asks can't be checked just now.", slug="auth-unavailable") from error
        found = self._read(credential, answer, asked)
        if found.visit:
            return found
        self._passes[credential, audience] = found
        self._passes.move_to_end((credential, audience))
        if len(self._passes) > MOST_TOKENS:
            self._passes.popitem(last=False)
        return found

    def _read(self, credential: Credential, answer: Answer, asked: float) -> Pass:
        refused = Pass(asked, until=time.monotonic() + REFUSAL_SECONDS)
        if answer.status == 401:
            return refused
        if answer.status != 200:
            raise unavailable("Who asks can't be checked just now.", slug="auth-unavailable")
        said = orjson.loads(answer.body)
        if self.has_ended(said["credential_id"]) or credential.grant not in (None, said["credential_id"]):
            return refused
        keep = KEEP_SECONDS if self.hears() else STALE_SECONDS
        return Pass(
            asked,
            until=asked + min(keep, said["expires_at"] - time.time() - 5),
            credential_id=said["credential_id"],
            scopes=frozenset(said["scopes"]),
            customer_id=said["customer_id"],
            authorization=b"Bearer " + said["token"].encode(),
            ends=datetime.fromisoformat(said["until"]) if said.get("until") else None,
            visit=credential.kind == "visit",
        )


def refusal_of(credential: Credential) -> Problem:
    """401. The browser forgets the cookie of a session or a visit, since auth will not take it again."""
    problem = unauthenticated(REFUSALS[credential.kind])
    if credential.kind != "key":
        name, path = (SESSION, "/") if credential.grant is None else (VISIT, f"/as/{credential.grant}/")
        problem.headers = {**(problem.headers or {}), "Set-Cookie": cleared(name, path)}
    return problem


def forbidden(scope: str) -> Problem:
    return Problem(status=403, slug="scope-missing", detail=f"This needs the scope {scope}.")
