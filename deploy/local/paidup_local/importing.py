"""`paidup import invoices`: a CSV of invoices through the public API. Run it again to go on where it stopped."""

import asyncio
import csv
import hashlib
import io
import re
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from contracts.money import EXPONENTS, LARGEST_MINOR
from paidup_local.errors import StackError

NEEDED = ("customer_external_id", "number", "issued_on", "due_on", "amount")
OPTIONAL = ("customer_name", "settled_on", "description", "po_number")
AT_ONCE = 16
AGAIN = (409, 429, 502, 503, 504)
PATIENCE, TRIES_WITHOUT_ANSWER = 60, 5


@dataclass(frozen=True)
class ColumnMapping:
    """Which column holds what, what parts them, how dates are written, and the currency of all amounts."""

    currency: str
    date_format: str
    columns: Mapping[str, str]
    decimal_mark: str = "."
    thousands_mark: str = ","
    delimiter: str = ","


@dataclass(frozen=True)
class Row:
    """A line of the file; `amount_minor` in the mapping's currency. `settled_on`: paid in full that day."""

    line: int
    customer_external_id: str
    customer_name: str
    number: str
    issued_on: date
    due_on: date
    amount_minor: int
    settled_on: date | None
    description: str
    po_number: str | None


LENGTHS = {
    "customer_external_id": (1, 200), "customer_name": (0, 200), "number": (1, 200), "po_number": (0, 200),
    "description": (0, 2_000),
}  # fmt: skip


def read_mapping(path: Path) -> ColumnMapping:
    """StackError that names what is missing or wrong."""
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StackError(
            f"The mapping {path} can't be read: {error}.",
            "give a TOML file, as deploy/local/mappings/accounts_receivable.toml.",
        ) from None
    columns, currency = found.get("columns"), found.get("currency")
    if currency not in EXPONENTS:
        raise StackError(f"{path}: currency {currency!r} is not an ISO 4217 code.", 'write, say, currency = "USD".')
    if not isinstance(found.get("date_format"), str) or not isinstance(columns, dict):
        raise StackError(
            f"{path} needs date_format and a [columns] table.", "see deploy/local/mappings/accounts_receivable.toml."
        )
    missing = [name for name in NEEDED if name not in columns]
    unknown = [name for name in columns if name not in NEEDED + OPTIONAL]
    if missing or unknown:
        wrong = f"misses {', '.join(missing)}" if missing else f"does not know {', '.join(unknown)}"
        raise StackError(
            f"{path}: [columns] {wrong}.", f"it takes {', '.join(NEEDED)} and, if there, {', '.join(OPTIONAL)}."
        )
    mark = found.get("decimal_mark", ".")
    group = found.get("thousands_mark", "," if mark == "." else ".")
    if mark not in (".", ",") or group not in (".", ",", " ", "'", "’") or mark == group:
        raise StackError(
            f"{path}: decimal_mark {mark!r} and thousands_mark {group!r} don't go together.",
            'write, say, decimal_mark = "," and thousands_mark = ".", or leave both out for 1,234.56.',
        )
    delimiter = found.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n\0 ':
        raise StackError(
            f"{path}: delimiter {delimiter!r} is not one sign that parts columns.",
            'write, say, delimiter = ";" or "\\t", or leave it out for a comma.',
        )
    return ColumnMapping(currency, found["date_format"], columns, mark, group, delimiter)


def read_rows(path: Path, mapping: ColumnMapping, today: date) -> list[Row]:
    """Every line, or a StackError with the first ten faults by line and column; nothing is sent then."""
    try:
        data = path.read_bytes()
        rows, faults = _read(
            csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True, delimiter=mapping.delimiter),
            mapping,
            today,
        )
    except OSError as error:
        raise StackError(f"{path} can't be read: {error}.", "give a CSV file in UTF-8 with a header line.") from None
    except UnicodeDecodeError as error:
        rows, faults = [], [f"line {data[: error.start].count(10) + 1}: not UTF-8"]
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults[:10])
        raise StackError(
            f"{path} has {len(faults)} fault{'s' if len(faults) > 1 else ''}; nothing was imported:\n{listed}",
            "correct these lines, then import again.",
        )
    return rows


def _read(lines: "csv.DictReader[str]", mapping: ColumnMapping, today: date) -> tuple[list[Row], list[str]]:
    absent = [column for column in mapping.columns.values() if column not in (lines.fieldnames or ())]
    if absent:
        one = len(lines.fieldnames or ()) == 1
        why = f"; by {mapping.delimiter!r} the line is one column: name the file's delimiter in the mapping" * one
        return [], [f"line 1: there is no column {column}{why}" for column in absent]
    rows: list[Row] = []
    faults: list[str] = []
    numbers: dict[str, int] = {}
    for values in _until_broken(lines, faults):
        if not any(map(_said, values.values())):  # as spreadsheets end a file
            continue
        try:
            row = _row(lines.line_num, values, mapping, today)
            first = numbers.setdefault(row.number, row.line)
            if first != row.line:
                raise _FaultError(mapping.columns["number"], f"{row.number} stands in line {first} already")
            rows.append(row)
        except _FaultError as fault:
            faults.append(f"line {lines.line_num}, {fault.column}: {fault}")
    return rows, faults


def _said(cell: Any) -> bool:
    """Whether a cell, or those beyond the header's, hold anything."""
    return any(map(_said, cell)) if isinstance(cell, list) else bool(cell and cell.strip())


def _until_broken(lines: "csv.DictReader[str]", faults: list[str]) -> Iterator[dict[str, Any]]:
    """The lines up to one that is no CSV, as where a quote is not closed; that one is a fault."""
    begins = 1
    try:
        for values in lines:
            begins = lines.line_num + 1
            yield values
    except csv.Error as error:
        faults.append(f"line {begins}: {error}")


class _FaultError(ValueError):
    def __init__(self, column: str, what: str) -> None:
        super().__init__(what)
        self.column = column


def _row(line: int, values: Mapping[str, Any], mapping: ColumnMapping, today: date) -> Row:
    if None in values or None in values.values():
        raise _FaultError("all columns", "the line has more or fewer fields than the header")

    def text(name: str) -> str:
        return str(values[mapping.columns[name]]).strip() if name in mapping.columns else ""

    def day(name: str) -> date:
        try:
            return datetime.strptime(text(name), mapping.date_format).date()  # noqa: DTZ007 - a calendar day
        except ValueError:
            raise _FaultError(
                mapping.columns[name], f"{text(name)!r} is not a date written {mapping.date_format}"
            ) from None

    for name, (least, most) in LENGTHS.items():
        if not least <= len(text(name)) <= most or "\x00" in text(name):
            raise _FaultError(mapping.columns[name], f"must have {least} to {most} characters, and none of them U+0000")
    issued_on, due_on = day("issued_on"), day("due_on")
    if due_on < issued_on:
        raise _FaultError(mapping.columns["due_on"], f"{due_on} lies before the issue date {issued_on}")
    who, settled_on = text("customer_external_id"), day("settled_on") if text("settled_on") else None
    if settled_on is not None and settled_on > today:
        raise _FaultError(
            mapping.columns["settled_on"], f"{settled_on} lies in the future; the company's today is {today}"
        )
    return Row(
        line, who, text("customer_name") or who, text("number"), issued_on, due_on,
        _minor(text("amount"), mapping), settled_on,
        text("description") or f"Invoice {text('number')}", text("po_number") or None,
    )  # fmt: skip


def _minor(text: str, mapping: ColumnMapping) -> int:
    """An amount as the mapping says that the file writes it: a comma is never guessed at."""
    column, mark, group = mapping.columns["amount"], mapping.decimal_mark, mapping.thousands_mark
    if not re.fullmatch(rf"(\d+|\d{{1,3}}({re.escape(group)}\d{{3}})+)({re.escape(mark)}\d+)?", text, re.ASCII):
        written = f"with {mark!r} before decimals and, if at all, {group!r} between thousands"
        raise _FaultError(column, f"{text!r} is not an amount written {written} (decimal_mark, thousands_mark)")
    minor = Decimal(text.replace(group, "").replace(mark, ".")).scaleb(EXPONENTS[mapping.currency])
    whole = int(minor)
    if minor != whole or not 0 < whole <= LARGEST_MINOR:
        raise _FaultError(column, f"{text!r} is not an amount of {mapping.currency} above zero")
    return whole


@dataclass
class Imported:
    """How many were sent, and how many of them were there already."""

    customers: int = 0
    invoices: int = 0
    payments: int = 0
    there_already: int = 0


class Importer:
    """Sends rows to one gateway; `tick` is called with what was done after each request."""

    def __init__(self, session: Any, mapping: ColumnMapping, tick: Callable[[str], None]) -> None:
        self._session = session
        self._mapping = mapping
        self._tick = tick
        self.done = Imported()

    async def run(self, rows: list[Row]) -> Imported:
        names = {row.customer_external_id: row.customer_name for row in reversed(rows)}
        ids: dict[str, str] = {}

        async def customer(external_id: str) -> None:
            body = {"external_id": external_id, "name": names[external_id]}
            ids[external_id] = (await self._send("/v1/customers", body, f"customer {external_id}"))["id"]
            self.done.customers += 1

        async def invoice(row: Row) -> None:
            await self._invoice(row, ids[row.customer_external_id])

        await _some_at_once(customer, iter(names))
        await _some_at_once(invoice, iter(rows))
        return self.done

    async def _invoice(self, row: Row, customer_id: str) -> None:
        body: dict[str, Any] = {
            "customer_id": customer_id,
            "number": row.number,
            "currency": self._mapping.currency,
            "issued_on": row.issued_on.isoformat(),
            "due_on": row.due_on.isoformat(),
            "lines": [{"description": row.description, "quantity": 1, "unit_price_minor": row.amount_minor}],
        }
        if row.po_number:
            body["po_number"] = row.po_number
        invoice = await self._send("/v1/invoices", body, f"line {row.line}")
        self.done.invoices += 1
        if row.settled_on is not None:
            await self._payment(row, customer_id, invoice["id"])

    async def _payment(self, row: Row, customer_id: str, invoice_id: str) -> None:
        body = {
            "customer_id": customer_id,
            "amount_minor": row.amount_minor,
            "currency": self._mapping.currency,
            "received_on": row.settled_on.isoformat() if row.settled_on else None,
            "reference": f"import {row.number}",
            "invoices": [{"invoice_id": invoice_id}],
        }
        key = "import-" + hashlib.sha256(row.number.encode()).hexdigest()[:40]
        await self._send("/v1/payments/offline", body, f"line {row.line}", key)
        self.done.payments += 1

    async def _send(self, path: str, body: dict[str, Any], where: str, key: str | None = None) -> Any:
        """The answer; waits where the stack is busy or restarts. StackError names the line and what the server said."""
        answer = await self._answer(path, body, {"Idempotency-Key": key} if key else {})
        if answer.status_code >= 300:
            said = (
                answer.json().get("detail", answer.text)
                if "json" in answer.headers.get("content-type", "")
                else answer.text
            )
            if key and "idempotency-key-reused" in answer.text:
                said = "a payment of this invoice was imported before, of another amount or settled on another day"
            raise StackError(f"{where}: {said}", "correct it, then import again: what was imported is not repeated.")
        repeated = "idempotent-replayed" in answer.headers if key else answer.status_code == 200
        self.done.there_already += repeated
        self._tick(path)
        return answer.json()

    async def _answer(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
        """The answer that counts. Asking again is safe: numbers and keys make each request happen once."""
        import httpx2

        unheard = 0
        for _ in range(PATIENCE):
            try:
                answer = await self._session.post(path, json=body, headers=headers)
            except httpx2.TransportError:
                unheard += 1
                if unheard == TRIES_WITHOUT_ANSWER:
                    raise
                await asyncio.sleep(1)
                continue
            if answer.status_code not in AGAIN or (answer.status_code == 409 and "retry-after" not in answer.headers):
                break
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
        return answer


async def _some_at_once(work: Callable[[Any], Awaitable[None]], items: Iterator[Any]) -> None:
    async def worker() -> None:
        for item in items:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())


async def import_invoices(
    url: str, key: str, rows: list[Row], mapping: ColumnMapping, tick: Callable[[str], None]
) -> Imported:
    import httpx2

    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30) as session:
        try:
            return await Importer(session, mapping, tick).run(rows)
        except* StackError as group:
            raise group.exceptions[0] from None
        except* httpx2.TransportError as group:
            raise StackError(
                f"The stack at {url} does not answer ({group.exceptions[0]}).",
                "start it with `make up`, then import again.",
            ) from None
    raise AssertionError("unreachable")
