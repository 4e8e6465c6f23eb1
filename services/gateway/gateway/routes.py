"""Which service owns which part of the public API."""

from __future__ import annotations

from dataclasses import dataclass

from chassis.http.limits import Limits, Templates
from contracts.auth import Audience


@dataclass(frozen=True, slots=True)
class Route:
    """Everything at and below `path`; the longest one that fits wins. `keyless`: the owner checks the caller itself."""

    path: str
    owner: Audience
    keyless: bool = False


ROUTES = (
    Route("/v1/api-keys", "auth"),
    Route("/v1/customers", "invoicing"),
    Route("/v1/invoices", "invoicing"),
    Route("/v1/customers/{customer_id}/payment-methods", "payments"),
    Route("/v1/customers/{customer_id}/autopay", "payments"),
    Route("/v1/quotes", "payments"),
    Route("/v1/surcharge-rules", "payments"),
    Route("/v1/payments", "payments"),
    Route("/v1/bank-statements", "payments"),
    Route("/v1/reconciliation", "payments"),
    Route("/v1/reports", "payments"),
    Route("/v1/webhooks/{provider}", "payments", keyless=True),
)
# Bodies that may be larger than others: they pass through as they come.
LIMITS = Limits({"POST /v1/bank-statements": 268_435_456})
# Answers that may be large: they pass through as they come.
DOWNLOADS = Templates(())
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

_by_collection: dict[str, list[tuple[list[str], Route]]] = {}
for _route in sorted(ROUTES, key=lambda route: -len(route.path)):
    _parts = _route.path.split("/")
    _by_collection.setdefault(_parts[2], []).append((_parts, _route))


def find_route(path: str) -> Route | None:
    """
    >>> find_route("/v1/customers/7/payment-methods").owner, find_route("/v1/customers/7/aging").owner
    ('payments', 'invoicing')
    """
    parts = path.split("/")
    if len(parts) < 3 or parts[1] != "v1":
        return None
    for template, route in _by_collection.get(parts[2], ()):
        if len(parts) >= len(template) and all(map(_fits, template[3:], parts[3:])):
            return route
    return None


def _fits(template: str, part: str) -> bool:
    return template == part or (template.startswith("{") and part != "")
