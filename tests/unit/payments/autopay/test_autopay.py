"""Invoices that pay themselves: when, by what, how often."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.refusals import Refusal
from payments.autopay.data_files import RETRIES
from payments.autopay.domain import (
    BY_HAND,
    HELD,
    Autopay,
    AutopayCharge,
    ConfirmedQuote,
    Followed,
    Payers,
    PutOff,
    Retries,
    Skip,
    confirm,
    follow,
    held_because,
    hold,
    left_by_hand,
    resume,
    retries_of,
    schedule,
    switch_off,
    switch_on,
)
from payments.collecting.domain.payments import NEVER_MADE
from payments.collecting.domain.surcharges import SurchargeRule
from payments.methods.data_files import CURRENCIES
from payments.methods.domain.methods import Method, MethodKind, unusable
from payments.projections.domain import OpenInvoice
from payments.providers.data_files import CODES

ZONE = "America/New_York"
NOW, DAY = datetime(2026, 3, 1, 17, tzinfo=UTC), date(2026, 3, 1)
BANK = Method("m", "c", "pm_1", "bank_account", None, "A Bank", "6789")
CREDIT = Method("m", "c", "pm_1", "card", "credit", "visa", "4242")
RULES = (SurchargeRule("r", date(2020, 1, 1), None, None, None, None, None, "credit", Decimal("0.03"), None, "a test"),)
INVOICE = OpenInvoice("i", "c", "INV-1", "open", "USD", DAY, DAY + timedelta(days=30), 10_000)


def switched(method: Method = BANK, before: Autopay | None = None, **more: object) -> Autopay | Refusal:
    wanted = {"surcharge_consent": False, "actor": "key:p", "today": DAY, "now": NOW, **more}
    day = wanted.pop("day", "due")
    payers = wanted.pop("payers", Payers(method))
    return switch_on(before, "c", payers, day, RULES, CURRENCIES, **wanted)  # type: ignore[arg-type]


def on(method: Method = BANK, **more: object) -> Autopay:
    made = switched(method, **more)  # type: ignore[arg-type]
    assert isinstance(made, Autopay)
    return made


def scheduled(autopay: Autopay | None = None, *, due: date = INVOICE.due_on, now: datetime = NOW) -> AutopayCharge:
    charge = schedule(autopay or on(), "i", DAY, due, now, now, ZONE)
    assert charge is not None
    return charge


class TestSwitchingOn:
    def test_method_with_surcharge_needs_consent(self) -> None:
        refused = switched(CREDIT)
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.field) == ("surcharge-consent-missing", "surcharge_consent")
        assert on(CREDIT, surcharge_consent=True).surcharge_rate == Decimal("0.03")
        assert on(replace(CREDIT, funding="debit")).surcharge_rate == 0

    @pytest.mark.parametrize("change", [{"verification": "pending"}, {"disabled_at": NOW}, {"saved": False}])
    def test_method_for_one_payment_or_unusable_is_refused(self, change: dict[str, object]) -> None:
        assert isinstance(switched(replace(BANK, **change)), Refusal)  # type: ignore[arg-type]

    def test_again_lifts_a_hold_and_keeps_announced_charges(self) -> None:
        first = on()
        held = hold(first, "R01", NOW)
        assert held is not None
        assert hold(held, "R02", NOW) is None
        assert hold(first, "R01", NOW, NOW - timedelta(days=2)) is None, (
            "what was announced before it was switched on anew"
        )
        later = NOW + timedelta(days=5)
        assert on(before=held, now=later) == replace(first, enabled_at=later, sequence=3)
        assert on(before=first, now=later) == first
        other = on(before=first, now=later, day="issue")
        assert (other.enabled_at, other.sequence) == (first.enabled_at, 2)
        assert not switch_off(held).enabled


class TestSchedule:
    def test_charge_is_on_the_companys_day(self) -> None:
        charge = scheduled()
        assert charge.charge_on == INVOICE.due_on
        assert charge.charge_at.astimezone(ZoneInfo(ZONE)).hour == 0

    def test_charge_is_two_days_after_notice_or_later(self) -> None:
        late = scheduled(due=DAY - timedelta(days=3))
        assert (late.charge_at, late.charge_on) == (NOW + timedelta(days=2), DAY + timedelta(days=2))
        at_issue = scheduled(on(day="issue"))
        assert at_issue.charge_at == NOW + timedelta(days=2)

    @given(days=st.integers(-400, 400), hours=st.integers(0, 8_760), day=st.sampled_from(["due", "issue"]))
    def test_notice_and_day_both_hold_in_every_season(self, days: int, hours: int, day: str) -> None:
        now, due = NOW + timedelta(hours=hours), DAY + timedelta(days=days)
        charge = scheduled(on(day=day), due=due, now=now)
        assert charge.charge_at - charge.notice_at >= timedelta(hours=48)
        assert charge.charge_on == charge.charge_at.astimezone(ZoneInfo(ZONE)).date()
        assert day == "issue" or charge.charge_on >= due

    def test_earlier_invoice_is_not_charged(self) -> None:
        before = NOW - timedelta(seconds=1)
        assert schedule(on(), "i", DAY, DAY, before, NOW, ZONE) is None


def confirmed(
    autopay: Autopay,
    method: Method | None = BANK,
    invoice: OpenInvoice | None = INVOICE,
    charge: AutopayCharge | None = None,
) -> ConfirmedQuote | Skip | PutOff:
    return confirm(
        charge or scheduled(),
        autopay,
        method,
        invoice,
        RULES,
        step=1,
        retries=RETRIES,
        currencies=CURRENCIES,
        today=DAY,
        now=NOW,
        zone=ZONE,
    )


class TestCharge:
    def test_takes_the_payable_amount_with_the_agreed_surcharge(self) -> None:
        made = confirmed(on(CREDIT, surcharge_consent=True), CREDIT, replace(INVOICE, payable_now=4_000))
        assert isinstance(made, ConfirmedQuote)
        assert (made.quote.amount.minor, made.quote.surcharge.minor) == (4_000, 120)
        assert (made.step.payment.status, made.step.payment.total.minor) == ("submitted", 4_120)

    def test_leaves_out_what_a_dispute_holds(self) -> None:
        made = confirmed(on(), invoice=replace(INVOICE, disputed=3_000, held=4_000, held_until=DAY))
        assert isinstance(made, ConfirmedQuote)
        assert (made.quote.amount.minor, made.reason) == (6_000, "part_held")
        over = confirmed(on(), invoice=replace(INVOICE, disputed=3_000, held=4_000, held_until=DAY - timedelta(days=1)))
        assert isinstance(over, ConfirmedQuote)
        assert over.quote.amount.minor == 7_000
        assert confirmed(on(), invoice=replace(INVOICE, held=10_000, held_until=DAY)) == Skip("all_held")
        free = confirmed(on(), invoice=replace(INVOICE, held=10_000, held_until=DAY - timedelta(days=1)))
        assert isinstance(free, ConfirmedQuote)
        assert (free.quote.amount.minor, free.reason) == (10_000, None)

    def test_resumes_after_the_hold_with_notice(self) -> None:
        last = replace(scheduled(), state="paid", payment_id="p", reason="part_held")
        again = resume(on(), last, replace(INVOICE, held_until=DAY + timedelta(days=7)), NOW, ZONE)
        assert again is not None
        assert (again.attempt, again.state, again.charge_on) == (2, "scheduled", DAY + timedelta(days=8))
        soon = resume(on(), last, INVOICE, NOW, ZONE)
        assert soon is not None
        assert soon.charge_at == NOW + timedelta(days=2)
        assert resume(on(now=NOW + timedelta(days=1)), last, INVOICE, NOW, ZONE) is None

    def test_resumes_only_what_a_paid_try_left(self) -> None:
        last = replace(scheduled(), state="paid", payment_id="p", reason="part_held", left_out=4_000, declines=2)
        again = resume(on(), last, replace(INVOICE, disputed=1_000), NOW, ZONE)
        assert again is not None
        assert (again.announced, again.left_out, again.declines) == (3_000, 1_000, 0)
        less = resume(on(), last, replace(INVOICE, payable_now=2_000, disputed=1_000), NOW, ZONE)
        assert less is not None
        assert less.announced == 1_000
        assert resume(on(), last, replace(INVOICE, disputed=4_000), NOW, ZONE) is None
        for other in ({"state": "submitted"}, {"state": "declined"}, {"reason": None}):
            assert resume(on(), replace(last, **other), INVOICE, NOW, ZONE) is None

    @given(
        disputed=st.integers(0, 10_000),
        resting=st.integers(0, 10_000),
        declines=st.integers(0, 2),
        days=st.none() | st.integers(-5, 20),
        late=st.integers(0, 100),
    )
    def test_all_held_is_announced_anew_once_free(
        self, disputed: int, resting: int, declines: int, days: int | None, late: int
    ) -> None:
        now, until = NOW + timedelta(days=late), None if days is None else DAY + timedelta(days=late + days)
        held = min(10_000, disputed + (resting if until else 0))
        freed = replace(INVOICE, balance=10_000, disputed=disputed, held=held, held_until=until)
        last = replace(scheduled(), state="skipped", reason="all_held", attempt=declines + 1, declines=declines)
        again = resume(on(), last, freed, now, ZONE)
        if disputed == 10_000:
            assert again is None
            return
        assert again is not None
        assert (again.notice_at, again.attempt, again.declines) == (now, declines + 2, declines)
        assert again.first_at == (last.first_at if declines else again.charge_at)
        assert again.charge_at - now >= timedelta(days=2)
        assert until is None or again.charge_on > until
        assert again.announced == freed.chargeable(again.charge_on)

    def test_tries_skipped_otherwise_are_not_resumed(self) -> None:
        for reason in ("invoice_paid", "switched_off", "part_held"):
            assert resume(on(), replace(scheduled(), state="skipped", reason=reason), INVOICE, NOW, ZONE) is None

    @given(payable=st.integers(1, 100), held=st.integers(0, 100), announced=st.integers(1, 100))
    def test_charges_no_more_than_announced(self, payable: int, held: int, announced: int) -> None:
        charge, invoice = replace(scheduled(), announced=announced), replace(INVOICE, payable_now=payable, held=held)
        made = confirmed(on(), invoice=invoice, charge=charge)
        if isinstance(made, ConfirmedQuote):
            charged = made.quote.amount.minor
            allowed = min(announced, payable)
            assert charged == allowed - held
            assert (made.left_out, made.reason) == ((held, "part_held") if held else (None, None))
        else:
            assert (min(announced, payable) <= held, made) == (True, Skip("all_held"))

    def test_refunded_money_is_not_left_out(self) -> None:
        """Of 10,000, 4,000 were in dispute; the 6,000 that were paid went back, and the dispute is withdrawn."""
        last = replace(scheduled(), state="paid", reason="part_held", announced=10_000, left_out=4_000)
        again = resume(on(), last, INVOICE, NOW, ZONE)
        assert again is not None
        assert (again.announced, again.left_out, again.allowed) == (4_000, 0, 4_000)
        made = confirmed(on(), charge=again)
        assert isinstance(made, ConfirmedQuote)
        assert (made.quote.amount.minor, made.reason, made.left_out) == (4_000, None, None)
        assert confirmed(on(), invoice=replace(INVOICE, held=4_000), charge=again) == Skip("all_held")

    def test_closed_invoice_has_nothing_left_to_charge(self) -> None:
        last = replace(scheduled(), state="paid", reason="part_held", announced=10_000, left_out=0)
        assert resume(on(), last, INVOICE, NOW, ZONE) is None

    def test_skipped_try_keeps_what_it_may_charge(self) -> None:
        last = replace(scheduled(), state="skipped", reason="all_held", announced=4_000, left_out=1_000)
        again = resume(on(), last, replace(INVOICE, disputed=2_000), NOW, ZONE)
        assert again is not None
        assert (again.announced, again.left_out) == (3_000, 2_000)

    def test_declined_part_keeps_what_it_left_out(self) -> None:
        last = replace(scheduled(), state="submitted", reason="part_held", announced=10_000, left_out=4_000)
        again = followed(last, "declined", "insufficient_funds").again
        assert again is not None
        assert replace(again, announced=6_000).allowed == 10_000

    def test_what_is_pending_may_be_charged_later(self) -> None:
        last = replace(scheduled(), state="skipped", reason="all_held", announced=10_000)
        again = resume(on(), last, replace(INVOICE, payable_now=7_000, balance=10_000), NOW, ZONE)
        assert again is not None
        assert (again.announced, again.left_out) == (7_000, 3_000)

    @given(
        steps=st.lists(
            st.tuples(st.integers(0, 150), st.integers(0, 150), st.integers(0, 150), st.booleans()), max_size=8
        )
    )
    def test_all_tries_charge_no_more_than_allowed(self, steps: list[tuple[int, int, int, bool]]) -> None:
        """Whatever becomes payable again, or is held, between them."""
        charge, charged = replace(scheduled(), announced=100), 0
        for payable, held, disputed, paid in steps:
            made = confirmed(on(), invoice=replace(INVOICE, payable_now=payable, held=held), charge=charge)
            if isinstance(made, PutOff):
                continue
            if isinstance(made, ConfirmedQuote):
                amount = made.quote.amount.minor
                ended = replace(charge, state="submitted", reason=made.reason, left_out=made.left_out)
                again = followed(ended, "succeeded" if paid else "cancelled", None)
                charged += amount if paid else 0
                assert charged + (made.left_out or 0) <= 100
                if again.again is not None:
                    charge = replace(again.again, announced=amount)
                    continue
                ended = again.charge
            else:
                ended = replace(charge, state="skipped", reason=made.reason)
            further = resume(on(), ended, replace(INVOICE, payable_now=payable, disputed=disputed), NOW, ZONE)
            if further is None:
                break
            charge = further
            assert charged + (charge.allowed or 0) <= 100

    @pytest.mark.parametrize(
        ("invoice", "reason"),
        [
            (replace(INVOICE, status="paid", payable_now=0), "invoice_paid"),
            (replace(INVOICE, status="void", payable_now=0), "invoice_void"),
            (replace(INVOICE, status="uncollectible"), "invoice_uncollectible"),
            (None, "invoice_unknown"),
        ],
    )
    def test_invoice_without_balance_is_skipped(self, invoice: OpenInvoice | None, reason: str) -> None:
        assert confirmed(on(), invoice=invoice) == Skip(reason)

    @pytest.mark.parametrize(
        "invoice",
        [
            replace(INVOICE, status="in_progress", payable_now=0, balance=10_000),
            replace(INVOICE, payable_now=4_000, balance=10_000),
            replace(INVOICE, payable_now=4_000, balance=10_000, disputed=4_000, held=4_000),
        ],
        ids=["all of it", "a part", "all but what is held"],
    )
    def test_is_postponed_a_day_during_another_payment(self, invoice: OpenInvoice) -> None:
        charge = scheduled()
        made = confirm(
            charge,
            on(),
            BANK,
            invoice,
            RULES,
            step=1,
            retries=RETRIES,
            currencies=CURRENCIES,
            today=DAY,
            now=charge.charge_at,
            zone=ZONE,
        )
        assert isinstance(made, PutOff)
        later = charge.charge_at + timedelta(days=1)
        assert (made.charge.charge_at, made.charge.first_at) == (later, later)
        assert made.charge.charge_on == charge.charge_on + timedelta(days=1)
        assert (made.charge.id, made.charge.state) == (charge.id, "scheduled")
        again = confirm(
            made.charge,
            on(),
            BANK,
            INVOICE,
            RULES,
            step=1,
            retries=RETRIES,
            currencies=CURRENCIES,
            today=DAY,
            now=later,
            zone=ZONE,
        )
        assert isinstance(again, ConfirmedQuote)

    def test_postponed_retry_keeps_the_days_of_the_next(self) -> None:
        charge = replace(scheduled(), attempt=2, declines=1)
        waits = replace(INVOICE, status="in_progress", payable_now=0)
        made = confirm(
            charge,
            on(),
            BANK,
            waits,
            RULES,
            step=1,
            retries=RETRIES,
            currencies=CURRENCIES,
            today=DAY,
            now=charge.charge_at,
            zone=ZONE,
        )
        assert isinstance(made, PutOff)
        assert made.charge.first_at == charge.first_at

    def test_is_skipped_once_off_held_or_newly_switched(self) -> None:
        held = hold(on(), "R01", NOW)
        assert held is not None
        for autopay in (switch_off(on()), held, replace(on(), enabled_at=NOW + timedelta(seconds=1))):
            assert confirmed(autopay) == Skip("switched_off")

    def test_unusable_or_dearer_method_holds_autopay(self) -> None:
        for method, reason in (
            (None, "method-removed"),
            (replace(BANK, disabled_at=NOW, disabled_reason="closed"), "method-disabled"),
            (replace(CREDIT, exp_year=2026, exp_month=2), "method-expired"),
        ):
            assert confirmed(on(), method) == Skip(reason, hold=reason)
        dearer = replace(on(CREDIT, surcharge_consent=True), surcharge_rate=Decimal("0.02"))
        assert confirmed(dearer, CREDIT) == Skip("surcharge_without_consent", hold="surcharge_without_consent")


ANOTHER = f"Switch autopay on again with another method. {BY_HAND}"
SETTLE = f"Settle that and switch autopay on again, or do so with another method. {BY_HAND}"


class TestHold:
    @pytest.mark.parametrize(
        ("reason", "says"),
        [
            ("R02", f"The account is closed. {ANOTHER}"),
            ("R01", f"There was not enough money on the account. {SETTLE}"),
            ("stolen_card", f"The card was reported stolen. {ANOTHER}"),
            ("incorrect_cvc", f"The card's security code is wrong. {SETTLE}"),
            ("duplicate", f"The payer says that it was charged twice. {SETTLE}"),
            (
                "fraudulent",
                f"The provider thinks it a fraud, or the payer says that it never authorised this. {ANOTHER}",
            ),
            ("never heard of", f"The provider said no (never heard of). {SETTLE}"),
            ("method-removed", f"The payment method was removed. {ANOTHER}"),
        ],
    )
    def test_reason_is_in_words_with_the_remedy(self, reason: str, says: str) -> None:
        held = hold(on(), reason, NOW)
        assert held is not None
        assert held_because(held, CODES, ZONE) == says

    @pytest.mark.parametrize(
        "change",
        [
            {"removed_at": NOW},
            {"used": True},
            {"disabled_at": NOW},
            {"verification": "pending"},
            {"exp_year": 2026, "exp_month": 2},
        ],
    )
    def test_every_unusable_method_has_a_reason(self, change: dict[str, object]) -> None:
        against = unusable(replace(BANK, **change), DAY)  # type: ignore[arg-type]
        assert against is not None
        assert against.code in HELD

    def test_without_a_hold_there_is_no_reason(self) -> None:
        held = hold(on(), "R01", NOW)
        assert held is not None
        for autopay in (on(), switch_off(held), switched(before=held)):
            assert isinstance(autopay, Autopay)
            assert held_because(autopay, CODES, ZONE) is None


def followed(
    charge: AutopayCharge, status: str, reason: str | None, *, now: datetime = NOW, kind: MethodKind = "card"
) -> Followed:
    return follow(charge, status, reason, kind, CODES, RETRIES, now, ZONE)


class TestRetries:
    def test_soft_decline_repeats_on_days_1_3_7(self) -> None:
        first = charge = scheduled()
        days = []
        for _ in range(3):
            ended = followed(charge, "declined", "insufficient_funds", now=charge.charge_at)
            assert ended.again is not None
            assert (ended.charge.state, ended.hold, ended.again.attempt) == ("declined", None, charge.attempt + 1)
            charge = ended.again
            days.append((charge.charge_at - first.charge_at).days)
        assert days == [1, 3, 7]
        last = followed(charge, "declined", "insufficient_funds", now=charge.charge_at)
        assert (last.again, last.hold) == (None, None)

    @pytest.mark.parametrize(
        "reason", ["stolen_card", "account_closed", "authentication_required", "never heard of", None]
    )
    def test_hard_decline_holds_autopay(self, reason: str | None) -> None:
        ended = followed(scheduled(), "declined", reason, now=NOW)
        assert (ended.charge.state, ended.again) == ("declined", None)
        assert ended.hold is not None

    def test_changed_invoice_is_charged_again_in_a_minute(self) -> None:
        ended = followed(scheduled(), "cancelled", "invoice_changed", now=NOW)
        assert ended.again is not None
        assert (ended.again.attempt, ended.again.charge_at) == (2, NOW + timedelta(minutes=1))
        assert followed(scheduled(), "succeeded", None, now=NOW).charge.state == "paid"
        assert followed(scheduled(), "expired", "not_confirmed", now=NOW).hold == "not_confirmed"
        given_up = followed(scheduled(), "cancelled", "payer_cancelled", now=NOW)
        assert (given_up.again, given_up.hold) == (None, "not_confirmed")

    def test_call_that_never_arrived_is_no_decline(self) -> None:
        ended = followed(scheduled(), "declined", NEVER_MADE, now=NOW)
        assert ended.again is not None
        assert (ended.hold, ended.again.declines, ended.again.charge_at) == (None, 0, NOW + timedelta(minutes=1))
        declined = followed(ended.again, "declined", "insufficient_funds", now=NOW + timedelta(minutes=2))
        assert declined.again is not None
        assert declined.again.charge_at == NOW + timedelta(days=1, minutes=1)

    def test_after_an_outage_they_are_a_day_apart(self) -> None:
        charge = scheduled()
        late = charge.charge_at + timedelta(days=30)
        days = []
        for _ in range(3):
            again = followed(charge, "declined", "insufficient_funds", now=late).again
            assert again is not None
            days.append((again.charge_at - late).days)
            charge, late = again, again.charge_at
        assert days == [1, 1, 1]

    def test_cancelled_attempt_does_not_count(self) -> None:
        first = scheduled()
        cancelled = followed(first, "cancelled", "invoice_changed", now=first.charge_at)
        charge = cancelled.again
        days = []
        while charge is not None:
            ended = followed(charge, "declined", "insufficient_funds", now=charge.charge_at)
            charge = ended.again
            days += [(charge.charge_at - first.charge_at).days] if charge else []
        assert days == [1, 3, 7]

    def test_repeated_cancellations_are_retried_daily(self) -> None:
        charge = scheduled()
        waits = []
        for _ in range(6):
            again = followed(charge, "cancelled", "invoice_changed", now=charge.charge_at).again
            assert again is not None
            waits.append(again.charge_at - charge.charge_at)
            charge = again
        assert waits == [timedelta(minutes=1)] + [timedelta(days=1)] * 5


class TestReturnedDebits:
    """A bank debit that comes back for want of money: the first one and at most two more, within 180 days."""

    def presented(self, *waits: int) -> tuple[list[int], str | None]:
        """The days on which it is presented, each returned after so many days; and why autopay is held then."""
        first = scheduled()
        charge: AutopayCharge | None = first
        days, hold = list[int](), None
        for wait in (*waits, 1, 1, 1, 1, 1):
            if charge is None:
                break
            days.append((charge.charge_at - first.charge_at).days)
            back = charge.charge_at + timedelta(days=wait)
            ended = followed(charge, "declined", "insufficient_funds", now=back, kind="bank_account")
            charge, hold = ended.again, ended.hold
        return days, hold

    def test_presented_twice_more_then_held(self) -> None:
        assert self.presented() == ([0, 3, 7], "R01")

    @given(st.lists(st.integers(0, 400), min_size=3, max_size=3))
    def test_never_more_often_nor_later(self, waits: list[int]) -> None:
        days, hold = self.presented(*waits)
        assert len(days) <= 3
        assert days[-1] <= 180
        assert hold == "R01"

    def test_put_off_beyond_180_days_is_skipped(self) -> None:
        charge = replace(scheduled(), attempt=2, declines=1)
        for days, allowed in ((180, True), (181, False)):
            at = charge.first_at + timedelta(days=days)
            made = confirm(
                charge,
                on(),
                BANK,
                INVOICE,
                RULES,
                step=1,
                retries=RETRIES,
                currencies=CURRENCIES,
                today=DAY,
                now=at,
                zone=ZONE,
            )
            assert isinstance(made, ConfirmedQuote) == allowed, made

    def test_hold_beyond_180_days_announces_nothing_more(self) -> None:
        last = replace(scheduled(), state="skipped", reason="all_held", attempt=2, declines=1, announced=10_000)
        for days, allowed in ((178, True), (179, False)):
            again = resume(on(), last, INVOICE, last.first_at + timedelta(days=days), ZONE)
            assert again is not None
            assert again.in_time(RETRIES, "bank_account", again.charge_on, again.charge_at) == allowed
            assert again.in_time(RETRIES, "card", again.charge_on, again.charge_at)

    def test_other_returns_hold_at_once(self) -> None:
        for reason in ("account_closed", "R01_unheard_of", "debit_not_authorized"):
            ended = followed(scheduled(), "declined", reason, kind="bank_account")
            assert ended.again is None
            assert ended.hold is not None

    def test_days_are_those_of_their_date(self) -> None:
        later = Retries("bank_account", date(2027, 1, 1), (2,))
        before, after = date(2026, 12, 31), date(2027, 1, 1)
        assert retries_of((*RETRIES, later), "bank_account", before).days == (3, 7)
        assert retries_of((*RETRIES, later), "bank_account", after) == later

    def test_kind_without_days_has_no_further_try(self) -> None:
        ended = follow(scheduled(), "declined", "insufficient_funds", "card", CODES, (), NOW, ZONE)
        assert ended.again is None


CARD = replace(CREDIT, id="card", funding="debit")
EUROS = replace(INVOICE, currency="EUR")


class TestCurrencies:
    """A bank account of the United States pays in USD alone."""

    def test_method_of_a_currency_pays_it(self) -> None:
        both = on(payers=Payers(BANK, (("EUR", CARD),)))
        assert (both.method_for("EUR"), both.method_for("USD"), both.method_ids) == ("card", "m", ("m", "card"))
        assert isinstance(confirmed(both, CARD, EUROS), ConfirmedQuote)

    def test_what_no_method_pays_is_skipped(self) -> None:
        assert confirmed(on(), BANK, EUROS) == Skip("method-not-for-currency")
        only = on(payers=Payers(None, (("EUR", CARD),)))
        assert confirmed(only, None, INVOICE) == Skip("method-not-for-currency")

    def test_method_that_cannot_pay_is_refused(self) -> None:
        refused = switched(payers=Payers(CARD, (("USD", BANK), ("EUR", BANK))))
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.field) == ("method-not-for-currency", "methods.1.method_id")

    def test_consent_is_for_the_dearest_method(self) -> None:
        card = replace(CREDIT, country="US")
        refused = switched(payers=Payers(BANK, (("EUR", card),)))
        assert isinstance(refused, Refusal)
        assert refused.code == "surcharge-consent-missing"
        assert on(payers=Payers(BANK, (("EUR", card),)), surcharge_consent=True).surcharge_rate == Decimal("0.03")

    def test_another_method_of_a_currency_changes_it(self) -> None:
        first = on()
        other = on(before=first, now=NOW + timedelta(days=1), payers=Payers(BANK, (("EUR", CARD),)))
        assert (other.enabled_at, other.sequence) == (first.enabled_at, 2)

    def test_left_by_hand_says_why(self) -> None:
        methods, open_ones = {"m": BANK, "card": CARD}, [(EUROS, False), (INVOICE, True), (INVOICE, False)]

        def left(autopay: Autopay) -> list[str]:
            return [each.because for each in left_by_hand(autopay, methods, open_ones, CURRENCIES, DAY)]

        assert left(on()) == ["no_method_for_currency", "tries_ended", "issued_before"]
        held = hold(on(), "R01", NOW)
        assert held is not None
        assert left(held) == ["no_method_for_currency", "held", "held"]
        assert left(switch_off(on())) == []
