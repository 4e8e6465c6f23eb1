"""Payments over HTTP: parse, authorise, one command or query, render."""

from fastapi import APIRouter

from payments.api import methods, payments, quotes, receipts, webhooks

router = APIRouter()
for part in (methods, quotes, payments, receipts, webhooks):
    router.routes.extend(part.router.routes)
