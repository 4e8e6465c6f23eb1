"""The part of Stripe's API about money that goes back, and the books of the balance."""

from collections.abc import Callable
from typing import Any

from sandbox import forms, render, render_money
from sandbox.api import Endpoint, Route, charged, paid
from sandbox.errors import ApiError, invalid, missing
from sandbox.forms import Params
from sandbox.lists import LISTED, created_of, expand_of, page
from sandbox.records import Dispute, Method, Payment, Payout, Refund, Transaction
from sandbox.refunds import REASONS, Refunds
from sandbox.store import Store

Json = dict[str, Any]


class MoneyApi:
    def __init__(self, store: Store, refunds: Refunds, method_of: Callable[[Payment], Method]) -> None:
        self._store = store
        self._method_of = method_of
        self._refunds = refunds
        self.endpoints: dict[Route, Endpoint] = {
            ("POST", "refunds", False, ""): self.create_refund,
            ("GET", "refunds", False, ""): self.list_refunds,
            ("GET", "refunds", True, ""): self.retrieve_refund,
            ("GET", "disputes", False, ""): self.list_disputes,
            ("GET", "disputes", True, ""): self.retrieve_dispute,
            ("GET", "balance_transactions", False, ""): self.list_transactions,
            ("GET", "balance_transactions", True, ""): self.retrieve_transaction,
            ("GET", "payouts", False, ""): self.list_payouts,
            ("GET", "payouts", True, ""): self.retrieve_payout,
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
        forms.only(params, "payout", "source", *LISTED)
        payout, source = forms.text(params, "payout"), forms.text(params, "source")
        found = self._store.transactions(payout=payout, source=source, created=created_of(params), start=_start(params))
        whole = "data.source" in expand_of(params)
        return page("/v1/balance_transactions", params, (self._transaction(record, whole) for record in found))

    def _transaction(self, record: Transaction, whole: bool) -> Json:
        shown = render_money.transaction(record)
        return {**shown, "source": self._source(record.source)} if whole else shown

    def _source(self, identifier: str) -> Json | str:
        """The object that a transaction came from."""
        match identifier.partition("_")[0]:
            case "re" | "pyr":
                return self.retrieve_refund({}, identifier)
            case "du":
                return self.retrieve_dispute({}, identifier)
            case "po":
                return self.retrieve_payout({}, identifier)
        payment = charged(self._store, identifier)
        return render.charge(payment, self._method_of(payment))

    # payouts

    def retrieve_payout(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        return render_money.payout(self._payout(identifier, "id"))

    def list_payouts(self, params: Params, _: str) -> Json:
        """With `ending_before` the page that stands just before it in the list: the next newer ones."""
        forms.only(params, "status", "ending_before", *LISTED)
        status, newer_than = forms.text(params, "status"), forms.text(params, "ending_before")
        if newer_than is not None:
            self._payout(newer_than, "ending_before")
        found = self._store.all_kept(Payout, None, created_of(params), _start(params), newer_than)
        shown = page("/v1/payouts", params, (render_money.payout(p) for p in found if status in (None, p.status)))
        return {**shown, "data": shown["data"][::-1]} if newer_than is not None else shown

    def _payout(self, identifier: str, param: str) -> Payout:
        record = self._store.kept(Payout, identifier)
        if record is None:
            raise missing("payout", identifier, param)
        return record

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
