"""Every SQL statement of payments, one typed function each, by noun."""

from payments.store.attempts import (
    call_again,
    claim_attempts,
    events_known,
    load_cursor,
    payments_overdue,
    payments_to_poll,
    save_cursor,
)
from payments.store.methods import (
    add_method,
    find_provider_customer,
    keep_provider_customer,
    list_methods,
    load_payable,
    load_wished,
)
from payments.store.payments import (
    Answer,
    Chargeable,
    NewPayment,
    add_payments,
    keep_allocations,
    load_chargeable,
    load_payment,
    lock_payment,
    lock_payments,
    save_steps,
)
from payments.store.projections import (
    customer_known,
    keep_customers,
    keep_invoices,
    load_names,
    seen_sequence,
)
from payments.store.quotes import Confirming, add_quotes, load_confirming

__all__ = [
    "Answer",
    "Chargeable",
    "Confirming",
    "NewPayment",
    "add_method",
    "add_payments",
    "add_quotes",
    "call_again",
    "claim_attempts",
    "customer_known",
    "events_known",
    "find_provider_customer",
    "keep_allocations",
    "keep_customers",
    "keep_invoices",
    "keep_provider_customer",
    "list_methods",
    "load_chargeable",
    "load_confirming",
    "load_cursor",
    "load_names",
    "load_payable",
    "load_payment",
    "load_wished",
    "lock_payment",
    "lock_payments",
    "payments_overdue",
    "payments_to_poll",
    "save_cursor",
    "save_steps",
    "seen_sequence",
]
