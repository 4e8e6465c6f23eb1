"""Stripe's events: kept in the list of events, and pushed to the webhook."""

import orjson

from sandbox import render
from sandbox.clock import Clock
from sandbox.records import new_id
from sandbox.store import Store
from sandbox.webhooks import Webhooks


class Events:
    def __init__(self, store: Store, clock: Clock, webhooks: Webhooks) -> None:
        self._store = store
        self._clock = clock
        self._webhooks = webhooks

    def emit(self, kind: str, subject: render.Json) -> None:
        """Call it within a change: the event is kept only if the change is."""
        identifier, created = new_id("evt"), self._clock.now()
        body = orjson.dumps(
            {
                "id": identifier,
                "object": "event",
                "api_version": render.API_VERSION,
                "created": created,
                "data": {"object": subject},
                "livemode": False,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
                "type": kind,
            }
        )
        self._webhooks.schedule(self._store.add_event(identifier, kind, created, body), kind)
