"""Large bodies: they pass through to their owner as they come, and are never held whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import aiohttp
from yarl import URL

from gateway.client import Answer, BrokenError, Headers, UnreachableError

LONGEST = aiohttp.ClientTimeout(total=600, sock_connect=5)


class Uploads:
    """`urls`: of each owner's replicas, by commas. One that can't be reached is passed over; no body is sent twice."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = {owner: [url.strip().rstrip("/") for url in each.split(",")] for owner, each in urls.items()}
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, owner: str, method: str, target: bytes, headers: Headers, parts: AsyncIterator[bytes]
    ) -> Answer:
        """The answer; raises UnreachableError, BrokenError or TimeoutError as the lean client, or as `parts`."""
        named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        body = _Body(parts)
        for base in self._urls[owner]:
            try:
                return await self._send(method, URL(base + target.decode("latin-1"), encoded=True), named, body.parts())
            except aiohttp.ClientConnectorError:
                continue  # nothing was sent
            except aiohttp.ClientError as error:
                if body.fault is not None:  # the owner is well: the caller's body is too long, or cut off
                    raise body.fault from None
                raise BrokenError from error
        raise UnreachableError

    async def _send(self, method: str, url: URL, headers: list[tuple[str, str]], parts: AsyncIterator[bytes]) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=LONGEST, auto_decompress=False)
        async with self._session.request(method, url, headers=headers, data=parts) as answer:
            kept = [(name.lower(), value) for name, value in answer.raw_headers]
            return Answer(answer.status, kept, await answer.read())

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Body:
    """A body as it comes; `fault` is what ended it too soon."""

    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self._parts = parts
        self.fault: Exception | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._parts:
                yield part
        except Exception as fault:
            self.fault = fault
            raise
