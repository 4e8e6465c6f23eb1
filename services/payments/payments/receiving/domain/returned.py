"""Finds the receipt that a bank took back. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from payments.exceptions.domain import Proposal
from payments.projections.domain import called
from payments.receiving.domain.transfers import Transfer, mentions
from payments.receiving.domain.verdicts import MOST_PROPOSALS


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that has not gone back: its references, the payer's account, the customer's name (see `called`)."""

    payment_id: str
    customer_id: str
    received_on: date
    references: tuple[str, ...]
    payer_account: str | None
    called: str | None


# How banks say that money comes back unpaid, in words and in ISO 20022's sub-families.
RETURNED = {
    "return", "returned", "returns", "rtn", "unpaid", "nsf", "bounced", "dishonoured", "dishonored", "reversal",
    "reversed", "storno", "retoure", "rucklastschrift", "impaye", "rejet", "devolucion", "devuelto", "insoluto",
}  # fmt: skip
RETURN_CODES = {"UPCQ", "UPDD", "RRTN", "RPCR"}


def says_returned(paid_out: Transfer) -> bool:
    """Whether the words or the code of an outgoing line say that a payment was returned unpaid."""
    words = re.findall(r"[^\W_]+", " ".join((*paid_out.references, paid_out.text)))
    return any(called(word) in RETURNED for word in words) or bool(RETURN_CODES & {*(paid_out.code or "").split("/")})


def gives_back(paid_out: Transfer, receipts: Iterable[Receipt]) -> list[Proposal]:
    """Propose receipts of the same amount that an outgoing line may give back, by reference, account or name."""
    returned = paid_out.reversal or says_returned(paid_out)

    def sign(one: Receipt) -> tuple[float, str] | None:
        if any(mentions(paid_out, reference) for reference in one.references):
            return 0.6, "has the reference of this receipt"
        if one.payer_account is not None and one.payer_account == paid_out.payer_account:
            return 0.5, "went to the account that this receipt came from"
        if one.called and one.called == called(paid_out.payer or ""):
            return 0.4, "went to who has the name of this receipt's customer"
        return (0.3, "is of the amount of this receipt") if returned else None

    found = [(one, found) for one in receipts if (found := sign(one))]
    ranked = sorted(found, key=lambda each: (-each[1][0], -each[0].received_on.toordinal(), each[0].payment_id))
    return [Proposal(one.customer_id, (), score, (why,), one.payment_id) for one, (score, why) in ranked][
        :MOST_PROPOSALS
    ]
