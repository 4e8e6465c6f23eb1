"""The meaning of the provider's codes for methods and autopay. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from payments.providers import MethodKind

CodeKind = Literal["return", "decline", "chargeback", "refund"]


@dataclass(frozen=True, slots=True)
class Code:
    """The meaning of a code from `since` on. `retry`: autopay may try again; `words` are for people.

    `returned_as`: if a bank debit fails with this decline code, it is a return with that code.
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
    """The meaning of a code on a day; None if the code is not in the file."""
    found = [each for each in codes if (each.kind, each.code) == (kind, code) and each.since <= on]
    return max(found, key=lambda each: each.since) if found else None


def meaning(codes: Sequence[Code], kind: CodeKind, code: str | None, on: date) -> Code:
    """The meaning of a code on a day. An unknown code is not tried again, and holds autopay."""
    words = f"The provider said no ({code or 'without a code'})"
    return known(codes, kind, code, on) or Code(kind, code or "unknown", on, False, False, True, words)


def meaning_of_decline(codes: Sequence[Code], kind: MethodKind | None, code: str | None, on: date) -> Code:
    """The meaning of a declined charge. A bank debit that the payer's bank sends back has the code of its return."""
    declined = meaning(codes, "decline", code, on)
    returned = known(codes, "return", declined.returned_as or code, on) if kind == "bank_account" else None
    return returned or declined
