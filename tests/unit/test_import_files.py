"""A file that can't be imported is refused with its lines, before anything is sent."""

import asyncio
import pathlib
from datetime import date

import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from paidup_local.errors import StackError
from paidup_local.importing import ColumnMapping, Row, import_invoices, read_mapping, read_rows
from tests.kit.serving import serving

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
TODAY = date(2026, 3, 1)
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
        (HEADER + GOOD + "C1,I2,1/2/2026,2/1/2026,5,3/2/2026\n", "line 3, settled: 2026-03-02 lies in the future"),
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
def test_broken_file_is_refused_with_its_line(tmp_path: pathlib.Path, text: str, says: str) -> None:
    (tmp_path / "m.toml").write_text(MAPPING)
    (tmp_path / "f.csv").write_text(text, encoding="latin-1")
    with pytest.raises(StackError, match=says):
        read_rows(tmp_path / "f.csv", read_mapping(tmp_path / "m.toml"), TODAY)


class TestAmounts:
    @pytest.mark.parametrize(
        "amount", ["12,34", "1234,56", "1,2,3", "1_000", "1e3", "\uff11\uff12", "1.234,56", ".5", "+5"]
    )
    def test_ambiguous_amount_is_refused(self, tmp_path: pathlib.Path, amount: str) -> None:
        (tmp_path / "m.toml").write_text(MAPPING)
        (tmp_path / "f.csv").write_text(HEADER + f'C1,I2,1/2/2026,2/1/2026,"{amount}",\n')
        with pytest.raises(StackError, match="line 2, amount"):
            read_rows(tmp_path / "f.csv", read_mapping(tmp_path / "m.toml"), TODAY)

    @pytest.mark.parametrize(
        ("marks", "amount"),
        [("", "1,234.56"), ("", "1234.56"), ('decimal_mark = ","\n', "1.234,56"), ('decimal_mark = ","\n', "1234,56")],
    )
    def test_are_read_by_the_mapping(self, tmp_path: pathlib.Path, marks: str, amount: str) -> None:
        (tmp_path / "m.toml").write_text(marks + MAPPING)
        (tmp_path / "f.csv").write_text(HEADER + f'C1,I2,1/2/2026,2/1/2026,"{amount}",\n')
        (row,) = read_rows(tmp_path / "f.csv", read_mapping(tmp_path / "m.toml"), TODAY)
        assert row.amount_minor == 123_456


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('number = "number"', 'nummer = "number"'), "nummer|number"),
        (('currency = "USD"', 'currency = "USX"'), "USX"),
        (("[columns]", "[colums]"), "columns"),
        (("[columns]", "[columns"), "m.toml"),
        (("[columns]", 'decimal_mark = ";"\n[columns]'), "decimal_mark"),
    ],
)
def test_wrong_mapping_is_refused_by_name(tmp_path: pathlib.Path, change: tuple[str, str], says: str) -> None:
    (tmp_path / "m.toml").write_text(MAPPING.replace(*change))
    with pytest.raises(StackError, match=says):
        read_mapping(tmp_path / "m.toml")


class TestDelimiters:
    @pytest.mark.parametrize("delimiter", [";", "\\t", "|"])
    def test_columns_are_parted_as_the_mapping_says(self, tmp_path: pathlib.Path, delimiter: str) -> None:
        (tmp_path / "m.toml").write_text(f'delimiter = "{delimiter}"\ndecimal_mark = ","\n{MAPPING}')
        sign = "\t" if len(delimiter) > 1 else delimiter
        text = (HEADER + "C1,I1,1/2/2026,2/1/2026,AMOUNT,\n").replace(",", sign).replace("AMOUNT", "1.234,50")
        (tmp_path / "f.csv").write_text(text)
        (row,) = read_rows(tmp_path / "f.csv", read_mapping(tmp_path / "m.toml"), TODAY)
        assert (row.number, row.amount_minor) == ("I1", 123_450)

    @pytest.mark.parametrize("delimiter", ['""', '";;"', "7", '"a"', "'\"'", '"\\n"', '" "'])
    def test_another_delimiter_is_refused(self, tmp_path: pathlib.Path, delimiter: str) -> None:
        (tmp_path / "m.toml").write_text(f"delimiter = {delimiter}\n{MAPPING}")
        with pytest.raises(StackError, match="delimiter"):
            read_mapping(tmp_path / "m.toml")

    def test_file_with_another_delimiter_is_refused(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / "m.toml").write_text(MAPPING)
        (tmp_path / "f.csv").write_text((HEADER + GOOD).replace(",", ";"))
        with pytest.raises(StackError, match="name the file's delimiter"):
            read_rows(tmp_path / "f.csv", read_mapping(tmp_path / "m.toml"), TODAY)

    @pytest.mark.parametrize("empty", [",,,,,", " , ,\t, , , ", ",,", ",,,,,,,", '"","",,,,'])
    def test_rows_of_empty_cells_are_passed_over(self, tmp_path: pathlib.Path, empty: str) -> None:
        (tmp_path / "m.toml").write_text(MAPPING)
        (tmp_path / "f.csv").write_text(f"{HEADER}{empty}\n{GOOD}{empty}\n{GOOD.replace('I1', 'I2')}{empty}\n")
        rows = read_rows(tmp_path / "f.csv", read_mapping(tmp_path / "m.toml"), TODAY)
        assert [(row.line, row.number) for row in rows] == [(3, "I1"), (5, "I2")]


def rows(folder: pathlib.Path) -> tuple[list[Row], ColumnMapping]:
    (folder / "m.toml").write_text(MAPPING)
    (folder / "f.csv").write_text(HEADER + GOOD)
    mapping = read_mapping(folder / "m.toml")
    return read_rows(folder / "f.csv", mapping, TODAY), mapping


class TestBusyStack:
    async def test_row_is_sent_again_until_answered(self, tmp_path: pathlib.Path) -> None:
        answers = [(502, "1"), (503, "0"), (504, None), (409, "0"), (201, None)]
        asked: list[str] = []

        async def stack(scope: Scope, receive: Receive, send: Send) -> None:
            asked.append(scope["path"])
            status, after = answers.pop(0) if scope["path"] == "/v1/invoices" else (201, None)
            await JSONResponse({"id": "1"}, status, {"retry-after": after} if after else {})(scope, receive, send)

        async with serving(stack) as url:
            done = await import_invoices(url, "key", *rows(tmp_path), lambda path: None)
        assert asked == ["/v1/customers", *["/v1/invoices"] * 5]
        assert (done.customers, done.invoices) == (1, 1)

    async def test_refusal_is_named_at_once(self, tmp_path: pathlib.Path) -> None:
        asked: list[str] = []

        async def stack(scope: Scope, receive: Receive, send: Send) -> None:
            asked.append(scope["path"])
            await JSONResponse({"detail": "that number is taken"}, 409)(scope, receive, send)

        async with serving(stack) as url:
            with pytest.raises(StackError, match="customer C1: that number is taken"):
                await import_invoices(url, "key", *rows(tmp_path), lambda path: None)
        assert asked == ["/v1/customers"]

    async def test_cut_connection_is_tried_again(self, tmp_path: pathlib.Path) -> None:
        cuts = 2

        async def cutting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal cuts
            await reader.readuntil(b"\r\n\r\n")
            if not cuts:
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 10\r\n"
                             b"Connection: close\r\n\r\n" + b'{"id":"1"}')  # fmt: skip
            cuts = max(0, cuts - 1)
            writer.close()

        async with await asyncio.start_server(cutting, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            done = await import_invoices(f"http://127.0.0.1:{port}", "key", *rows(tmp_path), lambda path: None)
        assert (done.customers, done.invoices) == (1, 1)
