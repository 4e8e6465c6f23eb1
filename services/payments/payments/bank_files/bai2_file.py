"""BAI2 cash management files: groups, accounts and transactions, with their control totals checked."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO

from payments.bank_files.identity import Alike, digest
from payments.bank_files.line import (
    BadFile,
    BankLine,
    Status,
    bank_id,
    bounded,
    exponent,
    given,
    short_day,
    without_spaces,
)
from payments.bank_files.text_lines import encoding_of, text_lines

# Some banks write several records on one line: "/" ends a record, and the code of the next one follows.
_NEXT_ON_LINE = re.compile(r"/\s+(?=(?:01|02|03|88|98|99),|16,\d{3},|49,[+-]?\d+,\d+\s*/)", re.ASCII)
_RECORD = re.compile(r"(01|02|03|16|49|88|98|99),", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_TYPE = re.compile(r"\d{3}", re.ASCII)
_MOST_READINGS = 64
_MOST_WORK = 1_000_000  # sums that may be tried in a file, beside a few for each field
_BREAK = "\n"  # between the pieces of a record that 88 continues after a "/"
_LONGEST_RECORD = 200_000

# Type codes of details by the BAI2 code list; 920 to 999 are the banks' own, split in the same way.
_LOAN_CREDITS = frozenset({"706", "708", *(str(code) for code in range(720, 729))})
_LOAN_DEBITS = frozenset({"760"})
_REVERSALS_IN = frozenset({"123", "252", "254", "255", "257", "258", "261", "266", "268", "395"})
_REVERSALS_OUT = frozenset({"423", "468", "552", "554", "555", "557", "558", "561", "566", "568", "694", "695"})
_NO_MONEY = "890"


@dataclass(frozen=True, slots=True)
class _Record:
    code: str
    body: str
    line: int
    rows: int
    """Physical records it is made of: itself and its 88s; control counts count them."""
    ended: bool = False
    """Whether a "/" ends it."""


@dataclass(slots=True)
class _Sums:
    """What a trailer must agree with."""

    amount: int = 0
    parts: int = 0
    rows: int = 0
    summaries: tuple[int, ...] = (0,)
    """What the summaries of an account may come to besides; the control total says which."""


@dataclass(slots=True)
class _Open:
    """Where in the file's nesting the reading stands."""

    file: _Sums | None = None
    group: _Sums | None = None
    account: _Sums | None = None
    number: str = ""
    currency: str = ""
    group_currency: str = ""
    as_of: date | None = None
    status: Status = "booked"
    group_header: str = ""
    account_header: str = ""
    part: int = 1
    told: Alike = field(default_factory=Alike)  # accounts of groups
    work: int = _MOST_WORK  # what is left of it


def read_bai2(file: BinaryIO) -> Iterator[BankLine]:
    """Lines in order. Amounts are minor units already; the group's as-of date is the day of booking.

    Controls of accounts (49), groups (98) and the file (99) are checked when they come: sums, and numbers of records.
    """
    at = _Open()
    ended = False
    last = 0
    for record in _records(file):
        last = record.line
        if ended:
            raise _bad(record, "a record after the file's trailer (99)")
        if record.code == "16":
            yield _transaction(record, at)
        elif record.code == "01":
            if at.file is not None:
                raise _bad(record, "a second file header (01)")
            at.file = _Sums(rows=record.rows)
        elif record.code == "02":
            _open_group(record, at)
        elif record.code == "03":
            _open_account(record, at)
        elif record.code == "49":
            _close_account(record, at)
        elif record.code == "98":
            _close_group(record, at)
        else:
            _close_file(record, at)
            ended = True
    if not ended:
        raise BadFile(last or None, "the file ends without its trailer (99): a part is missing. Fetch it again")


def _records(file: BinaryIO) -> Iterator[_Record]:
    """Yield logical records: physical records joined with their continuations.

    If a record ends with "/", its 88 begins the next field; otherwise its 88 continues the text. A line without a code
    is text that some system broke into lines.
    """
    code, parts, line, rows, length = "", [""], 0, 0, 0
    for number, physical in _physical(file):
        found = _RECORD.match(physical)
        if found is not None and found[1] != "88":
            if code:
                yield _Record(code, "".join(parts).removesuffix("/"), line, rows, parts[-1].endswith("/"))
            code, parts, line, rows, length = found[1], [physical[3:]], number, 1, len(physical)
            continue
        if not code:
            raise BadFile(number, "the first record is not a file header (01). Give the file as the bank made it")
        if found is None and code not in ("16", "03"):
            raise BadFile(number, f"{physical[:20]!r} begins with no record code. Give the file as the bank made it")
        if found is not None and parts[-1].endswith("/"):
            parts[-1] = parts[-1][:-1]
            parts += (_BREAK, physical[3:])
        else:
            parts += (" ", physical if found is None else physical[3:])
        rows += found is not None
        length += len(physical)
        if length > _LONGEST_RECORD:
            raise BadFile(line, "the record is longer than any true one. Give the file as the bank made it")
    if code:
        yield _Record(code, "".join(parts).removesuffix("/"), line, rows, parts[-1].endswith("/"))


def _physical(file: BinaryIO) -> Iterator[tuple[int, str]]:
    for number, text in text_lines(file, encoding_of(file, "latin-1")):
        stripped = text.strip()
        if not stripped:
            continue
        if "/ " in stripped or "/\t" in stripped:
            for part in _split(stripped):
                yield number, part
        else:
            yield number, stripped


def _split(text: str) -> Iterator[str]:
    start = 0
    for found in _NEXT_ON_LINE.finditer(text):
        yield text[start : found.start() + 1]
        start = found.end()
    yield text[start:]


def _bad(record: _Record, reason: str) -> BadFile:
    return BadFile(record.line, f"{reason} (record {record.code}). Fetch the file again, or ask the bank to correct it")


def _fields(record: _Record, least: int) -> list[str]:
    fields = [one.strip() for one in record.body.replace(_BREAK, ",").split(",")]
    return fields + [""] * (least - len(fields))


def _integer(text: str, record: _Record, what: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise _bad(record, f"{what} {text[:30]!r} is not a whole number of minor units")
    return int(text)


def _open_group(record: _Record, at: _Open) -> None:
    if at.file is None or at.group is not None:
        raise _bad(record, "a group header that stands in another group or outside the file")
    _, _, status, as_of, _, currency, modifier, *_ = _fields(record, 8)
    if status in ("2", "4"):
        reason = "the group deletes what an earlier file has" if status == "2" else "the group is a test"
        raise _bad(record, f"{reason} (status {status}); it moves no money")
    at.group_header, at.account_header = record.body, ""
    at.as_of = short_day(as_of)
    if at.as_of is None:
        raise _bad(record, f"the as-of date {as_of[:10]!r} is not YYMMDD")
    at.group = _Sums(rows=record.rows)
    at.group_currency = currency or "USD"  # the specification's default
    at.status = "pending" if modifier == "3" else "booked"  # 3: interim, of the same day


def _open_account(record: _Record, at: _Open) -> None:
    if at.group is None or at.account is not None:
        raise _bad(record, "an account that stands in another account or outside a group")
    number, currency, *_ = _fields(record, 2)
    if not number:
        raise _bad(record, "the account has no number")
    at.number, at.currency = without_spaces(number), currency or at.group_currency
    exponent(at.currency, record.line)
    at.account = _Sums(rows=record.rows, summaries=_summaries(record, at))
    # An account may continue under the same header. With balances, or in another group of this header, it is a copy.
    if record.body != at.account_header or any(_fields(record, 2)[2:]):
        at.part = at.told.nth(digest((at.group_header, record.body)))
    at.account_header = record.body


def _summaries(record: _Record, at: _Open) -> tuple[int, ...]:
    """Yield possible sums of an account's balances and totals, which its control total includes, the likeliest first.

    Each summary is type, amount, items, funds type and the fields of that. A "/" may end one early, or stand within it.
    So a number of three digits after "/" may be a type, an amount or the items.
    """
    pieces = [[one.strip() for one in piece.split(",")] for piece in record.body.split(_BREAK)]
    pieces[0] = pieces[0][2:]
    fields = list(itertools.chain(*pieces))
    breaks = set(itertools.accumulate(map(len, pieces)))
    sums: dict[int, dict[int, None]] = {0: {0: None}}
    furthest = 0
    at.work += 2 * len(fields)
    for start in range(len(fields)):
        if start in sums:
            furthest = start
            for end, amount in _readings(fields, start, breaks):
                reached = sums.setdefault(min(end, len(fields)), {})
                before = list(itertools.islice(sums[start], _MOST_READINGS))
                at.work -= len(before)
                for each in before:
                    reached.setdefault(each + amount)
            if at.work < 0:
                raise _bad(record, "the balances of accounts may be read in too many ways")
    if len(fields) not in sums:
        raise _bad(record, _why_not(fields[furthest : furthest + 5]))
    return tuple(sums[len(fields)])[:_MOST_READINGS]


def _readings(fields: list[str], start: int, breaks: set[int]) -> Iterator[tuple[int, int]]:
    """Where a summary that begins here may end, and its amount."""
    code, amount, _, funds, count = (*fields[start : start + 5], "", "", "", "", "")[:5]
    if (code and not _TYPE.fullmatch(code)) or (amount and not _INTEGER.fullmatch(amount)):
        if not code or _TYPE.fullmatch(code):
            yield from ((start + 1, 0) for at in (start + 1,) if at in breaks)
        return
    minor = int(amount or 0)
    early = [start + length for length in (1, 2, 3) if start + length in breaks]
    for end in early:
        if end < len(fields) and _TYPE.fullmatch(fields[end]) and end - start > 1:
            yield end, minor
    distributions = int(count) if count.isascii() and count.isdigit() and len(count) <= 3 else None
    more = {"": 0, "Z": 0, "0": 0, "1": 0, "2": 0, "S": 3, "V": 2}.get(funds)
    if funds == "D" and distributions is not None:
        more = 1 + 2 * distributions
    if more is not None:
        yield start + 4 + more, minor
    for end in early:
        yield end, minor if end - start > 1 else 0
    for end in (start + 2, start + 3):  # the next one follows at once
        if _TYPE.fullmatch("".join(fields[end : end + 1])):
            yield end, minor


def _why_not(fields: list[str]) -> str:
    code, amount, _, funds, _ = (*fields, "", "", "", "", "")[:5]
    if code and not _TYPE.fullmatch(code):
        return f"the type code {code[:10]!r} is not three digits"
    if amount and not _INTEGER.fullmatch(amount):
        return f"the amount {amount[:30]!r} is not a whole number of minor units"
    if funds == "D":
        return "funds type D does not say its number of distributions"
    return f"the funds type {funds[:10]!r} is not one of Z, 0, 1, 2, S, V, D"


def _distributions(fields: list[str], record: _Record) -> int:
    if not fields or not (fields[0].isascii() and fields[0].isdigit() and len(fields[0]) <= 3):
        raise _bad(record, "funds type D does not say its number of distributions")
    return int(fields[0])


def _transaction(record: _Record, at: _Open) -> BankLine:
    if at.account is None:
        raise _bad(record, "a transaction that stands outside an account")
    code, amount_text, funds, rest = _cut(record.body, 3)
    skipped = {"S": 3, "V": 2}.get(funds, 0)
    if funds == "D":
        count, rest = _cut(rest, 1)
        skipped = 2 * _distributions([count], record)
    elif funds not in ("", "Z", "0", "1", "2", "S", "V"):
        raise _bad(record, f"the funds type {funds[:10]!r} is not one of Z, 0, 1, 2, S, V, D")
    *availability, bank_reference, customer_reference, text = _cut(rest, skipped + 2)
    if amount_text.startswith("-"):
        raise _bad(record, "a transaction's amount has a sign; its type code alone says which way the money went")
    amount = bounded(_integer(amount_text, record, "the amount"), record.line) if amount_text else 0
    value_on = at.as_of
    if funds == "V" and availability[0]:
        value_on = short_day(availability[0])
        if value_on is None:
            raise _bad(record, f"the value date {availability[0][:10]!r} is not YYMMDD")
    at.account.amount += amount
    at.account.rows += record.rows
    reference = given(customer_reference)
    if not code:
        raise _bad(record, "the type code is missing")
    sign, said = _sign(code), " ".join(text.replace(_BREAK, " ").removesuffix("/").split())
    if sign is None:
        said = f"{said} (type code {code[:10]}: not known whether this came in or went out)".strip()
    return BankLine(
        account=at.number,
        currency=at.currency,
        amount_minor=amount * (1 if sign is None else sign),
        booked_on=at.as_of,
        value_on=value_on,
        status="information" if code == _NO_MONEY else at.status,
        bank_reference=bank_id(bank_reference),
        end_to_end_id=None,
        references=(reference,) if reference else (),
        text=said,
        payer=None,
        payer_account=None,
        code=code,
        reversal=sign is None or code in _REVERSALS_IN or code in _REVERSALS_OUT,
        place=f"line {record.line}",
        part=at.part,
        own_references=(reference,) if reference else (),
    )


def _cut(text: str, times: int) -> list[str]:
    """The first fields and the rest, which is text and may hold commas."""
    parts = re.split(f"[,{_BREAK}]", text, maxsplit=times) if _BREAK in text else text.split(",", times)
    parts += [""] * (times + 1 - len(parts))
    return [*(part.strip() for part in parts[:-1]), parts[-1]]


def _sign(code: str) -> int | None:
    """1 for money that came in, -1 for money that went out; None for a code of the bank's own.

    A line with such a code becomes an incoming reversal, so that a person decides about it.
    """
    if code == _NO_MONEY:
        return 0
    if _TYPE.fullmatch(code):
        if "100" <= code <= "399" or "920" <= code <= "959" or code in _LOAN_CREDITS:
            return 1
        if "400" <= code <= "699" or "960" <= code <= "999" or code in _LOAN_DEBITS:
            return -1
    return None


def _close_account(record: _Record, at: _Open) -> None:
    total, rows, *_ = _fields(record, 2)
    if at.account is None or at.group is None:
        raise _bad(record, "an account's trailer without its header (03)")
    at.account.rows += record.rows
    readings = [at.account.amount + each for each in at.account.summaries]
    said = _integer(total, record, "the account's control total") if total else readings[0]
    at.account.amount = said if said in readings else readings[0]
    _agree(record, "the account's control total", total, at.account.amount)
    _agree(record, "the account's number of records", rows, at.account.rows)
    at.group.amount += at.account.amount
    at.group.rows += at.account.rows
    at.group.parts += 1
    at.account = None


def _close_group(record: _Record, at: _Open) -> None:
    total, accounts, rows = _trailer(record)
    if at.group is None or at.file is None or at.account is not None:
        raise _bad(record, "a group's trailer without its header (02), or before its account's trailer (49)")
    at.group.rows += record.rows
    _agree(record, "the group's control total", total, at.group.amount)
    _agree(record, "the group's number of accounts", accounts, at.group.parts)
    _agree(record, "the group's number of records", rows, at.group.rows)
    at.file.amount += at.group.amount
    at.file.rows += at.group.rows
    at.file.parts += 1
    at.group = None


def _close_file(record: _Record, at: _Open) -> None:
    total, groups, rows = _trailer(record)
    if at.file is None or at.group is not None:
        raise _bad(record, "the file's trailer without its header (01), or before its group's trailer (98)")
    at.file.rows += record.rows
    if not record.ended and not (total and groups and rows):
        raise _bad(record, "the file ends within its trailer: a part is missing")
    _agree(record, "the file's control total", total, at.file.amount)
    _agree(record, "the file's number of groups", groups, at.file.parts)
    _agree(record, "the file's number of records", rows, at.file.rows)


def _trailer(record: _Record) -> tuple[str, str, str]:
    """Total, number of parts and number of records; some banks leave the number of parts out."""
    fields = _fields(record, 2)
    if len(fields) == 2:
        return fields[0], "", fields[1]
    return fields[0], fields[1], fields[2]


def _agree(record: _Record, what: str, said: str, counted: int) -> None:
    """Compare a control with the records. A control that the bank leaves blank is not checked."""
    if said and _integer(said, record, what) != counted:
        raise _bad(record, f"{what} is {said}, but what was read comes to {counted}")
