"""What the book does about disputes: it holds, ends the hold, and issues credit notes. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

from contracts.crediting import Crediting, share_credit
from contracts.ids import new_id
from invoicing.domain.book import Book
from invoicing.domain.credits import Credit
from invoicing.domain.disputes import UNDECIDED, CreditNote, Dispute
from invoicing.domain.invoices import Invoice


def raise_dispute(book: Book, dispute: Dispute, today: date) -> None:
    """Hold what is disputed. A dispute that is known already changes nothing."""
    if dispute.id not in book.disputes:
        _keep(book, dispute, today, "held")


def end_hold(
    book: Book, dispute_id: str, outcome: Literal["rejected", "withdrawn"], today: date, held_until: date | None = None
) -> None:
    """All is owed. `held_until`: reminders and autopay wait until then. A decided dispute stays as it is."""
    dispute = book.disputes[dispute_id]
    if dispute.state == "open":
        _keep(book, replace(dispute, state=outcome, held_until=held_until), today, "hold_ended")


def accept(book: Book, dispute_id: str, today: date) -> None:
    """Issue the credit note of a dispute, or wait for money under way. A decided dispute stays as it is."""
    dispute = book.disputes[dispute_id]
    if dispute.state == "open":
        book.disputes[dispute_id] = replace(dispute, state="waits")
        book.disputes_touched.add(dispute_id)
        credit_accepted(book, today)


def credit_accepted(book: Book, today: date) -> None:
    """Issue the credit notes of accepted disputes, the oldest first, as far as no money under way may pay them."""
    for dispute in sorted(book.disputes.values(), key=lambda one: one.id):
        if dispute.state == "waits" and (invoice := book.invoices.get(dispute.invoice_id)) is not None:
            _credit(book, dispute, invoice, today)


def _credit(book: Book, dispute: Dispute, invoice: Invoice, today: date) -> None:
    amount = creditable(invoice, dispute, book.noted.get(invoice.id, 0))
    share = crediting(invoice, amount)
    if share.waits:
        return
    _keep(book, replace(dispute, state="accepted"), today, None, uncredited=not amount)
    if not amount:
        return
    note = CreditNote(
        new_id(), invoice.customer_id, book.next_number(), invoice.id, dispute.id, invoice.currency, amount,
        share.applied, today,
    )  # fmt: skip
    book.notes.append(note)
    book.noted[invoice.id] = book.noted.get(invoice.id, 0) + amount
    if share.applied:
        book.credit_invoice(book.invoices[invoice.id], share.applied, today, note.id)
    book.give_credit(
        Credit(note.id, note.customer_id, note.id, note.currency, share.credit, share.credit, 0, note=note), today
    )


def _keep(
    book: Book, dispute: Dispute, today: date, what: Literal["held", "hold_ended"] | None, *, uncredited: bool = False
) -> None:
    book.disputes[dispute.id] = dispute
    book.disputes_touched.add(dispute.id)
    theirs = [one for one in book.disputes.values() if one.invoice_id == dispute.invoice_id]
    invoice = with_holds(book.invoices[dispute.invoice_id], theirs, today)
    book.restate(invoice, dispute if what else None, (dispute.id,) if uncredited else ())


def with_holds(invoice: Invoice, disputes: Sequence[Dispute], today: date) -> Invoice:
    """The invoice with what its disputes hold today."""
    resting = [one for one in disputes if one.held_until is not None and one.held_until >= today]
    return replace(
        invoice,
        in_dispute=sum(one.amount for one in disputes if one.state in UNDECIDED),
        resting=sum(one.amount for one in resting),
        held_until=max((one.held_until for one in resting if one.held_until), default=None),
    )


def creditable(invoice: Invoice, dispute: Dispute, noted: int) -> int:
    """What of a dispute can be credited: no more than was invoiced, less the credit notes that the invoice has.

    Nothing of a void invoice, of which nothing was ever paid.
    """
    return 0 if invoice.state == "void" else min(dispute.amount, invoice.total - noted)


def crediting(invoice: Invoice, amount: int) -> Crediting:
    return share_credit(amount, payable_now=invoice.payable_now, pending=invoice.pending)
