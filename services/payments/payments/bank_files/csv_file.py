"""CSV exports of banks. A profile, chosen by the exact header, says what each column means."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from importlib import resources
from typing import Any, BinaryIO

from payments.bank_files.line import BadFile, BankLine, Status, bank_id, given, minor, without_spaces
from payments.bank_files.text_lines import encoding_of, text_lines

_MOST_LINES_OF_A_ROW = 50
_MARKS = {",", "."}


@dataclass(frozen=True, slots=True)
class Profile:
    """One bank's export. Column names are those of its header.

    encoding            for files that are neither UTF-8 nor, by their mark, UTF-16
    date_format         as of `strptime`
    thousands           the mark between thousands, or ""
    account, currency   fixed values, if there is no such column; without them the caller gives the values
    columns             field of the line → columns, whose texts are joined by a space
    credit_words        words of the column `direction` for money that came in; `debit_words`: that went out
    booked_words        words of the column `status` for booked lines; `pending_words`: for pending ones
    """

    name: str
    header: tuple[str, ...]
    delimiter: str
    date_format: str
    decimal_mark: str
    thousands: str
    encoding: str | None
    account: str | None
    currency: str | None
    columns: dict[str, tuple[str, ...]]
    credit_words: frozenset[str]
    debit_words: frozenset[str]
    booked_words: frozenset[str]
    pending_words: frozenset[str]


_FIELDS = {
    *("booked_on", "value_on", "amount", "credit", "debit", "direction", "account", "currency", "bank_reference"),
    *("end_to_end_id", "references", "text", "payer", "payer_account", "code", "status"),
}


def profile_of(name: str, told: dict[str, Any]) -> Profile:
    """Make a profile from its TOML. Raises `ValueError` if no file could be read with it."""
    columns = {field: (one,) if isinstance(one, str) else tuple(one) for field, one in told["columns"].items()}
    header = tuple(told["header"])
    unknown = set(columns) - _FIELDS | {one for some in columns.values() for one in some} - set(header)
    amounts = "amount" in columns or {"credit", "debit"} <= set(columns)
    mark, thousands = told.get("decimal_mark", "."), told.get("thousands", "")
    if unknown or not amounts or "booked_on" not in columns or {mark, thousands or mark} - _MARKS:
        raise ValueError(f"profile {name}: unknown {sorted(unknown)}, or no booked_on or amount, or a wrong mark")
    return Profile(
        name=name,
        header=header,
        delimiter=told.get("delimiter", ","),
        date_format=told.get("date_format", "%Y-%m-%d"),
        decimal_mark=mark,
        thousands=thousands,
        encoding=told.get("encoding"),
        account=told.get("account"),
        currency=told.get("currency"),
        columns=columns,
        credit_words=frozenset(told.get("credit_words", ())),
        debit_words=frozenset(told.get("debit_words", ())),
        booked_words=frozenset(told.get("booked_words", ())),
        pending_words=frozenset(told.get("pending_words", ())),
    )


@cache
def profiles() -> tuple[Profile, ...]:
    """Those shipped with the package."""
    folder = resources.files("payments.bank_files") / "profiles"
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    return tuple(profile_of(one.name.removesuffix(".toml"), tomllib.loads(one.read_text("utf-8"))) for one in files)


def read_csv(file: BinaryIO, account: str | None, currency: str | None) -> tuple[str, Iterator[BankLine]]:
    """Return "csv:<profile>" and an iterator of the lines."""
    for encoding in dict.fromkeys((encoding_of(file, "cp1252"), "latin-1")):
        first = _first_line(file, encoding)
        for profile in profiles():
            if _header(first, profile.delimiter) == profile.header:
                own = profile.account or account
                if own is None and "account" not in profile.columns:
                    reason = f"a {profile.name} export does not contain its account. Send it as ?account="
                    raise BadFile(1, reason, "account")
                right = encoding_of(file, profile.encoding)
                return f"csv:{profile.name}", _rows(file, right, profile, own, profile.currency or currency)
    known = ", ".join(profile.name for profile in profiles())
    begins = f"it begins with {first[:60]!r}, which is neither camt, BAI2, MT940 nor the header of a known CSV export"
    raise BadFile(1, f"{begins} ({known}). Export it in one of these, or add a profile for this header")


def _first_line(file: BinaryIO, encoding: str) -> str:
    with closing(text_lines(file, encoding)) as lines:
        return next(lines, (1, ""))[1].removeprefix("\ufeff")


def _header(text: str, delimiter: str) -> tuple[str, ...]:
    try:
        fields = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return ()
    return tuple(field.strip() for field in fields)


class _Source:
    """Gives lines to the CSV reader, counts them, and stops at a quote that is never closed."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self.row_began = 0
        self.line = 0

    def __iter__(self) -> Iterator[str]:
        for number, text in self._lines:
            self.line = number
            if number - self.row_began > _MOST_LINES_OF_A_ROW:
                raise BadFile(self.row_began + 1, 'a quote (") is never closed. Close it, or fetch the file again')
            yield text.removeprefix("\ufeff") + "\n" if number == 1 else text + "\n"


def _rows(
    file: BinaryIO, encoding: str, profile: Profile, account: str | None, currency: str | None
) -> Iterator[BankLine]:
    source = _Source(text_lines(file, encoding))
    read = _reader(profile, account, currency)
    width = len(profile.header)
    rows = csv.reader(source, delimiter=profile.delimiter, strict=True)
    began = 1
    try:
        for row in rows:
            number, began = began, source.line + 1
            source.row_began = source.line
            if number == 1 or not any(row):
                continue
            if len(row) < width or any(field.strip() for field in row[width:]):
                reason = f"{len(row)} columns where the header has {width}. Correct the row, or export it again"
                raise BadFile(number, reason)
            yield read(row, number)
    except csv.Error as error:
        raise BadFile(source.row_began + 1, f"the row is no CSV ({error}). Correct it, or export it again") from None


@lru_cache(4096)
def _day(text: str, date_format: str) -> date | None:
    try:
        return datetime.strptime(text, date_format).date()  # noqa: DTZ007 (a day, in the bank's own zone)
    except ValueError:
        return None


def _as_read(date_format: str) -> str:
    """`%d.%m.%y` as people write it: DD.MM.YY."""
    return date_format.replace("%Y", "YYYY").replace("%y", "YY").replace("%m", "MM").replace("%d", "DD")


def _reader(profile: Profile, account: str | None, currency: str | None) -> Callable[[list[str], int], BankLine]:
    """Return a function that reads one row. The places of the columns are looked up once."""
    places = {
        field: tuple(profile.header.index(column) for column in columns) for field, columns in profile.columns.items()
    }

    def text(row: list[str], field: str) -> str:
        return " ".join(" ".join(row[place] for place in places.get(field, ())).split())

    def day(row: list[str], field: str, line: int) -> date | None:
        said = text(row, field)
        found = _day(said, profile.date_format) if said else None
        if found is None and (said or field == "booked_on"):
            raise BadFile(line, f"{said[:30]!r} is not a date like {_as_read(profile.date_format)}. Correct it")
        return found

    def read(row: list[str], line: int) -> BankLine:
        unit = text(row, "currency") if "currency" in places else currency or ""
        own = text(row, "account") if "account" in places else account
        if not own:
            raise BadFile(line, "the row names no account. Fill it in, or export the file again")
        reference = given(text(row, "references"))
        return BankLine(
            account=without_spaces(own),
            currency=unit,
            amount_minor=_amount(profile, lambda field: text(row, field), unit, line),
            booked_on=day(row, "booked_on", line),
            value_on=day(row, "value_on", line),
            status=_status(profile, text(row, "status"), line),
            bank_reference=bank_id(text(row, "bank_reference")),
            end_to_end_id=given(text(row, "end_to_end_id")),
            references=(reference,) if reference else (),
            text=text(row, "text"),
            payer=text(row, "payer") or None,
            payer_account=without_spaces(text(row, "payer_account")) or None,
            code=text(row, "code") or None,
            reversal=False,
            place=f"line {line}",
        )

    return read


def _status(profile: Profile, word: str, line: int) -> Status:
    if "status" not in profile.columns or word in profile.booked_words:
        return "booked"
    if word not in profile.pending_words:
        raise BadFile(line, f"{word[:30]!r} does not say whether the money is booked. Export the file again")
    return "pending"


def _amount(profile: Profile, text: Callable[[str], str], currency: str, line: int) -> int:
    """Minor units. The sign is that of the amount, of the column `direction`, or of the filled one of two columns."""
    if "amount" not in profile.columns:
        credit, debit = text("credit"), text("debit")
        came, went = (_signed(profile, one, currency, line) if one else 0 for one in (credit, debit))
        if not (credit or debit) or (came and went):
            raise BadFile(line, "the row must have a credit or a debit, and not both. Correct it")
        return came - abs(went)
    amount = _signed(profile, text("amount"), currency, line)
    if "direction" not in profile.columns:
        return amount
    word = text("direction")
    if word not in profile.credit_words | profile.debit_words or amount < 0:
        raise BadFile(line, f"{word[:20]!r} does not say whether the money came or went. Correct it")
    return amount if word in profile.credit_words else -amount


def _signed(profile: Profile, text: str, currency: str, line: int) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text[1:] if text[:1] in ("-", "+") else text
    if profile.thousands and profile.thousands in digits:
        digits = _ungrouped(digits, profile, line)
    return sign * minor(digits.strip(), currency, line, profile.decimal_mark)


def _ungrouped(digits: str, profile: Profile, line: int) -> str:
    """Remove marks between thousands. They are refused if they don't stand between groups of three digits."""
    whole, mark, fraction = digits.partition(profile.decimal_mark)
    first, *groups = whole.split(profile.thousands)
    if not 1 <= len(first) <= 3 or any(len(group) != 3 for group in groups) or profile.thousands in fraction:
        raise BadFile(line, f"{digits[:40]!r} has a thousands mark out of place. Correct the amount")
    return first + "".join(groups) + mark + fraction
