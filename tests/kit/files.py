"""Files as people send them, and as attackers do."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
PAGE = b"<!DOCTYPE html><html><body><script>alert(document.domain)</script></body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>'
SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
DOCUMENTS = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
BOUNDARY = "paidup-test-boundary"


def pdf(words: bytes = b"A slip") -> bytes:
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Note (" + words + b") >>\nendobj\nstartxref\n9\n%%EOF\n"


def part(name: bytes, body: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(text: bytes = b"", size: tuple[int, int] = (1, 1)) -> bytes:
    head = part(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    note = part(b"tEXt", b"Comment\0" + text) if text else b""
    return b"\x89PNG\r\n\x1a\n" + head + note + part(b"IDAT", zlib.compress(b"\0\0")) + part(b"IEND", b"")


def jpeg(text: bytes = b"") -> bytes:
    note = b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text if text else b""
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" + note
    return head + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\x34\x56" * 50 + b"\xff\xd9"


def webp(text: bytes = b"") -> bytes:
    body = b"WEBPVP8L" + struct.pack("<I", 10) + b"\x2f" + b"\0" * 9
    body += (b"XMP " + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)) if text else b""
    return b"RIFF" + struct.pack("<I", len(body)) + body


def zipped(entries: Mapping[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packed) as archive:
        for name, body in entries.items():
            archive.writestr(name, body)
    return made.getvalue()


def types(main: str) -> bytes:
    return (
        '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="/main.xml" ContentType="{main}"/></Types>'
    ).encode()


def office(main: str = SHEETS, **more: bytes) -> bytes:
    """`more`: parts by their names, with `__` for a slash and `_` for a dot before the ending."""
    parts = {name.replace("__", "/").replace("_", "."): body for name, body in more.items()}
    return zipped({"[Content_Types].xml": types(main), "xl/sheet1.xml": b"<row>12</row>" * 400, **parts})


def zip64(archive: bytes) -> bytes:
    """The same with the end that some programs write always, also where the archive is small."""
    end = len(archive) - 22
    count, length, at = struct.unpack("<10xHII", archive[end : end + 20])
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, length, at)
    return archive[:end] + record + b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1) + archive[end:]


def open_document(kind: str = "spreadsheet") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        mimetype = f"application/vnd.oasis.opendocument.{kind}"
        archive.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        archive.writestr("content.xml", "<office:document-content/>")
    return made.getvalue()


def form(
    name: str | None, content: bytes, field: str = "file", *, end: bool = True, boundary: str = BOUNDARY
) -> tuple[bytes, dict[str, str]]:
    """The body of a form with one file, as a browser sends it, and its headers."""
    body = piece(name, content, field, boundary) + (f"--{boundary}--\r\n".encode() if end else b"")
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def piece(name: str | None, content: bytes, field: str = "file", boundary: str = BOUNDARY) -> bytes:
    named = "" if name is None else '; filename="' + name.replace('"', "%22") + '"'
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{named}\r\nContent-Type: image/png\r\n\r\n'
    return head.encode(errors="surrogatepass") + content + b"\r\n"
