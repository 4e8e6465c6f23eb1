"""What was written in any format is read back as it was."""

import io
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.bank_files import read
from tests.kit.bank_files import ACCOUNT, FORMATS, Transfer, camt_file, content, mt940_file

WORDS = st.text("abcXYZ 0189.-'", min_size=1, max_size=20).map(lambda text: " ".join(text.split())).filter(bool)
DAYS = st.dates(date(2001, 1, 1), date(2079, 12, 31))
AMOUNTS = st.integers(-(10**11), 10**11).filter(bool)
REFERENCES = st.none() | st.text("ABC0189-", min_size=1, max_size=16).filter(lambda text: bool(text.strip("0")))
TRANSFERS = st.lists(st.builds(Transfer, AMOUNTS, DAYS, REFERENCES, WORDS, WORDS), max_size=8)


@pytest.mark.parametrize("kind", FORMATS)
@settings(deadline=None)
@given(made=TRANSFERS, currency=st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_written_transfers_are_read_back_the_same(kind: str, made: list[Transfer], currency: str) -> None:
    reading = read(io.BytesIO(content(FORMATS[kind](made, currency))))
    lines = list(reading.lines)
    assert reading.format == kind
    assert [(one.minor, one.day, one.text) for one in made] == [
        (line.amount_minor, line.booked_on, line.text) for line in lines
    ]
    assert all((line.account, line.currency, line.status) == (ACCOUNT, currency, "booked") for line in lines)
    if kind != "csv:paidup":
        assert [line.bank_reference for line in lines] == [one.reference for one in made]
    if kind != "bai2":
        assert [line.payer for line in lines] == [one.payer for one in made]


@settings(deadline=None)
@given(TRANSFERS, st.integers(-(10**11), 10**11))
def test_an_mt940_balance_may_be_overdrawn(made: list[Transfer], opening: int) -> None:
    assert len(list(read(io.BytesIO(content(mt940_file(made, opening=opening)))).lines)) == len(made)


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=50), st.sampled_from(["utf-8", "utf-16"])
)
def test_camt_keeps_any_text(text: str, encoding: str) -> None:
    data = "".join(camt_file([Transfer(1, text=text)])).replace("UTF-8", encoding)
    (line,) = read(io.BytesIO(data.encode(encoding))).lines
    assert line.text == " ".join(text.split())
