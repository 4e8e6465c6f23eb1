"""A file that can't be imported is refused with its lines, before anything is sent."""

import pathlib

import pytest

from paidup_local.errors import StackError
from paidup_local.importing import read_mapping, read_rows

MAPPING = """
currency = "USD"
date_format = "%m/%d/%Y"
[columns]
customer_external_id = "customer"
number = "number"
issued_on = "issued"
due_on = "due"
amount = "amount"
settled_on = "settled"
"""
HEADER = "customer,number,issued,due,amount,settled\n"
GOOD = "C1,I1,1/2/2026,2/1/2026,55.94,\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + GOOD + "C1,I2,1/2/2026,2/1/2026,-5,\n", "line 3, amount"),
        (HEADER + GOOD + "C1,I2,1/2/2026,2/1/2026,5.001,\n", "line 3, amount"),
        (HEADER + GOOD + "C1,I2,1/2/2026,2/1/2026,NaN,\n", "line 3, amount"),
        (HEADER + GOOD + "C1,I2,1/2/2026,2/1/2026,1e999,\n", "line 3, amount"),
        (HEADER + GOOD + "C1,I2,31/12/2026,2/1/2026,5,\n", "line 3, issued"),
        (HEADER + GOOD + "C1,I2,1/2/2026,1/1/2026,5,\n", "line 3, due"),
        (HEADER + GOOD + "C1,I2,1/2/2026,2/1/2026,5,soon\n", "line 3, settled"),
        (HEADER + GOOD + GOOD, "I1 stands in line 2 already"),
        (HEADER + GOOD + "C1,I2\n", "line 3, all columns"),
        (HEADER + GOOD + "C1,I2,1/2/2026,2/1/2026,5,,more\n", "line 3, all columns"),
        (HEADER + GOOD + ",I2,1/2/2026,2/1/2026,5,\n", "line 3, customer"),
        (HEADER + GOOD + "C1,a\x00b,1/2/2026,2/1/2026,5,\n", "line 3"),
        (HEADER + GOOD + 'C1,"I2,1/2/2026,2/1/2026,5,\n', "line 3"),
        ("customer,number,issued,due,amount\n", "there is no column settled"),
        ("", "line 1"),
        (HEADER + GOOD + "C\xe9,I2,1/2/2026,2/1/2026,5,\n", "line 3: not UTF-8"),
        (HEADER + GOOD + "C1," + "x" * 201 + ",1/2/2026,2/1/2026,5,\n", "line 3, number"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path: pathlib.Path, text: str, says: str) -> None:
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "f.csv").write_text(text, encoding="latin-1")
    with pytest.raises(StackError, match=says):
        read_rows(tmp_path / "f.csv", read_mapping(tmp_path / "m.toml"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('number = "number"', 'nummer = "number"'), "nummer|number"),
        (('currency = "USD"', 'currency = "USX"'), "USX"),
        (("[columns]", "[colums]"), "columns"),
        (("[columns]", "[columns"), "m.toml"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused_by_name(
    tmp_path: pathlib.Path, change: tuple[str, str], says: str
) -> None:
    (tmp_path / "m.toml").write_text(MAPPING.replace(*change))
    with pytest.raises(StackError, match=says):
        read_mapping(tmp_path / "m.toml")
