"""Large bodies that end too soon are the caller's fault, not the owner's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from chassis.http.problems import Problem, too_large
from gateway.client import BrokenError
from gateway.uploads import Uploads


async def sent(parts: AsyncIterator[bytes], *, hangs_up: bool = False) -> None:
    ended = asyncio.Event()

    async def owner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(1 if hangs_up else -1)
            writer.close()
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(owner, "127.0.0.1", 0)
    uploads = Uploads({"payments": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
    try:
        await uploads.send("payments", "POST", b"/v1/bank-statements", [], parts)
    finally:
        await uploads.close()
        await ended.wait()
        server.close()
        await server.wait_closed()


async def too_long() -> AsyncIterator[bytes]:
    yield b"x" * 10
    raise too_large(10)


async def whole() -> AsyncIterator[bytes]:
    yield b"x" * 10


def test_a_body_without_a_length_that_grows_too_long_is_refused_as_too_long() -> None:
    with pytest.raises(Problem) as caught:
        asyncio.run(sent(too_long()))
    assert caught.value.status == 413


def test_an_owner_that_hangs_up_is_broken() -> None:
    with pytest.raises(BrokenError):
        asyncio.run(sent(whole(), hangs_up=True))
