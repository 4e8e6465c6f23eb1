"""SWIFT MT940 statements: opening balance, movements and closing balance, which must agree."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from payments.bank_files.identity import Alike, digest
from payments.bank_files.line import BadFile, BankLine, bank_id, exponent, given, minor, short_day, without_spaces
from payments.bank_files.text_lines import encoding_of, text_lines

_TAG = re.compile(r"\s{0,3}:(\d\d[A-Z]?|NS):")
_LONGEST_BROKEN_TAG = 10  # with spaces around it
_BROKEN_TAG = re.compile(r":(\d?|\d\d[A-Z]?)")
_ENVELOPE = re.compile(r"\x01?\{[1-5S]:|\x03?\$\s*$|-\}?[\s\x03]*(\{5:.*)?$")
_BALANCE = re.compile(r"([CD])\s*(\d{6})?\s*([A-Z]{3})\s*(\d+(?:,\d*)?)", re.ASCII)
# Value date, entry date, mark (C, D, reversals RC, RD, expected EC, ED), third letter of the currency, amount, type,
# reference for the owner, reference of the bank. The first pattern is the standard's; the second allows what banks
# write: spaces, missing parts.
_START = r"(\d{6})\s*(\d{4})?\s*(R?[CD]|E[CD])\s*([A-Z])?\s*"
_END = r"\s*((?:(?!//).)*)(?://(.*))?"
_EXACT = re.compile(
    rf"(\d{{6}})(\d{{4}})?(R?[CD]|E[CD])([A-Z])?(\d+,\d*)((?!NONREF)[A-Z][A-Z0-9]{{3}}){_END}", re.ASCII
)
_TYPED = re.compile(rf"{_START}(\d+,\d*)\s*((?!NONREF)[SNF](?:[A-Z]{{3}}|\d{{3}})){_END}", re.ASCII)
_LENIENT = re.compile(
    rf"{_START}(\d+(?:,\d*)?)(?![\d.,])\s*((?!NONREF)[A-Z][A-Z0-9 ]{{3}}|[SNF][A-Z0-9 ]{{0,2}}$)?{_END}", re.ASCII
)
_BROKEN_UP_TO = 3  # lines that a movement may be broken into
_LONGEST_MOVEMENT = 2_000  # characters of its parts; SWIFT has 65
_BLANKS = re.compile(r"\s{4,}")  # longer ones become three: over many, the patterns would take for ever
# Tags that may stand among the movements, and how their content begins. Any other tag there begins a line of text.
_AMONG_MOVEMENTS = {
    "61": re.compile(r"\s*\d{6}"),
    "64": re.compile(r"\s*[CD]\s*\d{6}"),
    "65": re.compile(r"\s*[CD]\s*\d{6}"),
    "90C": re.compile(r"\s*\d{1,5}[A-Z]{3}"),
    "90D": re.compile(r"\s*\d{1,5}[A-Z]{3}"),
} | dict.fromkeys(("60F", "60M", "62F", "62M", "86", "NS"), re.compile(""))
_BANK_CODE_AND_NUMBER = re.compile("([0-9]{8})/([0-9]{1,10})(?:[A-Z]{3})?")
_IBAN_AND_CURRENCY = re.compile(r"([A-Z]{2}\d\d[A-Z0-9]{10,30}?)[/ ]?([A-Z]{3})", re.ASCII)
_IN = {"C": 1, "D": -1, "RC": -1, "RD": 1, "EC": 1, "ED": -1}
_MOST_LINES = 60  # of one field: SWIFT has six, banks add to them

# The subfields of German :86:, and the SEPA words within its remittance text.
_SUBFIELDS = re.compile(r"(\d{3})([?<>@~])(?=\d\d)", re.ASCII)
_REMITTANCE = ("2", "6")
_FULL_SUBFIELD = 27  # characters: a longer text is cut there, within a word
_SEPA = re.compile(r"(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC|PURP)\+")
_SLASHED = re.compile(
    r"/(EREF|REMI|ORDP|BENM|NAME|IBAN|PREF|MARF|CSID|TRTP|TRCD|RTRN|BIC|CNTP|ADDR|ID|ISDT|PURP|ULTD|ULTC)/"
)


@dataclass(slots=True)
class _Statement:
    """The statement that is being read, with the sums that its closing balance must agree with."""

    line: int
    account: str = ""
    number: str = ""
    opening: str = ""
    part: int = 0  # it is known from the first movement on
    currency: str = ""
    balance: int | None = None
    closed: bool = False


class _Field(NamedTuple):
    tag: str
    line: int
    texts: list[str]


class _Told(NamedTuple):
    """The content of a :86: field."""

    text: str
    references: tuple[str, ...] = ()
    end_to_end_id: str | None = None
    payer: str | None = None
    payer_account: str | None = None


class _Movement:
    """A movement to which more text may follow: in one or several :86:, and in movements of 0,00."""

    def __init__(self, line: BankLine) -> None:
        self._line = line
        self._more: list[BankLine] = []
        self._told: list[list[str]] = []

    def tell(self, texts: list[str]) -> None:
        if self._told and not _SUBFIELDS.match(texts[0]):
            self._told[-1].extend(texts)
        else:
            self._told.append(texts)

    def goes_on(self, line: BankLine) -> None:
        self._more.append(line)

    def line(self) -> BankLine:
        told = _joined([_told(texts) for texts in self._told])
        return replace(
            self._line,
            text=" ".join([told.text or self._line.text, *(one.text for one in self._more if one.text)]),
            references=tuple(
                dict.fromkeys(
                    (*self._line.references, *(one for line in self._more for one in line.references), *told.references)
                )
            ),
            end_to_end_id=told.end_to_end_id,
            payer=told.payer,
            payer_account=told.payer_account,
        )


def read_mt940(file: BinaryIO) -> Iterator[BankLine]:
    """Yield lines in order. The closing balance of each statement (or page) is checked when it comes.

    Movements are read leniently, because the closing balance proves the reading.
    """
    statement: _Statement | None = None
    waiting: _Movement | None = None  # until it is known what belongs to it
    told = Alike()
    last = 0
    for field in _fields(file):
        last = field.line
        if field.tag == "86":
            if waiting is not None:
                waiting.tell(field.texts)
            continue
        if field.tag == "20":
            _refuse_unclosed(statement, field.line)
            statement = _Statement(field.line)
        elif statement is None:
            raise _bad(field, "it stands before any :20:, which begins a statement")
        elif field.tag == "61":
            statement.part = statement.part or _part(statement, told)
            line = _movement(field, statement)
            if waiting is not None and not line.amount_minor:
                waiting.goes_on(line)
                continue
            if waiting is not None:
                yield waiting.line()
            waiting = _Movement(line)
        else:
            if waiting is not None and field.tag in ("60F", "60M", "62F", "62M"):
                yield waiting.line()
                waiting = None
            _note(field, statement)
    if waiting is not None:
        yield waiting.line()
    _refuse_unclosed(statement, last)
    if statement is None:
        raise BadFile(last or None, "there is no statement (:20:) in it. Fetch the file again")


def _fields(file: BinaryIO) -> Iterator[_Field]:
    """Yield tagged fields with their further lines. Text between the messages is envelope, and left out."""
    field: _Field | None = None
    moving = False  # between the opening and the closing balance
    for number, text in _whole_tags(text_lines(file, encoding_of(file, "latin-1"))):
        found = _TAG.match(text)
        shape = _AMONG_MOVEMENTS.get(found[1]) if found is not None else None
        among_text = moving and field is not None and field.tag in ("61", "86")
        if found is not None and (not among_text or (shape and shape.match(text, found.end()))):
            if field is not None:
                yield field
            field = _Field(found[1], number, [text[found.end() :].rstrip()])
            moving = moving or found[1] in ("60F", "60M")
            moving = moving and found[1] not in ("62F", "62M")
        elif not moving and _ENVELOPE.match(text):
            if field is not None:
                yield field
            field = None
        elif field is not None and text.strip() not in ("", "-"):
            if len(field.texts) >= _MOST_LINES:
                raise BadFile(number, f"field :{field.tag}: has more than {_MOST_LINES} lines. Fetch the file again")
            field.texts.append(text.rstrip())
    if field is not None:
        yield field


def _whole_tags(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the lines; if a tag was broken in two (":" and "86:"), its lines are joined."""
    held: tuple[int, str] | None = None
    for number, text in lines:
        if held is not None:
            joined = held[1] + text.strip()
            number, text = (held[0], joined) if _TAG.match(joined) else (number, text)
            if text != joined:
                yield held
            held = None
        if len(text) < _LONGEST_BROKEN_TAG and _BROKEN_TAG.fullmatch(text.strip()):
            held = number, text.strip()
        else:
            yield number, text
    if held is not None:
        yield held


def _bad(field: _Field, reason: str) -> BadFile:
    return BadFile(field.line, f":{field.tag}: {reason}. Fetch the file again, or ask the bank to correct it")


def _refuse_unclosed(statement: _Statement | None, line: int) -> None:
    if statement is not None and not statement.closed:
        begun = f"the statement of line {statement.line}"
        raise BadFile(line, f"{begun} has no closing balance (:62F:): a part is missing. Fetch the file again")


def _note(field: _Field, statement: _Statement) -> None:
    """Note account and balances; other fields are not needed."""
    if field.tag == "25" or field.tag == "25P":
        statement.account = _account(field.texts[0])
        if not statement.account:
            raise _bad(field, "names no account")
    elif field.tag in ("28", "28C"):
        statement.number = without_spaces(field.texts[0])
    elif field.tag in ("60F", "60M"):
        if statement.balance is not None:
            _refuse_unclosed(statement, field.line)
        if statement.balance is not None or not statement.account:
            raise _bad(field, "is a second opening balance, or stands before the account (:25:)")
        statement.balance, statement.currency = _balance(field)
        statement.opening = without_spaces(field.texts[0])
    elif field.tag in ("62F", "62M"):
        if statement.balance is None or statement.closed:
            raise _bad(field, "is a second closing balance, or stands before the opening balance (:60F:)")
        said, currency = _balance(field)
        if (said, currency) != (statement.balance, statement.currency):
            told = f"says {said} minor units of {currency}"
            raise _bad(field, f"{told}, but opening and movements come to {statement.balance} {statement.currency}")
        statement.closed = True


def _part(statement: _Statement, told: Alike) -> int:
    """How often this statement was in the file so far, with this one: some files are joined from overlapping files."""
    return told.nth(digest((statement.account, statement.number, statement.opening)))


def _account(text: str) -> str:
    account = without_spaces(text)
    if german := _BANK_CODE_AND_NUMBER.fullmatch(account):  # as other formats of the bank have it
        basic = german[1] + german[2].zfill(10)
        return f"DE{98 - int(basic + '131400') % 97:02}{basic}"
    with_currency = _IBAN_AND_CURRENCY.fullmatch(account)
    if with_currency is not None and _is_iban(with_currency[1]):
        return with_currency[1]
    return account


def _is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 13616)."""
    return int("".join(str(int(one, 36)) for one in text[4:] + text[:4])) % 97 == 1


def _balance(field: _Field) -> tuple[int, str]:
    found = _BALANCE.fullmatch(_BLANKS.sub("   ", field.texts[0].strip()))
    if found is None or (found[2] and _day(found[2]) is None):
        raise _bad(field, f"{field.texts[0][:40]!r} is no balance (C or D, YYMMDD, currency, amount with a comma)")
    mark, _, currency, amount = found.groups()
    return minor(amount, currency, field.line, ",") * _IN[mark], currency


def _day(text: str) -> date | None:
    """The day of YYMMDD. If the month has fewer days, its last day: some banks book on 30 February."""
    found = short_day(text)
    while found is None and "29" <= text[4:6] <= "31":
        text = f"{text[:4]}{int(text[4:6]) - 1}"
        found = short_day(text)
    return found


def _parts(texts: list[str]) -> tuple[tuple[str | None, ...], list[str]] | None:
    """The parts of a movement, which may be broken into lines, and the lines of text after it."""
    for pattern in (_EXACT, _TYPED, _LENIENT):
        for count in range(1, min(_BROKEN_UP_TO, len(texts)) + 1):
            written = _BLANKS.sub("   ", "".join(texts[:count]).strip())
            found = pattern.fullmatch(written) if len(written) <= _LONGEST_MOVEMENT else None
            if found is not None and (count == 1 or pattern is not _EXACT):
                return found.groups(), texts[count:]
    return None


def _movement(field: _Field, statement: _Statement) -> BankLine:
    if statement.balance is None or statement.closed:
        reason = "stands outside an opening (:60F:) and a closing balance (:62F:)"
        raise _bad(field, f"{reason}; interim reports (MT942) are not read, give the MT940 of the day")
    read = _parts(field.texts)
    value_on = _day(read[0][0] or "") if read is not None else None
    if read is None or value_on is None:
        raise _bad(field, f"{field.texts[0][:40]!r} is no movement (YYMMDD, MMDD, C or D, amount with a comma, type)")
    (_, entry_day, mark, _, amount_text, kind, owner_reference, bank_reference), texts = read
    assert mark is not None
    assert amount_text is not None
    booked_on = _entry_date(entry_day, value_on) if entry_day and entry_day != "0000" else value_on
    if booked_on is None:
        raise _bad(field, f"the entry date {entry_day!r} is not MMDD")
    exponent(statement.currency, field.line)
    amount = minor(amount_text, statement.currency, field.line, ",") * _IN[mark]
    expected = mark.startswith("E")  # no money yet, and not in the balances
    before = None if expected else statement.balance
    if not expected:
        statement.balance += amount
    reference = given(owner_reference)
    if reference is not None and reference.endswith("+"):  # "KREF+": see :86:
        reference = None
    return BankLine(
        account=statement.account,
        currency=statement.currency,
        amount_minor=amount,
        booked_on=booked_on,
        value_on=value_on,
        status="pending" if expected else "booked",
        bank_reference=bank_id(bank_reference),
        end_to_end_id=None,
        references=(reference,) if reference else (),
        text=" ".join(" ".join(texts).split()),
        payer=None,
        payer_account=None,
        code=kind.strip() if kind else None,
        reversal=mark.startswith("R"),
        place=f"line {field.line}",
        part=statement.part,
        own_references=(reference,) if reference else (),
        balance_before=before,
    )


@lru_cache(4096)
def _entry_date(month_and_day: str, value_on: date) -> date | None:
    """The day MMDD that is nearest to the value date. Its year is not given, and may be the one before or after."""
    years = (value_on.year - 1, value_on.year, value_on.year + 1)
    near = [short_day(f"{year % 100:02}{month_and_day}") for year in years]
    near = near if any(near) else [_day(f"{year % 100:02}{month_and_day}") for year in years]
    return min((day for day in near if day), key=lambda day: abs(day - value_on), default=None)


def _joined(told: list[_Told]) -> _Told:
    """Join the contents of several :86: of one movement."""
    if len(told) == 1:
        return told[0]
    return _Told(
        " ".join(one.text for one in told if one.text),
        tuple(itertools.chain(*(one.references for one in told))),
        next((one.end_to_end_id for one in told if one.end_to_end_id), None),
        next((one.payer for one in told if one.payer), None),
        next((one.payer_account for one in told if one.payer_account), None),
    )


def _told(texts: list[str]) -> _Told:
    joined = "".join(texts)
    german = _SUBFIELDS.match(joined)
    if german is not None:
        return _german(joined[3:], german[2])
    if _SLASHED.match(joined):
        return _slashed(joined)
    return _Told(" ".join(" ".join(texts).split()))


def _german(body: str, mark: str) -> _Told:
    """Subfields ?00 posting text, ?20-?29 and ?60-?63 remittance, ?31 account, ?32-?33 name of the other side."""
    fields: list[tuple[str, str]] = []
    for part in body.split(mark)[1:]:
        if part[:2].isascii() and part[:2].isdigit():
            fields.append((part[:2], part[2:]))
        elif fields:  # the mark stood in the text
            fields[-1] = (fields[-1][0], fields[-1][1] + mark + part)
    remittance = ""
    for _, text in (field for field in fields if field[0][0] in _REMITTANCE):
        begins = bool(_SEPA.match(text))
        remittance += text if len(text) >= _FULL_SUBFIELD and not begins else text + " " * (len(text) < _FULL_SUBFIELD)
    name = "".join(text for code, text in fields if code in ("32", "33"))
    account = next((text for code, text in fields if code == "31"), "")
    before, *words = _SEPA.split(remittance)
    named = {word: " ".join(text.split()) for word, text in zip(words[::2], words[1::2], strict=True)}
    reference = given(named.get("KREF"))
    return _Told(
        text=" ".join(f"{before} {named.get('SVWZ', '')}".split()) or next((t for c, t in fields if c == "00"), ""),
        references=(reference,) if reference else (),
        end_to_end_id=given(named.get("EREF")),
        payer=given(named.get("ABWA")) or given(name),
        payer_account=without_spaces(account or named.get("IBAN", "")) or None,
    )


def _slashed(text: str) -> _Told:
    """The words in slashes of Dutch and other banks: /EREF/…/ORDP//NAME/…/REMI/…."""
    words = _SLASHED.split(text)[1:]
    named = {word: said.strip("/ ") for word, said in zip(words[::2], words[1::2], strict=True) if said.strip("/ ")}
    account = named.get("IBAN", "")
    return _Told(
        text=named.get("REMI", "").removeprefix("USTD//") or " ".join(text.split()),
        end_to_end_id=given(named.get("EREF")),
        payer=given(named.get("NAME")),
        payer_account=without_spaces(account) or None,
    )
