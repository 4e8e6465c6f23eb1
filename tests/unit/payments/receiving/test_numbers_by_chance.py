"""Numbers with letters, and references by which others count: where they are an invoice's number by chance."""

from dataclasses import replace

import pytest

from payments.receiving.domain.numbers import plain
from payments.receiving.domain.transfers import numbers_in
from tests.unit.payments.receiving.test_numbers import likely, transfer


class TestLettersAndDigits:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("US-3256", "US$3256 as agreed"),
            ("RE-3256", "Re: 3256 USD deposit for May"),
            ("INV-3256", "paid inv 3256.50 less bank fee"),
            ("CA-47316", "ACME Inc 1 Main St Beverly Hills CA 47316"),
            ("NO-47316", "No. 47316 Main Street"),
            ("AB-3256", "order AB-3256-45"),
            ("CD-3256", "ref X9-CD-3256"),
            ("IN-4989", "IN-4989/A2"),
            ("B-3256", "ACME Unit B 3256 Broadway"),
            ("EU-3256", "EU 3256 MwSt"),
        ],
    )
    def test_word_and_digits_apart_are_chance(self, number: str, text: str) -> None:
        assert likely(number, text) == "chance"

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("INV-3256", "inv 3256"),
            ("INV-3256", "inv no. INV3256 paid"),
            ("INV-3256", "Rechnung-INV-3256"),
            ("INV-3256", "INV–3256 EUR 500,00"),
            ("IN-4989", "IN-4989/IN-4990"),
            ("IN-4989", "IN-4989/4990"),
            ("AB-3256", "AB-3256."),
            ("AB-3256", "AB-3256, AB-3257"),
            ("RECH-77", "RECH 77"),
            ("AB-2026-0007", "AB 2026 0007"),
        ],
    )
    def test_number_as_written_is_sure(self, number: str, text: str) -> None:
        assert likely(number, text) == "sure"


class TestReferencesOfOthers:
    @pytest.mark.parametrize(("number", "expected"), [("473160", "chance"), ("INV-47", "sure")])
    def test_digits_there_are_chance(self, number: str, expected: str) -> None:
        paid = replace(transfer("", number), own_references=(number,))
        assert numbers_in(paid, {plain(number): [number]}) == {number: expected}

    def test_labelled_digits_there_are_sure(self) -> None:
        paid = replace(transfer("Invoice 473160", "473160"), own_references=("473160",))
        assert numbers_in(paid, {"473160": ["473160"]}) == {"473160": "sure"}
