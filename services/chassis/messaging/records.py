"""Records of Kafka, and the events that are read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ValidationError

from chassis.messaging.work import Cause
from contracts.envelope import Envelope, Event, MalformedError, bounded, read_headers
from contracts.topics import TOPICS

E = TypeVar("E", bound=Event)
COMPACTED = frozenset(topic.name for topic in TOPICS if topic.compacted)
COMMAND_TOPICS = frozenset(topic.name for topic in TOPICS if topic.commands)
SOURCES = {topic.name: f"paidup/{topic.name.partition('.')[0]}" for topic in TOPICS if not topic.commands}


class Record(Protocol):
    """What Kafka hands over (aiokafka's ConsumerRecord), or a dead letter read back."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """An event with what its envelope says. `event` is None for handlers that take raw bodies."""

    event: E
    id: str
    sequence: int
    body: bytes
    cause: Cause
    time: datetime | None = None

    @property
    def about(self) -> str:
        return self.event.aggregate_id if self.event is not None else self.id


class GapError(RuntimeError):
    """An event came before its predecessor."""


class RacedError(RuntimeError):
    """Another replica took some of the same events at the same time."""


@dataclass(slots=True)
class Item:
    """A record with its envelope, on its way through one batch."""

    record: Record
    envelope: Envelope
    key: str
    command: bool

    @property
    def about(self) -> str:
        return self.key


def read(record: Record) -> Item:
    """The record with its envelope; `MalformedError` says why it is no event of ours."""
    command = record.topic in COMMAND_TOPICS
    envelope = read_headers(record.headers, commands=command)
    return Item(record, envelope, _key(record, envelope, command), command)


def _key(record: Record, envelope: Envelope, command: bool) -> str:
    """The text by which records wait together when one fails. A command without a key waits alone."""
    if not command:
        if envelope.source != (rightful := SOURCES[record.topic]):
            raise MalformedError(f"ce_source is not {rightful}, which alone writes events here")
        return envelope.subject
    try:
        return bounded("the key", (record.key or b"").decode()) or envelope.id
    except UnicodeDecodeError as error:
        raise MalformedError("the key is not UTF-8") from error


def parse(item: Item, event_type: type[Event], *, raw: bool) -> Received[Any]:
    """The event of an item; `MalformedError` names the fields that are wrong. `raw`: the body stays bytes."""
    envelope, body = item.envelope, item.record.value or b""
    event: Any = None
    if event_type.erases:
        event = event_type.model_construct(None, **{event_type.aggregate: envelope.subject})
    elif not raw:
        try:
            event = event_type.model_validate_json(body)
        except ValidationError as error:
            raise MalformedError(_without_input(error)) from None
        if event.aggregate_id != envelope.subject:
            raise MalformedError(f"the body is about another {event_type.aggregate} than ce_subject")
    return Received(event, envelope.id, envelope.sequence, body, cause_of(envelope), envelope.time)


def cause_of(envelope: Envelope) -> Cause:
    """What a unit of work that handles this event is caused by."""
    return Cause(
        correlation=envelope.correlation or envelope.id,
        causation=envelope.id,
        actor=envelope.actor,
        acting_for=envelope.acting_for,
        traceparent=envelope.traceparent,
    )


def _without_input(error: ValidationError) -> str:
    """Field and reason of each fault; never the input itself, which may hold personal data."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)[:5]
    )
