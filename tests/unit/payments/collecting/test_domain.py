"""The rules of paying."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.api.views import view_of_payment
from payments.collecting.domain.observing import Seen, accept, observe
from payments.collecting.domain.payments import (
    Payment,
    Step,
    cancel,
    give_up,
    overdue,
    poll_later,
    receive,
    reserve,
    submit,
    unanswered,
)
from payments.collecting.domain.quotes import (
    Choice,
    Everything,
    Quote,
    Sum,
    Wish,
    Wishes,
    choose_again,
    make_quote,
    still_fits,
    why_nothing,
)
from payments.collecting.domain.reversals import SeenBack
from payments.collecting.domain.surcharges import surcharge
from payments.methods.domain.consents import Terms
from payments.methods.domain.methods import Method
from payments.projections.domain import OpenInvoice

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
RATE = Terms(Decimal("0.03"))
CREDIT = Method("m", "c", "pm_1", "card", "credit", "visa", "4242")
DEBIT = Method("m", "c", "pm_1", "card", "debit", "visa", "4242")


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def open_invoice(invoice_id: str = "i", payable: int = 10_000, **more: str) -> OpenInvoice:
    return OpenInvoice(
        invoice_id,
        more.get("customer", "c"),
        invoice_id,
        more.get("status", "open"),
        more.get("currency", "USD"),
        DAY,
        DAY,
        payable,
    )


def quoted(method: Method = CREDIT, *wishes: Wish) -> Quote:
    made = make_quote(method, Wishes(wishes or (Wish("i", None),)), {"i": open_invoice()}, RATE, NOW)
    assert isinstance(made, Quote)
    return made


def submitted(method: Method = CREDIT) -> Payment:
    step = submit(quoted(method), method.kind, True, expected_by=DAY, now=NOW)
    assert isinstance(step, Step)
    return step.payment


def charging(method: Method = CREDIT) -> Payment:
    step, _ = reserve(submitted(method), method.provider_id, "cus_1", NOW)
    return step.payment


def seen(state: str = "succeeded", *, captured: int = 10_300, evidence: bool = True, returned: int = 0) -> Seen:
    back = (SeenBack("du_1", "return", "succeeded", usd(returned), DAY, "R01"),) if returned else ()
    return Seen("pi_1", state, usd(captured), DAY, None, evidence, back)  # type: ignore[arg-type]


def aged(*payables: int) -> dict[str, OpenInvoice]:
    """Invoices by id, the oldest first."""
    names = [f"i{place:04}" for place in range(len(payables))]
    days = [DAY + timedelta(days=place) for place in range(len(payables))]
    return {
        name: replace(open_invoice(name, payable), issued_on=day, due_on=day)
        for name, payable, day in zip(names, payables, days, strict=True)
    }


class TestQuote:
    def test_without_amount_takes_all_payable_and_names_surcharge(self) -> None:
        quote = quoted()
        assert (quote.amount, quote.surcharge, quote.total) == (usd(10_000), usd(300), usd(10_300))
        assert quote.expires_at == NOW + timedelta(minutes=15)

    @pytest.mark.parametrize(
        ("wish", "invoice", "code"),
        [
            (Wish("other", None), open_invoice(), "unknown-invoice"),
            (Wish("i", None), open_invoice(customer="somebody else"), "unknown-invoice"),
            (Wish("i", None), open_invoice(payable=0, status="paid"), "invoice-closed"),
            (Wish("i", None), open_invoice(payable=0, status="in_progress"), "payment-under-way"),
            (Wish("i", 10_001), open_invoice(), "more-than-payable"),
        ],
    )
    def test_unpayable_invoice_is_refused_with_its_field(self, wish: Wish, invoice: OpenInvoice, code: str) -> None:
        refused = make_quote(CREDIT, Wishes((wish,)), {"i": invoice}, RATE, NOW)
        assert isinstance(refused, Refusal)
        assert refused.code == code
        assert refused.field is not None
        assert refused.field.startswith("invoices.0.")

    def test_paying_all_takes_every_invoice_of_the_currency(self) -> None:
        quote = make_quote(CREDIT, Everything("USD"), aged(100, 200, 300), RATE, NOW)
        assert isinstance(quote, Quote)
        assert (quote.amount, quote.credit) == (usd(600), usd(0))
        assert [part.amount.minor for part in quote.parts] == [100, 200, 300]
        assert quote.whole == (True, True, True)

    def test_of_all_fits_until_one_invoice_changes(self) -> None:
        invoices = aged(100, 200)
        quote = make_quote(DEBIT, Everything("USD"), invoices, RATE, NOW)
        assert isinstance(quote, Quote)
        assert still_fits(quote, invoices | {"new": open_invoice("new")})
        changed = invoices | {"i0001": replace(invoices["i0001"], payable_now=150)}
        assert not still_fits(quote, changed)
        assert choose_again(quote, changed) == Everything("USD")

    @pytest.mark.parametrize(
        ("states", "says"),
        [
            (["paid"], "any more: its invoices are paid. Make a new quote for others."),
            (["void", "paid", "paid"], "any more: its invoices are paid or void. Make a new quote for others."),
            (
                ["paid", "in_progress"],
                "now: a payment of invoice i0001 is under way. Wait until that is confirmed, then make a new quote of "
                "what is left.",
            ),
            (["in_progress"] * 5, "now: a payment of invoice i0000, i0001, i0002 and 2 more is under way. Wait"),
        ],
    )
    def test_without_payable_invoices_says_why_and_the_remedy(self, states: list[str], says: str) -> None:
        invoices = aged(*[100] * len(states))
        quote = make_quote(DEBIT, Everything("USD"), invoices, RATE, NOW)
        assert isinstance(quote, Quote)
        now = {
            one.id: replace(one, status=state, payable_now=0)
            for one, state in zip(invoices.values(), states, strict=True)
        }
        assert why_nothing(quote, now).startswith(f"Nothing of it can be paid {says}")

    def test_amount_goes_to_the_oldest_invoice_first(self) -> None:
        quote = make_quote(DEBIT, Sum(usd(250)), aged(100, 200, 300), RATE, NOW)
        assert isinstance(quote, Quote)
        assert [(part.invoice_id, part.amount.minor) for part in quote.parts] == [("i0000", 100), ("i0001", 150)]
        assert quote.credit == usd(0)

    def test_amount_beyond_the_invoices_is_shown_as_credit(self) -> None:
        quote = make_quote(DEBIT, Sum(usd(450)), aged(100, 200), RATE, NOW)
        assert isinstance(quote, Quote)
        assert (quote.amount, quote.credit, quote.total) == (usd(450), usd(150), usd(450))

    def test_amount_is_taken_also_when_nothing_is_owed(self) -> None:
        quote = make_quote(DEBIT, Sum(usd(5)), {}, RATE, NOW)
        assert isinstance(quote, Quote)
        assert (quote.parts, quote.credit) == ((), usd(5))

    def test_of_all_is_refused_when_nothing_is_owed(self) -> None:
        refused = make_quote(DEBIT, Everything("USD"), {}, RATE, NOW)
        assert isinstance(refused, Refusal)
        assert refused.code == "nothing-payable"

    @pytest.mark.parametrize("choice", [Everything("USD"), Sum(usd(1_001))])
    def test_holds_at_most_a_thousand_invoices(self, choice: Choice) -> None:
        assert isinstance(make_quote(DEBIT, choice, aged(*[1] * 1_000), RATE, NOW), Quote)
        refused = make_quote(DEBIT, choice, aged(*[1] * 1_001), RATE, NOW)
        assert isinstance(refused, Refusal)
        assert refused.code == "too-many-invoices"

    def test_refuses_mixed_currencies_and_an_invoice_named_twice(self) -> None:
        invoices = {"i": open_invoice(), "e": open_invoice("e", currency="EUR")}
        mixed = make_quote(CREDIT, Wishes((Wish("i", None), Wish("e", None))), invoices, RATE, NOW)
        twice = make_quote(CREDIT, Wishes((Wish("i", 1), Wish("i", 2))), invoices, RATE, NOW)
        assert isinstance(mixed, Refusal)
        assert isinstance(twice, Refusal)
        assert (mixed.code, twice.code) == ("mixed-currencies", "invoice-twice")

    def test_for_a_whole_invoice_ends_when_it_changes(self) -> None:
        assert still_fits(quoted(), {"i": open_invoice()})
        assert not still_fits(quoted(), {"i": open_invoice(payable=9_999)})
        assert still_fits(quoted(CREDIT, Wish("i", 5_000)), {"i": open_invoice(payable=9_999)})

    def test_credit_parts_stay_until_the_payment_is_cancelled(self) -> None:
        invoices = {each: open_invoice(each, 300) for each in ("a", "b")}
        quote = make_quote(DEBIT, Everything("USD"), invoices, RATE, NOW, credit=400)
        assert isinstance(quote, Quote)
        step = submit(quote, "card", None, expected_by=DAY, now=NOW)
        assert isinstance(step, Step)
        paid = {part.invoice_id: part.amount.minor for part in step.payment.credit_allocations}
        assert (step.payment.credit_allocations, paid) == (quote.credit_parts, {"a": 300, "b": 100})
        assert cancel(step.payment, "invoice_changed").payment.credit_allocations == ()
        assert submitted().credit_allocations == ()


class TestSurcharge:
    @pytest.mark.parametrize("funding", ["debit", "prepaid", "unknown", None])
    def test_only_credit_cards_carry_one(self, funding: str | None) -> None:
        assert not surcharge(Method("m", "c", "p", "card", funding, None, None), usd(10_000), RATE)
        assert not surcharge(Method("m", "c", "p", "bank_account", funding, None, None), usd(10_000), RATE)

    @pytest.mark.parametrize(("minor", "charge"), [(1_230, 30), (1_000, 30), (1_010, 30), (100, 0)])
    def test_total_fits_the_providers_step(self, minor: int, charge: int) -> None:
        assert surcharge(CREDIT, Money(minor, "KWD"), RATE, 10) == Money(charge, "KWD")

    def test_needs_an_answer_and_no_cancels_the_payment(self) -> None:
        refused = submit(quoted(), "card", None, expected_by=DAY, now=NOW)
        assert isinstance(refused, Refusal)
        step = submit(quoted(), "card", False, expected_by=DAY, now=NOW)
        assert isinstance(step, Step)
        assert (step.payment.status, step.payment.reason) == ("cancelled", "surcharge_declined")

    def test_without_one_the_answer_is_ignored(self) -> None:
        step = submit(quoted(DEBIT), "card", False, expected_by=DAY, now=NOW)
        assert isinstance(step, Step)
        assert step.payment.status == "submitted"


class TestObserving:
    def test_only_a_record_is_evidence(self) -> None:
        (replied,) = observe(charging(), seen(evidence=False), NOW)
        assert (replied.payment.status, replied.payment.reconciliation) == ("succeeded", "waiting")
        assert replied.posting is None
        (matched,) = observe(replied.payment, seen(), NOW)
        assert matched.payment.reconciliation == "matched"
        assert matched.posting is not None
        assert sum(money.minor for _, money in matched.posting.entries) == 0
        assert ("surcharge_income", usd(-300)) in matched.posting.entries

    def test_record_before_the_reply_skips_no_step(self) -> None:
        steps = observe(charging(), seen(), NOW)
        assert [(step.what, step.payment.sequence) for step in steps] == [("succeeded", 2), ("reconciled", 3)]
        assert observe(steps[-1].payment, seen(evidence=False), NOW) == []

    def test_wrong_amount_is_a_mismatch_and_posts_nothing(self) -> None:
        (step,) = observe(charging(), seen(captured=10_000), NOW)
        assert step.payment.reconciliation == "mismatch"
        assert step.posting is None

    def test_return_reverses_the_posting_once(self) -> None:
        *_, matched = observe(charging(), seen(), NOW)
        (back,) = observe(matched.payment, seen(returned=10_300), NOW)
        assert back.what == "reversed"
        assert back.posting is not None
        assert matched.posting is not None
        assert dict(back.posting.entries) == {account: -money for account, money in matched.posting.entries}
        assert back.reversal is not None
        assert observe(back.payment, seen(returned=10_300), NOW, [back.reversal]) == []

    def test_any_order_and_repetition_ends_in_one_state(self) -> None:
        says = [seen("processing", captured=0), seen(evidence=False), seen(), seen(returned=10_300)]
        ends = set()
        for order in itertools.permutations(says):
            payment, reversals, postings = charging(), {}, []
            for one in [*order, *order]:
                for step in observe(payment, one, NOW, list(reversals.values())):
                    payment = step.payment
                    reversals |= {step.reversal.id: step.reversal} if step.reversal else {}
                    postings += [step.posting.kind] if step.posting else []
            ends.add((payment.status, payment.reconciliation, payment.reversed, tuple(sorted(postings))))
        assert ends == {("succeeded", "matched", 10_300, ("charge", "reversal"))}

    def test_lost_answer_makes_it_unknown_once(self) -> None:
        step = unanswered(charging())
        assert step is not None
        assert step.payment.status == "unknown"
        assert unanswered(step.payment) is None

    def test_money_after_a_decline_is_an_exception(self) -> None:
        (declined,) = observe(charging(), seen("declined", captured=0), NOW)
        assert (declined.payment.status, declined.payment.reconciliation) == ("declined", None)
        (late,) = observe(declined.payment, seen(), NOW)
        assert late.payment.reconciliation == "exception"

    def test_overdue_payment_is_an_exception_until_matched(self) -> None:
        waiting = overdue(charging()).payment
        assert waiting.reconciliation == "exception"
        *_, matched = observe(waiting, seen(), NOW)
        assert matched.payment.reconciliation == "matched"

    def test_offline_receipt_is_matched_and_posted_at_once(self) -> None:
        step = receive("c", usd(500), DAY, "cheque 7", (), NOW)
        assert (step.what, step.payment.status, step.payment.reconciliation) == ("reconciled", "succeeded", "matched")
        assert step.posting is not None
        assert step.posting.entries == (("bank", usd(500)), ("customer_funds", usd(-500)))

    def test_cancelled_payment_waits_for_nothing(self) -> None:
        step = cancel(submitted(), "invoice_changed")
        assert (step.payment.reconciliation, step.payment.expected_by, step.payment.allocations) == (None, None, ())

    def test_expected_day_is_shown_until_the_end(self) -> None:
        waiting = submitted()
        for late in (waiting, overdue(waiting).payment):
            assert view_of_payment(late)["expected_by"] == DAY
        (matched,) = observe(replace(charging(), status="succeeded"), seen(), NOW)
        for ended in (matched.payment, cancel(waiting, "surcharge_declined").payment):
            assert view_of_payment(ended)["expected_by"] is None

    def test_polls_back_off_up_to_a_minute(self) -> None:
        payment, waits = charging(), []
        for _ in range(8):
            payment = poll_later(payment, NOW)
            assert payment.next_poll_at is not None
            waits.append((payment.next_poll_at - NOW).total_seconds())
        assert waits == [2, 4, 8, 16, 32, 60, 60, 60]

    def test_disagreement_opens_exception_and_later_match_closes_it(self) -> None:
        assert overdue(charging()).opens == "missing_there"
        (differs,) = observe(charging(), seen(captured=10_000), NOW)
        assert differs.opens == "wrong_amount"
        (declined,) = observe(charging(), seen("declined", captured=0), NOW)
        (late,) = observe(declined.payment, seen(), NOW)
        assert late.opens == "missing_here"
        *_, matched = observe(differs.payment, seen(), NOW)
        assert matched.closes
        *_, plain = observe(charging(), seen(), NOW)
        assert not plain.closes


def asked_at_the_bank() -> Payment:
    (step,) = observe(charging(), asking(), NOW)
    assert step.what == "action_required"
    return step.payment


def asking(state: str = "requires_action") -> Seen:
    return replace(seen(state), next_action_url="https://bank.example/confirm" if state == "requires_action" else None)


def given_up() -> Payment:
    payment = give_up(asked_at_the_bank(), "user:u", NOW)
    assert isinstance(payment, Payment)
    return payment


class TestGivingUp:
    def test_cancels_only_once_the_provider_says_so(self) -> None:
        payment = given_up()
        assert (payment.status, payment.let_go_by, payment.act_by) == ("requires_action", "user:u", NOW)
        view = view_of_payment(payment)
        assert (view["status"], view["next_action_url"], view["act_by"]) == ("requires_action", None, None)
        assert observe(payment, asking(), NOW) == observe(payment, seen("open"), NOW) == []
        (step,) = observe(payment, seen("cancelled", evidence=False), NOW)
        assert (step.what, step.payment.status, step.payment.reason) == ("cancelled", "cancelled", "payer_cancelled")
        assert (step.payment.allocations, step.payment.reconciliation, step.payment.act_by) == ((), None, None)
        assert give_up(payment, "user:other", NOW + timedelta(hours=1)) == payment
        assert give_up(step.payment, "user:other", NOW) == step.payment

    @pytest.mark.parametrize("evidence", [True, False])
    def test_money_that_still_arrives_counts(self, evidence: bool) -> None:
        steps = observe(given_up(), seen(evidence=evidence), NOW)
        after = steps[-1].payment
        assert (after.status, after.given_up, after.act_by) == ("succeeded", False, None)
        assert after.reconciliation == ("matched" if evidence else "waiting")
        again = give_up(after, "user:u", NOW)
        assert isinstance(again, Refusal)
        assert "refund" in again.detail

    def test_is_possible_only_while_the_payer_is_asked(self) -> None:
        (moved,) = observe(charging(), seen("processing"), NOW)
        (declined,) = observe(charging(), seen("declined"), NOW)
        ended = cancel(submitted(), "invoice_changed")
        for payment in (submitted(), charging(), moved.payment, declined.payment, ended.payment):
            refused = give_up(payment, "user:u", NOW)
            assert isinstance(refused, Refusal)
            assert (refused.code, refused.conflict) == ("not-cancellable", True)


class TestPayerAction:
    def test_payer_has_a_day_and_is_asked_once(self) -> None:
        payment = asked_at_the_bank()
        assert (payment.status, payment.next_action_url) == ("requires_action", "https://bank.example/confirm")
        assert payment.act_by == NOW + timedelta(hours=24)
        assert payment.next_poll_at is not None
        assert observe(payment, asking(), NOW) == []

    @pytest.mark.parametrize(
        ("state", "ends"), [("succeeded", "succeeded"), ("declined", "declined"), ("cancelled", "cancelled")]
    )
    def test_any_final_state_ends_it(self, state: str, ends: str) -> None:
        steps = observe(asked_at_the_bank(), seen(state), NOW)
        assert (steps[-1].payment.status, steps[-1].payment.next_action_url, steps[-1].payment.act_by) == (
            ends,
            None,
            None,
        )

    def test_expires_only_once_the_provider_has_cancelled(self) -> None:
        payment, later = asked_at_the_bank(), NOW + timedelta(hours=24)
        assert observe(payment, seen("open"), later) == []
        (step,) = observe(payment, seen("cancelled"), later)
        assert (step.what, step.payment.status, step.payment.reason) == ("expired", "expired", "not_confirmed")
        assert (step.payment.allocations, step.payment.reconciliation) == ((), None)
        (late,) = observe(step.payment, seen(), later)
        assert (late.payment.reconciliation, late.payment.reason) == ("exception", "charged_after_expired")

    def test_is_not_asked_again_after_progress(self) -> None:
        (moved,) = observe(charging(), seen("processing"), NOW)
        assert observe(moved.payment, asking(), NOW) == []
        done = observe(charging(), seen(), NOW)[-1].payment
        assert observe(done, asking(), NOW) == []


class TestAccepting:
    @pytest.mark.parametrize(
        ("captured", "amount", "surcharge"),
        [(9_000, 8_738, 262), (1, 1, 0), (10_301, 10_001, 300), (20_600, 20_300, 300)],
    )
    def test_accepted_amount_becomes_the_payments(self, captured: int, amount: int, surcharge: int) -> None:
        (doubted,) = observe(charging(), seen(captured=captured), NOW)
        steps = accept(doubted.payment, seen(captured=captured), NOW)
        assert isinstance(steps, list)
        step, again = steps
        assert (step.what, step.payment.reconciliation, step.payment.reason) == ("reconciled", "matched", None)
        assert again.payment.next_poll_at is not None  # something may have been told since the record was read
        assert (step.payment.amount, step.payment.surcharge) == (usd(amount), usd(surcharge))
        assert step.posting is not None
        assert sum(money.minor for _, money in step.posting.entries) == 0
        assert dict(step.posting.entries)["psp_clearing"] == usd(captured)
        assert observe(step.payment, seen(captured=captured), NOW) == []
        refused = accept(step.payment, seen(captured=captured), NOW)
        assert isinstance(refused, Refusal)
        assert refused.code == "agrees-already"

    def test_money_after_decline_comes_with_its_reversals(self) -> None:
        (declined,) = observe(charging(), seen("declined", captured=0), NOW)
        (late,) = observe(declined.payment, seen(), NOW)
        assert (late.opens, late.payment.status) == ("missing_here", "declined")
        steps = accept(late.payment, seen(returned=10_300), NOW)
        assert isinstance(steps, list)
        assert [step.what for step in steps] == ["succeeded", "reconciled", "reversed", "moved"]
        assert (steps[-1].payment.status, steps[-1].payment.reversed) == ("succeeded", 10_300)

    @pytest.mark.parametrize(
        ("record", "code"),
        [
            (seen("processing", captured=0), "no-money-there"),
            (replace(seen(), captured=Money(10_300, "EUR")), "other-currency"),
        ],
    )
    def test_record_without_the_money_is_refused(self, record: Seen, code: str) -> None:
        refused = accept(overdue(charging()).payment, record, NOW)
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.conflict) == (code, True)

    def test_refunded_wrong_currency_cancels_the_payment(self) -> None:
        record = replace(seen(), captured=Money(9_000, "EUR"))
        (doubted,) = observe(charging(), record, NOW)
        assert (doubted.opens, doubted.in_doubt) == ("wrong_currency", Money(9_000, "EUR"))
        back = replace(record, back=(SeenBack("re_1", "refund", "succeeded", Money(9_000, "EUR"), DAY),))
        steps = accept(doubted.payment, back, NOW)
        assert isinstance(steps, list)
        (step,) = steps
        assert (step.what, step.payment.status, step.posting) == ("cancelled", "cancelled", None)
        assert observe(step.payment, back, NOW) == []
