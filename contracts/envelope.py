"""The envelope of an event: CloudEvents 1.0 in binary mode, with a gap-free sequence per aggregate."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
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
    of_company: ClassVar[bool] = False  # no customer's stream has it
    company_fields: ClassVar[frozenset[str]] = frozenset()  # left out of what a customer's stream has
    erases: ClassVar[bool] = False  # its body is null: what was said of the aggregate before is to be forgotten

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
    body: bytes | None
    customer: str | None = None

    def headers(self, source: str, **more: str) -> list[tuple[str, bytes]]:
        """As Kafka carries them; `more`: correlation, causation, actor, actingfor, traceparent."""
        known = {"customer": self.customer} if self.customer is not None else {}
        return event_headers(self.id, self.type, source, self.aggregate, self.sequence, self.time, known | more)


def event_headers(
    event_id: str, type_name: str, source: str, aggregate: str, sequence: int, time: datetime, more: Mapping[str, str]
) -> list[tuple[str, bytes]]:
    """The headers of an event on Kafka, CloudEvents 1.0 in binary mode."""
    named = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": type_name,
        "ce_source": source,
        "ce_subject": aggregate,
        "ce_time": time.isoformat(),
        "content-type": "application/json",
        "sequence": str(sequence),
        **more,
    }
    return [(name, value.encode()) for name, value in named.items()]


def message(event: Event, *, sequence: int, time: datetime, customer: str | None = None) -> Message:
    """Wrap an event; correlation, causation, actor and trace are filled in by the unit of work that emits it."""
    return Message(
        id=new_id(),
        type=type(event).__name__,
        topic=event.topic.name,
        aggregate=event.aggregate_id,
        sequence=sequence,
        time=time,
        body=None if event.erases else event.model_dump_json(exclude_none=True).encode(),
        customer=customer,
    )


class MalformedError(ValueError):
    """A record that is not an event of ours. It can't be read and is set aside."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The headers of a received record: bounded text that every database takes."""

    id: str
    type: str
    source: str
    subject: str
    sequence: int
    customer: str | None
    correlation: str | None
    actor: str | None
    acting_for: str | None
    traceparent: str | None
    time: datetime | None


LONGEST = 255
LARGEST_SEQUENCE = 2**63 - 1
_BOUNDED_TEXT = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{0,{LONGEST}}}")
_COMMAND_NEEDS = ("ce_id", "ce_type")
_EVENT_NEEDS = ("ce_id", "ce_type", "ce_subject", "sequence")
_BOUNDED = (
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_subject",
    "customer",
    "correlation",
    "actor",
    "actingfor",
    "traceparent",
)


def read_headers(headers: Sequence[tuple[str, bytes]], *, commands: bool = False) -> Envelope:
    """The envelope of a record; `MalformedError` names the header that is missing, unreadable, or out of bounds.

    Commands of other systems need `ce_id` and `ce_type` only: their senders keep no sequence (it reads as 0).
    """
    try:
        found = {name: value.decode() for name, value in headers if value is not None}
        names = "".join(found)
        names.isascii() or names.encode()  # bytes that are no text come as lone surrogates
    except UnicodeError as error:
        raise MalformedError("a header is not UTF-8") from error
    for name in _COMMAND_NEEDS if commands else _EVENT_NEEDS:
        if not found.get(name):
            raise MalformedError(f"header {name} is missing")
    if not _plain(found.values()):
        for name in _BOUNDED:
            bounded(f"header {name}", found.get(name, ""))
    try:
        time = datetime.fromisoformat(found["ce_time"]) if "ce_time" in found else None
    except ValueError as error:
        raise MalformedError("header ce_time can't be read") from error
    return Envelope(
        id=found["ce_id"],
        type=found["ce_type"],
        source=found.get("ce_source", ""),
        subject=found.get("ce_subject", ""),
        sequence=0 if commands else _sequence(found["sequence"]),
        customer=found.get("customer"),
        correlation=found.get("correlation"),
        actor=found.get("actor"),
        acting_for=found.get("actingfor"),
        traceparent=found.get("traceparent"),
        time=time if time is None or time.tzinfo else time.replace(tzinfo=UTC),
    )


def _plain(texts: Collection[str]) -> bool:
    """Whether all are short and printable, as nearly always. One look at all costs much less than a look at each."""
    return max(map(len, texts)) <= LONGEST and "".join(texts).isprintable()


def bounded(what: str, text: str) -> str:
    """The text itself: at most 255 characters, none of them a control character; else `MalformedError`."""
    if not _BOUNDED_TEXT.fullmatch(text):
        raise MalformedError(f"{what} holds a control character or more than {LONGEST} characters")
    return text


def _sequence(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else 0
    if not 0 < number <= LARGEST_SEQUENCE:
        raise MalformedError(f"header sequence is no number from 1 to {LARGEST_SEQUENCE}")
    return number


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
    "bounded",
    "date",
    "event_headers",
    "known_currency",
    "message",
    "read_headers",
    "type_registry",
]
