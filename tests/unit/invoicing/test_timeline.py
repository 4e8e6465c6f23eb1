"""What the timeline of an invoice says of what comes next."""

from dataclasses import replace
from datetime import date

import pytest

from invoicing.domain import Invoice
from invoicing.timeline import heard, next_step

OPEN = Invoice("i", "c", "INV-1", "USD", "open", date(2026, 1, 1), date(2026, 1, 31), 10_000)


@pytest.mark.parametrize(
    ("today", "says"),
    [
        (date(2026, 1, 31), "It waits to be paid, by 2026-01-31."),
        (date(2026, 2, 1), "It waits to be paid: it was due on 2026-01-31, 1 day ago."),
        (date(2026, 3, 1), "It waits to be paid: it was due on 2026-01-31, 29 days ago."),
    ],
)
def test_an_open_invoice_waits_to_be_paid_and_is_never_said_to_be_paid(today: date, says: str) -> None:
    assert next_step(OPEN, (), today) == says


@pytest.mark.parametrize(
    ("expected_by", "says"),
    [
        (
            date(2026, 3, 2),
            "The payment under way is confirmed by 2026-03-02; until then the same money can't be paid twice.",
        ),
        (
            date(2026, 2, 27),
            "It waits for the payment under way, which was expected by 2026-02-27. Until that is confirmed, the same "
            "money can't be paid twice.",
        ),
        (None, "It waits for the payment under way. Until that is confirmed, the same money can't be paid twice."),
    ],
)
def test_a_payment_under_way_is_never_said_to_be_confirmed_before_it_is(expected_by: date | None, says: str) -> None:
    assert next_step(replace(OPEN, pending=10_000), [{"expected_by": expected_by}], date(2026, 3, 1)) == says


def heard_of(kind: str, **body: object) -> dict[str, object]:
    return {"type": kind, "payload": body}


def usd(minor: int) -> dict[str, object]:
    return {"amount_minor": minor, "currency": "USD"}


NOTICE = heard_of("AutopayScheduled", charge_on="2026-03-03", total=usd(10_300))


@pytest.mark.parametrize(
    ("events", "today", "says"),
    [
        ([NOTICE], date(2026, 3, 3), "Autopay charges it on 2026-03-03."),
        ([NOTICE], date(2026, 3, 4), "It waits to be paid: it was due on 2026-01-31, 32 days ago."),
        ([NOTICE, heard_of("AutopayChanged")], date(2026, 1, 31), "It waits to be paid, by 2026-01-31."),
        ([NOTICE, heard_of("InvoicePaid")], date(2026, 1, 31), "It waits to be paid, by 2026-01-31."),
    ],
)
def test_the_day_of_autopay_is_told_until_it_has_come_or_autopay_is_changed_or_it_was_paid(
    events: list[dict[str, object]], today: date, says: str
) -> None:
    assert next_step(OPEN, (), today, events) == says


def test_an_open_chargeback_is_told_until_it_is_decided() -> None:
    paid = replace(OPEN, state="paid", settled=10_000)
    opened = heard_of("PaymentDisputed", reversal_id="r", disputed=usd(4_000))
    assert next_step(paid, (), date(2026, 3, 1), [opened]) == "The payer's bank decides a chargeback of USD 40.00."
    for over in ("PaymentDisputeWon", "PaymentReversed"):
        assert next_step(paid, (), date(2026, 3, 1), [opened, heard_of(over, reversal_id="r")]) is None


def test_what_was_heard_of_a_payment_is_told_with_its_amount() -> None:
    assert heard("PaymentReversed", {"kind": "chargeback", "taken": usd(4_000)}) == (
        "A chargeback was lost: USD 40.00 of the payment is gone."
    )
    assert heard("AutopayScheduled", {"charge_on": "2026-03-03", "total": usd(10_300)}) == (
        "Autopay was announced: it charges USD 103.00 on 2026-03-03."
    )


def test_a_paid_invoice_waits_for_nothing() -> None:
    assert next_step(replace(OPEN, state="paid", settled=10_000), (), date(2026, 3, 1)) is None
