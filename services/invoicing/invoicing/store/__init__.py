"""Every SQL statement of invoicing, one typed function each, by noun."""

from invoicing.store.activity import load_activity
from invoicing.store.aging import load_aging
from invoicing.store.book import load_book, load_booked, save_book
from invoicing.store.credit_notes import list_credit_notes
from invoicing.store.customers import (
    Customers,
    add_customer,
    change_customer,
    list_customers,
    load_customer,
    lock_customer,
    lock_customers,
    resolve_customers,
)
from invoicing.store.history import add_heard, load_history
from invoicing.store.invoices import (
    Document,
    add_invoices,
    change_draft,
    change_metadata,
    delete_draft,
    find_numbers,
    invoice_of,
    load_documents,
    load_invoice,
    totals_of_lines,
)
from invoicing.store.lists import Filter, Page, count_invoices, list_invoices
from invoicing.store.summary import load_balances, load_summary

__all__ = [
    "Customers",
    "Document",
    "Filter",
    "Page",
    "add_customer",
    "add_heard",
    "add_invoices",
    "change_customer",
    "change_draft",
    "change_metadata",
    "count_invoices",
    "delete_draft",
    "find_numbers",
    "invoice_of",
    "list_credit_notes",
    "list_customers",
    "list_invoices",
    "load_activity",
    "load_aging",
    "load_balances",
    "load_book",
    "load_booked",
    "load_customer",
    "load_documents",
    "load_history",
    "load_invoice",
    "load_summary",
    "lock_customer",
    "lock_customers",
    "resolve_customers",
    "save_book",
    "totals_of_lines",
]
