"""The file of the company's bank: payouts that arrived and transfers that were made up, in one of four formats."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any
from xml.sax.saxutils import escape

from sandbox.errors import ApiError
from sandbox.records import Payout

_NO_DIGITS = {
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
}
_THREE_DIGITS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
_STRIPES_ARE_LARGER = {"ISK": -2, "UGX": -2, "MGA": 2}


@dataclass(frozen=True, slots=True)
class Line:
    """`amount` in ISO 4217 minor units, below zero when the money went out."""

    amount: int
    currency: str
    booked_on: date
    text: str = ""
    reference: str = ""
    payer: str = ""
    payer_account: str = ""
    bank_reference: str = ""


@dataclass(frozen=True, slots=True)
class BankFile:
    content_type: str
    parts: Iterator[bytes]


def bank_file(asked: dict[str, Any], payouts: Iterable[Payout]) -> BankFile:
    """As `asked`: format, account, lines; and a line for each payout."""
    form, account = asked.get("format", "camt.053"), asked.get("account", "")
    if form not in _FORMATS or not isinstance(account, str) or not account:
        raise ApiError(400, f"format is one of {', '.join(_FORMATS)}, account a text")
    given = asked.get("lines", [])
    if not isinstance(given, list):
        raise ApiError(400, "lines is a list")
    lines = [_line(each) for each in given] + [_arrived(each) for each in payouts]
    lines.sort(key=lambda line: (line.booked_on, line.currency))
    content_type, write = _FORMATS[form]
    return BankFile(content_type, _encoded(write(account, _numbered(account, lines))))


def _encoded(texts: Iterator[str]) -> Iterator[bytes]:
    """In pieces of some kilobytes."""
    waiting, size = [], 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size > 32_768:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def _line(asked: Any) -> Line:
    try:
        texts = {name: str(asked.get(name) or "") for name in ("text", "reference", "payer", "payer_account")}
        amount, currency = asked["amount_minor"], str(asked["currency"])
        booked_on = date.fromisoformat(asked["booked_on"])
        number = str(asked.get("bank_reference") or "")
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        raise ApiError(400, f"a line needs amount_minor, currency and booked_on: {fault!r}") from fault
    if not isinstance(amount, int) or isinstance(amount, bool) or len(currency) != 3:
        raise ApiError(400, "amount_minor is a whole number, currency an ISO 4217 code")
    return Line(amount, currency.upper(), booked_on, bank_reference=number, **texts)


def _arrived(payout: Payout) -> Line:
    currency = payout.currency.upper()
    amount = minor_of(payout.amount, currency)
    day = datetime.fromtimestamp(payout.arrival, UTC).date()
    return Line(amount, currency, day, f"STRIPE TRANSFER {payout.trace}", payout.trace, "STRIPE")


def _numbered(account: str, lines: Iterable[Line]) -> list[Line]:
    """The bank's own number of each: the same in every file that holds this transaction."""
    seen: Counter[Line] = Counter()
    found = []
    for line in lines:
        seen[line] += 1
        digest = hashlib.sha256(repr((account, line, seen[line])).encode()).hexdigest()[:14].upper()
        found.append(replace(line, bank_reference=line.bank_reference or f"SB{digest}"))
    return found


def minor_of(amount: int, currency: str) -> int:
    """An amount in Stripe's unit in ISO 4217 minor units."""
    shift = _STRIPES_ARE_LARGER.get(currency, 0)
    return amount * int(10**shift) if shift >= 0 else amount // int(10**-shift)


def _digits(currency: str) -> int:
    return 0 if currency in _NO_DIGITS else 3 if currency in _THREE_DIGITS else 2


def decimal(amount: int, currency: str, mark: str = ".") -> str:
    """Without a sign."""
    digits = _digits(currency)
    text = str(abs(amount)).rjust(digits + 1, "0")
    return f"{text[: len(text) - digits]}{mark}{text[len(text) - digits :]}" if digits else text


def _statements(lines: Sequence[Line]) -> Iterator[tuple[str, list[Line]]]:
    for currency, some in groupby(sorted(lines, key=lambda line: line.currency), key=lambda line: line.currency):
        yield currency, list(some)


def _camt053(account: str, lines: Sequence[Line]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
    yield "<BkToCstmrStmt><GrpHdr><MsgId>SANDBOX</MsgId><CreDtTm>2026-01-01T00:00:00</CreDtTm></GrpHdr>"
    own = "IBAN" if account[:2].isalpha() else "Othr"
    number = f"<IBAN>{escape(account)}</IBAN>" if own == "IBAN" else f"<Othr><Id>{escape(account)}</Id></Othr>"
    for currency, some in _statements(lines):
        first, last, total = some[0].booked_on, some[-1].booked_on, sum(line.amount for line in some)
        yield f"\n<Stmt><Id>{currency}-{last}</Id><Acct><Id>{number}</Id><Ccy>{currency}</Ccy></Acct>"
        for code, amount, day in (("OPBD", 0, first), ("CLBD", total, last)):
            yield (
                f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_money(amount, currency)}"
                f"<Dt><Dt>{day}</Dt></Dt></Bal>"
            )
        for line in some:
            yield _entry(line)
        yield "</Stmt>"
    yield "</BkToCstmrStmt></Document>\n"


def _money(amount: int, currency: str) -> str:
    mark = "CRDT" if amount >= 0 else "DBIT"
    return f'<Amt Ccy="{currency}">{decimal(amount, currency)}</Amt><CdtDbtInd>{mark}</CdtDbtInd>'


def _entry(line: Line) -> str:
    party, role = ("Dbtr", "DbtrAcct") if line.amount >= 0 else ("Cdtr", "CdtrAcct")
    structured = f"<Strd><CdtrRefInf><Ref>{escape(line.reference)}</Ref></CdtrRefInf></Strd>" if line.reference else ""
    free = f"<Ustrd>{escape(line.text)}</Ustrd>" if line.text else ""
    name = f"<{party}><Pty><Nm>{escape(line.payer)}</Nm></Pty></{party}>" if line.payer else ""
    account = escape(line.payer_account)
    number = f"<IBAN>{account}</IBAN>" if account[:2].isalpha() else f"<Othr><Id>{account}</Id></Othr>"
    parties = name + (f"<{role}><Id>{number}</Id></{role}>" if account else "")
    code = "<Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn>"
    return (
        f"\n<Ntry>{_money(line.amount, line.currency)}<Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>{line.booked_on}</Dt></BookgDt><ValDt><Dt>{line.booked_on}</Dt></ValDt>"
        f"<AcctSvcrRef>{escape(line.bank_reference)}</AcctSvcrRef><BkTxCd>{code}</BkTxCd><NtryDtls><TxDtls>"
        + (f"<RltdPties>{parties}</RltdPties>" if parties else "")
        + (f"<RmtInf>{free}{structured}</RmtInf>" if free or structured else "")
        + "</TxDtls></NtryDtls></Ntry>"
    )


def _bai2(account: str, lines: Sequence[Line]) -> Iterator[str]:
    """A group for each day, an account for each currency in it; every record counts itself."""
    yield "01,SANDBOX,PAIDUP,260101,0000,1,,,2/\n"
    total, groups, records = 0, 0, 2
    for day, of_day in groupby(lines, key=lambda line: line.booked_on):
        yield f"02,PAIDUP,SANDBOX,1,{day:%y%m%d},,,2/\n"
        in_group, accounts, rows = 0, 0, 2
        for currency, some in _statements(list(of_day)):
            yield f"03,{account},{currency},010,0,,/\n"
            in_account, count = 0, 2
            for line in some:
                code = "142" if line.amount >= 0 else "451"
                numbers = f"{_plain(line.bank_reference)},{_plain(line.reference)}"
                text = _plain(f"{line.payer} {line.text}".strip())
                yield f"16,{code},{abs(line.amount)},,{numbers},{text}/\n"
                in_account, count = in_account + abs(line.amount), count + 1
            yield f"49,{in_account},{count}/\n"
            in_group, accounts, rows = in_group + in_account, accounts + 1, rows + count
        yield f"98,{in_group},{accounts},{rows}/\n"
        total, groups, records = total + in_group, groups + 1, records + rows
    yield f"99,{total},{groups},{records}/\n"


def _plain(text: str) -> str:
    """Without what parts fields and records."""
    return " ".join(text.replace(",", " ").replace("/", "-").split())


def _mt940(account: str, lines: Sequence[Line]) -> Iterator[str]:
    for currency, some in _statements(lines):
        first, last, total = some[0].booked_on, some[-1].booked_on, sum(line.amount for line in some)
        yield f":20:SANDBOX\n:25:{account}\n:28C:1/1\n:60F:{_balance(0, currency, first)}\n"
        for line in some:
            mark, amount = "C" if line.amount >= 0 else "D", _comma(line.amount, currency)
            own = line.reference if 0 < len(line.reference) <= 16 and "/" not in line.reference else "NONREF"
            yield f":61:{line.booked_on:%y%m%d%m%d}{mark}{amount}NTRF{own}//{line.bank_reference[:16]}\n"
            parts = (("NAME", line.payer), ("IBAN", line.payer_account), ("REMI", f"{line.reference} {line.text}"))
            text = "".join(f"/{word}/{_plain(said)}" for word, said in parts if said.strip())
            yield "".join(_folded(f":86:{text}")) if text else ""
        yield f":62F:{_balance(total, currency, last)}\n-\n"


def _folded(text: str) -> Iterator[str]:
    """In rows of 65; a space at a row's end would be lost, so it begins the next one."""
    while text:
        cut = 65
        while cut > 1 and len(text) > cut and (text[cut - 1] == " " or text[cut] in ":-"):
            cut -= 1
        yield text[:cut] + "\n"
        text = text[cut:]


def _comma(amount: int, currency: str) -> str:
    text = decimal(amount, currency, ",")
    return text if "," in text else text + ","


def _balance(amount: int, currency: str, day: date) -> str:
    return f"{'C' if amount >= 0 else 'D'}{day:%y%m%d}{currency}{_comma(amount, currency)}"


def _csv(account: str, lines: Sequence[Line]) -> Iterator[str]:
    yield "date,amount,currency,account,reference,text,payer,payer_account\r\n"
    for line in lines:
        sign = "-" if line.amount < 0 else ""
        fields = (
            line.booked_on.isoformat(), sign + decimal(line.amount, line.currency), line.currency, account,
            line.reference, line.text, line.payer, line.payer_account,
        )  # fmt: skip
        yield ",".join('"' + field.replace('"', '""') + '"' for field in fields) + "\r\n"


_FORMATS = {
    "camt.053": ("application/xml", _camt053),
    "bai2": ("text/plain", _bai2),
    "mt940": ("text/plain", _mt940),
    "csv": ("text/csv", _csv),
}
