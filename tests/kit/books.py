"""What a book holds of a payment, as the store reads it."""

from __future__ import annotations

from invoicing.domain import Book, Booked


def booked_of(book: Book, payment_id: str) -> Booked:
    """All that was booked for a settlement."""
    entries = [each for each in book.entries if each.payment_id == payment_id]
    credit = [(minor, day) for credit, minor, day in book.credit_entries if credit.payment_id == payment_id]
    return Booked(tuple((each.invoice.id, -each.amount, each.effective_on) for each in entries), tuple(credit))
