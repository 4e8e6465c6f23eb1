"""Exceptions: money that does not agree, proposals for it, and what a person can do. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from contracts.allocation import Part
from contracts.money import Money

ExceptionClass = Literal[
    "missing_here", "missing_there", "wrong_amount", "short_payment", "doubled", "wrong_currency"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a transfer may be, for a person to decide. `score` lies between 0 and 1.

    `payment_id`: that recorded receipt, so nothing is posted; `payment_ids`: all of these receipts together.
    `payout_id`: that payout of the provider, of no customer. Without these and without parts, only the customer is
    known.
    """

    customer_id: str | None
    parts: tuple[Part, ...]
    score: float
    reasons: tuple[str, ...]
    payment_id: str | None = None
    payout_id: str | None = None
    payment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """An exception to open, about a bank line, a payment or a payout's line.

    `provider_id`: the provider's id of a reversal of the payment. `voided_id`: the voided receipt that the line, or a
    share of it, had been posted as.
    """

    why: ExceptionClass
    amount: Money
    payment_id: str | None = None
    provider_id: str | None = None
    line_id: int | None = None
    payout_line_id: str | None = None
    proposals: Sequence[Proposal] = ()
    voided_id: str | None = None


About = Literal["came in", "to come", "went out", "payment", "goes back", "payout", "paid out"]

# Remedies by what an exception is about. `OF_CLASS` has those that also depend on its class.
REMEDIES: dict[About, str] = {
    "came in": (
        "Say whose money it is: post it as one of the proposals, or with a customer_id, to invoices or "
        "on_account. Match it with a receipt that was recorded for it, with all of one deposit, or with the payout "
        "of the provider that it is."
    ),
    "to come": "The bank books it on a day that has not come. Wait for that day: then post or match it.",
    "went out": "Match it with the receipt that it took back; dismiss it where it is none.",
    "payment": (
        "Look the charge up at the provider. Give back what is not to be kept, then accept the payment as the "
        "provider has it."
    ),
    "goes back": (
        "The provider took more than is left of this payment. Settle the rest with the provider or the customer, "
        "then dismiss it, saying how."
    ),
    "payout": (
        "Look this line of the payout up at the provider: it is of no payment here. Then dismiss it, saying what "
        "it was."
    ),
    "paid out": (
        "It may be money of the provider. Look up there which payout it is, and match it with that. Post it only where "
        "it is none of them."
    ),
}
OF_CLASS: dict[tuple[About, ExceptionClass], str] = {
    ("came in", "short_payment"): (
        "Less came than the invoices that it names ask for. Post it as proposed, in part, and ask the payer for "
        "the rest."
    ),
    ("came in", "wrong_amount"): (
        "More came than the invoices that it names ask for. Post it as proposed: the rest is the customer's credit."
    ),
    ("came in", "doubled"): (
        "It may have counted already. Compare it with what was received for the invoices that it names. If it is the "
        "same money, match or dismiss it. If the money came once more, post it on_account."
    ),
    ("came in", "wrong_currency"): (
        "It names invoices of another currency, and pays none of these. Post it in its own, on_account or to other "
        "invoices of the payer; or give it back and dismiss it."
    ),
    ("paid out", "wrong_amount"): (
        "It has the trace of a payout of another amount. If the bank kept the rest as a fee, match it with "
        "rest_is_fee. Else ask the provider and the bank, then dismiss it, saying what it was."
    ),
    ("paid out", "wrong_currency"): (
        "It has the trace of a payout in another currency, and can't be matched with it. Ask the bank what it "
        "exchanged, then dismiss it, saying at what rate."
    ),
    ("paid out", "doubled"): (
        "It may be a payout that another line is matched with. Compare the two. If it is the same money, dismiss it. "
        "If it is a payout without a line, match it. If the money came once more, ask the provider."
    ),
    ("paid out", "missing_there"): (
        "The provider says that this payout failed, and pays its money out again. Once the bank has taken the money "
        "back, match the two, or dismiss it where the amounts differ; where it stays, ask the provider."
    ),
    ("payment", "missing_there"): (
        "The provider has not confirmed it in its time, and is asked on: this closes by itself once it does. Look "
        "it up at the provider meanwhile."
    ),
    ("goes back", "missing_there"): (
        "A refund did not arrive; its money is the customer's credit. Refund it again, or another way, then "
        "dismiss this, saying how."
    ),
    (
        "payout",
        "wrong_amount",
    ): "The payout has this charge with another sum than its payment. Ask the provider, then dismiss it.",
    (
        "payout",
        "wrong_currency",
    ): "The payout has this charge in another currency than its payment. Ask the provider, then dismiss it.",
}


@dataclass(frozen=True, slots=True)
class Remedy:
    """A sentence for a person. `code` is stable, so that the sentence can be given in another language."""

    code: str
    text: str


def remedy(about: About, why: ExceptionClass) -> Remedy:
    code, of_class = about.replace(" ", "_"), OF_CLASS.get((about, why))
    return Remedy(f"{code}_{why}", of_class) if of_class else Remedy(code, REMEDIES[about])
