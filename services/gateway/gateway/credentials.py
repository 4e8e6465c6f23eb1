"""Turns credentials into internal tokens: asked of auth, kept for seconds, dropped when a credential ends."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from chassis.http.identity import unauthenticated
from chassis.http.problems import Problem, unavailable
from contracts.auth import EVERY_SCOPE, Audience, CredentialKind
from gateway.client import Answer, BrokenError, Headers, UnreachableError, Upstream
from gateway.limits import Share

KEEP_SECONDS = 50
STALE_SECONDS = 1  # while the end of a credential can't be heard
REFUSAL_SECONDS = 2
ENDED_SECONDS = 600
MOST_TOKENS = 20_000
KEY_STARTS = (b"paidup_sk_", b"pk_")  # older keys begin with `pk_`
CUSTOMERS_PART, OTHERS_PART = 0.25, 0.75


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key or a session. The gateway keeps and sends only the SHA-256 of the text."""

    kind: CredentialKind
    digest: bytes


def credential_of(headers: Headers) -> Credential:
    """The credential of a request's headers; a 401 problem when there is none."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.strip().partition(b" ")
            if scheme.lower() == b"bearer" and key.startswith(KEY_STARTS) and len(key) <= 200:
                return Credential("key", hashlib.sha256(key.strip()).digest())
    raise unauthenticated("Send an API key: Authorization: Bearer paidup_sk_…")


@dataclass(frozen=True, slots=True)
class Pass:
    """Auth's answer about a credential. Times are on the monotonic clock; no `authorization`: refused."""

    asked: float
    until: float
    credential_id: str = ""
    scopes: frozenset[str] = frozenset()
    customer_id: str | None = None
    authorization: bytes | None = None

    def may(self, scope: str) -> bool:
        return scope in self.scopes or EVERY_SCOPE in self.scopes

    @property
    def share(self) -> Share:
        """All credentials of one customer are one small share, because a customer can make many credentials."""
        if self.customer_id:
            return Share(self.customer_id, CUSTOMERS_PART)
        return Share(self.credential_id, OTHERS_PART)


Place = tuple[Credential, Audience]
REFUSALS: dict[CredentialKind, str] = {
    "key": "The API key is unknown, expired or revoked.",
    "session": "The session has ended: sign in again.",
}


class Credentials:
    def __init__(self, auth: Upstream, internal_secret: str) -> None:
        self._auth = auth
        self._headers = [
            (b"content-type", b"application/json"),
            (b"paidup-internal", internal_secret.encode()),
        ]
        self._passes: OrderedDict[Place, Pass] = OrderedDict()
        self._asking: dict[Place, asyncio.Task[Pass]] = {}
        self._ended: dict[str, float] = {}
        self.on_ended: Callable[[str], None] = lambda _credential_id: None
        self.hears: Callable[[], bool] = lambda: True  # whether the end of a credential would be heard now

    async def admit(self, credential: Credential, audience: Audience) -> Pass:
        """The pass of a credential at an audience; a 401 problem when auth refuses the credential."""
        place = (credential, audience)
        found = self._passes.get(place)
        if found is None or self._outdated(found):
            found = await self._ask_once(place)
        if found.authorization is None:
            raise unauthenticated(REFUSALS[credential.kind])
        return found

    def _outdated(self, found: Pass) -> bool:
        now = time.monotonic()
        return found.until <= now or (found.asked + STALE_SECONDS <= now and not self.hears())

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

    async def _ask(self, credential: Credential, audience: Audience) -> Pass:
        asked = time.monotonic()
        question = {"kind": credential.kind, "digest": credential.digest.hex(), "audience": audience}
        try:
            answer = await self._auth.request(
                b"POST", b"/internal/token", self._headers, orjson.dumps(question), repeatable=True
            )
        except (UnreachableError, BrokenError, TimeoutError) as error:
            raise unavailable("Who asks can't be checked just now.", slug="auth-unavailable") from error
        found = self._read(answer, asked)
        self._passes[credential, audience] = found
        self._passes.move_to_end((credential, audience))
        if len(self._passes) > MOST_TOKENS:
            self._passes.popitem(last=False)
        return found

    def _read(self, answer: Answer, asked: float) -> Pass:
        refused = Pass(asked, until=time.monotonic() + REFUSAL_SECONDS)
        if answer.status == 401:
            return refused
        if answer.status != 200:
            raise unavailable("Who asks can't be checked just now.", slug="auth-unavailable")
        said = orjson.loads(answer.body)
        if said["credential_id"] in self._ended:
            return refused
        keep = KEEP_SECONDS if self.hears() else STALE_SECONDS
        return Pass(
            asked,
            until=asked + min(keep, said["expires_at"] - time.time() - 5),
            credential_id=said["credential_id"],
            scopes=frozenset(said["scopes"]),
            customer_id=said["customer_id"],
            authorization=b"Bearer " + said["token"].encode(),
        )


def forbidden(scope: str) -> Problem:
    return Problem(status=403, slug="scope-missing", detail=f"This needs the scope {scope}.")
