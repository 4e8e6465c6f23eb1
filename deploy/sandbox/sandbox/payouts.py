"""Payouts: the available balance goes to the company's bank account, with the events on the way."""

import secrets
import time

from sandbox import render_money
from sandbox.clock import Clock
from sandbox.errors import invalid
from sandbox.events import Events
from sandbox.records import Payout, Transaction, new_id
from sandbox.rules import Rules
from sandbox.store import Store

_DAY = 86400


class Payouts:
    """Each method is one change, saved whole with its events."""

    def __init__(self, store: Store, clock: Clock, rules: Rules, events: Events) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._events = events
        self._last_run = time.time()

    def create(self, *, pending: bool = False, arrival: int | None = None) -> list[Payout]:
        """One for each currency whose available transactions sum to more than zero; the others wait.

        `pending`: what is not available yet goes along. `arrival` in seconds of business time, by default today.
        """
        now = self._clock.now()
        arrival = self._clock.today() if arrival is None else arrival
        until = 2**53 if pending else now
        made = []
        for currency, net in self._store.unpaid(until):
            if net > 0:
                made.append(self._create(currency, net, until, now, arrival))
        return made

    def _create(self, currency: str, net: int, until: int, now: int, arrival: int) -> Payout:
        trace = "".join(secrets.choice("0123456789") for _ in range(15))
        payout = Payout(new_id("po"), now, arrival // _DAY * _DAY, net, currency, new_id("txn"), trace)
        self._store.pay_out(payout.id, currency, until)
        self._book(payout, payout.transaction, -net, "payout", payout.id)
        after = self._rules.payout_after()
        self._save(payout, "payout.created", "payout.reconciliation_completed", due=_later(after))
        return payout

    def run(self) -> None:
        """Make the payouts of a rule."""
        every = self._rules.now.payout_every_seconds
        if every and time.time() - self._last_run >= every:
            self._last_run = time.time()
            self.create()

    def end(self, payout: Payout) -> None:
        """Take the next step of a payout that is due."""
        if payout.status == "pending":
            self.send(payout, due=_later(self._rules.payout_after()))
        else:
            self.pay(payout)

    def send(self, payout: Payout, due: float | None = None) -> None:
        _must_be(payout, "pending")
        payout.status = "in_transit"
        self._save(payout, "payout.updated", due=due)

    def pay(self, payout: Payout) -> None:
        """The money has arrived."""
        _must_be(payout, "pending", "in_transit")
        payout.status = "paid"
        self._save(payout, "payout.paid")

    def fail(self, payout: Payout, code: str) -> None:
        """The bank refused it, also after it seemed to have arrived: the money is back in the balance."""
        _must_be(payout, "pending", "in_transit", "paid")
        payout.status, payout.failure, payout.failure_transaction = "failed", code, new_id("txn")
        self._book(payout, payout.failure_transaction, payout.amount, "payout_failure", None)
        self._save(payout, "payout.failed")

    def _book(self, payout: Payout, identifier: str, amount: int, kind: str, within: str | None) -> None:
        at = self._clock.now()
        made = Transaction(identifier, at, at, payout.id, kind, "payout", amount, 0, payout.currency, within)
        self._store.add_transaction(made)

    def _save(self, payout: Payout, *kinds: str, due: float | None = None) -> None:
        self._store.keep(payout, parent="", due=due)
        for kind in kinds:
            self._events.emit(kind, render_money.payout(payout))


def _later(after: float | None) -> float | None:
    return time.time() + after if after is not None else None


def _must_be(payout: Payout, *statuses: str) -> None:
    if payout.status not in statuses:
        raise invalid(f"This payout is {payout.status}.", "id")
