"""Bank files of every format: bytes in, one line per transaction out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from contracts.calendar import within_reach
from payments.bank_files.bai2_file import read_bai2
from payments.bank_files.camt_file import read_camt
from payments.bank_files.csv_file import read_csv
from payments.bank_files.line import BadFile, BankLine, Status, without_spaces
from payments.bank_files.mt940_file import read_mt940
from payments.bank_files.zip_file import is_zip, read_zip

__all__ = ["BadFile", "BankLine", "Reading", "Status", "read"]

_HEAD = 1 << 14
_LONGEST_ID = 200
_IDS = ("account", "bank_reference", "entry_reference", "end_to_end_id", "payer_account")
_OTHERS = {
    b"%PDF": "a PDF", b"\x1f\x8b": "packed with gzip", b"7z\xbc\xaf": "packed with 7-Zip", b"Rar!": "packed with RAR",
    b"\xd0\xcf\x11\xe0": "an Office document",
}  # fmt: skip
_BAI2 = re.compile(r"\s*01,")
_MT940 = re.compile(r"^\x01?(\{1:|:20:)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reading:
    """`format` is "camt.053", "camt.054", "bai2", "mt940" or "csv:<profile>"; of a ZIP, that of its first file.

    `lines` reads the file while it is iterated, once. It may raise `BadFile` up to the very end, where totals are
    checked: nothing of a file counts before its end is reached.
    """

    format: str
    lines: Iterator[BankLine]


def read(file: BinaryIO, *, account: str | None = None, currency: str | None = None) -> Reading:
    """Read a seekable binary file. Its format is found by its content.

    `account` and `currency` are for a CSV export without them; if the file has them, they must be the same. If a
    file can't be read rightly, `BadFile` is raised, here or while `lines` is iterated, and never another exception.
    The file must stay open until `lines` ends.
    """
    file.seek(0)
    if is_zip(file.read(4)):
        reading = Reading(*read_zip(file, lambda one: _read(one, account, currency)))
    else:
        reading = Reading(*_read(file, account, currency))
    return Reading(reading.format, _as_said(_bounded(reading.lines), account, currency))


def _bounded(lines: Iterator[BankLine]) -> Iterator[BankLine]:
    """Refuse ids longer than any bank writes, because an index holds them; and days out of the calendar's reach."""
    for line in lines:
        for name in _IDS:
            found: str | None = getattr(line, name)
            if found is not None and len(found) > _LONGEST_ID:
                what = f"{name.replace('_', ' ')} has {len(found)} characters, more than {_LONGEST_ID}"
                raise BadFile(None, f"{line.place}: its {what}. Correct it, or fetch the file again from the bank")
        day = line.booked_on or line.value_on
        if day is not None:
            try:
                within_reach(day)
            except ValueError as error:
                raise BadFile(None, f"{line.place}: its day {day} {error}. Correct it") from None
        yield line


def _as_said(lines: Iterator[BankLine], account: str | None, currency: str | None) -> Iterator[BankLine]:
    """Refuse a file of another account or currency than the caller gave: it may be the wrong file."""
    own = without_spaces(account).upper() if account is not None else None
    for line in lines:
        for told, said, what in ((line.account.upper(), own, "account"), (line.currency, currency, "currency")):
            if said is not None and told != said:
                wrong = f"it is of {what} {told}, and {what}={said} was said. Send the right file, or leave {what} out"
                raise BadFile(None, f"{line.place}: {wrong}")
        yield line


def _read(file: BinaryIO, account: str | None, currency: str | None) -> tuple[str, Iterator[BankLine]]:
    file.seek(0)
    head = file.read(_HEAD)
    if not head.strip():
        raise BadFile(None, "the file is empty. Fetch it again from the bank")
    for begins, what in _OTHERS.items():
        if head.startswith(begins):
            raise BadFile(None, f"it is {what}, which is not read. Fetch camt.053, BAI2, MT940 or CSV from the bank")
    text = _start(head)
    if text.startswith("<"):
        return read_camt(file)
    if _BAI2.match(text):
        return "bai2", read_bai2(file)
    if _MT940.search(text):
        return "mt940", read_mt940(file)
    return read_csv(file, account, currency)


def _start(head: bytes) -> str:
    """Enough of the text to find its format, in any encoding."""
    zeros = head[:2].count(0) == 1 or head[:2] in (b"\xff\xfe", b"\xfe\xff")
    encoding = ("utf-16-le" if head[1:2] == b"\0" or head[:1] == b"\xff" else "utf-16-be") if zeros else "utf-8"
    return head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
