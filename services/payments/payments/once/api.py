"""`Idempotency-Key` on every POST: one that needs none is carried out once under a key, too, and answered again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from starlette.types import Message

from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import Key, find, replay, required_key, still_running
from chassis.http.identity import bearer
from chassis.service import running_of
from payments.once import store as answers

PATIENCE_SECONDS = 2.0
HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "Sent again with the same key and body, it is not carried out again: the first answer is told again",
}


class OnceRoute(StrictRoute):
    """For routes that take a key where one is sent. Those whose handler asks for it keep it in their own transaction.

    The answer is kept after the effect: of a service that dies in between, the same request is carried out again once
    its minute is over. What such a POST does twice, a person or the next answer sees: none moves money.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if self._takes_keys():
            self.openapi_extra = {**(self.openapi_extra or {}), "parameters": [HEADER]}

    def _takes_keys(self) -> bool:
        own = any(one.call is required_key for one in self.dependant.dependencies)
        return "POST" in (self.methods or ()) and not own

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if not self._takes_keys():
            return handle

        async def once(request: Request) -> Response:
            text = request.headers.get("idempotency-key")
            if text is None:
                return await handle(request)
            key_text, identity = await required_key(text), request.app.state.verifier.verify(bearer(request))
            body = await request.body()
            said = hashlib.sha256(b"\0".join((request.url.path.encode(), request.url.query.encode(), body))).digest()
            key = Key(f"by {identity.subject}", f"POST {self.path}", key_text, said)
            return await _answered_before(request, key) or await _answered_now(handle, request, key, body)

        return once


async def _answered_before(request: Request, key: Key) -> Response | None:
    """The answer that the key has; None when this request is the first, which others with its key wait for."""
    pool = running_of(request).pool
    end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not await answers.begin(pool, key):
        stored = await find(pool, key)
        if stored is not None and (stored["status"] or stored["fingerprint"] != key.fingerprint):
            return replay(stored, key)
        if asyncio.get_running_loop().time() > end:
            raise still_running()
        await asyncio.sleep(0.05)
    return None


async def _answered_now(
    handle: Callable[[Request], Coroutine[Any, Any, Response]], request: Request, key: Key, body: bytes
) -> Response:
    """Carry the request out, and keep its answer; one that was refused may be sent again."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    running = running_of(request)
    try:
        answered = await handle(Request(request.scope, receive))
    except BaseException:
        await answers.forget(running.pool, key)
        raise
    if answered.status_code >= 300:
        await answers.forget(running.pool, key)
    else:
        seen = answered.headers.get("paidup-seen", "")
        await answers.keep(running.pool, key, answered.status_code, bytes(answered.body), seen, running.clock.now())
    return answered
