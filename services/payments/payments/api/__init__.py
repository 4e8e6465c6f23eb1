"""Payments over HTTP: parse, authorise, one command or query, render."""

from fastapi import APIRouter

from payments.api import (
    bank_statements,
    exceptions,
    history,
    methods,
    payments,
    quotes,
    receipts,
    refunds,
    reports,
    webhooks,
)

router = APIRouter()
PARTS = (methods, quotes, receipts, payments, history, refunds, bank_statements, exceptions, reports, webhooks)
for part in PARTS:  # /v1/payments/offline before /v1/payments/{payment_id}
    router.routes.extend(part.router.routes)
