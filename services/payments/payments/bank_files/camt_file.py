"""camt.053 statements and camt.054 notifications of any version, read without ever holding a tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import BinaryIO, NamedTuple
from xml.parsers import expat

from payments.bank_files.line import BadFile, BankLine, Status, bank_id, given, iso_day, minor, without_spaces

_NAMESPACE = re.compile(r"\S*camt\.(05[234])\.001\.\d\d")
_CHUNK = 1 << 16
_LONGEST_TOKEN = 1 << 20  # bytes of one tag, comment or instruction
_LONGEST_TEXT = 200_000  # characters kept of one transaction, or of one entry beside its transactions
_DEEPEST = 60
MOST_HELD = 1_000  # transactions of one entry until their sum is known; of a larger one it is looked up ahead
_MOST_REFERENCES = 1_000  # of an entry told in one sum

_STATUS: dict[str, Status] = {"BOOK": "booked", "PDNG": "pending", "INFO": "information", "FUTR": "information"}
_SIGN = {"CRDT": 1, "DBIT": -1}

_PARTY = ("Nm", "Pty/Nm")
_ACCOUNT = ("Id/IBAN", "Id/Othr/Id")
_SIDES = ("Dbtr", "Cdtr")
_NAMES = {side: tuple(f"RltdPties/{who}{side}/{path}" for who in ("", "Ultmt") for path in _PARTY) for side in _SIDES}
_ACCOUNTS = {side: tuple(f"RltdPties/{side}Acct/{path}" for path in _ACCOUNT) for side in _SIDES}
_STRUCTURED = ("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/RfrdDocInf/Nb")
_DOMAIN = ("BkTxCd/Domn/Cd", "BkTxCd/Domn/Fmly/Cd", "BkTxCd/Domn/Fmly/SubFmlyCd")
_PROPRIETARY = ("BkTxCd/Prtry/Cd",)
_CODE = (*_DOMAIN, *_PROPRIETARY)
_AMT_CCY = ("Amt@Ccy",)
_INDICATOR = ("CdtDbtInd",)
_OWN_REFERENCE = ("Refs/AcctSvcrRef",)
_ENTRY_REFERENCE = ("AcctSvcrRef",)
_SHARES = tuple(((path,), (f"{path}@Ccy",)) for path in ("Amt", "AmtDtls/TxAmt/Amt"))
_OF_STATEMENT = tuple(f"Acct/{path}" for path in _ACCOUNT)
_OF_ENTRY = (
    *("Amt", "CdtDbtInd", "RvslInd", "Sts", "Sts/Cd", "BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"),
    *("AcctSvcrRef", "AddtlNtryInf", "Chrgs/Amt", "Chrgs/TtlChrgsAndTaxAmt", "Chrgs/Rcrd/Amt", *_CODE),
)
_OF_TRANSACTION = (
    *("Refs/AcctSvcrRef", "Refs/EndToEndId", "Amt", "AmtDtls/TxAmt/Amt", "CdtDbtInd", "AddtlTxInf", *_CODE),
    *("Chrgs/Amt", "Chrgs/TtlChrgsAndTaxAmt", "Chrgs/Rcrd/Amt"),
    *("RmtInf/Ustrd", "RmtInf/Strd/AddtlRmtInf", *_STRUCTURED),
    *(path for paths in (*_NAMES.values(), *_ACCOUNTS.values()) for path in paths),
)

Values = dict[str, list[str]]
"""Path below the entry or transaction → its texts in order; `…@Ccy` → the currency of an amount."""


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
    of_statement.keep(namespace, _OF_STATEMENT)
    of_entry = of_statement.grow(namespace, "Ntry", "entry")
    of_entry.keep(namespace, _OF_ENTRY)
    of_entry.grow(namespace, "NtryDtls/TxDtls", "transaction").keep(namespace, _OF_TRANSACTION)
    return root


_MESSAGES = {"053": ("BkToCstmrStmt", "Stmt"), "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn")}


class _Entry(NamedTuple):
    """An entry on its way: what it says of itself and of each of its transactions."""

    account: str
    values: Values
    transactions: list[Values]
    line: int
    place: str


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
                self.lines.extend(_lines(self._entry()))
            elif not self._splits:
                self.lines.append(_whole(self._entry()))
            self._values = self._statement_values
            self._transactions = []
        elif what == "message":
            self._refuse_empty()

    def _entry(self) -> _Entry:
        return _Entry(self._account, self._entry_values, self._transactions, self._entry_line, self._place())

    def _pass_on(self) -> None:
        """Let go of the transactions of a large entry: as lines, or as references of the one line to come."""
        if self._splits is None:
            if self._verdicts is None:
                self._verdicts = self._look_ahead() if self._look_ahead is not None else {}
            self._splits = self._verdicts[self._statements, self._entries]
        if self._splits:
            self.lines.extend(_split(self._entry(), self._count - len(self._transactions) + 1))
            self._transactions = []
        else:
            self._transactions = [_gathered(self._transactions)]

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
        self._sum = _Sum()
        self.verdicts: Verdicts = {}

    def _close(self, what: str) -> None:
        if what == "transaction":
            self._count += 1
            if self._count == 1:
                self._sum = _Sum()
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


class _Sum:
    """The transactions of an entry summed up while they pass."""

    def __init__(self) -> None:
        self.minor = self.count = 0
        self.complete = True
        self.charged = False

    def add(self, entry: _Entry, transaction: Values) -> None:
        share = _share(entry, transaction)
        self.count += 1
        self.complete = self.complete and share is not None
        self.minor += share or 0
        self.charged = self.charged or any(path.startswith("Chrgs/") for path in transaction)

    def explains(self, entry: _Entry) -> bool:
        """Whether there are several, all tell their amounts in the entry's currency, and these sum to the entry's.

        Another sum is refused, unless charges are told that may explain it.
        """
        if self.count < 2 or not self.complete:
            return False
        currency, whole = _money(entry)
        if self.minor == whole:
            return True
        if self.charged or any(path.startswith("Chrgs/") for path in entry.values):
            return False
        reason = f"its transactions sum to {self.minor} minor units of {currency}, the entry says {whole}"
        raise _wrong(entry, reason)


def _money(entry: _Entry) -> tuple[str, int]:
    """The currency of an entry, and its amount with its sign."""
    currency = _first(entry.values, _AMT_CCY) or ""
    return currency, minor(_must(entry, "Amt"), currency, entry.line) * _sign(entry, entry.values, None)


def _share(entry: _Entry, transaction: Values) -> int | None:
    """A transaction's signed amount; None when it does not tell one in the entry's currency."""
    currency = _first(entry.values, _AMT_CCY)
    for path, of_currency in _SHARES:
        amount = _first(transaction, path)
        if amount and currency and _first(transaction, of_currency) == currency:
            return minor(amount, currency, entry.line) * _sign(entry, transaction, entry.values)
    return None


def _lines(entry: _Entry) -> Iterator[BankLine]:
    """One line per transaction when their amounts explain the entry's, else one for the entry as a whole."""
    if len(entry.transactions) > 1:
        summed = _Sum()
        for transaction in entry.transactions:
            summed.add(entry, transaction)
        if summed.explains(entry):
            yield from _split(entry, 1)
            return
    yield _whole(entry)


def _split(entry: _Entry, first: int) -> Iterator[BankLine]:
    currency, _ = _money(entry)
    reference = bank_id(_first(entry.values, _ENTRY_REFERENCE))
    for number, transaction in enumerate(entry.transactions, first):
        share = _share(entry, transaction) or 0
        yield _line(entry, transaction, currency, share, f"{entry.place}, transaction {number}", None, reference)


def _whole(entry: _Entry) -> BankLine:
    currency, amount = _money(entry)
    transaction = entry.transactions[0] if len(entry.transactions) == 1 else _gathered(entry.transactions)
    reference = bank_id(_first(entry.values, _ENTRY_REFERENCE))
    return _line(entry, transaction, currency, amount, entry.place, reference, None)


def _gathered(transactions: list[Values]) -> Values:
    """What is worth keeping of transactions that are told in one sum: their structured references."""
    return {
        path: [text for one in transactions for text in one.get(path, ())][:_MOST_REFERENCES] for path in _STRUCTURED
    }


def _line(
    entry: _Entry,
    transaction: Values,
    currency: str,
    amount: int,
    place: str,
    reference: str | None,
    entry_reference: str | None,
) -> BankLine:
    status = _STATUS.get(_first(entry.values, ("Sts/Cd", "Sts")) or "")
    if status is None:
        raise _wrong(entry, "Sts is none of BOOK, PDNG, INFO, FUTR")
    payer, payer_account = _other_side(transaction, entry.account, came_in=amount >= 0)
    texts = (*transaction.get("RmtInf/Ustrd", ()), *transaction.get("RmtInf/Strd/AddtlRmtInf", ()))
    text = " ".join(texts) or _first(transaction, ("AddtlTxInf",)) or _first(entry.values, ("AddtlNtryInf",)) or ""
    references = (reference for path in _STRUCTURED for reference in transaction.get(path, ()))
    return BankLine(
        account=entry.account,
        currency=currency,
        amount_minor=amount,
        booked_on=_day(entry, "BookgDt"),
        value_on=_day(entry, "ValDt"),
        status=status,
        bank_reference=bank_id(_first(transaction, _OWN_REFERENCE)) or reference,
        end_to_end_id=given(_first(transaction, ("Refs/EndToEndId",))),
        references=tuple(dict.fromkeys(references)),
        text=" ".join(text.split()),
        payer=payer,
        payer_account=payer_account,
        code=_code(transaction) or _code(entry.values),
        reversal=_first(entry.values, ("RvslInd",)) in ("true", "1"),
        place=place,
        entry_reference=entry_reference,
    )


def _other_side(transaction: Values, own_account: str, came_in: bool) -> tuple[str | None, str | None]:
    """Debtor of money that came in, creditor of money that went out; the other of the two when that is ourselves.

    Returned debits and reversals keep the parties of the first transaction, so the direction alone does not tell.
    """
    first, other = ("Dbtr", "Cdtr") if came_in else ("Cdtr", "Dbtr")
    name, account = _first(transaction, _NAMES[first]), _first(transaction, _ACCOUNTS[first])
    if account is not None and without_spaces(account) == own_account:
        other_name, other_account = _first(transaction, _NAMES[other]), _first(transaction, _ACCOUNTS[other])
        if other_name or other_account:
            name, account = other_name, other_account
    return given(name), without_spaces(account) if account else None


def _code(values: Values) -> str | None:
    domain = [values[path][0] for path in _DOMAIN if path in values]
    return "/".join(domain) or _first(values, _PROPRIETARY)


def _day(entry: _Entry, path: str) -> date | None:
    text = _first(entry.values, (f"{path}/Dt", f"{path}/DtTm"))
    if text is None:
        return None
    day = iso_day(text)
    if day is None:
        raise _wrong(entry, f"{path} {text[:40]!r} is not a date")
    return day


def _sign(entry: _Entry, values: Values, otherwise: Values | None) -> int:
    said = _first(values, _INDICATOR) or (_first(otherwise, _INDICATOR) if otherwise else None) or ""
    if said not in _SIGN:
        raise _wrong(entry, f"CdtDbtInd {said[:10]!r} is neither CRDT nor DBIT")
    return _SIGN[said]


def _must(entry: _Entry, path: str) -> str:
    text = _first(entry.values, (path,))
    if text is None:
        raise _wrong(entry, f"{path} is missing")
    return text


def _wrong(entry: _Entry, reason: str) -> BadFile:
    return BadFile(entry.line, f"{entry.place}: {reason}. Fetch the file again, or ask the bank to correct it")


def _first(values: Values, paths: tuple[str, ...]) -> str | None:
    for path in paths:
        if found := values.get(path):
            return found[0]
    return None
