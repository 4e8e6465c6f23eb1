"""200 hostile uploads: each has a clear error that names the file or the field, or is kept under a harmless name as a
download. Nothing is served as a page, and nothing half-done stays on the disk."""

import asyncio
import re
import struct
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio

from chassis.files.names import UNSEEN, cleaned
from tests.kit.clamd import clamd
from tests.kit.files import (
    BOUNDARY,
    DOCUMENTS,
    EICAR,
    PAGE,
    SHEETS,
    SLIDES,
    SVG,
    form,
    jpeg,
    office,
    open_document,
    pdf,
    piece,
    png,
    types,
    webp,
    zip64,
    zipped,
)
from tests.kit.supporting import Help, help_of
from tests.service.support.test_files import downloaded, on_disk

GOOD = {
    "pdf": pdf(), "png": png(), "jpg": jpeg(), "webp": webp(), "csv": b"a,b\n1,2\n", "txt": "Año\n".encode(),
    "xlsx": office(), "docx": office(DOCUMENTS), "pptx": office(SLIDES), "ods": open_document(),
    "odt": open_document("text"),
}  # fmt: skip
ARCHIVE = zipped({"index.html": PAGE})
OTHERS = {  # types that are not taken, by the ending that they have
    "exe": b"MZ\x90\0\x03" + b"\0" * 200, "elf": b"\x7fELF\x02\x01\x01" + b"\0" * 60,
    "gif": b"GIF89a\x01\0\x01\0\0\0\0;", "jar": zipped({"META-INF/MANIFEST.MF": b"M"}),
    "zip": ARCHIVE, "rar": b"Rar!\x1a\x07\x01\0" + b"\1" * 50, "7z": b"7z\xbc\xaf\x27\x1c\0\4" + b"\0" * 60,
    "gz": b"\x1f\x8b\x08\0\0\0\0\0" + b"\0" * 40, "doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    "wasm": b"\0asm\x01\0\0\0", "class": b"\xca\xfe\xba\xbe\0\0\0\x34", "swf": b"CWS\x0a" + b"\0\1\2" * 20,
    "mp4": b"\0\0\0\x18ftypmp42" + b"\0" * 40, "ttf": b"\0\1\0\0\0" + b"\0" * 60, "sqlite": b"SQLite format 3\0",
    "tif": b"II*\0\x08\0\0\0" + b"\0" * 20, "utf16": PAGE.decode().encode("utf-16"),
}  # fmt: skip
PAGES = {
    "html": PAGE, "svg": SVG, "xhtml": b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>',
    "bom": b"\xef\xbb\xbf" + SVG, "late": b" \n" * 300 + b"<HTML><BODY onload=alert(1)>",
    "comment": b"<!--" + b"-" * 2_000 + b"--><ScRiPt>alert(1)</sCrIpT>", "php": b"<?php system($_GET[0]); ?>",
    "frame": b"hello\n" * 5_000 + b"<iframe src=javascript:alert(1)>", "doctype": b"\t<!DocType HTML>",
    "xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a/>',
}  # fmt: skip


@dataclass(frozen=True)
class Upload:
    """`says`: the end of the problem's type; empty: it is kept, under a harmless name."""

    name: str
    content: bytes
    says: str


def uploads() -> Iterator[Upload]:
    for ending, content in OTHERS.items():  # what they are, and in disguise
        for shown in (ending, "pdf", "txt"):
            yield Upload(f"thing.{shown}", content, "file-type-not-taken")
    for ending, content in PAGES.items():
        for shown in ("txt", "csv"):
            yield Upload(f"{ending}.{shown}", content, "file-two-in-one|file-with-script")
        yield Upload(f"page.{ending}", content, "file-misnamed|file-two-in-one|file-with-script")
        yield Upload("page.png", content, "file-misnamed|file-two-in-one|file-with-script")
    yield from misnamed()
    yield from polyglots()
    yield from archives()
    for ending, content in GOOD.items():
        if ending not in ("csv", "txt"):
            yield Upload(f"cut.{ending}", content[:-8], "file-broken")
        yield Upload(f"empty.{ending}", b"", "file-empty")
    for ending in ("pdf", "png", "txt"):
        more = b"x" * (11 << 20)
        yield Upload(f"large.{ending}", GOOD[ending] + more, "file-too-large")
    yield Upload("eicar.txt", EICAR, "file-infected")
    yield Upload("eicar.csv", EICAR, "file-infected")
    yield Upload("slip.pdf", pdf(EICAR), "file-infected")
    yield Upload("photo.jpg", jpeg(EICAR), "file-infected")
    yield from names()


def misnamed() -> Iterator[Upload]:
    for ending in ("exe", "html", "svg", "js", "hta", "lnk", "bat", "xlsm", "zip", "url", "desktop"):
        yield Upload(f"invoice.pdf.{ending}", pdf(), "file-misnamed")
    for ending, other in (
        ("pdf", "png"),
        ("png", "txt"),
        ("xlsx", "docx"),
        ("docx", "pdf"),
        ("csv", "pdf"),
        ("ods", "odt"),
    ):
        yield Upload(f"slip.{other}", GOOD[ending], "file-misnamed")
    yield Upload("annex\u202efdp.exe", pdf(), "file-misnamed")  # it is shown as annexexe.pdf
    yield Upload("annex\u2067gnp.scr", png(), "file-misnamed")


def polyglots() -> Iterator[Upload]:
    pictures = {"png": png, "jpg": jpeg, "webp": webp}
    for ending, make in pictures.items():
        yield Upload(f"script.{ending}", make(b"x" * 1_500 + PAGE), "file-with-script")
        yield Upload(f"page.{ending}", make(b"<html><body>"), "file-two-in-one")
        yield Upload(f"svg.{ending}", make(SVG), "file-two-in-one")
        yield Upload(f"pdf.{ending}", make(pdf()), "file-two-in-one")
        yield Upload(f"jar.{ending}", make() + ARCHIVE, "file-two-in-one")
        yield Upload(f"php.{ending}", make(b"<?php phpinfo(); ?>"), "file-two-in-one")
    yield Upload("jar64.jpg", jpeg() + zip64(ARCHIVE)[:-10] + b"\xff" * 8 + b"\0\0", "file-two-in-one")
    yield Upload("jar.pdf", pdf() + ARCHIVE, "file-two-in-one|file-broken")
    yield Upload("jar-within.pdf", pdf() + ARCHIVE + pdf(), "file-two-in-one")
    yield Upload("page.pdf", pdf(PAGE), "file-two-in-one")
    yield Upload("late.pdf", b"<p>" + pdf(), "file-misnamed|file-two-in-one|file-type-not-taken")
    yield Upload("tail.png", png() + b"more" * 10, "file-two-in-one")
    yield Upload("tail.webp", webp() + b"more" * 10, "file-broken")
    yield Upload("parts.png", png()[:8] + struct.pack(">I4sI", 0, b"aaaa", 0) * 60_000, "file-broken")
    yield Upload("parts.jpg", b"\xff\xd8" + b"\xff\xe1\x00\x02" * 60_000 + b"\xff\xd9", "file-broken")
    yield Upload("first.xlsx", PAGE + office(), "file-two-in-one|file-misnamed|file-type-not-taken")
    yield Upload("first.pdf", b"%PDF-1.4\n" + office(), "file-two-in-one|file-broken")
    yield Upload("last.xlsx", office() + PAGE, "file-two-in-one|file-broken")
    yield Upload("two.xlsx", office() + office(), "file-two-in-one")
    yield Upload("two64.xlsx", office() + zip64(office()), "file-two-in-one")


def archives() -> Iterator[Upload]:
    bomb = b"\0" * (30 << 20)
    yield Upload("bomb.xlsx", office(xl__bomb_bin=bomb), "file-too-dense")
    yield Upload("bomb.docx", office(DOCUMENTS, **{f"word__{place}_xml": bomb for place in range(3)}), "file-too-dense")
    yield Upload("many.xlsx", office(**{f"part{place}_xml": b"" for place in range(6_000)}), "file-too-dense")
    yield Upload("nested.xlsx", office(xl__again_zip=zipped({"bomb": bomb})), "file-with-macros")
    yield Upload("short.xlsx", lying(office(), 12), "file-broken|file-too-dense")
    yield Upload("overlap.xlsx", overlapping(), "file-broken|file-too-dense|file-two-in-one")
    yield Upload("macro.xlsm", office(SHEETS.replace("spreadsheetml", "macroEnabled")), "file-with-macros")
    yield Upload("macro.xlsx", office(xl__vbaProject_bin=b"\1"), "file-with-macros")
    yield Upload("program.docx", office(DOCUMENTS, word__run_exe=b"MZ"), "file-with-macros")
    yield Upload(
        "slip.xlsx", zipped({"[Content_Types].xml": types(SHEETS), "../../etc/cron.d/x": b"x"}), "file-two-in-one"
    )
    yield Upload("slip.docx", zipped({"[Content_Types].xml": types(DOCUMENTS), "/etc/passwd": b"x"}), "file-two-in-one")
    yield Upload("dtd.xlsx", office(xl__b_xml=b'<!DOCTYPE a [<!ENTITY b "cc">]><a>&b;</a>'), "file-two-in-one")
    yield Upload("locked.xlsx", flagged(office()), "file-locked|file-broken")
    yield Upload("lzma.xlsx", zipped({"[Content_Types].xml": types(SHEETS)}, zipfile.ZIP_LZMA), "file-type-not-taken")
    yield Upload("both.xlsx", zipped({"[Content_Types].xml": types(SHEETS) + types(DOCUMENTS)}), "file-type-not-taken")
    yield Upload("none.xlsx", zipped({"a": b"a"}), "file-type-not-taken")
    yield Upload("epub.odt", zipped({"mimetype": b"application/epub+zip"}, 0), "file-type-not-taken")
    yield Upload(
        "sum.xlsx", office().replace(b"<row>", b"<cow>") if b"<row>" in office() else bent(office()), "file-broken"
    )


def lying(archive: bytes, size: int) -> bytes:
    """The directory says that the second part is shorter than it is."""
    at = archive.rfind(b"PK\x01\x02")
    return archive[: at + 24] + struct.pack("<I", size) + archive[at + 28 :]


def overlapping() -> bytes:
    """The second part begins where the first one does."""
    archive = office()
    at = archive.rfind(b"PK\x01\x02")
    return archive[: at + 42] + struct.pack("<I", 0) + archive[at + 46 :]


def flagged(archive: bytes) -> bytes:
    at = archive.rfind(b"PK\x01\x02")
    return archive[: at + 8] + b"\x01\x00" + archive[at + 10 :]


def bent(archive: bytes) -> bytes:
    """One bit of a part is another."""
    at = archive.find(b"xl/sheet1.xml") + 20
    return archive[:at] + bytes([archive[at] ^ 4]) + archive[at + 1 :]


def names() -> Iterator[Upload]:
    """The content is sound, so they are kept: under names that lead nowhere and show what they are."""
    for name in (
        "../../etc/passwd", "..\\..\\windows\\win.pdf", "/etc/shadow.pdf", "C:\\boot.pdf", "....//....//x.pdf",
        "..", ".", "", "a\0b.pdf", "a\r\nSet-Cookie: x=1.pdf", "\u202efdp.slip.pdf", "a\u200bb\ufeffc.pdf",
        "x" * 2_000 + ".pdf", "con.pdf", "nul", "<script>alert(1)</script>.pdf", '"; filename=evil.html.pdf',
        "%2e%2e%2fslip.pdf", "~/.ssh/keys.pdf", " .pdf", "a.pdf ", "a.pdf.", "slip\u2028.pdf", "пришло.pdf",
        "a;b=c.pdf", "\ud83d.pdf", ".htaccess",
    ):  # fmt: skip
        yield Upload(name, pdf(), "")


UPLOADS = list(uploads())


@pytest_asyncio.fixture(scope="module")
async def scanned(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Help]:
    async with clamd() as scanner, help_of(tmp_path_factory.mktemp("hostile"), scanner.address) as made:
        yield made


async def post(client: httpx2.AsyncClient, body: bytes, headers: dict[str, str]) -> httpx2.Response:
    return await client.post("/v1/files", content=body, headers=headers)


def said(answer: httpx2.Response) -> str:
    return str(answer.json().get("type", "")).rpartition(":")[2]


class TestHostileUpload:
    def test_there_are_two_hundred(self) -> None:
        assert len(UPLOADS) >= 200

    async def test_has_a_clear_error_or_is_harmless(self, scanned: Help) -> None:
        wrong = []
        async with scanned.contact(await scanned.acme()) as ann:
            for upload in UPLOADS:
                before = on_disk(scanned)
                answer = await post(ann, *form(upload.name, upload.content))
                problem, kept = answer.json(), answer.status_code == 201
                if not upload.says:
                    sound = kept and await self.harmless(ann, problem)
                elif kept:
                    sound = False
                else:
                    named = cleaned(upload.name) in problem["detail"] and problem["errors"][0]["field"] == "file"
                    sound = named and said(answer) in upload.says.split("|") and on_disk(scanned) == before
                wrong += [] if sound else [(upload.name, upload.content[:40], upload.says, answer.status_code, problem)]
        assert wrong == []

    async def harmless(self, ann: httpx2.AsyncClient, file: dict[str, str]) -> bool:
        """It is a download under one plain name with the ending of its type."""
        assert re.fullmatch(r"[^/\\<>:\"|?*]{1,120}", file["name"]), file
        assert not UNSEEN.search(file["name"]), file
        assert file["name"].endswith(".pdf"), file
        assert file["name"].strip(". ") == file["name"], file
        answer = await downloaded(ann, file["id"])
        assert answer is not None
        assert answer.headers["content-disposition"].startswith('attachment; filename="')
        return answer.content == pdf()

    async def test_sound_files_are_taken(self, scanned: Help) -> None:
        async with scanned.contact(await scanned.acme()) as ann:
            for ending, content in (*GOOD.items(), ("xlsx", zip64(office()))):
                answer = await post(ann, *form(f"slip.{ending}", content))
                assert answer.status_code == 201, (ending, answer.text)
                back = await downloaded(ann, answer.json()["id"])
                assert back is not None
                assert back.content == content
                assert "html" not in back.headers["content-type"]


SLIP, HEADERS = form("slip.pdf", pdf())
FORMS = {
    "two files": (piece("a.pdf", pdf()) + SLIP, HEADERS, "no-file"),
    "no file": (f"--{BOUNDARY}--\r\n".encode(), HEADERS, "no-file"),
    "nothing": (b"", HEADERS, "no-file"),
    "another field": (*form("slip.pdf", pdf(), "upload"), "no-file"),
    "a text": (*form(None, pdf()), "no-file"),
    "a text beside it": (piece(None, b"x", "name") + SLIP, HEADERS, "no-file"),
    "no end": (*form("slip.pdf", pdf(), end=False), "no-file"),
    "cut within": (SLIP[:120], HEADERS, "no-file"),
    "another boundary": (SLIP, {"Content-Type": "multipart/form-data; boundary=x"}, "no-file"),
    "no boundary": (SLIP, {"Content-Type": "multipart/form-data"}, "no-file"),
    "no form": (pdf(), {"Content-Type": "application/pdf"}, "no-file"),
    "a form of texts": (b"file=x", {"Content-Type": "application/x-www-form-urlencoded"}, "no-file"),
    "json": (b'{"file": "x"}', {"Content-Type": "application/json"}, "no-file"),
    "a long head": (b"--" + BOUNDARY.encode() + b"\r\nX: " + b"x" * 200_000 + b"\r\n\r\nx", HEADERS, "no-file"),
    "many parts": (piece(None, b"", "a") * 50_000, HEADERS, "no-file"),
    "far too long": (form("slip.pdf", b"x" * (17 << 20))[0], HEADERS, "body-too-large"),
}  # fmt: skip


class TestHostileForm:
    @pytest.mark.parametrize("what", FORMS)
    async def test_is_refused_and_leaves_nothing(self, scanned: Help, what: str) -> None:
        body, headers, says = FORMS[what]
        before = on_disk(scanned)
        async with scanned.contact(await scanned.acme()) as ann:
            answer = await post(ann, body, headers)
        assert (answer.status_code in (413, 415, 422), said(answer)) == (True, says), answer.text
        assert says != "no-file" or answer.json()["errors"][0]["field"] == "file"
        assert on_disk(scanned) == before

    @pytest.mark.parametrize("length", [len(SLIP) + 1_000, 40])
    async def test_of_wrong_length_leaves_nothing(self, scanned: Help, length: int) -> None:
        """Longer than it says, or cut off amid its way."""
        before, place = on_disk(scanned), urlsplit(scanned.url)
        async with scanned.contact(await scanned.acme()) as ann:
            token = ann.headers["authorization"]
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: {length}\r\n"
            writer.write(head.encode() + f"Content-Type: {HEADERS['Content-Type']}\r\n\r\n".encode() + SLIP)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            assert b" 201 " not in answer.partition(b"\r\n")[0]
            again = await post(ann, SLIP, HEADERS)  # the service goes on
            assert again.status_code == 201
        rows = await scanned.running.pool.fetch("SELECT place, state FROM files")
        assert on_disk(scanned).keys() == {row["place"] for row in rows}
        assert len(on_disk(scanned)) == len(before) + 1
