"""Lines of a text file of unknown encoding and length, one at a time."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Generator
from typing import BinaryIO

from payments.bank_files.line import BadFile

LONGEST_LINE = 100_000  # characters
_CHUNK = 1 << 18
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def encoding_of(file: BinaryIO, otherwise: str | None) -> str:
    """The encoding: by the file's mark, else UTF-8 if the whole file is, else `otherwise`; without that `BadFile`."""
    file.seek(0)
    head = file.read(4)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if head[1:2] == b"\0" or head[:1] == b"\0":
        return "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
            line += chunk.count(b"\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        if otherwise is not None:
            return otherwise
        line += bytes(error.object)[: error.start].count(b"\n")
        raise BadFile(line, "this is not UTF-8 text. Save the file as UTF-8") from None
    finally:
        file.seek(0)
    return "utf-8"


def text_lines(file: BinaryIO, encoding: str) -> Generator[tuple[int, str], None, None]:
    """Yield number and text of each line, without its line break. Raises `BadFile` if the bytes are not text."""
    file.seek(0)
    reader = io.TextIOWrapper(file, encoding)
    number = 0
    try:
        while line := reader.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise BadFile(number, f"the line is longer than {LONGEST_LINE} characters. Give the file as exported")
            if "\0" in line:
                raise BadFile(number, "there are zero bytes in it: not a text file. Give the file as exported")
            yield number, line.rstrip("\n")
    except UnicodeError:
        raise BadFile(number + 1, f"this is not {encoding} text. Save the file as UTF-8") from None
    finally:
        with contextlib.suppress(ValueError):  # the file was closed before its lines were at an end
            reader.detach()
