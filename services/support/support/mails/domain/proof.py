"""What the mail server that received a mail found out about its sender (RFC 8601)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import authres

Proof = Literal["good", "forged", "missing"]
FAILED = frozenset({"fail", "softfail", "hardfail", "permerror"})


def proof(headers: Sequence[str], server: str, sender: str) -> Proof:
    """`server`: whose results count; it removes those that others wrote under its name.

    DMARC decides if it failed, or passed for the sender's domain; if it names another one, whatever its result, the
    server read another author than we did: `forged`. Without DMARC, SPF or DKIM that passed for the sender's own domain
    proves the mail. Without such a proof, a check that failed, or that passed for other domains alone, means `forged`.
    If no check passed or failed, as with "none", nothing speaks against the mail: `good`.

    `missing`: that server looked at nothing, could not look, wrote what can't be read, or does not say for which domain
    a check passed. The mail may come again.

    >>> proof(["mx.example; dmarc=fail header.from=a.example"], "mx.example", "ann@a.example")
    'forged'
    >>> proof(["mx.example; spf=pass smtp.mailfrom=eve@b.example"], "mx.example", "ann@a.example")
    'forged'
    >>> proof(["other.example; dmarc=fail"], "mx.example", "ann@a.example")
    'missing'
    """
    read = [_results(text, server) for text in headers]
    found = [one for results in read for one in results or ()]
    domain = sender.rpartition("@")[2].lower()
    dmarc = [one for one in found if one.method == "dmarc"]
    authors = {author for one in dmarc for author in _values(one, "from")}
    if any(one.result in FAILED for one in dmarc) or authors - {domain}:
        return "forged"
    if not found or None in read:
        return "missing"
    if any(one.result == "pass" and _values(one, "from") for one in dmarc):
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


def _results(text: str, server: str) -> list[authres.AuthenticationResult] | None:
    """None: they are of this server, and can't be read. Its name may be followed by a version."""
    head = re.match(rf'(?:\s|\([^()]*\))*"?{re.escape(server)}"?(?=[\s;(]|$)(?:(?:\s|\([^()]*\))*\d+)?', text, re.I)
    if head is None:
        return []  # of others, who may write as much as they like
    rest = " ".join(text[head.end() :].split()).rstrip("; ")
    try:
        return list(authres.AuthenticationResultsHeader.parse_value(f"{server}{rest}").results)
    except authres.AuthResError:
        return None


def _proven(result: authres.AuthenticationResult) -> list[str]:
    """The domains that a check was about."""
    return _values(result, "mailfrom", "d", "i")


def _values(result: authres.AuthenticationResult, *names: str) -> list[str]:
    values = [str(one.value) for one in result.properties if one.name in names]
    return [found for value in values if (found := value.rpartition("@")[2].lower())]


def _is_of(result: authres.AuthenticationResult, domain: str) -> bool:
    """Whether the proven domain is the sender's, or one above or below it."""
    return any(one == domain or one.endswith(f".{domain}") or domain.endswith(f".{one}") for one in _proven(result))
