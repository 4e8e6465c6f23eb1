"""One mail to one person: who gets it, whether it is still to be sent, how an attempt ended. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from notify.domain.catalogue import Kind

State = Literal["queued", "sent", "failed", "bounced", "suppressed", "cancelled"]
UNKNOWN_FOR = timedelta(minutes=5)
"""How long a mail waits for what it names: events of other topics may come later."""


@dataclass(frozen=True, slots=True)
class Person:
    """A contact of a customer, or (without customer) one of the company's people."""

    id: str
    customer_id: str | None
    email: str
    name: str | None
    language: str
    enabled: bool
    bounced: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    id: str
    place: int
    cause: str
    person_id: str
    customer_id: str | None
    kind: str
    facts: Mapping[str, Any]
    sealed: str | None
    expires_at: datetime | None
    message_id: str
    attempts: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class End:
    """The mail is final, and not sent."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that the mail names has not been heard of yet."""

    what: str


def message_id(cause: str, person_id: str, resends: int = 0) -> str:
    """What stands before the @, the same for the same cause and person: after a crash a mail that comes twice is one.

    >>> message_id("cause", "person") == message_id("cause", "person") != message_id("cause", "person", 1)
    True
    """
    return hashlib.sha256(f"{cause}\0{person_id}\0{resends}".encode()).hexdigest()[:32]


def recipients(contacts: Sequence[Person], payer: str | None) -> list[Person]:
    """Of a customer's contacts the one who paid, if that one is known and enabled; else all who are enabled."""
    enabled = [one for one in contacts if one.enabled]
    return [one for one in enabled if one.id == payer] or enabled


def before_sending(
    mail: Mail, kind: Kind, person: Person | None, unwanted: Collection[str], now: datetime
) -> End | Wait | None:
    """Why the mail is not sent now; None if it is to be sent."""
    if mail.expires_at is not None and now >= mail.expires_at:
        return End("cancelled", "the code or link has expired")
    if person is None:
        if now - mail.made_at < UNKNOWN_FOR:
            return Wait("the person")
        return End("cancelled", "nobody is known under this id")
    if not person.enabled:
        return End("suppressed", "the person is disabled")
    if person.bounced and not kind.at_once:
        return End("suppressed", "the address does not exist")
    if kind.group in unwanted:
        return End("suppressed", "the person does not want such mails")
    return None


Part = Literal["sender", "recipient", "message"]


def after_refusal(code: int, said: str, part: Part) -> End | None:
    """How a refusal by the mail server ends the mail; None: it is tried again.

    `said` begins with the enhanced status (RFC 3463) if the server gives one: 5.1 is about the address.
    """
    if code < 500:
        return None
    if part == "recipient" and (said.startswith("5.1.") or (not said.startswith("5.") and code in (550, 551, 553))):
        return End("bounced", f"the mail server knows no such address ({code})")
    return End("failed", f"the mail server refused it ({code})")
