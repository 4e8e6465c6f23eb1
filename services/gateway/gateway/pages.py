"""The portal's pages as `make up` built them (services/gateway/web): files from memory, compressed ahead."""

from __future__ import annotations

import functools
import hashlib
import pathlib
import re
from dataclasses import dataclass

from starlette.types import Scope, Send

from chassis.http.problems import unavailable
from gateway.client import Headers

BUILT = pathlib.Path(__file__).parent / "portal"
MEDIA_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
}
ENCODINGS = ((b"br", ".br"), (b"gzip", ".gz"))
FOREVER, ASK_FIRST = b"public, max-age=31536000, immutable", b"no-cache"
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
VISIT = re.compile(r"/as/[0-9a-f-]{36}(?=/|$)")
NOT_PAGES = ("/v1/", "/assets/")


@dataclass(frozen=True, slots=True)
class File:
    """`bodies` by encoding; an empty name is the plain one."""

    media_type: bytes
    bodies: dict[bytes, bytes]
    tag: bytes
    kept: bytes

    @classmethod
    def read(cls, path: pathlib.Path) -> File:
        plain = path.read_bytes()
        bodies = {name: pathlib.Path(f"{path}{end}").read_bytes() for name, end in ENCODINGS}
        tag = b'"%b"' % hashlib.sha256(plain).hexdigest()[:20].encode()
        kept = FOREVER if path.parent.name == "assets" else ASK_FIRST
        return cls(MEDIA_TYPES[path.suffix], {**bodies, b"": plain}, tag, kept)


@functools.cache
def files() -> dict[str, File]:
    """By path; hashed names are kept for ever by browsers. Empty when nothing is built."""
    built = (path for path in BUILT.rglob("*") if path.suffix in MEDIA_TYPES)
    return {f"/{path.relative_to(BUILT).as_posix()}": File.read(path) for path in built}


def find_page(path: str, accepted: bytes) -> File | None:
    """The file at a path. A browser gets the portal for each path outside the API, and the portal draws that page."""
    path = VISIT.sub("", path)
    found = files().get(path)
    if found is None and not path.startswith(NOT_PAGES) and b"text/html" in accepted:
        found = files().get("/index.html")
        if found is None:
            raise unavailable("The portal's pages are not built. Run `make up` in the project.", retry_after=60)
    return found


async def send_page(file: File, scope: Scope, send: Send) -> None:
    headers = dict(scope["headers"])
    encoding = _encoding(headers.get(b"accept-encoding", b""))
    answered: Headers = [
        (b"etag", file.tag),
        (b"cache-control", file.kept),
        (b"vary", b"accept-encoding"),
    ]
    if headers.get(b"if-none-match") == file.tag:
        await send({"type": "http.response.start", "status": 304, "headers": answered})
        await send({"type": "http.response.body", "body": b""})
        return
    body = file.bodies[encoding]
    answered += [(b"content-type", file.media_type), (b"content-length", str(len(body)).encode())]
    answered += [(b"content-security-policy", POLICY), (b"referrer-policy", b"same-origin")]
    answered += [(b"content-encoding", encoding)] if encoding else []
    await send({"type": "http.response.start", "status": 200, "headers": answered})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _encoding(accepted: bytes) -> bytes:
    """
    >>> _encoding(b"gzip, deflate, br"), _encoding(b"gzip;q=1.0"), _encoding(b"identity")
    (b'br', b'gzip', b'')
    """
    names = {part.split(b";")[0].strip() for part in accepted.split(b",") if b"q=0" not in part.replace(b"q=0.", b"")}
    return next((name for name, _ in ENCODINGS if name in names), b"")
