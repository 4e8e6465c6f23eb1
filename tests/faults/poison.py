"""Good and bad records as a careless sender would write them, and what has to become of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import orjson
from aiokafka import AIOKafkaProducer

from contracts import topics
from contracts.ids import new_id

SOURCE = "elsewhere"
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

    async def send(self, producer: AIOKafkaProducer) -> None:
        headers = {
            "ce_specversion": "1.0", "ce_id": self.id, "ce_type": self.type, "ce_source": SOURCE,
            "ce_subject": self.subject, "ce_time": datetime.now(UTC).isoformat(), "sequence": "1",
        }  # fmt: skip
        named = [(name, value.encode()) for name, value in headers.items()]
        await producer.send(self.topic, self.body, self.subject.encode(), headers=[*named, *self.more])


def wrote(headers: Sequence[tuple[str, bytes]]) -> bool:
    """Whether a record is one of these: they are no events that a service repeats."""
    return dict(headers).get("ce_source") == SOURCE.encode()


NOT_UTF8 = (("customer", b"\xff\xfe\xfa"),)


def issue(customer: str, minor: int, fate: Fate = "taken") -> Record:
    """A command that issues an invoice."""
    name = f"IN-{new_id()}"
    body = {
        "customer_id": customer, "number": name, "currency": "USD", "issued_on": "2026-01-02", "due_on": "2026-02-01",
        "lines": [{"description": "Subscription", "quantity": 1, "unit_price_minor": minor}],
    }  # fmt: skip
    return Record(topics.INBOUND.name, new_id(), "IssueInvoice", name, orjson.dumps(body), fate)


def commands(count: int, customer: str) -> list[Record]:
    """Bad commands of five kinds: a body that can't be taken is answered, a record that can't be read is kept."""
    kinds: tuple[tuple[str, bytes | None, Fate, tuple[tuple[str, bytes], ...]], ...] = (
        ("IssueInvoice", b'{"number": ', "refused", ()),
        ("IssueInvoice", orjson.dumps({"customer_id": customer, "number": 7, "lines": []}), "refused", ()),
        ("IssueInvoice", b"{}", "unreadable", NOT_UTF8),
        ("IssueInvoice", None, "unreadable", ()),
        ("BurnInvoice", b"{}", "passed over", ()),
    )
    return _of(topics.INBOUND.name, kinds, count)


def payments(count: int) -> list[Record]:
    """Bad events of five kinds, of payments that do not exist."""
    kinds: tuple[tuple[str, bytes | None, Fate, tuple[tuple[str, bytes], ...]], ...] = (
        ("PaymentReconciled", b"\x00not json", "waiting", ()),
        ("PaymentReconciled", b'{"payment_id": 7}', "waiting", ()),
        ("PaymentSubmitted", b"{}", "unreadable", NOT_UTF8),
        ("PaymentSubmitted", None, "unreadable", ()),
        ("PaymentEvaporated", b"{}", "passed over", ()),
    )
    return _of(topics.PAYMENT.name, kinds, count)


def _of(
    topic: str, kinds: tuple[tuple[str, bytes | None, Fate, tuple[tuple[str, bytes], ...]], ...], count: int
) -> list[Record]:
    return [
        Record(topic, new_id(), kind, new_id(), body, fate, more)
        for kind, body, fate, more in (kinds[number % len(kinds)] for number in range(count))
    ]
