"""Large bodies pass through: those that end too soon are the caller's fault, not the owner's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from chassis.http.problems import Problem, too_large
from gateway.client import BrokenError
from gateway.passing import Passing


@contextlib.asynccontextmanager
async def owner(answer: bytes = b"", *, reads: int = -1) -> AsyncIterator[Passing]:
    """A service that reads so many bytes, answers, and hangs up."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(reads)
            writer.write(answer)
            writer.close()
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    passing = Passing({"payments": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    try:
        yield passing
    finally:
        await passing.close()
        await ended.wait()
        server.close()
        await server.wait_closed()


async def too_long() -> AsyncIterator[bytes]:
    yield b"x" * 10
    raise too_large(10)


async def whole() -> AsyncIterator[bytes]:
    yield b"x" * 10


class TestUploads:
    async def test_body_that_grows_too_long_is_refused(self) -> None:
        async with owner() as passing:
            with pytest.raises(Problem) as caught:
                async with passing.sent("payments", "POST", b"/v1/bank-statements", [], too_long()):
                    pass
        assert caught.value.status == 413

    async def test_owner_that_hangs_up_is_broken(self) -> None:
        async with owner(reads=1) as passing:
            with pytest.raises(BrokenError):
                async with passing.sent("payments", "POST", b"/v1/bank-statements", [], whole()):
                    pass


class TestDownloads:
    async def test_answer_comes_in_parts(self) -> None:
        head = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-99999/200000\r\nContent-Length: 100000\r\n\r\n"
        async with (
            owner(head + b"y" * 100_000, reads=1) as passing,
            passing.sent("payments", "GET", b"/v1/files/1", [(b"range", b"bytes=0-99999")], whole()) as answer,
        ):
            parts = [part async for part in answer.parts]
        assert (answer.status, dict(answer.headers)[b"content-range"]) == (206, b"bytes 0-99999/200000")
        assert len(parts) > 1
        assert sum(map(len, parts)) == 100_000

    async def test_answer_that_is_cut_off_is_broken(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        async with (
            owner(head + b"y" * 10, reads=1) as passing,
            passing.sent("payments", "GET", b"/v1/files/1", [], whole()) as answer,
        ):
            with pytest.raises(BrokenError):
                [part async for part in answer.parts]
