"""A client that costs little: one kept connection, one request at a time, JSON both ways."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import orjson

IDLE_SECONDS = 30  # servers close a connection that is idle for longer than twice that


class Wire:
    """Speaks HTTP/1.1 to one address; an answer must carry Content-Length. `proof`: a header, if no token."""

    def __init__(self, url: str, token: str = "", proof: str = "") -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "127.0.0.1", place.port or 80
        proof = proof or f"Authorization: Bearer {token}"
        self._head = f" HTTP/1.1\r\nHost: {place.netloc}\r\n{proof}\r\n".encode()
        self._used = 0.0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Wire:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._streams:
            self._streams[1].close()

    async def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, bytes]:
        """Status and body as it came."""
        idle, self._used = time.monotonic() - self._used, time.monotonic()
        if self._streams is None or idle > IDLE_SECONDS:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        sent = b"" if body is None else orjson.dumps(body)
        more = f"Idempotency-Key: {key}\r\n" if key else ""
        more += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
        writer.write(f"{method} {path}".encode() + self._head + more.encode() + sent)
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        at = lower.index(b"content-length:") + 15
        length = int(lower[at : lower.index(b"\r\n", at)])
        return int(head[9:12]), await reader.readexactly(length)

    async def get(self, path: str) -> Any:
        status, body = await self.ask("GET", path)
        assert status == 200, (path, status, body)
        return orjson.loads(body)

    async def make(self, path: str, body: Any, key: str | None = None) -> Any:
        status, answer = await self.ask("POST", path, body, key)
        assert status in (200, 201, 202), (path, status, answer)
        return orjson.loads(answer)
