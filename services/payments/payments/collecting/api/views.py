"""Payments, reversals and quotes as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from chassis.db.reads import Reads
from contracts.allocation import Part
from contracts.payments import PaymentStatus, Reconciliation
from payments.collecting.domain.payment_numbers import number_of
from payments.collecting.domain.payments import Payment, Reversal, ReversalKind, ReversalState
from payments.collecting.domain.quotes import Quote
from payments.collecting.store.beside import Beside, load_beside
from payments.collecting.store.reversals import load_reversals
from payments.projections.domain import OpenInvoice


class AllocationView(BaseModel):
    invoice_id: str
    number: Annotated[str | None, Field(description="Of the invoice; null: it is not known here yet")]
    amount_minor: int


class PaidBy(BaseModel):
    """What people know a payment method by."""

    kind: Literal["card", "bank_account"]
    brand: str | None
    last4: str | None


class ReversalView(BaseModel):
    """A reversal: money that goes back, in minor units of the payment's currency; `total` = `amount` + `surcharge`."""

    id: str
    payment_id: str
    kind: ReversalKind
    status: ReversalState
    currency: str
    amount_minor: int
    surcharge_minor: int
    total_minor: int
    code: str | None
    reason: str | None
    effective_on: date | None
    created_at: datetime


class PaymentView(BaseModel):
    """Amounts are in minor units of `currency`. `number` is short, to read out. `metadata` is from the request.

    `reconciliation` is null if the payment ended without money.

    `expected_by`: the day by which the provider's record should agree; null when it does, or without money.

    `allocations`: the invoices that the money pays. `credit_allocations`: the invoices that unapplied credit
    (`credit_used`) pays, as in the quote until it is settled; then as really paid, which is less if credit was gone.
    `gone_back`: amounts that either of them had paid of invoices and that have gone back. `asked`: the invoices that
    a payment which ended without money was to pay; otherwise empty.

    `reversed`: the amount that went back, with surcharge. `disputed`: the amount that the payer's bank holds until a
    chargeback is decided. Until `return_window_until`, the bank may still take the money back. While the status is
    `requires_action`, the payer goes to `next_action_url` before `act_by`; both are null after a request to cancel it.
    """

    id: str
    number: str
    customer_id: str
    customer_name: Annotated[str | None, Field(description="null: not known here yet, erased, or just made")] = None
    way: Literal["collect", "receive"]
    status: PaymentStatus
    reconciliation: Reconciliation | None
    reason: str | None
    currency: str
    amount_minor: int
    surcharge_minor: int
    total_minor: int
    credit_minor: int
    credit_used_minor: int
    reversed_minor: int
    disputed_minor: int
    expected_by: date | None
    return_window_until: date | None
    received_on: date | None
    reference: str | None
    method_id: str | None
    method_kind: Annotated[Literal["card", "bank_account"] | None, Field(description="null: nothing is charged")]
    method: Annotated[PaidBy | None, Field(description="The method that is charged; null: nothing is charged")]
    provider_id: Annotated[str | None, Field(description="the provider's id of the charge")]
    new_quote_id: str | None
    next_action_url: str | None
    act_by: datetime | None
    created_at: datetime
    metadata: dict[str, str]
    allocations: list[AllocationView]
    credit_allocations: list[AllocationView]
    gone_back: list[AllocationView]
    asked: list[AllocationView]
    reversals: list[ReversalView]


def view_of_reversal(reversal: Reversal) -> dict[str, Any]:
    return {
        "id": reversal.id,
        "payment_id": reversal.payment_id,
        "kind": reversal.kind,
        "status": reversal.state,
        "currency": reversal.amount.currency,
        "amount_minor": reversal.amount.minor,
        "surcharge_minor": reversal.surcharge.minor,
        "total_minor": reversal.total.minor,
        "code": reversal.code,
        "reason": reversal.reason,
        "effective_on": reversal.effective_on,
        "created_at": reversal.created_at,
    }


NOTHING = Beside()


def view_of_payment(payment: Payment, beside: Beside = NOTHING) -> dict[str, Any]:
    return {
        "id": payment.id,
        "number": number_of(payment.id),
        "customer_id": payment.customer_id,
        "customer_name": beside.customers.get(payment.customer_id),
        "way": payment.way,
        "status": payment.status,
        "reconciliation": payment.reconciliation,
        "reason": payment.reason,
        "currency": payment.amount.currency,
        "amount_minor": payment.amount.minor,
        "surcharge_minor": payment.surcharge.minor,
        "total_minor": payment.total.minor,
        "credit_minor": payment.credit,
        "credit_used_minor": payment.credit_used,
        "reversed_minor": payment.reversed,
        "disputed_minor": payment.disputed,
        "expected_by": payment.waits_until,
        "return_window_until": payment.return_window_until,
        "received_on": payment.received_on,
        "reference": payment.reference,
        "method_id": payment.method_id,
        "method_kind": payment.method_kind,
        "method": beside.methods.get(payment.method_id or ""),
        "provider_id": payment.provider_id,
        "new_quote_id": payment.new_quote_id,
        "next_action_url": payment.next_action_url,
        "act_by": None if payment.given_up else payment.act_by,
        "created_at": payment.created_at,
        "metadata": payment.metadata or {},
        "allocations": _view_of_parts(payment.allocations, beside),
        "credit_allocations": _view_of_parts(payment.credit_allocations, beside),
        "gone_back": _view_of_parts(payment.gone_back, beside),
        "asked": _view_of_parts(payment.asked_in_vain, beside),
        "reversals": [view_of_reversal(each) for each in beside.reversals if each.payment_id == payment.id],
    }


def _view_of_parts(parts: Sequence[Part], beside: Beside) -> list[dict[str, Any]]:
    return [
        {
            "invoice_id": part.invoice_id,
            "number": beside.numbers.get(part.invoice_id),
            "amount_minor": part.amount.minor,
        }
        for part in parts
    ]


async def shown(reads: Reads, payments: Sequence[Payment]) -> list[dict[str, Any]]:
    """Payments with all that stands beside them, whose statements are as many for a page as for one."""
    beside = await load_beside(reads, payments)
    back = await load_reversals(reads, [one.id for one in payments if one.reconciliation == "matched"])
    return [view_of_payment(one, replace(beside, reversals=back)) for one in payments]


def seen_header(payment: Payment) -> str:
    return f"{payment.id}:{payment.sequence}"


class QuotedPart(BaseModel):
    """A part of an invoice. `payable_now`: of it before the quote; `stays_open`: what the whole quote leaves of it.

    `disputed`: of what can be paid, what is in dispute.
    """

    invoice_id: str
    number: str
    due_on: date
    amount_minor: int
    payable_now_minor: int
    stays_open_minor: int
    disputed_minor: int


class QuoteView(BaseModel):
    """Amounts are in minor units of `currency`. `total` is charged; `credit` is the part of it that no invoice needs.

    `allocations`: the invoices that the charge pays; `credit_allocations`: those that unapplied credit (`credit_used`)
    pays before it.

    `method_id` is null if credit pays everything, so that nothing is charged.

    `surcharge_rate` is 0.03 for 3 %; `surcharge_rule` is the id of the rule with that rate.

    `payment_id` is the payment that confirmed it; null: none yet.
    """

    id: str
    customer_id: str
    method_id: str | None
    currency: str
    amount_minor: int
    surcharge_minor: int
    surcharge_rate: str
    surcharge_rule: str | None
    total_minor: int
    credit_minor: int
    credit_used_minor: int
    expires_at: datetime
    allocations: list[QuotedPart]
    credit_allocations: list[QuotedPart]
    payment_id: str | None


def view_of_quote(quote: Quote, invoices: dict[str, OpenInvoice]) -> dict[str, Any]:
    return {
        "id": quote.id,
        "customer_id": quote.customer_id,
        "method_id": quote.method_id,
        "currency": quote.amount.currency,
        "amount_minor": quote.amount.minor,
        "surcharge_minor": quote.surcharge.minor,
        "surcharge_rate": f"{quote.terms.rate.normalize():f}",
        "surcharge_rule": quote.terms.rule_id,
        "total_minor": quote.total.minor,
        "credit_minor": quote.credit.minor,
        "credit_used_minor": quote.credit_used,
        "expires_at": quote.expires_at,
        "allocations": quoted(quote.cash_parts, invoices, quote.parts),
        "credit_allocations": quoted(quote.credit_parts, invoices, quote.parts),
        "payment_id": quote.payment_id,
    }


def quoted(
    parts: Sequence[Part], invoices: Mapping[str, OpenInvoice], whole: Sequence[Part] | None = None
) -> list[dict[str, Any]]:
    """The parts with their invoices. `whole`: all that is paid of each invoice, where `parts` are not all of it."""
    paid = {part.invoice_id: part.amount.minor for part in whole or parts}
    return [
        {
            "invoice_id": part.invoice_id,
            "number": invoice.number,
            "due_on": invoice.due_on,
            "amount_minor": part.amount.minor,
            "payable_now_minor": invoice.payable_now,
            "stays_open_minor": max(0, invoice.payable_now - paid[invoice.id]),
            "disputed_minor": min(invoice.disputed, invoice.payable_now),
        }
        for part in parts
        for invoice in (invoices[part.invoice_id],)
    ]
