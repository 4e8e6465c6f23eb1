"""A stand-in for clamd: it speaks INSTREAM over TCP, and finds the EICAR test file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.kit.files import EICAR


@dataclass
class Clamd:
    """`away`: it closes each connection without an answer. `seen`: the sizes of what it scanned."""

    address: str = ""
    away: bool = False
    seen: list[int] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            if self.away:
                return
            assert await reader.readexactly(10) == b"zINSTREAM\0"
            content = b""
            while length := int.from_bytes(await reader.readexactly(4)):
                content += await reader.readexactly(length)
            self.seen.append(len(content))
            writer.write(b"stream: Eicar-Signature FOUND\0" if EICAR in content else b"stream: OK\0")
            await writer.drain()


@contextlib.asynccontextmanager
async def clamd() -> AsyncIterator[Clamd]:
    made = Clamd()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
