"""A small JSON client for the stack's own addresses, on the standard library so that the command starts fast."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from paidup_local.errors import StackError


def call(
    method: str, url: str, *, key: str = "", body: object = None, seconds: float = 30, once: str | None = None
) -> object:
    """The decoded answer; a refusal or an unreachable address is a StackError that says what and why.

    `once`: the Idempotency-Key.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if once:
        headers["Idempotency-Key"] = once
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            text = answer.read()
    except urllib.error.HTTPError as refusal:
        raise StackError(f"{method} {url} was answered with {refusal.code}: {_reason(refusal.read())}") from None
    except OSError as problem:
        raise StackError(f"{url} does not answer: {problem}.", "is the stack up? See `paidup status`.") from None
    return json.loads(text) if text.strip() else None


def _reason(text: bytes) -> str:
    try:
        problem = json.loads(text)
    except ValueError:
        return text.decode(errors="replace")[:500]
    if isinstance(problem, Mapping):
        words = [str(problem[name]) for name in ("title", "detail") if problem.get(name)]
        return ": ".join(words) or json.dumps(problem)
    return str(problem)
