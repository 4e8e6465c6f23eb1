"""The lean HTTP client against raw sockets: kept connections, what breaks, what is sent again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.client import BrokenError, UnreachableError, Upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Serve = Callable[[bytes, int, asyncio.StreamWriter], Awaitable[bool]]


@asynccontextmanager
async def raw_server(serve: Serve) -> AsyncIterator[tuple[str, list[bytes]]]:
    """`serve(request, nth of this connection, writer)` says whether the connection stays open."""
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nth = 0
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            size = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
            seen.append(head + await reader.readexactly(size))
            nth += 1
            if not await serve(seen[-1], nth, writer):
                break
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()


async def answers(_: bytes, __: int, writer: asyncio.StreamWriter) -> bool:
    writer.write(OK)
    return True


@asynccontextmanager
async def to(urls: str, **more: float) -> AsyncIterator[Upstream]:
    upstream = Upstream(urls, **more)  # type: ignore[arg-type]
    yield upstream
    upstream.close()
    await asyncio.sleep(0)


class TestKeptConnection:
    async def test_is_used_again(self) -> None:
        connections = set()

        async def serve(request: bytes, nth: int, writer: asyncio.StreamWriter) -> bool:
            connections.add(id(writer))
            return await answers(request, nth, writer)

        async with raw_server(serve) as (url, seen), to(url) as upstream:
            for _ in range(5):
                answer = await upstream.request(b"POST", b"/a?b=1", [(b"x-one", b"1")], b"body")
                assert (answer.status, answer.body) == (200, b"ok")
            assert len(connections) == 1
            assert seen[0].startswith(b"POST /a?b=1 HTTP/1.1\r\nhost: 127.0.0.1:")
            assert seen[0].endswith(b"x-one: 1\r\ncontent-length: 4\r\n\r\nbody")

    async def test_closed_one_is_replaced_unseen(self) -> None:
        async def serve(request: bytes, nth: int, writer: asyncio.StreamWriter) -> bool:
            await answers(request, nth, writer)
            return False

        async with raw_server(serve) as (url, seen), to(url) as upstream:
            for _ in range(3):
                assert (await upstream.request(b"POST", b"/", [])).status == 200
                await asyncio.sleep(0.02)
            assert len(seen) == 3

    @pytest.mark.parametrize("repeatable", [True, False])
    async def test_only_repeatable_requests_are_sent_again(self, repeatable: bool) -> None:
        async def serve(request: bytes, nth: int, writer: asyncio.StreamWriter) -> bool:
            return await answers(request, nth, writer) if nth == 1 else False

        async with raw_server(serve) as (url, seen), to(url) as upstream:
            await upstream.request(b"GET", b"/", [])
            if repeatable:
                assert (await upstream.request(b"GET", b"/", [], repeatable=True)).status == 200
            else:
                with pytest.raises(BrokenError):
                    await upstream.request(b"POST", b"/", [], b"x")
            assert len(seen) == (3 if repeatable else 2)


class TestAnswers:
    async def test_chunked_and_empty_ones_are_read(self) -> None:
        async def serve(_: bytes, nth: int, writer: asyncio.StreamWriter) -> bool:
            if nth == 1:
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
                await writer.drain()
                writer.write(b"2\r\nde\r\n0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True

        async with raw_server(serve) as (url, _), to(url) as upstream:
            assert (await upstream.request(b"GET", b"/", [])).body == b"abcde"
            assert (await upstream.request(b"DELETE", b"/", [])).status == 204

    @pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
    async def test_half_an_answer_is_an_error(self, answer: bytes) -> None:
        async def serve(_: bytes, __: int, writer: asyncio.StreamWriter) -> bool:
            writer.write(answer)
            return False

        async with raw_server(serve) as (url, seen), to(url) as upstream:
            with pytest.raises(BrokenError):
                await upstream.request(b"GET", b"/", [], repeatable=True)
            assert len(seen) == 1

    async def test_late_one_never_answers_the_next_request(self) -> None:
        async def serve(request: bytes, _: int, writer: asyncio.StreamWriter) -> bool:
            await asyncio.sleep(0.2 if b"/slow" in request else 0)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n" + request.split()[1][1:5])
            return True

        async with raw_server(serve) as (url, _), to(url, timeout=0.05) as upstream:
            with pytest.raises(TimeoutError):
                await upstream.request(b"GET", b"/slow", [])
            assert (await upstream.request(b"GET", b"/fast", [])).body == b"fast"
            await asyncio.sleep(0.25)
            assert (await upstream.request(b"GET", b"/next", [])).body == b"next"


async def test_connections_are_bounded_and_waiting_counts_as_time() -> None:
    async def serve(request: bytes, nth: int, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(0.4)
        return await answers(request, nth, writer)

    async with raw_server(serve) as (url, seen), to(url, connections=2, timeout=1.0) as upstream:
        asked = [upstream.request(b"GET", b"/", []) for _ in range(8)]
        answered = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(one, TimeoutError) for one in answered) == 4
        assert len(seen) <= 6


async def test_another_replica_takes_over() -> None:
    async with raw_server(answers) as (url, _):
        async with to(f"http://127.0.0.1:1,{url}") as upstream:
            assert (await upstream.request(b"POST", b"/", [])).status == 200
        async with to("http://127.0.0.1:1") as upstream:
            with pytest.raises(UnreachableError):
                await upstream.request(b"GET", b"/", [])
