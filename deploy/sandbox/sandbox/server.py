"""The sandbox's HTTP edge: keys, idempotency, faults, control and health on one port."""

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import logging
import time
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from sandbox import forms
from sandbox.api import Api
from sandbox.bank_file import BankFile
from sandbox.clock import Clock
from sandbox.control import Control
from sandbox.disputes import Disputes
from sandbox.errors import ApiError
from sandbox.events import Events
from sandbox.intents import Intents
from sandbox.money_api import MoneyApi
from sandbox.pages import Pages
from sandbox.payouts import Payouts
from sandbox.records import Payout, Refund, new_id
from sandbox.refunds import Refunds
from sandbox.render import API_VERSION
from sandbox.rules import Rules
from sandbox.settings import Settings
from sandbox.setup_api import SetupApi
from sandbox.setups import Setups
from sandbox.store import Answer, Store
from sandbox.webhooks import Webhooks

_log = logging.getLogger("sandbox")
_JSON = "application/json"
_BUSY_SECONDS, _IDLE_SECONDS = 0.05, 0.25
_END_AT_ONCE = 200
_PAGES = ("/setup/", "/authenticate/", "/deposits/")
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_MOVES_MONEY = ("/v1/payment_intents", "/v1/refunds")


class Server:
    """Everything of one sandbox; `run` serves until it is cancelled."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.home)
        clock = Clock(settings.clock_file, settings.time_zone)
        self._rules = Rules(self._store, settings.bank_clear_seconds)
        self._webhooks = Webhooks(
            self._store, clock, self._rules, settings.webhook_url, settings.webhook_secret, settings.webhook_events
        )
        events = Events(self._store, clock, self._webhooks)
        disputes = Disputes(self._store, clock, events)
        self._intents = Intents(self._store, clock, self._rules, events, disputes, settings.public_url)
        self._refunds = Refunds(self._store, clock, self._rules, events, self._intents)
        self._payouts = Payouts(self._store, clock, self._rules, events)
        money = MoneyApi(self._store, self._refunds, self._intents.method_of)
        setups = Setups(self._store, clock, events, settings.public_url)
        setup = SetupApi(self._store, clock, self._intents, setups, settings.public_url)
        self._pages = Pages(self._store, clock, self._intents, setups)
        self._api = Api(self._store, clock, self._intents, {**money.endpoints, **setup.endpoints})
        self._control = Control(
            self._store,
            clock,
            self._rules,
            self._webhooks,
            self._intents,
            self._refunds,
            disputes,
            self._payouts,
            setups,
        )
        self._key = f"Bearer {settings.key}".encode()
        self._under_way: set[str] = set()
        self._requests = 0

    async def run(self) -> None:
        runner = web.ServerRunner(web.Server(self._handle, access_log=None, keepalive_timeout=75), shutdown_timeout=2)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._settings.host, self._settings.port, backlog=1024)
            await site.start()
            await asyncio.gather(self._webhooks.run(), self._end_what_is_due())
        finally:
            await runner.cleanup()
            self._store.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.startswith("/v1/"):
            return await self._answer_api(request)
        if path.startswith("/_control/") or path == "/metrics":
            if not _of_this_machine(request.remote):
                return _json(403, ApiError(403, f"{path} is for this machine alone: ask from 127.0.0.1.").body)
            if path == "/metrics":
                return web.Response(text=self._metrics())
            return await self._answer_control(request)
        if path.startswith(_PAGES):
            return await self._answer_page(request)
        if path in ("/healthz", "/readyz"):
            return web.json_response({"status": "ok"})
        return _json(404, ApiError(404, f"Unrecognized request URL ({request.method}: {path}).").body)

    # Stripe's API

    async def _answer_api(self, request: web.BaseRequest) -> web.StreamResponse:
        self._requests += 1
        if self._rules.dark():
            return _hang_up(request)
        body = await request.read()
        if self._rules.now.delay_ms:
            await asyncio.sleep(self._rules.now.delay_ms / 1000)
        answer, headers = await self._decide(request, body)
        moves = request.method == "POST" and request.path.startswith(_MOVES_MONEY)
        if moves and self._rules.drops_reply():
            return _hang_up(request)
        if self._rules.now.reply_delay_ms:
            await asyncio.sleep(self._rules.now.reply_delay_ms / 1000)
        return web.Response(status=answer.status, body=answer.body, content_type=_JSON, headers=headers)

    async def _decide(self, request: web.BaseRequest, body: bytes) -> tuple[Answer, dict[str, str]]:
        """The answer, once its content is on disk, and its headers."""
        headers = {"Request-Id": new_id("req"), "Stripe-Version": API_VERSION}
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        if key is None:
            return await self._act(request, body, None, b""), headers
        headers["Idempotency-Key"] = key
        digest = hashlib.sha256(b"%b\n%b" % (request.path.encode(), body)).digest()
        if key in self._under_way:
            return _answer_error(_in_use(key)), headers
        known = self._store.answer(key)
        if known is not None:
            await self._store.committed()
            if known.request != digest:
                return _answer_error(_other_request(key)), headers
            return known, {**headers, "Idempotent-Replayed": "true"}
        self._under_way.add(key)
        try:
            return await self._act(request, body, key, digest), headers
        finally:
            self._under_way.discard(key)

    async def _act(self, request: web.BaseRequest, body: bytes, key: str | None, digest: bytes) -> Answer:
        """Run an endpoint; what it changed and its answer under the key are one change."""
        try:
            self._check_key(request)
            encoded = body.decode() if request.method == "POST" else request.query_string
            endpoint, identifier = self._api.find(request.method, request.path)
            params = forms.parse(encoded)
            if request.method == "GET":
                found = endpoint(params, identifier)
                answer = _answer_of(found, digest)
            else:
                with self._store.change():
                    answer = _answer_of(endpoint(params, identifier), digest)
                    if key is not None:
                        self._store.keep_answer(key, answer)
        except ApiError as error:
            answer = _answer_error(error)
        except UnicodeDecodeError:
            answer = _answer_error(ApiError(400, "The request body is not UTF-8."))
        await self._store.committed()
        return answer

    def _check_key(self, request: web.BaseRequest) -> None:
        given = request.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(given, self._key):
            raise ApiError(401, "Invalid API Key provided.")

    # pages, control and health

    async def _answer_page(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._rules.dark():
            return _hang_up(request)
        body = await request.read()
        page = self._pages.answer(request.method, request.path, dict(parse_qsl(body.decode(errors="replace"))))
        await self._store.committed()
        if page.to is not None:
            return web.Response(status=page.status, headers={"Location": page.to, **_PAGE_HEADERS})
        return web.Response(status=page.status, text=page.html, content_type="text/html", headers=_PAGE_HEADERS)

    async def _answer_control(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            check_loopback(request.remote)
            body = await request.content.read()  # of any length: a bank's file may be long
            found = self._control.answer(request.method, request.path, dict(request.query), body)
        except ApiError as error:
            return _json(error.status, error.body)
        await self._store.committed()
        return await _stream(request, found) if isinstance(found, BankFile) else _json(200, found)

    def _metrics(self) -> str:
        lines = [f"sandbox_{name} {count}" for name, count in self._store.counts().items()]
        lines.append(f"sandbox_requests_total {self._requests}")
        lines.append(f"sandbox_webhooks_delivered_total {self._webhooks.delivered}")
        lines.append(f"sandbox_webhook_failures_total {self._webhooks.failed}")
        lines.append(f"sandbox_webhooks_waiting {self._webhooks.waiting()}")
        return "\n".join(lines) + "\n"

    # what happens by itself

    async def _end_what_is_due(self) -> None:
        """Moves debits, refunds and payouts on when it is time: late by 50 ms while it is asked things, else by 250."""
        pause, requests = _BUSY_SECONDS, -1
        while True:
            for payment in self._store.payments_to_clear(time.time(), _END_AT_ONCE):
                with self._store.change():
                    self._intents.end_debit(payment)
            for refund in self._store.due(Refund, time.time(), _END_AT_ONCE):
                with self._store.change():
                    self._refunds.end(refund)
            for payout in self._store.due(Payout, time.time(), _END_AT_ONCE):
                with self._store.change():
                    self._payouts.end(payout)
            if self._rules.now.payout_every_seconds:
                with self._store.change():
                    self._payouts.run()
            pause = _BUSY_SECONDS if requests != self._requests else min(_IDLE_SECONDS, 1.2 * pause)
            requests = self._requests
            await asyncio.sleep(pause)


def _answer_of(found: dict[str, Any] | ApiError, digest: bytes) -> Answer:
    if isinstance(found, ApiError):
        return Answer(digest, found.status, orjson.dumps(found.body))
    return Answer(digest, 200, orjson.dumps(found))


def _answer_error(error: ApiError) -> Answer:
    return Answer(b"", error.status, orjson.dumps(error.body))


def _in_use(key: str) -> ApiError:
    message = f"There is currently another in-progress request using this Idempotent Key: {key}"
    return ApiError(409, message, kind="idempotency_error", code="idempotency_key_in_use")


def _other_request(key: str) -> ApiError:
    message = f"Keys for idempotent requests can only be used with the same parameters they were first used with: {key}"
    return ApiError(400, message, kind="idempotency_error")


def check_loopback(remote: str | None) -> None:
    if remote is None or not ipaddress.ip_address(remote).is_loopback:
        raise ApiError(403, "The control API answers this machine alone.")


def _json(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type=_JSON)


async def _stream(request: web.BaseRequest, file: BankFile) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": file.content_type})
    await answer.prepare(request)
    for part in file.parts:
        await answer.write(part)
    await answer.write_eof()
    return answer


def _hang_up(request: web.BaseRequest) -> web.Response:
    """Close the connection without a reply."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def serve(settings: Settings) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await Server(settings).run()


def _of_this_machine(remote: str | None) -> bool:
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
