"""Mails as the catcher of a stack shows them, and the records of auth that cause some."""

from __future__ import annotations

import asyncio
import email.message
import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwe
from joserfc.jwk import OKPKey

from notify.sealed import ALGORITHMS
from tests.kit.client import SECONDS

Mail = dict[str, Any]


class Catcher:
    """The inbox of a stack, at `PAIDUP_MAIL_URL`."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def mails(self, to: str | None = None) -> list[Mail]:
        """Newest first; of one address, if it is given."""
        query = f"?{urllib.parse.urlencode({'to': to})}" if to else ""
        return list((await self._ask("GET", f"/api/messages{query}"))["items"])

    async def until(self, to: str | None, holds: Callable[[list[Mail]], bool], seconds: float = SECONDS) -> list[Mail]:
        """The mails of an address once they hold; the last ones stand in the failure."""
        end = asyncio.get_running_loop().time() + seconds
        while not holds(found := await self.mails(to)):
            assert asyncio.get_running_loop().time() < end, [(one["to"], one["subject"]) for one in found]
            await asyncio.sleep(0.05)
        return found

    async def newest(self, to: str, words: str = "", seconds: float = SECONDS) -> Mail:
        """The newest mail to an address with these words in its subject, once there is one."""
        found = await self.until(to, lambda mails: any(words in one["subject"] for one in mails), seconds)
        return next(one for one in found if words in one["subject"])

    async def set_there(self, there: bool) -> None:
        """Have the mail server go away, or come back."""
        await self._ask("PUT", "/api/smtp", {"there": there})

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)

        def read() -> bytes:
            with urllib.request.urlopen(request) as answer:
                return bytes(answer.read())

        text = await asyncio.to_thread(read)
        return json.loads(text) if text else None


def sealed(public_key: Mapping[str, Any], **texts: str) -> str:
    """Texts as auth seals them to notify."""
    key = OKPKey.import_key(dict(public_key))
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key.kid}
    return jwe.encrypt_compact(header, json.dumps(texts).encode(), key, algorithms=ALGORITHMS)


def parts_of(message: email.message.EmailMessage) -> tuple[str, str]:
    """The text and the HTML of a mail."""
    plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    return str(plain.get_content()), str(html.get_content())
