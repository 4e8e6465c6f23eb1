"""Which invoices a transfer names: their numbers, not digits that chance to be the same."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.money import Money
from payments.projections.domain import OpenInvoice
from payments.receiving.domain.numbers import plain
from payments.receiving.domain.remittance import Matcher
from payments.receiving.domain.transfers import Transfer, numbers_in
from payments.receiving.domain.verdicts import Facts, Leads, Posted, Unclear

DAY = date(2026, 3, 2)


def transfer(text: str, *references: str, **more: Any) -> Transfer:
    told: dict[str, Any] = {"payer": None, "payer_account": None, **more}
    return Transfer(1, "i1", Money(10_000, "USD"), DAY, references, text, **told)


def likely(number: str, text: str, *references: str) -> str | None:
    return numbers_in(transfer(text, *references), {plain(number): [number]}).get(number)


def matcher(*numbers: str, **more: Any) -> Matcher:
    """Each number is an invoice of 100.00 USD; `A…` belongs to Alpha by its place in the list, the first."""
    named = {plain(one): [OpenInvoice(one, "alpha", one, "open", "USD", DAY, DAY, 10_000)] for one in numbers}
    return Matcher(Facts(named, {}, more.pop("payers", {}), {}, **more))


class TestNumbersInText:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("INV-2026-03-0042", "Payment of INV-2026-03-0042"),
            ("INV-2026-03-0042", "Payment of INV 2026 03 0042"),
            ("INV-2026-03-0042", "payment of inv2026030042, thanks"),
            ("INV-2026-03-0042", "INV/2026/03/0042"),
            ("RE/2026/03/A/7", "for RE/2026/03/A/7"),
            ("RF18539007547034", "RF18 5390 0754 7034"),
            ("RF18539007547034", "ref: RF18 5390 0754 7034 from Acme"),
            ("210000000003139471430009017", "21 00000 00003 13947 14300 09017"),
            ("INV-1001", "INV–1001"),
            ("INV1001", "Inv. 1001"),
            ("1001", "Invoice 1001"),
            ("1001", "Rechnung Nr. 1001"),
            ("1002", "invoices 1001, 1002"),
            ("1002", "Invoices 1001 and 1002 of May"),
            ("2026-0042", "our payment 2026-0042"),
            ("2026-017", "our payment 2026-017"),
            ("2026-17", "Rechnung 2026-17"),
            ("RE2026030042", "RE 2026-03-0042"),
            ("NL-22-7-A-9", "nl 22 7 a 9"),
        ],
    )
    def test_a_number_with_its_signs_is_sure(self, number: str, text: str) -> None:
        assert likely(number, text) == "sure"

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("010326", "Subscription of 01.03.26"),
            ("010326", "Subscription of 01/03/26"),
            ("010326", "from 01-03-26 on"),
            ("010326", "from 01 03 26 on"),
            ("20260301", "2026-03-01"),
            ("20260301", "paid 2026/03/01 12:00"),
            ("1246", "Till 12:46:08"),
            ("032026", "rent of 03/2026"),
            ("2026", "rent of 03/2026"),
            ("2026", "rent of 01.03.2026"),
            ("4513", "Order 45.13 less discount"),
            ("4513", "45,13 EUR"),
            ("1234567", "1.234.567"),
            ("123456", "USD 1,234.56"),
            ("4513", "EUR 4513"),
            ("4513", "4513 €"),
            ("4513", "$4513"),
            ("4513", "4513,-"),
            ("101234", "SAMPLE LANE 10 1234 SAMPLETOWN"),
            ("10011", "1001 1 piece"),
            ("491711234567", "+49 171 1234567"),
            ("123456789", "12345-6789"),
            ("1001", "12.1001"),
        ],
    )
    def test_dates_amounts_and_addresses_are_no_numbers(self, number: str, text: str) -> None:
        assert likely(number, text) is None
        assert likely(number, "", text + " a") is None  # a reference of several words is a text, too

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("80532", "CREDIT FROM: GAMMA LTD SAMPLE LANE 10 80532 SAMPLETOWN"),
            ("1234567", "call 1234567"),
            ("20260301", "20260301"),
            ("20260301", "Invoice 20260301"),
            ("2026", "Invoice 2026"),
            ("Q1-2026", "for Q1 2026"),
            ("MAY2026", "rent May 2026"),
            ("12B", "12 B Sample Lane"),
            ("12B", "Flat 12B"),
            ("M25", "toll M25"),
            ("1001", "PO-1001"),
            ("0171-1234567", "0171-1234567"),
            ("2026-17", "week 2026-17"),
            ("12/2026", "rent of 12/2026"),
            ("01.03.26", "on 01.03.26"),
        ],
    )
    def test_what_may_be_something_else_is_chance(self, number: str, text: str) -> None:
        assert likely(number, text) == "chance"

    def test_reference_of_the_same_digits_is_the_number(self) -> None:
        assert likely("80532", "", "80532") == "sure"
        assert likely("2026-0042", "", "2026/0042") == "sure"
        assert likely("010326", "", "01.03.26") is None
        assert likely("4513", "", "45.13") is None

    def test_number_inside_a_longer_known_one_is_ignored(self) -> None:
        known = {"INV1001": ["INV-1001"], "INV10012": ["INV-1001-2"], "10012": ["1001-2"]}
        assert numbers_in(transfer("for INV-1001-2"), known) == {"INV-1001-2": "sure"}
        assert numbers_in(transfer("for INV-1001-2 INV-1001"), known).keys() == {"INV-1001-2", "INV-1001"}

    @settings(deadline=None)
    @given(st.text(max_size=80), st.text(alphabet="A1-./ 9", min_size=3, max_size=20))
    def test_number_is_found_in_any_text(self, text: str, number: str) -> None:
        numbers_in(transfer(text, text), {plain(number): [number]})
        named = "RE-" + number
        assert len(plain(named)) < 4 or likely(named, "", named) == "sure"

    def test_long_line_of_digits_is_read_fast(self) -> None:
        text = "inv " + "1-1 " * 20 + "1" * 60 + " " + "9 1,1 " * 3_000
        assert likely("99999", text + "invoice 99999") is None  # behind the words that are read at all


class TestDigitsBehindALabel:
    """The word for invoices makes the next number sure, and those that are listed with it in the same form."""

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("4711", "Rechnung 4711 80331 Muenchen"),
            ("4711", "Rechnung Nr. 4711 vom 01.03.26"),
            ("4713", "Rechnung 4711, 4712 und 4713"),
            ("4712", "Inv 4711; 4712"),
            ("20260043", "Invoices: 20260042 + 20260043"),
            ("20260042", "Invoice no 20260042 Acme Ltd"),
            ("10023", "Invoice 10023 thank you"),
            ("10023", "INVOICE 10023 RENT MARCH"),
            ("10023", "Invoice 10023 INV-77"),
            ("10023", "Invoice 10023, TV-77"),
            ("0000012345", "Invoice 0000012345"),
            ("1950", "Invoice 1950"),
        ],
    )
    def test_next_and_listed_ones_are_sure(self, number: str, text: str) -> None:
        assert likely(number, text) == "sure"

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("80331", "Rechnung 4711 80331 Muenchen"),
            ("80331", "Rechnung 4711, 80331 Muenchen"),
            ("80331", "Invoices 47110 und 80331"),
            ("12500", "Invoice 4711 12500"),
            ("1250", "Inv 4711, 1250"),
            ("0815", "Invoice 4711/0815"),
            ("4242", "Invoice ...4242"),
            ("4242", "Invoice 4711, card ****4242"),
            ("12345678901234", "Facture SIRET 12345678901234"),
            ("50010517", "Rechnung 4711 DE02 5001 0517 5407 3249 31"),
            ("4012", "Inv 4012 8888 8888 1881"),
            ("20260214", "Inv 4711; 20260214"),
            ("INV-20260301", "INV 2026 03 01"),
        ],
    )
    def test_other_digits_that_follow_are_chance(self, number: str, text: str) -> None:
        assert likely(number, text) == "chance"

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("75008", "Facture 75008 Paris"),
            ("80331", "RECHNUNG 80331 MUENCHEN"),
            ("80331", "Rechnung 80331\nmünchen"),
            ("10115", "Invoice 10115, Berlin"),
            ("10115", "Invoice 10115 (Berlin)"),
            ("1012", "Factuur 1012 AB Amsterdam"),
            ("110001", "Invoice 110001 New Delhi"),
            ("100-0001", "Invoice 100-0001 Tokyo"),
            ("1000-001", "Fatura 1000-001 Lisboa"),
            ("01310-100", "Fatura 4711 01310-100 Sao Paulo"),
            ("76600", "Facture 76600 Le Havre"),
            ("221", "Invoice 221 Baker Street"),
            ("80331", "Haus D-80331"),
            ("D-80331", "Haus D-80331"),
            ("SE11122", "Faktura SE-111 22"),
            ("CH8001", "Facture CH-8001"),
        ],
    )
    def test_a_postcode_or_house_is_chance(self, number: str, text: str) -> None:
        assert likely(number, text) == "chance"
        assert likely(number, "", text + " a") == "chance"

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            ("0891234567", "Inv 4711 0891234567"),
            ("0891234567", "Inv 0891234567"),
            ("00498912345678", "Rechnung 00498912345678"),
            ("415-555-0123", "Invoice 415-555-0123"),
            ("415", "Invoice 415 555 0123"),
            ("089", "Rechnung 089/1234567"),
        ],
    )
    def test_a_telephone_number_is_chance(self, number: str, text: str) -> None:
        assert likely(number, text) == "chance"

    @pytest.mark.parametrize("number", ["USD-12500", "EUR12500"])
    def test_an_amount_with_its_currency_is_chance(self, number: str) -> None:
        assert likely(number, f"paid {number[:3]} 12500") == "chance"

    @pytest.mark.parametrize(("number", "amount"), [("12500", 12_500), ("125", 12_500)])
    def test_digits_of_the_amount_itself_are_chance(self, number: str, amount: int) -> None:
        for paid in (transfer(f"Invoice {number}"), transfer("", number)):
            told = replace(paid, amount=Money(amount, "USD"))
            assert numbers_in(told, {number: [number]}) == {number: "chance"}
            assert numbers_in(paid, {number: [number]}) == {number: "sure"}

    @pytest.mark.parametrize(
        ("number", "reference"),
        [
            ("0891234567", "089/1234567"),
            ("0891234567", "(089) 1234567"),
            ("0891234567", "0891234567"),
            ("498912345678", "+49 89 12345678"),
            ("0123456789", "01 23 45 67 89"),
            ("4155550123", "415-555-0123"),
            ("14312312345", "143/123/12345"),
            ("941051234", "94105-1234"),
            ("12500", "12 500"),
            ("D-80331", "D 80331"),
            ("020326", "020326"),
            ("20260302", "20260302"),
            ("MAY2026", "May 2026"),
            ("2026", "2026"),
        ],
    )
    def test_such_digits_are_chance_in_references(self, number: str, reference: str) -> None:
        assert likely(number, "", reference) == "chance"

    @pytest.mark.parametrize("reference", ["2026-0042", "2026/0042", "20260042"])
    def test_a_reference_that_is_the_number_is_sure(self, reference: str) -> None:
        assert likely("2026-0042", "", reference) == "sure"

    @settings(deadline=None)
    @given(
        label=st.sampled_from(["Rechnung", "Invoice no.", "Inv", "Facture", "Factura nº", ""]),
        own=st.integers(1, 9_999).map(str),
        gap=st.sampled_from([" ", ", ", " - ", " und ", "/", "; "]),
        postcode=st.integers(10_000, 99_999).map(str),
        place=st.sampled_from(["Muenchen", "PARIS", "san francisco", "Łódź"]),
    )
    def test_an_address_behind_a_number_posts_nothing(
        self, label: str, own: str, gap: str, postcode: str, place: str
    ) -> None:
        for text in (f"{label} {own}{gap}{postcode} {place}", f"{label} {postcode} {place}"):
            for told in (transfer(text), transfer("", text)):
                (verdict,) = matcher(postcode).judge([told])
                assert isinstance(verdict, Unclear)


class TestEvidence:
    def test_digits_by_chance_are_proposed_and_not_posted(self) -> None:
        found = matcher("80532")
        (verdict,) = found.judge([transfer("SAMPLE LANE 10 80532 SAMPLETOWN")])
        assert isinstance(verdict, Unclear)
        (proposed,) = found.propose([verdict], Leads({}, {}))[0].proposals
        assert proposed.reasons == (
            "its digits contain the invoice's number, maybe by chance", "the amount is exact"
        )  # fmt: skip
        assert (verdict.why, proposed.score) == ("missing_here", 0.55)

    @pytest.mark.parametrize(
        ("known", "told"),
        [
            ({"payers": {"GB1": "alpha"}, "paid_for": {"GB1": {"alpha", "beta"}}}, {"payer_account": "GB1"}),
            ({"namesakes": {"alphaltd": ["alpha"]}}, {"payer": "Alpha Ltd."}),
        ],
        ids=["account", "name"],
    )
    def test_digits_are_the_number_where_the_customer_pays(self, known: dict[str, Any], told: dict[str, Any]) -> None:
        (verdict,) = matcher("80532", **known).judge([transfer("for 80532", **told)])
        assert isinstance(verdict, Posted)

    @pytest.mark.parametrize("text", ["INV-1001", "80532"])
    @pytest.mark.parametrize(
        ("known", "told", "why"),
        [
            ({"payers": {"GB1": "beta"}, "paid_for": {"GB1": {"beta"}}}, {"payer_account": "GB1"}, "this account has"),
            ({"namesakes": {"beta": ["beta"]}}, {"payer": "Beta"}, "the payer has another"),
        ],
        ids=["account", "name"],
    )
    def test_a_payer_known_as_another_makes_a_proposal(
        self, text: str, known: dict[str, Any], told: dict[str, Any], why: str
    ) -> None:
        found = matcher(text, **known)
        (verdict,) = found.judge([transfer("", text, **told)])
        assert isinstance(verdict, Unclear)
        (proposed,) = found.propose([verdict], Leads({}, {}))[0].proposals
        assert verdict.why == "missing_here"
        assert proposed.reasons[-1].startswith(why)

    def test_chance_digits_beside_a_number_do_not_matter(self) -> None:
        (verdict,) = matcher("INV-1001", "80532").judge([transfer("INV-1001 SAMPLE LANE 10 80532 SAMPLETOWN")])
        assert isinstance(verdict, Posted)
        assert [part.invoice_id for part in verdict.parts] == ["INV-1001"]

    def test_numbers_together_are_posted_with_their_customers_digits(self) -> None:
        paid = Transfer(1, "i1", Money(20_000, "USD"), DAY, (), "INV-1001 and 80532", None, None)
        (verdict,) = matcher("INV-1001", "80532").judge([paid])
        assert isinstance(verdict, Posted)
        assert len(verdict.parts) == 2
