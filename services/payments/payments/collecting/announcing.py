"""Announcements of collecting to the contexts above it, within one unit of work.

Collecting must not import these contexts. `payments.handlers` connects each announcement with its hearer. Both are
saved in the same transaction, or neither is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from chassis.messaging.work import Work
from payments.collecting.domain.payments import Payment

Fact = TypeVar("Fact")
Answer = TypeVar("Answer")


class Announcement(Generic[Fact, Answer]):
    """A kind of fact, with the one context that acts on it. Without a hearer it raises, so that nothing is lost."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._hear: Callable[[Fact, Work], Awaitable[Answer]] | None = None

    def heard_by(self, hear: Callable[[Fact, Work], Awaitable[Answer]]) -> None:
        self._hear = hear

    async def __call__(self, fact: Fact, work: Work) -> Answer:
        if self._hear is None:
            raise RuntimeError(f"nobody hears of {self._kind}: import payments.handlers first")
        return await self._hear(fact, work)


@dataclass(frozen=True, slots=True)
class Voided:
    """A receipt as it was before its void, and why it was voided."""

    payment: Payment
    why: str


# The answer is the id of the exception that was opened for the receipt's bank line; None if it had no bank line.
receipt_voided = Announcement[Voided, str | None]("voided receipts")
# Methods by id, each with the code because of which autopay may not charge it any more.
methods_failed = Announcement[Mapping[str, str], None]("methods that failed")
# Ids, at the provider, of payouts that its events were about.
payouts_changed = Announcement[Sequence[str], None]("changed payouts")
