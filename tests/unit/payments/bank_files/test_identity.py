"""The identity of a bank line: the same in every file that has the line, another for other money."""

import io
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.bank_files import BankLine, read
from payments.bank_files.identity import identities
from tests.kit.bank_files import Transfer, bai2_file, camt, camt_entry, camt_file, content, csv_file, mt940_file

DAY = date(2026, 3, 2)
LINE = BankLine(
    account="DE1", currency="EUR", amount_minor=100, booked_on=DAY, value_on=DAY, status="booked", bank_reference=None,
    end_to_end_id=None, references=(), text="INV-1", payer=None, payer_account=None, code=None, reversal=False,
    place="line 1",
)  # fmt: skip


def of(*lines: BankLine) -> list[str]:
    return [identity for _, identity in identities(lines)]


def read_identities(parts: Iterable[str]) -> list[str]:
    return of(*read(io.BytesIO(content(parts))).lines)


class TestOneLine:
    def test_has_sixty_four_hexadecimal_digits(self) -> None:
        (identity,) = of(LINE)
        assert len(identity) == 64
        assert int(identity, 16)

    def test_banks_reference_decides_alone(self) -> None:
        one = replace(LINE, bank_reference="R1")
        other_file = replace(
            one, text="other words", payer="Acme", booked_on=DAY + timedelta(1), place="entry 9", code="X"
        )
        assert of(one) == of(other_file)
        assert of(one) != of(replace(one, bank_reference="R2"))
        assert of(one) != of(replace(one, account="DE2"))

    def test_other_amount_under_the_reference_is_another(self) -> None:
        one = replace(LINE, bank_reference="R1")
        assert len(set(of(one, replace(one, amount_minor=-100), replace(one, amount_minor=-5)))) == 3

    def test_without_reference_day_amount_text_and_count_decide(self) -> None:
        assert len(set(of(LINE, LINE, LINE))) == 3
        assert of(LINE, LINE) == of(replace(LINE, text=" INV-1  "), replace(LINE, payer="Acme"))
        assert len(set(of(LINE, replace(LINE, booked_on=DAY + timedelta(1)), replace(LINE, text="INV-2")))) == 3

    def test_pending_and_booked_line_are_the_same(self) -> None:
        pending = replace(LINE, status="pending")
        assert of(pending) == of(LINE)
        assert of(pending, LINE)[0] == of(pending, LINE)[1]


def batch(*ends: str) -> str:
    details = "".join(
        f'<TxDtls><Refs><EndToEndId>{end}</EndToEndId></Refs><Amt Ccy="EUR">1.00</Amt></TxDtls>' for end in ends
    )
    return f"""<Ntry><Amt Ccy="EUR">{len(ends)}.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>
      <BookgDt><Dt>{DAY}</Dt></BookgDt><AcctSvcrRef>B1</AcctSvcrRef><NtryDtls>{details}</NtryDtls></Ntry>"""


class TestSeveralFiles:
    def test_overlapping_exports_agree_on_common_days(self) -> None:
        made = [Transfer(100, DAY + timedelta(n // 3), None, "same text") for n in range(12)]
        first, second = read_identities(csv_file(made[:9])), read_identities(csv_file(made[3:]))
        assert first[3:9] == second[:6]
        assert len({*first, *second}) == 12

    def test_statement_and_notification_agree(self) -> None:
        for reference in ("REF1", None):
            entry = camt_entry(Transfer(100, DAY, reference))
            assert read_identities(camt([entry], "053")) == read_identities(camt([entry], "054", "04"))

    def test_transactions_of_one_entry_agree_and_differ(self) -> None:
        ends = ("E1", "E2", "E2", "NOTPROVIDED", "NOTPROVIDED")
        statement, notice = read_identities(camt([batch(*ends)], "053")), read_identities(camt([batch(*ends)], "054"))
        assert statement == notice
        assert len(set(statement)) == 5

    def test_two_formats_agree_without_references(self) -> None:
        made = [Transfer(100, DAY, None, "INV-1"), Transfer(100, DAY, None, "INV-1"), Transfer(-7, DAY, None, "Fee")]
        assert read_identities(camt_file(made)) == read_identities(csv_file(made))


class TestManyLines:
    def test_order_of_days_changes_nothing(self) -> None:
        days = [replace(LINE, booked_on=DAY + timedelta(n)) for n in range(20)]
        found = of(*days, *days)
        assert len(set(found)) == 40
        assert set(found) == set(of(*(line for line in days for _ in range(2))))

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.sampled_from([None, "R"])), max_size=30))
    def test_lines_without_references_all_differ(self, told: list[tuple[int, str, str | None]]) -> None:
        lines = [replace(LINE, booked_on=DAY + timedelta(n), text=text, end_to_end_id=end) for n, text, end in told]
        assert len(set(of(*lines))) == len(lines)

    def test_order_of_days_costs_no_time(self) -> None:
        lines = [
            replace(LINE, booked_on=DAY + timedelta(number % 9), text=str(number // 9)) for number in range(60_000)
        ]
        taken = []
        for each in (sorted(lines, key=lambda line: line.booked_on or DAY), lines):
            began = time.process_time()
            assert len(set(of(*each))) == len(lines)
            taken.append(time.process_time() - began)
        assert taken[1] < 3 * taken[0] + 0.5

    def test_equal_lines_far_apart_are_counted(self) -> None:
        alike = [replace(LINE, text=str(number)) for number in range(50_000)]
        assert len(set(of(*alike, *alike, *alike))) == 150_000


class TestRepeatedStatements:
    """One file that holds a statement again gives the identities of its lines again."""

    PAID = (Transfer(100, DAY, None, "same"), Transfer(100, DAY, None, "same"), Transfer(7, DAY, "REF1", "fee"))

    def test_mt940(self) -> None:
        once = [*mt940_file(self.PAID)]
        assert read_identities([*once, *once]) == 2 * read_identities(once)

    def test_mt940_pages_go_on(self) -> None:
        first, second = mt940_file(self.PAID), mt940_file(self.PAID, opening=207)
        assert len(set(read_identities([*first, *second]))) == 6

    def test_mt940_numbers_go_on(self) -> None:
        back = Transfer(-100, DAY, None, "back")
        one = "".join(mt940_file([self.PAID[0], back]))
        assert len(set(read_identities([one, one.replace(":28C:1/1", ":28C:2/1")]))) == 4

    @pytest.mark.parametrize("kind", ["053", "054"])
    def test_camt(self, kind: str) -> None:
        once = "".join(camt([camt_entry(one) for one in self.PAID], kind))
        begin, end = (("<Stmt>", "</Stmt>"), ("<Ntfctn>", "</Ntfctn>"))[kind == "054"]
        statement = once[once.index(begin) : once.index(end) + len(end)]
        assert read_identities([once.replace(statement, 2 * statement)]) == 2 * read_identities([once])
        other = statement.replace("<Id>S1</Id>", "<Id>S2</Id>")
        assert len(set(read_identities([once.replace(statement, statement + other)]))) == 6

    def test_bai2_groups(self) -> None:
        once = "".join(bai2_file(self.PAID))
        group = once[once.index("\n02,") + 1 : once.index("\n99,") + 1]
        total, rows = 207, 2 * (once.count("\n") - 2) + 2
        twice = once[: once.index("\n02,") + 1] + 2 * group + f"99,{2 * total},2,{rows}/\n"
        assert read_identities([twice]) == 2 * read_identities([once])
