"""Every SQL statement of invoicing, one typed function each, by noun."""

from invoicing.store.aging import load_aging
from invoicing.store.book import load_book, load_booked, save_book
from invoicing.store.customers import add_customer, find_customers, load_customer, lock_customers, resolve_customers
from invoicing.store.history import add_heard, load_history
from invoicing.store.invoices import (
    Document,
    Page,
    add_invoices,
    find_numbers,
    invoice_of,
    list_invoices,
    load_invoice,
)

__all__ = [
    "Document",
    "Page",
    "add_customer",
    "add_heard",
    "add_invoices",
    "find_customers",
    "find_numbers",
    "invoice_of",
    "list_invoices",
    "load_aging",
    "load_book",
    "load_booked",
    "load_customer",
    "load_history",
    "load_invoice",
    "lock_customers",
    "resolve_customers",
    "save_book",
]
