"""The mails that were caught, in bounded memory: the oldest go first."""

from __future__ import annotations

import email
import email.policy
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

MOST_MAILS = 5_000
MOST_BYTES = 128_000_000


@dataclass(slots=True)
class Caught:
    """One mail as it came. It is read when somebody looks at it for the first time."""

    id: int
    to: tuple[str, ...]
    sender: str
    content: bytes
    received_at: datetime
    shown: dict[str, Any] | None = None

    def read(self) -> dict[str, Any]:
        if self.shown is None:
            self.shown = self._read()
        return self.shown

    def _read(self) -> dict[str, Any]:
        message = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return {
            "id": str(self.id),
            "to": list(self.to),
            "from": self.sender,
            "subject": str(message["subject"] or ""),
            "text": _part(message, "plain"),
            "html": _part(message, "html"),
            "headers": {name: str(value) for name, value in message.items()},
            "received_at": self.received_at.isoformat(),
        }


def _part(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else str(part.get_content()).replace("\r\n", "\n")


class Inbox:
    def __init__(self) -> None:
        self._mails: deque[Caught] = deque()
        self._bytes = 0
        self._ids = itertools.count(1)

    def add(self, to: Sequence[str], sender: str, content: bytes) -> None:
        self._mails.append(Caught(next(self._ids), tuple(to), sender, content, datetime.now(UTC)))
        self._bytes += len(content)
        while len(self._mails) > MOST_MAILS or self._bytes > MOST_BYTES:
            self._bytes -= len(self._mails.popleft().content)

    def newest(self, to: str | None, limit: int) -> Iterator[Caught]:
        """Newest first; of one address, if it is given."""
        wanted = to.lower() if to else None
        found = (one for one in reversed(self._mails) if wanted is None or wanted in (each.lower() for each in one.to))
        return itertools.islice(found, limit)

    def get(self, mail_id: str) -> Caught | None:
        return next((one for one in self._mails if str(one.id) == mail_id), None)

    def clear(self) -> None:
        self._mails.clear()
        self._bytes = 0
