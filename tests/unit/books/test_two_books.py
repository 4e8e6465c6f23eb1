"""Payments' ledger and invoicing's book, driven together through the events that each says, against a plain model.

`TWO_BOOKS=2000x50` sets how many examples of how many steps.
"""

import os
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts import envelope
from contracts import invoicing as invoicing_says
from contracts import payments as payments_says
from contracts.allocation import Part
from contracts.envelope import Message, type_registry
from contracts.money import Money, zero
from contracts.refusals import Refusal
from invoicing import messages as invoicing_messages
from invoicing.domain import Book, Invoice
from payments.collecting.domain import credit_uses, observing, quotes, reversals
from payments.collecting.domain import payments as domain_payments
from payments.collecting.domain import payments as payment_store
from payments.collecting.domain import reversals as domain_reversals
from payments.collecting.domain.credit_uses import CreditUse, Moved
from payments.collecting.domain.observing import Seen
from payments.collecting.domain.payments import Payment, Reversal, Step, cancel, settle_by_credit, submit, unanswered
from payments.collecting.domain.quotes import (
    Everything,
    Quote,
    Sum,
    Wish,
    Wishes,
    by_invoice,
    choose_again,
    make_quote,
    still_fits,
)
from payments.collecting.domain.reversals import SeenBack
from payments.collecting.messages import payment_events
from payments.ledger import Posting
from payments.methods.domain.consents import Terms
from payments.methods.domain.methods import Method
from payments.projections.domain import OpenInvoice
from tests.kit.books import booked_of

WITH_IDS = (envelope, observing, domain_payments, quotes, domain_reversals)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
RATE = Terms(Decimal("0.03"))
CUSTOMERS = ("Acme", "Bolt")
METHODS = [
    Method(f"{customer}-{funding}", customer, "pm", "card" if funding else "bank_account", funding, None, None)
    for customer in CUSTOMERS
    for funding in ("credit", "debit", None)
]

MOVES = st.sampled_from(["succeeded", "succeeded", "succeeded", "processing", "declined", "short", "cancelled"])
BACK = st.sampled_from(["disputed", "lost", "refunded", "won", "returned"])
WHOSE = st.sampled_from([("Acme", "USD"), ("Acme", "USD"), ("Acme", "JPY"), ("Bolt", "USD")])
ALL = 10**6
HEAR = st.sampled_from([ALL, ALL, 0, 1, 2])  # how many messages are heard after a step
FUNDING = st.sampled_from(["credit", "debit", None])  # no funding: a bank account
OFTEN = st.sampled_from([True, True, True, False])


@dataclass
class Owed:
    """An invoice of the model."""

    customer: str
    currency: str
    total: int
    void: bool = False


@dataclass
class Plain:
    """What should be, in plain integers: reserved and settled amounts by payment and invoice."""

    invoices: dict[str, Owed] = field(default_factory=dict)
    held: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    settled: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    credit: Counter[str] = field(default_factory=Counter)
    held_credit: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))  # by payment, of whose
    uses: list[list[Any]] = field(default_factory=list)  # whose credit pays what invoice of which payment, and how much

    def balance(self, one: str) -> int:
        owed = 0 if self.invoices[one].void else self.invoices[one].total
        return owed - sum(parts.get(one, 0) for parts in self.settled.values())

    def pending(self, one: str) -> int:
        return sum(parts.get(one, 0) for parts in self.held.values())

    def payable(self, one: str) -> int:
        return 0 if self.invoices[one].void else self.balance(one) - self.pending(one)

    def status(self, one: str) -> str:
        if self.invoices[one].void:
            return "void"
        if not self.balance(one):
            return "paid"
        return "open" if self.payable(one) else "in_progress"

    def reserve(self, payment: str, parts: dict[str, int], theirs: list[str], wanted: int) -> None:
        """`theirs`: payments of the customer in the currency; what is left of them is credit, the oldest first."""
        picked: dict[str, int] = {}
        for one in sorted(theirs):
            held = sum(each.get(one, 0) for each in self.held_credit.values())
            if (share := min(self.credit[one] - held, wanted)) > 0:
                picked[one] = share
                wanted -= share
        if not wanted and all(minor <= self.payable(one) for one, minor in parts.items()):
            self.held[payment], self.held_credit[payment] = parts, picked

    def settle(self, payment: Payment) -> None:
        held, left = self.held.pop(payment.id, {}), payment.amount.minor
        only_held, cash = bool(held), dict(held)
        for whose, minor in self.held_credit.pop(payment.id, {}).items():
            there = self.credit[whose]  # some of it may have gone back meanwhile: nothing stands in for that
            for one in cash:
                planned = min(minor, cash[one])
                paid = min(planned, there)
                cash[one] -= planned
                minor, there = minor - planned, there - paid
                self.credit[whose] -= paid
                if paid:
                    self.settled[whose][one] = self.settled[whose].pop(one, 0) + paid  # it goes back first
                    self.uses.append([whose, one, payment.id, paid])
        asked = cash or {part.invoice_id: part.amount.minor for part in payment.asked}
        theirs = (payment.customer_id, payment.amount.currency)
        everything = [one for one, owed in self.invoices.items() if (owed.customer, owed.currency) == theirs]
        for one in () if payment.on_account else asked if asked or only_held else everything:
            part = min(left, asked.get(one, left), self.payable(one))
            self.settled[payment.id][one] = part
            left -= part
        self.credit[payment.id] = left

    def take(self, payment: str, minor: int) -> None:
        """Unspent credit first, then what was paid last."""
        from_credit = min(minor, self.credit[payment])
        self.credit[payment] -= from_credit
        minor -= from_credit
        for one in reversed(list(self.settled[payment])):
            part = min(minor, self.settled[payment][one])
            self.settled[payment][one] -= part
            minor -= part
            for use in reversed(self.uses):
                if use[:2] == [payment, one]:
                    taken = min(part, use[3])
                    use[3] -= taken
                    part -= taken
        assert not minor, "more went back than was there"


@dataclass
class Charge:
    """What the provider has of one payment: its snapshots, oldest first, and what of them counts."""

    snapshots: list[Seen]
    over: bool = False  # it was said to have ended without money before any money was seen
    money: bool = False  # the provider was seen to say that it took money
    matched: bool = False
    gone: dict[str, int] = field(default_factory=dict)  # what was seen to have gone back, by the provider's id
    came_back: set[str] = field(default_factory=set)  # of this, what was seen not to have arrived: it never goes again
    never_went: set[str] = field(default_factory=set)  # failed before it was seen to have gone


class TwoBooks(RuleBasedStateMachine):
    """Any order of issuing, paying, declining, receiving, reversing and voiding, however late each hears of the other.

    Messages keep their order within an aggregate and no other; what the provider says comes late, twice, or not at all.
    """

    def __init__(self) -> None:
        super().__init__()
        ids = (f"{number:09}" for number in count(1))  # in order, so that an example repeats
        self.patches = [patch.object(module, "new_id", lambda: next(ids)) for module in WITH_IDS]
        for one in self.patches:
            one.start()
        self.book = Book()
        self.payments: dict[str, Payment] = {}
        self.reversals: dict[str, dict[str, Reversal]] = defaultdict(dict)  # by payment
        self.credits: dict[str, tuple[str, str, int]] = {}  # customer, currency, available: as payments has heard
        self.copies: dict[str, OpenInvoice] = {}  # invoices as payments has heard of them
        self.uses: list[CreditUse] = []  # as payments has heard of them
        self.quotes: list[Quote] = []
        self.attempts: Counter[str] = Counter()
        self.postings: list[Posting] = []
        self.wires: dict[tuple[str, str], deque[Message]] = {}  # what is on its way, by aggregate
        self.said: Counter[tuple[str, str]] = Counter()
        self.charges: dict[str, Charge] = {}
        self.plain = Plain()

    # --- what happens

    @initialize(totals=st.lists(st.integers(1, 1_000), min_size=2, max_size=4))
    def begin_with_invoices(self, totals: list[int]) -> None:
        for place, minor in enumerate(totals):
            self.issue((CUSTOMERS[place // 3], "USD"), minor, ALL)

    @rule(whose=WHOSE, minor=st.integers(1, 1_000), hear=HEAR)
    def issue(self, whose: tuple[str, str], minor: int, hear: int) -> None:
        name = f"INV-{len(self.book.invoices):03}"
        self.book.issue(Invoice(name, whose[0], name, whose[1], "draft", DAY, DAY, minor))
        self.plain.invoices[name] = Owed(*whose, minor)
        self.say_invoicing()
        self.deliver(hear)

    @rule(
        data=st.data(), funding=FUNDING, partial=st.booleans(), use_credit=st.booleans(), at_once=OFTEN, hear=HEAR,
        then=MOVES,
    )  # fmt: skip
    def quote(
        self,
        data: st.DataObject,
        funding: str | None,
        partial: bool,
        use_credit: bool,
        at_once: bool,
        hear: int,
        then: str,
    ) -> None:
        """Mostly of what can be paid, now and then of what can't."""
        payable = [one for one in self.copies.values() if one.payable_now] or list(self.copies.values())
        first = data.draw(st.sampled_from(payable))
        alike = [one for one in payable if (one.customer_id, one.currency) == (first.customer_id, first.currency)]
        chosen = data.draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3, unique_by=lambda one: one.id))
        wishes = [Wish(one.id, data.draw(st.integers(1, one.payable_now + 9)) if partial else None) for one in chosen]
        sum_of = Sum(Money(data.draw(st.integers(1, 9 + sum(one.payable_now for one in alike))), first.currency))
        choice = data.draw(st.sampled_from((Wishes(tuple(wishes)), Everything(first.currency), sum_of)))
        invoices = self.copies if isinstance(choice, Wishes) else self.payable(first.customer_id, first.currency)
        method = next(one for one in METHODS if (one.customer_id, one.funding) == (first.customer_id, funding))
        made = make_quote(method, choice, invoices, RATE, NOW, 1, self.available(first) if use_credit else 0)
        if isinstance(made, Quote):
            parts = sum(part.amount.minor for part in made.parts)
            assert made.amount.minor + made.credit_used == parts + made.credit.minor > 0
            assert made.amount.minor == sum(part.amount.minor for part in made.cash_parts) + made.credit.minor
            assert made.credit_used == sum(part.amount.minor for part in made.credit_parts)
            assert made.credit.minor >= 0
            self.quotes.append(made)
            if at_once:
                self.confirm(-1, accept=True, hear=hear, then=then)

    @precondition(lambda self: any(one[2] for one in self.credits.values()))
    @rule(data=st.data(), minor=st.integers(1, 600), funding=FUNDING, hear=HEAR, then=MOVES)
    def pay_with_credit(self, data: st.DataObject, minor: int, funding: str | None, hear: int, then: str) -> None:
        """A new invoice, and unapplied credit before cash; without a method where it pays all."""
        customer, currency, available = data.draw(st.sampled_from([c for c in self.credits.values() if c[2]]))
        self.issue((customer, currency), minor, ALL)
        method = next(one for one in METHODS if (one.customer_id, one.funding) == (customer, funding))
        payable, choice = self.payable(customer, currency), Everything(currency)
        made = make_quote(None, choice, payable, RATE, NOW, 1, available, customer_id=customer)
        if isinstance(made, Refusal):
            made = make_quote(method, choice, payable, RATE, NOW, 1, available)
            assert isinstance(made, Refusal) or made.amount
        if isinstance(made, Quote):  # money that was on its way may have paid the invoice
            assert made.credit_used > 0
            self.quotes.append(made)
            self.confirm(-1, accept=True, hear=hear, then=then)

    def available(self, like: OpenInvoice) -> int:
        """Credit of an invoice's customer and currency, as payments knows it."""
        return sum(one[2] for one in self.credits.values() if one[:2] == (like.customer_id, like.currency))

    def payable(self, customer: str, currency: str) -> dict[str, OpenInvoice]:
        """What a customer can pay now in a currency, as payments knows it."""
        theirs = [one for one in self.copies.values() if (one.customer_id, one.currency) == (customer, currency)]
        return {one.id: one for one in theirs if one.payable_now > 0}

    @precondition(lambda self: self.quotes)
    @rule(place=st.integers(0, 9), accept=OFTEN, hear=HEAR, then=MOVES)
    def confirm(self, place: int, accept: bool, hear: int, then: str) -> None:
        quote = self.quotes.pop(place % len(self.quotes))
        method = next((one for one in METHODS if one.id == quote.method_id), None)
        if not still_fits(quote, self.copies):
            choice = choose_again(quote, self.copies)
            named = isinstance(choice, Wishes)
            invoices = self.copies if named else self.payable(quote.customer_id, quote.amount.currency)
            again = make_quote(method, choice, invoices, RATE, NOW) if choice and invoices else None
            assert choice is None or not invoices or isinstance(again, Quote) == (method is not None)
            return
        step = submit(quote, method.kind if method else None, accept, expected_by=DAY, now=NOW)
        assert isinstance(step, Step)
        self.take([step])
        self.deliver(hear)
        if step.payment.id in self.charges:
            self.decide(step.payment.id, then)
            self.observe(step.payment.id, -1, accept, 1)
            self.deliver(hear)

    @precondition(lambda self: len(self.payments) < 2 * len(self.charges) + 2)  # or nothing is left to charge
    @rule(whose=WHOSE, minor=st.integers(1, 1_200), data=st.data(), hear=HEAR)
    def receive(self, whose: tuple[str, str], minor: int, data: st.DataObject, hear: int) -> None:
        customer, currency = whose
        theirs = [one.id for one in self.copies.values() if (one.customer_id, one.currency) == whose]
        asked = data.draw(st.lists(st.sampled_from(theirs), unique=True, max_size=2)) if theirs else []
        parts = [Part(one, Money(minor, currency)) for one in asked]
        on_account = not asked and data.draw(st.booleans())
        self.take(
            [payment_store.receive(customer, Money(minor, currency), DAY, None, parts, NOW, on_account=on_account)]
        )
        self.deliver(hear)

    @precondition(lambda self: len(self.book.invoices) > 3)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        one = self.book.invoices[data.draw(st.sampled_from(list(self.book.invoices)))]
        paid = self.plain.balance(one.id) != one.total
        allowed = not (paid or self.plain.pending(one.id) or self.plain.invoices[one.id].void)
        try:
            self.book.void(one, DAY)
        except Refusal:
            assert not allowed
        else:
            assert allowed
            self.plain.invoices[one.id].void = True
        self.say_invoicing()

    @precondition(lambda self: self.charges)
    @rule(data=st.data(), what=MOVES, place=st.integers(-3, -1), evidence=OFTEN, times=st.integers(0, 2), hear=HEAR)
    def provider_says(self, data: st.DataObject, what: str, place: int, evidence: bool, times: int, hear: int) -> None:
        """A reply, a webhook or a poll shows its newest state or an older one: late, again, or not at all."""
        payment_id = data.draw(st.sampled_from(list(self.charges)))
        self.decide(payment_id, what)
        self.observe(payment_id, place, evidence, times)
        self.deliver(hear)

    @precondition(lambda self: any(charge.matched for charge in self.charges.values()))
    @rule(data=st.data(), what=BACK, evidence=OFTEN, hear=HEAR)
    def money_goes_back(self, data: st.DataObject, what: str, evidence: bool, hear: int) -> None:
        payment_id = data.draw(st.sampled_from([one for one, charge in self.charges.items() if charge.matched]))
        self.decide(payment_id, what)
        self.observe(payment_id, -1, evidence, 1)
        self.deliver(hear)

    @precondition(lambda self: any(self.refundable(payment) for payment in self.payments.values()))
    @rule(data=st.data(), part=st.integers(1, 1_300), times=st.integers(0, 2), hear=st.tuples(HEAR, HEAR))
    def a_refund_does_not_arrive(self, data: st.DataObject, part: int, times: int, hear: tuple[int, int]) -> None:
        """It goes by the provider's record, which is heard of or not, and fails there later."""
        payment = data.draw(st.sampled_from([one for one in self.payments.values() if self.refundable(one)]))
        known = list(self.reversals[payment.id].values())
        step = reversals.refund(payment, known, min(part, payment.amount.minor), "r", now=NOW, today=DAY)
        if isinstance(step, Step):
            self.take([step])
        for what, heard, often in (("refunded", hear[0], times), ("came_back", hear[1], 1)):
            self.decide(payment.id, what)
            self.observe(payment.id, -1, True, often)
            self.deliver(heard)

    def refundable(self, payment: Payment) -> bool:
        return payment.id in self.charges and self.charges[payment.id].matched and not payment.disputed

    def decide(self, payment_id: str, what: str) -> None:
        """The provider's own record goes on; what has ended without money there comes to money after all at times."""
        snapshots, total = self.charges[payment_id].snapshots, self.payments[payment_id].total
        last = snapshots[-1] if snapshots else None
        if last is None or last.state in ("processing", "declined"):
            state: Any = what if what in ("processing", "declined", "cancelled") else "succeeded"
            captured = zero(total.currency) if state != "succeeded" else total
            if what == "short":
                captured = Money(max(0, total.minor - 1), total.currency)
            snapshots.append(Seen("pi", state, captured, DAY, None, evidence=True))
        elif last.state == "succeeded" and last.captured != total:
            snapshots.append(replace(last, captured=total))
        if snapshots[-1].captured == total:
            back = self.decide_back(payment_id, what, {each.provider_id: each for each in snapshots[-1].back})
            snapshots.append(replace(snapshots[-1], back=tuple(back.values())))

    def decide_back(self, payment_id: str, what: str, back: dict[str, SeenBack]) -> dict[str, SeenBack]:
        """The provider carries out refunds as far as they fit; a bank takes what is left, or holds it, and decides."""
        total = self.payments[payment_id].total
        left = total.minor - sum(each.amount.minor for each in back.values() if each.state not in ("won", "failed"))
        held = next((each for each in back.values() if each.state == "open"), None)
        if what == "refunded" and held is None:
            for asked in self.reversals[payment_id].values():
                if asked.kind == "refund" and asked.id not in back:
                    fits = asked.total.minor <= left and asked.state == "requested"
                    state: Any = "succeeded" if fits else "failed"
                    back[asked.id] = SeenBack(asked.id, "refund", state, asked.total, DAY, None, asked.id)
                    left -= asked.total.minor if fits else 0
        elif what == "came_back":
            gone = [each for each in back.values() if each.kind == "refund" and each.state == "succeeded"]
            back |= {each.provider_id: replace(each, state="failed") for each in gone[:1]}
        elif what in ("lost", "won") and held is not None:
            back[held.provider_id] = replace(held, state="succeeded" if what == "lost" else "won")
        elif what in ("returned", "disputed") and left and held is None:
            kind: Any = "return" if what == "returned" else "chargeback"
            state = "succeeded" if what == "returned" else "open"
            money = Money(left if len(back) % 2 else left - left // 2, total.currency)
            back[f"du_{len(back)}"] = SeenBack(f"du_{len(back)}", kind, state, money, DAY, "R01")
        return back

    def observe(self, payment_id: str, place: int, evidence: bool, times: int) -> None:
        charge = self.charges[payment_id]
        seen = replace(
            charge.snapshots[max(place, -len(charge.snapshots))], evidence=evidence, asked=evidence and place == -1
        )
        for _ in range(times):
            self.expect(charge, self.payments[payment_id], seen)
            known = list(self.reversals[payment_id].values())
            self.take(observing.observe(self.payments[payment_id], seen, NOW, known))

    @precondition(lambda self: any(one.reconciliation == "matched" for one in self.payments.values()))
    @rule(data=st.data(), part=st.integers(1, 1_300), all_of_it=st.booleans(), hear=HEAR)
    def refund(self, data: st.DataObject, part: int, all_of_it: bool, hear: int) -> None:
        """Never more than is left, nor while a bank holds the money."""
        payment = data.draw(st.sampled_from([p for p in self.payments.values() if p.reconciliation == "matched"]))
        known = list(self.reversals[payment.id].values())
        left = payment.amount.minor - sum(r.amount.minor for r in known if r.state not in ("won", "failed"))
        step = reversals.refund(payment, known, None if all_of_it else part, "r", now=NOW, today=DAY)
        fits = left > 0 and not payment.disputed and (all_of_it or part <= left)
        assert isinstance(step, Step if fits else Refusal), step
        if isinstance(step, Step):
            self.take([step])
            self.deliver(hear)

    @precondition(lambda self: any(one.reconciliation == "matched" for one in self.payments.values()))
    @rule(data=st.data(), hear=HEAR)
    def a_receipt_is_voided(self, data: st.DataObject, hear: int) -> None:
        """Wherever its money has gone by then: only all of it, and only what nothing has gone back of."""
        payment = data.draw(st.sampled_from([p for p in self.payments.values() if p.reconciliation == "matched"]))
        known = list(self.reversals[payment.id].values())
        step = reversals.void(payment, known, "r", NOW)
        assert isinstance(step, Refusal if known or payment.way == "collect" else Step), step
        if isinstance(step, Step):
            self.take([step])
            self.deliver(hear)

    @precondition(lambda self: self.charges)
    @rule(data=st.data(), overdue=st.booleans())
    def nothing_is_heard(self, data: st.DataObject, overdue: bool) -> None:
        """A call's answer is lost, or the window passes."""
        payment = self.payments[data.draw(st.sampled_from(list(self.charges)))]
        if overdue and payment.expected_by and payment.reconciliation == "waiting":
            self.take([payment_store.overdue(payment)])
        elif step := unanswered(payment):
            self.take([step])

    @precondition(lambda self: any(self.wires.values()))
    @rule(count=st.integers(1, 3), choice=st.randoms(use_true_random=False))
    def deliver_some(self, count: int, choice: Random) -> None:
        for _ in range(count):
            if full := [wire for wire in self.wires.values() if wire]:
                self.hear(choice.choice(full).popleft())

    def deliver(self, count: int) -> None:
        """The oldest messages, and what they lead to; a wire stands still only for `deliver_some`."""
        while count and (full := [wire for wire in self.wires.values() if wire]):
            self.hear(full[0].popleft())
            count -= 1

    # --- how it travels

    def take(self, steps: list[Step]) -> None:
        """Payments saves steps, books their postings and says them."""
        for step in steps:
            self.payments[step.payment.id] = step.payment
            if step.reversal:
                self.reversals[step.payment.id][step.reversal.id] = step.reversal
            self.postings += [step.posting] if step.posting else []
        self.say(payment_events(steps, NOW))

    def say_invoicing(self) -> None:
        self.say(invoicing_messages.of(self.book.take_facts(), NOW))

    def say(self, messages: list[Message]) -> None:
        for message in messages:
            aggregate = (message.topic, message.aggregate)
            self.said[aggregate] += 1
            assert message.sequence == self.said[aggregate], "sequences have no gap"
            self.wires.setdefault(aggregate, deque()).append(message)

    def hear(self, message: Message) -> None:
        """What the services' handlers do, without their rows and locks."""
        match type_registry[message.type].model_validate_json(message.body):
            case payments_says.PaymentSubmitted() as event:
                parts = [Part(part.invoice_id, part.amount.money()) for part in event.asked]
                whose, used = (event.customer_id, event.amount.currency), event.credit_used
                credit = used.amount_minor if used else 0
                theirs = [p.id for p in self.payments.values() if (p.customer_id, p.amount.currency) == whose]
                wanted = {part.invoice_id: part.amount.minor for part in parts}
                self.plain.reserve(event.payment_id, wanted, theirs, credit)
                self.book.reserve(event.payment_id, *whose[:1], parts, whose[1], None, credit)
            case payments_says.PaymentReconciled() as event:
                parts = [Part(part.invoice_id, part.amount.money()) for part in event.asked]
                self.plain.settle(self.payments[event.payment_id])
                assert event.effective_on is not None
                self.book.settle(
                    event.payment_id, event.customer_id, event.amount.money(), parts, event.effective_on,
                    on_account=bool(event.on_account),
                )  # fmt: skip
            case payments_says.PaymentDeclined() | payments_says.PaymentCancelled() as event:
                self.plain.held.pop(event.payment_id, None)
                self.plain.held_credit.pop(event.payment_id, None)
                self.book.release(event.payment_id)
            case payments_says.PaymentReversed() as event:
                assert event.taken is not None
                if event.taken.amount_minor:
                    self.plain.take(event.payment_id, event.taken.amount_minor)
                    if event.voided:
                        self.book.unsettle(event.payment_id, booked_of(self.book, event.payment_id))
                    else:
                        self.book.reverse(event.payment_id, event.effective_on or DAY, event.taken.money())
            case payments_says.PaymentRefundFailed() as event:
                if event.came_back and event.came_back.amount_minor:
                    self.plain.credit[event.payment_id] += event.came_back.amount_minor
                    self.book.give_again(event.payment_id, event.came_back.money(), event.effective_on or DAY)
            case invoicing_says.ReservationPlaced() as event:
                payment = self.payments[event.payment_id]
                assert payment.status == "submitted", "nothing else waits for a reservation"
                if not payment.total:
                    self.take([settle_by_credit(payment, DAY)])
                    self.say_invoicing()
                    return
                method = next(one for one in METHODS if one.id == payment.method_id)
                step, attempt = payment_store.reserve(payment, method, "cus", NOW)
                assert attempt.amount == payment.total
                self.attempts[payment.id] += 1
                self.charges[payment.id] = Charge([])
                self.take([step])
            case invoicing_says.ReservationRefused() as event:
                assert self.payments[event.payment_id].status == "submitted"
                self.take([cancel(self.payments[event.payment_id], event.reason)])
            case invoicing_says.SettlementPosted() as event:
                allocations = tuple(Part(part.invoice_id, part.amount.money()) for part in event.allocations)
                payment = self.payments[event.payment_id]
                credit, by_credit = event.credit.amount_minor, payment.credit_paid
                if event.by_credit is not None:
                    by_credit = tuple(Part(part.invoice_id, part.amount.money()) for part in event.by_credit)
                self.payments[payment.id] = replace(
                    payment, allocations=allocations, credit=credit, credit_paid=by_credit
                )
            case invoicing_says.CreditChanged() as event:
                assert event.available is not None
                free = (event.customer_id, event.balance.currency, event.available.amount_minor)
                self.credits[event.credit_id] = free
            case invoicing_says.SettlementReversed() | invoicing_says.CreditApplied() as event:
                assert event.credit_left is not None
                left, credit = tuple(Part(p.invoice_id, p.amount.money()) for p in event.left), event.credit_left
                payment = self.payments[event.payment_id]
                self.payments[payment.id] = replace(payment, allocations=left, credit=credit.amount_minor)
                self.follow_credit(event, message.sequence)
            case invoicing_says.InvoiceState() as event:
                self.copies[event.invoice_id] = OpenInvoice(
                    event.invoice_id, event.customer_id, event.number, event.status, event.total.currency,
                    event.issued_on, event.due_on, event.payable_now.amount_minor,
                )  # fmt: skip
        self.say_invoicing()

    def follow_credit(
        self, event: invoicing_says.SettlementReversed | invoicing_says.CreditApplied, place: int
    ) -> None:
        applied_by = event.applied_by if isinstance(event, invoicing_says.CreditApplied) else None
        parts = tuple((part.invoice_id, part.amount.amount_minor) for part in event.allocations)
        for use in credit_uses.follow_credit(self.uses, [Moved(event.payment_id, place, parts, applied_by)]):
            (before,) = [one for one in self.uses if replace(one, gone=use.gone) == use] or [replace(use, gone=0)]
            self.uses = [one for one in self.uses if one != before] + [use]
            if went := use.gone - before.gone:
                payment = self.payments[use.payment_id]
                gone = (*payment.credit_gone, Part(use.invoice_id, Money(went, payment.amount.currency)))
                self.payments[payment.id] = replace(payment, credit_gone=by_invoice(gone))

    def expect(self, charge: Charge, payment: Payment, seen: Seen) -> None:
        """Only the provider's own record of the whole sum is money, and none is after an end without money."""
        if seen.state in ("declined", "cancelled"):
            charge.over |= not charge.money
        elif seen.state == "succeeded" and not charge.over:
            charge.money = True
            charge.matched |= seen.evidence and seen.captured == payment.total
            if charge.matched and seen.evidence:
                failed = {each.provider_id for each in seen.back if each.state == "failed"}
                charge.came_back |= failed & charge.gone.keys()
                charge.never_went |= failed - charge.gone.keys() - charge.came_back
                succeeded = [each for each in seen.back if each.state == "succeeded"]
                gone = [each for each in succeeded if each.provider_id not in charge.never_went]  # else an older word
                charge.gone |= {each.provider_id: each.amount.minor for each in gone}
                for one in charge.came_back & charge.gone.keys():
                    del charge.gone[one]

    # --- what holds after every step

    @invariant()
    def the_ledger_is_at_zero(self) -> None:
        for posting in self.postings:
            assert len({money.currency for _, money in posting.entries}) == 1
            assert sum(money.minor for _, money in posting.entries) == 0
        booked = Counter((posting.payment_id, posting.kind, posting.reversal_id) for posting in self.postings)
        assert not booked or max(booked.values()) == 1, "a payment is booked once, and so is each way back of it"
        held: Counter[str] = Counter()
        for posting in self.postings:
            for account, money in posting.entries:
                held[posting.payment_id] += money.minor if account == "disputed" else 0
        assert all(held[payment.id] == payment.disputed for payment in self.payments.values())

    @invariant()
    def money_is_what_the_provider_recorded_or_was_received(self) -> None:
        for payment in self.payments.values():
            charge = self.charges.get(payment.id, Charge([]))
            by_credit = not payment.total and payment.status == "succeeded"
            matched = payment.way == "receive" or charge.matched or by_credit
            assert (payment.reconciliation == "matched") == matched
            known = self.reversals[payment.id].values()
            assert payment.reversed == sum(r.total.minor for r in known if r.state == "succeeded")
            assert payment.going_back == sum(r.total.minor for r in known if r.state not in ("won", "failed"))
            assert payment.way == "receive" or payment.reversed == sum(charge.gone.values())
            assert 0 <= payment.disputed <= payment.going_back - payment.reversed
            assert payment.going_back <= payment.total.minor
            if charge.over or charge.money:
                assert payment.status in (("declined", "cancelled") if charge.over else ("succeeded",))
            assert self.attempts[payment.id] <= 1

    @invariant()
    def invoices_are_as_in_the_model(self) -> None:
        assert self.book.invoices.keys() == self.plain.invoices.keys()
        for one in self.book.invoices.values():
            assert (one.status, one.pending) == (self.plain.status(one.id), self.plain.pending(one.id))
            assert one.balance == self.plain.balance(one.id)
            assert one.balance >= one.pending >= 0
            entries = sum(entry.amount for entry in self.book.entries if entry.invoice.id == one.id)
            assert entries == (0 if one.state == "void" else one.balance)
        credits = {one.payment_id: one.balance for one in self.book.credits.values() if one.balance}
        assert credits == {one: left for one, left in self.plain.credit.items() if left}

    @invariant()
    def the_two_books_agree(self) -> None:
        """Per customer and currency customer_funds = settled + credit, but for what invoicing has yet to hear of."""
        funds: Counter[tuple[str, str]] = Counter()
        for posting in self.postings:
            for account, money in posting.entries:
                if account == "customer_funds":
                    funds[posting.customer_id, money.currency] -= money.minor
        for message in (message for wire in self.wires.values() for message in wire):
            payment = self.payments.get(message.aggregate)
            if payment is not None and message.type == "PaymentReconciled":
                funds[payment.customer_id, payment.amount.currency] -= payment.amount.minor
            if payment is not None and message.type == "PaymentReversed":
                back = payments_says.PaymentReversed.model_validate_json(message.body).taken
                funds[payment.customer_id, payment.amount.currency] += back.amount_minor if back else 0
            if payment is not None and message.type == "PaymentRefundFailed":
                again = payments_says.PaymentRefundFailed.model_validate_json(message.body).came_back
                funds[payment.customer_id, payment.amount.currency] -= again.amount_minor if again else 0
        held: Counter[tuple[str, str]] = Counter()
        for one in self.book.invoices.values():
            held[one.customer_id, one.currency] += one.settled
        for credit in self.book.credits.values():
            held[credit.customer_id, credit.currency] += credit.balance
        assert funds == held

    def teardown(self) -> None:
        for one in self.patches:
            one.stop()
        self.when_all_is_heard_each_knows_what_the_other_knows()

    def when_all_is_heard_each_knows_what_the_other_knows(self) -> None:
        self.deliver(ALL)
        self.the_two_books_agree()
        self.invoices_are_as_in_the_model()
        for one in self.book.invoices.values():
            copy = self.copies[one.id]
            assert (copy.status, copy.payable_now) == (one.status, one.payable_now)
        for payment in self.payments.values():
            reservation = self.book.reservations.get(payment.id)
            held = reservation is not None and reservation.state == "placed"
            assert held == (payment.way == "collect" and not self.ended(payment)), payment
            if payment.reconciliation == "matched":
                left = payment.amount.minor - payment.reversed + payment.reversed_surcharge
                assert sum(part.amount.minor for part in payment.allocations) + payment.credit == left
                by_credit = Counter[str]()
                for _, invoice, _, minor in (use for use in self.plain.uses if use[2] == payment.id and use[3]):
                    by_credit[invoice] += minor
                assert {part.invoice_id: part.amount.minor for part in payment.credit_allocations} == by_credit

    @staticmethod
    def ended(payment: Payment) -> bool:
        return payment.status in ("declined", "cancelled") or payment.reconciliation == "matched"


TestTwoBooks = TwoBooks.TestCase
_examples, _steps = map(int, os.environ.get("TWO_BOOKS", "200x30").split("x"))
TestTwoBooks.settings = settings(
    max_examples=_examples, stateful_step_count=_steps, deadline=None, derandomize=True, database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
