"""What may become of a bank transfer, and what is known that decides it. Values alone."""

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
    """A receipt that somebody recorded and no bank line has confirmed yet; or (`banked`) one that has gone back since.

    `pays`: the invoices that it was recorded for or has gone to. `settled`: what it went to is known. `gone`: it went
    back, all of it or a part.
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
    """A payout of the provider; its line says `trace`, where it is known.

    `failed`: it came to nothing, and the provider has its money again. `banked`: a bank's line has told of it already.
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
    """The transfer is money that somebody has recorded already."""

    transfer: Transfer
    payment_id: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """A person has to look: why, and what it may be."""

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
    """What decides whose money transfers are.

    `named`: invoices, whatever their state, by `plain` number; `recorded`: receipts without a bank line, and those that
    went back, by (currency, minor units); `payers`: customers by the account that paid for them before; `arriving`:
    payouts without a bank line by (currency, minor units); `traced`: payouts, whether they have one or not, by the
    `plain` trace that some transfer tells in words of at least `SHORTEST_TRACE`; `decided`: by line, others of the same
    amount and about the same day that wait for a person, or were decided by one; `paid_for`: by account, all customers
    for whom it has paid of late; `namesakes`: customers by how a payer is `called`.
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
    """What unclear transfers may pay besides what they name.

    `alike`: open invoices by (currency, minor units); `owing`: what customers who paid before, or have the
    payer's name, can pay now; `deposited`: receipts without a bank line by currency and the bank's day, of the days
    before it and some after.
    """

    alike: Mapping[tuple[str, int], Sequence[OpenInvoice]]
    owing: Mapping[str, Sequence[OpenInvoice]]
    deposited: Mapping[tuple[str, date], Sequence[Recorded]] = field(default_factory=dict)


def opened(unclear: Unclear) -> Open:
    transfer = unclear.transfer
    return Open(unclear.why, transfer.amount, line_id=transfer.line_id, proposals=unclear.proposals)
