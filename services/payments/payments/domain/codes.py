"""What the provider's codes mean for a method and for autopay. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from payments.domain.payments import Step

CodeKind = Literal["return", "decline", "chargeback"]


@dataclass(frozen=True, slots=True)
class Code:
    """Holds from `since` on. `retry`: the same may be tried again by itself; `words` are for people."""

    kind: CodeKind
    code: str
    since: date
    retry: bool
    disables: bool
    holds_autopay: bool
    words: str


def meaning(codes: Sequence[Code], kind: CodeKind, code: str | None, on: date) -> Code:
    """A code as it stood on a day; one that is not known is not tried again, and holds autopay."""
    found = [each for each in codes if (each.kind, each.code) == (kind, code) and each.since <= on]
    if found:
        return max(found, key=lambda each: each.since)
    return Code(kind, code or "unknown", on, False, False, True, f"The provider said no ({code or 'without a code'})")


def consequence(codes: Sequence[Code], step: Step, on: date) -> Code | None:
    """What a step means for the method that it was paid by: a decline, a return, or a chargeback that is opened."""
    if step.what == "declined":
        return meaning(codes, "decline", step.payment.reason, on)
    reversal = step.reversal
    if reversal is None or reversal.kind == "refund":
        return None
    opened = step.what == "disputed" or (step.what == "reversed" and reversal.kind == "return")
    return meaning(codes, reversal.kind, reversal.code, on) if opened else None
