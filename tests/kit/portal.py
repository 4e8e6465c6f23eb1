"""A browser without pages: it keeps the cookies of a stack, and asks as the portal does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any

import aiohttp

from tests.kit.mails import Catcher, Mail

CODE = re.compile(r"\b[0-9]{6}\b")


def codes_in(mails: list[Mail]) -> list[Mail]:
    """Those of the mails that hold a code, the newest first; other mails may come in between."""
    return [mail for mail in mails if "code" in mail["subject"]]


async def newest_code(catcher: Catcher, email: str, before: int) -> str:
    """The code of the newest mail to the address, once there are more mails with codes than before."""
    mails = await catcher.until(email, lambda found: len(codes_in(found)) > before)
    code = CODE.search(codes_in(mails)[0]["text"])
    assert code is not None
    return code[0]


class Browser:
    """Answers are (status, body). `visit`: the path of a visit, as /as/<grant>/, below which it asks."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session
        self.cookies: dict[str, str] = {}
        self.visit = "/"

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        sent = {"Paidup-CSRF": "1", "Origin": self._url, "Sec-Fetch-Site": "same-origin", **(headers or {})}
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        address = self._url + self.visit.rstrip("/") + path
        async with self._session.request(method, address, json=body, headers=sent) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                for name, cookie in SimpleCookie(line).items():
                    self.cookies[name] = cookie.value
            return answer.status, json.loads(await answer.text() or "null")

    async def sign_in(self, email: str, catcher: Catcher) -> Any:
        """By a code that is read in the mail: the session as the browser sees it."""
        before = len(codes_in(await catcher.mails(email)))
        status, answer = await self.ask("POST", "/v1/sign-in/codes", {"email": email})
        assert status == 202, answer
        code = await newest_code(catcher, email, before)
        status, answer = await self.ask("POST", "/v1/sign-in/codes/verify", {"code": code})
        assert status == 200, answer
        return answer

    async def look_as(self, customer_id: str) -> tuple[Browser, str]:
        """As one of the company's people: a customer's portal, and the id of the visit."""
        wish = {"customer_id": customer_id, "reason": "They asked about an invoice"}
        status, answer = await self.ask("POST", "/v1/visits", wish)
        assert status == 201, answer
        visiting = Browser(self._url, self._session)
        visiting.cookies, visiting.visit = dict(self.cookies), answer["path"]
        return visiting, answer["id"]
