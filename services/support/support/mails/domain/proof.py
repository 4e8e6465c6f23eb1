"""What the mail server that received a mail found out about its sender (RFC 8601)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import authres

Proof = Literal["good", "forged", "missing"]
FAILED = frozenset({"fail", "softfail", "hardfail", "permerror"})


def proof(headers: Sequence[str], server: str, sender: str) -> Proof:
    """`server`: whose results count; it removes those that others wrote under its name.

    `missing`: that server looked at nothing, or could not: the mail may come again. DMARC decides if there is a result
    of it. Else SPF or DKIM of the sender's own domain may prove it, or one that failed may disprove it.

    >>> proof(["mx.example; dmarc=fail header.from=a.example"], "mx.example", "ann@a.example")
    'forged'
    >>> proof(["other.example; dmarc=fail"], "mx.example", "ann@a.example")
    'missing'
    """
    found = [one for text in headers for one in _results(text, server)]
    if not found:
        return "missing"
    dmarc = {one.result for one in found if one.method == "dmarc"}
    if dmarc & FAILED:
        return "forged"
    if "pass" in dmarc:
        return "good"
    checked = [one for one in found if one.method in ("spf", "dkim")]
    domain = sender.rpartition("@")[2]
    if any(one.result == "pass" and _is_of(one, domain) for one in checked):
        return "good"
    if any(one.result in FAILED for one in checked):
        return "forged"
    return "missing" if any(one.result == "temperror" for one in found) else "good"


def _results(text: str, server: str) -> list[authres.AuthenticationResult]:
    try:
        read = authres.AuthenticationResultsHeader.parse_value(" ".join(text.split()))
    except authres.AuthResError:
        return []
    return list(read.results) if (read.authserv_id or "").lower() == server.lower() else []


def _is_of(result: authres.AuthenticationResult, domain: str) -> bool:
    """Whether the proven domain is the sender's, or one above or below it."""
    proven = [
        str(one.value).rpartition("@")[2].lower() for one in result.properties if one.name in ("mailfrom", "d", "i")
    ]
    return any(one and (one == domain or one.endswith(f".{domain}") or domain.endswith(f".{one}")) for one in proven)
