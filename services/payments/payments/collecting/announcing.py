"""What collecting announces to the contexts that stand on it, within its unit of work.

Collecting must not import them. `payments.handlers` says who hears what: what the hearer does is saved in the same
transaction, or neither is.
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
    """A kind of fact, with the one context that acts on it. Without a hearer it is an error: nothing may be lost."""

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


# The answer: the exception in which the bank's line waits for a person again; None where no line brought the receipt.
receipt_voided = Announcement[Voided, str | None]("voided receipts")
# Methods by id, each with the code for which no more may be charged to it by itself.
methods_failed = Announcement[Mapping[str, str], None]("methods that failed")
# Ids of payouts, at the provider, of which it said something new.
payouts_changed = Announcement[Sequence[str], None]("changed payouts")
