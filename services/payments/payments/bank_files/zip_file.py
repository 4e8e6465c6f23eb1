"""Bank files in a ZIP, as some banks deliver them: unpacked one after another, within limits."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from payments.bank_files.line import BadFile, BankLine

MOST_FILES = 200
MOST_ENTRIES = 10 * MOST_FILES  # with folders
LARGEST_DIRECTORY = 1 << 20
LARGEST = 268_435_456  # bytes of all files together
LARGEST_RATIO = 200  # of what is unpacked to what was sent
_PIECE = 1 << 18
_KIND = b"PK\x03\x04"
_NO_FILE = "the ZIP holds no file. Fetch it again from the bank"
_UNPACK = "Unpack it, and send its files one by one"
# Files that macOS adds beside others. Any other file is read or refused, whatever its name.
_OF_MACOS = ((b"\0\x05\x16\x07", "._"), (b"\0\0\0\x01Bud1", ".DS_Store"))
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)

Read = Callable[[BinaryIO], tuple[str, Iterator[BankLine]]]


def is_zip(head: bytes) -> bool:
    return head.startswith(_KIND)


def read_zip(file: BinaryIO, read: Read) -> tuple[str, Iterator[BankLine]]:
    """Return the format of the first file, and the lines of all. Places and errors begin with the file's name."""
    lines = _lines(file, read)
    kind = next(lines)
    assert isinstance(kind, str)
    return kind, cast(Iterator[BankLine], lines)


def _lines(file: BinaryIO, read: Read) -> Iterator[str | BankLine]:
    told = False
    parts = 0
    with _opened(file) as archive:
        for member in _members(archive):
            with TemporaryFile() as unpacked:
                _unpack(archive, member, unpacked)
                if _of_the_system(member, unpacked):
                    continue
                before = parts
                try:
                    kind, lines = read(unpacked)
                    if not told:
                        yield kind
                    told = True
                    for line in lines:
                        parts = max(parts, before + line.part)
                        yield replace(line, place=f"{_called(member)}: {line.place}", part=before + line.part)
                except BadFile as fault:
                    where = f"line {fault.line}: " if fault.line is not None else ""
                    raise BadFile(fault.line, f"{_called(member)}: {where}{fault.reason}") from None
    if not told:
        raise BadFile(None, _NO_FILE)


@contextlib.contextmanager
def _opened(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        _refuse_large_directory(file)
        archive = zipfile.ZipFile(file)
    except _BROKEN:
        raise BadFile(None, "the ZIP is broken. Fetch it again from the bank") from None
    with archive:
        yield archive


def _refuse_large_directory(file: BinaryIO) -> None:
    """Refuse a large directory before `zipfile` reads it whole. The end of the ZIP has its size."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is None:
        return
    entries, size = end[zipfile._ECD_ENTRIES_TOTAL], end[zipfile._ECD_SIZE]  # type: ignore[attr-defined]
    if entries > MOST_ENTRIES or size > LARGEST_DIRECTORY:
        most = f"more than {MOST_ENTRIES} entries or {LARGEST_DIRECTORY} bytes"
        raise BadFile(None, f"the ZIP's directory has {entries} entries in {size} bytes, {most}. {_UNPACK}")


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files of the ZIP, or refuse it with the reason."""
    found = archive.infolist()
    if any(one.filename == "[Content_Types].xml" for one in found):
        raise BadFile(None, "it is an Office document. Save it as CSV, or fetch camt.053 from the bank")
    files = [one for one in found if not one.is_dir() or one.file_size]
    if not files:
        raise BadFile(None, _NO_FILE)
    if len(files) > MOST_FILES:
        raise BadFile(None, f"the ZIP holds {len(files)} files, more than {MOST_FILES}. {_UNPACK}")
    size, packed = sum(one.file_size for one in files), sum(one.compress_size for one in files)
    if size > LARGEST:
        raise BadFile(None, f"the files in the ZIP have {size} bytes, more than {LARGEST}. {_UNPACK}")
    if size > max(packed, 1) * LARGEST_RATIO:
        raise BadFile(None, f"the ZIP unpacks to more than {LARGEST_RATIO} times its size. {_UNPACK}")
    if any(one.flag_bits & 1 for one in files):
        raise BadFile(None, "the ZIP is locked with a password. Unpack it, and send the files in it")
    return files


def _of_the_system(member: zipfile.ZipInfo, unpacked: BinaryIO) -> bool:
    name = member.filename.rpartition("/")[2]
    unpacked.seek(0)
    head = unpacked.read(8)
    return any(name.startswith(called) and head.startswith(begins) for begins, called in _OF_MACOS)


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, into: BinaryIO) -> None:
    """Unpack a file, but never more bytes than the ZIP says that it has (these were checked before)."""
    left = member.file_size
    try:
        with archive.open(member) as packed:
            while piece := packed.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise BadFile(None, f"{_called(member)} is larger than the ZIP says. Fetch it again from the bank")
                into.write(piece)
    except _BROKEN:
        broken = f"{_called(member)} can't be unpacked: the ZIP is broken, or packed in a way that is not read"
        raise BadFile(None, f"{broken}. {_UNPACK}") from None
    into.seek(0)
    if is_zip(into.read(len(_KIND))):
        raise BadFile(None, f"{_called(member)} is a ZIP in a ZIP. {_UNPACK}")


def _called(member: zipfile.ZipInfo) -> str:
    return "".join(one if one.isprintable() else "?" for one in member.filename[-80:])
