"""Links of downloads: whoever has one may download that file for some minutes."""

from __future__ import annotations

import hmac
import time
from typing import Literal

MINUTES = 5


class Signer:
    """Signs paths, with the instant at which they end, in real time."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def link(self, path: str, now: float | None = None) -> str:
        until = int(time.time() if now is None else now) + 60 * MINUTES
        return f"{path}?until={until}&signature={self._sign(path, str(until))}"

    def check(self, path: str, until: str, signature: str) -> Literal["good", "ended", "forged"]:
        if not hmac.compare_digest(self._sign(path, until).encode(), signature.encode()):
            return "forged"
        return "good" if int(until) > time.time() else "ended"

    def _sign(self, path: str, until: str) -> str:
        return hmac.digest(self._secret, f"download\n{path}\n{until}".encode(), "sha256").hex()
