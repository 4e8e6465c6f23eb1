"""The ledger: accounts, postings, and the one statement that books them. It is append-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from contracts.money import Money
from payments.sql import Rows

# Money at the provider; at the bank; paid by customers; surcharges; fees of the provider and the bank; money in open
# chargebacks.
Account = Literal["psp_clearing", "bank", "customer_funds", "surcharge_income", "fees", "disputed"]
Entry = tuple[Account, Money]
PostingKind = Literal[
    "charge", "receipt", "dispute", "dispute_won", "reversal", "refund_failed", "payout", "payout_fee", "payout_failed"
]


@dataclass(frozen=True, slots=True)
class Posting:
    """One transaction of a payment or a payout: signed amounts by account (debit above zero) that sum to zero."""

    id: str
    payment_id: str | None
    customer_id: str | None
    kind: PostingKind
    effective_on: date
    entries: tuple[Entry, ...]
    reversal_id: str | None = None
    payout_id: str | None = None


_TRANSACTIONS = Rows(
    "t", id="uuid", payment_id="uuid", payout_id="text", reversal_id="uuid", kind="text", effective_on="date",
    booked_at="timestamptz",
)  # fmt: skip
_ENTRIES = Rows(
    "e", payment_id="uuid", transaction_id="uuid", account="text", customer_id="uuid", currency="text", amount="bigint"
)
WIDTH = len(_TRANSACTIONS) + len(_ENTRIES)


def booking(first: int, payments: str | None = None) -> str:
    """The CTEs that book postings, with parameters from `$first` on.

    `payments`: a query of ids; if given, only postings of these payments are booked.
    """
    only = f"WHERE payment_id IN ({payments})" if payments else ""
    return f"""booked AS (
    INSERT INTO ledger_transactions ({_TRANSACTIONS.columns})
    SELECT {_TRANSACTIONS.columns} FROM {_TRANSACTIONS.at(first)} {only}
), entered AS (
    INSERT INTO ledger_entries (transaction_id, account, customer_id, currency, amount)
    SELECT transaction_id, account, customer_id, currency, amount
    FROM {_ENTRIES.at(first + len(_TRANSACTIONS))} {only}
)"""  # noqa: S608


def booking_arguments(postings: Sequence[Posting], booked_at: datetime) -> list[list[Any]]:
    """The parameters of `booking`."""
    return [
        *_TRANSACTIONS.arrays(
            (p.id, p.payment_id, p.payout_id, p.reversal_id, p.kind, p.effective_on, booked_at) for p in postings
        ),
        *_ENTRIES.arrays(
            (p.payment_id, p.id, account, p.customer_id, money.currency, money.minor)
            for p in postings
            for account, money in p.entries
        ),
    ]
