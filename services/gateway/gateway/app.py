"""The gateway as an ASGI application: limits, then the owner of the path, the event stream, documents, or a page."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from chassis.clock import Clock
from chassis.http.app import Edge, Json
from chassis.http.problems import Problem, method_not_allowed
from gateway.client import Upstream
from gateway.cookies import origin_of
from gateway.credentials import Credentials
from gateway.documents import POLICY, find_document
from gateway.limits import Buckets
from gateway.pages import find_page, send_page
from gateway.passing import Passing
from gateway.proxy import CallerGoneError, Proxy
from gateway.ring import Ring
from gateway.routes import LIMITS, PASSED, WAITING, find_route, visit_of
from gateway.settings import Settings
from gateway.stream import Streams
from gateway.tail import Tail
from gateway.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Named:
    """The name under which a request is counted."""

    path: str


PROBES = ("/healthz", "/readyz")
STREAM = "/v1/events/stream"
PAGE = Named("page")


class Gateway:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.upstreams = {
            name: Upstream(url, connections=settings.upstream_connections, timeout=settings.upstream_timeout)
            for name, url in settings.urls.items()
        }
        # Apart from what others ask of auth: a request that holds a slot there needs a token to go on.
        self._authority = Upstream(settings.urls["auth"], connections=settings.upstream_connections)
        clock = Clock(settings.time_zone, settings.clock_file)
        self.credentials = Credentials(self._authority, settings.internal_secret, clock)
        self.ring = Ring(seconds=settings.ring_seconds, most_bytes=settings.ring_bytes)
        self.streams = Streams(
            self.ring, self.credentials, heartbeat_seconds=settings.heartbeat_seconds, per_key=settings.streams_per_key
        )
        self.credentials.on_ended = self.streams.close_of
        self.tail = Tail(settings.kafka_client(), self.ring, self.credentials.end)
        self.credentials.hears = self.tail.fresh
        self._per_address = Buckets(settings.rate_per_address)
        self.passing = Passing({owner: settings.urls[owner] for owner in PASSED})
        self.waiting = Waiting(
            {owner: settings.urls[owner] for owner in WAITING}, most=settings.waiting,
            per_key=settings.waiting_per_key, timeout=settings.upstream_timeout,
        )  # fmt: skip
        self._proxy = Proxy(
            self.upstreams, self.credentials, Buckets(settings.rate_per_key), self.passing, self.waiting,
            public=origin_of(settings.public_url),
        )  # fmt: skip
        self._edge = Edge(self._handle, LIMITS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._edge(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        tailing = asyncio.create_task(self.tail.run())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        tailing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tailing
        for upstream in (self._authority, *self.upstreams.values()):
            upstream.close()
        self.waiting.close()
        await self.passing.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path in PROBES:
            await self._probe(path, scope, receive, send)
            return
        client = scope.get("client")
        self._per_address.take(client[0] if client else "")
        grant = None
        if visit := visit_of(scope["raw_path"]):
            grant, scope["raw_path"] = visit
            path = scope["path"] = path.removeprefix(f"/as/{grant}")
        route = find_route(path)
        if route is not None and not (grant and route.keyless):
            scope["route"] = route
            with contextlib.suppress(CallerGoneError):
                await self._proxy(route, scope, receive, send, grant)
        elif path == STREAM:
            _only_get(scope)
            scope["route"] = Named(STREAM)
            await self.streams.serve(scope, receive, send, grant)
        else:
            await _document(path, scope, send)

    async def _probe(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Named(path)
        if path == "/healthz":
            answer = Json({"ok": True})
        else:
            parts = {"stream": self.tail.ready}
            answer = Json({"ready": all(parts.values()), "parts": parts}, 200 if all(parts.values()) else 503)
        await answer(scope, receive, send)


def _only_get(scope: Scope) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        raise method_not_allowed(["GET"])


async def _document(path: str, scope: Scope, send: Send) -> None:
    found = find_document(path)
    if found is None and (page := find_page(path, dict(scope["headers"]).get(b"accept", b""))):
        _only_get(scope)
        scope["route"] = PAGE
        await send_page(page, scope, send)
        return
    if found is None:
        raise Problem(status=404, slug="not-found", detail=f"There is nothing at {path!r:.120}.")
    _only_get(scope)
    scope["route"] = Named(path)
    media_type, body = found
    headers = [
        (b"content-type", media_type),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", POLICY),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
