"""Good and bad records as a careless sender would write them, and what has to become of each."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import orjson
from aiokafka import AIOKafkaProducer

from contracts import topics
from contracts.ids import new_id

SOURCE = "elsewhere"
FORGED = (("ce_source", b"paidup/payments"),)
MARK = "poison"
Fate = Literal["taken", "refused", "waiting", "unreadable", "passed over", "late"]


@dataclass(frozen=True)
class Record:
    """A record to write; `refused` is answered with an outcome, `waiting` and `unreadable` are dead letters.

    `late`: it waits as well, until a bug of its handler is mended, and is taken then.
    """

    topic: str
    id: str
    type: str
    subject: str
    body: bytes | None
    fate: Fate
    more: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None

    async def send(self, producer: AIOKafkaProducer) -> None:
        headers = {
            "ce_specversion": "1.0", "ce_id": self.id, "ce_type": self.type, "ce_source": SOURCE,
            "ce_subject": self.subject, "ce_time": datetime.now(UTC).isoformat(), "sequence": "1", MARK: "1",
        }  # fmt: skip
        named = [(name, value.encode()) for name, value in headers.items()]
        key = self.subject.encode() if self.key is None else self.key
        await producer.send(self.topic, self.body, key, headers=[*named, *self.more])


def wrote(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether a record is one of these, or has a header whose name is no text: no service repeats such events."""
    return MARK in dict(headers) or any(not name.isascii() for name, _ in headers)


NOT_UTF8 = (("customer", b"\xff\xfe\xfa"),)


def issue(customer: str, minor: int, fate: Fate = "taken") -> Record:
    """A command that issues an invoice."""
    name = f"IN-{new_id()}"
    body = {
        "customer_id": customer, "number": name, "currency": "USD", "issued_on": "2026-01-02", "due_on": "2026-02-01",
        "lines": [{"description": "Subscription", "quantity": 1, "unit_price_minor": minor}],
    }  # fmt: skip
    return Record(topics.INBOUND.name, new_id(), "IssueInvoice", name, orjson.dumps(body), fate)


class Kind(NamedTuple):
    """`more` stands after the good headers, and the last one of a name counts."""

    type: str
    body: bytes | None
    fate: Fate
    more: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None


def command_kinds(customer: str) -> tuple[Kind, ...]:
    """A body that can't be taken is answered, a record that can't be read is kept."""
    return (
        Kind("IssueInvoice", b'{"number": ', "refused"),
        Kind("IssueInvoice", orjson.dumps({"customer_id": customer, "number": 7, "lines": []}), "refused"),
        Kind("IssueInvoice", b"{}", "unreadable", NOT_UTF8),
        Kind("IssueInvoice", None, "unreadable"),
        Kind("BurnInvoice", b"{}", "passed over"),
        Kind("IssueInvoice", b"{}", "unreadable", (("ce_id", b"a\x00b"),)),
        Kind("IssueInvoice", b"{}", "unreadable", (("ce_id", b"x" * 12_000),)),
        Kind("IssueInvoice", b"{}", "unreadable", (("correlation", b"x" * 900_000),)),
        Kind("IssueInvoice", b"{}", "unreadable", (("traceparent", b"x" * 12_000),)),
        Kind("IssueInvoice", b"{}", "unreadable", key=b"a\x00b"),
        Kind("IssueInvoice", b"{}", "unreadable", key=b"x" * 12_000),
        Kind("IssueInvoice", b"{}", "unreadable", key=b"\xff"),
    )


BAD_HEADERS = (
    ("ce_subject", b"a\x00b"),
    ("ce_subject", os.urandom(6_000).hex().encode()),
    ("ce_type", b"Payment\x00"),
    ("ce_id", b"\x07"),
    ("sequence", b"9" * 22),
    ("sequence", b"9223372036854775808"),
    ("sequence", b"0"),
    ("sequence", b"-1"),
    ("sequence", "\u0661".encode()),
)
PAYMENT_KINDS = (
    Kind("PaymentReconciled", b"\x00not json", "waiting", FORGED),
    Kind("PaymentReconciled", b'{"payment_id": 7}', "waiting", FORGED),
    Kind("PaymentSubmitted", b"{}", "unreadable", NOT_UTF8),
    Kind("PaymentSubmitted", None, "unreadable"),
    Kind("PaymentEvaporated", b"{}", "passed over", FORGED),
    Kind("PaymentReconciled", b"{}", "unreadable"),
    *(Kind("PaymentReconciled", b"{}", "unreadable", (header,)) for header in BAD_HEADERS),
)


def commands(count: int, customer: str) -> list[Record]:
    """Bad commands of all kinds."""
    return _of(topics.INBOUND.name, command_kinds(customer), count)


def payments(count: int) -> list[Record]:
    """Bad events of all kinds, of payments that do not exist."""
    return _of(topics.PAYMENT.name, PAYMENT_KINDS, count)


def _of(topic: str, kinds: Sequence[Kind], count: int) -> list[Record]:
    return [
        Record(topic, new_id(), kind.type, new_id(), kind.body, kind.fate, kind.more, kind.key)
        for kind in (kinds[number % len(kinds)] for number in range(count))
    ]
