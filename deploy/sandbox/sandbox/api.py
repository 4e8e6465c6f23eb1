"""The part of Stripe's API that the sandbox speaks: each function reads parameters, acts, and gives an object."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from sandbox import forms, render
from sandbox.catalogue import TEST_METHODS
from sandbox.clock import Clock
from sandbox.errors import ApiError, invalid, missing
from sandbox.forms import Params
from sandbox.intents import Intents, declined, unexpected_state
from sandbox.lists import LISTED, created_of, expand_of, limit_of, page
from sandbox.records import Customer, Method, Payment, intent_id_of, new_id
from sandbox.store import Store

Json = dict[str, Any]
Endpoint = Callable[[Params, str], Json | ApiError]
Route = tuple[str, str, bool, str]  # the method, the noun, whether an id follows, and the verb after it

KINDS = ("card", "us_bank_account")
_LEAST, _MOST = 50, 99_999_999
_MOST_TYPES = 20


class Api:
    """`find` gives the endpoint of a method and path; an endpoint takes parameters and the id in the path."""

    def __init__(self, store: Store, clock: Clock, intents: Intents, more: Mapping[Route, Endpoint]) -> None:
        self._store = store
        self._clock = clock
        self._intents = intents
        self._endpoints: dict[Route, Endpoint] = {
            **more,
            ("POST", "customers", False, ""): self.create_customer,
            ("GET", "customers", True, ""): self.retrieve_customer,
            ("GET", "customers", True, "payment_methods"): self.list_customer_methods,
            ("GET", "payment_methods", False, ""): self.list_methods,
            ("GET", "payment_methods", True, ""): self.retrieve_method,
            ("POST", "payment_methods", True, "attach"): self.attach_method,
            ("POST", "payment_intents", False, ""): self.create_intent,
            ("GET", "payment_intents", False, ""): self.list_intents,
            ("GET", "payment_intents", True, ""): self.retrieve_intent,
            ("POST", "payment_intents", True, "confirm"): self.confirm_intent,
            ("POST", "payment_intents", True, "cancel"): self.cancel_intent,
            ("GET", "charges", False, ""): self.list_charges,
            ("GET", "charges", True, ""): self.retrieve_charge,
            ("GET", "events", False, ""): self.list_events,
            ("GET", "events", True, ""): self.retrieve_event,
        }

    def find(self, verb: str, path: str) -> tuple[Endpoint, str]:
        """The endpoint of `/v1/<noun>[/<id>[/<verb>]]`."""
        parts = path.replace("/checkout/sessions", "/checkout sessions", 1).split("/")[2:]
        parts[0] = parts[0].replace(" ", "/")
        identifier = parts[1] if len(parts) > 1 else ""
        found = self._endpoints.get((verb, parts[0], len(parts) > 1, parts[2] if len(parts) > 2 else ""))
        if found is None or len(parts) > 3:
            raise ApiError(404, f"Unrecognized request URL ({verb}: {path}).")
        return found, identifier

    # customers

    def create_customer(self, params: Params, _: str) -> Json:
        forms.only(params, "metadata", "name", "email", "description")
        record = Customer(
            new_id("cus"),
            self._clock.now(),
            forms.mapping(params, "metadata"),
            forms.text(params, "name"),
            forms.text(params, "email"),
            forms.text(params, "description"),
        )
        self._intents.add_customer(record)
        return render.customer(record)

    def retrieve_customer(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        return render.customer(self._customer(identifier, "id"))

    # payment methods

    def attach_method(self, params: Params, identifier: str) -> Json:
        forms.only(params, "customer")
        customer = self._customer(forms.required(params, "customer"), "customer")
        if identifier in TEST_METHODS:
            record = Method(new_id("pm"), self._clock.now(), customer.id, identifier)
            self._intents.attach(record)
            return render.method(record)
        known = self._method(identifier, "id")
        if known.customer is None:
            raise invalid(
                "This PaymentMethod was detached from a customer and may not be used again.", "payment_method"
            )
        if known.customer != customer.id:
            raise invalid("The payment method has already been attached to a customer.", "payment_method")
        return render.method(known)

    def retrieve_method(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        return render.method(self._method(identifier, "id"))

    def list_methods(self, params: Params, _: str) -> Json:
        forms.only(params, "customer", "type", *LISTED)
        return self._methods_page(params, forms.required(params, "customer"), "/v1/payment_methods")

    def list_customer_methods(self, params: Params, identifier: str) -> Json:
        forms.only(params, "type", *LISTED)
        return self._methods_page(params, identifier, f"/v1/customers/{identifier}/payment_methods")

    def _methods_page(self, params: Params, customer: str, url: str) -> Json:
        kind = forms.text(params, "type")
        rendered = (render.method(record) for record in self._store.methods_of(self._customer(customer, "customer").id))
        return page(url, params, (method for method in rendered if kind in (None, method["type"])))

    # payment intents

    def create_intent(self, params: Params, _: str) -> Json | ApiError:
        forms.only(
            params, "amount", "currency", "customer", "payment_method", "payment_method_types", "confirm",
            "off_session", "return_url", "metadata", "description",
        )  # fmt: skip
        confirm = forms.boolean(params, "confirm")
        off_session = forms.boolean(params, "off_session")
        for name in ("off_session", "return_url"):
            if params.get(name, "false") != "false" and not confirm:
                raise invalid(f"{name} needs confirm=true.", name)
        payment, paid_with = self._read_intent(params)
        payment.return_url = forms.text(params, "return_url")
        self._intents.create(payment, paid_with, confirm=confirm, off_session=off_session)
        return _outcome(payment, paid_with, params)

    def _read_intent(self, params: Params) -> tuple[Payment, Method]:
        amount = forms.integer(params, "amount")
        if amount is None:
            raise ApiError(400, "Missing required param: amount.", code="parameter_missing", param="amount")
        customer = self._customer(forms.required(params, "customer"), "customer")
        paid_with = self._method_of(customer, forms.required(params, "payment_method"))
        kind = TEST_METHODS[paid_with.token].kind
        types = forms.strings(params, "payment_method_types") or ["card"]
        _check_types(types, kind)
        currency = _currency(params, kind)
        if amount < _LEAST:
            raise invalid("Amount must be at least $0.50.", "amount", "amount_too_small")
        if amount > _MOST:
            raise invalid("Amount must be no more than $999,999.99.", "amount", "amount_too_large")
        payment = Payment(
            new_id("pi"), self._clock.now(), customer.id, paid_with.id, kind, amount, currency, types,
            forms.mapping(params, "metadata"), description=forms.text(params, "description"),
        )  # fmt: skip
        return payment, paid_with

    def confirm_intent(self, params: Params, identifier: str) -> Json | ApiError:
        forms.only(params, "payment_method", "off_session", "return_url")
        payment = self._payment(identifier)
        if payment.status not in ("requires_confirmation", "requires_payment_method"):
            raise unexpected_state(payment, "You cannot confirm this PaymentIntent because it has a status of")
        if payment.status == "requires_payment_method":
            forms.required(params, "payment_method")
        customer = self._customer(payment.customer, "customer")
        paid_with = self._method_of(customer, forms.text(params, "payment_method") or payment.method)
        payment.kind = TEST_METHODS[paid_with.token].kind
        _check_types(payment.types, payment.kind)
        payment.return_url = forms.text(params, "return_url")
        self._intents.charge(payment, paid_with, off_session=forms.boolean(params, "off_session"))
        return _outcome(payment, paid_with, params)

    def cancel_intent(self, params: Params, identifier: str) -> Json:
        forms.only(params, "cancellation_reason")
        payment = self._payment(identifier)
        self._intents.cancel(payment, forms.text(params, "cancellation_reason"))
        return self._intent(payment, expand_of(params))

    def retrieve_intent(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        return self._intent(self._payment(identifier), expand_of(params))

    def list_intents(self, params: Params, _: str) -> Json:
        forms.only(params, "customer", *LISTED)
        expand = [name.removeprefix("data.") for name in expand_of(params)]
        payments = self._payments(params, forms.text(params, "starting_after"))
        return page("/v1/payment_intents", params, (self._intent(payment, expand) for payment in payments))

    def _intent(self, payment: Payment, expand: list[str]) -> Json:
        return render.intent(payment, self._intents.method_of(payment), expand)

    # charges: views of an intent

    def retrieve_charge(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        payment = charged(self._store, identifier)
        return render.charge(payment, self._intents.method_of(payment), expand_of(params))

    def list_charges(self, params: Params, _: str) -> Json:
        forms.only(params, "customer", "payment_intent", *LISTED)
        expand = [name.removeprefix("data.") for name in expand_of(params)]
        shown = (render.charge(p, self._intents.method_of(p), expand) for p in self._scope(params) if p.tries)
        return page("/v1/charges", params, shown)

    def _scope(self, params: Params) -> Iterable[Payment]:
        if (intent := forms.text(params, "payment_intent")) is not None:
            return [self._payment(intent)]
        start = forms.text(params, "starting_after")
        return self._payments(params, intent_id_of(start) if start else None)

    # events

    def retrieve_event(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        body = self._store.event(identifier)
        if body is None:
            raise missing("event", identifier)
        return dict(orjson.loads(body))

    def list_events(self, params: Params, _: str) -> Json:
        forms.only(params, "type", "types", "ending_before", *LISTED)
        kinds = [kind] if (kind := forms.text(params, "type")) else forms.strings(params, "types")
        if len(kinds) > _MOST_TYPES:
            raise invalid(f"At most {_MOST_TYPES} types.", "types")
        newer_than = self._event_seq(params, "ending_before")
        limit = limit_of(params)
        bodies = self._store.events(
            kinds,
            created_of(params),
            limit + 1,
            older_than=self._event_seq(params, "starting_after"),
            newer_than=newer_than,
        )
        shown = bodies[:limit] if newer_than is None else bodies[:limit][::-1]
        return render.page("/v1/events", [orjson.loads(body) for body in shown], len(bodies) > limit)

    def _event_seq(self, params: Params, name: str) -> int | None:
        identifier = forms.text(params, name)
        if identifier is None:
            return None
        seq = self._store.event_seq(identifier)
        if seq is None:
            raise ApiError(400, f"No such event: '{identifier}'", code="resource_missing", param=name)
        return seq

    # what parameters name

    def _customer(self, identifier: str, param: str) -> Customer:
        record = self._store.customer(identifier)
        if record is None:
            raise missing("customer", identifier, param)
        return record

    def _method(self, identifier: str, param: str) -> Method:
        record = self._store.method(identifier)
        if record is None:
            raise missing("PaymentMethod", identifier, param)
        return record

    def _method_of(self, customer: Customer, identifier: str) -> Method:
        record = self._method(identifier, "payment_method")
        if record.customer != customer.id:
            raise invalid(f"The PaymentMethod {identifier} does not belong to the customer.", "payment_method")
        return record

    def _payment(self, identifier: str) -> Payment:
        return paid(self._store, identifier, "intent")

    def _payments(self, params: Params, start: str | None) -> Iterator[Payment]:
        return self._store.payments(forms.text(params, "customer"), created_of(params), start)


def paid(store: Store, identifier: str, param: str = "payment_intent") -> Payment:
    record = store.payment(identifier)
    if record is None:
        raise missing("payment_intent", identifier, param)
    return record


def charged(store: Store, identifier: str, param: str = "id") -> Payment:
    """The payment whose latest charge this is."""
    record = store.payment(intent_id_of(identifier))
    if record is None or record.charge_id != identifier:
        raise missing("charge", identifier, param)
    return record


def _outcome(payment: Payment, paid_with: Method, params: Params) -> Json | ApiError:
    """The intent after a charge. A decline is returned, not raised, because it is a result that is kept."""
    expand = expand_of(params)
    if payment.failure and payment.kind == "card":
        return declined(payment, paid_with, expand=expand)
    return render.intent(payment, paid_with, expand)


def _check_types(types: list[str], kind: str) -> None:
    for name in types:
        if name not in KINDS:
            raise invalid(f"The payment method type {name} is invalid.", "payment_method_types")
    if kind not in types:
        raise invalid(
            f"The PaymentMethod provided ({kind}) is not allowed for this PaymentIntent.", "payment_method",
            "payment_intent_incompatible_payment_method",
        )  # fmt: skip


def _currency(params: Params, kind: str) -> str:
    currency = forms.required(params, "currency").lower()
    if len(currency) != 3 or not currency.isalpha() or not currency.isascii():
        raise invalid(f"Invalid currency: {currency}.", "currency")
    if kind == "us_bank_account" and currency != "usd":
        raise invalid("A us_bank_account is charged in usd alone.", "currency")
    return currency
