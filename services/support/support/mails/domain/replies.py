"""Whether a mail becomes a reply of its sender, and with which text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from support.mails.domain.letters import Letter
from support.tickets.domain import Author

Outcome = Literal[
    "replied", "repeated", "loop", "bounce", "automatic", "stranger", "forged", "too_many", "unreadable", "empty",
    "later",
]  # fmt: skip
MOST_IN_AN_HOUR, HOUR = 20, timedelta(hours=1)
KEPT_FOR = timedelta(days=30)
LONGEST = 10_000  # as a reply over HTTP
MOST_NAMED = 20
MOST_FILES = 10  # as over HTTP

NOT_FROM_HERE = "550 5.7.1 The reply was not taken. Send it from the address that got the mail, or reply in the portal."
ANSWERS: dict[Outcome, str] = {
    "replied": "250 2.0.0 OK",
    "repeated": "250 2.0.0 OK",
    "loop": "250 2.0.0 OK",
    "bounce": "250 2.0.0 OK",
    "automatic": "250 2.0.0 OK",
    "stranger": NOT_FROM_HERE,
    "forged": NOT_FROM_HERE,
    "too_many": "550 5.7.1 The reply was not taken: too many within an hour. Reply in the portal.",
    "empty": "554 5.6.0 The reply was not taken: it has no text and no file.",
    "unreadable": "554 5.6.0 The reply was not taken",
    "later": "451 4.3.0 Try again later",
}
"""To the mail server that hands a mail over. A stranger hears the same whatever there is."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A contact of a customer, or (without customer) one of the company's people."""

    id: str
    customer_id: str | None
    email: str | None
    enabled: bool

    @property
    def author(self) -> Author:
        return (
            Author("company", "staff", self.id) if self.customer_id is None else Author("customer", "contact", self.id)
        )


def may_write(sender: str, writer: Writer | None, customer_id: str | None) -> bool:
    """Whether the mail is from the person whom the address was made for, and the ticket is still theirs.

    `customer_id`: whose ticket it is; None: there is no such ticket.
    """
    if writer is None or customer_id is None or not writer.enabled or not writer.email:
        return False
    return writer.email.casefold() == sender.casefold() and writer.customer_id in (None, customer_id)


def text_of_reply(letter: Letter, unkept: Sequence[str]) -> str:
    """What is written in the ticket. What was not kept of the mail is named. `unkept`: names of files."""
    text = letter.written
    notes = []
    if len(text) > LONGEST:
        notes.append(f"The mail was longer: its last {len(text) - LONGEST:,} characters were not kept.")
        text = text[:LONGEST].rstrip()
    if unkept:
        names = ", ".join(unkept[:MOST_NAMED]) + (" …" if len(unkept) > MOST_NAMED else "")
        many = f"{len(unkept)} attachments were" if len(unkept) > 1 else "1 attachment was"
        notes.append(f"{many} not kept: {names}")
    if not text and not notes:
        notes.append("The mail had no text.")
    return "\n\n".join(filter(None, (text, *(f"[{note}]" for note in notes))))
