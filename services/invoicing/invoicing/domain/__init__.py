"""The rules of invoices, by noun. Values in, values out."""

from invoicing.domain.book import MOST_PARTS, Book, Fact
from invoicing.domain.credits import Credit
from invoicing.domain.invoices import Change, Invoice
from invoicing.domain.prices import price
from invoicing.domain.reservations import Reservation
from invoicing.domain.settlements import Applied, Booked, Settlement, TakenBack

__all__ = [
    "MOST_PARTS",
    "Applied",
    "Book",
    "Booked",
    "Change",
    "Credit",
    "Fact",
    "Invoice",
    "Reservation",
    "Settlement",
    "TakenBack",
    "price",
]
