"""Invoicing over HTTP: parse, authorise, one command or query, render."""

from fastapi import APIRouter

from chassis.http.bodies import StrictRoute
from invoicing.api import customers, invoices, lists

router = APIRouter(route_class=StrictRoute)
for part in (customers, lists, invoices):  # /v1/invoices/counts stands before /v1/invoices/{invoice_id}
    router.routes.extend(part.router.routes)
