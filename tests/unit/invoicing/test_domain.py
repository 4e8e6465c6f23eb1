"""The rules of invoices, as a model-based specification."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from contracts.allocation import Part
from contracts.invoicing import SettlementPosted
from contracts.money import Money
from contracts.refusals import Refusal
from invoicing import messages
from invoicing.domain import (
    Book,
    Change,
    Credit,
    Dispute,
    Invoice,
    Settlement,
    TakenBack,
    accept,
    credit_accepted,
    disputed,
    end_hold,
    line_totals,
    price,
    raise_dispute,
)
from tests.kit.books import booked_of

TODAY = date(2026, 3, 1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def invoice(number: str = "INV-1", total: int = 10_000, **more: object) -> Invoice:
    return Invoice(number, "customer", number, "USD", "draft", date(2026, 1, 1), date(2026, 1, 31), total, **more)  # type: ignore[arg-type]


def book_with(*invoices: Invoice) -> Book:
    book = Book()
    for one in invoices:
        book.issue(one)
    book.take_facts()
    return book


def part(number: str, minor: int) -> Part:
    return Part(number, Money(minor, "USD"))


def usd(minor: int) -> Money:
    return Money(minor, "USD")


@dataclass
class Line:
    quantity: Decimal
    unit_price_minor: int
    tax_rate: Decimal


class TestTotals:
    def test_tax_is_rounded_once_on_the_sum(self) -> None:
        lines = [Line(Decimal("0.5"), 333, Decimal("0.0825"))] * 2
        priced = price(lines)
        assert priced.nets == (167, 167)
        assert priced.taxes == ((Decimal("0.0825"), 334, 28),)
        assert priced.total == 362

    def test_zero_or_less_is_refused(self) -> None:
        with pytest.raises(Refusal, match="above zero"):
            price([Line(Decimal(1), -5, Decimal(0))])

    def test_too_large_line_is_refused_despite_its_discount(self) -> None:
        huge = Line(Decimal(999_999_999), 10**15 - 1, Decimal(0))
        with pytest.raises(Refusal, match="line 0"):
            price([huge, Line(huge.quantity, -huge.unit_price_minor, Decimal(0)), Line(Decimal(1), 7, Decimal(0))])


class TestLineTotals:
    RATES = st.sampled_from(["0", "0.0825", "0.07", "0.19", "1"]).map(Decimal)
    LINES = st.builds(Line, st.decimals("0.001", 100, places=3), st.integers(-500, 10_000), RATES)

    def totals(self, lines: list[Line]) -> tuple[int, ...]:
        priced = price(lines)
        rates = [line.tax_rate.normalize() for line in lines]
        return line_totals(list(zip(rates, priced.nets, strict=True)), {rate: tax for rate, _, tax in priced.taxes})

    def test_tax_that_does_not_divide_goes_round(self) -> None:
        assert self.totals([Line(Decimal("0.5"), 333, Decimal("0.0825"))] * 2) == (181, 181)
        assert self.totals([Line(Decimal(1), 5, Decimal("0.1"))] * 3) == (6, 6, 5)

    @given(st.lists(LINES, min_size=1, max_size=12))
    def test_sum_is_the_total(self, lines: list[Line]) -> None:
        try:
            priced = price(lines)
        except Refusal:
            return
        totals = self.totals(lines)
        assert sum(totals) == priced.total
        for line, net, whole in zip(lines, priced.nets, totals, strict=True):
            assert abs(whole - net - net * line.tax_rate) < 1

    def test_disputed_is_at_most_what_lines_come_to(self) -> None:
        assert disputed((600, 400, -100), [(1, None), (2, 500)]) == 900
        assert disputed((600, 400, -100), [(2, 50), (3, None), (4, 7), (0, None)]) == 50


def held_book(*disputes: tuple[str, int], settled: int = 0) -> Book:
    """An invoice of 1,000, of which so much is paid, with disputes."""
    book = book_with(invoice("A", 1_000))
    if settled:
        book.settle("cheque", "customer", usd(settled), [part("A", settled)], TODAY)
    for name, minor in disputes:
        raise_dispute(book, Dispute(name, "customer", "A", minor), TODAY)
    book.take_facts()
    return book


def changes(book: Book) -> list[str]:
    return [fact.what for fact in book.take_facts() if isinstance(fact, Change)]


def uncredited(book: Book) -> list[tuple[str, ...]]:
    """The disputes that each event of an invoice says to end without a credit note."""
    found = [messages.of([fact], NOW)[0] for fact in book.take_facts() if isinstance(fact, Change)]
    return [tuple(json.loads(one.body).get("uncredited", ())) for one in found]


class TestDisputes:
    def test_what_is_disputed_is_held(self) -> None:
        book = held_book()
        raise_dispute(book, Dispute("d", "customer", "A", 300), TODAY)
        assert changes(book) == ["held"]
        one = book.invoices["A"]
        assert (one.disputed, one.held, one.payable_now, one.status) == (300, 300, 1_000, "open")
        raise_dispute(book, Dispute("d", "customer", "A", 300), TODAY)
        assert changes(book) == []

    def test_rejected_is_held_some_days_longer(self) -> None:
        book, until = held_book(("d", 300), ("e", 100)), date(2026, 3, 6)
        end_hold(book, "d", "rejected", TODAY, until)
        assert changes(book) == ["hold_ended"]
        one = book.invoices["A"]
        assert (one.disputed, one.held, one.held_until) == (100, 400, until)
        end_hold(book, "e", "withdrawn", date(2026, 3, 7))
        one = book.invoices["A"]
        assert (one.disputed, one.held, one.held_until) == (0, 0, None)

    def test_accepted_reduces_or_pays(self) -> None:
        book = held_book(("d", 300), ("e", 700))
        accept(book, "d", TODAY)
        (change, credit) = book.take_facts()
        assert isinstance(change, Change)
        assert isinstance(credit, Credit)
        assert credit.note is not None
        assert (change.what, change.invoice.balance, change.invoice.disputed) == ("changed", 700, 700)
        assert (credit.note.amount, credit.note.applied, credit.balance, credit.sequence) == (300, 300, 0, 1)
        accept(book, "e", TODAY)
        assert changes(book) == ["paid"]
        assert [note.number for note in book.notes] == ["CN-1", "CN-2"]
        accept(book, "e", TODAY)
        assert changes(book) == []

    def test_what_is_paid_already_becomes_credit(self) -> None:
        book = held_book(("d", 300), settled=900)
        accept(book, "d", TODAY)
        assert book.invoices["A"].status == "paid"
        ((note, credit),) = [(note, book.credits[note.id]) for note in book.notes]
        assert (note.applied, credit.balance) == (100, 200)

    def test_waits_for_money_under_way(self) -> None:
        book = held_book(("d", 300))
        book.reserve("pay", "customer", [part("A", 800)], "USD")
        accept(book, "d", TODAY)
        assert not book.notes
        assert book.invoices["A"].disputed == 300
        book.settle("pay", "customer", usd(800), [part("A", 800)], TODAY)
        credit_accepted(book, TODAY)
        (note,) = book.notes
        assert (note.applied, book.credits[note.id].balance, book.invoices["A"].status) == (200, 100, "paid")

    def test_other_money_under_way_stops_nothing(self) -> None:
        book = held_book(("d", 300))
        book.reserve("pay", "customer", [part("A", 700)], "USD")
        accept(book, "d", TODAY)
        assert (book.invoices["A"].payable_now, book.invoices["A"].status) == (0, "in_progress")
        book.settle("pay", "customer", usd(700), [part("A", 700)], TODAY)
        assert book.invoices["A"].status == "paid"

    def test_no_more_is_credited_than_invoiced(self) -> None:
        book = held_book(("d", 1_000), settled=1_000)
        accept(book, "d", TODAY)
        raise_dispute(book, Dispute("e", "customer", "A", 1_000), TODAY)
        assert uncredited(book) == [()]
        accept(book, "e", TODAY)
        assert uncredited(book) == [("e",)]
        assert [note.amount for note in book.notes] == [1_000]

    def test_waiting_ones_without_a_note_are_named(self) -> None:
        """They end with the payment, in its event: the oldest takes all that can be credited."""
        book = held_book(("d", 1_000), ("e", 1_000), ("f", 1_000))
        book.reserve("pay", "customer", [part("A", 800)], "USD")
        for one in ("d", "e", "f"):
            accept(book, one, TODAY)
        assert set(uncredited(book)) == {()}
        book.settle("pay", "customer", usd(800), [part("A", 800)], TODAY)
        credit_accepted(book, TODAY)
        assert uncredited(book) == [("e", "f")]
        assert [(note.dispute_id, note.amount) for note in book.notes] == [("d", 1_000)]

    def test_nothing_of_a_void_invoice_is_credited(self) -> None:
        book = held_book(("d", 300), ("e", 200))
        book.void(book.invoices["A"], TODAY)
        assert changes(book) == ["voided"]
        accept(book, "d", TODAY)
        assert uncredited(book) == [("d",)]
        accept(book, "d", TODAY)
        assert uncredited(book) == []
        end_hold(book, "e", "rejected", TODAY, TODAY)
        assert changes(book) == ["hold_ended"]
        assert (book.notes, book.invoices["A"].state, book.invoices["A"].held) == ([], "void", 0)

    def test_invoice_with_a_note_is_not_voided(self) -> None:
        """The customer would keep the credit of an invoice whose payment went back."""
        book = held_book(("d", 300))
        book.settle("pay", "customer", usd(1_000), [part("A", 1_000)], TODAY)
        accept(book, "d", TODAY)
        book.reverse("pay", TODAY, usd(1_000))
        assert (book.invoices["A"].settled, book.invoices["A"].credited) == (0, 0)
        with pytest.raises(Refusal, match="credited"):
            book.void(book.invoices["A"], TODAY)

    def test_settling_names_its_payment_beside_a_note(self) -> None:
        book = held_book(("d", 300))
        book.reserve("pay", "customer", [part("A", 1_000)], "USD")
        accept(book, "d", TODAY)
        book.take_facts()
        book.settle("pay", "customer", usd(1_000), [part("A", 1_000)], TODAY)
        credit_accepted(book, TODAY)
        (change,) = [one for one in book.take_facts() if isinstance(one, Change)]
        assert (change.what, change.payment_id) == ("paid", "pay")

    def test_rest_of_a_note_pays_by_crediting(self) -> None:
        book = held_book(("d", 300), settled=1_000)
        accept(book, "d", TODAY)
        book.issue(invoice("B", 500))
        book.reserve("card", "customer", [part("B", 500)], "USD", credit=300)
        book.settle("card", "customer", usd(200), [part("B", 500)], TODAY)
        paid, (note,) = book.invoices["B"], book.notes
        assert (paid.status, paid.credited, paid.settled, book.credits[note.id].balance) == ("paid", 300, 200, 0)


class TestReservation:
    def test_whole_is_in_progress_and_part_stays_open(self) -> None:
        book = book_with(invoice())
        book.reserve("pay-1", "customer", [part("INV-1", 4_000)], "USD")
        assert book.invoices["INV-1"].status == "open"
        book.reserve("pay-2", "customer", [part("INV-1", 6_000)], "USD")
        assert book.invoices["INV-1"].status == "in_progress"

    def test_is_all_or_nothing(self) -> None:
        book = book_with(invoice("A"), invoice("B", 500))
        refused = book.reserve("pay", "customer", [part("A", 10_000), part("B", 501)], "USD")
        assert (refused.state, refused.refused_by) == ("refused", "B")
        assert book.invoices["A"].pending == 0

    def test_another_customers_invoice_is_never_reserved(self) -> None:
        book = book_with(invoice())
        assert book.reserve("pay", "somebody else", [part("INV-1", 1)], "USD").state == "refused"


class TestFinalState:
    """What one decision says of an invoice or a credit is its final state, once."""

    def test_credit_and_cash_pay_in_one_event(self) -> None:
        book = book_with(invoice("one", 600))
        book.settle("cheque", "customer", usd(400), [], TODAY, on_account=True)
        book.take_facts()
        book.reserve("card", "customer", [part("one", 600)], "USD", credit=400)
        book.take_facts()
        book.settle("card", "customer", usd(200), [], TODAY)
        facts = book.take_facts()
        assert [(f.what, f.invoice.status, f.payment_id) for f in facts if isinstance(f, Change)] == [
            ("paid", "paid", "card")
        ]
        assert [(f.balance, f.pending) for f in facts if isinstance(f, Credit)] == [(0, 0)]

    def test_steps_have_their_names(self) -> None:
        book = Book()
        book.issue(invoice("one", 600))
        assert [f.what for f in book.take_facts() if isinstance(f, Change)] == ["issued"]
        book.settle("cheque", "customer", usd(600), [], TODAY)
        assert [f.what for f in book.take_facts() if isinstance(f, Change)] == ["paid"]
        book.reverse("cheque", TODAY)
        assert [f.what for f in book.take_facts() if isinstance(f, Change)] == ["reopened"]
        book.void(book.invoices["one"], TODAY)
        assert [f.what for f in book.take_facts() if isinstance(f, Change)] == ["voided"]

    def test_credit_alone_pays_in_one_event(self) -> None:
        book = book_with(invoice("one", 600))
        for cheque in ("cheque-1", "cheque-2"):
            book.settle(cheque, "customer", usd(300), [], TODAY, on_account=True)
        book.reserve("credit", "customer", [part("one", 600)], "USD", credit=600)
        book.take_facts()
        book.settle("credit", "customer", usd(0), [], TODAY)
        facts = book.take_facts()
        assert [f.what for f in facts if isinstance(f, Change)] == ["paid"]
        assert [f.balance for f in facts if isinstance(f, Credit)] == [0, 0]


class TestReversal:
    def test_reopens_with_the_old_due_date(self) -> None:
        book = book_with(invoice())
        book.settle("pay", "customer", usd(12_000), [], TODAY)
        book.reverse("pay", TODAY)
        again = book.invoices["INV-1"]
        assert (again.status, again.balance, again.due_on) == ("open", 10_000, date(2026, 1, 31))
        assert book.credits["pay"].balance == 0
        with pytest.raises(ValueError, match="can't be taken"):
            book.reverse("pay", TODAY)

    def test_part_takes_credit_first_then_newest_invoice(self) -> None:
        book = book_with(*(invoice(f"I{n}", 1_000) for n in range(3)))
        book.settle("pay", "customer", usd(3_500), [], TODAY)
        book.take_facts()
        book.reverse("pay", TODAY, usd(1_700))
        assert [book.invoices[f"I{n}"].balance for n in range(3)] == [0, 200, 1_000]
        (first, second, taken, credit) = book.take_facts()
        assert isinstance(first, Change)
        assert isinstance(second, Change)
        assert (first.invoice.id, first.what, second.invoice.id, second.what) == ("I2", "reopened", "I1", "reopened")
        assert isinstance(taken, TakenBack)
        assert (taken.credit, taken.left.credit, taken.left.reversed) == (usd(500), usd(0), False)
        assert taken.parts == (part("I2", 1_000), part("I1", 200))
        assert taken.left.parts == (part("I0", 1_000), part("I1", 800))
        assert isinstance(credit, Credit)
        assert credit.balance == 0
        with pytest.raises(ValueError, match="can't be taken"):
            book.reverse("pay", TODAY, usd(1_801))
        book.reverse("pay", TODAY, usd(1_800))
        assert book.settlements["pay"].reversed


def test_invoice_with_money_is_not_voided() -> None:
    book = book_with(invoice("A"), invoice("B"))
    book.reserve("pay", "customer", [part("A", 1)], "USD")
    with pytest.raises(Refusal, match="under way"):
        book.void(book.invoices["A"], TODAY)
    book.settle("other", "customer", usd(1), [part("B", 1)], TODAY)
    with pytest.raises(Refusal, match="partly paid"):
        book.void(book.invoices["B"], TODAY)


class TestSettlement:
    def test_reservation_becomes_a_paid_invoice(self) -> None:
        book = book_with(invoice())
        book.reserve("pay", "customer", [part("INV-1", 10_000)], "USD")
        book.settle("pay", "customer", usd(10_000), [part("INV-1", 10_000)], TODAY)
        paid = book.invoices["INV-1"]
        assert (paid.status, paid.pending, paid.balance) == ("paid", 0, 0)
        assert book.reservations["pay"].state == "settled"

    def test_money_for_a_closed_invoice_becomes_credit(self) -> None:
        book = book_with(invoice())
        book.settle("one", "customer", usd(10_000), [], TODAY)
        settlement = book.settle("two", "customer", usd(10_000), [part("INV-1", 10_000)], TODAY)
        assert settlement.parts == ()
        assert book.credits["two"].balance == 10_000

    @pytest.mark.parametrize(
        ("gone", "paid", "cash"),
        [(0, {"one": 600, "two": 100}, 400), (200, {"one": 500}, 400), (700, {}, 400)],
    )
    def test_credit_that_paid_is_in_the_event(self, gone: int, paid: dict[str, int], cash: int) -> None:
        """What went back between reservation and settlement pays nothing, and cash does not stand in for it."""
        book = book_with(invoice("one", 600), invoice("two", 500))
        book.settle("cheque-1", "customer", usd(300), [], TODAY, on_account=True)
        book.settle("cheque-2", "customer", usd(400), [], TODAY, on_account=True)
        book.reserve("card", "customer", [part("one", 600), part("two", 500)], "USD", credit=700)
        for cheque, held in (("cheque-2", 400), ("cheque-1", 300)):
            if back := min(gone, held):
                book.reverse(cheque, TODAY, usd(back))
                gone -= back
        book.take_facts()
        book.settle("card", "customer", usd(cash), [], TODAY)
        (posted,) = (fact for fact in book.take_facts() if isinstance(fact, Settlement))
        assert posted.by_credit is not None
        assert {each.invoice_id: each.amount.minor for each in posted.by_credit} == paid
        assert posted.parts == (part("two", 400),)
        (message,) = messages.of([posted], NOW)
        said = SettlementPosted.model_validate_json(message.body)
        assert {each.invoice_id: each.amount.amount_minor for each in said.by_credit or ()} == paid

    def test_unreserved_credit_is_not_in_the_event(self) -> None:
        book = book_with(invoice("one", 600))
        book.reserve("card", "customer", [part("one", 600)], "USD")
        assert book.settle("card", "customer", usd(600), [], TODAY).by_credit is None
        (posted,) = (fact for fact in book.take_facts() if isinstance(fact, Settlement))
        assert posted.by_credit is None

    def test_money_on_account_becomes_credit(self) -> None:
        book = book_with(invoice())
        settlement = book.settle("pay", "customer", usd(3_000), [], TODAY, on_account=True)
        assert (settlement.parts, settlement.credit) == ((), usd(3_000))
        assert book.invoices["INV-1"].balance == 10_000

    def test_money_counts_from_the_day_of_issue(self) -> None:
        book = book_with(invoice())
        book.settle("pay", "customer", usd(10_000), [], date(2025, 6, 1))
        assert book.entries[-1].effective_on == date(2026, 1, 1)

    @given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.integers(1, 10**7))
    def test_settled_plus_credit_equals_the_receipt(self, totals: list[int], received: int) -> None:
        book = book_with(*(invoice(f"I{n}", total) for n, total in enumerate(totals)))
        settlement = book.settle("pay", "customer", usd(received), [], TODAY)
        assert sum(p.amount.minor for p in settlement.parts) + settlement.credit.minor == received
        assert sum(i.settled for i in book.invoices.values()) + settlement.credit.minor == received


DAYS = st.dates(date(2025, 12, 20), TODAY)


class InvoicesLife(RuleBasedStateMachine):
    """Any order of issue, reserve, settle, release, reverse and void keeps the book's promises."""

    under_way: Bundle[str] = Bundle("under_way")
    paid: Bundle[str] = Bundle("paid")

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.count = 0
        self.sequences: dict[str, int] = {}
        self.returned = set[str]()
        self.disputed = dict[str, int]()

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}"

    @rule(total=st.integers(1, 1_000))
    def issue(self, total: int) -> None:
        self.book.issue(invoice(self.name("INV"), total))

    @rule(target=under_way, data=st.data())
    def reserve(self, data: st.DataObject) -> str:
        payment = self.name("pay")
        numbers = sorted(self.book.invoices)
        chosen = data.draw(st.lists(st.sampled_from(numbers), unique=True, max_size=3)) if numbers else []
        parts = [part(number, data.draw(st.integers(1, 1_200))) for number in chosen]
        before = dict(self.book.invoices)
        credit = min(sum(p.amount.minor for p in parts), data.draw(st.integers(0, 500)))
        reservation = self.book.reserve(payment, "customer", parts, "USD", credit=credit)
        if reservation.state == "refused":
            assert self.book.invoices == before
        return payment

    @rule(target=paid, payment=consumes(under_way), day=DAYS)
    def reconcile(self, payment: str, day: date) -> str:
        reservation = self.book.reservations[payment]
        parts, used = reservation.parts, sum(minor for _, minor in reservation.credits)
        amount = sum(p.amount.minor for p in parts) - used
        self.book.settle(payment, "customer", usd(amount), parts, day)
        return payment

    @rule(target=paid, received=st.integers(1, 2_000), day=DAYS)
    def receive(self, received: int, day: date) -> str:
        payment = self.name("pay")
        self.book.settle(payment, "customer", usd(received), [], day)
        return payment

    @rule(payment=consumes(under_way))
    def decline(self, payment: str) -> None:
        self.book.release(payment)

    @rule(payment=paid, data=st.data(), day=DAYS)
    def return_money(self, payment: str, data: st.DataObject, day: date) -> None:
        settlement = self.book.settlements[payment]
        left = sum(p.amount.minor for p in settlement.parts) + settlement.credit.minor
        if left:
            self.book.reverse(payment, day, usd(data.draw(st.integers(1, left))))
            self.returned.add(payment)

    @rule(payment=consumes(paid))
    def never_was(self, payment: str) -> None:
        """A receipt was recorded in error: wherever its money has gone, it counts on no day."""
        if payment not in self.returned:
            self.book.unsettle(payment, booked_of(self.book, payment))
            days = Counter[tuple[str, date]]()
            for entry in (each for each in self.book.entries if each.payment_id == payment):
                days[entry.invoice.id, entry.effective_on] += entry.amount
            for credit, minor, day in self.book.credit_entries:
                days[credit.id, day] += minor if credit.payment_id == payment else 0
            assert not any(days.values())

    @rule(data=st.data())
    def dispute(self, data: st.DataObject) -> None:
        if self.book.invoices:
            one = self.book.invoices[data.draw(st.sampled_from(sorted(self.book.invoices)))]
            name, amount = self.name("dispute"), data.draw(st.integers(1, one.total))
            raise_dispute(self.book, Dispute(name, "customer", one.id, amount), TODAY)
            self.disputed[name] = amount

    @rule(data=st.data(), what=st.sampled_from(["accepted", "rejected", "withdrawn"]))
    def decide(self, data: st.DataObject, what: str) -> None:
        if self.disputed:
            name = data.draw(st.sampled_from(sorted(self.disputed)))
            if what == "accepted":
                accept(self.book, name, TODAY)
            else:
                end_hold(self.book, name, "rejected" if what == "rejected" else "withdrawn", TODAY)

    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        if self.book.invoices:
            one = self.book.invoices[data.draw(st.sampled_from(sorted(self.book.invoices)))]
            try:
                self.book.void(one, TODAY)
            except Refusal:
                assert self.book.invoices[one.id] == one

    @invariant()
    def credit_notes_are_the_accepted_disputes(self) -> None:
        credit_accepted(self.book, TODAY)  # as each event's handler does
        notes = {note.dispute_id: note for note in self.book.notes}
        assert len(notes) == len(self.book.notes)
        for name, one in self.book.disputes.items():
            held = self.book.invoices[one.invoice_id]
            assert (one.state == "waits") <= (held.pending > 0)
            assert (name in notes) <= (one.state == "accepted")
            if one.state == "accepted" and held.state != "void":
                whole = held.total == sum(note.amount for note in self.book.notes if note.invoice_id == held.id)
                assert whole or notes[name].amount == one.amount
        for invoice_ in self.book.invoices.values():
            theirs = [note for note in self.book.notes if note.invoice_id == invoice_.id]
            assert sum(note.amount for note in theirs) <= invoice_.total
            undecided = [one.amount for one in self.book.disputes.values() if one.state in ("open", "waits")
                         and one.invoice_id == invoice_.id]  # fmt: skip
            assert invoice_.in_dispute == sum(undecided)

    @invariant()
    def amounts_hold(self) -> None:
        for one in self.book.invoices.values():
            assert one.balance >= one.pending >= 0
            assert (one.state == "paid") == (one.balance == 0 and one.state != "void")
            entries = sum(e.amount for e in self.book.entries if e.invoice.id == one.id)
            assert entries == (0 if one.state == "void" else one.balance)

    @invariant()
    def on_no_day_is_more_paid_than_owed_or_more_credit_spent_than_there_is(self) -> None:
        owed, here = defaultdict[tuple[str, date], int](int), defaultdict[tuple[str, date], int](int)
        for entry in self.book.entries:
            owed[entry.invoice.id, entry.effective_on] += entry.amount
        for credit, minor, day in self.book.credit_entries:
            here[credit.id, day] += minor
        for amounts in (owed, here):
            sums = Counter[str]()
            for name, day in sorted(amounts):
                sums[name] += amounts[name, day]
                assert sums[name] >= 0
        for one in self.book.invoices.values():
            days = sorted(day for name, day in owed if name == one.id)
            assert all(sum(owed[one.id, day] for day in days if day <= until) <= one.total for until in days)

    @invariant()
    def reservations_are_what_is_pending(self) -> None:
        held = [p for r in self.book.reservations.values() if r.state == "placed" for p in r.parts]
        for one in self.book.invoices.values():
            assert one.pending == sum(p.amount.minor for p in held if p.invoice_id == one.id)

    @invariant()
    def money_is_settled_or_credit(self) -> None:
        live = [s for s in self.book.settlements.values() if not s.reversed]
        received = sum(p.amount.minor for s in live for p in s.parts) + sum(s.credit.minor for s in live)
        settled = sum(i.settled for i in self.book.invoices.values())
        assert received == settled + sum(c.balance for c in self.book.credits.values() if not c.note)
        left = sum(c.balance for c in self.book.credits.values() if c.note)
        credited = sum(i.credited for i in self.book.invoices.values())
        assert sum(note.amount for note in self.book.notes) == credited + left

    @invariant()
    def each_state_is_said_once_without_gap(self) -> None:
        states = [fact.invoice if isinstance(fact, Change) else fact for fact in self.book.take_facts()]
        said = [state for state in states if isinstance(state, Invoice | Credit)]
        said = [one for one in said if isinstance(one, Invoice) or one.amount]  # a note without a rest is said once
        now = self.book.invoices | {credit.id: credit for credit in self.book.credits.values()}
        assert len({state.id for state in said}) == len(said)
        for state in said:
            assert state == now[state.id]
            assert state.sequence == self.sequences.get(state.id, 0) + 1
            self.sequences[state.id] = state.sequence
        assert all(state.sequence == self.sequences.get(state.id, 0) for state in now.values())


TestInvoicesLife = InvoicesLife.TestCase
TestInvoicesLife.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
