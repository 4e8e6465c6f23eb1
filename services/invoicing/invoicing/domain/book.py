"""The book: decides issue, reservation, settlement and reversal on locked rows. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from contracts.allocation import Allocation, Part, allocate, allocate_as_asked, oldest_first
from contracts.money import Money, total
from contracts.refusals import Refusal
from invoicing.domain.credits import Credit
from invoicing.domain.disputes import CreditNote, Dispute
from invoicing.domain.invoices import Change, Invoice, State, step
from invoicing.domain.reservations import Reservation
from invoicing.domain.settlements import Applied, Booked, Settlement, TakenBack, less, more, newest_first

MOST_PARTS = 1_000  # of one payment


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of invoicing's book; the signed sum of an invoice's entries is its balance.

    `payment_id`: the payment, or the credit note, that pays.
    """

    invoice: Invoice
    kind: Literal["issue", "credit", "settle", "reverse", "void"]
    amount: int
    effective_on: date
    payment_id: str | None = None


Fact = Change | Reservation | Settlement | TakenBack | Applied | Credit


@dataclass(slots=True)
class Book:
    """The locked rows that decisions are made on, and what the decisions changed, in order."""

    invoices: dict[str, Invoice] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    settlements: dict[str, Settlement] = field(default_factory=dict)
    credits: dict[str, Credit] = field(default_factory=dict)  # by payment, or by credit note
    disputes: dict[str, Dispute] = field(default_factory=dict)  # those of the invoices here that still matter
    noted: dict[str, int] = field(default_factory=dict)  # minor units of all credit notes, by invoice
    last_number: int | None = 0  # of a credit note; None: not locked, so none may be issued

    entries: list[Entry] = field(default_factory=list)
    credit_entries: list[tuple[Credit, int, date]] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)  # payments whose reservation or settlement changed
    invoices_touched: set[str] = field(default_factory=set)
    credits_touched: set[str] = field(default_factory=set)
    disputes_touched: set[str] = field(default_factory=set)
    notes: list[CreditNote] = field(default_factory=list)  # new ones

    # What has not been said yet, in order; an invoice or a credit has one place, its newest state.
    facts: dict[object, Fact] = field(default_factory=dict)
    said: dict[object, Invoice | Credit] = field(default_factory=dict)  # as each of them was when it was last said

    def take_facts(self) -> list[Fact]:
        """What decisions have led to since the last time, in order.

        Each invoice and each credit has one fact, with its final state: no event has a state that was never stored.
        """
        facts, self.facts, self.said = list(self.facts.values()), {}, {}
        return facts

    def issue(self, invoice: Invoice, lines: Sequence[int] | None = None) -> Invoice:
        """Issue an invoice: it is owed from its issue date on. `lines`: what each comes to, for the event."""
        if invoice.state != "draft":
            detail = f"invoice {invoice.number} is {invoice.status}, not a draft"
            raise Refusal(
                "not-a-draft", detail, conflict=True, values={"number": invoice.number, "status": invoice.status}
            )
        self.invoices.setdefault(invoice.id, invoice)
        issued = self._change(replace(invoice, state="open"), lines=tuple(lines) if lines else None)
        self.entries.append(Entry(issued, "issue", issued.total, issued.issued_on))
        return issued

    def void(self, invoice: Invoice, today: date, reason: str | None = None) -> Invoice:
        """Void an invoice, if nothing of it is paid, credited or under way. Its customer sees the reason.

        A credit note counts although it paid another invoice: its customer would keep the credit of an invoice that was
        never paid.
        """
        if invoice.pending:
            detail = f"a payment of invoice {invoice.number} is under way"
            raise Refusal("payment-under-way", detail, conflict=True, values={"number": invoice.number})
        if invoice.state not in ("draft", "open") or invoice.settled or invoice.credited or self.noted.get(invoice.id):
            how = "partly paid or credited" if invoice.state == "open" else invoice.status
            detail = f"invoice {invoice.number} is {how}; only one of which nothing is paid or credited can be voided"
            raise Refusal(
                "not-voidable", detail, conflict=True, values={"number": invoice.number, "status": invoice.status}
            )
        voided = self._change(replace(invoice, state="void"), reason=reason)
        if invoice.state == "open":
            self.entries.append(Entry(voided, "void", -invoice.balance, max(today, voided.issued_on)))
        return voided

    def reserve(
        self,
        payment_id: str,
        customer_id: str,
        parts: Sequence[Part],
        currency: str,
        expected_by: date | None = None,
        credit: int = 0,
    ) -> Reservation:
        """Reserve all parts and all of the credit, or nothing if one invoice can't take its part."""
        refused = next((part.invoice_id for part in parts if not self._can_take(part, customer_id)), None)
        picked = self._oldest_credit(customer_id, currency, credit)
        if refused is None and picked is None:
            refused = parts[0].invoice_id
        state: Literal["refused", "placed"] = "refused" if refused else "placed"
        reservation = Reservation(
            payment_id, customer_id, currency, state, tuple(parts), 1, refused, expected_by, picked or ()
        )
        self._keep(reservation)
        if not refused:
            self._hold(reservation.credits, 1)
            for part in parts:
                invoice = self.invoices[part.invoice_id]
                self._change(replace(invoice, pending=invoice.pending + part.amount.minor), payment_id)
        return reservation

    def release(self, payment_id: str) -> None:
        """End a reservation for which no money came. A reservation that was refused or has ended stays as it is."""
        reservation = self.reservations.get(payment_id)
        if reservation is None or reservation.state != "placed":
            return
        self._keep(replace(reservation, state="released", sequence=reservation.sequence + 1))
        self._hold(reservation.credits, -1)
        for part in reservation.parts:
            invoice = self.invoices[part.invoice_id]
            self._change(replace(invoice, pending=invoice.pending - part.amount.minor), payment_id)

    def settle(
        self,
        payment_id: str,
        customer_id: str,
        amount: Money,
        asked: Sequence[Part],
        effective_on: date,
        *,
        on_account: bool = False,
    ) -> Settlement:
        """Settle reconciled money: the reservation, else as asked, else the oldest first. The rest is credit.

        `on_account`: all of it becomes credit.
        """
        reservation = self.reservations.get(payment_id)
        held = reservation is not None and reservation.state == "placed"
        by_credit: tuple[Part, ...] = ()
        if reservation is not None and held:
            self._free(reservation)
            asked, by_credit = self._apply_credit(reservation, effective_on)
        named = [self.invoices[part.invoice_id] for part in asked if part.invoice_id in self.invoices]
        theirs = [
            invoice
            for invoice in (named if asked else self.invoices.values())
            if invoice.customer_id == customer_id and invoice.currency == amount.currency
        ]
        if on_account:
            shared = Allocation((), credit=amount)
        elif asked or (reservation is not None and held and reservation.parts):
            shared = allocate_as_asked(amount, asked, [invoice.due() for invoice in theirs])
        else:
            payable = [invoice.due() for invoice in theirs if invoice.state == "open" and invoice.payable_now]
            shared = allocate(amount, sorted(payable, key=oldest_first)[:MOST_PARTS])
        for part in shared.parts:
            self._pay(self.invoices[part.invoice_id], part.amount.minor, effective_on, payment_id)
        if reservation is not None and held:
            self._make_good(reservation, shared.parts, payment_id)
        settlement = Settlement(payment_id, customer_id, shared.parts, shared.credit, effective_on)
        self.settlements[payment_id] = settlement
        self.touched.add(payment_id)
        used_credit = reservation is not None and bool(reservation.credits)
        self._say(replace(settlement, by_credit=by_credit) if used_credit else settlement)
        if shared.credit:
            self._credit(payment_id, customer_id, shared.credit, effective_on)
        return settlement

    def reverse(self, payment_id: str, effective_on: date, taken: Money | None = None) -> None:
        """Take a settlement back, all of it or `taken`: unspent credit first, then what it paid, newest first.

        Its invoices are owed again with their old due dates. ValueError: nothing, or less than `taken`, is left of it.
        """
        settlement = self.settlements[payment_id]
        paid, unspent = settlement.parts, self._unspent(payment_id, settlement)
        all_of_it = total([part.amount for part in paid], unspent.currency) + unspent
        taken = all_of_it if taken is None else taken
        effective_on = max(effective_on, settlement.effective_on)
        if not taken or all_of_it < taken:
            raise ValueError(f"{taken} can't be taken from settlement {payment_id}: {all_of_it} is left")
        credit = taken.capped_at(unspent)
        back = newest_first(paid, taken - credit)
        for part in back:
            self._owe_again(self.invoices[part.invoice_id], part.amount.minor, effective_on, payment_id)
        left = replace(
            settlement, parts=less(paid, back), credit=settlement.credit - credit, sequence=settlement.sequence + 1,
            reversed=taken == all_of_it, effective_on=effective_on,
        )  # fmt: skip
        self.settlements[payment_id] = replace(left, effective_on=settlement.effective_on)
        self.touched.add(payment_id)
        self._say(TakenBack(back, credit, left))
        if credit:
            self._take_credit(self.credits[payment_id], credit.minor, effective_on)

    def unsettle(self, payment_id: str, booked: Booked) -> None:
        """Undo a settlement of a voided receipt: its invoices are owed from the day on which they had been paid.

        Each of its entries is booked with the opposite sign on its own day, so that it counts on no day.
        ValueError: `booked` is not what is left of it.
        """
        settlement, unspent = self.settlements[payment_id], self._unspent(payment_id, self.settlements[payment_id])
        sums = dict.fromkeys((invoice_id for invoice_id, _, _ in booked.paid), 0)
        for invoice_id, minor, _ in booked.paid:
            sums[invoice_id] += minor
        of_credit = sum(minor for minor, _ in booked.credit)
        if (sums, of_credit) != ({part.invoice_id: part.amount.minor for part in settlement.parts}, unspent.minor):
            raise ValueError(f"what was booked for settlement {payment_id} is not what is left of it")
        for part in settlement.parts:
            self._take_off(self.invoices[part.invoice_id], part.amount.minor, payment_id)
        for invoice_id, minor, day in booked.paid:
            self.entries.append(Entry(self.invoices[invoice_id], "reverse", minor, day, payment_id))
        none = replace(
            settlement, parts=(), credit=settlement.credit - unspent, sequence=settlement.sequence + 1, reversed=True
        )
        self.settlements[payment_id] = none
        self.touched.add(payment_id)
        days = [*(day for _, _, day in booked.paid), *(day for _, day in booked.credit)]
        first = min(days, default=settlement.effective_on)
        self._say(TakenBack(settlement.parts, unspent, replace(none, effective_on=first)))
        if unspent:
            self._lower(self.credits[payment_id], unspent.minor)
        self.credit_entries += [(self.credits[payment_id], -minor, day) for minor, day in booked.credit]

    def give_again(self, payment_id: str, money: Money, effective_on: date) -> None:
        """Money that had been taken from a settlement did come back: it becomes the customer's unapplied credit."""
        settlement = self.settlements[payment_id]
        effective_on = max(effective_on, settlement.effective_on)
        here = replace(
            settlement, credit=settlement.credit + money, sequence=settlement.sequence + 1, reversed=False,
            effective_on=effective_on,
        )  # fmt: skip
        self.settlements[payment_id] = here
        self.touched.add(payment_id)
        self._say(here)
        self._credit(payment_id, settlement.customer_id, money, effective_on)

    def restate(self, invoice: Invoice, dispute: Dispute | None, uncredited: tuple[str, ...] = ()) -> None:
        """Keep what disputes hold of an invoice. `dispute`: the one whose hold began or ended, if its event says so."""
        self._change(invoice, dispute=dispute, uncredited=uncredited)

    def credit_invoice(
        self, invoice: Invoice, minor: int, on: date, note_id: str, caused_by: str | None = None
    ) -> None:
        """A credit note pays so much of an invoice, which no money did."""
        credited = replace(invoice, credited=invoice.credited + minor)
        if not credited.balance:
            credited = replace(credited, state="paid")
        credited = self._change(credited, caused_by)
        self.entries.append(Entry(credited, "credit", -minor, credited.counts_from(on), note_id))

    def give_credit(self, credit: Credit, on: date) -> None:
        """What a new credit note leaves over is the customer's credit, if there is any; its event is about both."""
        if credit.amount:
            self.credit_entries.append((self._keep_credit(credit), credit.amount, on))
        else:
            self._say(replace(credit, sequence=1))

    def next_number(self) -> str:
        assert self.last_number is not None
        self.last_number += 1
        return f"CN-{self.last_number}"

    def _unspent(self, payment_id: str, settlement: Settlement) -> Money:
        credit = self.credits.get(payment_id)
        return Money(credit.balance if credit else 0, settlement.credit.currency)

    def _owe_again(self, invoice: Invoice, minor: int, effective_on: date, payment_id: str) -> None:
        day = invoice.counts_from(effective_on)
        back = self._take_off(replace(invoice, reopened_on=day), minor, payment_id)
        self.entries.append(Entry(back, "reverse", minor, day, payment_id))

    def _take_off(self, invoice: Invoice, minor: int, payment_id: str) -> Invoice:
        state: State = "open" if invoice.state == "paid" else invoice.state
        return self._change(replace(invoice, settled=invoice.settled - minor, state=state), payment_id)

    def _take_credit(self, credit: Credit, minor: int, effective_on: date) -> None:
        self.credit_entries.append((self._lower(credit, minor), -minor, effective_on))

    def _lower(self, credit: Credit, minor: int) -> Credit:
        return self._keep_credit(replace(credit, balance=credit.balance - minor))

    def _oldest_credit(self, customer_id: str, currency: str, minor: int) -> tuple[tuple[str, int], ...] | None:
        """The customer's oldest credit that comes to this amount; None if there is not enough."""
        picked = []
        for credit in sorted(self.credits.values(), key=lambda each: each.payment_id):
            share = min(minor, credit.available)
            if share > 0 and (credit.customer_id, credit.currency) == (customer_id, currency):
                picked.append((credit.payment_id, share))
                minor -= share
        return None if minor else tuple(picked)

    def _hold(self, picked: Sequence[tuple[str, int]], sign: Literal[1, -1]) -> None:
        for payment_id, minor in picked:
            credit = self.credits[payment_id]
            self._keep_credit(replace(credit, pending=credit.pending + sign * minor))

    def _apply_credit(self, reservation: Reservation, effective_on: date) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """Credit pays the first of what was reserved with it; gives the parts that are left for cash, and what it paid.

        Credit that went back in the meantime pays nothing, and no cash replaces it.
        """
        left = {part.invoice_id: part.amount for part in reservation.parts}
        by_credit: tuple[Part, ...] = ()
        for payment_id, minor in reservation.credits:
            credit, planned, spent = self.credits[payment_id], Money(minor, reservation.currency), []
            usable = planned.capped_at(Money(credit.balance, reservation.currency))
            for invoice_id, amount in left.items():
                share = planned.capped_at(amount)
                left[invoice_id], planned = amount - share, planned - share
                paid = usable.capped_at(share)
                usable -= paid
                if paid:
                    spent.append(Part(invoice_id, paid))
            self._spend(credit, spent, effective_on, reservation.payment_id)
            by_credit = more(by_credit, spent)
        return tuple(Part(invoice_id, amount) for invoice_id, amount in left.items() if amount), by_credit

    def _spend(self, credit: Credit, parts: Sequence[Part], effective_on: date, applied_by: str) -> None:
        """The credit's money pays invoices: from then on its own settlement pays them, as its newest parts.

        Of a credit note, which brought no money, they are credited.
        """
        if not parts:
            return
        if credit.note is not None:
            on = max(effective_on, credit.note.issued_on)
            for part in parts:
                self.credit_invoice(self.invoices[part.invoice_id], part.amount.minor, on, credit.note.id, applied_by)
            self._take_credit(credit, total([part.amount for part in parts], credit.currency).minor, on)
            return
        settlement = self.settlements[credit.payment_id]
        effective_on = max(effective_on, settlement.effective_on)
        for part in parts:
            self._pay(self.invoices[part.invoice_id], part.amount.minor, effective_on, credit.payment_id, applied_by)
        spent = total([part.amount for part in parts], credit.currency)
        now = replace(
            settlement, parts=more(settlement.parts, parts), credit=settlement.credit - spent,
            sequence=settlement.sequence + 1, effective_on=effective_on,
        )  # fmt: skip
        self.settlements[credit.payment_id] = now
        self.touched.add(credit.payment_id)
        self._say(Applied(tuple(parts), spent, applied_by, now))
        self._take_credit(credit, spent.minor, effective_on)

    def _can_take(self, part: Part, customer_id: str) -> bool:
        invoice = self.invoices.get(part.invoice_id)
        return (
            invoice is not None
            and invoice.customer_id == customer_id
            and invoice.currency == part.amount.currency
            and 0 < part.amount.minor <= invoice.payable_now
        )

    def _free(self, reservation: Reservation) -> None:
        """Free what a reservation holds, within the step that settles it, so without an event."""
        self.reservations[reservation.payment_id] = replace(reservation, state="settled")
        self.touched.add(reservation.payment_id)
        for part in reservation.parts:
            invoice = self.invoices[part.invoice_id]
            self.said.setdefault(("invoice", invoice.id), invoice)
            self.invoices[part.invoice_id] = replace(invoice, pending=invoice.pending - part.amount.minor)
        self._hold(reservation.credits, -1)

    def _make_good(self, reservation: Reservation, paid: Iterable[Part], payment_id: str) -> None:
        """Make invoices payable again that were reserved and got nothing, because the provider took less."""
        got = {part.invoice_id for part in paid}
        for part in reservation.parts:
            if part.invoice_id not in got:
                self._change(self.invoices[part.invoice_id], payment_id)

    def _pay(
        self, invoice: Invoice, minor: int, effective_on: date, payment_id: str, caused_by: str | None = None
    ) -> None:
        paid = replace(invoice, settled=invoice.settled + minor)
        if not paid.balance:
            paid = replace(paid, state="paid")
        paid = self._change(paid, caused_by or payment_id)
        self.entries.append(Entry(paid, "settle", -minor, paid.counts_from(effective_on), payment_id))

    def _credit(self, payment_id: str, customer_id: str, money: Money, effective_on: date) -> None:
        none = Credit(payment_id, customer_id, payment_id, money.currency, 0, 0, 0)
        before = self.credits.get(payment_id, none)
        balance = before.balance + money.minor
        credit = self._keep_credit(replace(before, amount=max(before.amount, balance), balance=balance))
        self.credit_entries.append((credit, money.minor, effective_on))

    def _keep(self, reservation: Reservation) -> None:
        self.reservations[reservation.payment_id] = reservation
        self.touched.add(reservation.payment_id)
        self._say(reservation)

    def _change(
        self, invoice: Invoice, payment_id: str | None = None, reason: str | None = None,
        lines: tuple[int, ...] | None = None, dispute: Dispute | None = None, uncredited: tuple[str, ...] = (),
    ) -> Invoice:  # fmt: skip
        key = ("invoice", invoice.id)
        before = self.said.setdefault(key, self.invoices.get(invoice.id, invoice))
        assert isinstance(before, Invoice)
        changed = replace(invoice, sequence=before.sequence + 1)
        self.invoices[changed.id] = changed
        self.invoices_touched.add(changed.id)
        earlier = self.facts.get(key)
        if isinstance(earlier, Change):  # one event says all that happened
            payment_id, reason, lines = (
                payment_id or earlier.payment_id,
                reason or earlier.reason,
                lines or earlier.lines,
            )
            uncredited = earlier.uncredited + uncredited
        what = step(before, changed, dispute)
        self.facts[key] = Change(changed, what, payment_id, reason, lines, dispute, uncredited)
        return changed

    def _keep_credit(self, credit: Credit) -> Credit:
        key = ("credit", credit.payment_id)
        before = self.said.setdefault(key, self.credits.get(credit.payment_id, credit))
        kept = replace(credit, sequence=before.sequence + 1)
        self.credits[credit.payment_id] = kept
        self.credits_touched.add(credit.payment_id)
        self.facts[key] = kept
        return kept

    def _say(self, fact: Fact) -> None:
        self.facts[object()] = fact
