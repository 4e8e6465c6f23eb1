"""What a person can do about what does not agree, in words. Values in, values out."""

from __future__ import annotations

from typing import Literal

from payments.domain.remittance import ExceptionClass

About = Literal["came in", "went out", "payment", "goes back", "payout"]

# By what an exception is about, and by its class where that makes a difference.
REMEDIES: dict[About, str] = {
    "came in": (
        "Say whose money it is: post it as one of the proposals, or with a customer_id, to invoices or "
        "on_account. Match it with a receipt that was recorded for it."
    ),
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
        "It may have counted already. Compare it with what was received for the invoices that it names: match or "
        "dismiss what is told twice; post on_account what came once more."
    ),
    ("came in", "wrong_currency"): (
        "It names invoices of another currency, and pays none of them. Post it on_account in its own, or give it "
        "back and dismiss it."
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


def remedy(about: About, why: ExceptionClass) -> str:
    return OF_CLASS.get((about, why), REMEDIES[about])
