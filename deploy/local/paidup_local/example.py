"""Something to look at in a browser: one customer with invoices in each state, and people who can sign in."""

import datetime as dt
from typing import Any
from urllib.parse import quote

from paidup_local import http

CONTACT = "ana@harbour.example"
STAFF = {"max@company.example": "account_manager", "ann@company.example": "administrator"}
# Number, minor units of USD, days until it is due, and how much of it has come already.
INVOICES = (
    (1, 146_000, -75, 50_000), (2, 412_875, -40, 0), (3, 109_435, -16, 109_435), (4, 98_000, 3, 0),
    (5, 1_532_085, 25, 0),
)  # fmt: skip


def make(url: str, key: str, today: dt.date, inbox: str) -> str:
    """Add them where they are not there yet; return where to sign in, and as whom."""
    customer = _customer(url, key)
    for number, minor, due_in, came in INVOICES:
        _invoice(url, key, customer, f"TRY-{today:%y%m%d}-{number}", minor, today + dt.timedelta(days=due_in), came)
    found: Any = http.call("GET", f"{url}/v1/staff?limit=100", key=key)
    known = {one["email"] for one in found["items"]}
    for email, role in STAFF.items():
        if email not in known:
            name = email.partition("@")[0].title()
            http.call("POST", f"{url}/v1/staff", key=key, body={"email": email, "name": name, "role": role})
    return f"""Open {url} and type one of these addresses:
  {CONTACT:<20} a contact of the customer Harbour & Sons: invoices, payments, methods
  max@company.example  an account manager: the desk
  ann@company.example  an administrator: the desk with staff, API keys and settings
The code is in the inbox at {inbox}."""


def _customer(url: str, key: str) -> str:
    name = "Harbour & Sons"
    found: Any = http.call("GET", f"{url}/v1/customers?limit=100&q={quote(name)}", key=key)
    mine = [one["id"] for one in found["items"] if one.get("external_id") == "TRY"]
    if mine:
        return str(mine[0])
    body = {"external_id": "TRY", "name": name, "email": CONTACT, "account_manager": "max@company.example"}
    made: Any = http.call("POST", f"{url}/v1/customers", key=key, body=body)
    return str(made["id"])


def _invoice(url: str, key: str, customer: str, number: str, minor: int, due_on: dt.date, came: int) -> None:
    line = {"description": "Refrigeration service", "quantity": 1, "unit_price_minor": minor}
    invoice = {
        "customer_id": customer, "number": number, "currency": "USD", "due_on": str(due_on),
        "issued_on": str(due_on - dt.timedelta(days=30)), "po_number": f"PO 77-{number[-1]}", "lines": [line],
    }  # fmt: skip
    made: Any = http.call("POST", f"{url}/v1/invoices", key=key, body=invoice)
    if came:
        money = {
            "customer_id": customer, "amount_minor": came, "currency": "USD", "reference": "cheque 1042",
            "received_on": str(due_on - dt.timedelta(days=2)), "invoices": [{"invoice_id": made["id"]}],
        }  # fmt: skip
        http.call("POST", f"{url}/v1/payments/offline", key=key, body=money, once=f"try-{number}")
