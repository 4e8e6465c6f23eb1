"""Passes a request on to the service that owns it, and the answer back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address

from starlette.types import Message, Receive, Scope, Send

from chassis import telemetry
from chassis.http.limits import Templates
from chassis.http.problems import Problem, unavailable
from chassis.logs import request_id
from gateway.client import Answer, BrokenError, BusyError, Headers, UnreachableError, Upstream
from gateway.cookies import BROWSER, NONE, cookies_that_count
from gateway.credentials import Credential, Credentials, Pass, credential_of, visited_of
from gateway.limits import Buckets, Room, Share
from gateway.passing import Passing
from gateway.routes import DOWNLOADS, LIMITS, METHODS, Route
from gateway.waiting import Waiting, waits

HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
NOT_PASSED_ON = HOP_BY_HOP | {
    b"authorization", b"accept-encoding", b"content-length", b"cookie", b"expect", b"forwarded", b"host", b"origin",
    b"paidup-browser", b"paidup-client-address", b"paidup-csrf", b"paidup-internal", b"referer",
    b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user",
    b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-request-id",
}  # fmt: skip
NOT_PASSED_BACK = HOP_BY_HOP | {b"content-length", b"date", b"server", b"x-content-type-options", b"x-request-id"}


KEYLESS = Share("keyless", 0.5)
HELD_BYTES = 67_108_864  # of all bodies that are on their way in, or wait for their answer
FREE_BYTES = 16_384  # of each body, so that a short one always has room
FILES_AT_ONCE = 16


def no_room() -> Problem:
    return unavailable(
        "More is being sent than can be held. Send this again: nothing was carried out.", slug="too-busy"
    )


def no_room_for_files() -> Problem:
    detail = "As many files as can be taken at a time are on their way. Ask for this one again in some seconds."
    return unavailable(detail, slug="too-many-uploads", retry_after=5)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way to the owner of its path. `credential` is None on a path that takes none."""

    route: Route
    scope: Scope
    headers: Headers
    credential: Credential | None
    admitted: Pass | None

    @property
    def share(self) -> Share:
        return self.admitted.share if self.admitted else KEYLESS

    @property
    def share_of_files(self) -> Share:
        """Who downloads by a link has a share by its address: a slow reader does not hold up all others."""
        if self.admitted:
            return self.admitted.share
        return Share(f"from {address_of(self.scope.get('client'))}", 0.25)

    @property
    def method(self) -> str:
        """The method that the owner gets. HEAD is sent as GET; the server then sends only the head.

        An unknown method is sent as OPTIONS, which no service has. So its owner refuses it and lists its methods.
        """
        given = self.scope["method"]
        return "GET" if given == "HEAD" else given if given in METHODS else "OPTIONS"

    @property
    def target(self) -> bytes:
        raw: bytes = self.scope["raw_path"]
        return raw + (b"?" + self.scope["query_string"] if self.scope["query_string"] else b"")

    @property
    def repeatable(self) -> bool:
        return self.method in ("GET", "PUT", "DELETE", "OPTIONS") or self.has(b"idempotency-key")

    def has(self, name: bytes) -> bool:
        return any(header == name for header, _ in self.headers)


class Proxy:
    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        credentials: Credentials,
        per_key: Buckets,
        passing: Passing,
        waiting: Waiting,
        downloads: Templates = DOWNLOADS,
        public: str | None = None,
    ) -> None:
        self._upstreams, self._credentials, self._per_key, self._passing = upstreams, credentials, per_key, passing
        self._waiting, self._downloads, self._public = waiting, downloads, public
        self._bytes, self._files = Room(HELD_BYTES, no_room), Room(FILES_AT_ONCE, no_room_for_files)

    async def __call__(
        self, route: Route, scope: Scope, receive: Receive, send: Send, grant: str | None = None
    ) -> None:
        """`grant`: the visit whose path this is."""
        given: Headers = scope["headers"]
        headers = passed_on(given, scope.get("client"))
        cookies = NONE
        if route.owner == "auth" or not route.keyless:  # what else takes no credential takes no cookie either
            cookies = cookies_that_count(scope["method"], given, self._public, visit=grant is not None)
        if route.owner == "auth" and (browser := cookies.get(BROWSER)):
            headers.append((b"paidup-browser", browser))
        credential = admitted = None
        if not route.keyless:
            credential = credential_of(given, cookies, grant)
            visited = visited_of(scope, grant)
            admitted = await self._credentials.admit(credential, route.owner, visited)
            self._per_key.take(admitted.share.name)
        asked = Asked(route, scope, headers, credential, admitted)
        if LIMITS.streamed(asked.method, scope["path"]) or self._downloads.find(asked.method, scope["path"]):
            with _as_problems():
                return await self._pass(asked, receive, send)
        if admitted is not None and waits(scope["method"], headers):
            answer = await self._ask_patiently(asked, admitted.share.name, receive)
        else:
            answer = await self._ask(asked, self._upstreams[route.owner], receive)
        await send({"type": "http.response.start", "status": answer.status, "headers": passed_back(answer)})
        await send({"type": "http.response.body", "body": answer.body})

    async def _ask_patiently(self, asked: Asked, share: str, receive: Receive) -> Answer:
        """Send on a connection for requests that wait; without one, send without the preference."""
        with self._waiting.place(asked.route.owner, share) as upstream:
            if upstream is None:
                asked = replace(asked, headers=[header for header in asked.headers if header[0] != b"prefer"])
            return await self._ask(asked, upstream or self._upstreams[asked.route.owner], receive)

    async def _authorization(self, asked: Asked) -> bytes:
        """Fresh: the credential, or its token, may have ended while its request waited."""
        assert asked.credential is not None
        assert asked.admitted is not None
        visited = visited_of(asked.scope, asked.credential.grant)
        fresh = await self._credentials.again(asked.credential, asked.route.owner, asked.admitted, visited)
        return fresh.authorization or b""

    async def _pass(self, asked: Asked, receive: Receive, send: Send) -> None:
        headers = asked.headers
        if asked.admitted:
            headers = [*headers, (b"authorization", await self._authorization(asked))]
        share = asked.share_of_files
        self._files.take(share)
        try:
            owner, parts = asked.route.owner, parts_of(receive)
            async with self._passing.sent(owner, asked.method, asked.target, headers, parts) as answer:
                kept = own_of(answer.headers)
                kept += [header for header in answer.headers if header[0] == b"content-length"]
                await send({"type": "http.response.start", "status": answer.status, "headers": kept})
                async for part in answer.parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._files.give(share)

    async def _ask(self, asked: Asked, upstream: Upstream, receive: Receive) -> Answer:
        with _as_problems():
            async with read_body(receive, self._bytes, asked.share) as body:
                return await upstream.request(
                    asked.method.encode(), asked.target, asked.headers, body, repeatable=asked.repeatable,
                    share=asked.share, patient=asked.has(b"paidup-seen"),
                    authorize=partial(self._authorization, asked) if asked.admitted else None,
                )  # fmt: skip


@contextlib.contextmanager
def _as_problems() -> Iterator[None]:
    """Turn failures between here and a service into problems for the caller."""
    try:
        yield
    except BusyError as error:
        detail = "There are more requests than can be answered. Send this one again: nothing was carried out."
        raise unavailable(detail, slug="too-busy") from error
    except TimeoutError as error:
        raise Problem(
            status=504, slug="service-timed-out",
            detail="The service has not answered in time. The request may still be carried out.",
        ) from error  # fmt: skip
    except UnreachableError as error:
        raise unavailable("The service that answers this is down.", slug="service-unavailable") from error
    except BrokenError as error:
        raise Problem(
            status=502, slug="service-interrupted", headers={"Retry-After": "1"},
            detail="The service went away while answering. The request may have been carried out.",
        ) from error  # fmt: skip


def passed_on(given: Headers, client: tuple[str, int] | None = None) -> Headers:
    """The headers that are sent to the owner. Names come in lower case.

    `client`: the address of the connection, or the one that a trusted proxy names. Only the gateway sends it on.
    """
    named: frozenset[bytes] = frozenset()
    for name, value in given:
        if name == b"connection" and value not in (b"keep-alive", b"close"):
            named = frozenset(part.strip().lower() for part in value.split(b","))
    kept = [header for header in given if header[0] not in NOT_PASSED_ON and header[0] not in named]
    kept.append((b"x-request-id", request_id.get().encode()))
    if address := address_of(client):
        kept.append((b"paidup-client-address", address.encode()))
    trace = telemetry.traceparent()
    if trace:
        kept = [header for header in kept if header[0] != b"traceparent"]
        kept.append((b"traceparent", trace.encode()))
    return kept


def address_of(client: tuple[str, int] | None) -> str | None:
    """A caller's address in its one normal form; None if it is no address, because a proxy may send anything."""
    try:
        address = ip_address((client[0] if client else "").partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def own_of(headers: Headers) -> Headers:
    """The headers of a service's answer that the caller gets as they are. Nobody keeps an answer that says nothing."""
    kept = [header for header in headers if header[0] not in NOT_PASSED_BACK]
    if not any(name == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"no-store"))
    return kept


def passed_back(answer: Answer) -> Headers:
    headers = own_of(answer.headers)
    if answer.status != 204:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    return headers


class CallerGoneError(Exception):
    """The caller hung up before its request was complete."""


@contextlib.asynccontextmanager
async def read_body(receive: Receive, room: Room, share: Share) -> AsyncIterator[bytes]:
    """Read the body. It takes room until the block ends; a 503 problem if there is no room."""
    length = held = 0
    parts: list[bytes] = []
    try:
        async for part in parts_of(receive):
            parts.append(part)
            length += len(part)
            if length > FREE_BYTES:
                more = length - FREE_BYTES - held
                room.take(share, more)
                held += more
        yield parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        if held:
            room.give(share, held)


async def parts_of(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes."""
    more = True
    while more:
        message = await receive()
        if part := _part(message):
            yield part
        more = message.get("more_body", False)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise CallerGoneError
    part: bytes = message.get("body", b"")
    return part
