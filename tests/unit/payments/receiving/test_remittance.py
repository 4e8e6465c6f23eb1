"""Whose money a transfer is: recorded already, exactly what it names, or for a person to look at."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from contracts.money import Money
from payments.projections.domain import OpenInvoice
from payments.receiving.domain.numbers import plain
from payments.receiving.domain.remittance import Matcher
from payments.receiving.domain.transfers import Transfer
from payments.receiving.domain.verdicts import Facts, Posted, Recorded, RecordedAlready, Unclear, Verdict

DAY = date(2026, 3, 2)
HUNDRED = Money(10_000, "USD")


def invoice(number: str, customer: str = "c1", payable: int = 10_000) -> OpenInvoice:
    return OpenInvoice(number, customer, number, "open", "USD", DAY, DAY, payable)


def receipt(name: str, customer: str = "c1", reference: str | None = None, *pays: str, **more: Any) -> Recorded:
    return Recorded(name, customer, HUNDRED, DAY, reference, frozenset(pays), **more)


def transfer(text: str, *references: str, payer_account: str | None = None, day: date = DAY) -> Transfer:
    return Transfer(1, "i1", HUNDRED, day, references, text, None, payer_account)


def verdict(paid: Transfer, *known: OpenInvoice | Recorded, payers: dict[str, str] | None = None) -> Verdict:
    named = defaultdict[str, list[OpenInvoice]](list)
    for one in known:
        if isinstance(one, OpenInvoice):
            named[plain(one.number)].append(one)
    receipts: Sequence[Recorded] = [one for one in known if isinstance(one, Recorded)]
    (found,) = Matcher(Facts(named, {("USD", 10_000): receipts}, payers or {}, {})).judge([paid])
    return found


class TestReceiptsReference:
    @pytest.mark.parametrize(
        ("reference", "text"),
        [
            ("INVB", "INVB7 of spring"),
            ("7781", "order 17781"),
            ("12 34", "9123 45"),
            ("Miller", "Millers and sons"),
        ],
    )
    def test_part_of_a_word_does_not_match(self, reference: str, text: str) -> None:
        assert isinstance(verdict(transfer(text), receipt("p1", "c9", reference)), Unclear)

    @pytest.mark.parametrize(
        ("reference", "text"),
        [
            ("INVB7", "for INVB7, thank you"),
            ("WIRE 7781-X", "our wire 77 81 x"),
            ("Miller and Sons, rent of 3/26", "miller and sons rent of 3 26"),
        ],
    )
    def test_whole_words_match_with_any_separators(self, reference: str, text: str) -> None:
        assert verdict(transfer(text), receipt("p1", "c9", reference)) == RecordedAlready(transfer(text), "p1")
        assert isinstance(verdict(transfer("", text), receipt("p1", "c9", reference)), RecordedAlready)

    def test_words_of_two_fields_are_not_joined(self) -> None:
        assert isinstance(verdict(transfer("81 more", "WIRE 77"), receipt("p1", "c9", "WIRE 7781")), Unclear)

    def test_word_without_digits_does_not_change_the_customer(self) -> None:
        paid = transfer("payment", payer_account="GB1")
        assert isinstance(verdict(paid, receipt("p1", "c9", "Payment"), payers={"GB1": "c1"}), Unclear)
        assert isinstance(verdict(paid, receipt("p1", "c1", "Payment"), payers={"GB1": "c1"}), RecordedAlready)
        assert isinstance(verdict(transfer("WIRE TRANSFER 22"), receipt("p1", "c9", "Wire")), Unclear)


class TestNamedInvoice:
    @pytest.mark.parametrize(
        "recorded",
        [
            receipt("p1", "c1", None, "INV-2"),
            receipt("p1", "c1", "WIRE 7781", "INV-2"),
            receipt("p1", "c1", None, settled=True),
            receipt("p1", "c9", "WIRE 7781"),
        ],
        ids=["for-another", "for-another-with-reference", "on-account", "of-another-customer"],
    )
    def test_exact_open_invoice_wins_over_another_receipt(self, recorded: Recorded) -> None:
        found = verdict(transfer("INV-1 wire 7781"), invoice("INV-1"), invoice("INV-2"), recorded)
        assert isinstance(found, Posted)
        assert [part.invoice_id for part in found.parts] == ["INV-1"]

    def test_receipt_for_the_same_invoice_matches(self) -> None:
        assert isinstance(
            verdict(transfer("INV-1"), invoice("INV-1"), receipt("p1", "c1", None, "INV-1")), RecordedAlready
        )
        paid = invoice("INV-1", payable=0)
        assert isinstance(
            verdict(transfer("INV-1"), paid, receipt("p1", "c1", None, "INV-1", settled=True)), RecordedAlready
        )

    def test_receipt_for_another_invoice_does_not_match(self) -> None:
        found = verdict(transfer("INV-1"), invoice("INV-1", payable=0), receipt("p1", "c1", None, "INV-2"))
        assert isinstance(found, Unclear)

    @pytest.mark.parametrize("told", ["INV-1 INV-2", "INV-1, INV-2", "inv1/inv2", "Inv. INV-1 and INV-2 of May"])
    def test_reference_may_hold_several_numbers(self, told: str) -> None:
        found = verdict(transfer("", told), invoice("INV-1", payable=6_000), invoice("INV-2", payable=4_000))
        assert isinstance(found, Posted)
        assert [part.invoice_id for part in found.parts] == ["INV-1", "INV-2"]

    def test_number_in_another_script_needs_its_letters(self) -> None:
        assert isinstance(verdict(transfer("building 63567 deposit"), invoice("СЧЕТ-63567")), Unclear)
        assert isinstance(verdict(transfer("за счет 63567"), invoice("СЧЕТ-63567")), Posted)

    def test_chooses_its_receipt_among_several(self) -> None:
        known = [invoice("INV-1", payable=0), receipt("p1", "c1", None, "INV-2"), receipt("p2", "c1", None, "INV-1")]
        assert verdict(transfer("INV-1"), *known) == RecordedAlready(transfer("INV-1"), "p2")


class TestDoubtfulReceipts:
    def test_reversed_receipt_is_proposed_beside_the_named_invoice(self) -> None:
        for gone in ({"gone": True}, {"gone": True, "banked": True}):
            known = receipt("p1", "c1", None, "INV-1", **gone)
            found = verdict(transfer("INV-1"), invoice("INV-1"), known)
            assert isinstance(found, Unclear)
            assert found.why == "doubled"
            assert [(each.payment_id, bool(each.parts)) for each in found.proposals] == [("p1", False), (None, True)]
        another = receipt("p1", "c9", None, "INV-9", gone=True, banked=True)
        assert isinstance(verdict(transfer("INV-1"), invoice("INV-1"), another), Posted)
        earlier = Recorded("p1", "c1", HUNDRED, DAY - timedelta(days=11), None, frozenset(), gone=True, banked=True)
        assert isinstance(verdict(transfer("INV-1"), invoice("INV-1"), earlier), Posted)

    def test_several_possible_receipts_are_all_proposed(self) -> None:
        one, two = receipt("p1", "c1", "WIRE 7781"), receipt("p2", "c2", "wire-7781")
        found = verdict(transfer("wire 7781"), one, two)
        assert isinstance(found, Unclear)
        assert (found.why, [each.payment_id for each in found.proposals]) == ("doubled", ["p1", "p2"])
        assert found.proposals[0].reasons == ("one of 2 recorded receipts of this amount that it may be",)

    def test_receipt_eleven_days_earlier_does_not_match(self) -> None:
        late = transfer("wire 7781", day=DAY + timedelta(days=11))
        assert isinstance(verdict(late, receipt("p1", "c9", "WIRE 7781")), Unclear)
