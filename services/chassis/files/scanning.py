"""Asks clamd whether a file holds a virus: INSTREAM, over TCP or a socket of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from urllib.parse import urlsplit

PART = 65_536
LONGEST_ANSWER = 1_024


class ScannerAwayError(Exception):
    """It can't be asked, or could not scan: whether the file is clean is not known."""


class Scanner:
    """`address`: `tcp://host:port` or `unix:///path`."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        known = parts.path if parts.scheme == "unix" else parts.scheme == "tcp" and parts.hostname and parts.port
        if not known:
            raise ValueError(f"{address!r} is no address of clamd: write tcp://host:3310 or unix:///run/clamd.sock")
        self._address = parts

    async def virus_in(self, parts: AsyncIterable[bytes], *, seconds: float) -> str | None:
        """The name of the virus; None: the file is clean."""
        try:
            async with asyncio.timeout(seconds):
                answer = await self._ask(parts)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise ScannerAwayError(f"clamd could not be asked: {error!r}") from error
        if answer == "stream: OK":
            return None
        if answer.startswith("stream: ") and answer.endswith(" FOUND"):
            return answer.removeprefix("stream: ").removesuffix(" FOUND")
        raise ScannerAwayError(f"clamd could not scan: {answer!r:.200}")

    async def _ask(self, parts: AsyncIterable[bytes]) -> str:
        if self._address.scheme == "unix":
            reader, writer = await asyncio.open_unix_connection(self._address.path)
        else:
            reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        try:
            writer.write(b"zINSTREAM\0")
            async for part in parts:
                for start in range(0, len(part), PART):
                    piece = part[start : start + PART]
                    writer.write(len(piece).to_bytes(4) + piece)
                    await writer.drain()
            writer.write((0).to_bytes(4))
            await writer.drain()
            answer = await reader.read(LONGEST_ANSWER)
        finally:
            writer.close()
        return answer.rstrip(b"\0\n").decode(errors="replace")
