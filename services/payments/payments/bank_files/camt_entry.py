"""Turns an entry of a camt message into lines: one per transaction, or one for the whole entry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from payments.bank_files.line import BadFile, BankLine, Status, bank_id, given, iso_day, minor, without_spaces

_MOST_REFERENCES = 1_000  # of an entry that becomes one line

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
_INSTRUCTED = "AmtDtls/InstdAmt/Amt"
_SHARES = tuple(((path,), (f"{path}@Ccy",)) for path in ("Amt", "AmtDtls/TxAmt/Amt", _INSTRUCTED))
_ADDITIONAL = ("AddtlTxInf",)
_TEXTS = ("RmtInf/Ustrd", "RmtInf/Strd/AddtlRmtInf")
OF_TOTALS = tuple(
    f"TxsSummry/Ttl{which}Ntries/{what}" for which in ("", "Cdt", "Dbt") for what in ("NbOfNtries", "Sum")
)
NET = tuple(f"TxsSummry/TtlNtries/{what}" for what in ("TtlNetNtry/Amt", "TtlNetNtryAmt"))
NET_SIDE = tuple(f"TxsSummry/TtlNtries/{what}" for what in ("TtlNetNtry/CdtDbtInd", "CdtDbtInd"))
OF_PAGE = ("StmtPgntn/PgNb", "NtfctnPgntn/PgNb")
OF_NUMBER = ("LglSeqNb", "ElctrncSeqNb")
OF_STATEMENT = (*(f"Acct/{path}" for path in _ACCOUNT), *OF_TOTALS, *NET, *NET_SIDE, "Id", *OF_NUMBER, *OF_PAGE)
OF_BALANCE = ("Tp/CdOrPrtry/Cd", "Amt", "CdtDbtInd")
OF_ENTRY = (
    *("Amt", "CdtDbtInd", "RvslInd", "Sts", "Sts/Cd", "BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"),
    *("AcctSvcrRef", "AddtlNtryInf", "Chrgs/Amt", "Chrgs/TtlChrgsAndTaxAmt", "Chrgs/Rcrd/Amt", *_CODE),
)
OF_TRANSACTION = (
    *("Refs/AcctSvcrRef", "Refs/EndToEndId", "Amt", "AmtDtls/TxAmt/Amt", _INSTRUCTED),
    *("CdtDbtInd", "AddtlTxInf", *_CODE),
    *("Chrgs/Amt", "Chrgs/TtlChrgsAndTaxAmt", "Chrgs/Rcrd/Amt"),
    *(*_TEXTS, *_STRUCTURED),
    *(path for paths in (*_NAMES.values(), *_ACCOUNTS.values()) for path in paths),
)

Values = dict[str, list[str]]
"""Path below the entry or transaction → its texts in order; `…@Ccy` → the currency of an amount."""


class Entry(NamedTuple):
    """An entry while it is read: its own values, and those of each of its transactions.

    `turned`: it is a reversal that has the sign of the entry that it reverses.
    """

    account: str
    values: Values
    transactions: list[Values]
    line: int
    place: str
    turned: bool = False
    part: int = 1
    balance_before: int | None = None


class Sum:
    """Sums up the transactions of an entry while they are read."""

    def __init__(self) -> None:
        self.minor = self.count = 0
        self.complete = True
        self.charged = self.instructed = False

    def add(self, entry: Entry, transaction: Values) -> None:
        share = _share(entry, transaction)
        self.count += 1
        self.complete = self.complete and share is not None
        self.minor += share or 0
        self.instructed = self.instructed or not (transaction.get("Amt") or transaction.get("AmtDtls/TxAmt/Amt"))
        self.charged = self.charged or any(path.startswith("Chrgs/") for path in transaction)

    def explains(self, entry: Entry) -> bool:
        """Whether all transactions have amounts in the entry's currency, and these sum to the entry's amount.

        Another sum is refused, unless the entry has charges that may explain it, or only instructed amounts.
        """
        if self.count < 2 or not self.complete:
            return False
        currency, whole = money_of(entry)
        if self.minor == whole:
            return True
        if self.instructed or self.charged or any(path.startswith("Chrgs/") for path in entry.values):
            return False
        reason = f"its transactions sum to {self.minor} minor units of {currency}, the entry says {whole}"
        raise _wrong(entry, reason)


def money_of(entry: Entry) -> tuple[str, int]:
    """The currency of an entry, and its amount with its sign."""
    currency = _first(entry.values, _AMT_CCY) or ""
    return currency, minor(_must(entry, "Amt"), currency, entry.line) * _sign(entry, entry.values, None)


def _share(entry: Entry, transaction: Values) -> int | None:
    """A transaction's signed amount; None if it has none in the entry's currency."""
    currency = _first(entry.values, _AMT_CCY)
    for path, of_currency in _SHARES:
        amount = _first(transaction, path)
        if amount and currency and _first(transaction, of_currency) == currency:
            return minor(amount, currency, entry.line) * _sign(entry, transaction, entry.values)
    return None


def lines_of(entry: Entry) -> Iterator[BankLine]:
    """Yield one line per transaction if their amounts explain the entry's, else one line for the whole entry."""
    if len(entry.transactions) > 1:
        summed = Sum()
        for transaction in entry.transactions:
            summed.add(entry, transaction)
        if summed.explains(entry):
            yield from split(entry, 1)
            return
    yield whole_of(entry)


def split(entry: Entry, first: int) -> Iterator[BankLine]:
    """Yield one line per transaction, numbered from `first`."""
    currency, _ = money_of(entry)
    reference = bank_id(_first(entry.values, _ENTRY_REFERENCE))
    for number, transaction in enumerate(entry.transactions, first):
        share = _share(entry, transaction) or 0
        yield _line(entry, transaction, currency, share, f"{entry.place}, transaction {number}", None, reference)


def whole_of(entry: Entry) -> BankLine:
    """The entry as one line, with the details of its only transaction, or with the references of all of them."""
    currency, amount = money_of(entry)
    transaction = entry.transactions[0] if len(entry.transactions) == 1 else gathered(entry.transactions)
    reference = bank_id(_first(entry.values, _ENTRY_REFERENCE))
    return _line(entry, transaction, currency, amount, entry.place, reference, None)


def gathered(transactions: list[Values]) -> Values:
    """The references and texts of transactions that become one line."""
    return {
        path: found
        for path in (*_STRUCTURED, *_TEXTS, *_ADDITIONAL)
        if (found := [text for one in transactions for text in one.get(path, ())][:_MOST_REFERENCES])
    }


def is_reversal(values: Values) -> bool:
    return _first(values, ("RvslInd",)) in ("true", "1")


def is_booked(values: Values) -> bool:
    return _first(values, ("Sts/Cd", "Sts")) == "BOOK"


def _line(
    entry: Entry,
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
    texts = [text for path in _TEXTS for text in transaction.get(path, ())]
    texts = texts or [text for path in _ADDITIONAL for text in transaction.get(path, ())]
    text = " ".join(texts) or _first(entry.values, ("AddtlNtryInf",)) or ""
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
        reversal=is_reversal(entry.values),
        place=place,
        entry_reference=entry_reference,
        part=entry.part,
        balance_before=entry.balance_before if status == "booked" else None,
    )


def _other_side(transaction: Values, own_account: str, came_in: bool) -> tuple[str | None, str | None]:
    """The debtor of money that came in, the creditor of money that went out; if that is ourselves, the other one.

    Returned debits and reversals keep the parties of the first transaction, so the direction alone is not enough.
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


def _day(entry: Entry, path: str) -> date | None:
    text = _first(entry.values, (f"{path}/Dt", f"{path}/DtTm"))
    if text is None:
        return None
    day = iso_day(text)
    if day is None:
        raise _wrong(entry, f"{path} {text[:40]!r} is not a date")
    return day


def _sign(entry: Entry, values: Values, otherwise: Values | None) -> int:
    said = _first(values, _INDICATOR) or (_first(otherwise, _INDICATOR) if otherwise else None) or ""
    if said not in _SIGN:
        raise _wrong(entry, f"CdtDbtInd {said[:10]!r} is neither CRDT nor DBIT")
    return -_SIGN[said] if entry.turned else _SIGN[said]


def _must(entry: Entry, path: str) -> str:
    text = _first(entry.values, (path,))
    if text is None:
        raise _wrong(entry, f"{path} is missing")
    return text


def _wrong(entry: Entry, reason: str) -> BadFile:
    return BadFile(entry.line, f"{entry.place}: {reason}. Fetch the file again, or ask the bank to correct it")


def _first(values: Values, paths: tuple[str, ...]) -> str | None:
    for path in paths:
        if found := values.get(path):
            return found[0]
    return None
