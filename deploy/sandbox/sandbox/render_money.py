"""Money that goes back, and the books of the balance, as Stripe's JSON objects."""

from typing import Any

from sandbox.records import Dispute, Payout, Refund, Transaction

Json = dict[str, Any]


def transaction(record: Transaction) -> Json:
    fee = {
        "application": None,
        "currency": record.currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    return {
        "id": record.id,
        "object": "balance_transaction",
        "amount": record.amount,
        "available_on": record.available,
        "created": record.created,
        "currency": record.currency,
        "description": record.description,
        "exchange_rate": None,
        "fee": record.fee,
        "fee_details": [{"amount": record.fee, **fee}] if record.fee else [],
        "net": record.net,
        "reporting_category": record.category,
        "source": record.source,
        "status": "available" if record.payout or record.available <= record.created else "pending",
        "type": record.kind,
    }


def refund(record: Refund) -> Json:
    return {
        "id": record.id,
        "object": "refund",
        "amount": record.amount,
        "balance_transaction": record.transaction,
        "charge": record.charge,
        "created": record.created,
        "currency": record.currency,
        "description": None,
        "destination_details": None,
        **({"failure_balance_transaction": record.failure_transaction} if record.failure else {}),
        **({"failure_reason": record.failure} if record.failure else {}),
        "metadata": record.metadata,
        "payment_intent": record.payment,
        "pending_reason": "processing" if record.status == "pending" else None,
        "reason": record.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": record.status,
        "transfer_reversal": None,
    }


def dispute(record: Dispute) -> Json:
    return {
        "id": record.id,
        "object": "dispute",
        "amount": record.amount,
        "balance_transactions": [transaction(Transaction(**each)) for each in record.transactions],
        "charge": record.charge,
        "created": record.created,
        "currency": record.currency,
        "evidence_details": {"due_by": None, "has_evidence": False, "past_due": False, "submission_count": 0},
        "is_charge_refundable": record.status == "won",
        "livemode": False,
        "metadata": {},
        "network_reason_code": record.code,
        "payment_intent": record.payment,
        "payment_method_details": {"type": record.kind},
        "reason": record.reason,
        "status": record.status,
    }


def payout(record: Payout) -> Json:
    return {
        "id": record.id,
        "object": "payout",
        "amount": record.amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": record.arrival,
        "automatic": True,
        "balance_transaction": record.transaction,
        "created": record.created,
        "currency": record.currency,
        "description": "STRIPE PAYOUT",
        "destination": "ba_sandbox",
        "failure_balance_transaction": record.failure_transaction,
        "failure_code": record.failure,
        "failure_message": f"The bank refused the payout: {record.failure}." if record.failure else None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "completed",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": record.status,
        "trace_id": {"status": "supported", "value": record.trace},
        "type": "bank_account",
    }
