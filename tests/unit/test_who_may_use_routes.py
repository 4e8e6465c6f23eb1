"""Who may use each route of the services that customers deal with, said here once more."""

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from chassis.http.identity import Guard
from invoicing.__main__ import service as invoicing
from notify.__main__ import service as notify
from payments.__main__ import service as payments
from support.__main__ import service as support

METHODS = "/v1/customers/{customer_id}/payment-methods"
EVERYBODY = {
    "GET /v1/customers",
    "GET /v1/customers/{customer_id}",
    "GET /v1/customers/{customer_id}/aging",
    "GET /v1/customers/{customer_id}/activity",
    "GET /v1/customers/{customer_id}/credit-notes",
    "GET /v1/customers/{customer_id}/summary",
    "GET /v1/customers/{customer_id}/attention",
    "GET /v1/invoices",
    "GET /v1/invoices/counts",
    "GET /v1/invoices/{invoice_id}",
    "GET /v1/invoices/{invoice_id}/timeline",
    "GET /v1/payments",
    "GET /v1/payments/{payment_id}",
    "GET /v1/payments/{payment_id}/timeline",
    "GET /v1/quotes/{quote_id}",
    "GET /v1/tickets",
    "GET /v1/tickets/{ticket_id}",
    "GET /v1/disputes",
    "GET /v1/disputes/categories",
    "GET /v1/disputes/{dispute_id}",
    "GET /v1/files/{file_id}",
}
# Who looks at a customer's portal writes this for the customer, and nothing else.
FOR_CUSTOMERS = {
    "POST /v1/tickets",
    "POST /v1/tickets/{ticket_id}/replies",
    "POST /v1/invoices/{invoice_id}/questions",
    "POST /v1/files",
}
CONTACTS = {
    "POST /v1/quotes",
    "POST /v1/quotes/options",
    "POST /v1/payments",
    "POST /v1/payments/{payment_id}/cancel",
    "GET /v1/payments/{payment_id}/consent",
    f"GET {METHODS}",
    f"POST {METHODS}",
    f"POST {METHODS}/setup",
    f"GET {METHODS}/setup/{{setup_id}}",
    f"PATCH {METHODS}/{{method_id}}",
    f"DELETE {METHODS}/{{method_id}}",
    f"POST {METHODS}/{{method_id}}/verify",
    "GET /v1/customers/{customer_id}/autopay",
    "PUT /v1/customers/{customer_id}/autopay",
    "GET /v1/mail-preferences",
    "PUT /v1/mail-preferences",
    "POST /v1/tickets/{ticket_id}/solve",
    "POST /v1/tickets/{ticket_id}/close",
    "POST /v1/tickets/{ticket_id}/reopen",
    "POST /v1/invoices/{invoice_id}/disputes",
    "POST /v1/disputes/{dispute_id}/withdraw",
}
PROGRAMS = {"GET /v1/surcharge-rules", "GET /v1/mails", "POST /v1/mails/{mail_id}/resend"}
KEYLESS = {
    "POST /v1/webhooks/stripe",
    "GET /v1/unsubscribe/{token}",
    "POST /v1/unsubscribe/{token}",
    "GET /v1/files/{file_id}/content",
}

ROUTES = [
    (f"{method} {route.path}", route)
    for service in (invoicing, notify, payments, support)
    for route in (service.router.routes if service.router else ())
    if isinstance(route, APIRoute)
    for method in sorted(route.methods)
]


def guards(dependant: Dependant) -> Iterator[Guard]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Guard):
            yield inner.call
        yield from guards(inner)


@pytest.mark.parametrize(("name", "route"), ROUTES, ids=[name for name, _ in ROUTES])
def test_route_is_for_these_callers(name: str, route: APIRoute) -> None:
    """A route that is not named above is the company's alone."""
    found = [guard.by for guard in guards(route.dependant)]
    if name in KEYLESS:
        assert found == []
        return
    sets = {"everybody": EVERYBODY | FOR_CUSTOMERS, "contacts": CONTACTS, "programs": PROGRAMS}
    assert found == [next((by for by, names in sets.items() if name in names), "company")]


def test_every_named_route_is_there() -> None:
    assert {name for name, _ in ROUTES} >= EVERYBODY | FOR_CUSTOMERS | CONTACTS | PROGRAMS | KEYLESS


def test_who_only_looks_changes_nothing() -> None:
    assert all(name.startswith("GET ") for name in EVERYBODY)
