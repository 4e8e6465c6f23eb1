"""Auth on a real PostgreSQL: keys over HTTP, internal tokens, the command line."""

import argparse
import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from auth.__main__ import create_key, service
from auth.keys.domain import hash_of
from auth.settings import Settings
from chassis import telemetry
from chassis.http.identity import Identity, TokenSigner, TokenVerifier
from contracts.ids import new_id
from contracts.refusals import Refusal
from tests.kit.postgres import Database, drop_database, fresh_database
from tests.kit.serving import serving
from tests.kit.signing_in import SECRET, auth_settings


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    made = await fresh_database("auth")
    yield made
    await drop_database(made)


@pytest.fixture(scope="module")
def settings(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return auth_settings(tmp_path_factory.mktemp("auth"), database)


@pytest.fixture(scope="module")
async def url(settings: Settings) -> AsyncIterator[str]:
    async with serving(service.app(settings, work=False)) as address:
        yield address


def client_of(url: str, settings: Settings, *scopes: str, customer_id: str | None = None) -> httpx2.AsyncClient:
    who = Identity("maker", "system", frozenset(scopes), customer_id)
    token, _ = TokenSigner(settings.private_key).sign(who, "auth")
    return httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
async def admin(url: str, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(url, settings, "*") as client:
        yield client


async def make(client: httpx2.AsyncClient, **wish: Any) -> dict[str, Any]:
    answer = await client.post("/v1/api-keys", json={"name": "ERP", "scopes": ["invoices:read"], **wish})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def exchange(url: str, key: str, *, secret: str = SECRET, audience: str = "invoicing") -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=url, headers={"Paidup-Internal": secret}) as gateway:
        return await gateway.post(
            "/internal/token", json={"kind": "key", "digest": hash_of(key).hex(), "audience": audience}
        )


@contextlib.contextmanager
def advanced(clock: pathlib.Path, seconds: int) -> Iterator[None]:
    clock.write_text(str(seconds))
    yield
    clock.unlink()


async def events_of(database: Database, key_id: str) -> list[str]:
    connection = await asyncpg.connect(database.owner_url)
    try:
        rows = await connection.fetch("SELECT type FROM outbox WHERE aggregate = $1 ORDER BY id", key_id)
        return [row["type"] for row in rows]
    finally:
        await connection.close()


class TestTokens:
    async def test_key_becomes_a_token_for_one_audience(
        self, admin: httpx2.AsyncClient, url: str, settings: Settings
    ) -> None:
        made = await make(admin, scopes=["invoices:read", "events:read"])
        answer = (await exchange(url, made["key"])).json()
        assert settings.public_keys
        identity = TokenVerifier(settings.public_keys, "invoicing").verify(answer["token"])
        assert identity == Identity(made["id"], "system", frozenset({"invoices:read", "events:read"}))
        assert answer["expires_at"] <= datetime.now(UTC).timestamp() + 60

    async def test_are_for_the_gateway_alone(self, admin: httpx2.AsyncClient, url: str) -> None:
        made = await make(admin)
        for wrong in ("", "guess"):
            assert (await exchange(url, made["key"], secret=wrong)).status_code == 403
        assert (await exchange(url, made["key"], audience="elsewhere")).status_code == 422
        assert (await exchange(url, "pk_unknown")).status_code == 401


def holder(url: str, settings: Settings, key_id: str) -> httpx2.AsyncClient:
    """What the gateway sends for a key of all scopes."""
    token, _ = TokenSigner(settings.private_key).sign(Identity(key_id, "system", frozenset({"*"})), "auth")
    return httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"})


async def test_expiry_follows_business_time(admin: httpx2.AsyncClient, url: str, settings: Settings) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    made = await make(admin, expires_at=ends.isoformat())
    assert (await exchange(url, made["key"])).status_code == 200
    assert settings.clock_file
    with advanced(settings.clock_file, 3601):
        assert (await exchange(url, made["key"])).status_code == 401


class TestMaker:
    async def test_key_does_not_outlast_its_maker(
        self, admin: httpx2.AsyncClient, url: str, settings: Settings
    ) -> None:
        ends = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
        first = await make(admin, expires_at=ends.isoformat(), scopes=["*"])
        async with holder(url, settings, first["id"]) as maker:
            for wish in ({}, {"expires_at": (ends + timedelta(days=1)).isoformat()}):
                assert datetime.fromisoformat((await make(maker, **wish))["expires_at"]) == ends
            sooner = ends - timedelta(minutes=5)
            assert datetime.fromisoformat((await make(maker, expires_at=sooner.isoformat()))["expires_at"]) == sooner

    async def test_grants_no_more_than_it_has(self, url: str, settings: Settings) -> None:
        async with client_of(url, settings, "keys:write", "invoices:read") as maker:
            await make(maker)
            refused = await maker.post("/v1/api-keys", json={"name": "x", "scopes": ["invoices:read", "*"]})
            assert refused.status_code == 403
            assert refused.json()["errors"][0]["field"] == "scopes.1"
        async with client_of(url, settings, "invoices:read") as reader:
            assert (await reader.get("/v1/api-keys")).status_code == 403

    async def test_customers_key_is_limited_to_its_customer(
        self, admin: httpx2.AsyncClient, url: str, settings: Settings
    ) -> None:
        mine, other = "018f0000-0000-7000-8000-000000000001", "018f0000-0000-7000-8000-000000000002"
        foreign = await make(admin, customer_id=other)
        async with client_of(url, settings, "*", customer_id=mine) as maker:
            own = await make(maker)
            assert own["customer_id"] == mine
            assert [item["id"] for item in (await maker.get("/v1/api-keys")).json()["items"]] == [own["id"]]
            assert (await maker.delete(f"/v1/api-keys/{foreign['id']}")).status_code == 404
            refused = await maker.post("/v1/api-keys", json={"name": "x", "scopes": ["*"], "customer_id": other})
            assert refused.status_code == 403


class TestKeys:
    async def test_shown_once_and_kept_as_hash(self, admin: httpx2.AsyncClient, database: Database) -> None:
        made = await make(admin, name="  ERP  ")
        assert made["key"].startswith("paidup_sk_")
        assert len(made["key"]) >= 10 + 43
        assert made["name"] == "ERP"
        listed = await admin.get("/v1/api-keys")
        (shown,) = [item for item in listed.json()["items"] if item["id"] == made["id"]]
        assert shown["made_by"] == made["made_by"] == "maker"
        assert made["key"] not in listed.text
        connection = await asyncpg.connect(database.owner_url)
        assert await connection.fetchval("SELECT hash FROM api_keys WHERE id = $1", made["id"]) == hash_of(made["key"])
        await connection.close()

    async def test_list_goes_on_with_a_cursor(self, admin: httpx2.AsyncClient) -> None:
        made = [(await make(admin))["id"] for _ in range(3)]
        first = (await admin.get("/v1/api-keys?limit=2")).json()
        second = (await admin.get("/v1/api-keys", params={"limit": 2, "cursor": first["next_cursor"]})).json()
        assert [item["id"] for item in first["items"] + second["items"]][:3] == made[::-1]

    @pytest.mark.parametrize(
        ("wish", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": "a\x00b"}, "name"),
            ({"scopes": []}, "scopes"),
            ({"scopes": ["nonsense"]}, "scopes.0"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
            ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
            ({"customer_id": "1 OR 1=1"}, "customer_id"),
            ({"scope": ["*"]}, "scope"),
        ],
    )
    async def test_bad_request_names_its_field(
        self, admin: httpx2.AsyncClient, wish: dict[str, Any], field: str
    ) -> None:
        answer = await admin.post("/v1/api-keys", json={"name": "ERP", "scopes": ["invoices:read"], **wish})
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]

    async def test_unknown_ids_and_cursors_are_problems(self, admin: httpx2.AsyncClient) -> None:
        assert (await admin.delete("/v1/api-keys/018f0000-0000-7000-8000-00000000dead")).status_code == 404
        assert (await admin.delete("/v1/api-keys/none")).status_code == 404
        assert (await admin.get("/v1/api-keys?cursor=none")).status_code == 422

    async def test_command_line_makes_the_first(self, settings: Settings, url: str, database: Database) -> None:
        words = argparse.Namespace(name="local", scopes="*", customer_id=None, expires_at=None)
        made = await create_key(settings, words)
        assert not isinstance(made, Refusal)
        assert (await exchange(url, made["key"])).json()["scopes"] == ["*"]
        assert await events_of(database, made["id"]) == ["KeyCreated"]
        assert isinstance(await create_key(settings, argparse.Namespace(**{**vars(words), "scopes": "all"})), Refusal)


class TestRevoking:
    async def test_key_with_more_scopes_is_not_revoked(
        self, admin: httpx2.AsyncClient, url: str, settings: Settings
    ) -> None:
        above, below = await make(admin, scopes=["*"]), await make(admin, scopes=["invoices:read"])
        async with client_of(url, settings, "keys:write", "invoices:read") as narrow:
            refused = await narrow.delete(f"/v1/api-keys/{above['id']}")
            assert (refused.status_code, refused.json()["type"][-17:]) == (403, "beyond-own-rights")
            assert (await narrow.delete(f"/v1/api-keys/{below['id']}")).status_code == 204
        assert (await exchange(url, above["key"])).status_code == 200
        assert (await admin.delete(f"/v1/api-keys/{above['id']}")).status_code == 204

    async def test_customer_has_so_many_keys(
        self, url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("auth.keys.api.MOST_OF_CUSTOMER", 3)
        customer = "018f0000-0000-7000-8000-00000000000a"
        async with client_of(url, settings, "*", customer_id=customer) as maker:
            keys = [await make(maker) for _ in range(3)]
            refused = await maker.post("/v1/api-keys", json={"name": "x", "scopes": ["*"]})
            assert (refused.status_code, refused.json()["type"][-13:]) == (409, "too-many-keys")
            assert (await maker.delete(f"/v1/api-keys/{keys[0]['id']}")).status_code == 204
            await make(maker)

    async def test_revoked_key_is_refused_with_one_event(
        self, admin: httpx2.AsyncClient, url: str, database: Database
    ) -> None:
        made = await make(admin)
        for _ in range(2):
            assert (await admin.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
        assert (await exchange(url, made["key"])).status_code == 401
        assert await events_of(database, made["id"]) == ["KeyCreated", "KeyRevoked", "CredentialEnded"]
        listed = (await admin.get("/v1/api-keys")).json()["items"]
        assert next(item["status"] for item in listed if item["id"] == made["id"]) == "revoked"

    async def test_keys_end_with_their_maker(
        self, admin: httpx2.AsyncClient, url: str, settings: Settings, database: Database
    ) -> None:
        first, other = await make(admin, scopes=["*"]), await make(admin)
        family = [first]
        for _ in range(2):
            async with holder(url, settings, family[-1]["id"]) as maker:
                family.append(await make(maker, scopes=["*"]))
        assert (await admin.delete(f"/v1/api-keys/{first['id']}")).status_code == 204
        for key in family:
            assert (await exchange(url, key["key"])).status_code == 401
            assert await events_of(database, key["id"]) == ["KeyCreated", "KeyRevoked", "CredentialEnded"]
        assert (await exchange(url, other["key"])).status_code == 200
        async with holder(url, settings, family[-1]["id"]) as maker:  # whose token has some seconds left
            assert (await maker.post("/v1/api-keys", json={"name": "x", "scopes": ["*"]})).status_code == 401

    async def test_key_made_during_the_revocation_ends_too(
        self, admin: httpx2.AsyncClient, url: str, settings: Settings
    ) -> None:
        for _ in range(10):
            first = await make(admin, scopes=["*"])
            async with holder(url, settings, first["id"]) as maker:
                wish = {"name": "x", "scopes": ["*"]}
                answers = await asyncio.gather(
                    *(maker.post("/v1/api-keys", json=wish) for _ in range(3)),
                    admin.delete(f"/v1/api-keys/{first['id']}"),
                    *(maker.post("/v1/api-keys", json=wish) for _ in range(3)),
                )
            for answer in answers:
                assert answer.status_code in (201, 204, 401)
                if answer.status_code == 201:
                    assert (await exchange(url, answer.json()["key"])).status_code == 401


class TestEvents:
    async def test_carry_request_id_trace_and_actor(self, admin: httpx2.AsyncClient, database: Database) -> None:
        parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        telemetry.setup("auth", None, processor=SimpleSpanProcessor(InMemorySpanExporter()))
        try:
            asked = {"X-Request-Id": "req-7", "traceparent": parent}
            wish = {"name": "ERP", "scopes": ["invoices:read"]}
            made = (await admin.post("/v1/api-keys", json=wish, headers=asked)).json()
            await admin.delete(f"/v1/api-keys/{made['id']}", headers=asked)
        finally:
            telemetry.setup("auth", None)
        connection = await asyncpg.connect(database.owner_url)
        rows = await connection.fetch("SELECT headers FROM outbox WHERE aggregate = $1", made["id"])
        await connection.close()
        for headers in (json.loads(row["headers"]) for row in rows):
            assert headers["correlation"] == "req-7"
            assert headers["actor"].startswith("system:")
            assert headers["traceparent"].split("-")[1] == parent.split("-")[1]
        assert len(rows) == 3


class TestIdempotencyKey:
    async def test_the_same_key_is_answered_again(self, admin: httpx2.AsyncClient, url: str) -> None:
        body, key = {"name": "ERP", "scopes": ["invoices:read"]}, {"Idempotency-Key": new_id()}
        first = await admin.post("/v1/api-keys", json=body, headers=key)
        again = await admin.post("/v1/api-keys", json=body, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert again.headers["idempotent-replayed"] == "true"
        assert (await exchange(url, first.json()["key"])).status_code == 200

    async def test_another_body_is_refused(self, admin: httpx2.AsyncClient) -> None:
        body, key = {"name": "ERP", "scopes": ["invoices:read"]}, {"Idempotency-Key": new_id()}
        await admin.post("/v1/api-keys", json=body, headers=key)
        for other in ({"name": "Other"}, {"scopes": ["*"]}, {"customer_id": new_id()}):
            assert (await admin.post("/v1/api-keys", json=body | other, headers=key)).status_code == 422

    async def test_another_maker_gets_another_key(
        self, admin: httpx2.AsyncClient, url: str, settings: Settings
    ) -> None:
        body, key = {"name": "ERP", "scopes": ["keys:write"]}, {"Idempotency-Key": new_id()}
        first = (await admin.post("/v1/api-keys", json=body, headers=key)).json()
        token, _ = TokenSigner(settings.private_key).sign(Identity(first["id"], "system", frozenset({"*"})), "auth")
        async with httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as other:
            second = await other.post("/v1/api-keys", json=body, headers=key)
        assert second.status_code == 201
        assert second.json()["key"] != first["key"]
