"""camt.053 statements and camt.054 notifications of any version, read without ever holding a tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from xml.parsers import expat

from payments.bank_files.camt_entry import (
    OF_BALANCE,
    OF_ENTRY,
    OF_NUMBER,
    OF_PAGE,
    OF_STATEMENT,
    OF_TOTALS,
    OF_TRANSACTION,
    Entry,
    Sum,
    Values,
    gathered,
    is_reversal,
    lines_of,
    split,
    whole_of,
)
from payments.bank_files.camt_sums import Sums
from payments.bank_files.identity import Alike, digest
from payments.bank_files.line import BadFile, BankLine, without_spaces

_BOM_16 = (b"\xff\xfe", b"\xfe\xff")
_BEFORE_XML = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff|[\s\0])*(?=<)")
_CHUNK = 1 << 16
_LONGEST_TOKEN = 1 << 20  # bytes of one tag, comment or instruction
_LONGEST_TEXT = 200_000  # characters kept of one transaction, or of one entry beside its transactions
_DEEPEST = 60
_MOST_NAMES = 10_000  # of elements and attributes, which the parser keeps
MOST_HELD = 1_000  # transactions of one entry until their sum is known; of a larger one it is looked up ahead


class _Node:
    """An element of the schema: its children, under which name its text is kept, and what begins with it."""

    __slots__ = ("children", "key", "opens")

    def __init__(self, opens: str | None = None) -> None:
        self.children: dict[str, _Node] = {}
        self.key: str | None = None
        self.opens = opens

    def grow(self, namespace: str, path: str, opens: str | None = None) -> _Node:
        node = self
        for name in path.split("/"):
            node = node.children.setdefault(f"{namespace} {name}" if namespace else name, _Node())
        node.opens = opens
        return node

    def keep(self, namespace: str, paths: tuple[str, ...]) -> None:
        for path in paths:
            self.grow(namespace, path).key = path


def _schema(namespace: str, statement: str) -> _Node:
    """The elements of a message, from its own element on. Most banks use ISO's namespace, some another one or none."""
    body = _Node("message")
    of_statement = body.grow(namespace, statement, "statement")
    of_statement.keep(namespace, OF_STATEMENT)
    of_statement.grow(namespace, "Bal", "balance").keep(namespace, OF_BALANCE)
    of_entry = of_statement.grow(namespace, "Ntry", "entry")
    of_entry.keep(namespace, OF_ENTRY)
    of_entry.grow(namespace, "NtryDtls/TxDtls", "transaction").keep(namespace, OF_TRANSACTION)
    return body


_MESSAGES = {
    "BkToCstmrStmt": ("camt.053", "Stmt"),
    "BkToCstmrDbtCdtNtfctn": ("camt.054", "Ntfctn"),
    "BkToCstmrAcctRpt": ("camt.052", "Rpt"),
}


@dataclass(slots=True)
class Verdicts:
    """Facts that are known only after the file was read to its end.

    splits      statement and entry → whether it is split into its transactions; for entries of more than `MOST_HELD`
    turned      statements whose balances prove that reversals have the sign of the entries that they reverse
    """

    splits: dict[tuple[int, int], bool] = field(default_factory=dict)
    turned: set[int] = field(default_factory=set)


class _Document:
    """One message, fed in pieces. `lines` are those that the last piece completed.

    `look_ahead` reads the file once more if an entry is too large for memory. Its verdict decides if each transaction
    becomes a line.
    """

    def __init__(self, look_ahead: Callable[[], Verdicts] | None = None) -> None:
        self._look_ahead = look_ahead
        self._verdicts: Verdicts | None = None
        self._splits: bool | None = None  # the verdict on this entry, once it is needed
        self._count = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start_outside
        self.parser.EndElementHandler = self._end_outside
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.kind: str | None = None
        self.lines: list[BankLine] = []
        self._stack: list[_Node] = []
        self._depth = 0  # of the elements around the message
        self._skipped_lines: int | None = None  # empty ones before the XML begins; None before the first piece
        self._sums = Sums()
        self._proves = False  # whether the statement has balances or totals, which stand before its entries
        self._skipped = 0
        self._text = ""
        self._size = 0
        self._values: Values = {}
        self._entry_values: Values = {}
        self._statement_values: Values = {}
        self._transactions: list[Values] = []
        self._account = ""
        self._part = 1
        self._told = Alike()  # statements
        self._entry_line = 0
        self._statements = self._entries = 0
        self._fed = 0

    def feed(self, piece: bytes) -> None:
        """Raises `BadFile` if the XML is not well-formed, has a DTD, or exceeds a limit."""
        last = not piece
        if self._skipped_lines is None and piece:
            piece = self._begun(piece)
        try:
            self.parser.Parse(piece, last)
        except expat.ExpatError as error:
            line, said = error.lineno + (self._skipped_lines or 0), expat.ErrorString(error.code)
            raise BadFile(line, f"the XML is broken ({said}). Fetch the file again from the bank") from None
        except (LookupError, ValueError):
            raise BadFile(1, "the XML names an encoding that is not known. Give it in UTF-8") from None
        if len(self.parser.intern) > _MOST_NAMES:
            raise self._bad(f"elements of more than {_MOST_NAMES} names. Fetch the file again from the bank")
        self._fed += len(piece)
        if not last and self._fed - self.parser.CurrentByteIndex > _LONGEST_TOKEN:
            raise self._bad("a tag or comment of more than a megabyte. Fetch the file again from the bank")
        if last and self.kind is not None:
            self._refuse_empty()

    def _bad(self, reason: str) -> BadFile:
        where = f"{self._place()}: " if self._entries else ""
        return BadFile(self._line_now(), where + reason)

    def _line_now(self) -> int:
        return self.parser.CurrentLineNumber + (self._skipped_lines or 0)

    def _begun(self, piece: bytes) -> bytes:
        """Remove empty lines before <?xml, where XML allows none."""
        found = _BEFORE_XML.match(piece)
        before = found[0] if found is not None else b""
        if before.endswith(b"\0") and len(before) % 2:
            before = before[:-1]  # half of the first sign, in UTF-16
        self._skipped_lines = before.count(b"\n")
        mark = next((mark for mark in _BOM_16 if mark in before), b"")
        return mark + piece[len(before) :]

    def _place(self) -> str:
        return f"statement {self._statements}, entry {self._entries}"

    def _refuse_doctype(self, *_: object) -> None:
        raise self._bad("the XML has a DTD, which no bank file needs. Have <!DOCTYPE …> taken out by who made it")

    def _start_outside(self, name: str, attributes: dict[str, str]) -> None:
        """Elements around the message, as Document, or the envelope of a header (AppHdr) and a document."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._bad(f"elements stand more than {_DEEPEST} deep. Fetch the file again from the bank")
        namespace, _, local = name.rpartition(" ")
        kind, statement = _MESSAGES.get(local, (None, ""))
        if kind is None:
            return
        if kind == "camt.052":
            reason = "an intraday report (camt.052) holds nothing final. Give the statement of the day, camt.053"
            raise self._bad(reason)
        self.kind = self.kind or kind
        self._stack.append(_schema(namespace, statement))
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def _end_outside(self, _: str) -> None:
        self._depth -= 1

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        node = self._stack[-1].children.get(name)
        if node is None:
            self._skipped = 1
            self.parser.CharacterDataHandler = None
            self.parser.StartElementHandler = self._start_skipped
            self.parser.EndElementHandler = self._end_skipped
            return
        self._stack.append(node)
        if node.key is not None:
            self._text = ""
            self.parser.CharacterDataHandler = self._take
            if attributes and "Ccy" in attributes:
                self._values.setdefault(node.key + "@Ccy", []).append(attributes["Ccy"])
        elif node.opens is not None:
            self._open(node.opens)

    def _take(self, text: str) -> None:
        self._text += text
        self._size += len(text)
        if self._size > _LONGEST_TEXT:
            raise self._bad(f"more than {_LONGEST_TEXT} characters of text. Fetch the file again from the bank")

    def _end(self, _: str) -> None:
        node = self._stack.pop()
        if node.key is not None:
            self.parser.CharacterDataHandler = None
            text, self._text = self._text.strip(), ""
            if text:
                self._values.setdefault(node.key, []).append(text)
        elif node.opens is not None:
            self._close(node.opens)

    def _start_skipped(self, _: str, __: dict[str, str]) -> None:
        self._skipped += 1
        if self._skipped > _DEEPEST:
            raise self._bad(f"elements stand more than {_DEEPEST} deep. Fetch the file again from the bank")

    def _end_skipped(self, _: str) -> None:
        self._skipped -= 1
        if not self._skipped:
            self.parser.StartElementHandler = self._start
            self.parser.EndElementHandler = self._end

    def _open(self, what: str) -> None:
        self._size = 0
        if what in ("transaction", "balance"):
            self._values = {}
        elif what == "entry":
            self._entries += 1
            if not self._account:
                found = self._statement_values.get("Acct/Id/IBAN") or self._statement_values.get("Acct/Id/Othr/Id")
                if not found:
                    raise self._bad("the statement names no account (Acct/Id). Ask the bank for one that does")
                self._account = without_spaces(found[0])
            if self._entries == 1:
                self._part = self._told.nth(digest((self._account, *self._named())))
                self._proves = self._sums.balanced or any(path in self._statement_values for path in OF_TOTALS)
            self._entry_line = self._line_now()
            self._values = self._entry_values = {}
            self._transactions = []
            self._splits, self._count = None, 0
        elif what == "statement":
            self._statements += 1
            self._entries = 0
            self._account = ""
            self._values = self._statement_values = {}
            self._sums = Sums()

    def _close(self, what: str) -> None:
        self._size = 0
        if what == "transaction":
            self._count += 1
            self._transactions.append(self._values)
            self._values = self._entry_values
            if self._count > MOST_HELD:
                self._pass_on()
        elif what == "balance":
            self._sums.balance(self._values, self._line_now())
            self._values = self._statement_values
        elif what == "entry":
            entry = self._entry()
            if self._proves:
                self._sums.add(entry, self._count)
            if self._splits is None:
                self.lines.extend(lines_of(entry))
            elif not self._splits:
                self.lines.append(whole_of(entry))
            self._values = self._statement_values
            self._transactions = []
        elif what == "statement":
            self._end_statement()
        elif what == "message":
            self._refuse_empty()
            self.parser.StartElementHandler = self._start_outside
            self.parser.EndElementHandler = self._end_outside
            self._depth -= 1

    def _end_statement(self) -> None:
        if self._entries and not self._proves:
            return
        wrong = self._sums.wrong(self._statement_values, self._line_now())
        if wrong is not None:
            what = f"statement {self._statements}: {wrong}"
            raise BadFile(self._line_now(), f"{what}. Fetch the file again, or ask the bank to correct it")

    def _entry(self) -> Entry:
        turned = (
            is_reversal(self._entry_values) and self._sums.balanced and self._statements in self._known_ahead().turned
        )
        place = self._place()
        return Entry(
            self._account,
            self._entry_values,
            self._transactions,
            self._entry_line,
            place,
            turned=turned,
            part=self._part,
            balance_before=self._sums.now if self._proves else None,
        )

    def _named(self) -> tuple[str | int | None, ...]:
        """The identity of a statement: its number and opening balance, else its id; and the page."""
        values, opening = self._statement_values, self._sums.opening
        numbers: tuple[str, ...] = OF_NUMBER if opening and any(path in values for path in OF_NUMBER) else ("Id",)
        if opening and not opening[1]:  # an account that is emptied each day opens alike: only the id differs
            numbers = (*OF_NUMBER, "Id")
        return tuple(values.get(path, [""])[0] for path in (*numbers, *OF_PAGE)) + (opening or ())

    def _known_ahead(self) -> Verdicts:
        if self._verdicts is None:
            self._verdicts = self._look_ahead() if self._look_ahead is not None else Verdicts()
        return self._verdicts

    def _pass_on(self) -> None:
        """Empty the held transactions of a large entry: into lines, or into references of its one line."""
        if self._splits is None:
            self._splits = self._known_ahead().splits[self._statements, self._entries]
        if self._splits:
            self.lines.extend(split(self._entry(), self._count - len(self._transactions) + 1))
            self._transactions = []
        else:
            self._transactions = [gathered(self._transactions)]

    def _refuse_empty(self) -> None:
        if not self._statements:
            raise self._bad("the message holds no statement (Stmt, Ntfctn). Ask the bank for a file that has one")


def read_camt(file: BinaryIO) -> tuple[str, Iterator[BankLine]]:
    """Its kind ("camt.053" or "camt.054"), and its lines as they are read."""
    file.seek(0)
    document = _Document(lambda: _verdicts(file))
    while document.kind is None:
        piece = file.read(_CHUNK)
        document.feed(piece)
        if not piece:
            raise BadFile(1, "the XML is no camt message. Ask the bank for camt.053 or camt.054")
    return document.kind, _rest(document, file)


def _rest(document: _Document, file: BinaryIO) -> Iterator[BankLine]:
    more = True
    while True:
        lines, document.lines = document.lines, []
        yield from lines
        if not more:
            return
        piece = file.read(_CHUNK)
        more = bool(piece)
        document.feed(piece)


class _Survey(_Document):
    """Reads a message for the sums of its large entries alone."""

    def __init__(self) -> None:
        super().__init__()
        self._sum = Sum()
        self.verdicts = Verdicts()

    def _close(self, what: str) -> None:
        if what == "transaction":
            self._count += 1
            if self._count == 1:
                self._sum = Sum()
            self._sum.add(self._entry(), self._values)
            self._values = self._entry_values
        elif what == "entry":
            if self._count > MOST_HELD:
                self.verdicts.splits[self._statements, self._entries] = self._sum.explains(self._entry())
            if self._proves:
                self._sums.add(self._entry(), self._count)
            self._values = self._statement_values
        elif what == "statement":
            if self._sums.turned():
                self.verdicts.turned.add(self._statements)
        else:
            super()._close(what)


def _verdicts(file: BinaryIO) -> Verdicts:
    here = file.tell()
    file.seek(0)
    survey = _Survey()
    while piece := file.read(_CHUNK):
        survey.feed(piece)
    survey.feed(b"")
    file.seek(here)
    return survey.verdicts
