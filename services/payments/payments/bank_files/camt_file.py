"""camt.053 statements and camt.054 notifications of any version, read without ever holding a tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO
from xml.parsers import expat

from payments.bank_files.camt_entry import (
    OF_ENTRY,
    OF_STATEMENT,
    OF_TRANSACTION,
    Entry,
    Sum,
    Values,
    gathered,
    lines_of,
    split,
    whole_of,
)
from payments.bank_files.line import BadFile, BankLine, without_spaces

_NAMESPACE = re.compile(r"\S*camt\.(05[234])\.001\.\d\d")
_CHUNK = 1 << 16
_LONGEST_TOKEN = 1 << 20  # bytes of one tag, comment or instruction
_LONGEST_TEXT = 200_000  # characters kept of one transaction, or of one entry beside its transactions
_DEEPEST = 60
_MOST_NAMES = 10_000  # of elements and attributes, which the parser keeps
MOST_HELD = 1_000  # transactions of one entry until their sum is known; of a larger one it is looked up ahead


class _Node:
    """What may stand here, what its text is kept as, and what it opens."""

    __slots__ = ("children", "key", "opens")

    def __init__(self, opens: str | None = None) -> None:
        self.children: dict[str, _Node] = {}
        self.key: str | None = None
        self.opens = opens

    def grow(self, namespace: str, path: str, opens: str | None = None) -> _Node:
        node = self
        for name in path.split("/"):
            node = node.children.setdefault(f"{namespace} {name}", _Node())
        node.opens = opens
        return node

    def keep(self, namespace: str, paths: tuple[str, ...]) -> None:
        for path in paths:
            self.grow(namespace, path).key = path


def _schema(namespace: str, message: str, statement: str) -> _Node:
    root = _Node()
    body = root.grow(namespace, message, "message")
    of_statement = body.grow(namespace, statement, "statement")
    of_statement.keep(namespace, OF_STATEMENT)
    of_entry = of_statement.grow(namespace, "Ntry", "entry")
    of_entry.keep(namespace, OF_ENTRY)
    of_entry.grow(namespace, "NtryDtls/TxDtls", "transaction").keep(namespace, OF_TRANSACTION)
    return root


_MESSAGES = {"053": ("BkToCstmrStmt", "Stmt"), "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn")}


Verdicts = dict[tuple[int, int], bool]
"""Statement and entry → whether it is split into its transactions; of entries with more than `MOST_HELD`."""


class _Document:
    """One message, fed in pieces. `lines` are those that became known in the last piece.

    `look_ahead` reads the file once more when an entry is too large to be held: its verdict decides what becomes of
    each transaction as it passes.
    """

    def __init__(self, look_ahead: Callable[[], Verdicts] | None = None) -> None:
        self._look_ahead = look_ahead
        self._verdicts: Verdicts | None = None
        self._splits: bool | None = None  # the verdict on this entry, once it is needed
        self._count = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start_root
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self.kind: str | None = None
        self.lines: list[BankLine] = []
        self._stack: list[_Node] = []
        self._skipped = 0
        self._text = ""
        self._size = 0
        self._values: Values = {}
        self._entry_values: Values = {}
        self._statement_values: Values = {}
        self._transactions: list[Values] = []
        self._account = ""
        self._entry_line = 0
        self._statements = self._entries = 0
        self._fed = 0

    def feed(self, piece: bytes) -> None:
        """`BadFile` for what is not well-formed, has a DTD, or passes the bounds."""
        last = not piece
        try:
            self.parser.Parse(piece, last)
        except expat.ExpatError as error:
            said = expat.ErrorString(error.code)
            raise BadFile(error.lineno, f"the XML is broken ({said}). Fetch the file again from the bank") from None
        except (LookupError, ValueError):
            raise BadFile(1, "the XML names an encoding that is not known. Give it in UTF-8") from None
        if len(self.parser.intern) > _MOST_NAMES:
            raise self._bad(f"elements of more than {_MOST_NAMES} names. Fetch the file again from the bank")
        self._fed += len(piece)
        if not last and self._fed - self.parser.CurrentByteIndex > _LONGEST_TOKEN:
            raise self._bad("a tag or comment of more than a megabyte. Fetch the file again from the bank")
        if last:
            self._refuse_empty()

    def _bad(self, reason: str) -> BadFile:
        where = f"{self._place()}: " if self._entries else ""
        return BadFile(self.parser.CurrentLineNumber, where + reason)

    def _place(self) -> str:
        return f"statement {self._statements}, entry {self._entries}"

    def _refuse_doctype(self, *_: object) -> None:
        raise self._bad("the XML has a DTD, which no bank file needs. Have <!DOCTYPE …> taken out by who made it")

    def _start_root(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        found = _NAMESPACE.fullmatch(namespace)
        if local != "Document" or not found:
            raise self._bad("the XML is no camt message. Ask the bank for camt.053 or camt.054")
        if found[1] == "052":
            reason = "an intraday report (camt.052) holds nothing final. Give the statement of the day, camt.053"
            raise self._bad(reason)
        self.kind = f"camt.{found[1]}"
        self._stack.append(_schema(namespace, *_MESSAGES[found[1]]))
        self.parser.StartElementHandler = self._start

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
        if what == "transaction":
            self._values = {}
        elif what == "entry":
            self._entries += 1
            if not self._account:
                found = self._statement_values.get("Acct/Id/IBAN") or self._statement_values.get("Acct/Id/Othr/Id")
                if not found:
                    raise self._bad("the statement names no account (Acct/Id). Ask the bank for one that does")
                self._account = without_spaces(found[0])
            self._entry_line = self.parser.CurrentLineNumber
            self._values = self._entry_values = {}
            self._transactions = []
            self._splits, self._count = None, 0
        elif what == "statement":
            self._statements += 1
            self._entries = 0
            self._account = ""
            self._values = self._statement_values = {}

    def _close(self, what: str) -> None:
        self._size = 0
        if what == "transaction":
            self._count += 1
            self._transactions.append(self._values)
            self._values = self._entry_values
            if self._count > MOST_HELD:
                self._pass_on()
        elif what == "entry":
            if self._splits is None:
                self.lines.extend(lines_of(self._entry()))
            elif not self._splits:
                self.lines.append(whole_of(self._entry()))
            self._values = self._statement_values
            self._transactions = []
        elif what == "message":
            self._refuse_empty()

    def _entry(self) -> Entry:
        return Entry(self._account, self._entry_values, self._transactions, self._entry_line, self._place())

    def _pass_on(self) -> None:
        """Let go of the transactions of a large entry: as lines, or as references of the one line to come."""
        if self._splits is None:
            if self._verdicts is None:
                self._verdicts = self._look_ahead() if self._look_ahead is not None else {}
            self._splits = self._verdicts[self._statements, self._entries]
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
        self.verdicts: Verdicts = {}

    def _close(self, what: str) -> None:
        if what == "transaction":
            self._count += 1
            if self._count == 1:
                self._sum = Sum()
            self._sum.add(self._entry(), self._values)
            self._values = self._entry_values
        elif what == "entry":
            if self._count > MOST_HELD:
                self.verdicts[self._statements, self._entries] = self._sum.explains(self._entry())
            self._values = self._statement_values
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
