"""What the timeline of an invoice says of what comes next."""

from dataclasses import replace
from datetime import date

import pytest

from invoicing.domain import Invoice
from invoicing.timeline import Line, next_step, of_invoice, of_payment, shown


def said(line: Line | None) -> str | None:
    return line.text if line else None


OPEN = Invoice("i", "c", "INV-1", "USD", "open", date(2026, 1, 1), date(2026, 1, 31), 10_000)


def heard_of(kind: str, **body: object) -> dict[str, object]:
    return {"type": kind, "payload": body}


def usd(minor: int) -> dict[str, object]:
    return {"amount_minor": minor, "currency": "USD"}


NOTICE = heard_of("AutopayScheduled", charge_on="2026-03-03", total=usd(10_300))


def test_open_chargeback_is_shown_until_decided() -> None:
    paid = replace(OPEN, state="paid", settled=10_000)
    opened = heard_of("PaymentDisputed", reversal_id="r", disputed=usd(4_000))
    assert (
        said(next_step(paid, (), date(2026, 3, 1), [opened])) == "The payer's bank decides a chargeback of USD 40.00."
    )
    for over in ("PaymentDisputeWon", "PaymentReversed"):
        assert next_step(paid, (), date(2026, 3, 1), [opened, heard_of(over, reversal_id="r")]) is None


def test_payment_is_shown_with_its_amount() -> None:
    assert of_payment("PaymentReversed", {"kind": "chargeback", "taken": usd(4_000)}).text == (
        "A chargeback was lost: USD 40.00 of the payment is gone."
    )
    assert of_payment("AutopayScheduled", {"charge_on": "2026-03-03", "total": usd(10_300)}).text == (
        "Autopay was announced: it charges USD 103.00 on 2026-03-03."
    )


class TestStatus:
    @pytest.mark.parametrize(
        ("today", "says"),
        [
            (date(2026, 1, 31), "It waits to be paid, by 2026-01-31."),
            (date(2026, 2, 1), "It waits to be paid: it was due on 2026-01-31, 1 day ago."),
            (date(2026, 3, 1), "It waits to be paid: it was due on 2026-01-31, 29 days ago."),
        ],
    )
    def test_open_invoice_waits_to_be_paid(self, today: date, says: str) -> None:
        assert said(next_step(OPEN, (), today)) == says

    @pytest.mark.parametrize(
        ("expected_by", "says"),
        [
            (
                date(2026, 3, 2),
                "The payment under way is confirmed by 2026-03-02; until then the same money can't be paid twice.",
            ),
            (
                date(2026, 2, 27),
                "It waits for the payment under way, which was expected by 2026-02-27. Until that is confirmed, "
                "the same money can't be paid twice.",
            ),
            (None, "It waits for the payment under way. Until that is confirmed, the same money can't be paid twice."),
        ],
    )
    def test_payment_is_confirmed_only_by_its_event(self, expected_by: date | None, says: str) -> None:
        assert said(next_step(replace(OPEN, pending=10_000), [{"expected_by": expected_by}], date(2026, 3, 1))) == says

    def test_paid_invoice_waits_for_nothing(self) -> None:
        assert next_step(replace(OPEN, state="paid", settled=10_000), (), date(2026, 3, 1)) is None


class TestCodes:
    """Every line is a code with plain values, so that it can be said in another language."""

    def test_amounts_are_minor_units_beside_currency(self) -> None:
        line = of_payment("AutopayScheduled", {"charge_on": "2026-03-03", "total": usd(10_300)})
        assert line.code == "autopay_announced"
        assert line.plain_values == {"day": "2026-03-03", "amount_minor": 10_300, "currency": "USD"}

    @pytest.mark.parametrize(
        ("event", "settled", "pending", "credited", "lines"),
        [
            ("InvoiceChanged", 4_000, 0, 0, [("part_paid", 4_000)]),
            ("InvoiceChanged", 0, 0, 0, [("ended_without_money", None)]),
            ("InvoiceChanged", 0, 4_000, 700, [("credited", 700)]),
            ("InvoiceChanged", 0, 0, 700, [("ended_without_money", None), ("credited", 700)]),
            ("InvoiceChanged", 4_000, 0, 700, [("part_paid", 4_000), ("credited", 700)]),
            ("InvoiceInProgress", 0, 4_000, 6_000, [("credited", 6_000), ("all_under_way", 4_000)]),
            ("InvoiceInProgress", 0, 10_000, 0, [("all_under_way", 6_000)]),
            ("InvoicePaid", 4_000, 0, 0, [("paid", 4_000)]),
            ("InvoicePaid", 4_000, 0, 6_000, [("credited", 6_000), ("paid", 4_000)]),
            ("InvoicePaid", 0, 4_000, 700, [("paid_by_credit_note", 700)]),
            ("InvoicePaid", 0, 0, 700, [("ended_without_money", None), ("paid_by_credit_note", 700)]),
        ],
    )
    def test_each_amount_that_moved_is_named(
        self, event: str, settled: int, pending: int, credited: int, lines: list[tuple[str, int | None]]
    ) -> None:
        """A payment of 4,000 was under way before."""
        before = {"settled": usd(0), "pending": usd(4_000), "credited": usd(0)}
        body = {"settled": usd(settled), "pending": usd(pending), "credited": usd(credited)}
        found = of_invoice(event, body, before)
        assert [(line.code, line.plain_values.get("amount_minor")) for line in found] == lines

    def test_credit_note_says_what_became_credit(self) -> None:
        note = {"type": "CreditNoteIssued", "payload": {"number": "CN-7", "amount": usd(900), "applied": usd(200)}}
        line = of_payment(note["type"], note["payload"])
        assert (line.code, line.plain_values["amount_minor"], line.plain_values["number"]) == (
            "left_as_credit",
            700,
            "CN-7",
        )
        whole = {"type": "CreditNoteIssued", "payload": {"number": "CN-8", "amount": usd(900), "applied": usd(900)}}
        assert [event for event, _ in shown([note, whole])] == [note]

    def test_change_without_a_line_is_left_out(self) -> None:
        same = {"settled": usd(900), "pending": usd(0), "credited": usd(0)}
        assert shown([{"type": "InvoiceChanged", "payload": same, "before": same}]) == []

    def test_disputes_say_what_became_of_them(self) -> None:
        none = {"settled": usd(0), "pending": usd(0), "credited": usd(0), "dispute_amount": usd(900)}
        assert of_invoice("InvoiceHeld", none, none)[0].text.startswith("USD 9.00 of it is disputed")
        for outcome in ("rejected", "withdrawn"):
            (line,) = of_invoice("InvoiceHoldEnded", none | {"outcome": outcome}, none)
            assert line.code == f"dispute_{outcome}"

    def test_dispute_without_a_note_says_so(self) -> None:
        none = {"settled": usd(0), "pending": usd(0), "credited": usd(0), "uncredited": ["d"]}
        assert [line.code for line in of_invoice("InvoiceChanged", none, none)] == ["nothing_to_credit"]
        paid = of_invoice("InvoiceChanged", none | {"settled": usd(4_000)}, none)
        assert [line.code for line in paid] == ["part_paid"]

    def test_all_in_dispute_waits_for_the_decision(self) -> None:
        assert next_step(replace(OPEN, in_dispute=10_000), (), date(2026, 3, 1)).code == "in_dispute"  # type: ignore[union-attr]
        part = next_step(replace(OPEN, in_dispute=9_999), (), date(2026, 3, 1))
        assert part is not None
        assert part.code == "overdue"

    @pytest.mark.parametrize(("until", "code"), [(date(2026, 3, 3), "overdue"), (date(2026, 3, 2), "charged_on")])
    def test_charge_of_a_held_day_is_not_announced(self, until: date, code: str) -> None:
        rejected = replace(OPEN, resting=10_000, held_until=until)
        assert next_step(rejected, (), date(2026, 3, 1), [NOTICE]).code == code  # type: ignore[union-attr]
        part = replace(rejected, resting=9_999)
        assert next_step(part, (), date(2026, 3, 1), [NOTICE]).code == "charged_on"  # type: ignore[union-attr]

    def test_what_comes_next_has_a_code(self) -> None:
        late = next_step(OPEN, (), date(2026, 3, 1))
        assert late is not None
        assert (late.code, late.plain_values) == ("overdue", {"day": "2026-01-31", "days": 29})


class TestAutopay:
    ON, OFF = heard_of("AutopayChanged", enabled=True), heard_of("AutopayChanged", enabled=False)

    def test_a_change_is_shown_once_it_was_announced(self) -> None:
        assert [event for event, _ in shown([self.ON, NOTICE, self.OFF, self.ON])] == [NOTICE, self.OFF]

    def test_it_says_how_the_charge_was_cancelled(self) -> None:
        codes = [
            of_payment("AutopayChanged", body).code
            for body in ({"enabled": False}, {"enabled": True}, {"enabled": True, "held_reason": "expired_card"})
        ]
        assert codes == ["autopay_off", "autopay_changed", "autopay_held"]

    @pytest.mark.parametrize(
        ("events", "today", "says"),
        [
            ([NOTICE], date(2026, 3, 3), "Autopay charges it on 2026-03-03."),
            ([NOTICE], date(2026, 3, 4), "It waits to be paid: it was due on 2026-01-31, 32 days ago."),
            ([NOTICE, heard_of("AutopayChanged")], date(2026, 1, 31), "It waits to be paid, by 2026-01-31."),
            ([NOTICE, heard_of("InvoicePaid")], date(2026, 1, 31), "It waits to be paid, by 2026-01-31."),
        ],
    )
    def test_day_is_shown_while_it_is_planned(self, events: list[dict[str, object]], today: date, says: str) -> None:
        assert said(next_step(OPEN, (), today, events)) == says
