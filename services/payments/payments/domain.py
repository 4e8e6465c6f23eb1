"""The rules of paying: quotes, surcharge, the saga's steps, what the ledger books. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from contracts.allocation import Due, Part, allocate
from contracts.ids import new_id
from contracts.money import Money, total, zero
from contracts.payments import FINAL, PaymentStatus, Reconciliation

QUOTE_VALID = timedelta(minutes=15)
MOST_PARTS = 1_000
LONGEST_POLL = timedelta(seconds=60)

What = Literal[
    "submitted", "succeeded", "declined", "cancelled", "unknown", "reconciled", "overdue", "reversed", "moved"
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request can't be met: a stable slug, what happened and what to do, and the field at fault."""

    code: str
    detail: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """Invoicing's invoice as payments last heard of it."""

    id: str
    customer_id: str
    number: str
    status: str
    currency: str
    issued_on: date
    due_on: date
    payable_now: int

    def due(self) -> Due:
        return Due(self.id, self.number, self.issued_on, self.due_on, Money(self.payable_now, self.currency))


@dataclass(frozen=True, slots=True)
class Method:
    id: str
    customer_id: str
    provider_id: str
    kind: Literal["card", "bank_account"]
    funding: str | None
    brand: str | None
    last4: str | None


@dataclass(frozen=True, slots=True)
class Quote:
    """A preview that can be confirmed once. `whole[i]`: part i was not edited, it means all that is payable.

    `amount` is what goes to the parts and, when an amount was chosen that they don't need, to credit.
    """

    id: str
    customer_id: str
    method_id: str
    amount: Money
    surcharge: Money
    parts: tuple[Part, ...]
    whole: tuple[bool, ...]
    expires_at: datetime
    payment_id: str | None = None
    choice: Literal["invoices", "all", "amount"] = "invoices"

    @property
    def total(self) -> Money:
        return self.amount + self.surcharge

    @property
    def credit(self) -> Money:
        return self.amount - total([part.amount for part in self.parts], self.amount.currency)


@dataclass(frozen=True, slots=True)
class Wish:
    """An invoice to pay; without an amount, all that is payable."""

    invoice_id: str
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class Wishes:
    """Named invoices, each whole or with an edited amount."""

    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Everything:
    """All that the customer can pay now in a currency."""

    currency: str


@dataclass(frozen=True, slots=True)
class Sum:
    """An amount that goes to the oldest invoices first; what they don't need is credit."""

    money: Money


Choice = Wishes | Everything | Sum


def make_quote(
    method: Method, choice: Choice, invoices: Mapping[str, OpenInvoice], rate: Decimal, now: datetime
) -> Quote | Refusal:
    """A quote over what was chosen, or the first reason against it.

    `invoices`: the named ones; or the oldest of the currency that are payable, one more than a payment may hold.
    """
    match choice:
        case Wishes(wishes):
            return _quote_wishes(method, wishes, invoices, rate, now)
        case Everything(currency):
            money = total([Money(invoice.payable_now, currency) for invoice in invoices.values()], currency)
            return _quote_oldest(method, "all", money, invoices, rate, now)
        case Sum(money):
            return _quote_oldest(method, "amount", money, invoices, rate, now)


def _quote_oldest(
    method: Method,
    choice: Literal["all", "amount"],
    money: Money,
    invoices: Mapping[str, OpenInvoice],
    rate: Decimal,
    now: datetime,
) -> Quote | Refusal:
    parts = allocate(money, [invoice.due() for invoice in invoices.values()]).parts
    if not parts:
        return Refusal("nothing-payable", f"Nothing can be paid in {money.currency} now.", "currency")
    if len(parts) > MOST_PARTS:
        detail = f"One payment pays at most {MOST_PARTS} invoices. Choose an amount that the oldest of them hold."
        return Refusal("too-many-invoices", detail, "all" if choice == "all" else "amount_minor")
    charge, whole = surcharge(method, money, rate), (choice == "all",) * len(parts)
    until = now + QUOTE_VALID
    return Quote(new_id(), method.customer_id, method.id, money, charge, parts, whole, until, choice=choice)


def _quote_wishes(
    method: Method, wishes: Sequence[Wish], invoices: Mapping[str, OpenInvoice], rate: Decimal, now: datetime
) -> Quote | Refusal:
    parts: list[Part] = []
    for place, wish in enumerate(wishes):
        part = _part(f"invoices.{place}", method.customer_id, wish, invoices)
        if isinstance(part, Refusal):
            return part
        parts.append(part)
    currencies = {part.amount.currency for part in parts}
    if len(currencies) > 1:
        return Refusal("mixed-currencies", "Pay invoices of one currency at a time.", "invoices")
    if len({part.invoice_id for part in parts}) < len(parts):
        return Refusal("invoice-twice", "An invoice is named twice.", "invoices")
    amount = total([part.amount for part in parts], currencies.pop())
    whole = tuple(wish.amount_minor is None for wish in wishes)
    charge = surcharge(method, amount, rate)
    return Quote(new_id(), method.customer_id, method.id, amount, charge, tuple(parts), whole, now + QUOTE_VALID)


def _part(field: str, customer_id: str, wish: Wish, invoices: Mapping[str, OpenInvoice]) -> Part | Refusal:
    invoice = invoices.get(wish.invoice_id)
    if invoice is None or invoice.customer_id != customer_id:
        detail = f"This customer has no invoice {wish.invoice_id}."
        return Refusal("unknown-invoice", detail, f"{field}.invoice_id")
    if invoice.status == "in_progress":
        detail = f"A payment of invoice {invoice.number} is under way; wait until it is confirmed."
        return Refusal("payment-under-way", detail, f"{field}.invoice_id")
    if invoice.payable_now <= 0:
        detail = f"Invoice {invoice.number} is {invoice.status}: nothing of it can be paid."
        return Refusal("invoice-closed", detail, f"{field}.invoice_id")
    minor = invoice.payable_now if wish.amount_minor is None else wish.amount_minor
    if minor > invoice.payable_now:
        detail = f"At most {invoice.payable_now} minor units of invoice {invoice.number} can be paid now."
        return Refusal("more-than-payable", detail, f"{field}.amount_minor")
    return Part(invoice.id, Money(minor, invoice.currency))


def still_fits(quote: Quote, invoices: Mapping[str, OpenInvoice]) -> bool:
    """Whether every part can still be paid as quoted, and a part that meant all of an invoice still does."""
    for part, whole in zip(quote.parts, quote.whole, strict=True):
        invoice = invoices.get(part.invoice_id)
        if invoice is None or invoice.payable_now < part.amount.minor:
            return False
        if whole and invoice.payable_now != part.amount.minor:
            return False
    return True


def choose_again(quote: Quote, invoices: Mapping[str, OpenInvoice]) -> Choice | None:
    """The same choice, of named invoices for what can still be paid of them; None when that is nothing."""
    if quote.choice == "all":
        return Everything(quote.amount.currency)
    if quote.choice == "amount":
        return Sum(quote.amount)
    again = []
    for part, whole in zip(quote.parts, quote.whole, strict=True):
        invoice = invoices.get(part.invoice_id)
        if invoice is not None and invoice.payable_now > 0 and invoice.status != "in_progress":
            again.append(Wish(part.invoice_id, None if whole else min(part.amount.minor, invoice.payable_now)))
    return Wishes(tuple(again)) if again else None


def surcharge(method: Method, amount: Money, rate: Decimal) -> Money:
    """Credit cards only, by the card's funding; rounded down."""
    if method.kind == "card" and method.funding == "credit":
        return amount.share(rate)
    return zero(amount.currency)


@dataclass(frozen=True, slots=True)
class Payment:
    """`amount` goes to invoices and credit, `surcharge` is charged on top; `asked` is what the payer chose."""

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
    provider_id: str | None = None
    sequence: int = 0
    polls: int = 0
    next_poll_at: datetime | None = None

    @property
    def total(self) -> Money:
        return self.amount + self.surcharge

    @property
    def final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class Posting:
    """One ledger transaction: signed amounts by account, debit above zero, summing to zero."""

    id: str
    payment_id: str
    customer_id: str
    kind: Literal["charge", "receipt", "reversal"]
    effective_on: date
    entries: tuple[tuple[str, Money], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A payment after one step, what the step is called, and what the ledger books with it."""

    payment: Payment
    what: What
    posting: Posting | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A provider call to be made under the attempt's id as its key."""

    id: str
    payment_id: str
    provider_customer: str
    provider_method: str
    amount: Money
    begun_at: datetime
    calls: int = 0


def _step(payment: Payment, what: What, **changes: object) -> Step:
    """A step that is told to others: the sequence moves on."""
    changed = replace(payment, sequence=payment.sequence + 1, **changes)  # type: ignore[arg-type]
    return Step(changed, what)


def submit(quote: Quote, accept_surcharge: bool | None, *, expected_by: date, now: datetime) -> Step | Refusal:
    """Confirm a quote. A declined surcharge leaves an unsuccessful payment and no charge."""
    if quote.surcharge and accept_surcharge is None:
        detail = "This payment carries a surcharge: send accept_surcharge, true to go on or false to cancel."
        return Refusal("surcharge-unanswered", detail, "accept_surcharge")
    payment = Payment(
        id=new_id(), customer_id=quote.customer_id, way="collect", status="submitted", reconciliation="waiting",
        amount=quote.amount, surcharge=quote.surcharge, asked=quote.parts, allocations=quote.parts, created_at=now,
        method_id=quote.method_id, quote_id=quote.id, expected_by=expected_by,
    )  # fmt: skip
    if quote.surcharge and not accept_surcharge:
        return cancel(payment, "surcharge_declined")
    return _step(payment, "submitted")


def cancel(payment: Payment, reason: str) -> Step:
    """End it before any money moved."""
    return _step(
        payment, "cancelled", status="cancelled", reason=reason, reconciliation=None, allocations=(), expected_by=None,
        next_poll_at=None,
    )  # fmt: skip


def receive(
    customer_id: str, amount: Money, received_on: date, reference: str | None, asked: Sequence[Part], now: datetime
) -> Step:
    """Money that was received offline: reconciled at once, invoices are found for it by invoicing."""
    payment = Payment(
        id=new_id(), customer_id=customer_id, way="receive", status="succeeded", reconciliation="matched",
        amount=amount, surcharge=zero(amount.currency), asked=tuple(asked), created_at=now, received_on=received_on,
        reference=reference, effective_on=received_on,
    )  # fmt: skip
    step = _step(payment, "reconciled")
    entries = (("bank", amount), ("customer_funds", -amount))
    return replace(step, posting=Posting(new_id(), payment.id, customer_id, "receipt", received_on, entries))


def reserve(payment: Payment, provider_method: str, provider_customer: str, now: datetime) -> tuple[Step, Attempt]:
    """Invoicing holds the invoices: the charge may begin, once."""
    attempt = Attempt(new_id(), payment.id, provider_customer, provider_method, payment.total, now)
    return Step(replace(payment, status="reserved"), "moved"), attempt


def unanswered(payment: Payment) -> Step | None:
    """A call's answer was lost: unknown, never failed by itself. Told once."""
    if payment.status in ("reserved", "processing"):
        return _step(payment, "unknown", status="unknown")
    return None


@dataclass(frozen=True, slots=True)
class Seen:
    """The provider's state of a charge. `evidence`: read from its own record, not our call's reply."""

    provider_id: str
    state: Literal["succeeded", "processing", "requires_action", "declined", "cancelled", "open"]
    captured: Money
    on: date
    reason: str | None
    evidence: bool
    returned_minor: int = 0
    returned_code: str | None = None
    returned_on: date | None = None


def observe(payment: Payment, seen: Seen, now: datetime) -> list[Step]:
    """The steps that follow from what the provider says. Order and repetition don't matter."""
    steps: list[Step] = []
    if seen.state == "succeeded":
        steps += _succeed(payment, seen, now)
    elif not payment.final:
        steps += _not_yet(payment, seen, now)
    latest = steps[-1].payment if steps else payment
    if seen.returned_minor and seen.evidence and latest.reconciliation == "matched" and not latest.reversed:
        steps.append(_reverse(latest, seen))
    return steps


def _not_yet(payment: Payment, seen: Seen, now: datetime) -> list[Step]:
    if seen.state == "declined":
        ended = _step(
            payment, "declined", status="declined", reason=seen.reason or "declined", reconciliation=None,
            allocations=(), expected_by=None, next_poll_at=None, provider_id=seen.provider_id,
        )  # fmt: skip
        return [ended]
    if seen.state == "cancelled":
        return [cancel(replace(payment, provider_id=seen.provider_id), seen.reason or "cancelled_by_provider")]
    if seen.state == "processing" and (payment.status != "processing" or payment.provider_id is None):
        moved = replace(payment, status="processing", provider_id=seen.provider_id)
        return [Step(poll_later(moved, now), "moved")]
    return []


def _succeed(payment: Payment, seen: Seen, now: datetime) -> list[Step]:
    if payment.reconciliation == "matched":
        return []
    if payment.status in ("declined", "cancelled", "expired"):
        # Money came although the provider had said that it would not: a person has to look.
        if payment.reconciliation == "exception":
            return []
        reason = f"charged_after_{payment.status}"
        return [_step(payment, "overdue", reconciliation="exception", reason=reason, provider_id=seen.provider_id)]
    if not seen.evidence:
        if payment.status == "succeeded":
            return []
        step = _step(payment, "succeeded", status="succeeded", provider_id=seen.provider_id)
        return [replace(step, payment=poll_later(step.payment, now))]
    if seen.captured != payment.total:
        if payment.reconciliation == "mismatch":
            return []
        return [
            _step(
                payment, "succeeded", status="succeeded", reconciliation="mismatch", reason="amount_differs",
                provider_id=seen.provider_id, next_poll_at=None,
            )
        ]  # fmt: skip
    told = [] if payment.status == "succeeded" else [_step(payment, "succeeded", status="succeeded")]
    payment = told[0].payment if told else payment
    step = _step(
        payment, "reconciled", status="succeeded", reconciliation="matched", reason=None, effective_on=seen.on,
        provider_id=seen.provider_id, next_poll_at=None,
    )  # fmt: skip
    entries = [("psp_clearing", payment.total), ("customer_funds", -payment.amount)]
    if payment.surcharge:
        entries.append(("surcharge_income", -payment.surcharge))
    posting = Posting(new_id(), payment.id, payment.customer_id, "charge", seen.on, tuple(entries))
    return [*told, replace(step, posting=posting)]


def _reverse(payment: Payment, seen: Seen) -> Step:
    """A bank took its money back: everything that the charge booked is booked the other way round."""
    on = seen.returned_on or seen.on
    step = _step(
        payment, "reversed", reversed=payment.total.minor, effective_on=on, reason=f"returned_{seen.returned_code}"
    )
    entries = [("psp_clearing", -payment.total), ("customer_funds", payment.amount)]
    if payment.surcharge:
        entries.append(("surcharge_income", payment.surcharge))
    posting = Posting(new_id(), payment.id, payment.customer_id, "reversal", on, tuple(entries))
    return replace(step, posting=posting, code=seen.returned_code)


def overdue(payment: Payment) -> Step:
    """The window has passed without a match: an exception, which a later match still resolves."""
    return _step(payment, "overdue", reconciliation="exception")


def poll_later(payment: Payment, now: datetime) -> Payment:
    """Ask the provider's record later: after 2, 4, 8 … seconds, at most a minute apart."""
    wait = min(timedelta(seconds=2 ** min(payment.polls + 1, 10)), LONGEST_POLL)
    return replace(payment, polls=payment.polls + 1, next_poll_at=now + wait)
