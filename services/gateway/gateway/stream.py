"""GET /v1/events/stream: server-sent events from the ring, resumable, ended when the caller's credential ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import Counter as Total
from prometheus_client import Gauge
from starlette.types import Receive, Scope, Send

from chassis.http.problems import Problem, unavailable
from contracts.auth import Audience
from gateway.cookies import cookies_of
from gateway.credentials import Credential, Credentials, Pass, Visited, credential_of, forbidden, visited_of
from gateway.ring import Position, Ring

SCOPE = "events:read"
AUDIENCE: Audience = "gateway"
MOST_SUBSCRIBERS = 1000
AT_ONCE = 200
CHUNK_BYTES = 65_536
MOST_BEHIND = 20_000  # events; who is further behind does not read
SEND_SECONDS = 10
AHEAD_SECONDS = 2
LOOK_SECONDS = 0.5  # between looks at the business clock, by which a session ends

subscribers = Gauge("paidup_stream_subscribers", "Event streams open")
resets = Total("paidup_stream_resets_total", "Streams that had to begin anew", ["reason"])


class EndedError(Exception):
    """The stream is over: hung up, revoked, too far behind, or the process stops."""


class StuckError(Exception):
    """The subscriber takes nothing, so that not even an end can be sent."""


class Streams:
    """All event streams of this process."""

    def __init__(
        self, ring: Ring, credentials: Credentials, *, heartbeat_seconds: float, per_key: int = MOST_SUBSCRIBERS
    ) -> None:
        self.ring, self.credentials, self.heartbeat_seconds, self._per_key = (
            ring,
            credentials,
            heartbeat_seconds,
            per_key,
        )
        self._open: defaultdict[str, set[Stream]] = defaultdict(set)
        self._held: Counter[str] = Counter()  # by customer, or by key where there is none
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def close_of(self, credential_id: str) -> None:
        """End the streams of an ended credential."""
        for stream in self._open.get(credential_id, ()):
            stream.ended = True
        self.ring.wake()

    def close(self) -> None:
        """End all streams: the process stops."""
        for credential_id in list(self._open):
            self.close_of(credential_id)

    async def serve(self, scope: Scope, receive: Receive, send: Send, grant: str | None = None) -> None:
        """`grant`: the visit whose path this is."""
        headers = dict(scope["headers"])
        credential = credential_of(scope["headers"], cookies_of(scope["headers"]), grant)
        visited = visited_of(scope, grant)
        admitted = await self.credentials.admit(credential, AUDIENCE, visited)
        if not admitted.may(SCOPE):
            raise forbidden(SCOPE)
        if self._count >= MOST_SUBSCRIBERS:
            raise unavailable("This process serves as many streams as it can.", retry_after=5)
        share = admitted.share.name
        if self._held[share] >= self._per_key:
            whose = "The keys and people of this customer hold" if share == admitted.customer_id else "You hold"
            detail = f"{whose} {self._per_key} event streams already: end one, or share it."
            raise Problem(status=429, slug="too-many-streams", detail=detail, headers={"Retry-After": "5"})
        stream = Stream(self, admitted, credential, visited, send)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        with self._counted(admitted, stream):
            gone = asyncio.ensure_future(stream.end_with(receive))
            try:
                with contextlib.suppress(EndedError):
                    await stream.run(headers.get(b"last-event-id"))
                await send({"type": "http.response.body", "body": b""})
            except StuckError:
                resets.labels("stuck").inc()
            finally:
                gone.cancel()

    @contextlib.contextmanager
    def _counted(self, admitted: Pass, stream: Stream) -> Iterator[None]:
        credential_id, share = admitted.credential_id, admitted.share.name
        self._open[credential_id].add(stream)
        stream.ended = self.credentials.has_ended(credential_id)  # while its head was sent
        self._held[share] += 1
        self._count += 1
        subscribers.set(self._count)
        try:
            yield
        finally:
            self._count -= 1
            subscribers.set(self._count)
            self._open[credential_id].discard(stream)
            if not self._open[credential_id]:
                del self._open[credential_id]
            self._held[share] -= 1
            if not self._held[share]:
                del self._held[share]


HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]


@dataclass(eq=False, slots=True)
class Place:
    """A subscriber's position: the number of the next entry in the ring, and its offset in every partition."""

    number: int
    generation: int
    position: Position


class Stream:
    """One subscriber."""

    def __init__(
        self, streams: Streams, admitted: Pass, credential: Credential, visited: Visited | None, send: Send
    ) -> None:
        self._ring, self._credentials = streams.ring, streams.credentials
        self._admitted, self._credential, self._visited, self._to = admitted, credential, visited, send
        self._heartbeat = streams.heartbeat_seconds
        self.ended = False

    async def run(self, last_event_id: bytes | None) -> None:
        """Until EndedError."""
        place = await self._begin(last_event_id)
        beat_at = time.monotonic() + self._heartbeat
        while True:
            if self.ended:
                raise EndedError
            news = self._ring.news
            place = await self._catch_up(place)
            if time.monotonic() >= beat_at:
                await self._beat(place)
                beat_at = time.monotonic() + self._heartbeat
            elif self._credentials.over(self._admitted):
                await self._ask_again()
            if place.number < self._ring.end or self.ended:
                await asyncio.sleep(0)
                continue
            patience = beat_at - time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(patience, LOOK_SECONDS) if self._admitted.ends else patience):
                    await news.wait()

    async def end_with(self, receive: Receive) -> None:
        """End the stream once the subscriber has hung up."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.ended = True
        self._ring.wake()

    async def _begin(self, last_event_id: bytes | None) -> Place:
        if not last_event_id:
            place = self._now()
            await self._send(b"retry: 1000\nid: %b\n\n" % place.position.encode().encode())
            return place
        position = Position.decode(last_event_id.decode("latin-1"))
        if position is None:
            return await self._reset("unreadable")
        if not await self._reached(position):
            return await self._reset("unknown")
        if position.behind(self._ring.floor):
            return await self._reset("too-old")
        await self._send(b"retry: 1000\n\n")
        return Place(self._ring.first, self._ring.generation, position)

    async def _reached(self, position: Position) -> bool:
        """Wait until this replica has reached the position: another one may have been ahead. False if it never does."""
        until = time.monotonic() + AHEAD_SECONDS
        while self._ring.head.behind(position):
            if time.monotonic() > until or self.ended:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _catch_up(self, place: Place) -> Place:
        ring, position, customer = self._ring, place.position, self._admitted.customer_id
        if place.generation != ring.generation:
            return await self._reset("lost")
        if place.number < ring.first or ring.end - place.number > MOST_BEHIND:
            await self._reset("slow")
            raise EndedError
        chunk = bytearray()
        for entry in ring.since(place.number, AT_ONCE):
            place.number += 1
            if entry.offset < position.offsets[entry.place]:
                continue
            position.offsets[entry.place] = entry.offset + 1
            if text := entry.shown_to(customer):
                chunk += b"id: %b\n%b" % (ring.mark(place.number, position), text)
            if len(chunk) > CHUNK_BYTES:
                break
        if chunk:
            await self._send(bytes(chunk))
        return place

    def _now(self) -> Place:
        return Place(self._ring.end, self._ring.generation, Position(self._ring.head.offsets))

    async def _reset(self, reason: str) -> Place:
        """Say that events are missing, so that the subscriber reads the state again from the API. Goes on from now."""
        resets.labels(reason).inc()
        place = self._now()
        identifier = place.position.encode()
        await self._send(f'event: reset\nid: {identifier}\ndata: {{"reason":"{reason}"}}\n\n'.encode())
        return place

    async def _beat(self, place: Place) -> None:
        """Send a heartbeat: it keeps the connection open, with an id to resume from.

        Auth would write down each question about a visit, so a visit is asked about only once its time is over.
        """
        await self._send(b": still here\nid: %b\n\n" % place.position.encode().encode())
        if not self._admitted.visit:
            await self._ask_again()

    async def _ask_again(self) -> None:
        """End with the credential: also when its time is over and auth can't be asked."""
        try:
            self._admitted = await self._credentials.admit(self._credential, AUDIENCE, self._visited)
        except Problem as problem:
            if problem.status == 401 or self._credentials.over(self._admitted):
                raise EndedError from problem

    async def _send(self, part: bytes) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._to({"type": "http.response.body", "body": part, "more_body": True})
        except TimeoutError as error:
            raise StuckError from error
