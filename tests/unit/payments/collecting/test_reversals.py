"""What goes back after it was reconciled: refunds, returns, chargebacks, and how they meet."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.domain.observing import Seen, observe
from payments.collecting.domain.payments import Payment, Reversal, Step, receive
from payments.collecting.domain.reversals import SeenBack, refund, refused, taken_by_bank, void

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
LATER = date(2026, 3, 20)


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def matched(amount: int = 10_000, surcharge: int = 300, **more: Any) -> Payment:
    return Payment(
        "pay", "customer", "collect", "succeeded", "matched", usd(amount), usd(surcharge), (), NOW, provider_id="pi_1",
        effective_on=DAY, sequence=3, method_kind="card", **more,
    )  # fmt: skip


class Story:
    """A payment on its way back, with all that was said and booked."""

    def __init__(self, payment: Payment) -> None:
        self.payment, self.reversals, self.steps = payment, dict[str, Reversal](), list[Step]()

    def take(self, *steps: Step) -> list[str]:
        for step in steps:
            self.payment = step.payment
            self.reversals |= {step.reversal.id: step.reversal} if step.reversal else {}
        self.steps += steps
        return [step.what for step in steps]

    def refund(self, minor: int | None = None) -> Refusal | list[str]:
        known = list(self.reversals.values())
        step = refund(self.payment, known, minor, "goods came back", now=NOW, today=LATER)
        return step if isinstance(step, Refusal) else self.take(step)

    def record(self, *back: SeenBack, evidence: bool = True, asked: bool = False) -> list[str]:
        seen = Seen("pi_1", "succeeded", self.payment.total, DAY, None, evidence, back, asked=asked)
        return self.take(*observe(self.payment, seen, NOW, list(self.reversals.values())))

    def asked(self, place: int = 0) -> Reversal:
        return list(self.reversals.values())[place]

    def booked(self) -> dict[str, int]:
        accounts: dict[str, int] = {}
        for posting in (step.posting for step in self.steps if step.posting):
            for account, money in posting.entries:
                accounts[account] = accounts.get(account, 0) + money.minor
        return {account: minor for account, minor in accounts.items() if minor}


def given_back(reversal: Reversal, state: str = "succeeded") -> SeenBack:
    return SeenBack("re_1", "refund", state, reversal.total, LATER, None, reversal.id)  # type: ignore[arg-type]


def chargeback(state: str, total: int = 10_300) -> SeenBack:
    return SeenBack("du_1", "chargeback", state, usd(total), LATER, "10.4")  # type: ignore[arg-type]


class TestRefundThatChanges:
    def test_failure_after_success_restores_money_and_opens_exception(self) -> None:
        story = Story(matched())
        story.refund(5_000)
        story.record(given_back(story.asked()))
        before = story.booked()
        assert story.record(given_back(story.asked(), "failed")) == ["refund_failed"]
        assert (story.steps[-1].opens, story.steps[-1].in_doubt) == ("missing_there", usd(5_150))
        assert (story.asked().state, story.asked().code) == ("failed", "failed_after_success")
        assert (story.payment.reversed, story.payment.reversed_surcharge, story.payment.going_back) == (0, 0, 0)
        assert before == {"customer_funds": 5_000, "surcharge_income": 150, "psp_clearing": -5_150}
        assert story.booked() == {}
        old = Story(matched())  # as it was kept when it was only told to a person
        old.refund()
        old.record(given_back(old.asked()))
        old.reversals = {one.id: replace(one, code="failed_after_success") for one in old.reversals.values()}
        assert old.record(given_back(old.asked(), "failed")) == ["refund_failed"]
        for state in ("failed", "succeeded"):
            assert story.record(given_back(story.asked(), state)) == []
        assert story.refund() == ["refund_requested"]

    def test_old_record_takes_nothing_from_a_later_refund(self) -> None:
        story = Story(matched())
        story.refund()
        failed = story.asked()
        story.record(given_back(failed, "failed"))
        story.refund()
        story.record(given_back(failed, "failed"), replace(given_back(story.asked(1)), provider_id="re_2"))
        assert story.record(given_back(failed)) == ["moved"]  # to be asked about again
        assert (story.payment.reversed, story.payment.going_back) == (10_300, 10_300)
        assert story.payment.next_poll_at is not None
        assert story.record(given_back(failed)) == []  # another old word of it
        assert story.record(given_back(failed, "failed"), asked=True) == ["moved"]
        assert story.payment.next_poll_at is None
        assert not any(step.opens for step in story.steps)

    def test_success_after_failure_is_posted_once_confirmed(self) -> None:
        story = Story(matched())
        story.refund(4_000)
        story.take(refused(story.payment, story.asked(), "never_made"))
        assert story.record(given_back(story.asked())) == ["moved"]
        assert story.record(given_back(story.asked()), asked=True) == ["reversed"]
        assert story.payment.next_poll_at is not None  # what had failed and went is asked about once more
        assert story.record(given_back(story.asked()), asked=True) == ["moved"]
        assert (story.payment.next_poll_at, story.payment.reversed) == (None, 4_120)
        assert story.record(given_back(story.asked())) == []

    def test_success_after_full_chargeback_opens_exception(self) -> None:
        story = Story(matched())
        story.refund(4_000)
        story.record(chargeback("succeeded"))
        assert (story.asked().state, story.asked().code) == ("failed", "taken_back_first")
        record = given_back(story.asked()), chargeback("succeeded")
        assert story.record(*record) == ["moved"]  # to be asked about again
        assert story.record(*record, asked=True) == ["moved", "moved"]
        assert [story.record(*record, asked=asked) for asked in (True, False)] == [[], []]
        opened = [(step.opens, step.in_doubt, step.about_id) for step in story.steps if step.opens]
        assert opened == [("wrong_amount", usd(-4_120), "re_1")]
        assert (story.payment.reversed, story.payment.next_poll_at) == (10_300, None)
        story.record(given_back(story.asked(), "failed"), chargeback("succeeded"))
        assert (story.steps[-1].closes, story.steps[-1].about_id) == (True, "re_1")

    def test_old_record_posts_nothing_during_another_refund(self) -> None:
        story = Story(matched())
        story.refund(4_000)
        failed = story.asked()
        story.record(given_back(failed, "failed"))
        story.refund(1_000)
        other = replace(given_back(story.asked(1), "processing"), provider_id="re_2")
        story.record(given_back(failed, "failed"), other)
        assert "reversed" not in story.record(given_back(failed), other)


class TestRefund:
    def test_moves_no_money_before_the_providers_record(self) -> None:
        story = Story(matched())
        assert story.refund(4_000) == ["refund_requested"]
        assert (story.payment.reversed, story.payment.going_back, story.booked()) == (0, 4_120, {})
        assert story.record(given_back(story.asked()), evidence=False) == []
        assert story.record(given_back(story.asked())) == ["reversed"]
        assert (story.payment.reversed, story.payment.reversed_surcharge) == (4_120, 120)
        assert story.booked() == {"customer_funds": 4_000, "surcharge_income": 120, "psp_clearing": -4_120}
        assert story.record(given_back(story.asked())) == []

    def test_surcharge_is_refunded_in_proportion(self) -> None:
        story = Story(matched(amount=1_000, surcharge=29))
        shares = []
        for minor in (333, 333, None):
            story.refund(minor)
            shares.append(story.asked(len(shares)).surcharge.minor)
        assert shares == [9, 10, 10]
        assert story.payment.going_back == 1_029

    @given(
        st.integers(1, 10**6),
        st.integers(0, 10**5),
        st.lists(st.tuples(st.integers(1, 10**6), st.sampled_from(["gone", "failed", "waits"])), max_size=6),
    )
    def test_never_exceeds_the_payment(self, amount: int, surcharge: int, wishes: list[tuple[int, str]]) -> None:
        story = Story(matched(amount, surcharge))
        for minor, then in wishes:
            before = story.payment.going_back
            if isinstance(story.refund(minor), Refusal):
                assert story.payment.going_back == before
                continue
            made = story.asked(-1)
            if then == "gone":
                story.record(replace(given_back(made), provider_id=made.id))
            elif then == "failed":
                story.take(refused(story.payment, made, "charge_already_refunded"))
            assert 0 <= story.payment.reversed <= story.payment.going_back <= amount + surcharge
        assert sum(story.booked().values()) == 0
        story.refund()
        counted = [each for each in story.reversals.values() if each.state != "failed"]
        assert sum(each.amount.minor for each in counted) == amount
        assert sum(each.surcharge.minor for each in counted) == surcharge

    @pytest.mark.parametrize(
        ("payment", "minor", "code", "conflict"),
        [
            (replace(matched(), reconciliation="waiting"), None, "not-reconciled", True),
            (matched(), 10_001, "more-than-left", False),
            (matched(0, 0, credit_used=4_000), None, "paid-by-credit", True),
        ],
    )
    def test_impossible_one_is_refused(self, payment: Payment, minor: int | None, code: str, conflict: bool) -> None:
        refusal = refund(payment, [], minor, "r", now=NOW, today=DAY)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.conflict) == (code, conflict)

    def test_second_full_one_is_refused(self) -> None:
        story = Story(matched())
        story.refund()
        for _ in range(2):
            refusal = story.refund()
            assert isinstance(refusal, Refusal)
            assert refusal.code == "nothing-left"
            story.record(given_back(story.asked()))

    def test_of_offline_money_is_done_at_once(self) -> None:
        story = Story(receive("customer", usd(5_000), DAY, "cheque", (), NOW).payment)
        assert story.refund(2_000) == ["reversed"]
        assert (story.asked().state, story.asked().effective_on) == ("succeeded", LATER)
        assert story.booked() == {"customer_funds": 2_000, "bank": -2_000}

    def test_failed_one_can_be_asked_for_again(self) -> None:
        story = Story(matched())
        story.refund()
        assert story.record(given_back(story.asked(), "failed")) == ["refund_failed"]
        assert (story.payment.going_back, story.booked()) == (0, {})
        assert story.refund() == ["refund_requested"]

    def test_is_polled_until_it_has_gone(self) -> None:
        story = Story(matched())
        story.refund()
        story.record(given_back(story.asked(), "processing"))
        assert story.payment.next_poll_at is not None
        story.record(given_back(story.asked()))
        assert story.payment.next_poll_at is not None  # a word that was asked for ends the asking
        assert story.record(given_back(story.asked()), asked=True) == ["moved"]
        assert story.payment.next_poll_at is None

    def test_made_at_the_provider_counts(self) -> None:
        story = Story(matched())
        assert story.record(SeenBack("re_9", "refund", "succeeded", usd(5_150), LATER)) == ["reversed"]
        assert (story.asked().amount, story.asked().surcharge) == (usd(5_000), usd(150))


class TestChargeback:
    @pytest.mark.parametrize("end", ["open", "won"])
    def test_exception_closes_once_posted_or_won(self, end: str) -> None:
        story = Story(matched(10_000, 0))
        story.refund()
        gone = given_back(story.asked())
        story.record(gone)
        assert story.record(gone, chargeback("open", 10_000)) == ["moved"]
        refund_is = "failed" if end == "open" else "succeeded"
        story.record(given_back(story.asked(), refund_is), chargeback(end, 10_000))
        assert story.payment.disputed == (10_000 if end == "open" else 0)
        assert (story.steps[-1].closes, story.steps[-1].about_id) == (True, "du_1")

    @pytest.mark.parametrize("end", ["won", "succeeded"])
    def test_takes_the_rest_after_a_failed_refund(self, end: str) -> None:
        """Refunded 40, all 100 charged back: 60 are held. The refund fails: the 40 are held, too, and go with them."""
        story = Story(matched(10_000, 0))
        story.refund(4_000)
        story.record(given_back(story.asked()))
        assert story.record(given_back(story.asked()), chargeback("open", 10_000)) == ["moved", "disputed"]
        assert (story.steps[-2].opens, story.steps[-2].in_doubt) == ("wrong_amount", usd(-4_000))
        assert story.payment.disputed == 6_000
        failed = given_back(story.asked(), "failed")
        assert story.record(failed, chargeback("open", 10_000)) == ["refund_failed", "disputed"]
        assert (story.steps[-1].closes, story.steps[-1].about_id) == (True, "du_1")
        assert (story.payment.disputed, story.payment.reversed) == (10_000, 0)
        assert story.record(failed, chargeback("open", 10_000)) == []
        told = {"won": "dispute_won", "succeeded": "reversed"}[end]
        assert story.record(failed, chargeback(end, 10_000)) == [told, told]
        assert story.record(failed, chargeback("open", 10_000)) == []
        lost = 10_000 if end == "succeeded" else 0
        assert (story.payment.disputed, story.payment.going_back, story.payment.reversed) == (0, lost, lost)
        assert story.booked() == ({"customer_funds": lost, "psp_clearing": -lost} if lost else {})

    def test_excess_opens_exception_and_the_rest_is_posted(self) -> None:
        story = Story(matched())
        assert story.record(chargeback("succeeded", 12_000)) == ["moved", "reversed"]
        assert (story.steps[-2].opens, story.payment.reversed) == ("wrong_amount", 10_300)
        assert story.steps[-2].in_doubt == usd(-1_700)

    def test_record_of_less_takes_nothing_more(self) -> None:
        story = Story(matched())
        story.record(chargeback("open"))
        assert story.record(chargeback("open", 5_000)) == []
        assert story.payment.disputed == 10_300

    def test_open_one_holds_money_and_refuses_refunds(self) -> None:
        story = Story(matched())
        assert story.record(chargeback("open")) == ["disputed"]
        assert (story.payment.disputed, story.payment.reversed) == (10_300, 0)
        assert story.booked() == {"disputed": 10_300, "psp_clearing": -10_300}
        refusal = story.refund(1)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.conflict) == ("dispute-open", True)

    def test_only_a_lost_one_reverses(self) -> None:
        story = Story(matched())
        story.record(chargeback("open"))
        assert story.record(chargeback("succeeded")) == ["reversed"]
        assert (story.payment.disputed, story.payment.reversed) == (0, 10_300)
        assert story.booked() == {"customer_funds": 10_000, "surcharge_income": 300, "psp_clearing": -10_300}

    def test_won_one_restores_everything(self) -> None:
        story = Story(matched())
        story.record(chargeback("open"))
        assert story.record(chargeback("won")) == ["dispute_won"]
        assert (story.payment.disputed, story.payment.going_back, story.booked()) == (0, 0, {})
        assert story.refund() == ["refund_requested"]

    def test_wins_over_a_pending_refund(self) -> None:
        story = Story(matched())
        story.refund(4_000)
        assert story.record(chargeback("open")) == ["refund_failed", "disputed"]
        assert (story.payment.disputed, story.payment.going_back) == (10_300, 10_300)

    def test_takes_what_refunds_have_left(self) -> None:
        story = Story(matched())
        story.refund(4_000)
        back = given_back(story.asked())
        assert story.record(back, chargeback("open", 6_180)) == ["reversed", "disputed"]
        assert (story.payment.disputed, story.payment.reversed, story.payment.going_back) == (6_180, 4_120, 10_300)


def test_any_order_and_repetition_ends_in_one_state() -> None:
    ends = set()
    for order in permutations([(), (chargeback("open", 6_180),), (chargeback("succeeded", 6_180),), ()]):
        story = Story(matched())
        story.refund(4_000)
        back = given_back(story.asked())
        for record in [*order, *order]:
            story.record(back, *record)
        payment = story.payment
        ends.add((payment.reversed, payment.going_back, payment.disputed, tuple(sorted(story.booked().items()))))
    assert len(ends) == 1


class TestBankReturn:
    def test_is_posted_after_the_refund_failed(self) -> None:
        story = Story(matched())
        story.refund()
        took = SeenBack("du_1", "return", "succeeded", usd(10_300), LATER, "R01")
        assert story.record(took, given_back(story.asked(), "failed")) == ["refund_failed", "reversed"]
        assert story.payment.reversed == 10_300

    def test_return_window_depends_on_the_method(self) -> None:
        assert matched().return_window_until == date(2026, 6, 29)
        assert replace(matched(), method_kind="bank_account").return_window_until == date(2026, 4, 30)
        assert receive("customer", usd(1), DAY, None, (), NOW).payment.return_window_until is None

    @pytest.mark.parametrize("told", [DAY, LATER, LATER + timedelta(days=1)])
    def test_dated_too_early_counts_on_the_receipts_day(self, told: date) -> None:
        payment = receive("customer", usd(5_000), LATER, None, (), NOW).payment
        step = taken_by_bank(payment, (), told, NOW)
        assert step is not None
        assert step.posting is not None
        assert step.posting.effective_on == max(told, LATER)


def receipt() -> Payment:
    return receive("customer", usd(10_000), DAY, "CHQ 7", (), NOW).payment


class TestVoid:
    def test_reverses_on_the_receipts_own_day(self) -> None:
        story = Story(receipt())
        step = void(story.payment, (), "another customer's", NOW)
        assert isinstance(step, Step)
        assert story.take(step) == ["reversed"]
        assert story.booked() == {"customer_funds": 10_000, "bank": -10_000}
        assert (step.posting and step.posting.effective_on, story.payment.reason) == (DAY, "voided")
        assert (story.payment.reversed, story.asked().kind, story.asked().reason) == (
            10_000,
            "void",
            "another customer's",
        )

    @pytest.mark.parametrize(
        ("refund_first", "void_first", "way", "slug"),
        [
            (False, False, "collect", "not-a-receipt"),
            (True, False, "receive", "gone-back-already"),
            (False, True, "receive", "voided-already"),
        ],
    )
    def test_only_a_whole_receipt_and_once(self, refund_first: bool, void_first: bool, way: str, slug: str) -> None:
        story = Story(receipt() if way == "receive" else matched())
        if refund_first:
            story.refund(1)
        if void_first:
            first = void(story.payment, (), "an error", NOW)
            assert isinstance(first, Step)
            story.take(first)
        refusal = void(story.payment, list(story.reversals.values()), "an error", NOW)
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.conflict) == (slug, True)
