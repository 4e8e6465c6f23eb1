"""Which files are taken. The content decides; the name has to fit it. Nothing here is unpacked to a disk or drawn."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import filetype

from chassis.files.names import parted
from contracts.refusals import Refusal

FIELD = "file"
PIECE = 1 << 18
HEAD = 8_192
SNIFFED = 1_024  # in which browsers and readers look for what a file is
TAIL = 65_557  # in which the end of a ZIP archive stands
ELSEWHERE = 0xFFFF_FFFF  # the end of an archive says that its directory is described before it (ZIP64)
MOST_PARTS = 50_000  # of a picture

# Of Office files, which are ZIP archives.
MOST_ENTRIES = 5_000
MOST_DIRECTORY = 1 << 20
MOST_UNPACKED = 200 << 20
MOST_DENSE = 150  # times as long unpacked as packed
DENSE_FROM = 1 << 20  # below this no ratio is looked at


@dataclass(frozen=True, slots=True)
class Kind:
    type: str
    called: str
    endings: tuple[str, ...]


PDF = Kind("application/pdf", "PDF", (".pdf",))
PNG = Kind("image/png", "PNG", (".png",))
JPEG = Kind("image/jpeg", "JPEG", (".jpg", ".jpeg"))
WEBP = Kind("image/webp", "WebP", (".webp",))
TEXT = Kind("text/plain", "text", (".txt", ".log"))
CSV = Kind("text/csv", "CSV", (".csv",))
OFFICE = "application/vnd.openxmlformats-officedocument."
OPEN = "application/vnd.oasis.opendocument."
WORD = Kind(f"{OFFICE}wordprocessingml.document", "Word", (".docx",))
EXCEL = Kind(f"{OFFICE}spreadsheetml.sheet", "Excel", (".xlsx",))
POWERPOINT = Kind(f"{OFFICE}presentationml.presentation", "PowerPoint", (".pptx",))
OPEN_TEXT = Kind(f"{OPEN}text", "OpenDocument text", (".odt",))
OPEN_SHEET = Kind(f"{OPEN}spreadsheet", "OpenDocument spreadsheet", (".ods",))

PICTURES = (PNG, JPEG, WEBP)
BY_MAGIC = {kind.type: kind for kind in (PDF, *PICTURES)}
BY_PART = {
    f"{WORD.type}.main+xml": WORD,
    f"{EXCEL.type}.main+xml": EXCEL,
    f"{POWERPOINT.type}.main+xml": POWERPOINT,
}
BY_MIMETYPE = {kind.type: kind for kind in (OPEN_TEXT, OPEN_SHEET)}
TAKEN = "PDF, PNG, JPEG, WebP, text, CSV, Word, Excel, PowerPoint and OpenDocument files"


def kind_of(file: BinaryIO, size: int, name: str) -> tuple[Kind, str]:
    """What a file is, and its name with the ending of that. Raises a `Refusal` that names the file."""
    return _Look(file, size, name).whole()


@dataclass(slots=True)
class _Look:
    file: BinaryIO
    size: int
    name: str

    def _refusal(self, code: str, says: str, **values: str | int) -> Refusal:
        return Refusal(code, f"“{self.name}” {says}", FIELD, values={"name": self.name, **values})

    def whole(self) -> tuple[Kind, str]:
        if not self.size:
            raise self._refusal("file-empty", "is empty.")
        head = self.read(0, HEAD)
        kind = self.kind(head)
        name = self.fitting(kind)
        self.one_thing_only(kind, head)
        if kind is PNG:
            self.png()
        elif kind is JPEG:
            self.jpeg()
        elif kind is WEBP:
            self.webp(head)
        elif kind is PDF and b"%%EOF" not in self.read(max(0, self.size - 2_048), 2_048):
            raise self.broken()
        return kind, name

    def broken(self) -> Refusal:
        return self._refusal("file-broken", "is damaged, or not whole. Save or export it again.")

    def read(self, start: int, length: int) -> bytes:
        self.file.seek(start)
        return self.file.read(length)

    def pieces(self) -> Iterator[bytes]:
        self.file.seek(0)
        while piece := self.file.read(PIECE):
            yield piece

    def kind(self, head: bytes) -> Kind:
        found = BY_MAGIC.get(filetype.guess_mime(head) or "")
        if found is not None and head.startswith(STARTS[found.type]):
            return found
        if head.startswith(b"PK\x03\x04"):
            return self.office()
        if all(not piece.translate(None, IN_TEXTS) for piece in self.pieces()):
            return CSV if parted(self.name)[1] in CSV.endings else TEXT
        raise self.not_taken()

    def not_taken(self) -> Refusal:
        return self._refusal("file-type-not-taken", f"is of a type that is not taken. These are: {TAKEN}.")

    def fitting(self, kind: Kind) -> str:
        """The name with an ending of this kind. Pictures are often named as another kind of picture."""
        start, ending = parted(self.name)
        if ending in kind.endings:
            return self.name
        if not ending:
            return self.name + kind.endings[0]
        if kind in PICTURES and any(ending in one.endings for one in PICTURES):
            return start + kind.endings[0]
        says = f"ends in {ending}, but its content is {kind.called}. Give it its right name, or send the right file."
        raise self._refusal("file-misnamed", says, ending=ending, kind=kind.called)

    def one_thing_only(self, kind: Kind, head: bytes) -> None:
        """Refuse what another program would read as a page, a script or an archive."""
        start = head[:SNIFFED].lower()
        if any(mark in start for mark in PAGES) or (kind is not PDF and b"%pdf-" in start):
            raise self._refusal("file-two-in-one", "holds the beginning of a page or of another file.")
        if kind in (*PICTURES, TEXT, CSV) and self.has(SCRIPTS):
            raise self._refusal("file-with-script", "holds a script.")
        if not self.head_of_archive(head) and self.ends_as_archive():
            raise self._refusal("file-two-in-one", "is also an archive (ZIP).")

    @staticmethod
    def head_of_archive(head: bytes) -> bool:
        return head.startswith(b"PK\x03\x04")

    def has(self, words: re.Pattern[bytes]) -> bool:
        before = b""
        for piece in self.pieces():
            if words.search(before + piece):
                return True
            before = piece[-LONGEST_WORD:]
        return False

    def ends_as_archive(self) -> bool:
        """Whether a program that unpacks would find a directory of an archive, which is looked for from the end."""
        start = max(0, self.size - TAIL)
        tail = self.read(start, TAIL)
        at = tail.rfind(b"PK\x05\x06")
        while at >= 0:
            length = int.from_bytes(tail[at + 12 : at + 16], "little")
            if length == ELSEWHERE:
                return True
            whole = at + 22 <= len(tail) and 0 < length <= start + at
            if whole and self.read(start + at - length, 4) == b"PK\x01\x02":
                return True
            at = tail.rfind(b"PK\x05\x06", 0, at)
        return False

    def png(self) -> None:
        """Its parts follow one another to the end, and nothing follows them."""
        at, name = 8, b""
        for _ in range(MOST_PARTS):
            part = self.read(at, 8)
            at, name = at + 12 + int.from_bytes(part[:4]), part[4:]
            if name == b"IEND" or at >= self.size:
                break
        if name != b"IEND" or at > self.size:
            raise self.broken()
        if at < self.size:
            raise self._refusal("file-two-in-one", "goes on behind its picture.")

    def jpeg(self) -> None:
        """Its parts lead to the picture, which ends. Phones write more behind it."""
        at, part = 2, self.read(2, 4)
        for _ in range(MOST_PARTS):
            if len(part) < 4 or part[0] != 0xFF or part[1] == 0xDA:  # the picture
                break
            at += 2 + int.from_bytes(part[2:])
            part = self.read(at, 4)
        if part[:2] != b"\xff\xda" or not any(
            b"\xff\xd9" in self.read(start, PIECE + 1) for start in range(at, self.size, PIECE)
        ):
            raise self.broken()

    def webp(self, head: bytes) -> None:
        if int.from_bytes(head[4:8], "little") + 8 not in (self.size, self.size - 1):
            raise self.broken()

    def office(self) -> Kind:
        self.archive_alone()
        try:
            with zipfile.ZipFile(self.file) as archive:
                return self.office_in(archive)
        except (zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError, EOFError, RuntimeError) as error:
            raise self.broken() from error

    def archive_alone(self) -> None:
        """Its directory of parts stands right before its end, with nothing around, and is no larger than is read."""
        end = self.read(max(0, self.size - 22), 22)
        if end[:4] != b"PK\x05\x06":
            raise self.broken() if not self.ends_as_archive() else self.around()
        length, at, comment = struct.unpack("<12xIIH", end)
        end_at = self.size - 22
        if end_at > 76 and self.read(end_at - 20, 4) == b"PK\x06\x07":  # ZIP64, which some programs write always
            end_at -= 76
            length, at = struct.unpack("<40xQQ", self.read(end_at, 56))
        if comment or at + length != end_at:
            raise self.around()
        if length > MOST_DIRECTORY:
            raise self.too_dense()

    def around(self) -> Refusal:
        return self._refusal("file-two-in-one", "is an archive with something else around it.")

    def office_in(self, archive: zipfile.ZipFile) -> Kind:
        entries = archive.infolist()
        packed, unpacked = (sum(getattr(one, name) for one in entries) for name in ("compress_size", "file_size"))
        if len(entries) > MOST_ENTRIES or unpacked > MOST_UNPACKED or packed > self.size:
            raise self.too_dense()
        if any(one.file_size > max(DENSE_FROM, MOST_DENSE * one.compress_size) for one in entries):
            raise self.too_dense()
        if not entries or min(one.header_offset for one in entries) != 0:
            raise self.around()
        if len({one.filename for one in entries}) < len(entries):
            raise self._refusal("file-two-in-one", "holds two parts of one name.")
        for one in entries:
            if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise self.not_taken()
            if one.flag_bits & 0x1:
                raise self._refusal("file-locked", "is encrypted, so that nobody could look into it.")
            if one.filename.startswith("/") or "\\" in one.filename or ".." in one.filename.split("/"):
                raise self._refusal("file-two-in-one", "holds parts that would be unpacked elsewhere.")
            if MACROS.search(one.filename):
                raise self._refusal("file-with-macros", "holds macros or programs. Save it without them.")
        kind = self.office_kind(archive, {one.filename: one for one in entries})
        for one in entries:
            self.unpacks(archive, one)
        return kind

    def too_dense(self) -> Refusal:
        return self._refusal("file-too-dense", "unpacks to far more than its size.")

    def office_kind(self, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> Kind:
        if (types := entries.get("[Content_Types].xml")) is not None and types.file_size <= DENSE_FROM:
            text = archive.read(types).decode(errors="replace")
            if "macroenabled" in text.lower():
                raise self._refusal("file-with-macros", "holds macros or programs. Save it without them.")
            found = [kind for part, kind in BY_PART.items() if f'"{part}"' in text]
            if len(found) == 1:
                return found[0]
        first = archive.infolist()[0]
        if first.filename == "mimetype" and first.file_size < 100:
            kind = BY_MIMETYPE.get(archive.read(first).decode(errors="replace"))
            if kind is not None:
                return kind
        raise self.not_taken()

    def unpacks(self, archive: zipfile.ZipFile, one: zipfile.ZipInfo) -> None:
        """Read a part to its end: it is as long as it says, and its sum is right. XML has no definitions of its own."""
        with archive.open(one) as part:
            start = part.read(SNIFFED).lower()
            if one.filename.endswith((".xml", ".rels")) and (b"<!doctype" in start or b"<!entity" in start):
                raise self._refusal("file-two-in-one", "holds definitions (DTD) that Office files don’t have.")
            while part.read(PIECE):
                pass


STARTS = {PDF.type: b"%PDF-", PNG.type: b"\x89PNG\r\n\x1a\n", JPEG.type: b"\xff\xd8\xff", WEBP.type: b"RIFF"}
IN_TEXTS = bytes([*b"\t\n\r\f", *range(0x20, 0x7F), *range(0x80, 0x100)])
PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<svg", b"<iframe", b"<?xml ", b"<?php")
SCRIPTS = re.compile(rb"<script|<iframe|<!doctype\s+html|<\?php", re.IGNORECASE)
LONGEST_WORD = 32
MACROS = re.compile(r"vbaProject|/macros?/|\.(exe|dll|js|vbs|jar|bat|cmd|ps1|zip|7z|rar)$", re.IGNORECASE)
