"""Money given back: asked for, on its way, arrived or come back; and the events it causes."""

import time

from sandbox import render, render_money
from sandbox.catalogue import TEST_METHODS
from sandbox.clock import Clock
from sandbox.errors import ApiError, invalid
from sandbox.events import Events
from sandbox.intents import Intents
from sandbox.records import Dispute, Payment, Refund, Transaction, new_id
from sandbox.rules import Rules
from sandbox.store import Store

REASONS = ("duplicate", "fraudulent", "requested_by_customer")


class Refunds:
    """Each method is one change, saved whole with its events. The balance pays when a refund is made."""

    def __init__(self, store: Store, clock: Clock, rules: Rules, events: Events, intents: Intents) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._events = events
        self._intents = intents

    def create(self, payment: Payment, amount: int | None, reason: str | None, metadata: dict[str, str]) -> Refund:
        """A card's succeeds at once; a bank account's is pending."""
        wanted = self._fitting(payment, amount)
        test = TEST_METHODS[self._intents.method_of(payment).token]
        pending = payment.kind != "card" or test.pends
        refund = Refund(
            new_id("re" if payment.kind == "card" else "pyr"), self._clock.now(), payment.id, payment.charge_id or "",
            wanted, payment.currency, metadata, reason, "pending" if pending else "succeeded",
        )  # fmt: skip
        refund.transaction = self._book(refund, -wanted, "refund" if payment.kind == "card" else "payment_refund")
        payment.refunded += wanted
        self._store.save_payment(payment)
        after = self._rules.refund_after() if pending or test.refund_fails else None
        self._save(refund, "refund.created", due=time.time() + after if after is not None else None)
        charge = render.charge(payment, self._intents.method_of(payment))
        self._events.emit("charge.refunded", charge)
        return refund

    def _fitting(self, payment: Payment, amount: int | None) -> int:
        """The amount, all that is left by default."""
        charge, left = payment.charge_id, payment.amount - payment.refunded
        if payment.cleared is None:
            message = "This PaymentIntent does not have a successful charge to refund."
            raise invalid(message, "payment_intent", "payment_intent_unexpected_state")
        if any(each.status != "won" for each in self._store.all_kept(Dispute, payment.id)):
            message = f"Charge {charge} has been charged back; cannot issue a refund."
            raise ApiError(400, message, code="charge_disputed")
        if left == 0:
            raise ApiError(400, f"Charge {charge} has already been refunded.", code="charge_already_refunded")
        if amount is not None and amount < 1:
            raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
        if amount is not None and amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise invalid(message, "amount", "amount_too_large")
        return left if amount is None else amount

    def end(self, refund: Refund) -> None:
        """End a refund as its test id says."""
        test = TEST_METHODS[self._intents.method_of(self.payment_of(refund)).token]
        if test.refund_fails:
            self.fail(refund, test.refund_fails)
        else:
            self.succeed(refund)

    def succeed(self, refund: Refund) -> None:
        if refund.status != "pending":
            raise invalid(f"This refund is {refund.status}, not pending.", "id")
        refund.status = "succeeded"
        self._save(refund, "refund.updated")

    def fail(self, refund: Refund, reason: str) -> None:
        """Fail a refund: the money comes back, even if the refund seemed to have succeeded."""
        if refund.status == "failed":
            raise invalid("This refund has failed already.", "id")
        payment = self.payment_of(refund)
        payment.refunded -= refund.amount
        self._store.save_payment(payment)
        refund.status, refund.failure = "failed", reason
        refund.failure_transaction = self._book(refund, refund.amount, "refund_failure")
        self._save(refund, "refund.updated", "refund.failed")

    def payment_of(self, refund: Refund) -> Payment:
        payment = self._store.payment(refund.payment)
        assert payment is not None, "a refund has a payment"
        return payment

    def _book(self, refund: Refund, amount: int, kind: str) -> str:
        at = self._clock.now()
        category = "refund_failure" if kind == "refund_failure" else "refund"
        made = Transaction(new_id("txn"), at, at, refund.id, kind, category, amount, 0, refund.currency)
        self._store.add_transaction(made)
        return made.id

    def _save(self, refund: Refund, *kinds: str, due: float | None = None) -> None:
        self._store.keep(refund, parent=refund.payment, due=due)
        for kind in kinds:
            self._events.emit(kind, render_money.refund(refund))
