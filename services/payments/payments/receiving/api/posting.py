"""`post`: the money of a bank line becomes payments of one or several customers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chassis.http.problems import problem_of
from chassis.messaging.work import Work
from contracts.allocation import Part
from contracts.ids import is_id
from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.api.shares import InvoiceToPay, other_currency, refuse_shares, unknown_invoice
from payments.collecting.domain.payment_numbers import number_of
from payments.collecting.domain.payments import Step, receive
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import NewPayment, add_payments
from payments.edge import unknown_customer
from payments.exceptions import store as exceptions
from payments.receiving.api.resolutions import Resolution, Share, money_of_line, proposal_of
from payments.receiving.domain.transfers import remittance_of
from payments.receiving.store import remittances


async def post(row: Any, asked: Resolution, work: Work) -> str | None:
    """Make the line's money a payment of the customer, or one payment for each customer in `shares`."""
    money_of_line(row, work)
    steps, reference = list[Step](), remittance_of(row["refs"], row["text"])
    shares = _shares(row, asked)
    for share, field in shares:
        parts = [
            Part(one.invoice_id, Money(one.amount_minor or share.amount_minor, row["currency"]))
            for one in share.invoices
        ]
        if refusal := await _refuse_unpayable(share, parts, work):
            raise problem_of(refusal.at(field(refusal.field)))
        money = Money(share.amount_minor, row["currency"])
        step = receive(
            share.customer_id, money, row["booked_on"], reference, parts, work.now, on_account=share.on_account
        )
        steps.append(step.under(work.cause.correlation))
    work.emit(*payment_events(steps, work.now))
    saved = await add_payments(work, [NewPayment(step, line_id=row["line_id"]) for step in steps])
    for step, (_, field) in zip(steps, shares, strict=True):
        if step.payment.id not in saved:
            raise problem_of(unknown_customer(step.payment.customer_id).at(field("customer_id")))
    made = [f"{number_of(step.payment.id)} of {step.payment.amount}" for step in steps]
    await exceptions.note(work, row["id"], work.cause.actor or "", "payment", "; ".join(made))
    return steps[0].payment.id if len(steps) == 1 else None


async def _refuse_unpayable(share: Share, parts: Sequence[Part], work: Work) -> Refusal | None:
    """Refuse invoices that can't take their amount any more. The rest would become credit, and nobody would see it."""
    known = await remittances.load_invoices(work, [part.invoice_id for part in parts])
    for place, (part, named) in enumerate(zip(parts, share.invoices, strict=True)):
        invoice = known.get(part.invoice_id)
        if invoice is None or invoice.customer_id != share.customer_id:
            return unknown_invoice(place, part.invoice_id)
        if invoice.currency != part.amount.currency:
            return other_currency(place, invoice.id, invoice.currency, part.amount.currency)
        if invoice.payable_now < (named.amount_minor or 1):
            detail = (
                f"{invoice.payable_now} minor units of invoice {invoice.number} can be paid now. Say the customer_id "
                "and the invoices with their amounts anew: the rest is credit, and with on_account all of it."
            )
            return Refusal("not-payable", detail, f"invoices.{place}", conflict=True)
    return None


Named = Callable[[str | None], str]


def _shares(row: Any, asked: Resolution) -> list[tuple[Share, Named]]:
    """Return the customers' shares of the money, and how the request names each field of a share."""
    if asked.proposal is not None:
        return [(_proposed(row, asked.proposal), lambda _: "proposal")]
    if asked.shares:
        named: list[tuple[Share, Named]] = [
            (share, lambda field, place=place: f"shares.{place}.{field or 'customer_id'}")  # type: ignore[misc]
            for place, share in enumerate(asked.shares)
        ]
        if len({share.customer_id for share in asked.shares}) < len(asked.shares):
            raise problem_of(Refusal("customer-twice", "Each customer has one share, of all its invoices.", "shares"))
        if (sum_ := sum(share.amount_minor for share in asked.shares)) != row["amount"]:
            detail = f"The shares sum to {sum_} minor units, and {row['amount']} are to be posted."
            raise problem_of(Refusal("not-the-amount", detail, "shares"))
    else:
        share = Share.model_construct(
            customer_id=asked.customer_id or "", amount_minor=row["amount"], invoices=asked.invoices,
            on_account=asked.on_account,
        )  # fmt: skip
        named = [(share, lambda field: field or "customer_id")]
    for share, field in named:
        if not is_id(share.customer_id):
            detail = "Say whose money it is: customer_id, or the place of a proposal."
            raise problem_of(Refusal("customer-missing", detail, field("customer_id")))
        if refusal := refuse_shares(share.amount_minor, share.invoices, on_account=share.on_account):
            raise problem_of(refusal.at(field(refusal.field)))
    return named


def _proposed(row: Any, place: int) -> Share:
    chosen = proposal_of(row, place)
    if chosen.get("payout_id"):
        detail = (
            f"This proposal is payout {chosen['payout_id']}: the provider's money, and no customer's. Match it, or "
            "dismiss it, saying why. Where it is a customer's after all, say the customer_id."
        )
        raise problem_of(Refusal("providers-money", detail, "proposal"))
    if recorded := chosen.get("payment_id") or ", ".join(chosen.get("payment_ids", [])):
        detail = f"This proposal is payment {recorded}, recorded already; posted, it counts twice."
        raise problem_of(Refusal("recorded-already", detail, "proposal"))
    if not chosen["invoices"]:
        detail = (
            "This proposal has a customer, but no invoices. Send the customer_id and the invoices. Without invoices "
            "the oldest are paid first; with on_account it is credit."
        )
        raise problem_of(Refusal("no-invoices", detail, "proposal"))
    invoices = [InvoiceToPay(**one) for one in chosen["invoices"]]
    return Share(customer_id=chosen["customer_id"], amount_minor=row["amount"], invoices=invoices)
