"""The events that support hears, and the context that handles each."""

from __future__ import annotations

from chassis.messaging.handlers import Handlers
from contracts import auth, invoicing, payments
from contracts.envelope import type_registry
from support.projections.handlers import (
    forget_customers,
    forget_people,
    keep_credit_notes,
    keep_customers,
    keep_invoices,
    keep_people,
)
from support.tickets.handlers import keep_payments

handlers = Handlers("support", gathers_ms=500)  # a request may wait for it, two seconds at most
INVOICES = tuple(one for one in type_registry.values() if issubclass(one, invoicing.InvoiceState))
PAYMENTS = tuple(one for one in type_registry.values() if issubclass(one, payments.PaymentState))

handlers.on_many(auth.ContactChanged, auth.StaffChanged)(keep_people)
handlers.on_many(auth.ContactErased)(forget_people)
handlers.on_many(invoicing.CustomerChanged)(keep_customers)
handlers.on_many(invoicing.CustomerErased)(forget_customers)
handlers.on_many(*INVOICES)(keep_invoices)
handlers.on_many(invoicing.CreditNoteIssued)(keep_credit_notes)
handlers.on_many(*PAYMENTS)(keep_payments)
