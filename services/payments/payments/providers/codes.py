"""What the provider's codes mean for a method and for autopay. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from payments.providers import MethodKind

CodeKind = Literal["return", "decline", "chargeback", "refund"]


@dataclass(frozen=True, slots=True)
class Code:
    """Holds from `since` on. `retry`: the same may be tried again by itself; `words` are for people.

    `returned_as`: of a decline, the code of the return that it is when a bank debit fails with it.
    """

    kind: CodeKind
    code: str
    since: date
    retry: bool
    disables: bool
    holds_autopay: bool
    words: str
    returned_as: str | None = None

    @property
    def clause(self) -> str:
        """The words as they go on within a sentence."""
        return self.words[0].lower() + self.words[1:]


def known(codes: Sequence[Code], kind: CodeKind | Literal["void"], code: str | None, on: date) -> Code | None:
    """A code as it stood on a day; None when nobody has said what it means."""
    found = [each for each in codes if (each.kind, each.code) == (kind, code) and each.since <= on]
    return max(found, key=lambda each: each.since) if found else None


def meaning(codes: Sequence[Code], kind: CodeKind, code: str | None, on: date) -> Code:
    """A code as it stood on a day; one that is not known is not tried again, and holds autopay."""
    words = f"The provider said no ({code or 'without a code'})"
    return known(codes, kind, code, on) or Code(kind, code or "unknown", on, False, False, True, words)


def meaning_of_decline(codes: Sequence[Code], kind: MethodKind | None, code: str | None, on: date) -> Code:
    """What a declined charge means. A bank debit that its payer's bank sends back is a return, as the bank knows it."""
    declined = meaning(codes, "decline", code, on)
    returned = known(codes, "return", declined.returned_as or code, on) if kind == "bank_account" else None
    return returned or declined
