"""The HTTP side of every service: bounded bodies, request ids, metrics, probes, problems; one thin layer for all."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import telemetry
from chassis.http import problems
from chassis.http.identity import TokenVerifier
from chassis.http.limits import Limits
from chassis.http.seen import Sequences, Waiting
from chassis.logs import request_id
from contracts.ids import new_id

DEFAULT_LIMITS = Limits()
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

requests_total = Counter("paidup_http_requests_total", "Requests answered", ["method", "route", "status"])
request_seconds = Histogram(
    "paidup_http_request_seconds", "From the first byte in to the last byte out", ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)  # fmt: skip

Ready = Callable[[], Awaitable[dict[str, bool]]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Json(Response):
    """Plain data, rendered by orjson."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def create_app(
    *,
    title: str,
    version: str,
    routers: Iterable[APIRouter],
    audience: str,
    public_keys: Path | None,
    lifespan: Lifespan,
    ready: Ready,
    limits: Limits = DEFAULT_LIMITS,
    sequences: Sequences | None = None,
) -> FastAPI:
    """An application that takes tokens for `audience`; without `public_keys` it has no guarded routes."""
    app = _Lean(title=title, version=version, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
                redirect_slashes=False, telemetry=NO_TELEMETRY)  # type: ignore[arg-type]  # fmt: skip
    app.limits = limits
    app.state.verifier = TokenVerifier(public_keys, audience) if public_keys else None
    app.state.sequences, app.state.waiting = sequences, Waiting()
    problems.install(app)
    for router in (*routers, probes(ready)):
        app.router.routes.extend(router.routes)  # `include_router` would match every request twice
    return app


def probes(ready: Ready) -> APIRouter:
    """/healthz: the process runs. /readyz: it may be sent work. /metrics: for Prometheus."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Response:
        return Json({"ok": True})

    @router.get("/readyz")
    async def readyz() -> Response:
        parts = await ready()
        good = all(parts.values())
        return Json({"ready": good, "parts": parts}, status_code=200 if good else 503)

    @router.get("/metrics")
    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


class _Lean(FastAPI):
    """FastAPI without the layers whose work `Edge` does."""

    limits = DEFAULT_LIMITS

    def build_middleware_stack(self) -> ASGIApp:
        handlers: dict[Any, Any] = dict(self.exception_handlers)
        inner = ExceptionMiddleware(AsyncExitStackMiddleware(self.router), handlers=handlers)
        return Edge(inner, self.limits)


CLIENT_GONE = 499  # as nginx counts it
NO_SNIFFING = (b"x-content-type-options", b"nosniff")  # a browser takes an answer as the type that it names


class Edge:
    """Around every request: its id, a bound on its body, its span, its metrics, and an answer when all else fails."""

    def __init__(self, app: ASGIApp, limits: Limits = DEFAULT_LIMITS) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        headers = dict(scope["headers"])
        identifier = chosen_request_id(headers.get(b"x-request-id"))
        request_id.set(identifier)
        answer = Answer(send, identifier.encode())
        with telemetry.server_span(scope, headers) as span:
            await self._guarded(scope, receive, answer, headers)
            route = getattr(scope.get("route"), "path", "unmatched")
            span.finish(route, answer.status)
        observe(scope["method"], route, answer.status, time.perf_counter() - begun)

    async def _guarded(self, scope: Scope, receive: Receive, answer: Answer, headers: dict[bytes, bytes]) -> None:
        try:
            length, most = headers.get(b"content-length"), self.limits.of(scope["method"], scope["path"])
            if length is None:
                receive = bounded(receive, most)
            elif int(length) > most:
                raise problems.too_large(most)
            await self.app(scope, receive, answer)
        except problems.Problem as problem:
            await answer.unless_begun(problem, scope, receive)
        except ClientDisconnect:  # it went amid its body: there is nobody to answer
            answer.status = answer.status or CLIENT_GONE
        except Exception as error:
            await answer.unless_begun(problems.of_failure(error), scope, receive)


class Answer:
    """`send`, with the request id put in and the status kept."""

    __slots__ = ("_identifier", "_send", "status")

    def __init__(self, send: Send, identifier: bytes) -> None:
        self._send, self._identifier, self.status = send, identifier, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message.setdefault("headers", [])
            message["headers"] = [*message["headers"], (b"x-request-id", self._identifier), NO_SNIFFING]
        await self._send(message)

    async def unless_begun(self, problem: problems.Problem, scope: Scope, receive: Receive) -> None:
        if not self.status:
            await problem.response()(scope, receive, self)


def chosen_request_id(sent: bytes | None) -> str:
    """The caller's request id if it is harmless in a log, else a new one."""
    if sent is not None and REQUEST_ID.fullmatch(text := sent.decode("latin-1")):
        return text
    return new_id()


def bounded(receive: Receive, limit: int) -> Receive:
    """`receive` that raises a 413 problem once more than `limit` bytes came; for bodies without a stated length."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise problems.too_large(limit)
        return message

    return counted


_counters: dict[tuple[str, str, int], Any] = {}
_timers: dict[str, Any] = {}


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request. Children are kept here, since finding them by label costs more than counting."""
    key = (method if method in METHODS else "other", route, status)
    counter = _counters.get(key)
    if counter is None:
        counter = _counters.setdefault(key, requests_total.labels(key[0], route, str(status)))
    counter.inc()
    timer = _timers.get(route)
    if timer is None:
        timer = _timers.setdefault(route, request_seconds.labels(route))
    timer.observe(seconds)


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
