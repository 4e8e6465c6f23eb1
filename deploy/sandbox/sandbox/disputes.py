"""Money that payers' banks take back: returned debits and disputed cards, with their events."""

from sandbox import render_money
from sandbox.clock import Clock
from sandbox.errors import ApiError, invalid
from sandbox.events import Events
from sandbox.records import Dispute, Payment
from sandbox.store import Store

_FEE = 1500
REASONS = (
    "credit_not_processed", "duplicate", "fraudulent", "general", "product_not_received", "product_unacceptable",
    "subscription_canceled", "unrecognized",
)  # fmt: skip


class Disputes:
    """Each method is one change, saved whole with its events."""

    def __init__(self, store: Store, clock: Clock, events: Events) -> None:
        self._store = store
        self._clock = clock
        self._events = events

    def give_back(self, payment: Payment, code: str) -> Dispute:
        """The bank takes a cleared debit back; `code` as R01."""
        self._must_have_cleared(payment)
        if payment.kind == "card" or payment.returned is not None:
            raise invalid("Only a cleared bank debit can be returned, and once.", "id")
        payment.returned, payment.return_code, payment.disputed = self._clock.now(), code, True
        self._store.save_payment(payment)
        lost = Dispute.of_return(payment)
        self._store.add_transaction(lost.withdrawal())
        self._save(lost, "charge.dispute.created", "charge.dispute.closed")
        return lost

    def open(self, payment: Payment, amount: int | None, reason: str) -> Dispute:
        """A card's holder disputes it, by default all that is left: the money is held until it is decided."""
        self._must_have_cleared(payment)
        left = payment.amount - payment.refunded
        wanted = left if amount is None else amount
        if payment.kind != "card" or payment.disputed:
            raise invalid("Only a card's charge can be disputed, and once.", "id")
        if not 1 <= wanted <= left or reason not in REASONS:
            raise invalid(f"amount is 1 to {left}, reason one of {', '.join(REASONS)}.", "amount")
        payment.disputed = True
        self._store.save_payment(payment)
        dispute = Dispute.of_card(payment, wanted, reason, self._clock.now())
        self._store.add_transaction(dispute.withdrawal(_FEE))
        self._save(dispute, "charge.dispute.created", "charge.dispute.funds_withdrawn")
        return dispute

    def win(self, dispute: Dispute) -> None:
        """The money comes back; the fee doesn't."""
        self._decide(dispute, "won")
        self._store.add_transaction(dispute.reinstatement(self._clock.now()))
        self._save(dispute, "charge.dispute.funds_reinstated", "charge.dispute.closed")

    def lose(self, dispute: Dispute) -> None:
        self._decide(dispute, "lost")
        self._save(dispute, "charge.dispute.closed")

    def _decide(self, dispute: Dispute, status: str) -> None:
        if dispute.status != "needs_response":
            raise invalid(f"This dispute is {dispute.status} already.", "id")
        dispute.status = status

    def _must_have_cleared(self, payment: Payment) -> None:
        if payment.cleared is None:
            message = f"This needs a PaymentIntent that is succeeded; it has a status of {payment.status}."
            raise ApiError(400, message, code="payment_intent_unexpected_state", param="intent")

    def _save(self, dispute: Dispute, *kinds: str) -> None:
        self._store.keep(dispute, parent=dispute.payment)
        for kind in kinds:
            self._events.emit(kind, render_money.dispute(dispute))
