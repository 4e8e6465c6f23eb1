"""MT940: movements, their details, and the closing balance that must agree."""

import contextlib
import io
import time
from datetime import date

import pytest

from payments.bank_files import BadFile, BankLine, read


def statement(*movements: str, closing: str = "C260302EUR110,00", account: str = "DE89370400440532013000") -> str:
    body = "\n".join(movements)
    return f":20:X\n:25:{account}\n:28C:1/1\n:60F:C260301EUR100,00\n{body}\n:62F:{closing}\n:64:{closing}\n-\n"


def lines(text: str) -> list[BankLine]:
    return list(read(io.BytesIO(text.encode())).lines)


def refusal(text: str) -> BadFile:
    with pytest.raises(BadFile) as refused:
        lines(text)
    return refused.value


TEN = ":61:2603020302C10,00NTRFNONREF//BANK1"


class TestDetails:
    def test_german_ones_are_split(self) -> None:
        details = (
            ":86:166?00GUTSCHRIFT?109310?20EREF+E2E-4711?21KREF+K-1?22SVWZ+Rechnung INV-1 vom 1.\n"
            "3.2026?23 Danke?30MARKDEF1100?31DE0212030000000\n0202051?32ACME GMBH UND CO KG IN BER?33LIN?34000?60Ende"
        )
        (line,) = lines(statement(TEN, details))
        assert (line.end_to_end_id, line.references) == ("E2E-4711", ("K-1",))
        assert (line.payer, line.payer_account) == ("ACME GMBH UND CO KG IN BERLIN", "DE02120300000000202051")
        assert line.text == "Rechnung INV-1 vom 1.3.2026 Danke Ende"

    def test_full_subfields_are_joined_without_a_space(self) -> None:
        (line,) = lines(statement(TEN, f":86:166?20SVWZ+{'A' * 22}?21BCD?22EF?32N"))
        assert line.text == "A" * 22 + "BCD EF"

    def test_german_ones_without_sepa_words_are_text(self) -> None:
        (line,) = lines(statement(TEN, ":86:051?00UEBERWEISUNG?20INV-1 paid?21why?not?32Acme"))
        assert line.text == "INV-1 paid why?not"

    def test_plain_ones_are_text(self) -> None:
        (line,) = lines(statement(TEN, ":86:Payment of invoice\nINV-1 by Acme"))
        assert (line.text, line.payer) == ("Payment of invoice INV-1 by Acme", None)

    def test_ones_that_look_like_an_envelope_are_text(self) -> None:
        (line,) = lines(statement(TEN, ":86:paid\n$100 for\n{both}\n-10 % off"))
        assert line.text == "paid $100 for {both} -10 % off"

    def test_words_in_slashes_are_split(self) -> None:
        (line,) = lines(
            statement(TEN, ":86:/TRTP/SEPA OVERBOEKING/IBAN/NL13RABO0123\n456789/NAME/Acme BV/REMI/INV-1/EREF/E1")
        )
        assert (line.text, line.payer, line.payer_account) == ("INV-1", "Acme BV", "NL13RABO0123456789")
        assert line.end_to_end_id == "E1"

    def test_movements_second_line_is_text_without_any(self) -> None:
        first, second = lines(
            statement(TEN + "\nCASH", ":61:2603020302C1,00NTRFREF-9//B2\nMORE", ":86:Told", closing="C260302EUR111,00")
        )
        assert (first.text, second.text, second.references) == ("CASH", "Told", ("REF-9",))

    def test_ones_after_the_closing_balance_are_ignored(self) -> None:
        (line,) = lines(statement(TEN).replace("-\n", ":86:Statement information\n-\n"))
        assert line.text == ""


class TestMovements:
    def test_one_is_read(self) -> None:
        (line,) = lines(statement(TEN))
        assert (line.amount_minor, line.currency, line.account) == (1_000, "EUR", "DE89370400440532013000")
        assert (line.bank_reference, line.references, line.code) == ("BANK1", (), "NTRF")
        assert (line.booked_on, line.value_on, line.place) == (date(2026, 3, 2), date(2026, 3, 2), "line 5")

    @pytest.mark.parametrize(
        ("mark", "amount", "reversal", "closing"),
        [
            ("C", 1_000, False, "110,00"),
            ("D", -1_000, False, "90,00"),
            ("RC", -1_000, True, "90,00"),
            ("RD", 1_000, True, "110,00"),
            ("CR", 1_000, False, "110,00"),
            ("RDR", 1_000, True, "110,00"),
        ],
    )
    def test_mark_gives_the_sign(self, mark: str, amount: int, reversal: bool, closing: str) -> None:
        (line,) = lines(statement(f":61:260302{mark}10,NTRFNONREF", closing=f"C260302EUR{closing}"))
        assert (line.amount_minor, line.reversal) == (amount, reversal)

    def test_expected_money_is_pending_outside_the_balance(self) -> None:
        (line,) = lines(statement(":61:260302EC10,00NTRFNONREF", closing="C260302EUR100,00"))
        assert (line.amount_minor, line.status) == (1_000, "pending")

    @pytest.mark.parametrize(
        ("days", "booked_on"),
        [
            ("2601021231", date(2025, 12, 31)),
            ("2512310102", date(2026, 1, 2)),
            ("2603020301", date(2026, 3, 1)),
            ("2402280229", date(2024, 2, 29)),
            ("260302", date(2026, 3, 2)),
        ],
    )
    def test_entry_date_is_nearest_to_the_value_date(self, days: str, booked_on: date) -> None:
        (line,) = lines(statement(f":61:{days}C10,00NTRFNONREF"))
        assert line.booked_on == booked_on

    def test_amounts_have_the_decimals_of_their_currency(self) -> None:
        text = statement(":61:260302C1000,NTRFNONREF", closing="C260302EUR1100,").replace("EUR", "JPY")
        assert lines(text.replace("100,00", "100,"))[0].amount_minor == 1_000


GOOD = statement(TEN)


class TestStatements:
    @pytest.mark.parametrize(
        ("told", "account"),
        [
            ("DE89370400440532013000EUR", "DE89370400440532013000"),
            ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
            ("37040044/0532013000", "DE89370400440532013000"),
            ("37040044/532013000EUR", "DE89370400440532013000"),
            ("NL91ABNA0417164300 EUR", "NL91ABNA0417164300"),
            ("12345678USD", "12345678USD"),
        ],
    )
    def test_account_loses_spaces_and_iban_its_currency(self, told: str, account: str) -> None:
        assert lines(statement(TEN, account=told))[0].account == account

    def test_swift_blocks_and_several_ones_are_read(self) -> None:
        one = "{1:F01AAAABEBBAXXX0000000000}{2:I940BBBBBEBBXXXXN}{4:\n" + statement(TEN).replace(
            "-\n", "-}{5:{CHK:123}}\n\x03$\n"
        )
        assert len(lines(one + one)) == 2

    def test_pages_are_checked_one_by_one(self) -> None:
        first = statement(TEN).replace(":62F:", ":62M:").replace(":64:C260302EUR110,00\n", "")
        second = statement(TEN, closing="C260302EUR120,00").replace(":60F:C260301EUR100,00", ":60M:C260302EUR110,00")
        assert len(lines(first + second)) == 2

    @pytest.mark.parametrize(
        ("old", "new", "line", "reason"),
        [
            ("C10,00", "C10,01", 6, "opening and movements come to 11001 EUR"),
            (":62F:C260302EUR", ":62F:D260302EUR", 6, "opening and movements"),
            (":62F:C260302EUR", ":62F:C260302USD", 6, "opening and movements"),
            (":62F:C260302EUR110,00\n", "", 6, "no closing balance"),
            ("C10,00", "C10,001", 5, "more decimals"),
            ("C10,00", "C10.00", 5, "is no movement"),
            ("C10,00", "X10,00", 5, "is no movement"),
            (":61:260302", ":61:269902", 5, "is no movement"),
            ("2603020302C", "2603029902C", 5, "entry date"),
            (":60F:C260301EUR100,00\n", "", 4, "MT942"),
            (":25:DE89370400440532013000\n", "", 3, "before the account"),
            (":25:DE89370400440532013000", ":25:", 2, "names no account"),
            (":60F:C260301EUR", ":60F:C260301XXX", 4, "not an ISO 4217"),
            (":60F:C260301EUR100,00", ":60F:lots", 4, "is no balance"),
            (":20:X\n", "{1:}\n", 2, "before any :20:"),
            (":28C:", ":20:", 3, "no closing balance"),
            (TEN, TEN + "\n\0", 6, "zero bytes"),
            (TEN, TEN + "\nmore" * 100, 65, "lines"),
            (TEN, TEN + "x" * 100_001, 5, "longer than"),
        ],
    )
    def test_contradiction_is_refused_at_its_line(self, old: str, new: str, line: int, reason: str) -> None:
        assert old in GOOD
        refused = refusal(GOOD.replace(old, new, 1))
        assert (refused.line, reason in str(refused)) == (line, True), str(refused)

    def test_older_encoding_is_read(self) -> None:
        (line,) = read(io.BytesIO(statement(TEN, ":86:Müller").encode("latin-1"))).lines
        assert line.text == "Müller"


class TestLenientMovements:
    @pytest.mark.parametrize(
        ("movement", "booked_on", "code", "bank_reference"),
        [
            ("2602300227C10,00NMSCNONREF", date(2026, 2, 27), "NMSC", None),
            ("260230C10,00NMSCNONREF", date(2026, 2, 28), "NMSC", None),
            ("2602290229C10,00NMSCNONREF", date(2026, 2, 28), "NMSC", None),
            ("2604310431C10,00NMSCNONREF", date(2026, 4, 30), "NMSC", None),
            ("2603020302CF10,00S   X", date(2026, 3, 2), "S", None),
            ("260302C10,00NOV NONREF", date(2026, 3, 2), "NOV", None),
            ("2603020302C10,00 NTRFNONREF//77", date(2026, 3, 2), "NTRF", "77"),
            ("260302    C10,00NMSCNONREF", date(2026, 3, 2), "NMSC", None),
            ("260302 0302 C 10,00 NMSC NONREF", date(2026, 3, 2), "NMSC", None),
            ("2603020000C10,NMSCNONREF", date(2026, 3, 2), "NMSC", None),
            ("2603020302C10NTRFNONREF", date(2026, 3, 2), "NTRF", None),
            ("2603020302CN10,00//192", date(2026, 3, 2), None, "192"),
            ("2603020302C10,00NONREF", date(2026, 3, 2), None, None),
            ("2603020302C10,00", date(2026, 3, 2), None, None),
            ("2603020302CR\n10,00N062NONREF", date(2026, 3, 2), "N062", None),
            ("2603020302C1\n0,00NTRFNONREF//B1", date(2026, 3, 2), "NTRF", "B1"),
            ("260302\n0302C10,00\nNTRFNONREF//B1", date(2026, 3, 2), "NTRF", "B1"),
        ],
    )
    def test_it_is_read_as_banks_write_it(
        self, movement: str, booked_on: date, code: str | None, bank_reference: str | None
    ) -> None:
        (line,) = lines(statement(f":61:{movement}", ":86:Rent"))
        assert (line.amount_minor, line.booked_on, line.code) == (1_000, booked_on, code)
        assert (line.bank_reference, line.text) == (bank_reference, "Rent")

    def test_text_behind_it_is_no_part_of_it(self) -> None:
        (line,) = lines(statement(":61:2603020302C10,00\nPAID BY BANK"))
        assert (line.amount_minor, line.code, line.text) == (1_000, None, "PAID BY BANK")

    @pytest.mark.parametrize("movement", ["2603020302C10.00NTRF", "2603020302C1.010,00NTRF", "2613020302C10,00NTRF"])
    def test_ambiguous_amount_or_day_is_refused(self, movement: str) -> None:
        assert "is no movement" in str(refusal(statement(f":61:{movement}")))

    def test_a_lenient_reading_has_to_agree(self) -> None:
        assert "come to" in str(refusal(statement(":61:2603020302C7 NTRFNONREF")))


class TestTextOfMovements:
    @pytest.mark.parametrize(
        ("told", "text", "payer"),
        [
            (":86:166?20SVWZ+Till 12\n:46:08?21INV-1?32BETA", "Till 12:46:08 INV-1", "BETA"),
            (":86:166?20SVWZ+Till 12\n:20:15?21INV-1?32BETA", "Till 12:20:15 INV-1", "BETA"),
            (":86:166?20SVWZ+Till 12\n:61:15?21INV-1?32BETA", "Till 12:61:15 INV-1", "BETA"),
            (":86:166?20SVWZ+Till 12\n:25:59?21INV-1?32BETA", "Till 12:25:59 INV-1", "BETA"),
            (":86:166?20SVWZ+Till 12\n:28:00?21INV-1?32BETA", "Till 12:28:00 INV-1", "BETA"),
            (":86:Payment\n:86:INV-1", "Payment INV-1", None),
            (":86:166?20SVWZ+Rent?32BETA\n:86:166?20INV-1", "Rent INV-1", "BETA"),
            (":86:166?20SVWZ+Rent\n:86:?21INV-1?32BETA", "Rent INV-1", "BETA"),
            (":\n86:166?20SVWZ+INV-1?32BETA", "INV-1", "BETA"),
            (":8\n6:166?20SVWZ+INV-1?32BETA", "INV-1", "BETA"),
            (":86\n:166?20SVWZ+INV-1?32BETA", "INV-1", "BETA"),
            (" :86:166?20SVWZ+INV-1?32BETA", "INV-1", "BETA"),
            (":86:Payment\n-\nINV-1", "Payment INV-1", None),
            (":NS:22X\n:86:INV-1", "INV-1", None),
            (":86:166?20Rent?32BETA\n:61:2603020302C0,00NMSCNONREF\n:86:166?20INV-1", "Rent INV-1", "BETA"),
            (":86:Rent\n:61:2603020302D0,00NMSCINV-2\nMORE\n:86:INV-1", "Rent INV-1 MORE", None),
        ],
    )
    def test_all_of_it_joins_the_movement(self, told: str, text: str, payer: str | None) -> None:
        (line,) = lines(statement(TEN, told))
        assert (line.amount_minor, line.text, line.payer) == (1_000, text, payer)

    def test_a_colon_alone_is_text(self) -> None:
        (line,) = lines(statement(TEN, ":86:a\n:\nb"))
        assert line.text == "a : b"

    def test_missing_part_is_found_at_the_next_statement(self) -> None:
        cut = statement(TEN).split(":62F:")[0] + statement(TEN, closing="C260302EUR120,00")
        assert "no closing balance" in str(refusal(cut))


class TestLongBlanks:
    @pytest.mark.parametrize("field", [":61:260310{}X", ":61:2603100310C1,00{}NTRFNONREF", ":60F:C{}260301EUR0,00"])
    def test_they_are_read_at_once(self, field: str) -> None:
        begun = time.process_time()
        with contextlib.suppress(BadFile):
            lines(statement(field.format(" " * 90_000), ":86:x"))
        assert time.process_time() - begun < 2
