"""Bodies that cost their reader more than their sender, and who is asked for a scope first."""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import orjson
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict

from chassis.http.app import create_app
from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity, TokenSigner, allow
from tests.kit.serving import write_keys

router = APIRouter(route_class=StrictRoute)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    n: int


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parts: list[Part]


@router.post("/v1/things")
async def make(body: Whole, who: Annotated[Identity, allow("things:write")]) -> dict[str, Any]:
    return {}


@pytest.fixture
async def client(tmp_path: Any) -> AsyncIterator[httpx2.AsyncClient]:
    private, public = write_keys(tmp_path)

    async def ready() -> dict[str, bool]:
        return {}

    app: FastAPI = create_app(
        title="things", version="1", routers=[router], audience="things", public_keys=public, lifespan=None,  # type: ignore[arg-type]
        ready=ready,
    )  # fmt: skip
    token, _ = TokenSigner(private).sign(Identity("me", "system", frozenset({"things:write"})), "things")
    poor, _ = TokenSigner(private).sign(Identity("poor", "system", frozenset({"other:read"})), "things")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Poor": f"Bearer {poor}"}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://things", headers=headers
    ) as made:
        yield made


class TestManyMembers:
    @pytest.mark.parametrize(
        "body",
        [
            {f"x{number}": 1 for number in range(60_000)},
            {"parts": [], **{f"x{number}": 1 for number in range(999)}},
            {"parts": [{f"x{number}": 1 for number in range(900)}] * 60},
            {"parts": [{"n": "x"}] * 19_000},
            {"parts": {f"x{number}": {"n": []} for number in range(60_000)}},
            {"parts": [[]] * 200_000},
        ],
        ids=range(6),
    )
    async def test_refused_in_no_time(self, client: httpx2.AsyncClient, body: Any) -> None:
        content = orjson.dumps(body)[:1_000_000]
        begun = time.process_time()
        answer = await client.post("/v1/things", content=content)
        assert answer.status_code in (400, 422)
        assert len(answer.json().get("errors", [])) <= 50
        assert time.process_time() - begun < 1.5

    async def test_too_many_are_named(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post("/v1/things", content=orjson.dumps({f"x{number}": 1 for number in range(1_001)}))
        assert (answer.status_code, answer.json()["detail"]) == (422, "body: an object holds more than 1,000 members")


class TestScopeFirst:
    @pytest.mark.parametrize("body", [b"{", b"[" * 100_000, orjson.dumps({"parts": 7})], ids=range(3))
    async def test_body_is_not_read_without_it(self, client: httpx2.AsyncClient, body: bytes) -> None:
        poor = {"Authorization": client.headers["Poor"]}
        assert (await client.post("/v1/things", content=body, headers=poor)).status_code == 403
        assert (await client.post("/v1/things", content=body, headers={"Authorization": ""})).status_code == 401
        assert (await client.post("/v1/things", content=body)).status_code in (400, 422)

    async def test_parameters_are_not_read_without_it(self, client: httpx2.AsyncClient) -> None:
        poor = {"Authorization": client.headers["Poor"]}
        assert (await client.post("/v1/things?what=7", content=b"{}", headers=poor)).status_code == 403
