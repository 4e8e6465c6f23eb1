"""Browsers before the gateway, on real Kafka: cookies, foreign pages, visits, ends. Auth is a list of sessions here."""

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from fastapi import FastAPI, Request, Response

from chassis.messaging.outbox import make_producer
from contracts.ids import new_id
from gateway.app import Gateway
from gateway.routes import OWNERS
from gateway.settings import Settings
from tests.kit.kafka import client as kafka_client
from tests.kit.kafka import create_contract_topics
from tests.kit.serving import serving
from tests.service.gateway.test_gateway_service import Subscriber, echo_app, publish_to, slug, until

OWN_PAGE = {"Paidup-CSRF": "1", "Sec-Fetch-Site": "same-origin"}
SCOPES = ["events:read", "invoices:read", "payments:write"]


@dataclass
class Authority:
    """In auth's place: what it says of each credential, and what it was asked."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def let_in(self, customer_id: str | None = None, until: datetime | None = None) -> tuple[str, str]:
        """The text and the id of a new session or visit."""
        text, credential_id = f"secret-{new_id()}", new_id()
        self.answers[hashlib.sha256(text.encode()).hexdigest()] = {
            "token": f"token-of-{credential_id}", "credential_id": credential_id, "scopes": SCOPES,
            "customer_id": customer_id, "person": True, "until": until.isoformat() if until else None,
        }  # fmt: skip
        return text, credential_id

    def end(self, text: str) -> None:
        self.answers.pop(hashlib.sha256(text.encode()).hexdigest())

    def app(self) -> FastAPI:
        app = echo_app()

        async def token(request: Request) -> Response:
            question = await request.json()
            self.asked.append(question)
            found = self.answers.get(question["digest"])
            if found is None:
                return Response(status_code=401)
            return Response(json.dumps({**found, "expires_at": int(time.time()) + 60}))

        async def signed_in(request: Request) -> Response:
            answer = Response(json.dumps(dict(request.headers)))
            for number in range(2):
                answer.set_cookie(f"__Host-{number}", "a", secure=True, httponly=True, samesite="lax")
            return answer

        app.router.routes.clear()
        app.add_api_route("/internal/token", token, methods=["POST"])
        app.add_api_route("/v1/sign-in/password", signed_in, methods=["POST"])
        app.mount("/", echo_app())
        return app


@dataclass
class World:
    url: str
    gateway: Gateway
    authority: Authority
    kafka: str
    clock: Path

    def browser(self, session: str = "", **cookies: str) -> httpx2.AsyncClient:
        """A browser with these cookies, on a page of ours."""
        sent = {"__Host-paidup-session": session} if session else {}
        text = "; ".join(f"{name}={value}" for name, value in {"other": "x", **sent, **cookies}.items())
        return httpx2.AsyncClient(base_url=self.url, headers={"Cookie": text, **OWN_PAGE})

    async def say_ended(self, credential_id: str) -> None:
        """As auth's relay does."""
        producer = make_producer(kafka_client(self.kafka))
        await producer.start()
        body = json.dumps({"credential_id": credential_id, "kind": "session"}).encode()
        headers = {"ce_id": new_id(), "ce_type": "CredentialEnded", "ce_subject": credential_id, "sequence": "1"}
        await producer.send_and_wait(
            "auth.credential.v1", body, credential_id.encode(),
            headers=[(name, value.encode()) for name, value in headers.items()],
        )  # fmt: skip
        await producer.stop()


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    kafka, authority = await create_contract_topics(), Authority()
    clock = tmp_path_factory.mktemp("gateway") / "clock"
    async with contextlib.AsyncExitStack() as stack:
        auth = await stack.enter_async_context(serving(authority.app()))
        owner = await stack.enter_async_context(serving(echo_app()))
        settings = Settings(
            kafka=kafka, urls=dict.fromkeys(OWNERS, owner) | {"auth": auth}, public_url="https://pay.example",
            clock_file=clock, rate_per_key=5000, rate_per_address=5000, heartbeat_seconds=5, streams_per_key=2,
        )  # fmt: skip
        gateway = Gateway(settings)
        url = await stack.enter_async_context(serving(gateway))
        await until(lambda: gateway.tail.ready)
        yield World(url, gateway, authority, kafka, clock)
        gateway.streams.close()


@contextlib.asynccontextmanager
async def subscribed(world: World, cookie: str, path: str = "/v1/events/stream") -> AsyncIterator[Subscriber]:
    """As EventSource does: a cookie and no header of one's own."""
    async with (
        aiohttp.ClientSession(headers={"Cookie": cookie}) as session,
        session.get(world.url + path) as response,
    ):
        assert response.status == 200, await response.text()
        subscriber = Subscriber(response)
        await subscriber._block()
        yield subscriber


class TestSessionCookie:
    async def test_becomes_a_token_and_goes_no_further(self, world: World) -> None:
        session, credential_id = world.authority.let_in(new_id())
        async with world.browser(session) as browser:
            answer = await browser.post("/v1/payments", headers={"Origin": world.url, "Referer": f"{world.url}/i/x"})
        headers = answer.json()["headers"]
        assert headers["authorization"] == f"Bearer token-of-{credential_id}"
        assert session not in answer.text
        assert not {"cookie", "origin", "referer", "paidup-csrf", "sec-fetch-site", "paidup-browser"} & set(headers)
        assert answer.headers["cache-control"] == "no-store"

    async def test_is_asked_about_once(self, world: World) -> None:
        session, _ = world.authority.let_in()
        async with world.browser(session) as browser:
            before = len(world.authority.asked)
            for _ in range(5):
                assert (await browser.get("/v1/invoices")).status_code == 200
        digest = hashlib.sha256(session.encode()).hexdigest()
        assert world.authority.asked[before:] == [{"kind": "session", "digest": digest, "audience": "invoicing"}]

    async def test_unknown_one_is_cleared(self, world: World) -> None:
        async with world.browser("guess") as browser:
            answer = await browser.get("/v1/invoices")
        assert (answer.status_code, slug(answer)) == (401, "unauthenticated")
        assert "sign in again" in answer.json()["detail"]
        assert answer.headers["set-cookie"] == (
            "__Host-paidup-session=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax"
        )

    async def test_stays_while_auth_is_away(self, world: World) -> None:
        session, _ = world.authority.let_in()
        alone = Gateway(world.gateway.settings.model_copy(update={"urls": dict.fromkeys(OWNERS, "http://127.0.0.1:1")}))
        async with serving(alone) as url, world.browser(session) as browser:
            answer = await browser.get(f"{url}/v1/invoices")
        assert (answer.status_code, slug(answer)) == (503, "auth-unavailable")
        assert "set-cookie" not in answer.headers

    async def test_counts_not_beside_a_key(self, world: World) -> None:
        session, _ = world.authority.let_in()
        for sent in ("Bearer paidup_sk_unknown", "Basic eDp5"):
            async with world.browser(session) as browser:
                answer = await browser.get("/v1/invoices", headers={"Authorization": sent})
            assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
            assert "API key" in answer.json()["detail"]

    async def test_answer_sets_all_its_cookies(self, world: World) -> None:
        async with world.browser(**{"__Host-paidup-browser": "known"}) as browser:
            answer = await browser.post("/v1/sign-in/password", headers={"Paidup-Browser": "forged"})
        assert len(answer.headers.get_list("set-cookie")) == 2
        assert answer.json()["paidup-browser"] == "known"

    async def test_browser_is_named_to_auth_alone(self, world: World) -> None:
        session, _ = world.authority.let_in()
        async with world.browser(session, **{"__Host-paidup-browser": "known"}) as browser:
            for path, named in (("/v1/session", "known"), ("/v1/invoices", None)):
                headers = (await browser.get(path, headers={"Paidup-Browser": "forged"})).json()["headers"]
                assert headers.get("paidup-browser") == named


FOREIGN = [
    {},
    {"Paidup-CSRF": "1", "Sec-Fetch-Site": "cross-site"},
    {"Paidup-CSRF": "1", "Sec-Fetch-Site": "same-site"},
    {"Paidup-CSRF": "1", "Origin": "https://evil.example"},
    {"Paidup-CSRF": "1", "Origin": "null"},
    {"Paidup-CSRF": "yes"},
]


class TestForeignPages:
    @pytest.mark.parametrize("sent", FOREIGN)
    async def test_change_nothing_by_a_cookie(self, world: World, sent: dict[str, str]) -> None:
        session, _ = world.authority.let_in()
        visit, grant = world.authority.let_in()
        before = len(world.authority.asked)
        cookies = {"Cookie": f"__Host-paidup-session={session}; __Secure-paidup-visit={visit}"}
        async with httpx2.AsyncClient(base_url=world.url, headers=cookies | sent) as browser:
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                for path in ("/v1/payments", "/v1/sign-in/password", f"/as/{grant}/v1/payments"):
                    answer = await browser.request(method, path)
                    assert (answer.status_code, slug(answer)) == (403, "csrf"), (method, path)
        assert len(world.authority.asked) == before

    async def test_sign_nobody_in(self, world: World) -> None:
        async with httpx2.AsyncClient(base_url=world.url) as browser:
            answer = await browser.post("/v1/sign-in/password", headers={"Origin": "https://evil.example"})
            assert (answer.status_code, slug(answer)) == (403, "csrf")
            assert (await browser.post("/v1/sign-in/password")).status_code == 200  # a program

    @pytest.mark.parametrize("origin", ["own", "https://pay.example"])
    async def test_own_pages_may(self, world: World, origin: str) -> None:
        session, _ = world.authority.let_in()
        async with world.browser(session) as browser:
            answer = await browser.post("/v1/payments", headers={"Origin": world.url if origin == "own" else origin})
            assert answer.status_code == 200

    async def test_links_in_mails_need_no_proof(self, world: World) -> None:
        """What takes no credential takes no cookie: a page for unsubscribing posts a form."""
        session, _ = world.authority.let_in()
        sent = {"Cookie": f"__Host-paidup-session={session}", "Origin": "null"}
        async with httpx2.AsyncClient(base_url=world.url, headers=sent) as browser:
            answer = await browser.post("/v1/unsubscribe/token")
            assert (answer.status_code, "cookie" in answer.json()["headers"]) == (200, False)

    async def test_reading_needs_no_proof(self, world: World) -> None:
        session, _ = world.authority.let_in()
        cookie = {"Cookie": f"__Host-paidup-session={session}", "Sec-Fetch-Site": "cross-site"}
        async with httpx2.AsyncClient(base_url=world.url, headers=cookie) as browser:
            assert (await browser.get("/v1/invoices")).status_code == 200

    async def test_visit_beside_a_key_needs_proof(self, world: World) -> None:
        visit, grant = world.authority.let_in()
        sent = {"Cookie": f"__Secure-paidup-visit={visit}", "Authorization": "Bearer paidup_sk_x"}
        async with httpx2.AsyncClient(base_url=world.url, headers=sent) as browser:
            answer = await browser.post(f"/as/{grant}/v1/payments")
            assert (answer.status_code, slug(answer)) == (403, "csrf")


class TestVisits:
    async def test_each_request_is_recorded(self, world: World) -> None:
        visit, grant = world.authority.let_in(new_id())
        before = len(world.authority.asked)
        async with world.browser(**{"__Secure-paidup-visit": visit}) as browser:
            for number in range(3):
                answer = await browser.get(f"/as/{grant}/v1/invoices?page={number}")
                assert (answer.json()["path"], answer.json()["query"]) == ("/v1/invoices", f"page={number}")
                request = {"method": "GET", "path": "/v1/invoices", "request_id": answer.headers["x-request-id"]}
                assert world.authority.asked[before + number :] == [
                    {
                        "kind": "visit", "digest": hashlib.sha256(visit.encode()).hexdigest(),
                        "audience": "invoicing", "request": request,
                    }
                ]  # fmt: skip

    async def test_path_names_the_visit(self, world: World) -> None:
        visit, grant = world.authority.let_in()
        async with world.browser(**{"__Secure-paidup-visit": visit}) as browser:
            answer = await browser.get(f"/as/{new_id()}/v1/invoices")
            assert (answer.status_code, slug(answer)) == (401, "unauthenticated")
            assert (await browser.get(f"/as/{grant}/v1/invoices")).status_code == 200

    async def test_no_other_credential_counts_there(self, world: World) -> None:
        session, _ = world.authority.let_in()
        _, grant = world.authority.let_in()
        async with world.browser(session) as browser:
            answer = await browser.get(f"/as/{grant}/v1/invoices")
            assert (answer.status_code, slug(answer)) == (401, "unauthenticated")

    async def test_counts_on_no_other_path(self, world: World) -> None:
        visit, grant = world.authority.let_in()
        async with world.browser(**{"__Secure-paidup-visit": visit}) as browser:
            assert (await browser.get("/v1/invoices")).status_code == 401
            for path in ("/v1/sign-in/codes", "/v1/webhooks/stripe", "/internal/token", "/docs"):
                assert (await browser.post(f"/as/{grant}{path}")).status_code == 404, path

    async def test_ended_one_is_cleared(self, world: World) -> None:
        visit, grant = world.authority.let_in()
        async with world.browser(**{"__Secure-paidup-visit": visit}) as browser:
            assert (await browser.get(f"/as/{grant}/v1/invoices")).status_code == 200
            world.authority.end(visit)
            answer = await browser.get(f"/as/{grant}/v1/invoices")
        assert answer.status_code == 401
        assert answer.headers["set-cookie"].startswith(f"__Secure-paidup-visit=; Max-Age=0; Path=/as/{grant}/;")


class TestEnds:
    async def test_ended_session_is_refused_on_replicas(self, world: World) -> None:
        session, credential_id = world.authority.let_in()
        other = Gateway(world.gateway.settings)
        async with serving(other) as url, world.browser(session) as browser:
            await until(lambda: other.tail.ready)
            for place in (world.url, url):
                assert (await browser.get(f"{place}/v1/invoices")).status_code == 200
            world.authority.end(session)
            await world.say_ended(credential_id)
            async with asyncio.timeout(1):
                for place in (world.url, url):
                    while (await browser.get(f"{place}/v1/invoices")).status_code != 401:
                        pass

    @pytest.mark.parametrize("way", ["ended", "out of time"])
    async def test_stream_ends_within_a_second(self, world: World, way: str) -> None:
        session, credential_id = world.authority.let_in(until=datetime.now(UTC) + timedelta(hours=1))
        async with subscribed(world, f"__Host-paidup-session={session}") as subscriber:
            world.authority.end(session)
            if way == "ended":
                await world.say_ended(credential_id)
            else:
                world.clock.write_text("3601")
            try:
                assert await subscriber.next(seconds=1) is None
            finally:
                world.clock.unlink(missing_ok=True)

    async def test_session_out_of_time_is_asked_again(self, world: World) -> None:
        session, _ = world.authority.let_in(until=datetime.now(UTC) + timedelta(hours=1))
        async with world.browser(session) as browser:
            assert (await browser.get("/v1/invoices")).status_code == 200
            world.authority.end(session)
            assert (await browser.get("/v1/invoices")).status_code == 200
            world.clock.write_text("3601")
            try:
                assert (await browser.get("/v1/invoices")).status_code == 401
            finally:
                world.clock.unlink()


class TestStreams:
    async def test_contact_hears_its_customer_alone(self, world: World) -> None:
        customer = new_id()
        session, _ = world.authority.let_in(customer)
        visit, grant = world.authority.let_in(customer)
        async with (
            subscribed(world, f"__Host-paidup-session={session}") as own,
            subscribed(world, f"__Secure-paidup-visit={visit}", f"/as/{grant}/v1/events/stream") as visited,
        ):
            await publish_to(world.kafka, ("foreign", new_id()), ("own", customer))
            for subscriber in (own, visited):
                assert (await subscriber.next() or {})["subject"] == "own"

    async def test_heartbeats_of_a_visit_are_not_recorded(self, world: World) -> None:
        quick = Gateway(world.gateway.settings.model_copy(update={"heartbeat_seconds": 0.05}))
        visit, grant = world.authority.let_in()
        async with serving(quick) as url:
            await until(lambda: quick.tail.ready)
            here = World(url, quick, world.authority, world.kafka, world.clock)
            path, before = f"/as/{grant}/v1/events/stream", len(world.authority.asked)
            async with subscribed(here, f"__Secure-paidup-visit={visit}", path) as subscriber:
                for _ in range(3):
                    await subscriber._block()
                assert len(world.authority.asked) == before + 1
            quick.streams.close()

    async def test_people_of_a_customer_share_their_bound(self, world: World) -> None:
        customer = new_id()
        sessions = [world.authority.let_in(customer)[0] for _ in range(3)]
        visit, grant = world.authority.let_in(customer)
        async with contextlib.AsyncExitStack() as stack:
            for session in sessions[:2]:
                await stack.enter_async_context(subscribed(world, f"__Host-paidup-session={session}"))
            async with world.browser(sessions[2]) as browser:
                answer = await browser.get("/v1/events/stream")
                assert (answer.status_code, slug(answer)) == (429, "too-many-streams")
            path = f"/as/{grant}/v1/events/stream"
            await stack.enter_async_context(subscribed(world, f"__Secure-paidup-visit={visit}", path))
