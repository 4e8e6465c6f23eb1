"""Turns API keys into internal tokens: asked of auth, kept for seconds, dropped when a key is revoked."""

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
from gateway.client import Answer, BrokenError, UnreachableError, Upstream
from gateway.limits import Share

KEEP_SECONDS = 50
STALE_SECONDS = 1  # while it can't be heard that a key was revoked
REFUSAL_SECONDS = 2
REVOKED_SECONDS = 600
MOST_TOKENS = 20_000
KEY_STARTS = (b"paidup_sk_", b"pk_")  # older keys begin with `pk_`
CUSTOMERS_PART, KEYS_PART = 0.25, 0.75


@dataclass(frozen=True, slots=True)
class Pass:
    """What a key opens at one audience. Times are on the monotonic clock; no `authorization`: refused."""

    asked: float
    until: float
    key_id: str = ""
    scopes: frozenset[str] = frozenset()
    customer_id: str | None = None
    authorization: bytes | None = None

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "*" in self.scopes

    @property
    def share(self) -> Share:
        """All keys of one customer are one share, and a small one: a customer makes as many keys as it likes."""
        return Share(self.customer_id, CUSTOMERS_PART) if self.customer_id else Share(self.key_id, KEYS_PART)


class Keys:
    def __init__(self, auth: Upstream, internal_secret: str) -> None:
        self._auth = auth
        self._headers = [
            (b"content-type", b"application/json"),
            (b"paidup-internal", internal_secret.encode()),
        ]
        self._passes: OrderedDict[tuple[bytes, str], Pass] = OrderedDict()
        self._asking: dict[tuple[bytes, str], asyncio.Task[Pass]] = {}
        self._revoked: dict[str, float] = {}
        self.on_revoked: Callable[[str], None] = lambda _key_id: None
        self.hears: Callable[[], bool] = lambda: True  # whether a revocation would be heard of now

    async def admit(self, authorization: bytes | None, audience: str) -> Pass:
        """The pass of `Authorization: Bearer paidup_sk_…` at an audience; a 401 problem when there is none."""
        scheme, _, key = (authorization or b"").strip().partition(b" ")
        if scheme.lower() != b"bearer" or not key.startswith(KEY_STARTS) or len(key) > 200:
            raise unauthenticated("Send an API key: Authorization: Bearer paidup_sk_…")
        place = (hashlib.sha256(key.strip()).digest(), audience)
        found = self._passes.get(place)
        if found is None or self._outdated(found):
            found = await self._ask_once(place)
        if found.authorization is None:
            raise unauthenticated("The API key is unknown, expired or revoked.")
        return found

    def _outdated(self, found: Pass) -> bool:
        now = time.monotonic()
        return found.until <= now or (found.asked + STALE_SECONDS <= now and not self.hears())

    def revoke(self, key_id: str) -> None:
        """Forget what the key opened, also what an answer on its way will say."""
        now = time.monotonic()
        self._revoked = {known: since for known, since in self._revoked.items() if now - since < REVOKED_SECONDS}
        self._revoked[key_id] = now
        for place in [place for place, kept in self._passes.items() if kept.key_id == key_id]:
            del self._passes[place]
        self.on_revoked(key_id)

    async def _ask_once(self, place: tuple[bytes, str]) -> Pass:
        """One question at a time per key and audience: the others wait for its answer."""
        task = self._asking.get(place)
        if task is None:
            task = self._asking[place] = asyncio.create_task(self._ask(*place))
            task.add_done_callback(lambda _: self._asking.pop(place, None))
        return await asyncio.shield(task)

    async def _ask(self, digest: bytes, audience: str) -> Pass:
        asked = time.monotonic()
        body = orjson.dumps({"key_hash": digest.hex(), "audience": audience})
        try:
            answer = await self._auth.request(b"POST", b"/internal/token", self._headers, body, repeatable=True)
        except (UnreachableError, BrokenError, TimeoutError) as error:
            raise unavailable("Keys can't be checked just now.", slug="auth-unavailable") from error
        found = self._read(answer, asked)
        self._passes[digest, audience] = found
        self._passes.move_to_end((digest, audience))
        if len(self._passes) > MOST_TOKENS:
            self._passes.popitem(last=False)
        return found

    def _read(self, answer: Answer, asked: float) -> Pass:
        refused = Pass(asked, until=time.monotonic() + REFUSAL_SECONDS)
        if answer.status == 401:
            return refused
        if answer.status != 200:
            raise unavailable("Keys can't be checked just now.", slug="auth-unavailable")
        said = orjson.loads(answer.body)
        if said["key_id"] in self._revoked:
            return refused
        keep = KEEP_SECONDS if self.hears() else STALE_SECONDS
        return Pass(
            asked,
            until=asked + min(keep, said["expires_at"] - time.time() - 5),
            key_id=said["key_id"],
            scopes=frozenset(said["scopes"]),
            customer_id=said["customer_id"],
            authorization=b"Bearer " + said["token"].encode(),
        )


def forbidden(scope: str) -> Problem:
    return Problem(status=403, slug="scope-missing", detail=f"This needs the scope {scope}.")
