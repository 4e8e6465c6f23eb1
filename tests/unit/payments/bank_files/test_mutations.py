"""Files that were damaged at random: each gives a reading or a clear refusal, soon, and never another error.

`BANK_FILE_MUTATIONS` files are tried, 500 unless told.
"""

import io
import os
import pathlib
import random
import time

import pytest

from payments.bank_files import BadFile, BankLine, read
from tests.kit.bank_files import FORMATS, SMALL, camt, content

FILES = int(os.environ.get("BANK_FILE_MUTATIONS", "500"))
SLOWEST = 2.0  # seconds
FOLDER = pathlib.Path(__file__).parents[4] / "../shared/data/bank"
ALPHABET = b'<>&"/,:;.-+?{}\n\r\t \0\xff\xfe\x80 0123456789ABCDEFGHRUVZ'
TOKENS = (
    *(
        b"<!DOCTYPE x>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"&x;",
        b"&#0;",
        b"<Ntry>",
        b"</Ntry>",
        b"</Stmt>",
        b"\r\n",
    ),
    *(b"16,", b"88,", b"49,", b"/", b"/ 16,195,1,Z,,/", b",,,", b"D,999,", b":61:", b":86:", b":62F:", b":20:", b"-}"),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b'"',
        b'""',
        b"9" * 60,
        b"1e9",
        b"-0",
        "٣".encode(),
        b"XXX",
        b"NaN",
        b"EUR" * 9,
        b"\0",
    ),
)


BATCH = (
    '<Ntry><Amt Ccy="EUR">3.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><AcctSvcrRef>B</AcctSvcrRef><NtryDtls>'
    + '<TxDtls><Amt Ccy="EUR">1.00</Amt></TxDtls>' * 3
    + "</NtryDtls></Ntry>"
)


def originals() -> list[bytes]:
    written = [content(write(SMALL)) for write in FORMATS.values()]
    written.append(content(camt([BATCH], "054", "04")))
    return [*written, *(path.read_bytes() for path in sorted(FOLDER.glob("*")) if path.is_file())]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """One to four cuts, swaps, repeats, insertions or flipped bytes; sometimes in another encoding."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 1, 2, 8, 64, 512)))
        match chance.randrange(7):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:start] + data[start:end] * chance.choice((2, 3, 50)) + data[end:]
            case 2:
                data = data[:start] + chance.choice(TOKENS) + data[start:]
            case 3:
                data = data[:start] + bytes(chance.choices(ALPHABET, k=end - start)) + data[end:]
            case 4:
                data = data[:start]
            case 5:
                lines = data.split(b"\n")
                chance.shuffle(lines) if chance.random() < 0.1 else lines.pop(chance.randrange(len(lines)))
                data = b"\n".join(lines)
            case _:
                position = chance.randrange(max(1, len(data)))
                data = data[:position] + bytes([chance.randrange(256)]) + data[position + 1 :]
    if chance.random() < 0.03:
        return data.decode("latin-1").encode(chance.choice(("utf-16", "utf-16-le", "utf-8-sig")))
    return data


def outcome(data: bytes) -> list[BankLine] | BadFile:
    try:
        try:
            return list(read(io.BytesIO(data)).lines)
        except BadFile as refused:
            if "does not contain its account" not in refused.reason:
                raise
            return list(read(io.BytesIO(data), account="1").lines)
    except BadFile as refused:
        return refused


def test_damaged_file_is_read_or_clearly_refused() -> None:
    chance = random.Random(20_260_302)
    sources = originals()
    readings = refusals = 0
    for number in range(FILES):
        data = damaged(sources[number % len(sources)], chance)
        began = time.process_time()
        found = outcome(data)
        assert time.process_time() - began < SLOWEST, data[:2_000]
        if isinstance(found, BadFile):
            refusals += 1
            assert len(str(found)) > 20, data[:2_000]
            assert ". " in found.reason, found.reason  # what is wrong, and what to do
        else:
            readings += 1
            assert all(line.account and line.place and len(line.currency) == 3 for line in found)
    assert refusals > FILES // 4
    assert readings > FILES // 50


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_file_is_refused(kind: str) -> None:
    whole = content(FORMATS[kind](SMALL))
    for end in range(0, len(whole) - 3, max(1, len(whole) // 100)):
        found = outcome(whole[:end])
        assert isinstance(found, BadFile) or kind == "csv:paidup", end


@pytest.mark.parametrize(
    "data",
    [
        b"01,A,B,260302,,1,,,2/\n" + b"88," * 200_000,
        b"01,A,B,260302,,1,,,2/\n" + b"88,x/\n" * 200_000,
        b"01,A,B,260302,,1,,,2/\n" + b"/ " * 49_000,
        b":20:X\n:61:" + b"1" * 90_000,
        b":20:X\n:25:1\n:60F:C260301EUR0,\n:61:260302C1,NTRF\n:86:" + b"EREF+" * 19_000,
        b":20:X\n:25:1\n:60F:C260301EUR0,\n:61:260302C1,NTRF\n:86:166" + b"?20" * 30_000,
        b":20:X\n:25:1\n:60F:C260301EUR0,\n:61:260302C1,NTRF" + b"/" * 90_000,
        b":20:X\n:25:DE" + b"1" * 90_000,
        b"date,amount\n" + b"," * 90_000,
        b'"' * 90_000,
        b"<" * 3_000_000,
        b"<a" + b" b='c'" * 500_000,
        b"<?xml version='1.0' encoding='utf-7'?><a/>",
        b"<?xml version='1.0' encoding='nonsense'?><a/>",
        b"<a>" * 300_000,
    ],
    ids=range(15),
)
def test_files_made_to_hang_are_refused_fast(data: bytes) -> None:
    began = time.process_time()
    assert isinstance(outcome(data), BadFile)
    assert time.process_time() - began < SLOWEST
