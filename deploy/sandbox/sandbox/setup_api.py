"""The part of Stripe's API that sets up ways to pay: sessions of the hosted page, setup intents, detaching."""

from typing import Any
from urllib.parse import urlsplit

from sandbox import forms, render, render_setup
from sandbox.api import KINDS, Endpoint, Route
from sandbox.clock import Clock
from sandbox.errors import ApiError, invalid, missing
from sandbox.forms import Params
from sandbox.intents import Intents
from sandbox.lists import expand_of
from sandbox.records import Session, Setup
from sandbox.setups import Setups, new_session
from sandbox.store import Store

Json = dict[str, Any]


class SetupApi:
    def __init__(self, store: Store, clock: Clock, intents: Intents, setups: Setups, public_url: str) -> None:
        self._store = store
        self._clock = clock
        self._intents = intents
        self._setups = setups
        self._public_url = public_url
        self.endpoints: dict[Route, Endpoint] = {
            ("POST", "checkout/sessions", False, ""): self.create_session,
            ("GET", "checkout/sessions", True, ""): self.retrieve_session,
            ("POST", "checkout/sessions", True, "expire"): self.expire_session,
            ("GET", "setup_intents", True, ""): self.retrieve_setup,
            ("POST", "setup_intents", True, "verify_microdeposits"): self.verify,
            ("POST", "payment_methods", True, "detach"): self.detach_method,
        }

    def create_session(self, params: Params, _: str) -> Json:
        forms.only(
            params, "mode", "customer", "payment_method_types", "success_url", "cancel_url", "metadata", "currency",
            "setup_intent_data", "billing_address_collection", "consent_collection", "locale",
        )  # fmt: skip
        if forms.required(params, "mode") != "setup":
            raise invalid("The sandbox speaks mode=setup alone.", "mode")
        customer = forms.required(params, "customer")
        if self._store.customer(customer) is None:
            raise missing("customer", customer, "customer")
        types = forms.strings(params, "payment_method_types") or ["card"]
        for kind in types:
            if kind not in KINDS:
                raise invalid(f"The payment method type {kind} is invalid.", "payment_method_types")
        urls = (_url(forms.required(params, "success_url"), "success_url"), forms.text(params, "cancel_url"))
        if urls[1] is not None:
            _url(urls[1], "cancel_url")
        session, setup = new_session(customer, types, urls, self._clock.now())
        session.metadata = forms.mapping(params, "metadata")
        setup.metadata = forms.mapping(params.get("setup_intent_data") or {}, "metadata")
        self._setups.open(session, setup)
        return self._shown(session, params)

    def retrieve_session(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        return self._shown(self._session(identifier), params)

    def expire_session(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        session = self._session(identifier)
        self._setups.expire(session)
        return self._shown(session, params)

    def retrieve_setup(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        return self._shown_setup(self._setup(identifier), "payment_method" in expand_of(params))

    def verify(self, params: Params, identifier: str) -> Json | ApiError:
        forms.only(params, "amounts", "descriptor_code")
        setup = self._setup(identifier)
        texts = forms.strings(params, "amounts")
        if any(not text.isdecimal() or len(text) > 9 for text in texts):
            raise invalid("Invalid integer", "amounts", "parameter_invalid_integer")
        amounts = tuple(int(text) for text in texts) or None
        if amounts is not None and len(amounts) != 2:
            raise invalid("amounts must be two positive integers.", "amounts")
        wrong = self._setups.verify(setup, amounts, forms.text(params, "descriptor_code"))
        return wrong or self._shown_setup(setup, "payment_method" in expand_of(params))

    def detach_method(self, params: Params, identifier: str) -> Json:
        forms.only(params)
        record = self._store.method(identifier)
        if record is None:
            raise missing("PaymentMethod", identifier)
        if record.customer is None:
            message = "The payment method you provided is not attached to a customer so detachment is impossible."
            raise invalid(message, "payment_method", "payment_method_unexpected_state")
        self._intents.detach(record)
        return render.method(record)

    def _shown(self, session: Session, params: Params) -> Json:
        shown = render_setup.session(session, self._setups.page_of(session))
        expand = expand_of(params)
        if any(name.startswith("setup_intent") for name in expand):
            whole = "setup_intent.payment_method" in expand
            shown["setup_intent"] = self._shown_setup(self._setups.setup_of(session), whole)
        return shown

    def _shown_setup(self, setup: Setup, whole: bool) -> Json:
        shown = render_setup.setup(setup, self._public_url)
        method = self._store.method(setup.method) if whole and setup.method else None
        return {**shown, "payment_method": render.method(method)} if method else shown

    def _session(self, identifier: str) -> Session:
        session = self._setups.session(identifier)
        if session is None:
            raise missing("checkout session", identifier, "session")
        return session

    def _setup(self, identifier: str) -> Setup:
        setup = self._store.kept(Setup, identifier)
        if setup is None:
            raise missing("setupintent", identifier, "intent")
        return setup


def _url(text: str, param: str) -> str:
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).netloc:
        raise invalid("Not a valid URL", param, "url_invalid")
    return text
