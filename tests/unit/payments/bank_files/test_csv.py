"""CSV exports: profiles, encodings, and what must be refused."""

import io
from datetime import date

import pytest

from payments.bank_files import BadFile, BankLine, read
from payments.bank_files.csv_file import profile_of, profiles

HEADER = "date,amount,currency,account,reference,text,payer,payer_account\n"
ROW = '2026-03-02,10.00,EUR,DE89370400440532013000,INV-1,"Thanks, Acme",Acme,DE02120300000000202051\n'
CHASE = "Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\n"
SPARKASSE = (
    '"Auftragskonto";"Buchungstag";"Valutadatum";"Buchungstext";"Verwendungszweck";"Glaeubiger ID";"Mandatsreferenz";'
    '"Kundenreferenz (End-to-End)";"Sammlerreferenz";"Lastschrift Ursprungsbetrag";"Auslagenersatz Ruecklastschrift";'
    '"Beguenstigter/Zahlungspflichtiger";"Kontonummer/IBAN";"BIC (SWIFT-Code)";"Betrag";"Waehrung";"Info"\n'
)
ING = (
    '"Datum";"Naam / Omschrijving";"Rekening";"Tegenrekening";"Code";"Af Bij";"Bedrag (EUR)";"Mutatiesoort";'
    '"Mededelingen";"Saldo na mutatie";"Tag"\n'
)
RABOBANK = (
    '"IBAN/BBAN","Munt","BIC","Volgnr","Datum","Rentedatum","Bedrag","Saldo na trn","Tegenrekening IBAN/BBAN",'
    '"Naam tegenpartij","Naam uiteindelijke partij","Naam initiërende partij","BIC tegenpartij","Code","Batch ID",'
    '"Transactiereferentie","Machtigingskenmerk","Incassant ID","Betalingskenmerk","Omschrijving-1","Omschrijving-2",'
    '"Omschrijving-3","Reden retour","Oorspr bedrag","Oorspr munt","Koers"\n'
)


def lines(text: str, encoding: str = "utf-8", account: str | None = None) -> list[BankLine]:
    return list(read(io.BytesIO(text.encode(encoding)), account=account).lines)


def refusal(text: str, encoding: str = "utf-8") -> BadFile:
    with pytest.raises(BadFile) as refused:
        lines(text, encoding)
    return refused.value


class TestFields:
    @pytest.mark.parametrize(
        ("text", "form"),
        [
            (HEADER + ROW.replace("2026-03-02", "02/03/2026"), "YYYY-MM-DD"),
            (CHASE + "CREDIT,2026-03-02,ACME,10.00,ACH_CREDIT,,\n", "MM/DD/YYYY"),
        ],
    )
    def test_expected_date_is_named_as_people_write_it(self, text: str, form: str) -> None:
        with pytest.raises(BadFile, match=f"is not a date like {form}. Correct it"):
            list(read(io.BytesIO(text.encode()), account="1", currency="USD").lines)

    def test_quoted_field_may_hold_lines(self) -> None:
        first, second = lines(HEADER + ROW.replace("Thanks, ", "Thanks\r\n") + ROW)
        assert (first.text, first.place, second.place) == ("Thanks Acme", "line 2", "line 4")


class TestProfiles:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    def test_paidups_own_format_is_read_in_any_unicode(self, encoding: str) -> None:
        reading = read(io.BytesIO((HEADER + ROW.replace("Acme", "Ácme 株")).encode(encoding)))
        (line,) = reading.lines
        assert reading.format == "csv:paidup"
        assert (line.amount_minor, line.currency, line.account) == (1_000, "EUR", "DE89370400440532013000")
        assert (line.booked_on, line.text, line.references) == (date(2026, 3, 2), "Thanks, Ácme 株", ("INV-1",))
        assert (line.payer, line.payer_account, line.place) == ("Ácme 株", "DE02120300000000202051", "line 2")

    def test_paidups_own_format_is_unicode_only(self) -> None:
        assert "line 3: this is not UTF-8" in str(refusal(HEADER + ROW + ROW.replace("Acme", "Ácme"), "latin-1"))

    def test_chase_needs_its_account(self) -> None:
        rows = (
            CHASE
            + 'DEBIT,03/02/2026,"FEE, MONTHLY",-12.50,FEE_TRANSACTION, ,,\nCREDIT,03/03/2026,ACME,5.00,ACH_CREDIT,9,,\n'
        )
        fee, paid = lines(rows, account="12 345")
        assert (fee.amount_minor, fee.text, fee.code, fee.account) == (
            -1_250,
            "FEE, MONTHLY",
            "FEE_TRANSACTION",
            "12345",
        )
        assert (paid.amount_minor, paid.currency, paid.booked_on) == (500, "USD", date(2026, 3, 3))
        refused = refusal(rows)
        assert "does not contain its account. Send it as ?account=" in str(refused)
        assert refused.field == "account"

    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_sparkasse_is_read_and_noted_lines_are_pending(self, encoding: str) -> None:
        row = (
            '"DE89370400440532013000";"02.03.26";"03.03.26";"GUTSCHR. UEBERWEISUNG";"Rechnung INV-1";"";"";"E2E-1";'
            '"";"";"";"Müller GmbH";"DE02120300000000202051";"BYLADEM1001";"1.234,50";"EUR";"Umsatz {}"\n'
        )
        booked, noted = lines(SPARKASSE + row.format("gebucht") + row.format("vorgemerkt"), encoding)
        assert (booked.amount_minor, booked.payer, booked.end_to_end_id) == (123_450, "Müller GmbH", "E2E-1")
        assert (booked.booked_on, booked.value_on) == (date(2026, 3, 2), date(2026, 3, 3))
        assert (booked.status, noted.status) == ("booked", "pending")

    def test_ing_gives_the_direction_in_a_column(self) -> None:
        row = (
            '"20260302";"Acme BV";"NL20INGB0001234567";"NL91ABNA0417164300";"GT";"{}";"45,00";"Online";"INV-1";'
            '"1,00";""\n'
        )
        came, went = lines(ING + row.format("Bij") + row.format("Af"))
        assert (came.amount_minor, went.amount_minor, came.currency, came.text) == (4_500, -4_500, "EUR", "INV-1")
        assert "came or went" in str(refusal(ING + row.format("Heen")))

    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_rabobanks_sequence_number_is_the_banks_reference(self, encoding: str) -> None:
        row = (
            '"NL60RABO0330370596","EUR","RABONL2U","000000000000014705","2026-01-19","2026-01-20","+4,99","+936,35",'
            '"LU89751000135104200E","Café","","","PPLXLUL2","ei","","1047645677604","","","RF18","one","two"," ",'
            '"","","",""\n'
        )
        (line,) = lines(RABOBANK + row, encoding)
        assert (line.amount_minor, line.bank_reference, line.text) == (499, "000000000000014705", "one two")
        assert (line.payer, line.references, line.value_on) == ("Café", ("RF18",), date(2026, 1, 20))

    def test_every_shipped_one_has_its_own_header(self) -> None:
        assert len({profile.header for profile in profiles()}) == len(profiles()) >= 5

    def test_columns_missing_in_the_header_are_refused(self) -> None:
        with pytest.raises(ValueError, match="nowhere"):
            profile_of("x", {"header": ["a"], "columns": {"booked_on": "a", "amount": "nowhere"}})


class TestRefusals:
    def test_unknown_status_is_refused(self) -> None:
        row = '"DE1";"02.03.26";"03.03.26";"";"";"";"";"";"";"";"";"";"";"";"1,00";"EUR";"Umsatz storniert"\n'
        assert "whether the money is booked" in str(refusal(SPARKASSE + row))

    def test_impossible_day_is_refused(self) -> None:
        assert "line 2: its day 0001-01-01 lies outside" in str(
            refusal(HEADER + ROW.replace("2026-03-02", "0001-01-01"))
        )

    def test_another_account_or_currency_than_given_is_refused(self) -> None:
        file = (HEADER + ROW).encode()
        for account, currency, told in (("DE1", None, "account DE89370400440532013000"), (None, "USD", "currency EUR")):
            with pytest.raises(BadFile, match=f"line 2: it is of {told}"):
                list(read(io.BytesIO(file), account=account, currency=currency).lines)
        assert len(list(read(io.BytesIO(file), account="de89 3704 0044 0532 0130 00", currency="EUR").lines)) == 1

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("10.00", '"10,00"', "is not an amount"),
            ("10.00", '"1,000.00"', "is not an amount"),
            ("10.00", "10.001", "more decimals"),
            ("10.00", "--1", "is not an amount"),
            ("10.00", "", "is not an amount"),
            ("EUR", "eur", "not an ISO 4217"),
            ("2026-03-02", "02.03.2026", "is not a date"),
            ("2026-03-02", "", "is not a date"),
            ("DE89370400440532013000", "", "names no account"),
            (",Acme,DE", ",DE", "7 columns where the header has 8"),
            (",Acme,DE", ",Acme,,DE", "9 columns"),
            ('"Thanks, Acme"', '"Thanks, Acme', "line 2: the row is no CSV"),
            ('"Thanks, Acme"', '"Thanks" Acme', "line 2: the row is no CSV"),
        ],
    )
    def test_wrong_value_is_refused_with_its_line(self, old: str, new: str, reason: str) -> None:
        refused = refusal(HEADER + ROW.replace(old, new, 1))
        assert (refused.line, reason in str(refused)) == (2, True), str(refused)

    def test_unclosed_quote_is_refused_fast(self) -> None:
        assert "line 2: a quote" in str(refusal(HEADER + ROW.replace('Acme"', "Acme") + ROW.replace('"', "") * 1_000))

    def test_amount_with_misplaced_separators_is_refused(self) -> None:
        row = '"20260302";"A";"NL20INGB0001234567";"";"GT";"Bij";"{}";"Online";"";"";""\n'
        for amount in ("1.23,00", "12.34", "1.2345,00", "1,000.00", ".123,00"):
            assert refusal(ING + row.format(amount)).line == 2

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b" \n ",
            b"%PDF-1.7",
            b"PK\x03\x04",
            b"hello",
            b"Date,Amount\n1,2",
            bytes(range(256)),
            b"\xff\xfe",
            b"\0" * 99,
        ],
    )
    def test_other_files_are_refused(self, data: bytes) -> None:
        with pytest.raises(BadFile):
            list(read(io.BytesIO(data)).lines)
