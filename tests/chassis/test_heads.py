"""The head of a request is bounded in length and in time, before anybody is known."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
import pytest
from fastapi import APIRouter, FastAPI, Request

from chassis.http import protocol
from chassis.http.app import create_app
from tests.kit.serving import serving

router = APIRouter()


@router.post("/v1/things")
async def take(request: Request) -> dict[str, int]:
    body = await request.body()
    if body == b"slow":
        await asyncio.sleep(1)
    return {"length": len(body), "headers": len(request.headers)}


@router.post("/v1/leisurely")
async def leisurely(request: Request) -> dict[str, int]:
    """Takes nothing for longer than a body may stall."""
    length = 0
    async for part in request.stream():
        if not length:
            await asyncio.sleep(1.3)
        length += len(part)
    return {"length": length}


@pytest.fixture
async def address(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, int]]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "BODY_SECONDS", 0.5)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    async def ready() -> dict[str, bool]:
        return {}

    app = create_app(title="t", version="1", routers=[router], audience="t", public_keys=None, lifespan=lifespan,
                     ready=ready)  # fmt: skip
    async with serving(app) as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


async def answer_to(address: tuple[str, int], *parts: bytes, pause: float = 0.0) -> bytes:
    """Everything that comes back until the other side hangs up."""
    reader, writer = await asyncio.open_connection(*address)
    answer = asyncio.create_task(reader.read())
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
    try:
        async with asyncio.timeout(5):
            return await answer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def problem(answer: bytes, status: int, slug: str) -> None:
    head, _, body = answer[answer.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    found = orjson.loads(body)
    assert found["type"] == f"urn:paidup:problem:{slug}"
    assert f"x-request-id: {found['request_id']}".encode() in head


START = b"POST /v1/things HTTP/1.1\r\nHost: x\r\n"
END = b"Connection: close\r\nContent-Length: %d\r\n\r\n"


class TestHeads:
    async def test_long_head_is_refused(self, address: tuple[str, int]) -> None:
        header = b"x-%d: " + b"a" * 1000 + b"\r\n"
        problem(await answer_to(address, START + b"".join(header % n for n in range(40))), 431, "head-too-large")
        problem(await answer_to(address, START, *(header % n for n in range(40))), 431, "head-too-large")
        problem(await answer_to(address, b"GET /" + b"a" * 40_000), 431, "head-too-large")

    async def test_unfinished_head_is_refused_in_time(self, address: tuple[str, int]) -> None:
        problem(await answer_to(address), 408, "head-too-slow")
        problem(await answer_to(address, START, *[b"a: b\r\n"] * 20, pause=0.05), 408, "head-too-slow")
        problem(await answer_to(address, *[b"\r\n"] * 20, pause=0.05), 408, "head-too-slow")

    async def test_second_head_of_a_connection_is_bounded(self, address: tuple[str, int]) -> None:
        first = START + b"Content-Length: 2\r\n\r\nhi"
        answer = await answer_to(address, first, START, pause=0.1)
        assert answer.startswith(b"HTTP/1.1 200 ")
        problem(answer, 408, "head-too-slow")
        problem(await answer_to(address, first, START + b"a" * 40_000, pause=0.1), 431, "head-too-large")

    async def test_long_bodies_and_slow_answers_are_no_heads(self, address: tuple[str, int]) -> None:
        body = b"x" * 1_000_000
        answer = await answer_to(address, START + END % len(body) + body)
        assert b'"length":1000000' in answer
        slow = START + b"Content-Length: 4\r\n\r\nslow"
        answer = await answer_to(address, slow + START + END % 2 + b"hi")
        assert answer.count(b"HTTP/1.1 200 ") == 2
        header = b"".join(b"x-%d: %b\r\n" % (n, b"a" * 1000) for n in range(30))
        assert (await answer_to(address, START + header + END % 2 + b"hi")).startswith(b"HTTP/1.1 200 ")


class TestBodies:
    @pytest.mark.parametrize(
        "framing", [END % 1_000_000, b"Transfer-Encoding: chunked\r\n\r\n"], ids=["length", "chunks"]
    )
    @pytest.mark.parametrize(
        "parts", [[], [b"3e8\r\n" + b"x" * 1000], [b"x" * 900_000], [b"1\r\nx\r\n"] * 30], ids=range(4)
    )
    async def test_stalled_or_trickling_is_refused(
        self, address: tuple[str, int], parts: list[bytes], framing: bytes
    ) -> None:
        if framing.startswith(b"Transfer") and parts[:1] == [b"x" * 900_000]:
            parts = [b"dbba0\r\n" + parts[0]]
        problem(await answer_to(address, START + framing, *parts, pause=0.05), 408, "body-too-slow")

    async def test_slow_route_does_not_refuse_its_body(self, address: tuple[str, int]) -> None:
        body = b"x" * 900_000
        answer = await answer_to(address, b"POST /v1/leisurely HTTP/1.1\r\nHost: x\r\n" + END % len(body) + body)
        assert b'"length":900000' in answer

    async def test_steady_body_may_last(self, address: tuple[str, int]) -> None:
        parts = [b"x" * 1_000] * 20
        answer = await answer_to(address, START + END % 20_000, *parts, pause=0.08)
        assert b'"length":20000' in answer

    async def test_second_body_of_a_connection_is_bounded_too(self, address: tuple[str, int]) -> None:
        first = START + b"Content-Length: 2\r\n\r\nhi"
        answer = await answer_to(address, first, START + END % 9 + b"x", pause=0.1)
        assert answer.startswith(b"HTTP/1.1 200 ")
        problem(answer, 408, "body-too-slow")
