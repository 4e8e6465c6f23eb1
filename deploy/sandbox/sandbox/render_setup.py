"""Sessions of the hosted page and their setup intents, as Stripe's JSON objects."""

from typing import Any

from sandbox.records import Session, Setup

Json = dict[str, Any]


def session(record: Session, url: str) -> Json:
    return {
        "id": record.id,
        "object": "checkout.session",
        "amount_subtotal": None,
        "amount_total": None,
        "cancel_url": record.cancel_url,
        "client_reference_id": None,
        "consent": None,
        "created": record.created,
        "currency": None,
        "customer": record.customer,
        "customer_details": None,
        "customer_email": None,
        "expires_at": record.expires,
        "livemode": False,
        "locale": None,
        "metadata": record.metadata,
        "mode": "setup",
        "payment_intent": None,
        "payment_method_types": record.types,
        "payment_status": "no_payment_required",
        "setup_intent": record.setup,
        "status": record.status,
        "success_url": record.success_url,
        "ui_mode": "hosted",
        "url": url if record.status == "open" else None,
    }


def setup(record: Setup, public_url: str) -> Json:
    return {
        "id": record.id,
        "object": "setup_intent",
        "application": None,
        "cancellation_reason": None,
        "client_secret": f"{record.id}_secret_{record.id[-12:]}",
        "created": record.created,
        "customer": record.customer,
        "description": None,
        "last_setup_error": _error(record.error) if record.error else None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": record.metadata,
        "next_action": _next_action(record, public_url),
        "payment_method": record.method,
        "payment_method_types": record.types,
        "single_use_mandate": None,
        "status": record.status,
        "usage": "off_session",
    }


def _next_action(record: Setup, public_url: str) -> Json | None:
    if record.action is not None:
        redirect = {"url": record.action, "return_url": f"{public_url}/setup/{record.session}"}
        return {"type": "redirect_to_url", "redirect_to_url": redirect}
    if record.arrives is not None:
        deposits = {
            "arrival_date": record.arrives,
            "hosted_verification_url": f"{public_url}/deposits/{record.id}",
            "microdeposit_type": "amounts",
        }
        return {"type": "verify_with_microdeposits", "verify_with_microdeposits": deposits}
    return None


def _error(code: str) -> Json:
    return {"type": "invalid_request_error", "code": code, "message": f"The payment method was not set up: {code}."}
