"""The rules of invoices, by noun. Values in, values out."""

from invoicing.domain.book import MOST_PARTS, Book, Fact
from invoicing.domain.credits import Credit
from invoicing.domain.disputes import CreditNote, Dispute, disputed
from invoicing.domain.disputing import accept, credit_accepted, end_hold, raise_dispute
from invoicing.domain.invoices import Change, Invoice
from invoicing.domain.prices import line_totals, price
from invoicing.domain.reservations import Reservation
from invoicing.domain.settlements import Applied, Booked, Settlement, TakenBack

__all__ = [
    "MOST_PARTS",
    "Applied",
    "Book",
    "Booked",
    "Change",
    "Credit",
    "CreditNote",
    "Dispute",
    "Fact",
    "Invoice",
    "Reservation",
    "Settlement",
    "TakenBack",
    "accept",
    "credit_accepted",
    "disputed",
    "end_hold",
    "line_totals",
    "price",
    "raise_dispute",
]
