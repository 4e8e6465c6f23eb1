"""What the mail server that received a mail found out about its sender (RFC 8601)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import authres

Proof = Literal["good", "forged", "missing"]
FAILED = frozenset({"fail", "softfail", "hardfail", "permerror"})


def proof(headers: Sequence[str], server: str, sender: str) -> Proof:
    """`server`: whose results count; it removes those that others wrote under its name.

    DMARC decides if it failed, or passed for the sender's domain; if it passed for another one, the server read another
    author than we did: `forged`. Without DMARC, SPF or DKIM that passed for the sender's own domain proves the mail.
    Without such a proof, a check that failed, or that passed for other domains alone, means `forged`. If no check
    passed or failed, as with "none", nothing speaks against the mail: `good`.

    `missing`: that server looked at nothing, could not look, or does not say for which domain a check passed. The mail
    may come again.

    >>> proof(["mx.example; dmarc=fail header.from=a.example"], "mx.example", "ann@a.example")
    'forged'
    >>> proof(["mx.example; spf=pass smtp.mailfrom=eve@b.example"], "mx.example", "ann@a.example")
    'forged'
    >>> proof(["other.example; dmarc=fail"], "mx.example", "ann@a.example")
    'missing'
    """
    found = [one for text in headers for one in _results(text, server)]
    if not found:
        return "missing"
    domain = sender.rpartition("@")[2].lower()
    dmarc = [one for one in found if one.method == "dmarc"]
    authors = {author for one in dmarc if one.result == "pass" for author in _values(one, "from")}
    if any(one.result in FAILED for one in dmarc) or authors - {domain}:
        return "forged"
    if authors:
        return "good"
    checked = [one for one in found if one.method in ("spf", "dkim")]
    if any(one.result == "pass" and _is_of(one, domain) for one in checked):
        return "good"
    if any(one.result in FAILED for one in checked):
        return "forged"
    passed = [one for one in checked if one.result == "pass"]
    if any(one.result == "temperror" for one in found) or not all(map(_proven, passed)):
        return "missing"
    return "forged" if passed else "good"


def _results(text: str, server: str) -> list[authres.AuthenticationResult]:
    if server.lower() not in text.partition(";")[0].lower():
        return []  # of others, who may write as much as they like
    try:
        read = authres.AuthenticationResultsHeader.parse_value(" ".join(text.split()))
    except authres.AuthResError:
        return []
    return list(read.results) if (read.authserv_id or "").lower() == server.lower() else []


def _proven(result: authres.AuthenticationResult) -> list[str]:
    """The domains that a check was about."""
    return _values(result, "mailfrom", "d", "i")


def _values(result: authres.AuthenticationResult, *names: str) -> list[str]:
    values = [str(one.value) for one in result.properties if one.name in names]
    return [found for value in values if (found := value.rpartition("@")[2].lower())]


def _is_of(result: authres.AuthenticationResult, domain: str) -> bool:
    """Whether the proven domain is the sender's, or one above or below it."""
    return any(one == domain or one.endswith(f".{domain}") or domain.endswith(f".{one}") for one in _proven(result))
