"""What a browser sends: Paidup's cookies, and the signs that a request comes from one of Paidup's own pages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from chassis.http.problems import Problem
from contracts.auth import BROWSER_COOKIE, SESSION_COOKIE, VISIT_COOKIE
from gateway.client import Headers

SESSION, VISIT, BROWSER = SESSION_COOKIE.encode(), VISIT_COOKIE.encode(), BROWSER_COOKIE.encode()
NAMES = frozenset({SESSION, VISIT, BROWSER})
KEY_STARTS = (b"paidup_sk_", b"pk_")  # older keys begin with `pk_`
LONGEST = 200  # bytes of a key or of a cookie's value
SAFE_METHODS = frozenset({"GET", "HEAD"})

Cookies = Mapping[bytes, bytes]
NONE: Cookies = {}


def key_of(headers: Headers) -> bytes | None:
    """The API key of `Authorization: Bearer`; None when there is none, or something else stands there."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.strip().partition(b" ")
            if scheme.lower() == b"bearer" and key.startswith(KEY_STARTS) and len(key) <= LONGEST:
                return key.strip()
    return None


def cookies_of(headers: Headers) -> Cookies:
    """Paidup's cookies; of two with one name the first, which a browser sends for the longer path."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name == b"cookie":
            for part in value.split(b";"):
                cookie, _, text = part.strip().partition(b"=")
                if cookie in NAMES and 0 < len(text) <= LONGEST:
                    found.setdefault(cookie, text)
    return found


def cookies_that_count(method: str, headers: Headers, public: str | None = None, *, visit: bool = False) -> Cookies:
    """The cookies of a request that no foreign page caused. Beside an API key none count, but for a visit's."""
    if not visit and key_of(headers) is not None:
        return NONE
    cookies = cookies_of(headers)
    check_source(method, headers, cookies, public)
    return cookies


def check_source(method: str, headers: Headers, cookies: Cookies, public: str | None = None) -> None:
    """Refuse what a foreign page can make a browser send: a 403 problem. `public`: the origin of Paidup's pages.

    A browser adds cookies to a request by itself, but lets no foreign page add `Paidup-CSRF`. `Origin` and
    `Sec-Fetch-Site` are looked at without cookies too, so that no foreign page signs a browser in.
    """
    if method in SAFE_METHODS:
        return
    sent = dict(headers)
    if cookies and sent.get(b"paidup-csrf") != b"1":
        raise _csrf("Send the header Paidup-CSRF: 1 with every request that changes something by a cookie.")
    site, origin = sent.get(b"sec-fetch-site"), sent.get(b"origin")
    own = origin is None or origin.decode("latin-1") == public or origin.partition(b"://")[2] == sent.get(b"host")
    if site not in (None, b"same-origin", b"none") or not own:
        raise _csrf("This request comes from a page of another site.")


def origin_of(url: str) -> str | None:
    """
    >>> origin_of("https://pay.example.com/"), origin_of("")
    ('https://pay.example.com', None)
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else None


def _csrf(detail: str) -> Problem:
    return Problem(status=403, slug="csrf", title="The request is not from a page of ours", detail=detail)


def cleared(name: bytes, path: str) -> str:
    """The header `Set-Cookie` that makes a browser forget a cookie."""
    return f"{name.decode()}=; Max-Age=0; Path={path}; Secure; HttpOnly; SameSite=Lax"
