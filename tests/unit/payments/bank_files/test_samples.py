"""Real files, read to the last transaction: numbers and sums were counted by hand, not by the code."""

import io
import pathlib
from datetime import date

import pytest

from payments.bank_files import BadFile, BankLine, read

FOLDER = pathlib.Path(__file__).parents[4] / "../shared/data/bank"


def sample(name: str) -> bytes:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"shared/data/bank/{name} is not beside this checkout")
    return path.read_bytes()


def lines(name: str) -> list[BankLine]:
    return list(read(io.BytesIO(sample(name))).lines)


@pytest.mark.parametrize(
    ("name", "kind", "count", "came_in", "went_out"),
    [
        ("bai2-sample1.txt", "bai2", 17, 208_500 + 111_500, 208_500 + 111_500),
        ("bai2-sample3.txt", "bai2", 26, 3_100 + 3_700 + 320 + 32_593, 3_200 + 30_703 + 18_651 + 5_944 + 920),
        ("camt053.v2.minimal.xml", "camt.053", 1, 885, 0),
        ("camt053.v2.multi.statement.xml", "camt.053", 2, 885, 700),
        ("camt053.v4.xml", "camt.053", 1, 885, 0),
        ("camt053.v8.xml", "camt.053", 1, 885, 0),
        ("camt054.v4.xml", "camt.054", 1, 0, 20_000_000),
    ],
)
def test_every_transaction_of_a_real_file_is_read(
    name: str, kind: str, count: int, came_in: int, went_out: int
) -> None:
    reading = read(io.BytesIO(sample(name)))
    read_lines = list(reading.lines)
    assert (reading.format, len(read_lines)) == (kind, count)
    assert sum(line.amount_minor for line in read_lines if line.amount_minor > 0) == came_in
    assert sum(-line.amount_minor for line in read_lines if line.amount_minor < 0) == went_out
    assert {line.status for line in read_lines} == {"booked"}


class TestCamt:
    def test_message_without_statements_is_refused_with_its_line(self) -> None:
        with pytest.raises(BadFile, match="line 8: the message holds no statement"):
            lines("camt053.v2.wrong.xml")

    def test_structured_reference_and_payer_are_read(self) -> None:
        (line,) = lines("camt053.v2.minimal.xml")
        assert line.references == ("4654654654654654",)
        assert (line.payer, line.payer_account) == ("NAME NAME", "NL56AGDH9619008421")
        assert (line.account, line.currency, line.code) == ("NL26VAYB8060476890", "EUR", "544")
        assert (line.booked_on, line.value_on) == (date(2014, 12, 31), date(2015, 1, 2))
        assert (line.bank_reference, line.end_to_end_id, line.reversal) == (None, None, False)

    def test_two_statements_of_one_message_are_read(self) -> None:
        first, second = lines("camt053.v2.multi.statement.xml")
        assert (first.amount_minor, first.end_to_end_id, first.text) == (885, "000000001", "Transaction Description 1")
        assert (second.amount_minor, second.end_to_end_id, second.text) == (
            -700,
            "000000002",
            "Transaction Description 2",
        )
        assert (second.payer, second.place) == ("Company Name 2", "statement 2, entry 1")

    def test_foreign_currency_transaction_takes_the_entrys_amount(self) -> None:
        for name in ("camt053.v4.xml", "camt053.v8.xml"):
            (line,) = lines(name)
            assert (line.amount_minor, line.currency, line.payer) == (885, "EUR", "NAME NAME")
            assert line.bank_reference == "AAAASESS-FP-CN_98765/01"
            assert line.booked_on == date(2014, 12, 31)

    def test_version_8_status_and_code_are_read(self) -> None:
        (line,) = lines("camt053.v8.xml")
        assert (line.end_to_end_id, line.code, line.status) == ("MUELL/FINP/RA12345", "PMNT/RCDT/BOOK", "booked")

    def test_foreign_currency_entry_keeps_all_references(self) -> None:
        (line,) = lines("camt054.v4.xml")
        assert (line.amount_minor, line.currency, line.account) == (-20_000_000, "SEK", "CH2801234000123456789")
        assert line.references == (
            "ISR ref number V1",
            "ISR ref number V2",
            "Ref number V3 block 1",
            "Ref number V3 block 2",
        )
        assert (line.bank_reference, line.code) == ("ACSR160617103200001", "PMNT/ICDT/DMCT")
        assert line.text.startswith(
            "Unstructured Remittance Information V1 Unstructured Remittance Information V3 block 1"
        )


class TestBai2:
    def test_value_dated_transactions_keep_their_text(self) -> None:
        read_lines = lines("bai2-sample1.txt")
        assert read_lines[0].text == "RETURNED CHEQUE"
        assert (read_lines[0].amount_minor, read_lines[0].code, read_lines[0].currency) == (-2_500, "409", "CAD")
        assert (read_lines[0].booked_on, read_lines[0].value_on) == (date(2006, 3, 17), date(2006, 3, 16))
        assert [line.text for line in read_lines[-2:]] == ["WOODSTOCK NB", "GALERIES RICHELIEU"]
        assert {line.account for line in read_lines} == {"10200123456"}

    def test_records_sharing_a_line_are_read(self) -> None:
        read_lines = lines("bai2-sample3.txt")
        assert [line.text for line in read_lines[:2]] == ["TRANSFER PAYPAL PPD", "TRANSFER MSPBNA BANK PPD"]
        assert read_lines[8].text == "111111 ACH_SETL 1111111111 111111111111111 1111111111"
        assert read_lines[18].text.endswith("900 METRO CENTER BLVD FOSTER CITY CA 94404")
        assert {line.currency for line in read_lines} == {"USD"}

    @pytest.mark.parametrize("name", ["bai2-sample1.txt", "bai2-sample3.txt"])
    @pytest.mark.parametrize("trailer", ["49", "98", "99"])
    def test_wrong_control_total_is_refused_at_its_record(self, name: str, trailer: str) -> None:
        text = sample(name).decode()
        start = text.index(trailer + ",", text.rindex("49,") if trailer != "49" else 0)
        comma = text.index(",", start + 3)
        wrong = text[: comma - 1] + str((int(text[comma - 1]) + 1) % 10) + text[comma:]
        line = wrong.count("\n", 0, start) + 1
        with pytest.raises(BadFile, match=f"line {line}: .*control total") as refused:
            list(read(io.BytesIO(wrong.encode())).lines)
        assert refused.value.line == line
