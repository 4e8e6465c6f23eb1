"""Issuing invoices, one or many at once: the same for the API and for command messages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chassis.messaging.work import Work
from contracts.ids import is_id, new_id
from contracts.invoicing import CreateCustomer, IssueInvoice
from contracts.refusals import Refusal
from invoicing import messages, store
from invoicing.domain import Book, Change, Invoice, price


@dataclass(frozen=True, slots=True)
class Issued:
    """`repeated`: the same number with the same body was there already."""

    invoice: Invoice
    repeated: bool


async def issue(asked: Sequence[IssueInvoice], work: Work) -> list[Issued | Refusal]:
    """Issue invoices, or keep drafts. A refused one does not touch the others."""
    known, by_external_id = await store.resolve_customers(
        work.connection,
        sorted({a.customer_id for a in asked if a.customer_id and is_id(a.customer_id)}),
        sorted({a.customer_external_id for a in asked if a.customer_external_id}),
    )
    made = [make(each, _customer_of(each, known, by_external_id)) for each in asked]
    new, book = _first_of_each_number([each for each in made if not isinstance(each, Refusal)]), Book()
    ready = [
        (one.invoice if one.draft else book.issue(one.invoice, one.document.line_totals), one.document, one.fingerprint)
        for one in new
    ]
    added = await store.add_invoices(work, ready) if ready else set()
    changes = [fact for fact in book.take_facts() if isinstance(fact, Change) and fact.invoice.id in added]
    work.emit(*messages.of(changes, work.now))
    book.entries = [entry for entry in book.entries if entry.invoice.id in added]
    book.invoices_touched.clear()  # they are written already
    await store.save_book(work, book)
    by_number = await store.find_numbers(work, [a.number for a in asked])
    return [_outcome(each, by_number, added) for each in made]


@dataclass(frozen=True, slots=True)
class Made:
    """The invoice that one request makes, before it is known whether its number is free."""

    invoice: Invoice
    document: store.Document
    fingerprint: bytes
    draft: bool


def _first_of_each_number(made: list[Made]) -> list[Made]:
    first = {one.invoice.number: one for one in reversed(made)}
    return list(first.values())[::-1]


def _customer_of(asked: IssueInvoice, known: set[str], by_external_id: dict[str, str]) -> str | Refusal:
    if asked.customer_id:
        field, name = "customer_id", asked.customer_id
        found = name if name in known else None
    else:
        field, name = "customer_external_id", asked.customer_external_id or ""
        found = by_external_id.get(name)
    return found or Refusal("unknown-customer", f"there is no customer {name}", field, values={"customer": name})


def make(asked: IssueInvoice, customer_id: str | Refusal) -> Made | Refusal:
    """The draft of a request, its document and the fingerprint of the request."""
    if isinstance(customer_id, Refusal):
        return customer_id
    try:
        priced = price(asked.lines)
    except Refusal as refused:
        return refused
    lines = [
        {
            "description": line.description,
            "quantity": _plain(line.quantity),
            "unit_price_minor": line.unit_price_minor,
            "tax_rate": _plain(line.tax_rate),
            "net_minor": net,
        }
        for line, net in zip(asked.lines, priced.nets, strict=True)
    ]
    taxes = [{"tax_rate": _plain(rate), "net_minor": net, "tax_minor": tax} for rate, net, tax in priced.taxes]
    invoice = Invoice(
        new_id(), customer_id, asked.number, asked.currency, "draft", asked.issued_on, asked.due_on, priced.total
    )
    document = store.Document(lines, taxes, asked.po_number, asked.terms, asked.notes, asked.metadata or {})
    without = {"customer_id", "customer_external_id", "lines"} | (set() if asked.metadata else {"metadata"})
    body = asked.model_dump(mode="json", exclude=without)
    print_of = hashlib.sha256(orjson.dumps([body, customer_id, lines], option=orjson.OPT_SORT_KEYS)).digest()
    return Made(invoice, document, print_of, asked.draft)


def _plain(number: Any) -> str:
    """A Decimal in one spelling, so that 1, 1.0 and "1" are the same body."""
    text = format(number.normalize(), "f")
    return text


def _outcome(made: Made | Refusal, stored: dict[str, tuple[Invoice, bytes]], added: set[str]) -> Issued | Refusal:
    if isinstance(made, Refusal):
        return made
    invoice, print_of = stored[made.invoice.number]
    if print_of != made.fingerprint:
        hint = f"; it is a draft: POST /v1/invoices/{invoice.id}/issue issues it" if invoice.state == "draft" else ""
        detail = f"invoice {invoice.number} exists with other content{hint}"
        return Refusal("number-taken", detail, "number", conflict=True, values={"number": invoice.number})
    return Issued(invoice, repeated=invoice.id != made.invoice.id or invoice.id not in added)


async def create_customer(asked: CreateCustomer, work: Work) -> tuple[dict[str, Any], bool]:
    """The customer, and whether it is new. The same external id with another body is refused."""
    customer_id, wanted = new_id(), {**asked.model_dump(), "metadata": asked.metadata or {}}
    if await store.add_customer(work, customer_id, asked):
        customer = {"id": customer_id, **wanted, "created_at": work.now}
        work.emit(messages.customer_changed(customer, 1, work.now))
        return customer, True
    there = (await store.list_customers(work.connection, store.Customers([asked.external_id])))[0]
    if any(there[name] != value for name, value in wanted.items() if name != "external_id"):
        detail = f"customer {asked.external_id} exists with other content"
        detail += f": PATCH /v1/customers/{there['id']} changes it"
        raise Refusal("external-id-taken", detail, "external_id", conflict=True, values={"customer": there["id"]})
    return there, False


async def change_customer(customer_id: str, wanted: Mapping[str, Any], work: Work) -> tuple[dict[str, Any], int] | None:
    """Change some fields of a customer. Returns it with the sequence of its newest event; None if there is none."""
    found = await store.lock_customer(work, customer_id) if is_id(customer_id) else None
    if found is None:
        return None
    before, sequence = found
    customer = before | dict(wanted) | ({"metadata": wanted["metadata"] or {}} if "metadata" in wanted else {})
    if customer == before:
        return found
    await store.change_customer(work, customer, sequence + 1)
    work.emit(messages.customer_changed(customer, sequence + 1, work.now))
    return customer, sequence + 1
