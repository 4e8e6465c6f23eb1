"""A service's handlers of events, by the type of the event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.messaging.records import E, Received, Record
from chassis.messaging.work import Work
from contracts.envelope import Envelope, Event, Message
from contracts.ids import is_id

Run = Callable[[Sequence[Any], Work], Awaitable[None]]
Wants = Callable[[Sequence[Envelope], Work], Awaitable[Collection[str]]]


def customers_of(envelopes: Sequence[Envelope]) -> list[str]:
    """The customers whom the events say they belong to."""
    return sorted({one.customer for one in envelopes if one.customer is not None and is_id(one.customer)})


@dataclass(frozen=True, slots=True)
class Lock:
    """A row lock that a handler needs. All of a batch are taken before its first handler, by rank, then by id."""

    rank: int
    table: str
    id_of: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Handler:
    type: type[Event]
    run: Run
    lock: Lock | None
    acts: bool
    raw: bool
    wants: Wants | None = None


Answer = Callable[[Record, str, datetime], Message]
AnswerUnknown = Callable[[Envelope, datetime], Message]


class Handlers:
    """A service's handlers by event type, under its consumer name."""

    def __init__(
        self, consumer: str, *, answer_unreadable: Answer | None = None, answer_unknown: AnswerUnknown | None = None,
        gathers_ms: int | None = None,
    ) -> None:  # fmt: skip
        """`answer_…` make the answer to a command without a readable envelope, or of an unknown type.

        `gathers_ms`: while events come, they may wait so long to be taken together, which costs much less. The first
        one after a pause never waits.
        """
        self.gathers_ms = gathers_ms
        self.consumer, self.answer_unreadable, self.answer_unknown = consumer, answer_unreadable, answer_unknown
        self.by_type: dict[str, Handler] = {}

    def on(
        self, event_type: type[E], *, lock: Lock | None = None, acts: bool = False
    ) -> Callable[[Callable[[E, Work], Awaitable[None]]], Callable[[E, Work], Awaitable[None]]]:
        """Register a handler. `acts`: it acts outside, so events older than the consumer itself are ignored."""

        def register(handle: Callable[[E, Work], Awaitable[None]]) -> Callable[[E, Work], Awaitable[None]]:
            async def each(events: Sequence[Received[E]], work: Work) -> None:
                for received in events:
                    work.cause = received.cause
                    await handle(received.event, work)

            self.by_type[event_type.__name__] = Handler(event_type, each, lock, acts, raw=False)
            return handle

        return register

    def on_many(
        self,
        *event_types: type[E],
        lock: Lock | None = None,
        acts: bool = False,
        raw: bool = False,
        wants: Wants | None = None,
    ) -> Callable[
        [Callable[[Sequence[Received[E]], Work], Awaitable[None]]],
        Callable[[Sequence[Received[E]], Work], Awaitable[None]],
    ]:
        """Register a handler of all such events in a batch, each aggregate's in order. `raw`: bodies stay bytes.

        `wants`: gives the ids of those of a batch's events that concern the handler, by their envelopes. The bodies of
        the others are not read. It goes without a lock.
        """
        assert lock is None or wants is None

        def register(
            handle: Callable[[Sequence[Received[E]], Work], Awaitable[None]],
        ) -> Callable[[Sequence[Received[E]], Work], Awaitable[None]]:
            for event_type in event_types:
                self.by_type[event_type.__name__] = Handler(event_type, handle, lock, acts, raw, wants)
            return handle

        return register

    def topics(self) -> list[str]:
        return sorted({handler.type.topic.name for handler in self.by_type.values()})
