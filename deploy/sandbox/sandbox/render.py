"""Records as Stripe's JSON objects. The answers hold the fields that Stripe documents and the sandbox can fill."""

from collections.abc import Collection
from typing import Any

from sandbox import render_money
from sandbox.catalogue import TEST_METHODS
from sandbox.records import Customer, Method, Payment, charge_transaction

Json = dict[str, Any]

API_VERSION = "2026-10-28.endive"
DECLINE_MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
}


def customer(record: Customer) -> Json:
    return {
        "id": record.id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": record.created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": record.description,
        "discount": None,
        "email": record.email,
        "invoice_prefix": record.id[-8:].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None},
        "livemode": False,
        "metadata": record.metadata,
        "name": record.name,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def method(record: Method) -> Json:
    kind = TEST_METHODS[record.token].kind
    return {
        "id": record.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing(record),
        kind: _details(record),
        "created": record.created,
        "customer": record.customer,
        "livemode": False,
        "metadata": record.metadata,
        "type": kind,
    }


def billing(record: Method) -> Json:
    return {"address": None, "email": None, "name": None, "phone": None, "tax_id": None, **record.billing}


def _details(record: Method) -> Json:
    test = TEST_METHODS[record.token]
    if test.kind == "us_bank_account":
        return {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "STRIPE TEST BANK",
            "fingerprint": f"bank{test.last4}",
            "last4": test.last4,
            "routing_number": "110000000",
        }
    return {
        "brand": test.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "unchecked"},
        "country": "US",
        "display_brand": test.brand,
        "exp_month": record.expires[1],
        "exp_year": record.expires[0],
        "fingerprint": f"card{test.last4}",
        "funding": test.funding,
        "last4": test.last4,
        "wallet": None,
    }


def intent(record: Payment, paid_with: Method, expand: Collection[str] = ()) -> Json:
    """An intent; `latest_charge` and `latest_charge.balance_transaction` can be expanded."""
    succeeded = record.status == "succeeded"
    whole = [name for name in expand if name.startswith("latest_charge")]
    return {
        "id": record.id,
        "object": "payment_intent",
        "amount": record.amount,
        "amount_capturable": 0,
        "amount_received": record.amount if succeeded else 0,
        "application": None,
        "automatic_payment_methods": None,
        "canceled_at": record.cancelled,
        "cancellation_reason": record.cancel_reason,
        "capture_method": "automatic_async",
        "client_secret": f"{record.id}_secret_{record.id[-12:]}",
        "confirmation_method": "automatic",
        "created": record.created,
        "currency": record.currency,
        "customer": record.customer,
        "description": record.description,
        "last_payment_error": payment_error(record, paid_with) if record.failure else None,
        "latest_charge": charge(record, paid_with, whole) if whole and record.tries else record.charge_id,
        "livemode": False,
        "metadata": record.metadata,
        "next_action": _next_action(record),
        "payment_method": None if record.failure else record.method,
        "payment_method_types": record.types,
        "processing": None,
        "receipt_email": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "status": record.status,
        "transfer_data": None,
    }


def _next_action(record: Payment) -> Json | None:
    """Without an address to come back to, Stripe leaves the way there to its script."""
    if record.status != "requires_action":
        return None
    if record.return_url is None:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    redirect = {"url": record.action_url, "return_url": record.return_url}
    return {"type": "redirect_to_url", "redirect_to_url": redirect}


def payment_error(record: Payment, paid_with: Method) -> Json:
    card = record.kind == "card"
    error = {
        "type": "card_error" if card else "invalid_request_error",
        "code": record.failure,
        "charge": record.charge_id,
        "message": failure_message(record),
        "payment_method": method(paid_with),
    }
    return {**error, "decline_code": record.decline} if record.decline else error


def failure_message(record: Payment) -> str:
    if record.failure == "payment_intent_authentication_failure":
        return "We could not authenticate your payment method. Choose another one and try again."
    if record.kind == "card":
        return DECLINE_MESSAGES.get(record.decline or "", "Your card was declined.")
    return f"The customer's bank refused the debit: {record.failure}."


def charge(record: Payment, paid_with: Method, expand: Collection[str] = ()) -> Json:
    whole = any(name.endswith("balance_transaction") for name in expand)
    succeeded = record.charge_status == "succeeded"
    return {
        "id": record.charge_id,
        "object": "charge",
        "amount": record.amount,
        "amount_captured": record.amount if succeeded else 0,
        "amount_refunded": record.refunded,
        "application": None,
        "balance_transaction": _booked(record, whole=whole),
        "billing_details": billing(paid_with),
        "captured": succeeded,
        "created": record.charged,
        "currency": record.currency,
        "customer": record.customer,
        "description": record.description,
        "disputed": record.disputed,
        "failure_code": record.failure,
        "failure_message": failure_message(record) if record.failure else None,
        "livemode": False,
        "metadata": record.metadata,
        "outcome": None,
        "paid": record.charge_status != "failed",
        "payment_intent": record.id,
        "payment_method": record.method,
        "payment_method_details": {record.kind: _details(paid_with), "type": record.kind},
        "receipt_email": None,
        "refunded": record.refunded == record.amount,
        "status": record.charge_status,
    }


def _booked(record: Payment, *, whole: bool) -> Json | str | None:
    if whole and record.cleared is not None:
        return render_money.transaction(charge_transaction(record))
    return record.transaction_id


def page(url: str, items: list[Json], more: bool) -> Json:
    return {"object": "list", "data": items, "has_more": more, "url": url}
