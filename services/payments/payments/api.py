"""Payments over HTTP: the routes of all contexts."""

from fastapi import APIRouter

from chassis.http import set_aside
from payments.attention import api as attention
from payments.autopay import api as autopay
from payments.collecting.api import (
    lists,
    options,
    payments,
    quotes,
    receipts,
    refunds,
    surcharges,
    timeline,
    webhooks,
)
from payments.exceptions import api as exceptions
from payments.methods import api as methods
from payments.receiving.api import bank_statements, decisions, reports

router = APIRouter()
router.routes.extend(set_aside.router_of("payments").routes)
# Fixed paths before those with an id: …/offline, …/options
PAYING = (methods, autopay, attention, options, quotes, receipts, payments, lists, timeline, refunds, surcharges)
RECONCILING = (bank_statements, exceptions, decisions, reports, webhooks)
for part in (*PAYING, *RECONCILING):
    router.routes.extend(part.router.routes)
