"""A mail of each kind, with facts as its event carries them."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Any

from notify.domain.catalogue import BY_NAME
from notify.domain.mails import Mail, Person, message_id
from notify.rendering.compose import compose
from notify.rendering.texts import Texts
from notify.rendering.view import Company, View

ID = "01912d68-783e-7a03-8467-5661c1243ad4"
NOW = datetime(2026, 3, 2, 15, 4, tzinfo=UTC)
PORTAL = "https://pay.example.com"
SENDER = "billing@example.com"
TEXTS = Texts.load()


def usd(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "USD"}


PAYMENT = {
    "payment_id": ID, "customer_id": ID, "way": "collect", "status": "succeeded", "number": "P-7K3M9-2QXTB",
    "amount": usd(125_000), "surcharge": usd(3_750), "total": usd(128_750), "effective_on": "2026-03-02",
    "asked": [{"invoice_id": ID, "amount": usd(125_000)}],
}  # fmt: skip
WENT_BACK = PAYMENT | {"taken": usd(125_000), "reversed": usd(128_750), "code": "insufficient_funds"}
TICKET = {"ticket_id": ID, "customer_id": ID, "number": "T-1042"}
DISPUTE = TICKET | {"invoice_id": ID, "amount": usd(4_250)}
FACTS: Mapping[str, Mapping[str, Any]] = {
    "code": {"person_id": ID},
    "invitation": {"person_id": ID},
    "confirmation": {"person_id": ID},
    "reset": {"person_id": ID},
    "new_device": {"person_id": ID},
    "invoice_issued": {"customer_id": ID, "invoice_id": ID, "about": "invoice_issued"},
    "payment_received": PAYMENT,
    "receipt_recorded": PAYMENT | {"way": "receive", "surcharge": usd(0), "total": usd(125_000)},
    "payment_failed": PAYMENT | {"status": "declined", "reason": "insufficient_funds"},
    "needs_confirmation": PAYMENT | {"status": "requires_action"},
    "refunded": WENT_BACK | {"kind": "refund"},
    "returned": WENT_BACK | {"kind": "return"},
    "chargeback_opened": PAYMENT | {"disputed": usd(128_750)},
    "chargeback_lost": WENT_BACK | {"kind": "chargeback"},
    "receipt_voided": PAYMENT | {"voided": True},
    "autopay_notice": {
        "customer_id": ID, "invoice_id": ID, "method_id": ID, "attempt": 1, "charge_on": "2026-04-01",
        "amount": usd(125_000), "surcharge": usd(3_750), "total": usd(128_750),
    },
    "autopay_held": {"customer_id": ID, "held_reason": "expired_card"},
    "method_expiring": {"method_id": ID, "last_day": "2026-03-31", "is_default": True},
    "exception_assigned": {"exception_id": ID, "why": "wrong_amount", "amount": usd(125_000), "payment_id": ID},
    "ticket_opened": TICKET,
    "ticket_replied": TICKET,
    "ticket_assigned": TICKET,
    "ticket_escalated": TICKET,
    "ticket_answered": TICKET,
    "ticket_solved": TICKET,
    "dispute_accepted": DISPUTE,
    "dispute_rejected": DISPUTE,
}  # fmt: skip
INVOICE = {
    "id": ID, "number": "INV-1042", "issued_on": date(2026, 3, 1), "due_on": date(2026, 3, 31),
    "currency": "USD", "total": 125_000,
}  # fmt: skip
SECRETS = {"code": "271828", "link": f"{PORTAL}/i/opaque-words", "device": "Firefox on Linux"}
WRITTEN = {"subject": "Two boxes", "text": "Only one box came.\nWhere is the other?", "by": "Bea Ruiz"}


WITH_LINK = ("code", "invitation", "confirmation", "reset")


def view_of(
    kind: str, language: str, *, name: str = "Ann Ng", logo: str | None = None, company: str = "Northwind"
) -> View:
    facts = FACTS[kind]
    mail = Mail(
        id=ID, place=1, cause="cause", person_id=ID, customer_id=ID, kind=kind, facts=facts, sealed=None,
        expires_at=NOW + timedelta(minutes=10) if kind in WITH_LINK else None,
        message_id=message_id("cause", ID), attempts=0, made_at=NOW,
    )  # fmt: skip
    person = Person(ID, ID, "ann@example.com", name, language, enabled=True)
    return View(
        mail, person,
        Company(company, logo, "#0e5358", "America/New_York", ("en", "es"), "hello@example.com"),
        customer="Acme Corp",
        method={"kind": "card", "is_default": True},
        invoices=[INVOICE] if "invoice_id" in str(facts) else [],
        portal=PORTAL, now=NOW,
    )  # fmt: skip


def composed(kind: str, language: str, **more: Any) -> EmailMessage:
    """The mail as it is sent. Codes and links are in it where auth makes them."""
    secrets = (WRITTEN if kind.startswith(("ticket_", "dispute_")) else SECRETS) if BY_NAME[kind].sealed else {}
    if kind in ("new_device",):
        secrets = {"device": SECRETS["device"]}
    stop = f"{PORTAL}/v1/unsubscribe/words" if BY_NAME[kind].group else None
    message, _ = compose(TEXTS, view_of(kind, language, **more), secrets, SENDER, stop)
    return message


def png(width: int = 120, height: int = 40) -> str:
    """A small picture, as a data URL."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + b"\x0e\x53\x58" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()
