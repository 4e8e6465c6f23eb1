"""What goes round an event: CloudEvents 1.0 in binary mode, with a gap-free sequence per aggregate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from contracts.ids import new_id
from contracts.money import EXPONENTS, LARGEST_MINOR, Money
from contracts.topics import Topic

type_registry: dict[str, type[Event]] = {}


class Contract(BaseModel):
    """A part of a message. Readers ignore fields that they don't know."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


CurrencyCode = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217 code")]


class Amount(Contract):
    """Integer minor units beside their currency."""

    amount_minor: Annotated[int, Field(ge=-LARGEST_MINOR, le=LARGEST_MINOR)]
    currency: CurrencyCode

    @classmethod
    def of(cls, money: Money) -> Amount:
        return cls.model_construct(amount_minor=money.minor, currency=money.currency)

    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)


class Event(Contract):
    """A fact in the past tense, or (on an inbound topic) a command. `ce_type` is the class's name."""

    topic: ClassVar[Topic]
    aggregate: ClassVar[str]  # the field that holds the aggregate's id

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[arg-type]
        if hasattr(cls, "topic") and not cls.__name__.endswith("State"):
            type_registry[cls.__name__] = cls

    @property
    def aggregate_id(self) -> str:
        return str(getattr(self, self.aggregate))


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way: what the outbox keeps and Kafka carries."""

    id: str
    type: str
    topic: str
    aggregate: str
    sequence: int
    time: datetime
    body: bytes
    customer: str | None = None
    correlation: str | None = None
    causation: str | None = None
    actor: str | None = None
    traceparent: str | None = None

    def headers(self, source: str) -> list[tuple[str, bytes]]:
        named = (
            ("ce_specversion", "1.0"),
            ("ce_id", self.id),
            ("ce_type", self.type),
            ("ce_source", source),
            ("ce_subject", self.aggregate),
            ("ce_time", self.time.isoformat()),
            ("content-type", "application/json"),
            ("sequence", str(self.sequence)),
            ("customer", self.customer),
            ("correlation", self.correlation),
            ("causation", self.causation),
            ("actor", self.actor),
            ("traceparent", self.traceparent),
        )
        return [(name, value.encode()) for name, value in named if value is not None]


def message(event: Event, *, sequence: int, time: datetime, customer: str | None = None) -> Message:
    """Wrap an event; correlation, causation, actor and trace are filled in by the unit of work that emits it."""
    return Message(
        id=new_id(),
        type=type(event).__name__,
        topic=event.topic.name,
        aggregate=event.aggregate_id,
        sequence=sequence,
        time=time,
        body=event.model_dump_json(exclude_none=True).encode(),
        customer=customer,
    )


class MalformedError(ValueError):
    """A record that is not an event of ours: set aside, it can't be read."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The headers of a received record, read but not judged."""

    id: str
    type: str
    subject: str
    sequence: int
    customer: str | None
    correlation: str | None
    actor: str | None
    traceparent: str | None
    time: datetime | None


def read_headers(headers: Sequence[tuple[str, bytes]], *, commands: bool = False) -> Envelope:
    """The envelope of a record; `MalformedError` names the header that is missing or unreadable.

    Commands of other systems need `ce_id` and `ce_type` only: their senders keep no sequence (it reads as 0).
    """
    try:
        found = {name: value.decode() for name, value in headers if value is not None}
    except UnicodeDecodeError as error:
        raise MalformedError("a header is not UTF-8") from error
    needed = ("ce_id", "ce_type") if commands else ("ce_id", "ce_type", "ce_subject", "sequence")
    for name in needed:
        if not found.get(name):
            raise MalformedError(f"header {name} is missing")
    try:
        sequence = int(found.get("sequence", "0"))
        time = datetime.fromisoformat(found["ce_time"]) if "ce_time" in found else None
    except ValueError as error:
        raise MalformedError("header sequence or ce_time can't be read") from error
    return Envelope(
        id=found["ce_id"],
        type=found["ce_type"],
        subject=found.get("ce_subject", ""),
        sequence=sequence,
        customer=found.get("customer"),
        correlation=found.get("correlation"),
        actor=found.get("actor"),
        traceparent=found.get("traceparent"),
        time=time,
    )


def known_currency(code: str) -> str:
    """The code itself when ISO 4217 knows it; ValueError names it otherwise."""
    if code not in EXPONENTS:
        raise ValueError(f"{code!r} is not an ISO 4217 currency code")
    return code


__all__ = [
    "Amount",
    "Contract",
    "CurrencyCode",
    "Envelope",
    "Event",
    "MalformedError",
    "Message",
    "date",
    "known_currency",
    "message",
    "read_headers",
    "type_registry",
]
