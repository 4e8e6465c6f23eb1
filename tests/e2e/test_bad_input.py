"""What can't be accepted is refused with a problem that says what and where, and nothing is half-done."""

import asyncio
import json
from typing import Any

import aiohttp
import psutil
import pytest

from contracts.ids import new_id
from tests.kit.client import Client, slug
from tests.kit.stack import LocalStack

NOBODY = "01912d68-783e-7a03-8467-5661c1243ad4"
JSON = "application/json"


async def refused(stack: LocalStack, path: str, body: Any, media_type: str = JSON) -> tuple[int, str, dict[str, Any]]:
    """Status, slug and the problem."""
    headers = {
        "Authorization": f"Bearer {stack.api_key}", "Content-Type": media_type, "Idempotency-Key": new_id(),
    }  # fmt: skip
    async with (
        aiohttp.ClientSession() as session,
        session.post(stack.url + path, data=body, headers=headers) as answer,
    ):
        assert answer.content_type == "application/problem+json", await answer.text()
        problem = await answer.json()
        assert problem["status"] == answer.status
        return answer.status, problem["type"].rsplit(":", 1)[1], problem


def receipt(customer: str, **more: Any) -> str:
    return json.dumps(
        {"customer_id": customer, "amount_minor": 100, "currency": "USD", "received_on": "2026-03-01", **more}
    )


async def nothing_came(client: Client, customer: str) -> None:
    """The customer has no money here."""
    aging = await client.get(f"/v1/customers/{customer}/aging")
    assert all(one["credits_minor"] == 0 for one in aging["currencies"])


class TestFields:
    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"amount_minor": 0}, "amount_minor"),
            ({"amount_minor": -100}, "amount_minor"),
            ({"amount_minor": 99.5}, "amount_minor"),
            ({"amount_minor": 100.0}, "amount_minor"),
            ({"amount_minor": "100"}, "amount_minor"),
            ({"amount_minor": True}, "amount_minor"),
            ({"amount_minor": 2**63}, "amount_minor"),
            ({"amount_minor": 2**64 + 100}, "amount_minor"),
            ({"currency": "usd"}, "currency"),
            ({"currency": "XYZ"}, "currency"),
            ({"received_on": "2026-02-30"}, "received_on"),
            ({"received_on": "0001-01-01"}, "received_on"),
            ({"received_on": "9999-12-31"}, "received_on"),
            ({"reference": "nul \x00"}, "reference"),
            ({"reference": "lone \ud800"}, "reference"),
            ({"reference": "x" * 201}, "reference"),
            ({"customer_id": NOBODY}, "customer_id"),
            ({"customer_id": "\x00"}, "customer_id"),
            ({"invoices": [{"invoice_id": NOBODY}]}, "invoices.0.invoice_id"),
            ({"invoices": [{"invoice_id": NOBODY, "amount_minor": 101}]}, "invoices"),
            ({"invoices": [{"invoice_id": NOBODY}] * 2}, "invoices"),
            ({"invoices": [{"invoice_id": NOBODY}] * 1_001}, "invoices"),
            ({"invoices": [{"invoice_id": NOBODY, "amount_minor": -1}]}, "invoices.0.amount_minor"),
            ({"discount_minor": 5}, "discount_minor"),
        ],
    )
    async def test_receipt_names_the_field(
        self, client: Client, stack: LocalStack, change: dict[str, Any], field: str
    ) -> None:
        customer = await client.customer()
        await client.heard("/v1/payments", customer)
        status, _, problem = await refused(stack, "/v1/payments/offline", receipt(customer, **change))
        assert (status, [error["field"] for error in problem["errors"]]) == (422, [field])
        await nothing_came(client, customer)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"currency": "ZZZ"}, "currency"),
            ({"due_on": "2025-12-31"}, "due_on"),
            ({"due_on": "9999-12-31"}, "due_on"),
            ({"number": "nul \x00"}, "number"),
            ({"number": ""}, "number"),
            ({"lines": []}, "lines"),
            ({"lines": [{"description": "a", "unit_price_minor": -5}]}, "lines"),
            ({"lines": [{"description": "a", "unit_price_minor": 0.5}]}, "lines.0.unit_price_minor"),
            ({"lines": [{"description": "a", "unit_price_minor": 2**63}]}, "lines.0.unit_price_minor"),
            ({"lines": [{"description": "a", "unit_price_minor": 5, "quantity": "1e400"}]}, "lines.0.quantity"),
            ({"lines": [{"description": "a", "unit_price_minor": 5, "quantity": "NaN"}]}, "lines.0.quantity"),
            ({"lines": [{"description": "a", "unit_price_minor": 5, "tax_rate": "-0.1"}]}, "lines.0.tax_rate"),
            ({"lines": [{"description": "\ud800", "unit_price_minor": 5}]}, "lines.0.description"),
            ({"customer_id": NOBODY}, "customer_id"),
        ],
    )
    async def test_invoice_names_the_field(
        self, client: Client, stack: LocalStack, change: dict[str, Any], field: str
    ) -> None:
        customer = await client.customer()
        body = {
            "customer_id": customer, "number": f"I-{new_id()}", "currency": "USD", "issued_on": "2026-01-02",
            "due_on": "2026-02-01", "lines": [{"description": "a", "unit_price_minor": 100}], **change,
        }  # fmt: skip
        status, _, problem = await refused(stack, "/v1/invoices", json.dumps(body))
        assert (status, [error["field"] for error in problem["errors"]]) == (422, [field])
        assert (await client.get(f"/v1/invoices?customer_id={customer}"))["items"] == []

    async def test_quote_names_the_invoice(self, client: Client, stack: LocalStack) -> None:
        customer, other = await client.customer(), await client.customer()
        method = await client.method(customer, "pm_card_visa_debit")
        good, void, paid = [await client.invoice(customer) for _ in range(3)]
        euros, theirs = await client.invoice(customer, currency="EUR"), await client.invoice(other)
        await client.make(f"/v1/invoices/{void}/void")
        await client.receive(customer, 10_000, paid)
        await client.heard("/v1/payments", good, euros, theirs)

        async def refusal(*invoices: dict[str, Any]) -> tuple[int, str, list[str]]:
            body = {"customer_id": customer, "method_id": method, "invoices": invoices}
            status, why, problem = await refused(stack, "/v1/quotes", json.dumps(body))
            return status, why, [error["field"] for error in problem["errors"]]

        for invoice in (void, paid):
            only = {"method_id": method, "invoices": [{"invoice_id": invoice}]}
            await client.until_quoted(customer, lambda answer: slug(answer) == "invoice-closed", **only)
            at = [{"invoice_id": good}, {"invoice_id": invoice}]
            assert await refusal(*at) == (422, "invoice-closed", ["invoices.1.invoice_id"])
        assert await refusal({"invoice_id": theirs}) == (422, "unknown-invoice", ["invoices.0.invoice_id"])
        assert await refusal({"invoice_id": NOBODY}) == (422, "unknown-invoice", ["invoices.0.invoice_id"])
        assert await refusal({"invoice_id": good}, {"invoice_id": euros}) == (422, "mixed-currencies", ["invoices"])
        assert await refusal({"invoice_id": good}, {"invoice_id": good}) == (422, "invoice-twice", ["invoices"])
        more = {"invoice_id": good, "amount_minor": 10_001}
        assert await refusal(more) == (422, "more-than-payable", ["invoices.0.amount_minor"])
        assert (await client.get(f"/v1/invoices/{good}"))["pending_minor"] == 0


class TestBodies:
    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            (b"100", b"NaN", "NaN is not a number"),
            (b"100", b"-Infinity", "-Infinity is not a number"),
            (b"100", b"9" * 5_000, "number can't be read"),
            (b'"currency"', b'"amount_minor": 1, "currency"', "'amount_minor' stands twice"),
            (
                b'"currency"',
                b'"invoices": [{"invoice_id": 1, "invoice_id": 2}], "currency"',
                "'invoice_id' stands twice",
            ),
            (b"USD", b"US\xe9", "not UTF-8"),
            (b"USD", b"US\x00", "line 1, column"),
            (b"100", b"[" * 100_000, "nested too deeply"),
            (b"100", b'{"a":' * 100_000, "nested too deeply"),
            (b"}", b"", "line 1, column"),
        ],
    )  # fmt: skip
    async def test_broken_json_is_refused_with_its_place(
        self, client: Client, stack: LocalStack, old: bytes, new: bytes, says: str
    ) -> None:
        customer = await client.customer()
        head, found, tail = receipt(customer).encode().rpartition(old)  # the last: ids may hold a "100"
        assert found
        status, why, problem = await refused(stack, "/v1/payments/offline", head + new + tail)
        assert (status, why) == (400, "malformed-json")
        assert says in problem["detail"]
        await nothing_came(client, customer)

    @pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
    async def test_another_type_is_refused_by_name(self, client: Client, stack: LocalStack, media_type: str) -> None:
        body = receipt(await client.customer())
        status, why, problem = await refused(stack, "/v1/payments/offline", body, media_type)
        assert (status, why) == (415, "unsupported-media-type")
        assert JSON in problem["detail"]

    @pytest.mark.parametrize("stated", [True, False])
    async def test_endless_one_is_cut_off_with_413(self, stack: LocalStack, stated: bool) -> None:
        gateway = psutil.Process(stack.pid("gateway"))
        before, url = gateway.memory_info().rss, stack.url.removeprefix("http://")
        host, port = url.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        length = b"Content-Length: 1000000000000" if stated else b"Transfer-Encoding: chunked"
        key = stack.api_key.encode()
        head = (b"POST /v1/invoices HTTP/1.1", b"Host: x", b"Authorization: Bearer " + key, length, b"", b"")
        writer.write(b"\r\n".join(head))
        megabyte = b"x" * 1_048_576
        chunk = megabyte if stated else b"100000\r\n" + megabyte + b"\r\n"
        answering = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        sent = 0
        try:
            while not answering.done() and sent < 200:
                writer.write(chunk)
                sent += 1
                async with asyncio.timeout(10):
                    await writer.drain()
        except (ConnectionError, TimeoutError):
            pass
        answer = await asyncio.wait_for(answering, 10)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"application/problem+json" in answer
        assert sent < 200, "the rest was not waited for"
        assert gateway.memory_info().rss - before < 32_000_000
        writer.transport.abort()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/invoices?q=%00", 422),
        ("/v1/invoices?q=%FF", 200),
        ("/v1/customers?external_id=%00", 422),
        ("/v1/customers?external_id=%ED%A0%80", 200),
        ("/v1/invoices?cursor=%00", 422),
        ("/v1/invoices?cursor=bm90IG9uZQ", 422),
        ("/v1/invoices?limit=99999999999999999999", 422),
        ("/v1/invoices?limit=0", 422),
        ("/v1/invoices?tab=closed", 422),
        ("/v1/invoices?customer_id=nobody", 404),
        ("/v1/invoices/%00", 404),
        ("/v1/payments/%ED%A0%80", 404),
        (f"/v1/payments/{NOBODY}", 404),
        ("/v1/reconciliation", 404),
        (f"/v1/customers/{NOBODY}/aging", 404),
        ("/v1/customers/CUSTOMER/aging?as_of=0001-01-01", 422),
        ("/v1/customers/CUSTOMER/aging?as_of=9999-12-31", 422),
        ("/v1/customers/CUSTOMER/aging?as_of=yesterday", 422),
    ],
)
async def test_wrong_urls_are_refused(client: Client, path: str, status: int) -> None:
    path = path.replace("CUSTOMER", await client.customer())
    answered, body = await client.ask("GET", path)
    assert answered == status, body
    if status != 200:
        assert body.get("detail") or body.get("errors"), body
        assert (client.headers["Content-Type"], body["status"]) == ("application/problem+json", status)


async def test_card_number_is_never_stored_or_shown(client: Client) -> None:
    path = f"/v1/customers/{await client.customer()}/payment-methods"
    status, body = await client.ask("POST", path, {"provider_token": "4242424242424242", "accept_terms": True})
    assert (status, body["errors"][0]["field"]) == (422, "provider_token"), body
    assert "4242" not in str(body)


class TestIdempotencyKeys:
    """Every POST takes a key; one that needs none is carried out once under it, too."""

    async def test_a_quote_is_made_once(self, client: Client) -> None:
        customer = await client.customer()
        method, invoice = await client.method(customer), await client.invoice(customer)
        wish = {"customer_id": customer, "method_id": method, "invoices": [{"invoice_id": invoice}]}
        key = new_id()
        first = await client.make("/v1/quotes", wish, key=key)
        asked = [client.make("/v1/quotes", wish, expect=(201,), key=key) for _ in range(10)]
        assert {quote["id"] for quote in await asyncio.gather(*asked)} == {first["id"]}
        assert client.headers["Idempotent-Replayed"] == "true"
        status, problem = await client.ask(
            "POST", "/v1/quotes", {**wish, "use_credit": True}, **{"Idempotency-Key": key}
        )
        assert (status, problem["type"].rpartition(":")[2]) == (422, "idempotency-key-reused")
        assert (await client.make("/v1/quotes", wish, key=new_id()))["id"] != first["id"]
        assert (await client.make("/v1/quotes", wish))["id"] != first["id"]

    async def test_at_once_they_are_one(self, client: Client) -> None:
        customer, key = await client.customer(), new_id()
        path, body = (
            f"/v1/customers/{customer}/payment-methods",
            {"provider_token": "pm_card_visa", "accept_terms": True},
        )
        answered = await asyncio.gather(*(client.make(path, body, key=key) for _ in range(20)))
        assert len({method["id"] for method in answered}) == 1, answered
        assert len((await client.get(path))["items"]) == 1

    async def test_what_was_refused_may_be_sent_again(self, client: Client) -> None:
        customer, key = await client.customer(), new_id()
        path = f"/v1/customers/{customer}/payment-methods"
        await client.heard("/v1/payments", customer)
        wrong = {"provider_token": "pm_card_visa", "accept_terms": False}
        assert (await client.ask("POST", path, wrong, **{"Idempotency-Key": key}))[0] == 422
        status, _ = await client.ask("POST", path, {**wrong, "accept_terms": True}, **{"Idempotency-Key": key})
        assert status == 201

    async def test_another_path_is_another_request(self, client: Client) -> None:
        one, other, key = await client.customer(), await client.customer(), new_id()
        body = {"provider_token": "pm_card_visa", "accept_terms": True}
        await client.make(f"/v1/customers/{one}/payment-methods", body, key=key)
        path = f"/v1/customers/{other}/payment-methods"
        assert (await client.ask("POST", path, body, **{"Idempotency-Key": key}))[0] == 422

    async def test_an_unreadable_key_is_refused(self, client: Client) -> None:
        customer = await client.customer()
        path = f"/v1/customers/{customer}/payment-methods"
        body = {"provider_token": "pm_card_visa", "accept_terms": True}
        assert (await client.ask("POST", path, body, **{"Idempotency-Key": "x" * 256}))[0] in (400, 422)
