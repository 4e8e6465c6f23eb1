"""Invoicing over HTTP: parse, authorise, one command or query, render."""

from fastapi import APIRouter

from chassis.http import set_aside
from chassis.http.bodies import StrictRoute
from invoicing.api import customers, invoices, lists

router = APIRouter(route_class=StrictRoute)
router.routes.extend(set_aside.router_of("invoicing").routes)
for part in (customers, lists, invoices):  # /v1/invoices/counts stands before /v1/invoices/{invoice_id}
    router.routes.extend(part.router.routes)
