"""A lean HTTP/1.1 client for one upstream: kept connections, bounded, without a framework between the sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import httptools

from gateway.limits import EVERYBODY, Share, Slots

IDLE_SECONDS = 30  # less than the services keep a connection open
LONGEST_ANSWER = 33_554_432

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes


class UnreachableError(Exception):
    """No connection was made: nothing was sent."""


class BrokenError(Exception):
    """The connection ended before the answer did: the request may or may not have been carried out."""


class BusyError(TimeoutError):
    """No slot came free in time: nothing was sent."""


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: Headers = []
        self._body = bytearray()
        self.idle_since = 0.0
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class that isinstance knows

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, _: Exception | None) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BrokenError())

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, part: bytes) -> None:
        self._body += part
        if len(self._body) > LONGEST_ANSWER:
            self.close()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer
            return self._headers.clear()
        if self._answer is None or not self._parser.should_keep_alive():  # nobody asked, or the last one here
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, self._headers, bytes(self._body)))

    def close(self) -> None:
        self.open = False
        self._transport.close()

    async def ask(self, request: bytes) -> Answer:
        self._headers, self._body = [], bytearray()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._answer = None
            self.idle_since = time.monotonic()


class Upstream:
    """`urls`: replicas of one service, separated by commas; `timeout` in seconds for all of a request."""

    def __init__(self, urls: str, *, connections: int = 64, timeout: float = 30) -> None:
        parts = [urlsplit(url.strip()) for url in urls.split(",")]
        self._addresses = [(part.hostname or "", part.port or 80) for part in parts]
        self.host = b"host: " + parts[0].netloc.encode() + b"\r\n"
        self._turn = itertools.count()
        self._connections = connections
        self._slots, self._patient = Slots(connections), Slots(connections)
        self._idle: list[Connection] = []
        self._timeout = timeout

    async def request(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes = b"",
        *,
        repeatable: bool = False,
        share: Share = EVERYBODY,
        patient: bool = False,
        authorize: Callable[[], Awaitable[bytes]] | None = None,
    ) -> Answer:
        """The answer; raises UnreachableError, BrokenError, TimeoutError, or BusyError when no slot came free in time.

        `repeatable`: may be sent again when a kept connection turns out to have been closed by the other side.
        `patient`: the service may wait before it answers, so the request holds no slot that others need.
        `authorize`: called once there is a slot, because a token would expire while its request waits.
        """
        sent = False
        slots, most = self._patient if patient else self._slots, math.ceil(self._connections * share.part)
        try:
            async with asyncio.timeout(self._timeout), slots.taken(share.name, most):
                if authorize is not None:
                    headers = [*headers, (b"authorization", await authorize())]
                sent = True
                return await self._exchange(method, target, headers, body, repeatable=repeatable)
        except TimeoutError as error:
            if sent:
                raise
            raise BusyError from error

    async def _exchange(
        self, method: bytes, target: bytes, headers: Headers, body: bytes, *, repeatable: bool
    ) -> Answer:
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        size = b"content-length: %d\r\n" % len(body) if body or method not in (b"GET", b"DELETE") else b""
        request = b"%b %b HTTP/1.1\r\n%b%b%b\r\n%b" % (method, target, self.host, lines, size, body)
        if kept := self._kept():
            try:
                return await self._ask(kept, request)
            except BrokenError:
                if not repeatable:
                    raise
        return await self._ask(await self._connect(), request)

    async def _ask(self, connection: Connection, request: bytes) -> Answer:
        answer = await connection.ask(request)
        if connection.open:
            self._idle.append(connection)
        return answer

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.open and time.monotonic() - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        """Connect to the replicas in turn; one that refuses is left out."""
        first = next(self._turn)
        for place in range(len(self._addresses)):
            address = self._addresses[(first + place) % len(self._addresses)]
            with contextlib.suppress(OSError):
                return (await asyncio.get_running_loop().create_connection(Connection, *address))[1]
        raise UnreachableError

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
