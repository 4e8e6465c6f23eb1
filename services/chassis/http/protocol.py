"""HTTP/1.1 under uvicorn: the head is bounded, and neither head nor body may be slow, because anybody may send them."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from chassis.http.problems import Problem
from contracts.ids import new_id

LONGEST_HEAD = 32_768
HEAD_SECONDS = 10.0
LINGER_SECONDS = 1.0
BODY_SECONDS = 10.0  # in each of which so many bytes come at least, unless it is here that nobody takes them
LEAST_BYTES_A_SECOND = 4_096
STEP = 4_096
HEAD = b"content-type: application/problem+json\r\nx-request-id: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"


class _Flow(FlowControl):
    """Counts how often this side took nothing for a while."""

    pauses = 0

    def pause_reading(self) -> None:
        self.pauses += 1
        super().pause_reading()


class BoundedHead(HttpToolsProtocol):
    """A head is at most 32 KiB, else 431, and there ten seconds after the connection or its first byte, else 408.

    Between requests uvicorn's keep-alive time counts instead. A body that stalls, or trickles, is 408 too: what has
    come of it takes memory, and those behind it wait.
    """

    _in_head = True
    _head_bytes = 0
    _refused = False
    _late: asyncio.TimerHandle | None = None
    _look: asyncio.TimerHandle | None = None
    _body_bytes = 0
    _pauses = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        self._body_ends()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        while data and not self._refused and not self.transport.is_closing():
            step = STEP if self._in_head else len(data)
            self._feed(data[:step])
            data = data[step:]

    def _feed(self, part: bytes) -> None:
        began_in_head = self._in_head
        super().data_received(part)
        if not self._in_head:
            self._body_bytes += len(part)
            if self._look is None:
                self._body_begins()
            return
        if began_in_head:
            self._head_bytes += len(part)
        if self._head_bytes > LONGEST_HEAD:
            self._refuse(431, "head-too-large", f"The request's head is longer than {LONGEST_HEAD} bytes.")
        elif self._late is None and self.timeout_keep_alive_task is None and self._idle():
            self._late = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._in_time()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._body_ends()

    def _body_begins(self) -> None:
        self._body_bytes, self._pauses = 0, cast(_Flow, self.flow).pauses
        self._look = self.loop.call_later(BODY_SECONDS, self._look_at_body)

    def _body_ends(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_at_body(self) -> None:
        flow = cast(_Flow, self.flow)
        held_up_here = flow.read_paused or flow.pauses != self._pauses or self.pipeline
        if held_up_here or self._body_bytes >= BODY_SECONDS * LEAST_BYTES_A_SECOND:
            self._body_begins()
            return
        self._look = None
        detail = f"The request's body came with less than {LEAST_BYTES_A_SECOND} bytes a second."
        self._refuse(408, "body-too-slow", detail, unanswered=not self.cycle.response_started)
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        self._refuse(408, "head-too-slow", "The request's head has not come in time.")

    def _idle(self) -> bool:
        """Whether no answer is under way."""
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, status: int, slug: str, detail: str, *, unanswered: bool = False) -> None:
        if (unanswered or self._idle()) and not self.transport.is_closing():
            identifier = new_id()
            body = Problem(status=status, slug=slug, detail=detail, extra={"request_id": identifier}).body()
            head = HEAD % (identifier.encode(), len(body))
            self.transport.write(STATUS_LINE[status] + head + body)
            self.transport.write_eof()
        self._in_time()
        self._refused = True  # a close at once would reset the connection, and the refusal be lost with it
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
