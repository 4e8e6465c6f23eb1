"""The verdicts about a bank transfer, and the facts that decide them. Values alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from contracts.allocation import Part
from contracts.money import Money
from payments.exceptions.domain import ExceptionClass, Open, Proposal
from payments.projections.domain import OpenInvoice
from payments.receiving.domain.transfers import Transfer

MOST_PROPOSALS = 5
SHORTEST_TRACE = 6  # a shorter one may be any number that a payer writes


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded receipt without a bank line; or (`banked`) a receipt with one, of which money went back.

    `pays`: the invoices that it was recorded for, or was allocated to. `settled`: the allocation is known. `gone`: all
    or a part of it went back.
    """

    payment_id: str
    customer_id: str
    amount: Money
    received_on: date
    reference: str | None
    pays: frozenset[str] = frozenset()
    settled: bool = False
    gone: bool = False
    banked: bool = False


@dataclass(frozen=True, slots=True)
class PayoutDue:
    """A payout of the provider. `trace`: the id that its bank line has, if it is known.

    `failed`: the provider has its money again. `banked`: a bank line is linked to it already.
    """

    provider_id: str
    amount: Money
    arrives_on: date
    trace: str | None
    failed: bool = False
    banked: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """The transfer names open invoices of one customer that together are exactly its amount."""

    transfer: Transfer
    customer_id: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class RecordedAlready:
    """The transfer is a receipt that a person has recorded already."""

    transfer: Transfer
    payment_id: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """A person has to decide. `why` is the class of the exception; `proposals` are what the transfer may be."""

    transfer: Transfer
    why: ExceptionClass
    proposals: tuple[Proposal, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrived:
    """The transfer is a payout of the provider."""

    transfer: Transfer
    payout_id: str


Verdict = Arrived | Posted | RecordedAlready | Unclear


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that decide whose money transfers are.

    named       invoices in any state, by `plain` number
    recorded    receipts without a bank line, and receipts that went back, by (currency, minor units)
    payers      the customer for whom an account paid last, by account
    arriving    payouts without a bank line, by (currency, minor units)
    traced      payouts with or without a bank line, by `plain` trace of at least `SHORTEST_TRACE` characters
    decided     by line: lines of the same amount and about the same day that a person decides or decided about
    paid_for    all customers for whom an account has paid lately, by account
    namesakes   customers, by the payer's name as `called` writes it
    """

    named: Mapping[str, Sequence[OpenInvoice]]
    recorded: Mapping[tuple[str, int], Sequence[Recorded]]
    payers: Mapping[str, str]
    arriving: Mapping[tuple[str, int], Sequence[PayoutDue]]
    traced: Mapping[str, Sequence[PayoutDue]] = field(default_factory=dict)
    decided: Mapping[int, Sequence[Transfer]] = field(default_factory=dict)
    paid_for: Mapping[str, Collection[str]] = field(default_factory=dict)
    namesakes: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leads:
    """What unclear transfers may be, besides the invoices that they name.

    alike       open invoices, by (currency, minor units)
    owing       payable invoices of customers whose account or name the payer has, by customer
    deposited   receipts without a bank line, by currency and the bank's day: of ten days before it and three after
    """

    alike: Mapping[tuple[str, int], Sequence[OpenInvoice]]
    owing: Mapping[str, Sequence[OpenInvoice]]
    deposited: Mapping[tuple[str, date], Sequence[Recorded]] = field(default_factory=dict)


def opened(unclear: Unclear) -> Open:
    transfer = unclear.transfer
    return Open(unclear.why, transfer.amount, line_id=transfer.line_id, proposals=unclear.proposals)
