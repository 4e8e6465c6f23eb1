"""Who is mailed, what is not sent, and how a refusal ends a mail."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import payments
from contracts.auth import PayerLinkMade
from contracts.envelope import Amount
from contracts.ids import new_id
from notify.domain.catalogue import BY_NAME, GROUPS, KINDS, kind_of
from notify.domain.mails import (
    UNKNOWN_FOR,
    End,
    Mail,
    Person,
    Wait,
    after_refusal,
    before_sending,
    message_id,
    recipients,
)
from notify.domain.methods import last_day, usable
from notify.domain.unsubscribe import read_token, token_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def person(**more: Any) -> Person:
    fields = {"id": new_id(), "customer_id": "c", "email": "a@example.com", "name": None, "language": "en"}
    return Person(**{**fields, "enabled": True, **more})


def mail(kind: str = "payment_received", **more: Any) -> Mail:
    fields = {"id": "m", "place": 1, "cause": "c", "person_id": "p", "customer_id": None, "kind": kind, "facts": {}}
    rest = {"sealed": None, "expires_at": None, "message_id": "x", "attempts": 0, "made_at": NOW}
    return Mail(**{**fields, **rest, **more})


def verdict(kind: str = "payment_received", who: Person | None = None, **more: Any) -> object:
    unwanted, now = more.pop("unwanted", ()), more.pop("now", NOW)
    return before_sending(mail(kind, **more), BY_NAME[kind], who, unwanted, now)


class TestBeforeSending:
    def test_enabled_person_is_mailed(self) -> None:
        assert verdict(who=person()) is None

    def test_expired_code_is_not_sent(self) -> None:
        ends = NOW + timedelta(seconds=1)
        assert verdict("code", person(), expires_at=ends) is None
        found = verdict("code", person(), expires_at=ends, now=ends)
        assert isinstance(found, End)
        assert found.state == "cancelled"

    def test_unknown_person_is_waited_for(self) -> None:
        assert isinstance(verdict(now=NOW + UNKNOWN_FOR - timedelta(seconds=1)), Wait)
        assert isinstance(verdict(now=NOW + UNKNOWN_FOR), End)

    def test_disabled_person_is_not_mailed(self) -> None:
        assert verdict(who=person(enabled=False)) == End("suppressed", "the person is disabled")

    def test_bounced_address_gets_only_what_was_asked(self) -> None:
        assert isinstance(verdict(who=person(bounced=True)), End)
        assert verdict("code", person(bounced=True)) is None

    def test_unwanted_group_is_suppressed(self) -> None:
        assert isinstance(verdict(who=person(), unwanted=["receipts"]), End)
        assert verdict(who=person(), unwanted=["invoices"]) is None

    @pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.group is None])
    def test_needed_mail_is_always_wanted(self, kind: str) -> None:
        assert verdict(kind, person(), unwanted=GROUPS) is None


class TestRecipients:
    def test_payer_alone_hears_of_a_payment(self) -> None:
        one, other = person(), person()
        assert recipients([one, other], other.id) == [other]

    def test_disabled_payer_leaves_it_to_others(self) -> None:
        one, payer = person(), person(enabled=False)
        assert recipients([one, payer], payer.id) == [one]

    def test_all_enabled_hear_without_payer(self) -> None:
        one, other, off = person(), person(), person(enabled=False)
        assert recipients([one, other, off], None) == [one, other]


class TestRefusals:
    @pytest.mark.parametrize("code", [421, 450, 451, 452])
    def test_four_hundreds_are_tried_again(self, code: int) -> None:
        assert after_refusal(code, "", "recipient") is None

    @pytest.mark.parametrize(
        ("code", "said", "part", "state"),
        [
            (550, "5.1.1 no such user", "recipient", "bounced"),
            (550, "no such user", "recipient", "bounced"),
            (550, "5.7.1 relaying denied", "recipient", "failed"),
            (552, "5.2.2 mailbox full", "recipient", "failed"),
            (554, "5.7.1 spam", "message", "failed"),
            (550, "5.1.8 bad sender", "sender", "failed"),
        ],
    )
    def test_only_a_missing_mailbox_bounces(self, code: int, said: str, part: Any, state: str) -> None:
        found = after_refusal(code, said, part)
        assert found is not None
        assert found.state == state
        assert said not in found.reason


class TestMessageId:
    @given(st.text(), st.text(), st.integers(0, 9))
    def test_cause_and_person_make_it(self, cause: str, who: str, resends: int) -> None:
        assert message_id(cause, who, resends) == message_id(cause, who, resends)
        assert message_id(cause, who, resends) != message_id(cause, who, resends + 1)
        assert message_id(cause + "x", who) != message_id(cause, who)


class TestUnsubscribe:
    def test_token_names_person_and_group(self) -> None:
        for group in GROUPS:
            who = new_id()
            assert read_token(b"s", token_of(b"s", who, group)) == (who, group)

    @given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=80))
    def test_invented_token_is_refused(self, token: str) -> None:
        assert read_token(b"s", token) is None

    def test_token_of_another_secret_is_refused(self) -> None:
        assert read_token(b"other", token_of(b"s", new_id(), "receipts")) is None


def payment(event: type[payments.PaymentState], **more: Any) -> payments.PaymentState:
    usd = Amount(amount_minor=100, currency="USD")
    body = {"payment_id": "p", "customer_id": "c", "way": "collect", "status": "succeeded"}
    return event(**{**body, "amount": usd, "surcharge": usd, "total": usd, **more})


class TestKinds:
    @pytest.mark.parametrize(
        ("event", "more", "name"),
        [
            (payments.PaymentReconciled, {}, "payment_received"),
            (payments.PaymentReconciled, {"way": "receive"}, "receipt_recorded"),
            (payments.PaymentDeclined, {}, "payment_failed"),
            (payments.PaymentExpired, {}, "payment_failed"),
            (payments.PaymentActionRequired, {}, "needs_confirmation"),
            (payments.PaymentCancelled, {}, None),
            (payments.PaymentReversed, {"kind": "refund"}, "refunded"),
            (payments.PaymentReversed, {"kind": "return"}, "returned"),
            (payments.PaymentReversed, {}, "returned"),
            (payments.PaymentReversed, {"kind": "chargeback"}, "chargeback_lost"),
            (payments.PaymentReversed, {"voided": True}, "receipt_voided"),
            (payments.PaymentReversed, {"kind": "refund", "voided": True}, "receipt_voided"),
        ],
    )
    def test_payment_has_one_mail(self, event: Any, more: dict[str, Any], name: str | None) -> None:
        usd = Amount(amount_minor=100, currency="USD")
        extra = {"code": "x", "reversed": usd} if event is payments.PaymentReversed else {}
        found = kind_of(payment(event, **extra, **more))
        assert (found.name if found else None) == name

    def test_links_for_later_mails_wait(self) -> None:
        made = PayerLinkMade(link_id="l", customer_id="c", about="statement", sealed="s")
        assert kind_of(made) is None


class TestCards:
    def test_last_day_is_the_months(self) -> None:
        common = {"method_id": "m", "customer_id": "c", "kind": "card"}
        assert str(last_day(payments.MethodAdded(**common, expires="2028-02"))) == "2028-02-29"
        assert last_day(payments.MethodAdded(**common)) is None
        assert last_day(payments.MethodRemoved(**common)) is None

    def test_only_saved_ones_are_warned_of(self) -> None:
        common: dict[str, Any] = {"method_id": "m", "customer_id": "c", "kind": "card"}
        assert usable(payments.MethodAdded(**common))
        assert not usable(payments.MethodAdded(**common, saved=False))
        assert not usable(payments.MethodRemoved(**common))
