"""A customer's and an operator's way through the public API."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import aiohttp

from contracts.ids import new_id

UNHEARD, AGAIN = {"unknown-customer", "unknown-invoice", "not-found"}, {"not-yet-here", "request-in-progress"}
ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECONDS = 60.0  # what has not come by then will not come; a busy machine needs several for a payment


def slug(answer: Any) -> str:
    """What kind of problem an answer is, as the last part of its type; empty if it is none."""
    return str(answer.get("type", "").rpartition(":")[2]) if isinstance(answer, dict) else ""


def parts(allocations: list[Any]) -> list[tuple[str, int]]:
    """The invoices and minor units of a payment's or a quote's parts."""
    return [(part["invoice_id"], part["amount_minor"]) for part in allocations]


class Client:
    """Speaks to one gateway with one key. Answers are (status, body); `headers` holds those of the last answer."""

    def __init__(self, url: str, key: str | None, machine: str | None = None) -> None:
        """`machine`: the address that it comes from, one of this machine's own."""
        self._url, self._key = url, key
        self._from = (machine, 0) if machine else None
        self.headers: Mapping[str, str] = {}
        self._made: dict[str, str] = {}

    async def __aenter__(self) -> Client:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        connector = aiohttp.TCPConnector(limit=200, local_addr=self._from)
        self._session = aiohttp.ClientSession(headers=headers, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **more: str
    ) -> tuple[int, Any]:
        sent = {**(headers or {}), **more}
        async with self._session.request(method, self._url + path, json=body, headers=sent) as answer:
            self.headers = answer.headers
            if "Paidup-Seen" in answer.headers:
                self._made[answer.headers["Paidup-Seen"].partition(":")[0]] = answer.headers["Paidup-Seen"]
            read = await answer.json() if "json" in answer.content_type else await answer.text()
            return answer.status, read

    async def heard(self, path: str, *ids: str) -> None:
        """Return once the service of this path has heard of the newest change that was made here to each of these."""
        async with asyncio.timeout(SECONDS):
            for one in ids:
                answer = {"type": ":not-yet-here"}
                while slug(answer) == "not-yet-here":  # it waits two seconds
                    status, answer = await self.ask("GET", path, **{"Paidup-Seen": self._made.get(one, f"{one}:1")})
                assert status == 200, (status, answer)

    async def upload(self, path: str, body: bytes) -> tuple[int, Any]:
        """Send a file as it is."""
        headers = {"Content-Type": "application/octet-stream"}
        async with self._session.post(self._url + path, data=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def send_file(self, name: str, content: bytes) -> str:
        """Send a file that is attached to something later; its id."""
        form = aiohttp.FormData(quote_fields=False)  # names go as browsers send them
        form.add_field("file", io.BytesIO(content), filename=name)
        async with self._session.post(f"{self._url}/v1/files", data=form) as answer:
            sent = await answer.json()
            assert answer.status == 201, sent
            return str(sent["id"])

    async def get(self, path: str) -> Any:
        status, body = await self.ask("GET", path)
        assert status == 200, (status, body)
        return body

    async def make(
        self, path: str, body: Any = None, *, expect: tuple[int, ...] = (200, 201, 202), key: str | None = None
    ) -> Any:
        """Ask for it, and again when told to. What was made here a moment ago is waited for until it is heard of."""
        headers = {"Idempotency-Key": key} if key else {}
        named = (self._made[one] for one in ID.findall(f"{path} {body}") if one in self._made)
        end = asyncio.get_running_loop().time() + SECONDS
        status, answer = await self.ask("POST", path, body, **headers)
        while status not in expect and asyncio.get_running_loop().time() < end:
            if slug(answer) in UNHEARD and (seen := next(named, None)):
                headers["Paidup-Seen"] = seen
            elif slug(answer) not in AGAIN:
                break
            else:
                await asyncio.sleep(0.1)
            status, answer = await self.ask("POST", path, body, **headers)
        assert status in expect, (status, answer)
        return answer

    async def until(self, path: str, holds: Callable[[Any], bool], seconds: float = SECONDS) -> Any:
        """The answer once it holds; the last one stands in the failure."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            body = await self.get(path)
            if holds(body):
                return body
            assert asyncio.get_running_loop().time() < end, body
            await asyncio.sleep(0.02)

    # --- in the words of the business

    async def customer(self, **more: Any) -> str:
        body = {"external_id": f"C-{new_id()}", "name": "Acme Corp", **more}
        return str((await self.make("/v1/customers", body))["id"])

    async def customer_with_contact(self, name: str, email: str) -> str:
        """A customer whose first contact, with this address, can sign in."""
        customer = await self.customer(name=name, email=email)
        await self.until(f"/v1/contacts?customer_id={customer}", lambda found: found["items"])
        return customer

    async def invoice(self, customer_id: str, minor: int = 10_000, **more: Any) -> str:
        body = {
            "customer_id": customer_id,
            "number": f"INV-{new_id()}",
            "currency": "USD",
            "issued_on": "2026-01-02",
            "due_on": "2026-02-01",
            "lines": [{"description": "Subscription", "quantity": 1, "unit_price_minor": minor}],
            **more,
        }
        return str((await self.make("/v1/invoices", body))["id"])

    async def method(self, customer_id: str, token: str = "pm_card_visa") -> str:
        body = {"provider_token": token, "accept_terms": True}
        return str((await self.make(f"/v1/customers/{customer_id}/payment-methods", body))["id"])

    async def quote(self, customer_id: str, method_id: str, *invoices: str | tuple[str, int]) -> Any:
        wishes = [
            {"invoice_id": i} if isinstance(i, str) else {"invoice_id": i[0], "amount_minor": i[1]} for i in invoices
        ]
        body = {"customer_id": customer_id, "method_id": method_id, "invoices": wishes}
        return await self.make("/v1/quotes", body)

    async def until_quoted(self, customer_id: str, holds: Callable[[Any], bool], **choice: Any) -> Any:
        """The answer to a wish for a quote, once it holds: then payments has heard of what changed elsewhere."""
        end = asyncio.get_running_loop().time() + SECONDS
        while True:
            _, answer = await self.ask("POST", "/v1/quotes", {"customer_id": customer_id, **choice})
            if holds(answer):
                return answer
            assert asyncio.get_running_loop().time() < end, answer
            await asyncio.sleep(0.02)

    async def pay(self, quote: Any, *, accept: bool | None = True, key: str | None = None) -> Any:
        body = {"quote_id": quote["id"], "accept_surcharge": accept}
        return await self.make("/v1/payments", body, key=key or new_id())

    async def receive(self, customer_id: str, minor: int, *invoices: str, key: str | None = None, **more: Any) -> Any:
        body = {
            "customer_id": customer_id,
            "amount_minor": minor,
            "currency": "USD",
            "received_on": "2026-03-01",
            "reference": "cheque",
            "invoices": [{"invoice_id": i} for i in invoices],
            **more,
        }
        return await self.make("/v1/payments/offline", body, key=key or new_id())

    async def refund(self, payment_id: str, minor: int | None = None, key: str | None = None, **more: Any) -> Any:
        body = {"reason": "goods came back", **({"amount_minor": minor} if minor else {}), **more}
        return await self.make(f"/v1/payments/{payment_id}/refunds", body, key=key or new_id())

    async def paid(self, invoice_id: str, seconds: float = SECONDS) -> Any:
        return await self.until(f"/v1/invoices/{invoice_id}", lambda invoice: invoice["status"] == "paid", seconds)
