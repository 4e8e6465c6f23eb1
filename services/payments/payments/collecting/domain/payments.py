"""A payment, its states and the steps between them. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from contracts.allocation import Part
from contracts.calendar import add_banking_days
from contracts.ids import new_id
from contracts.money import Money, total, zero
from contracts.payments import FINAL, PaymentStatus, Reconciliation
from contracts.payments import ReversalKind as ToldKind
from contracts.refusals import Refusal
from payments.collecting.domain.quotes import Quote, first_of
from payments.exceptions.domain import ExceptionClass
from payments.ledger import Entry, Posting
from payments.methods.domain.methods import MethodKind

LONGEST_POLL = timedelta(seconds=60)
# How long a payer's bank may take money back: ACH returns of unauthorised debits 60 days, card networks 120 days.
RETURN_WINDOW = {"card": timedelta(days=120), "bank_account": timedelta(days=60)}

# Banking days until the provider's record should agree.
EXPECTED_DAYS = {"card": 1, "bank_account": 5}
EXPECTED_DAYS_OF_CREDIT = 1  # no provider is needed: the payment only waits for its reservation
TIME_TO_ACT = timedelta(hours=24)
PAYER_CANCELLED = "payer_cancelled"  # the reason of a payment that its payer gave up instead of confirming it
NEVER_MADE = "never_made"  # the reason of a payment or refund whose call the provider has no record of

StepName = Literal[
    "submitted", "succeeded", "declined", "cancelled", "unknown", "reconciled", "overdue", "refund_requested",
    "refund_failed", "disputed", "dispute_won", "reversed", "action_required", "expired", "moved",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Payment:
    """`amount` goes to invoices and credit; `surcharge` is charged on top; `asked`: the invoices of the payer's choice.

    `on_account`: it pays no invoice, and becomes credit. `gone_back`: amounts of invoices that it had paid and that
    went back. `credit_paid`: what unapplied credit really paid for it, when invoicing has said it; `credit_gone`: the
    part of this that went back, which is also in `gone_back`.

    `return_url`: the payer is present, and confirms at `next_action_url` until `act_by`, or until `let_go_by` cancels.
    `metadata`: texts of the caller, which no event contains.
    In minor units with surcharge: `reversed` went back, `going_back` went back or still may, `disputed` is held by the
    payer's bank.
    """

    id: str
    customer_id: str
    way: Literal["collect", "receive"]
    status: PaymentStatus
    reconciliation: Reconciliation | None
    amount: Money
    surcharge: Money
    asked: tuple[Part, ...]
    created_at: datetime
    reason: str | None = None
    method_id: str | None = None
    quote_id: str | None = None
    received_on: date | None = None
    reference: str | None = None
    effective_on: date | None = None
    expected_by: date | None = None
    allocations: tuple[Part, ...] = ()
    credit: int = 0
    reversed: int = 0
    reversed_surcharge: int = 0
    going_back: int = 0
    disputed: int = 0
    provider_id: str | None = None
    sequence: int = 0
    polls: int = 0
    next_poll_at: datetime | None = None
    method_kind: MethodKind | None = None
    correlation: str | None = None
    new_quote_id: str | None = None
    credit_used: int = 0
    return_url: str | None = None
    next_action_url: str | None = None
    act_by: datetime | None = None
    on_account: bool = False
    let_go_by: str | None = None
    gone_back: tuple[Part, ...] = ()
    credit_paid: tuple[Part, ...] | None = None
    credit_gone: tuple[Part, ...] = ()
    metadata: Mapping[str, str] | None = None

    @property
    def given_up(self) -> bool:
        """Somebody cancelled it, and the provider has not yet said that no money moved."""
        return self.status == "requires_action" and self.let_go_by is not None

    @property
    def return_window_until(self) -> date | None:
        """The day until which the payer's bank may take the money back."""
        if self.effective_on is None or self.method_kind is None or self.reconciliation != "matched":
            return None
        if self.by_credit_alone:
            return None
        return self.effective_on + RETURN_WINDOW[self.method_kind]

    @property
    def waits_until(self) -> date | None:
        """The day by which the provider's record should agree, also if it has passed; None when it agrees."""
        return None if self.reconciliation in ("matched", None) else self.expected_by

    @property
    def total(self) -> Money:
        return self.amount + self.surcharge

    @property
    def by_credit_alone(self) -> bool:
        """Nothing is charged for it, so no bank can take money back, and there is none to refund."""
        return self.credit_used > 0 and not self.total

    @property
    def asked_in_vain(self) -> tuple[Part, ...]:
        """The invoices that a payment which ended without money was to pay."""
        return self.asked if self.without_money else ()

    @property
    def credit_allocations(self) -> tuple[Part, ...]:
        """The invoices that unapplied credit pays: as in the quote, until invoicing has said what it really paid."""
        if not self.credit_used or self.without_money:
            return ()
        paid = self.credit_paid
        if paid is None:
            paid = first_of(self.asked, Money(self.credit_used, self.amount.currency))
        gone = {part.invoice_id: part.amount for part in self.credit_gone}
        left = [(part, gone.get(part.invoice_id, zero(part.amount.currency)).capped_at(part.amount)) for part in paid]
        return tuple(Part(part.invoice_id, part.amount - back) for part, back in left if part.amount - back)

    @property
    def credit_short(self) -> Money:
        """How much less than agreed the credit paid, because it was gone before."""
        used = Money(self.credit_used, self.amount.currency)
        if self.credit_paid is None:
            return zero(used.currency)
        return used - total([part.amount for part in self.credit_paid], used.currency).capped_at(used)

    @property
    def credit_missing(self) -> Money:
        """The part of the agreed credit that does not pay: it went back, or was gone before it could pay."""
        if self.credit_paid is None and not self.credit_gone:
            return zero(self.amount.currency)
        used, pays = Money(self.credit_used, self.amount.currency), [part.amount for part in self.credit_allocations]
        return used - total(pays, used.currency).capped_at(used)

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def without_money(self) -> bool:
        """It has ended, and no money was taken."""
        return self.status in ("declined", "cancelled", "expired")


ReversalKind = ToldKind | Literal["void"]
ReversalState = Literal["requested", "processing", "open", "succeeded", "failed", "won"]


@dataclass(frozen=True, slots=True)
class Reversal:
    """Money of a payment that goes back: `amount` from its invoices and credit, and `surcharge`.

    A refund is `requested`, then `processing` until the provider's record agrees. A chargeback is `open` until it is
    decided. `failed` and `won`: nothing went back. `code` is the provider's, `reason` the company's. If the payment had
    no room for all that the provider took at once, it is in several parts.
    """

    id: str
    payment_id: str
    customer_id: str
    kind: ReversalKind
    state: ReversalState
    amount: Money
    surcharge: Money
    created_at: datetime
    code: str | None = None
    reason: str | None = None
    provider_id: str | None = None
    effective_on: date | None = None
    part: int = 1

    @property
    def total(self) -> Money:
        return self.amount + self.surcharge


@dataclass(frozen=True, slots=True)
class Step:
    """A payment after one step, the name of the step, its posting in the ledger, and the reversal that it is about."""

    payment: Payment
    what: StepName
    posting: Posting | None = None
    reversal: Reversal | None = None
    opens: ExceptionClass | None = None  # an exception, for a person
    about: Money | None = None  # the money of that exception, where it is not all of the payment or reversal
    about_id: str | None = None  # the provider's id of the reversal, if the exception is about one
    closes: bool = False  # whether its open exceptions are closed

    @property
    def in_doubt(self) -> Money:
        return self.about or (self.reversal.total if self.reversal else self.payment.total)

    def under(self, correlation: str | None) -> Step:
        """The same step under this correlation id, which later steps and events keep."""
        return replace(self, payment=replace(self.payment, correlation=correlation))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A provider call to be made under the attempt's id as its key."""

    id: str
    payment_id: str
    provider_customer: str
    provider_method: str
    amount: Money
    begun_at: datetime
    return_url: str | None = None
    calls: int = 0


def step_of(payment: Payment, what: StepName, **changes: object) -> Step:
    """Make a step with an event: the sequence goes up by one. If it ends the payment, open exceptions are closed."""
    changed = replace(payment, sequence=payment.sequence + 1, **changes)  # type: ignore[arg-type]
    ends = changed.without_money and not payment.final
    return Step(changed, what, closes=ends and payment.reconciliation == "exception")


def expected_by(kind: MethodKind | None, today: date) -> date:
    """The day by which the provider's record should agree, or, if credit alone pays, the credit should have paid."""
    return add_banking_days(today, EXPECTED_DAYS[kind] if kind else EXPECTED_DAYS_OF_CREDIT)


def submit(
    quote: Quote,
    kind: MethodKind | None,
    accept_surcharge: bool | None,
    *,
    expected_by: date,
    now: datetime,
    return_url: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Step | Refusal:
    """Confirm a quote. A declined surcharge leaves an unsuccessful payment and no charge."""
    if quote.surcharge and accept_surcharge is None:
        detail = "This payment carries a surcharge: send accept_surcharge, true to go on or false to cancel."
        return Refusal("surcharge-unanswered", detail, "accept_surcharge")
    payment = Payment(
        id=new_id(), customer_id=quote.customer_id, way="collect", status="submitted", reconciliation="waiting",
        amount=quote.amount, surcharge=quote.surcharge, asked=quote.parts, allocations=quote.cash_parts, created_at=now,
        credit_used=quote.credit_used,
        method_id=quote.method_id, quote_id=quote.id, expected_by=expected_by, method_kind=kind,
        return_url=return_url, metadata=metadata,
    )  # fmt: skip
    if quote.surcharge and not accept_surcharge:
        return cancel(payment, "surcharge_declined")
    return step_of(payment, "submitted")


def cancel(payment: Payment, reason: str, new_quote_id: str | None = None) -> Step:
    """End a payment before any money moved. `new_quote_id`: the quote that can be confirmed instead."""
    return step_of(
        replace(payment, new_quote_id=new_quote_id), "cancelled", status="cancelled", reason=reason,
        reconciliation=None, allocations=(), expected_by=None, next_poll_at=None,
    )  # fmt: skip


def give_up(payment: Payment, actor: str, now: datetime) -> Payment | Refusal:
    """Give up a payment that waits for the payer's bank. Its charge will be cancelled at once.

    A second call has the same result. The payment ends when the provider says that the charge is cancelled. If it says
    that the money came, the money counts.
    """
    if payment.given_up or (payment.status, payment.reason) == ("cancelled", PAYER_CANCELLED):
        return payment
    if payment.status == "requires_action":
        return replace(payment, let_go_by=actor, next_action_url=None, act_by=now)
    if payment.without_money:
        why = f"It has ended without money already ({payment.status}): there is nothing to cancel."
    elif payment.status == "succeeded":
        why = "Its money was taken. The company can give it back by a refund."
    else:
        why = "It is on its way and can't be stopped any more. Wait for its end: what is taken can be refunded."
    return Refusal("not-cancellable", f"Only a payment that waits for its payer can be cancelled. {why}", conflict=True)


def expire(payment: Payment) -> Step:
    """The payer never acted, and the provider has cancelled the charge: no money moved and none will."""
    return step_of(
        payment, "expired", status="expired", reason="not_confirmed", reconciliation=None, allocations=(),
        expected_by=None, next_poll_at=None, next_action_url=None, act_by=None,
    )  # fmt: skip


def receive(
    customer_id: str,
    amount: Money,
    received_on: date,
    reference: str | None,
    asked: Sequence[Part],
    now: datetime,
    *,
    on_account: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Step:
    """Make a payment of money that was received offline. It is reconciled at once; invoicing finds its invoices.

    `on_account`: it pays no invoice, and becomes the customer's credit.
    """
    payment = Payment(
        id=new_id(), customer_id=customer_id, way="receive", status="succeeded", reconciliation="matched",
        amount=amount, surcharge=zero(amount.currency), asked=tuple(asked), created_at=now, received_on=received_on,
        reference=reference, effective_on=received_on, on_account=on_account, metadata=metadata,
    )  # fmt: skip
    step = step_of(payment, "reconciled")
    entries: tuple[Entry, ...] = (("bank", amount), ("customer_funds", -amount))
    return replace(step, posting=Posting(new_id(), payment.id, customer_id, "receipt", received_on, entries))


def reserve(payment: Payment, provider_method: str, provider_customer: str, now: datetime) -> tuple[Step, Attempt]:
    """Invoicing holds the invoices: the charge may begin, once."""
    attempt = Attempt(new_id(), payment.id, provider_customer, provider_method, payment.total, now, payment.return_url)
    return Step(replace(payment, status="reserved"), "moved"), attempt


def settle_by_credit(payment: Payment, today: date) -> Step:
    """Reconcile a payment that credit alone pays: nothing is charged, and there is no record to wait for."""
    step = step_of(
        payment, "reconciled", status="succeeded", reconciliation="matched", effective_on=today, expected_by=None
    )
    return replace(step, closes=payment.reconciliation == "exception")


def unanswered(payment: Payment) -> Step | None:
    """The answer of a call was lost: the payment becomes unknown, never failed. Only the first time is a step."""
    if payment.status in ("reserved", "processing"):
        return step_of(payment, "unknown", status="unknown")
    return None


def overdue(payment: Payment) -> Step:
    """The record did not agree in time: an exception is opened. A later match still closes it."""
    return replace(step_of(payment, "overdue", reconciliation="exception"), opens="missing_there")


def poll_later(payment: Payment, now: datetime) -> Payment:
    """Poll the provider's record later: after 2, 4, 8 … seconds, at most a minute apart."""
    wait = min(timedelta(seconds=2 ** min(payment.polls + 1, 10)), LONGEST_POLL)
    return replace(payment, polls=payment.polls + 1, next_poll_at=now + wait)
