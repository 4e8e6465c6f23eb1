"""The gateway before a real auth, on real Kafka and PostgreSQL; the services behind it echo what reaches them."""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse

from auth.__main__ import create_key, keys_parser, service
from auth.settings import Settings as AuthSettings
from chassis.http.app import create_app
from chassis.http.limits import Templates
from chassis.http.problems import conflict
from chassis.messaging.outbox import make_producer
from contracts.ids import new_id
from contracts.refusals import Refusal
from contracts.topics import PARTITIONS
from gateway import documents
from gateway.app import Gateway
from gateway.ring import STREAMED, Position
from gateway.routes import OWNERS
from gateway.settings import Settings
from gateway.stream import Stream
from tests.kit.kafka import client, create_contract_topics
from tests.kit.poison import NotUtf8, poison_producer
from tests.kit.postgres import drop_database, fresh_database
from tests.kit.serving import serving
from tests.kit.signing_in import SECRET, auth_settings

THIS_FILE = pathlib.Path(__file__).read_bytes()
CUSTOMER = "018f0000-0000-7000-8000-000000000001"
PAYMENTS = "payments.payment.v1"

echoing = APIRouter()


@echoing.get("/v1/payments/{payment_id}/file")
async def file(request: Request, payment_id: str) -> Response:
    return FileResponse(__file__, filename=f"{payment_id}.txt")


@echoing.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
async def echo(request: Request, path: str) -> Any:
    if path.endswith("stale"):
        raise conflict("stale-quote", "It changed.")
    if path.endswith("slow"):
        await asyncio.sleep(3)
    body = (await request.body()).decode()
    return {"path": str(request.url.path), "query": request.url.query, "headers": dict(request.headers), "body": body}


def echo_app() -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    async def ready() -> dict[str, bool]:
        return {}

    return create_app(title="echo", version="1", routers=[echoing], audience="payments", public_keys=None,
                      lifespan=lifespan, ready=ready)  # fmt: skip


async def until(look: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@dataclass
class World:
    """A gateway, the auth behind it, and keys made on the command line."""

    url: str
    gateway: Gateway
    kafka: str
    auth: AuthSettings
    settings: Settings
    admin: str = ""
    streams: list[Any] = field(default_factory=list)

    async def key(self, scopes: str = "*", customer_id: str | None = None) -> dict[str, str]:
        words = ["create", "--name", "test", "--scopes", scopes]
        made = await create_key(
            self.auth, keys_parser().parse_args(words + (["--customer-id", customer_id] if customer_id else []))
        )
        assert not isinstance(made, Refusal)
        return made

    def client(self, key: str | None = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {key or self.admin}"})


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    kafka = await create_contract_topics()
    database = await fresh_database("auth")
    auth = auth_settings(tmp_path_factory.mktemp("gateway"), database, kafka=kafka)
    async with contextlib.AsyncExitStack() as stack:
        auth_url = await stack.enter_async_context(serving(service.app(auth)))
        owner = await stack.enter_async_context(serving(echo_app()))
        settings = Settings(
            kafka=kafka, internal_secret=SECRET, urls=dict.fromkeys(OWNERS, owner) | {"auth": auth_url},
            rate_per_key=5000, rate_per_address=5000, heartbeat_seconds=0.5, upstream_timeout=2,
        )  # fmt: skip
        gateway = Gateway(settings)
        url = await stack.enter_async_context(serving(gateway))
        await until(lambda: gateway.tail.ready)
        made = World(url, gateway, kafka, auth, settings)
        made.admin = (await made.key())["key"]
        yield made
        gateway.streams.close()
    await drop_database(database)


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    async with world.client() as client:
        yield client


def slug(answer: httpx2.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    return str(answer.json()["type"]).removeprefix("urn:paidup:problem:")


class TestKeys:
    async def test_are_managed_through_the_gateway(self, world: World, admin: httpx2.AsyncClient) -> None:
        made = (await admin.post("/v1/api-keys", json={"name": "narrow", "scopes": ["keys:write"]})).json()
        async with world.client(made["key"]) as narrow:
            refused = await narrow.post("/v1/api-keys", json={"name": "wide", "scopes": ["*"]})
            assert (refused.status_code, slug(refused)) == (403, "beyond-own-rights")

    @pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer pk_nobody", "Basic eDp5", "Bearer ey.not.a-key"])
    async def test_without_a_good_key_nothing_passes(self, world: World, authorization: str | None) -> None:
        async with httpx2.AsyncClient(base_url=world.url) as client:
            headers = {"Authorization": authorization} if authorization else {}
            answer = await client.get("/v1/invoices", headers=headers)
            assert (answer.status_code, slug(answer)) == (401, "unauthenticated")

    async def test_old_form_stays_valid(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("auth.__main__.new_secret", lambda: f"pk_{new_id()}")
        async with world.client((await world.key())["key"]) as client:
            assert (await client.get("/v1/invoices")).status_code == 200


class TestProxy:
    async def test_owner_gets_a_token_instead_of_the_key(self, world: World, admin: httpx2.AsyncClient) -> None:
        sent = {"Idempotency-Key": "k1", "Paidup-Internal": "guess", "X-Request-Id": "mine-1"}
        answer = await admin.post("/v1/payments?a=%20b", content=b"body", headers=sent)
        seen = answer.json()
        assert (seen["path"], seen["query"], seen["body"]) == ("/v1/payments", "a=%20b", "body")
        assert seen["headers"]["authorization"].startswith("Bearer ey")
        assert world.admin not in answer.text
        assert seen["headers"]["idempotency-key"] == "k1"
        assert seen["headers"]["x-request-id"] == answer.headers["x-request-id"] == "mine-1"
        assert "paidup-internal" not in seen["headers"]

    async def test_webhooks_pass_with_their_signature(self, world: World) -> None:
        async with httpx2.AsyncClient(base_url=world.url) as provider:
            answer = await provider.post("/v1/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": "t=1"})
            assert answer.json()["headers"]["stripe-signature"] == "t=1"
            assert "authorization" not in answer.json()["headers"]

    async def test_problems_of_the_owner_pass_unchanged(self, admin: httpx2.AsyncClient) -> None:
        answer = await admin.get("/v1/quotes/stale")
        assert (answer.status_code, slug(answer)) == (409, "stale-quote")

    async def test_late_owner_is_504_and_missing_owner_503(self, world: World, admin: httpx2.AsyncClient) -> None:
        late = await admin.get("/v1/payments/slow")
        assert (late.status_code, slug(late)) == (504, "service-timed-out")
        down = Gateway(
            world.settings.model_copy(update={"urls": world.settings.urls | {"invoicing": "http://127.0.0.1:1"}})
        )
        async with serving(down) as url, httpx2.AsyncClient(base_url=url, headers=admin.headers) as client:
            answer = await client.get("/v1/invoices")
            assert (answer.status_code, slug(answer)) == (503, "service-unavailable")
            assert answer.headers["retry-after"] == "1"

    async def test_long_bodies_stop_at_the_gateway(self, admin: httpx2.AsyncClient) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(17):
                yield b"x" * 65_536

        answer = await admin.post("/v1/invoices", content=b"x" * 1_048_577)
        assert (answer.status_code, slug(answer)) == (413, "body-too-large")
        assert (await admin.post("/v1/invoices", content=chunks())).status_code == 413
        assert (await admin.post("/v1/invoices", content=b"x" * 1_048_576)).status_code == 200

    async def test_unknown_paths_and_methods_are_problems(self, admin: httpx2.AsyncClient) -> None:
        for path in ("/v2", "/internal/token", "/v1/unknown"):
            answer = await admin.get(path)
            assert (answer.status_code, slug(answer)) == (404, "not-found")
        for method in ("TRACE", "OPTIONS"):
            answer = await admin.request(method, "/v1/api-keys")
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")

    @pytest.mark.parametrize("limit", ["rate_per_key", "rate_per_address"])
    async def test_rates_are_limited_per_key_and_address(self, world: World, limit: str) -> None:
        keys = [(await world.key())["key"] for _ in range(2)]
        tight = Gateway(world.settings.model_copy(update={limit: 0.05}))
        async with serving(tight) as url, httpx2.AsyncClient(base_url=url) as client:
            answers = [
                await client.get("/v1/invoices", headers={"Authorization": f"Bearer {key}"})
                for key in (keys[0], keys[0], keys[1])
            ]
            assert [answer.status_code for answer in answers] == [200, 429, 200 if limit == "rate_per_key" else 429]
            assert slug(answers[1]) == "too-many-requests"
            assert 1 <= int(answers[1].headers["retry-after"]) <= 20

    async def test_documents_need_no_network_and_no_key(self, world: World) -> None:
        async with httpx2.AsyncClient(base_url=world.url) as client:
            page = (await client.get("/docs")).text
            assert "://" not in page
            for path in ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"):
                assert path in page
                assert (await client.get(path)).status_code == 200
            assert (await client.get("/asyncapi.json")).json()["asyncapi"].startswith("3.")


async def _seconds_until_refused(world: World, admin: httpx2.AsyncClient) -> float:
    """From the answer to the revocation until the key is refused, at most five."""
    made = await world.key()
    clock = asyncio.get_running_loop().time
    async with world.client(made["key"]) as client:
        assert (await client.get("/v1/invoices")).status_code == 200
        assert (await admin.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
        began = clock()
        answer = await client.get("/v1/invoices")
        while answer.status_code == 200 and clock() < began + 5:
            answer = await client.get("/v1/invoices")
        assert (answer.status_code, slug(answer)) == (401, "unauthenticated")
        return clock() - began


async def test_silent_tail_is_noticed_within_two_seconds(world: World) -> None:
    hearing = Gateway(world.settings)
    async with serving(hearing):
        await until(hearing.tail.fresh)
        for _ in range(20):
            assert hearing.tail.fresh()
            await asyncio.sleep(0.1)
        consumer = hearing.tail._consumer
        assert consumer is not None
        consumer.pause(*consumer.assignment())
        await until(lambda: not hearing.tail.fresh(), seconds=2)


class Subscriber:
    """A reader of the event stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.last_id = ""

    async def next(self, seconds: float = 5) -> dict[str, Any] | None:
        """The next event that carries data; None when the stream ended."""
        async with asyncio.timeout(seconds):
            while True:
                fields = await self._block()
                if fields is None:
                    return None
                if "data" in fields:
                    return {"event": fields["event"], **json.loads(fields["data"])}

    async def _block(self) -> dict[str, str] | None:
        fields: dict[str, str] = {}
        while line := (await self._response.content.readline()).decode():
            if line == "\n":
                self.last_id = fields.get("id", self.last_id)
                return fields
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value
        return None


@contextlib.asynccontextmanager
async def subscribed(world: World, key: str, last_id: str = "") -> AsyncIterator[Subscriber]:
    headers = {"Authorization": f"Bearer {key}"} | ({"Last-Event-ID": last_id} if last_id else {})
    stream = f"{world.url}/v1/events/stream"
    async with aiohttp.ClientSession() as session, session.get(stream, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["content-type"] == "text/event-stream"
        subscriber = Subscriber(response)
        if not last_id:
            await subscriber._block()
        yield subscriber


async def publish(world: World, *events: tuple[str, str]) -> None:
    await publish_to(world.kafka, *events)


async def publish_to(kafka: str, *events: tuple[str, str]) -> None:
    """Payment events of (payment, customer), in order."""
    producer = make_producer(client(kafka))
    await producer.start()
    for payment, customer in events:
        body = json.dumps({"payment_id": payment, "customer_id": customer}).encode()
        headers = {
            "ce_id": new_id(), "ce_type": "PaymentSucceeded", "ce_subject": payment, "sequence": "1",
            "ce_time": datetime.now(UTC).isoformat(), "customer": customer,
        }  # fmt: skip
        await producer.send_and_wait(
            PAYMENTS, body, payment.encode(), headers=[(name, value.encode()) for name, value in headers.items()]
        )
    await producer.stop()


async def subjects(subscriber: Subscriber, count: int) -> set[str]:
    return {(await subscriber.next() or {})["subject"] for _ in range(count)}


class TestStream:
    async def test_one_key_does_not_take_all(self, world: World) -> None:
        tight = Gateway(world.settings.model_copy(update={"streams_per_key": 2}))
        keys = [(await world.key("events:read"))["key"] for _ in range(2)]
        async with serving(tight) as url, contextlib.AsyncExitStack() as stack:
            await until(lambda: tight.tail.ready)
            here = World(url, tight, world.kafka, world.auth, world.settings)
            for _ in range(2):
                await stack.enter_async_context(subscribed(here, keys[0]))
            async with here.client(keys[0]) as client:
                answer = await client.get("/v1/events/stream")
                assert (answer.status_code, slug(answer), answer.headers["retry-after"]) == (
                    429,
                    "too-many-streams",
                    "5",
                )
            await stack.enter_async_context(subscribed(here, keys[1]))
            tight.streams.close()

    async def test_resumes_where_it_stood(self, world: World) -> None:
        async with subscribed(world, world.admin) as subscriber:
            await publish(world, ("p1", CUSTOMER), ("p2", CUSTOMER))
            first = await subscriber.next()
            assert first
            assert first["event"] == "PaymentSucceeded"
            assert first["data"]["payment_id"] == first["subject"]
            place = subscriber.last_id
        await publish(world, ("p3", CUSTOMER))
        async with subscribed(world, world.admin, place) as again:
            assert await subjects(again, 2) == {"p1", "p2", "p3"} - {first["subject"]}

    async def test_another_replica_goes_on(self, world: World) -> None:
        other = Gateway(world.settings)
        async with serving(other) as url:
            await until(lambda: other.tail.ready)
            async with subscribed(world, world.admin) as subscriber:
                await publish(world, ("q1", CUSTOMER), ("q2", CUSTOMER))
                first = await subjects(subscriber, 1)
                place = subscriber.last_id
            elsewhere = World(url, other, world.kafka, world.auth, world.settings)
            async with subscribed(elsewhere, world.admin, place) as again:
                assert await subjects(again, 1) == {"q1", "q2"} - first
            other.streams.close()

    async def test_customers_key_sees_its_own_events(self, world: World) -> None:
        key = (await world.key("events:read", CUSTOMER))["key"]
        async with subscribed(world, key) as subscriber:
            await publish(world, ("foreign", new_id()), ("own", CUSTOMER))
            assert (await subscriber.next() or {})["subject"] == "own"

    @pytest.mark.parametrize("place", ["nonsense", "eJwDAAAAAAE"])
    async def test_unknown_position_is_a_reset(self, world: World, place: str) -> None:
        async with subscribed(world, world.admin, place) as subscriber:
            assert (await subscriber.next() or {})["event"] == "reset"
            await publish(world, ("after", CUSTOMER))
            assert (await subscriber.next() or {})["subject"] == "after"

    async def test_too_old_position_is_a_reset(self, world: World) -> None:
        async with subscribed(world, world.admin) as subscriber:
            await publish(world, ("old", CUSTOMER))
            place = subscriber.last_id
        short = Gateway(world.settings.model_copy(update={"ring_bytes": 1}))
        async with serving(short) as url:
            await until(lambda: short.tail.ready)
            await publish(world, ("newer", CUSTOMER))
            async with subscribed(
                World(url, short, world.kafka, world.auth, world.settings), world.admin, place
            ) as late:
                assert await late.next() == {"event": "reset", "reason": "too-old"}
            short.streams.close()

    async def test_heartbeat_can_be_resumed_from(self, world: World) -> None:
        key = (await world.key("events:read", new_id()))["key"]
        async with subscribed(world, key) as subscriber:
            await publish(world, ("unseen", CUSTOMER))
            with pytest.raises(TimeoutError):
                await subscriber.next(seconds=1.2)
            assert subscriber.last_id

    async def test_needs_its_scope(self, world: World) -> None:
        async with world.client((await world.key("invoices:read"))["key"]) as client:
            answer = await client.get("/v1/events/stream")
            assert (answer.status_code, slug(answer)) == (403, "scope-missing")

    async def test_subscriber_that_does_not_read_is_cut(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gateway.stream.SEND_SECONDS", 0.2)
        host, port = world.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            f"GET /v1/events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.admin}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        before = len(world.gateway.streams)
        big = "x" * 60_000
        for _ in range(20):
            await publish(world, *((big, CUSTOMER) for _ in range(5)))
        await until(lambda: len(world.gateway.streams) < before)
        writer.close()

    @pytest.mark.parametrize("topic", STREAMED)
    async def test_poison_stops_no_stream(self, world: World, topic: str) -> None:
        sound = [("ce_id", b"1"), ("ce_type", b"T"), ("ce_subject", b"s"), ("customer", CUSTOMER.encode())]
        poison: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
            (None, b"", []),
            (None, b"{}", [*sound[:2]]),
            (b"k", None, [*sound]),
            (b"\xff", b"\xff", [("ce_type", b"\xff")]),
            (None, b"{}", [*sound, (NotUtf8("x"), b"1")]),
            (b"k", b"{", [("ce_type", b"\n\n")]),
            (None, b"{}", [("ce_id", None), ("ce_type", None), ("ce_subject", None)]),
        ]
        async with subscribed(world, world.admin) as subscriber:
            async with poison_producer(client(world.kafka)) as producer:
                for partition in range(3):
                    for key, value, headers in poison:
                        await producer.send(topic, value, key, partition, headers=headers)
            await publish(world, (after := new_id(), CUSTOMER))
            async with asyncio.timeout(10):
                while (await subscriber.next() or {}).get("subject") != after:
                    pass
        assert world.gateway.tail.ready


class TestRevokedKey:
    async def test_is_refused_within_a_second(self, world: World, admin: httpx2.AsyncClient) -> None:
        waits = [await _seconds_until_refused(world, admin) for _ in range(3)]
        # The first ones may meet a relay that has just begun to lead, or a machine that is busy with other tests.
        assert min(waits) <= 1, waits

    async def test_is_refused_in_two_seconds_without_kafka(self, world: World, admin: httpx2.AsyncClient) -> None:
        deaf = Gateway(world.settings.model_copy(update={"kafka": "127.0.0.1:1"}))
        made = await world.key()
        clock = asyncio.get_running_loop().time
        async with serving(deaf) as url, httpx2.AsyncClient(base_url=url) as client:
            client.headers["Authorization"] = f"Bearer {made['key']}"
            assert (await client.get("/v1/invoices")).status_code == 200
            assert (await admin.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
            began = clock()
            while (await client.get("/v1/invoices")).status_code == 200:
                assert clock() < began + 2
                await asyncio.sleep(0.05)

    async def test_its_stream_ends_within_a_second(self, world: World, admin: httpx2.AsyncClient) -> None:
        made = await world.key("events:read")
        async with subscribed(world, made["key"]) as subscriber:
            await admin.delete(f"/v1/api-keys/{made['id']}")
            assert await subscriber.next(seconds=1) is None

    async def test_poison_among_revocations_keeps_no_key_valid(self, world: World, admin: httpx2.AsyncClient) -> None:
        ended = [("ce_type", b"CredentialEnded")]
        async with poison_producer(client(world.kafka)) as producer:
            for partition in range(PARTITIONS):
                for headers in ([(NotUtf8("x"), b"1")], ended, [("ce_type", b"\xff")], [("ce_type", None)]):
                    await producer.send("auth.credential.v1", b"", None, partition, headers=headers)
        waits = [await _seconds_until_refused(world, admin) for _ in range(3)]
        assert min(waits) <= 1, waits


def test_paths_that_callers_choose_are_not_kept() -> None:
    for number in range(3_000):
        assert documents.find_document(f"/x{number}") is None
    assert documents._document.cache_info().currsize <= len(documents.PATHS)


class TestStreamsOfCustomers:
    async def test_keys_of_one_customer_share_their_bound(self, world: World) -> None:
        few = Gateway(world.settings.model_copy(update={"streams_per_key": 2}))
        customer = new_id()
        keys = [(await world.key("events:read", customer))["key"] for _ in range(4)]
        async with serving(few) as url, contextlib.AsyncExitStack() as stack:
            await until(lambda: few.tail.ready)
            elsewhere = World(url, few, world.kafka, world.auth, world.settings)
            for key in keys[:2]:
                await stack.enter_async_context(subscribed(elsewhere, key))
            async with elsewhere.client(keys[2]) as client:
                answer = await client.get("/v1/events/stream")
                assert (answer.status_code, slug(answer)) == (429, "too-many-streams")
            await stack.enter_async_context(subscribed(elsewhere, world.admin))
            few.streams.close()

    async def test_position_is_encoded_once_for_all(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(subscribed(world, world.admin)) for _ in range(20)]
            counted, encode = [0], Position.encode

            def count(position: Position) -> str:
                counted[0] += 1
                return encode(position)

            monkeypatch.setattr(Position, "encode", count)
            monkeypatch.setattr(Stream, "_beat", _quiet)
            names = [new_id() for _ in range(10)]
            await publish(world, *((name, CUSTOMER) for name in names))
            for stream in streams:
                assert await subjects(stream, 10) == set(names)
            assert counted[0] == 10


async def _quiet(*_: Any) -> None: ...


async def test_metrics_and_probes(world: World) -> None:
    async with httpx2.AsyncClient(base_url=world.url) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).json() == {"ready": True, "parts": {"stream": True}}
        assert (await client.get("/metrics")).status_code == 404
        page = await client.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


class TestWaiting:
    async def test_late_answers_hold_no_shared_connection(self, world: World, admin: httpx2.AsyncClient) -> None:
        """More of them than there are shared connections, each answered after the time of all others."""
        keys = [(await world.key())["key"] for _ in range(3)]
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(world.client(key)) for key in keys]
            late = [
                asyncio.create_task(client.post("/v1/payments/slow", headers={"Prefer": "wait=10"}))
                for client in clients
                for _ in range(25)
            ]
            await until(lambda: sum(world.gateway.waiting._held.values()) >= 150)
            answered = await asyncio.wait_for(admin.get("/v1/payments"), 1)
            assert answered.status_code == 200
            assert {answer.status_code for answer in await asyncio.gather(*late)} == {200}
        assert not +world.gateway.waiting._held

    async def test_beyond_its_places_a_key_is_not_kept(self, world: World) -> None:
        few = Gateway(world.settings.model_copy(update={"waiting_per_key": 1}))
        async with serving(few) as url, httpx2.AsyncClient(base_url=url, headers=world.client().headers) as client:
            prefer = {"Prefer": "wait=10"}
            first = asyncio.create_task(client.post("/v1/payments/slow", headers=prefer))
            await until(lambda: bool(few.waiting._held))
            second = await client.post("/v1/payments", headers=prefer)
            assert "prefer" not in second.json()["headers"]
            assert (await first).json()["headers"]["prefer"] == "wait=10"


class TestClientAddress:
    async def test_owner_hears_it_from_the_gateway(self, world: World, admin: httpx2.AsyncClient) -> None:
        forged = {"X-Forwarded-For": "6.6.6.6", "Paidup-Client-Address": "6.6.6.6"}
        seen = (await admin.post("/v1/payments", headers=forged)).json()["headers"]
        assert seen["paidup-client-address"] == "127.0.0.1"
        assert "x-forwarded-for" not in seen

    async def test_trusted_proxy_names_the_last_hop_before(self, world: World) -> None:
        behind = Gateway(world.settings)
        async with (
            serving(behind, trusted="127.0.0.1, 10.0.0.0/8") as url,
            httpx2.AsyncClient(base_url=url, headers=world.client().headers) as client,
        ):
            hops = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.1.2.3", "Paidup-Client-Address": "6.6.6.6"}
            seen = (await client.post("/v1/payments", headers=hops)).json()["headers"]
            assert seen["paidup-client-address"] == "203.0.113.9"


class TestHead:
    async def test_head_is_a_get_without_body(self, admin: httpx2.AsyncClient) -> None:
        answer, asked = await admin.head("/v1/invoices?q=1"), await admin.get("/v1/invoices?q=1")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == asked.headers["content-type"]
        assert abs(int(answer.headers["content-length"]) - len(asked.content)) < 10  # request ids differ

    async def test_documents_have_a_head(self, admin: httpx2.AsyncClient) -> None:
        assert (await admin.head("/docs")).status_code == 200


class TestDownloads:
    @pytest.fixture
    async def client(self, world: World) -> AsyncIterator[httpx2.AsyncClient]:
        gateway = Gateway(world.settings)
        gateway._proxy._downloads = Templates(["GET /v1/payments/{id}/file"])
        async with serving(gateway) as url, httpx2.AsyncClient(base_url=url) as client:
            client.headers["Authorization"] = f"Bearer {world.admin}"
            yield client

    async def test_file_comes_whole_and_in_ranges(self, client: httpx2.AsyncClient) -> None:
        whole = await client.get("/v1/payments/7/file")
        assert whole.content == THIS_FILE
        assert whole.headers["content-disposition"] == 'attachment; filename="7.txt"'
        part = await client.get("/v1/payments/7/file", headers={"Range": "bytes=10-29"})
        assert (part.status_code, part.content) == (206, whole.content[10:30])

    async def test_head_has_its_length(self, client: httpx2.AsyncClient) -> None:
        answer = await client.head("/v1/payments/7/file")
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) == len(THIS_FILE)

    async def test_types_are_not_guessed(self, client: httpx2.AsyncClient) -> None:
        answer = await client.get("/v1/payments/7/file")
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
