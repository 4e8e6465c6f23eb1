"""camt.053 and camt.054: entries, transaction details, and what must be refused."""

import io
from datetime import date

import pytest

from payments.bank_files import BadFile, BankLine, read
from payments.bank_files.camt_file import MOST_HELD
from tests.kit.bank_files import ACCOUNT, Transfer, camt, camt_entry, content


def lines(*entries: str, kind: str = "053", version: str = "08") -> list[BankLine]:
    return list(read(io.BytesIO(content(camt(entries, kind, version)))).lines)


def refusal(data: bytes) -> BadFile:
    with pytest.raises(BadFile) as refused:
        list(read(io.BytesIO(data)).lines)
    return refused.value


def entry(details: str = "", amount: str = "10.00", mark: str = "CRDT", more: str = "", sts: str = "BOOK") -> str:
    return f"""<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd>{more}<Sts>{sts}</Sts>
      <BookgDt><Dt>2026-03-02</Dt></BookgDt><AcctSvcrRef>BATCH</AcctSvcrRef>
      <NtryDtls>{details}</NtryDtls></Ntry>"""


def transaction(amount: str, currency: str = "EUR", mark: str = "", end: str = "", own: str = "") -> str:
    own = f"<AcctSvcrRef>{own}</AcctSvcrRef>" if own else ""
    mark = f"<CdtDbtInd>{mark}</CdtDbtInd>" if mark else ""
    told = f'<Amt Ccy="{currency}">{amount}</Amt>' if amount else ""
    return f"<TxDtls><Refs>{own}<EndToEndId>{end or 'NOTPROVIDED'}</EndToEndId></Refs>{told}{mark}</TxDtls>"


BILLION = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
DOCTYPES = {
    "external": '<!DOCTYPE Document SYSTEM "file:///etc/passwd">',
    "entity": '<!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "parameter": '<!DOCTYPE Document [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x.dtd"> %x;]>',
    "laughs": f'<!DOCTYPE Document [<!ENTITY e0 "ha">{BILLION}]>',
    "empty": "<!DOCTYPE Document>",
}


class TestRefusals:
    @pytest.mark.parametrize(
        ("wrong", "reason"),
        [
            (entry(amount="1.234"), "more decimals than EUR"),
            (entry(amount="1.5").replace("EUR", "JPY"), "more decimals than JPY"),
            (entry(amount="-1.00"), "is not an amount"),
            (entry(amount="1e3"), "is not an amount"),
            (entry(amount="٣"), "is not an amount"),
            (entry(amount="9" * 41), "is not an amount"),
            (entry(amount="9" * 20), "larger than any"),
            (entry().replace("EUR", "XXX"), "'XXX' is not an ISO 4217 currency"),
            (entry(mark="KRDT"), "neither CRDT nor DBIT"),
            (entry(sts="MAYB"), "Sts is none of"),
            (entry().replace("2026-03-02", "2026-02-30"), "is not a date"),
            (entry().replace("2026-03-02", "2026-W01-1"), "is not a date"),
            (entry(f"<TxDtls><RmtInf><Ustrd>{'x' * 300_000}</Ustrd></RmtInf></TxDtls>"), "characters of text"),
            (entry("<a>" * 100 + "</a>" * 100), "deep"),
            (f"<!-- {'x' * 2_000_000} -->", "more than a megabyte"),
            (entry(transaction("1.00") * (MOST_HELD + 1)), "sum to 100100 minor units"),
            ("".join(f"<n{number}/>" for number in range(20_000)), "names"),
            ("<Ntry>", "the XML is broken"),
        ],
    )
    def test_wrong_value_is_refused_with_its_line(self, wrong: str, reason: str) -> None:
        refused = refusal(content(camt([entry(), "\n", wrong])))
        assert reason in str(refused)
        assert (refused.line or 0) >= 3

    def test_intraday_report_is_refused(self) -> None:
        assert "camt.052" in str(refusal(content(camt([entry()], "052"))))

    def test_other_xml_is_refused(self) -> None:
        assert "no camt message" in str(refusal(b"<html><body/></html>"))

    def test_statement_without_account_is_refused(self) -> None:
        assert "names no account" in str(refusal(content(camt([entry()])).replace(b"IBAN", b"NIBA")))

    @pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    def test_dtd_is_refused_unused_in_any_encoding(self, doctype: str, encoding: str) -> None:
        text = "".join(camt([entry("<TxDtls><RmtInf><Ustrd>&e9;</Ustrd></RmtInf></TxDtls>")]))
        text = text.replace("\n", "\n" + doctype, 1).replace("UTF-8", "UTF-16" if "16" in encoding else "UTF-8")
        assert "DTD" in str(refusal(text.encode(encoding)))

    def test_entity_without_a_dtd_is_broken_xml(self) -> None:
        assert "the XML is broken" in str(refusal(content(camt([entry(amount="&x;")]))))


class TestEntries:
    @pytest.mark.parametrize("version", ["02", "03", "04", "06", "08", "10", "12"])
    @pytest.mark.parametrize("kind", ["053", "054"])
    def test_any_version_is_read(self, kind: str, version: str) -> None:
        (line,) = lines(camt_entry(Transfer(1_234)), kind=kind, version=version)
        assert (line.amount_minor, line.status, line.account, line.payer) == (1_234, "booked", ACCOUNT, "Acme Corp")

    def test_give_one_line_per_transaction(self) -> None:
        batch = entry(transaction("7.00", end="E1", own="T1") + transaction("3.00", end="E2"))
        first, second = lines(batch)
        assert (first.amount_minor, first.bank_reference, first.end_to_end_id) == (700, "T1", "E1")
        assert (second.amount_minor, second.bank_reference, second.end_to_end_id) == (300, None, "E2")
        assert second.entry_reference == "BATCH"
        assert second.place == "statement 1, entry 1, transaction 2"

    def test_too_long_id_is_refused_with_its_place(self) -> None:
        refused = refusal(content(camt([entry(), entry(transaction("10.00", own="7" * 8_000))], "053", "08")))
        assert "statement 1, entry 2" in refused.reason
        assert "its bank reference has 8000 characters, more than 200" in refused.reason

    def test_indicator_of_the_transaction_wins(self) -> None:
        batch = entry(transaction("12.00") + transaction("2.00", mark="DBIT"))
        assert [line.amount_minor for line in lines(batch)] == [1_200, -200]

    def test_batch_without_details_is_one_line(self) -> None:
        (line,) = lines(entry("<Btch><NbOfTxs>3</NbOfTxs></Btch>"))
        assert (line.amount_minor, line.bank_reference, line.entry_reference) == (1_000, "BATCH", None)

    def test_transactions_without_amounts_are_one_line(self) -> None:
        (line,) = lines(entry(transaction("") + transaction("3.00")))
        assert (line.amount_minor, line.bank_reference) == (1_000, "BATCH")

    def test_single_transaction_takes_entrys_amount_and_reference(self) -> None:
        (line,) = lines(entry(transaction("11.05", currency="USD", end="E1")))
        assert (line.amount_minor, line.currency, line.bank_reference, line.end_to_end_id) == (
            1_000,
            "EUR",
            "BATCH",
            "E1",
        )

    def test_older_place_of_the_amount_is_read(self) -> None:
        old = '<TxDtls><AmtDtls><TxAmt><Amt Ccy="EUR">{}</Amt></TxAmt></AmtDtls></TxDtls>'
        assert [line.amount_minor for line in lines(entry(old.format("4.00") + old.format("6.00")))] == [400, 600]

    def test_wrong_sum_of_transactions_is_refused(self) -> None:
        data = content(camt([entry(transaction("7.00") + transaction("2.00"))]))
        assert "sum to 900 minor units of EUR, the entry says 1000" in str(refusal(data))
        assert "statement 1, entry 1" in str(refusal(data))

    def test_with_charges_are_one_line(self) -> None:
        charges = '<Chrgs><Rcrd><Amt Ccy="EUR">1.00</Amt></Rcrd></Chrgs>'
        (line,) = lines(entry(transaction("7.00") + transaction("4.00"), more=charges))
        assert line.amount_minor == 1_000

    @pytest.mark.parametrize(
        ("told", "status"), [("BOOK", "booked"), ("PDNG", "pending"), ("INFO", "information"), ("FUTR", "information")]
    )
    def test_status_is_read_in_both_ways(self, told: str, status: str) -> None:
        assert [line.status for line in lines(entry(sts=told), entry(sts=f"<Cd>{told}</Cd>"))] == [status, status]

    def test_reversal_keeps_the_sign_and_the_first_payer(self) -> None:
        parties = f"""\
<TxDtls><RltdPties><Dbtr><Nm>Payer</Nm></Dbtr><DbtrAcct><Id><IBAN>DE02 1203 0000 0000 2020 51</IBAN>
      </Id></DbtrAcct><Cdtr><Nm>We</Nm></Cdtr><CdtrAcct><Id><IBAN>{ACCOUNT}</IBAN></Id></CdtrAcct></RltdPties></TxDtls>"""
        (line,) = lines(entry(parties, mark="DBIT", more="<RvslInd>true</RvslInd>"))
        assert (line.amount_minor, line.reversal) == (-1_000, True)
        assert (line.payer, line.payer_account) == ("Payer", "DE02120300000000202051")

    def test_invoice_numbers_and_creditor_references_are_references(self) -> None:
        remittance = """\
<TxDtls><RmtInf><Ustrd>one</Ustrd><Ustrd>two</Ustrd><Strd><RfrdDocInf><Nb>INV-1</Nb></RfrdDocInf>
      <RfrdDocInf><Nb>INV-2</Nb></RfrdDocInf><CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>"""
        (line,) = lines(entry(remittance))
        assert (line.references, line.text) == (("RF18539007547034", "INV-1", "INV-2"), "one two")

    @pytest.mark.parametrize(
        ("amount", "currency", "minor"),
        [
            ("12.3", "EUR", 1_230),
            ("12", "EUR", 1_200),
            ("12.3400", "EUR", 1_234),
            ("500", "JPY", 500),
            ("1.234", "KWD", 1_234),
        ],
    )
    def test_amounts_are_minor_units_of_their_currency(self, amount: str, currency: str, minor: int) -> None:
        (line,) = lines(entry(amount=amount).replace("EUR", currency))
        assert line.amount_minor == minor

    def test_date_with_time_is_the_banks_day(self) -> None:
        late = entry().replace("<Dt>2026-03-02</Dt>", "<DtTm>2026-03-02T23:59:59-05:00</DtTm>")
        assert lines(late)[0].booked_on == date(2026, 3, 2)


class TestLargeBatches:
    def test_one_too_large_for_memory_is_split(self) -> None:
        count = 3 * MOST_HELD
        batch = entry("".join(transaction("1.00", end=f"E{n}") for n in range(count)), amount=str(count))
        found = lines(entry(), batch, entry())
        assert [line.amount_minor for line in found] == [1_000, *[100] * count, 1_000]
        assert [line.end_to_end_id for line in found[1:-1]] == [f"E{n}" for n in range(count)]
        assert [line.place.rpartition(" ")[2] for line in found[1:-1]] == [str(n) for n in range(1, count + 1)]

    def test_one_in_another_currency_is_one_line(self) -> None:
        (line,) = lines(entry(transaction("1.00", currency="USD") * (2 * MOST_HELD)))
        assert (line.amount_minor, line.bank_reference) == (1_000, "BATCH")


class TestEncodings:
    def test_utf_16_without_a_dtd_is_read(self) -> None:
        text = "".join(camt([camt_entry(Transfer(5, payer="Šimůnek"))])).replace("UTF-8", "UTF-16")
        (line,) = read(io.BytesIO(text.encode("utf-16"))).lines
        assert line.payer == "Šimůnek"

    def test_prefixed_namespace_is_read_and_foreign_one_not(self) -> None:
        plain = "".join(camt([entry()]))
        prefixed = plain.replace("<", "<c:").replace("<c:/", "</c:").replace("<c:?", "<?").replace("xmlns=", "xmlns:c=")
        assert len(list(read(io.BytesIO(prefixed.encode())).lines)) == 1
        foreign = plain.replace("<Ntry>", '<Ntry xmlns="urn:other">')
        assert list(read(io.BytesIO(foreign.encode())).lines) == []

    @pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252", "iso-8859-15"])
    def test_older_declared_encodings_are_read(self, encoding: str) -> None:
        text = "".join(camt([camt_entry(Transfer(5, payer="Müller & Söhne"))])).replace("UTF-8", encoding)
        (line,) = read(io.BytesIO(text.encode(encoding))).lines
        assert line.payer == "Müller & Söhne"


def balance(kind: str, amount: str, mark: str = "CRDT", currency: str = "EUR") -> str:
    return f"""<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="{currency}">{amount}</Amt>
      <CdtDbtInd>{mark}</CdtDbtInd></Bal>"""


def balanced(opening: str, closing: str, *entries: str) -> bytes:
    return content(camt([balance("OPBD", opening), balance("CLBD", closing), *entries]))


def read_all(data: bytes) -> list[BankLine]:
    return list(read(io.BytesIO(data)).lines)


REVERSED = "<RvslInd>true</RvslInd>"


class TestContradictions:
    def test_balances_that_agree_are_read(self) -> None:
        entries = [entry(), entry(amount="3.00", mark="DBIT"), entry(sts="PDNG"), entry(sts="INFO")]
        assert len(read_all(balanced("1.00", "8.00", *entries))) == 4

    def test_balances_that_do_not_agree_are_refused(self) -> None:
        refused = refusal(balanced("1.00", "8.01", entry(), entry(amount="3.00", mark="DBIT")))
        assert "statement 1: opening balance and entries come to 800 minor units of EUR, CLBD says 801" in str(refused)

    def test_balances_behind_the_entries_prove_nothing(self) -> None:
        data = content(camt([entry(), balance("OPBD", "1.00"), balance("CLBD", "1.00")]))
        assert len(read_all(data)) == 1

    def test_a_statement_without_entries_has_one_balance(self) -> None:
        assert read_all(balanced("1.00", "1.00")) == []
        assert "CLBD" in refusal(balanced("1.00", "2.00")).reason

    @pytest.mark.parametrize(
        "balances",
        [
            balance("OPBD", "1.00"),
            balance("CLBD", "1.00"),
            balance("OPBD", "1.00") + balance("CLBD", "2.00", currency="SEK"),
            balance("OPBD", "1.00", currency="SEK") + balance("CLBD", "2.00", currency="SEK"),
            balance("OPAV", "1.00") + balance("CLAV", "2.00"),
            balance("OPBD", "lots") + balance("CLBD", "2.00"),
        ],
    )
    def test_balances_that_prove_nothing_refuse_nothing(self, balances: str) -> None:
        assert len(read_all(content(camt([balances, entry()])))) == 1

    @pytest.mark.parametrize(
        ("closing", "mark", "amount"),
        [("5.00", "DBIT", -500), ("5.00", "CRDT", -500), ("15.00", "CRDT", 500), ("15.00", "DBIT", 500)],
    )
    def test_balances_prove_the_sign_of_a_reversal(self, closing: str, mark: str, amount: int) -> None:
        (line,) = read_all(balanced("10.00", closing, entry(amount="5.00", mark=mark, more=REVERSED)))
        assert (line.amount_minor, line.reversal) == (amount, True)

    def test_all_reversals_of_a_statement_turn(self) -> None:
        batch = entry(transaction("2.00") + transaction("3.00"), amount="5.00", more=REVERSED)
        found = read_all(balanced("10.00", "13.00", entry(), batch, entry(amount="2.00", more=REVERSED)))
        assert [line.amount_minor for line in found] == [1_000, -200, -300, -200]

    def test_a_large_batch_that_is_reversed_turns_too(self) -> None:
        count = MOST_HELD + 1
        batch = entry(transaction("1.00") * count, amount=str(count), more=REVERSED)
        found = read_all(balanced("2000.00", f"{2000 - count}.00", batch))
        assert {line.amount_minor for line in found} == {-100}
        assert len(found) == count

    @pytest.mark.parametrize(
        ("totals", "wrong"),
        [
            ("<TtlNtries><NbOfNtries>2</NbOfNtries><Sum>13.00</Sum></TtlNtries>", None),
            ("<TtlNtries><NbOfNtries>3</NbOfNtries><Sum>13</Sum></TtlNtries>", None),
            ("<TtlNtries><NbOfNtries>4</NbOfNtries></TtlNtries>", "NbOfNtries says 4"),
            ("<TtlNtries><NbOfNtries>1</NbOfNtries></TtlNtries>", "NbOfNtries says 1"),
            ("<TtlNtries><Sum>13.01</Sum></TtlNtries>", "Sum says 13.01"),
            ("<TtlNtries><Sum>7.00</Sum></TtlNtries>", None),
            ("<TtlCdtNtries><NbOfNtries>1</NbOfNtries><Sum>10.00</Sum></TtlCdtNtries>", None),
            ("<TtlCdtNtries><NbOfNtries>1</NbOfNtries><Sum>11.00</Sum></TtlCdtNtries>", "Sum says 11.00"),
            ("<TtlDbtNtries><NbOfNtries>0</NbOfNtries></TtlDbtNtries>", "NbOfNtries says 0"),
            ("<TtlDbtNtries><Sum>3.00</Sum></TtlDbtNtries>", None),
        ],
    )
    def test_numbers_and_sums_of_entries_have_to_agree(self, totals: str, wrong: str | None) -> None:
        entries = [entry(transaction("7.00") + transaction("3.00")), entry(amount="3.00", mark="DBIT")]
        data = content(camt([f"<TxsSummry>{totals}</TxsSummry>", *entries]))
        if wrong is None:
            assert len(read_all(data)) == 3
        else:
            assert wrong in refusal(data).reason


class TestEnvelopes:
    PLAIN = "".join(camt([entry()]))
    ISO = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
    HEADER = """<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02"><Fr><FIId><FinInstnId><BICFI>A</BICFI>
      </FinInstnId></FIId></Fr><MsgDefIdr>camt.053.001.08</MsgDefIdr></AppHdr>"""
    BODY = PLAIN.split("\n", 1)[1]

    @pytest.mark.parametrize(
        "data",
        [
            "\n" + PLAIN,
            "\ufeff\r\n \n" + PLAIN,
            "\n\ufeff" + PLAIN,
            PLAIN.replace(f' xmlns="{ISO}"', ""),
            PLAIN.replace(ISO, "ISO:camt.053.001.08:APC:STUZZA:payments:003"),
            PLAIN.replace(ISO, "http://bank.example/xsd/statement"),
            PLAIN.replace(ISO, ISO + ".ch.03"),
            f"<BizMsgEnvlp>{HEADER}{BODY}</BizMsgEnvlp>",
            f"<S:Envelope xmlns:S='urn:s'><S:Body><Payload>{HEADER}{BODY}</Payload></S:Body></S:Envelope>",
            PLAIN.replace("Document", "Nachricht"),
        ],
        ids=range(10),
    )
    def test_message_is_found_inside_any_envelope(self, data: str) -> None:
        (line,) = read_all(data.encode())
        assert (line.amount_minor, line.account) == (1_000, ACCOUNT)

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    def test_empty_lines_come_first_in_any_encoding(self, encoding: str) -> None:
        text = "\n\n" + self.PLAIN.replace("UTF-8", "UTF-16")
        assert len(read_all((text if encoding == "utf-16" else "\ufeff" + text).encode(encoding))) == 1

    def test_lines_are_counted_with_the_empty_ones(self) -> None:
        plain = "".join(camt([entry(amount="x")]))
        line = refusal(plain.encode()).line or 0
        assert refusal(("\n\n\n" + plain).encode()).line == line + 3

    def test_all_messages_of_an_envelope_are_read(self) -> None:
        assert len(read_all(f"<All>{self.BODY}{self.BODY}</All>".encode())) == 2

    def test_an_envelope_without_a_message_is_refused(self) -> None:
        assert "no camt message" in refusal(f"<BizMsgEnvlp>{self.HEADER}</BizMsgEnvlp>".encode()).reason


class TestDetailsInOneSum:
    def instructed(self, amount: str, text: str) -> str:
        told = f'<AmtDtls><InstdAmt><Amt Ccy="EUR">{amount}</Amt></InstdAmt></AmtDtls>' if amount else ""
        return f"<TxDtls>{told}<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"

    def test_instructed_amounts_of_equal_sum_split_the_entry(self) -> None:
        found = lines(entry(self.instructed("4.00", "INV-1") + self.instructed("6.00", "INV-2")))
        assert [(line.amount_minor, line.text) for line in found] == [(400, "INV-1"), (600, "INV-2")]

    @pytest.mark.parametrize("amounts", [("4.00", "6.01"), ("", ""), ("4.00", "")])
    def test_otherwise_one_line_keeps_all_texts(self, amounts: tuple[str, str]) -> None:
        (line,) = lines(entry(self.instructed(amounts[0], "INV-1") + self.instructed(amounts[1], "INV-2")))
        assert (line.amount_minor, line.text) == (1_000, "INV-1 INV-2")

    def test_additional_texts_are_kept_without_other_texts(self) -> None:
        details = "".join(f"<TxDtls><AddtlTxInf>INV-{number}</AddtlTxInf></TxDtls>" for number in (1, 2))
        assert [line.text for line in lines(entry(details))] == ["INV-1 INV-2"]
