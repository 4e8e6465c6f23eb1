"""The part of Stripe's API about money that goes back, and the books of the balance."""

from typing import Any

from sandbox import forms, render_money
from sandbox.api import Endpoint, Route, charged, paid
from sandbox.errors import ApiError, invalid, missing
from sandbox.forms import Params
from sandbox.lists import LISTED, created_of, page
from sandbox.records import Dispute, Payment, Refund
from sandbox.refunds import REASONS, Refunds
from sandbox.store import Store

Json = dict[str, Any]


class MoneyApi:
    def __init__(self, store: Store, refunds: Refunds) -> None:
        self._store = store
        self._refunds = refunds
        self.endpoints: dict[Route, Endpoint] = {
            ("POST", "refunds", False, ""): self.create_refund,
            ("GET", "refunds", False, ""): self.list_refunds,
            ("GET", "refunds", True, ""): self.retrieve_refund,
            ("GET", "disputes", False, ""): self.list_disputes,
            ("GET", "disputes", True, ""): self.retrieve_dispute,
            ("GET", "balance_transactions", False, ""): self.list_transactions,
            ("GET", "balance_transactions", True, ""): self.retrieve_transaction,
        }

    # refunds

    def create_refund(self, params: Params, _: str) -> Json:
        forms.only(params, "payment_intent", "charge", "amount", "metadata", "reason")
        payment, reason = self._named(params), forms.text(params, "reason")
        if payment is None:
            message = "One of the following params should be provided for this request: payment_intent or charge."
            raise ApiError(400, message, code="parameter_missing")
        if reason is not None and reason not in REASONS:
            raise invalid(f"Invalid reason: must be one of {', '.join(REASONS)}", "reason")
        amount = forms.integer(params, "amount")
        return render_money.refund(self._refunds.create(payment, amount, reason, forms.mapping(params, "metadata")))

    def retrieve_refund(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        record = self._store.kept(Refund, identifier)
        if record is None:
            raise missing("refund", identifier)
        return render_money.refund(record)

    def list_refunds(self, params: Params, _: str) -> Json:
        forms.only(params, "payment_intent", "charge", *LISTED)
        found = self._store.all_kept(Refund, self._parent(params), created_of(params), _start(params))
        return page("/v1/refunds", params, (render_money.refund(record) for record in found))

    # disputes

    def retrieve_dispute(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        record = self._store.kept(Dispute, identifier)
        if record is None:
            raise missing("dispute", identifier)
        return render_money.dispute(record)

    def list_disputes(self, params: Params, _: str) -> Json:
        forms.only(params, "payment_intent", "charge", *LISTED)
        found = self._store.all_kept(Dispute, self._parent(params), created_of(params), _start(params))
        return page("/v1/disputes", params, (render_money.dispute(record) for record in found))

    # balance transactions

    def retrieve_transaction(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        record = self._store.transaction(identifier)
        if record is None:
            raise missing("balance transaction", identifier)
        return render_money.transaction(record)

    def list_transactions(self, params: Params, _: str) -> Json:
        forms.only(params, "source", *LISTED)
        found = self._store.transactions(
            payout=None, source=forms.text(params, "source"), created=created_of(params), start=_start(params)
        )
        return page("/v1/balance_transactions", params, (render_money.transaction(record) for record in found))

    def _named(self, params: Params) -> Payment | None:
        intent, charge = forms.text(params, "payment_intent"), forms.text(params, "charge")
        if charge is not None:
            return charged(self._store, charge, "charge")
        return paid(self._store, intent) if intent is not None else None

    def _parent(self, params: Params) -> str | None:
        payment = self._named(params)
        return payment.id if payment else None


def _start(params: Params) -> str | None:
    return forms.text(params, "starting_after")
