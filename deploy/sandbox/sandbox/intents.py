"""The life of a payment intent: created, charged, cleared, failed, cancelled; and the events it causes."""

import time
from datetime import UTC, datetime

from sandbox import render
from sandbox.catalogue import TEST_METHODS, TestMethod
from sandbox.clock import Clock
from sandbox.disputes import Disputes
from sandbox.errors import ApiError, invalid, missing
from sandbox.events import Events
from sandbox.records import Customer, Method, Payment, charge_transaction
from sandbox.rules import Rules
from sandbox.store import Store

_CANCELLABLE = ("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture")
_MOST_TRIES = 9
_NOT_ASKED = ("authentication_required", "authentication_required")


class Intents:
    """Each method is one change, saved whole with its events."""

    def __init__(
        self, store: Store, clock: Clock, rules: Rules, events: Events, disputes: Disputes, public_url: str
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._events = events
        self._disputes = disputes
        self._public_url = public_url

    def create(self, payment: Payment, paid_with: Method, *, confirm: bool, off_session: bool) -> None:
        """Keep a new intent; `confirm` charges it at once."""
        self._store.add_payment(payment, None)
        if confirm:
            self.charge(payment, paid_with, off_session=off_session)

    def charge(self, payment: Payment, paid_with: Method, *, off_session: bool) -> None:
        """A card is captured or declined now, or its holder asked first; a bank debit begins to process."""
        if payment.tries >= _MOST_TRIES:
            raise invalid("This PaymentIntent has been tried too often.", "intent", "payment_intent_unexpected_state")
        payment.method, payment.failure, payment.decline = paid_with.id, None, None
        test = TEST_METHODS[paid_with.token]
        if test.authenticates and not off_session:
            payment.status, payment.action_url = "requires_action", f"{self._public_url}/authenticate/{payment.id}"
            self._save(payment, paid_with, "payment_intent.requires_action")
            return
        self._try(payment, paid_with, _NOT_ASKED if test.authenticates else None)

    def authenticate(self, payment: Payment, *, passed: bool) -> None:
        """Take the answer of the card's holder on the page of the bank."""
        self._must_be(payment, "requires_action")
        paid_with = self.method_of(payment)
        if passed:
            self._try(payment, paid_with, None)
            return
        payment.status, payment.failure = "requires_payment_method", "payment_intent_authentication_failure"
        self._save(payment, paid_with, "payment_intent.payment_failed")

    def _try(self, payment: Payment, paid_with: Method, declines: tuple[str, str] | None) -> None:
        test = TEST_METHODS[paid_with.token]
        payment.tries += 1
        payment.charged = self._clock.now()
        if payment.kind == "card":
            self._charge_card(payment, paid_with, declines or test.declines)
        else:
            self._start_debit(payment, paid_with, test)

    def _charge_card(self, payment: Payment, paid_with: Method, declines: tuple[str, str] | None) -> None:
        if declines is None and self._has_expired(paid_with):
            declines = ("expired_card", "expired_card")
        if declines is None and self._rules.declines():
            declines = ("card_declined", "generic_decline")
        if declines is None:
            self._take(payment, payment.charged or 0)
            self._save(payment, paid_with, "payment_intent.succeeded", "charge.succeeded")
            if (reason := TEST_METHODS[paid_with.token].disputes) is not None:
                self._disputes.open(payment, None, reason)
            return
        payment.failure, payment.decline = declines
        payment.status, payment.charge_status = "requires_payment_method", "failed"
        self._save(payment, paid_with, "payment_intent.payment_failed", "charge.failed")

    def _has_expired(self, card: Method) -> bool:
        today = datetime.fromtimestamp(self._clock.now(), UTC)
        return (today.year, today.month) > (card.expires[0], card.expires[1])

    def _start_debit(self, payment: Payment, paid_with: Method, test: TestMethod) -> None:
        payment.status, payment.charge_status = "processing", "pending"
        after = None if test.stays else self._rules.clear_after()
        clear_at = time.time() + after if after is not None else None
        self._save(payment, paid_with, "payment_intent.processing", "charge.pending", clear_at=clear_at)

    def end_debit(self, payment: Payment) -> None:
        """End a debit as its test id says."""
        test = TEST_METHODS[self.method_of(payment).token]
        if test.fails:
            self.fail(payment, test.fails)
            return
        self.clear(payment)
        if test.returns:
            self._disputes.give_back(payment, test.returns)

    def clear(self, payment: Payment) -> None:
        self._must_be(payment, "processing")
        self._take(payment, self._clock.now())
        self._save(payment, self.method_of(payment), "payment_intent.succeeded", "charge.succeeded")

    def _take(self, payment: Payment, at: int) -> None:
        payment.status, payment.charge_status, payment.cleared = "succeeded", "succeeded", at
        self._store.add_transaction(charge_transaction(payment))

    def fail(self, payment: Payment, code: str) -> None:
        """The bank refuses a debit before it cleared."""
        self._must_be(payment, "processing")
        payment.status, payment.charge_status, payment.failure = "requires_payment_method", "failed", code
        self._save(payment, self.method_of(payment), "payment_intent.payment_failed", "charge.failed")

    def cancel(self, payment: Payment, reason: str | None) -> None:
        if payment.status not in _CANCELLABLE:
            raise unexpected_state(payment, "You cannot cancel this PaymentIntent because it has a status of")
        payment.status, payment.cancelled, payment.cancel_reason = "canceled", self._clock.now(), reason
        self._save(payment, self.method_of(payment), "payment_intent.canceled")

    def method_of(self, payment: Payment) -> Method:
        method = self._store.method(payment.method)
        if method is None:
            raise missing("PaymentMethod", payment.method, "payment_method")
        return method

    def add_customer(self, customer: Customer) -> None:
        self._store.add_customer(customer)
        self._events.emit("customer.created", render.customer(customer))

    def attach(self, method: Method) -> None:
        self._store.add_method(method)
        self._events.emit("payment_method.attached", render.method(method))

    def detach(self, method: Method) -> None:
        method.customer = None
        self._store.save_method(method)
        self._events.emit("payment_method.detached", render.method(method))

    def expire_card(self, method: Method) -> None:
        """Its last month was the one before this."""
        today = datetime.fromtimestamp(self._clock.now(), UTC)
        method.expires = [today.year, today.month - 1] if today.month > 1 else [today.year - 1, 12]
        self._store.save_method(method)
        self._events.emit("payment_method.updated", render.method(method))

    def _must_be(self, payment: Payment, status: str) -> None:
        if payment.status != status:
            raise unexpected_state(payment, f"This needs a PaymentIntent that is {status}; it has a status of")

    def _save(
        self,
        payment: Payment,
        paid_with: Method,
        intent_event: str,
        charge_event: str | None = None,
        clear_at: float | None = None,
    ) -> None:
        self._store.save_payment(payment, clear_at)
        if charge_event is not None:
            self._events.emit(charge_event, render.charge(payment, paid_with))
        self._events.emit(intent_event, render.intent(payment, paid_with))


def unexpected_state(payment: Payment, why: str) -> ApiError:
    return ApiError(400, f"{why} {payment.status}.", code="payment_intent_unexpected_state", param="intent")


def declined(payment: Payment, paid_with: Method, expand: list[str]) -> ApiError:
    """Stripe's answer to a charge that the card's bank declined: 402, with the intent in it."""
    fields = render.payment_error(payment, paid_with)
    message, kind = fields.pop("message"), fields.pop("type")
    return ApiError(402, message, kind=kind, **fields, payment_intent=render.intent(payment, paid_with, expand))
