"""Payments over HTTP: parse, authorise, one command or query, render."""

from fastapi import APIRouter

from payments.api import (
    autopay,
    bank_statements,
    decisions,
    exceptions,
    history,
    methods,
    payments,
    quotes,
    receipts,
    refunds,
    reports,
    surcharges,
    timeline,
    webhooks,
)

router = APIRouter()
# …/offline before …/{payment_id}
PAYING = (methods, autopay, quotes, receipts, payments, history, timeline, refunds, surcharges)
RECONCILING = (bank_statements, exceptions, decisions, reports, webhooks)
for part in (*PAYING, *RECONCILING):
    router.routes.extend(part.router.routes)
