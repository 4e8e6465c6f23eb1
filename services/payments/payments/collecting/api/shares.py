"""The invoices that money will pay, as requests name them, and the checks of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from chassis.http.idempotency import fingerprint
from contracts.ids import is_id
from contracts.invoicing import PositiveMinor
from contracts.refusals import Refusal
from payments.edge import Asked


class InvoiceToPay(Asked):
    invoice_id: Annotated[str, Field(max_length=36)]
    amount_minor: PositiveMinor | None = None


# The first part at fault is named: to find all faults of a thousand parts takes a second.
InvoicesToPay = Annotated[list[InvoiceToPay], Field(max_length=1000, fail_fast=True)]


def said(asked: BaseModel) -> bytes:
    """The fingerprint of a request. Without metadata it is the same as before metadata existed."""
    body = asked.model_dump(mode="json")
    if not body["metadata"]:
        del body["metadata"]
    return fingerprint(body)


def unknown_invoice(place: int, invoice_id: str) -> Refusal:
    return Refusal("unknown-invoice", f"This customer has no invoice {invoice_id}.", f"invoices.{place}.invoice_id")


def other_currency(place: int, invoice_id: str, currency: str, money: str) -> Refusal:
    detail = f"Invoice {invoice_id} is in {currency}, the money in {money}."
    return Refusal("other-currency", detail, f"invoices.{place}.invoice_id")


def refuse_shares(amount: int, invoices: Sequence[InvoiceToPay], *, on_account: bool) -> Refusal | None:
    """Return what is wrong with the named invoices for received money of so many minor units; None if nothing is."""
    if on_account and invoices:
        return Refusal("not-used", "Money on account pays no invoices; leave them out, or on_account.", "on_account")
    for place, each in enumerate(invoices):
        if not is_id(each.invoice_id):
            return unknown_invoice(place, each.invoice_id)
    if len({each.invoice_id for each in invoices}) < len(invoices):
        return Refusal("invoice-twice", "An invoice is named twice.", "invoices")
    named = sum(each.amount_minor or 0 for each in invoices)
    if named > amount:
        detail = f"The invoices' amounts sum to {named}, more than the {amount} received."
        return Refusal("more-than-received", detail, "invoices")
    return None
