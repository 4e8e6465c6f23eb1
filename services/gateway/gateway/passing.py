"""Large bodies pass through as they come, both ways: neither a request nor an answer is held whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from gateway.client import BrokenError, Headers, UnreachableError

LONGEST = aiohttp.ClientTimeout(total=600, sock_connect=5)
PART_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Passed:
    """An answer whose body is still to come; BrokenError when it ends too soon."""

    status: int
    headers: Headers
    parts: AsyncIterator[bytes]


class Passing:
    """`urls`: of each owner's replicas, by commas. An unreachable one is left out; no body is sent twice."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = {owner: [url.strip().rstrip("/") for url in each.split(",")] for owner, each in urls.items()}
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def sent(
        self, owner: str, method: str, target: bytes, headers: Headers, parts: AsyncIterator[bytes]
    ) -> AsyncIterator[Passed]:
        """The answer; raises UnreachableError, BrokenError or TimeoutError as the lean client, or as `parts`."""
        named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        body = _Body(parts)
        answer = await self._begun(owner, method, target.decode("latin-1"), named, body)
        try:
            kept = [(name.lower(), value) for name, value in answer.raw_headers]
            yield Passed(answer.status, kept, _parts(answer))
        finally:
            answer.close()

    async def _begun(
        self, owner: str, method: str, target: str, headers: list[tuple[str, str]], body: _Body
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=LONGEST, auto_decompress=False)
        data = None if method in ("GET", "HEAD") else body.parts()
        for base in self._urls[owner]:
            try:
                return await self._session.request(
                    method, URL(base + target, encoded=True), headers=headers, data=data, allow_redirects=False
                )
            except aiohttp.ClientConnectorError:
                continue  # nothing was sent
            except aiohttp.ClientError as error:
                if body.fault is not None:  # the owner is well: the caller's body is too long, or cut off
                    raise body.fault from None
                raise BrokenError from error
        raise UnreachableError

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _parts(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for part in answer.content.iter_chunked(PART_BYTES):
            yield part
    except aiohttp.ClientError as error:
        raise BrokenError from error


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
