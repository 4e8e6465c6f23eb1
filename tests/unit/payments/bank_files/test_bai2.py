"""BAI2: records, continuations, type codes, and the totals that must agree."""

import io
import time
from datetime import date

import pytest

from payments.bank_files import BadFile, BankLine, read


def lines(text: str) -> list[BankLine]:
    return list(read(io.BytesIO(text.encode())).lines)


def account_of(*transactions: str, header: str = "03,12345,USD/", group: str = "02,B,A,1,260302,,,2/") -> str:
    """A file of one account whose totals are right."""
    body = [header, *transactions]
    rows = sum(one.count("\n") + 1 for one in body)
    total = sum(int(one.split(",")[2]) for one in transactions if one.split(",")[2])
    return (
        "\n".join(("01,A,B,260302,0800,1,80,,2/", group, *body))
        + f"\n49,{total},{rows + 1}/\n98,{total},1,{rows + 3}/\n99,{total},1,{rows + 5}/\n"
    )


def refusal(text: str) -> BadFile:
    with pytest.raises(BadFile) as refused:
        lines(text)
    return refused.value


class TestTransactions:
    def test_references_and_text_are_read(self) -> None:
        (line,) = lines(account_of("16,195,1050,Z,BANK1,INV-1,WIRE FROM ACME, INC"))
        assert (line.amount_minor, line.currency, line.account, line.code) == (1_050, "USD", "12345", "195")
        assert (line.bank_reference, line.references, line.text) == ("BANK1", ("INV-1",), "WIRE FROM ACME, INC")
        assert (line.booked_on, line.status, line.place) == (date(2026, 3, 2), "booked", "line 4")

    @pytest.mark.parametrize(
        ("code", "amount"),
        [
            ("100", 5),
            ("399", 5),
            ("400", -5),
            ("699", -5),
            ("920", 5),
            ("960", -5),
            ("721", 5),
            ("760", -5),
            ("890", 0),
        ],
    )
    def test_type_code_gives_the_sign(self, code: str, amount: int) -> None:
        (line,) = lines(account_of(f"16,{code},5,Z,,,X"))
        assert line.amount_minor == amount

    def test_without_a_code_is_refused(self) -> None:
        assert "type code is missing" in str(refusal(account_of("16,,5,Z,,,X")))

    @pytest.mark.parametrize("funds", ["", "Z", "0", "1", "2", "S,1,2,3", "V,260304,", "D,2,0,3,1,2", "D,0"])
    def test_every_funds_type_keeps_references_and_text(self, funds: str) -> None:
        (line,) = lines(account_of(f"16,195,5,{funds},BANK,CUSTOMER,TEXT, MORE/"))
        assert (line.bank_reference, line.references, line.text) == ("BANK", ("CUSTOMER",), "TEXT, MORE")
        assert line.value_on == (date(2026, 3, 4) if funds.startswith("V") else date(2026, 3, 2))

    def test_continuation_adds_the_next_field_or_text(self) -> None:
        (line,) = lines(account_of("16,195,5,S,1,2,3/\n88,BANK,CUSTOMER,AMALGAMATED CORP/\n88,LOCKBOX,A\n88,END"))
        assert (line.bank_reference, line.references) == ("BANK", ("CUSTOMER",))
        assert line.text == "AMALGAMATED CORP LOCKBOX,A END"

    def test_returns_are_marked_as_reversals(self) -> None:
        assert [line.reversal for line in lines(account_of("16,557,5,Z,,,X", "16,195,5,Z,,,X"))] == [True, False]

    def test_text_that_looks_like_a_record_is_text(self) -> None:
        (line,) = lines(account_of("16,195,5,Z,,,INVOICES 12/ 16 AND 88/ 03 PAID/"))
        assert line.text == "INVOICES 12/ 16 AND 88/ 03 PAID"


GOOD = account_of("16,195,5,Z,,,X", "16,495,7,Z,,,Y")


class TestAccounts:
    @pytest.mark.parametrize(
        "header",
        [
            "03,12345,USD,010,-3,,,015,8,,/",
            "03,12345,USD,010,-3,,,015,8,,,/",
            "03,12345,USD,010,-3/\n88,015,8/",
            "03,12345,USD,010,-3,,/\n88,015,8,2,V,260302,/",
            "03,12345,USD,010,-3,1,S,1,1,1,015,8,1,D,1,0,8/",
            "03,12345,,010,-3,,,015,+8,,,100,,,/",
            "03,12345,USD,010,-3,00003/\n88,Z,015,8,,/",
        ],
    )
    def test_control_total_includes_balances_and_totals(self, header: str) -> None:
        rows = header.count("\n") + 1
        text = f"01,A,B,260302,,1,,,2/\n02,B,A,1,260302,,,/\n{header}\n16,195,5,Z,,,X\n"
        text += f"49,10,{rows + 2}/\n98,10,1,{rows + 4}/\n99,10,1,{rows + 6}/"
        assert [line.amount_minor for line in lines(text)] == [5]

    def test_currency_is_the_accounts_groups_or_dollar(self) -> None:
        group = "02,B,A,1,260302,,CAD,2/"
        assert lines(account_of("16,195,5,Z,,,X", header="03,1,JPY/", group=group))[0].currency == "JPY"
        assert lines(account_of("16,195,5,Z,,,X", header="03,1,/", group=group))[0].currency == "CAD"
        assert lines(account_of("16,195,5,Z,,,X", header="03,1,/"))[0].currency == "USD"

    def test_interim_reports_of_the_day_are_pending(self) -> None:
        assert lines(account_of("16,195,5,Z,,,X", group="02,B,A,1,260302,,,3/"))[0].status == "pending"

    @pytest.mark.parametrize(
        ("old", "new", "line", "reason"),
        [
            ("16,195,5,", "16,195,6,", 6, "the account's control total is 12, but what was read comes to 13"),
            ("49,12,4", "49,12,5", 6, "the account's number of records is 5"),
            ("98,12,", "98,13,", 7, "the group's control total"),
            ("98,12,1,", "98,12,2,", 7, "the group's number of accounts"),
            ("99,12,1,8", "99,12,1,9", 8, "the file's number of records"),
            ("99,12,1,", "99,12,3,", 8, "the file's number of groups"),
            ("99,12,1,8/", "", 7, "ends without its trailer"),
            ("49,12,4/\n", "", 6, "before its account's trailer"),
            ("03,12345,USD/\n", "", 3, "outside an account"),
            ("03,12345", "03,", 3, "has no number"),
            ("03,12345,USD", "03,12345,DEM", 3, "not an ISO 4217 currency"),
            ("16,195,5,", "16,195,-5,", 4, "has a sign"),
            ("16,195,5,", "16,195,5.00,", 4, "not a whole number"),
            ("5,Z,", "5,Q,", 4, "funds type"),
            ("5,Z,", "5,D,x,", 4, "number of distributions"),
            ("5,Z,", "5,V,269999,,", 4, "value date"),
            ("1,260302,,,2/", "1,269902,,,2/", 2, "as-of date"),
            ("02,B,A,1,", "02,B,A,2,", 2, "deletes"),
            ("02,B,A,1,", "02,B,A,4,", 2, "is a test"),
            ("99,12,1,8/\n", "99,12,1,8/\n03,1,/\n", 9, "after the file's trailer"),
        ],
    )
    def test_contradiction_is_refused_at_its_record(self, old: str, new: str, line: int, reason: str) -> None:
        assert old in GOOD
        refused = refusal(GOOD.replace(old, new, 1))
        assert (refused.line, reason in str(refused)) == (line, True), str(refused)


class TestFilesAsBanksSendThem:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("49,12,4/", "49,,4/"),
            ("49,12,4/", "49,12,/"),
            ("98,12,1,6/", "98,,1,6/"),
            ("98,12,1,6/", "98,12,,6/"),
            ("98,12,1,6/", "98,12,6/"),
            ("98,12,1,6/", "98,,6/"),
            ("99,12,1,8/", "99,,1,8/"),
            ("99,12,1,8/", "99,12,8/"),
            ("99,12,1,8/", "99,,,/"),
        ],
    )
    def test_what_a_trailer_leaves_out_is_not_checked(self, old: str, new: str) -> None:
        assert old in GOOD
        assert [line.amount_minor for line in lines(GOOD.replace(old, new))] == [5, -7]

    @pytest.mark.parametrize(
        "header",
        [
            "03,12345,USD,010/\n88,500,2,Z,015,300,,/",
            "03,12345,USD,010,500/\n88,300,Z,015,300,,/",
            "03,12345,USD,010,500/\n88,015,300/",
            "03,12345,USD,010,500,,/\n88,015,300,1/",
            "03,12345,USD/\n88,010,500/\n88,015/\n88,300,2,S,100,100,100/",
            "03,12345,USD,010,500,,,015,300/\n88,100,V,260302,/",
            "03,12345,USD,010,500,015,300/",
            "03,12345,USD,010,500,2,015,300,,/",
        ],
    )
    def test_the_control_total_says_what_three_digits_are(self, header: str) -> None:
        rows = header.count("\n") + 1
        text = f"01,A,B,260302,,1,,,2/\n02,B,A,1,260302,,,/\n{header}\n16,195,5,Z,,,X\n"
        good = text + f"49,805,{rows + 2}/\n98,805,1,{rows + 4}/\n99,805,1,{rows + 6}/"
        assert [line.amount_minor for line in lines(good)] == [5]
        assert "control total" in str(refusal(good.replace("49,805", "49,806")))

    @pytest.mark.parametrize("code", ["734", "001", "810", "AB1", "1950"])
    def test_banks_own_code_is_left_for_a_person(self, code: str) -> None:
        first, second = lines(account_of(f"16,{code},5,Z,BANK1,,INV-1", "16,195,7,Z,,,Y"))
        assert (first.amount_minor, first.reversal, first.code) == (5, True, code)
        assert first.text == f"INV-1 (type code {code}: not known whether this came in or went out)"
        assert (second.amount_minor, second.reversal) == (7, False)


class TestSummariesInManyWays:
    def test_work_is_bounded(self) -> None:
        header = "03,1,USD" + ",100,100/\n88,100,100,100/\n88,100" * 4_000 + "/"
        began = time.process_time()
        assert "may be read in too many ways" in str(refusal(account_of(header=header)))
        assert time.process_time() - began < 1

    def test_many_accounts_are_read(self) -> None:
        balances = ",".join(f"{code:03},{code},," for code in range(10, 110))
        account = f"03,1,USD,{balances}/\n16,195,5,Z,,,X\n49,{sum(range(10, 110)) + 5},3/\n"
        total, rows = 2_000 * (sum(range(10, 110)) + 5), 2_000 * 3
        text = f"01,A,B,260302,0800,1,80,,2/\n02,B,A,1,260302,,,2/\n{2_000 * account}98,{total},2000,{rows + 2}/\n"
        assert len(lines(text + f"99,{total},1,{rows + 4}/\n")) == 2_000
