"""A request that names what was seen elsewhere waits for it; names of parameters that nobody knows are refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import httpx2
import pytest
from fastapi import APIRouter, Query

from chassis.clock import Clock
from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity, TokenSigner, allow
from chassis.jobs import prune
from chassis.messaging.handlers import Handlers
from chassis.messaging.work import Units, Wake
from chassis.running import Running
from chassis.service import Service
from chassis.settings import ServiceSettings
from contracts.ids import new_id
from tests.kit.postgres import drop_database, fresh_database
from tests.kit.serving import write_keys

router = APIRouter(route_class=StrictRoute)


@router.get("/v1/things")
async def show(
    who: Annotated[Identity, allow("things:read")], customer_id: str = "", limit: Annotated[int, Query(alias="max")] = 5
) -> dict[str, Any]:
    return {"customer_id": customer_id, "limit": limit}


@dataclass
class World:
    client: httpx2.AsyncClient
    connection: asyncpg.Connection
    work_url: str
    signer: TokenSigner

    async def hear(self, aggregate: str, sequence: int, consumer: str = "things", customer: str | None = None) -> None:
        row = (consumer, "others.other.v1", aggregate, sequence, customer)
        await self.connection.execute("INSERT INTO seen VALUES ($1, $2, $3, $4, $5)", *row)

    def key_of(self, customer: str | None, scopes: str = "things:read") -> dict[str, str]:
        """The headers of a key of one customer, or of none."""
        who = Identity(new_id(), "system", frozenset(scopes.split()), customer)
        return {"Authorization": f"Bearer {self.signer.sign(who, 'things')[0]}"}

    async def seconds(self, seen: str, headers: dict[str, str] | None = None) -> tuple[int, float]:
        begun = asyncio.get_running_loop().time()
        answer = await self.client.get("/v1/things", headers={"Paidup-Seen": seen} | (headers or {}))
        if answer.status_code == 503:
            assert (answer.json()["type"], answer.headers["retry-after"]) == ("urn:paidup:problem:not-yet-here", "1")
        return answer.status_code, asyncio.get_running_loop().time() - begun


@contextlib.asynccontextmanager
async def world_of(
    folder: Path, *handlers: Handlers, sequence_of: str = "", of_customers: str = ""
) -> AsyncIterator[World]:
    private, public = write_keys(folder)
    database = await fresh_database("auth", folder)
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("CREATE TABLE own (id uuid PRIMARY KEY, sequence bigint, customer text)")
    settings = ServiceSettings(public_keys=public, api_url=database.api_url, work_url=database.work_url)
    service = Service(
        "things", ServiceSettings, router, handlers, sequence_of=sequence_of, sequence_of_customers=of_customers
    )
    app = service.app(settings, work=False)
    token, _ = TokenSigner(private).sign(Identity("me", "system", frozenset({"*"})), "things")
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://things", headers=headers) as client,
    ):
        yield World(client, connection, database.work_url, TokenSigner(private))
    await connection.close()
    await drop_database(database)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    own = "SELECT sequence FROM own WHERE id = $1"
    async with world_of(tmp_path, Handlers("h"), sequence_of=own, of_customers=f"{own} AND customer = $2") as made:
        yield made


AGGREGATE = "01a20db6-842b-71a9-a278-5ccab894be9a"


class TestPaidupSeen:
    async def test_known_event_is_not_waited_for(self, world: World) -> None:
        own, heard = new_id(), new_id()
        await world.connection.execute("INSERT INTO own VALUES ($1, 3)", own)
        await world.hear(heard, 7, "one")
        await world.hear(heard, 4, "two")
        for seen in (f"{own}:3", f"{own}:1", f"{heard}:7"):
            status, seconds = await world.seconds(seen)
            assert (status, seconds < 0.5) == (200, True)

    async def test_event_within_two_seconds_is_waited_for(self, world: World) -> None:
        aggregate = new_id()
        asking = asyncio.create_task(world.seconds(f"{aggregate}:2"))
        await asyncio.sleep(0.3)
        assert not asking.done()
        await world.hear(aggregate, 2)
        assert (await asking)[0] == 200

    async def test_missing_event_is_503(self, world: World) -> None:
        status, seconds = await world.seconds(f"{new_id()}:1")
        assert (status, 1.9 < seconds < 4) == (503, True)
        del world.client.headers["Authorization"]
        status, seconds = await world.seconds(f"{new_id()}:1")
        assert (status, seconds < 0.5) == (401, True)

    @pytest.mark.parametrize("seen", ["", "x", "7", AGGREGATE, f"{AGGREGATE}:", f"{AGGREGATE}:-1", f"{AGGREGATE}:1e3"])
    async def test_malformed_one_is_refused_by_name(self, world: World, seen: str) -> None:
        answer = await world.client.get("/v1/things", headers={"Paidup-Seen": seen})
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["Paidup-Seen"]

    async def test_service_without_events_does_not_wait(self, tmp_path: Path) -> None:
        async with world_of(tmp_path) as world:
            status, seconds = await world.seconds(f"{new_id()}:1")
            assert (status, seconds < 0.5) == (200, True)


async def test_unknown_parameter_lists_the_known_ones(world: World) -> None:
    assert (await world.client.get("/v1/things?customer_id=7&max=3")).json() == {"customer_id": "7", "limit": 3}
    answer = await world.client.get("/v1/things?custmer_id=7&limit=3")
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": name, "message": "no such parameter; there are customer_id, max"} for name in ("custmer_id", "limit")
    ]


async def test_old_keys_are_forgotten_in_portions(world: World) -> None:
    connection, now = world.connection, datetime.now(UTC)
    insert = """INSERT INTO idempotency_keys SELECT 'c', $1, 'k' || n, '', 200, '', NULL,
        $2::timestamptz + n * '1 s'::interval FROM generate_series(1, 1500) n"""
    for route in ("POST /kept", "POST /a", "POST /b"):
        await connection.execute(insert, route, now - timedelta(days=40))
    await connection.execute(insert.replace("'k'", "'new'"), "POST /b", now - timedelta(days=1))
    await connection.execute("INSERT INTO seen_commands VALUES ('h', 'old', $1), ('h', 'new', $2)",
                             now - timedelta(days=31), now)  # fmt: skip
    async with asyncpg.create_pool(world.work_url, min_size=1) as pool:
        running = Running(None, Clock("UTC"), pool, Units(pool, Clock("UTC"), Wake()), None)
        pruned = partial(prune, kept_routes=("POST /kept",))
        assert [await pruned(running), await pruned(running)] == [True, False]
    left = await connection.fetch("SELECT route, count(*) AS left FROM idempotency_keys GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in left] == [("POST /b", 1500), ("POST /kept", 1500)]
    assert await connection.fetchval("SELECT array_agg(id) FROM seen_commands") == ["new"]
    plan = await connection.fetch("EXPLAIN SELECT FROM idempotency_keys WHERE route = 'POST /b' AND created_at < now()")
    assert "idempotency_keys_by_age" in str(plan)


class TestWhoIsAnswered:
    async def test_scope_comes_before_the_wait(self, world: World) -> None:
        status, seconds = await world.seconds(f"{new_id()}:1", world.key_of(None, "other:read"))
        assert (status, seconds < 0.5) == (403, True)

    async def test_customers_key_sees_its_own_alone(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("chassis.http.seen.PATIENCE_SECONDS", 0.1)
        mine, other, heard, own = new_id(), new_id(), new_id(), new_id()
        await world.hear(heard, 3, customer=mine)
        await world.connection.execute("INSERT INTO own VALUES ($1, 3, $2)", own, mine)
        for aggregate in (heard, own):
            assert (await world.seconds(f"{aggregate}:3", world.key_of(mine)))[0] == 200
            assert (await world.seconds(f"{aggregate}:3", world.key_of(other)))[0] == 503
            assert (await world.seconds(f"{aggregate}:3", world.key_of(None)))[0] == 200

    async def test_each_caller_waits_within_its_share(self, world: World) -> None:
        keys = [world.key_of(mine) for mine in [new_id()] for _ in range(40)]
        asked = await asyncio.gather(*(world.seconds(f"{new_id()}:1", key) for key in keys))
        assert {status for status, _ in asked} == {503}
        assert sum(seconds > 1.9 for _, seconds in asked) == 8
