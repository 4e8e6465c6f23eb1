"""Payments over HTTP: parse, authorise, one command or query, render."""

from fastapi import APIRouter

from payments.api import history, methods, payments, quotes, receipts, refunds, webhooks

router = APIRouter()
for part in (
    methods,
    quotes,
    receipts,
    payments,
    history,
    refunds,
    webhooks,
):  # /v1/payments/offline before /v1/payments/{payment_id}
    router.routes.extend(part.router.routes)
