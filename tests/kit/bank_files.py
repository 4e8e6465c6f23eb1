"""Writes small and large bank files of every format from the same transfers, by hand rather than with the reader."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import BinaryIO
from xml.sax.saxutils import escape

from contracts.money import EXPONENTS

ACCOUNT = "DE89370400440532013000"


@dataclass(frozen=True)
class Transfer:
    minor: int
    day: date = date(2026, 3, 2)
    reference: str | None = "REF1"
    text: str = "Invoice INV-1"
    payer: str = "Acme Corp"


def transfers(count: int) -> Iterator[Transfer]:
    """As of a busy month: mostly money in, in order of days."""
    for number in range(count):
        sign = -1 if number % 10 == 9 else 1
        day = date(2026, 1, 1) + timedelta(days=number * 28 // count)
        yield Transfer(
            sign * (number % 99_999 + 1), day, f"REF{number:012d}", f"Invoice INV-{number}", f"Customer {number}"
        )


def decimal(minor: int, currency: str, mark: str = ".") -> str:
    """Without a sign. MT940 always has its mark."""
    places = EXPONENTS[currency]
    text = str(Decimal(abs(minor)).scaleb(-places).quantize(Decimal(1).scaleb(-places)))
    return text.replace(".", mark) if "." in text else text + (mark if mark == "," else "")


def indicator(minor: int) -> str:
    return "DBIT" if minor < 0 else "CRDT"


def camt_entry(one: Transfer, currency: str = "EUR") -> str:
    reference = f"<AcctSvcrRef>{escape(one.reference)}</AcctSvcrRef>" if one.reference else ""
    side = "Cdtr" if one.minor < 0 else "Dbtr"
    return f"""
      <Ntry>
        <Amt Ccy="{currency}">{decimal(one.minor, currency)}</Amt>
        <CdtDbtInd>{indicator(one.minor)}</CdtDbtInd>
        <Sts><Cd>BOOK</Cd></Sts>
        <BookgDt><Dt>{one.day}</Dt></BookgDt>
        <ValDt><Dt>{one.day}</Dt></ValDt>
        {reference}
        <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>
        <NtryDtls>
          <TxDtls>
            <Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>
            <Amt Ccy="{currency}">{decimal(one.minor, currency)}</Amt>
            <CdtDbtInd>{indicator(one.minor)}</CdtDbtInd>
            <RltdPties>
              <{side}><Pty><Nm>{escape(one.payer)}</Nm><PstlAdr><Ctry>DE</Ctry></PstlAdr></Pty></{side}>
            </RltdPties>
            <RmtInf><Ustrd>{escape(one.text)}</Ustrd></RmtInf>
          </TxDtls>
        </NtryDtls>
      </Ntry>"""


def camt(entries: Iterable[str], kind: str = "053", version: str = "08", account: str = ACCOUNT) -> Iterator[str]:
    message, statement = {
        "052": ("BkToCstmrAcctRpt", "Rpt"),
        "053": ("BkToCstmrStmt", "Stmt"),
        "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
    }[kind]
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{kind}.001.{version}"><{message}>'
    yield f"<GrpHdr><MsgId>M1</MsgId></GrpHdr>\n<{statement}><Id>S1</Id><Acct><Id><IBAN>{account}</IBAN></Id></Acct>"
    yield from entries
    yield f"\n</{statement}></{message}></Document>\n"


def camt_file(made: Iterable[Transfer], currency: str = "EUR") -> Iterator[str]:
    return camt(camt_entry(one, currency) for one in made)


def bai2_file(made: Iterable[Transfer], currency: str = "USD") -> Iterator[str]:
    """One group a day, one account a group."""
    yield "01,BANK,COMPANY,260302,0800,1,80,,2/\n"
    total = groups = rows = 0
    day: date | None = None
    sums: list[int] = []

    def closed() -> str:
        nonlocal total, rows
        total += sum(sums)
        rows += len(sums) + 4
        return f"49,{sum(sums)},{len(sums) + 2}/\n98,{sum(sums)},1,{len(sums) + 4}/\n"

    for one in made:
        if one.day != day:
            if day is not None:
                yield closed()
            day, sums, groups = one.day, [], groups + 1
            yield f"02,COMPANY,BANK,1,{one.day:%y%m%d},,{currency},2/\n03,{ACCOUNT},,/\n"
        sums.append(abs(one.minor))
        yield f"16,{495 if one.minor < 0 else 195},{abs(one.minor)},Z,{one.reference or ''},,{one.text}\n"
    if day is not None:
        yield closed()
    yield f"99,{total},{groups},{rows + 2}/\n"


def mt940_file(made: Iterable[Transfer], currency: str = "EUR", opening: int = 0) -> Iterator[str]:
    def balance(minor: int, day: date) -> str:
        return f"{'D' if minor < 0 else 'C'}{day:%y%m%d}{currency}{decimal(minor, currency, ',')}"

    day = date(2026, 1, 1)
    yield f":20:STATEMENT\n:25:{ACCOUNT}\n:28C:1/1\n:60F:{balance(opening, day)}\n"
    for one in made:
        opening, day = opening + one.minor, one.day
        mark = "D" if one.minor < 0 else "C"
        bank = f"//{one.reference}" if one.reference else ""
        yield f":61:{one.day:%y%m%d%m%d}{mark}{decimal(one.minor, currency, ',')}NTRFNONREF{bank}\n"
        yield f":86:166?00GUTSCHRIFT?20SVWZ+{one.text}?32{one.payer}\n"
    yield f":62F:{balance(opening, day)}\n-\n"


def csv_file(made: Iterable[Transfer], currency: str = "EUR") -> Iterator[str]:
    yield "date,amount,currency,account,reference,text,payer,payer_account\n"
    for one in made:
        sign = "-" if one.minor < 0 else ""
        text, payer = (part.replace('"', '""') for part in (one.text, one.payer))
        yield f'{one.day},{sign}{decimal(one.minor, currency)},{currency},{ACCOUNT},,"{text}","{payer}",\n'


FORMATS: dict[str, Callable[[Iterable[Transfer]], Iterator[str]]] = {
    "camt.053": camt_file,
    "bai2": bai2_file,
    "mt940": mt940_file,
    "csv:paidup": csv_file,
}


def content(parts: Iterable[str]) -> bytes:
    return "".join(parts).encode()


def write(parts: Iterable[str], file: BinaryIO) -> None:
    for part in parts:
        file.write(part.encode())


SMALL: Sequence[Transfer] = tuple(transfers(12))
