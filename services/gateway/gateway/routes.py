"""Which service owns which part of the public API."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chassis.http.limits import Limits, Templates
from contracts.services import SERVICES


@dataclass(frozen=True, slots=True)
class Route:
    """Everything at and below `path`; the longest one that fits wins. `keyless`: the owner checks the caller itself."""

    path: str
    owner: str
    keyless: bool = False


ROUTES = tuple(Route(each.path, service.name, each.keyless) for service in SERVICES for each in service.paths)
OWNERS = tuple(service.name for service in SERVICES if service.paths)
WAITING = tuple(service.name for service in SERVICES if service.waits)
# Bodies that may be larger than others, and answers that may be large: they pass through as they come.
LIMITS = Limits({request: most for service in SERVICES for request, most in service.larger.items()})
DOWNLOADS = Templates(request for service in SERVICES for request in service.downloads)
PASSED = tuple(service.name for service in SERVICES if service.larger or service.downloads)
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


VISIT = re.compile(rb"/as/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(/v1/.*)", re.DOTALL)


def visit_of(raw_path: bytes) -> tuple[str, bytes] | None:
    """The grant of a visit's path, and the path without it.

    >>> visit_of(b"/as/018f0000-0000-7000-8000-000000000001/v1/invoices")
    ('018f0000-0000-7000-8000-000000000001', b'/v1/invoices')
    """
    found = VISIT.fullmatch(raw_path)
    return (found[1].decode(), found[2]) if found else None


def _fits(template: str, part: str) -> bool:
    return template == part or (template.startswith("{") and part != "")
