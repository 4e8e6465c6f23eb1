"""Two customers and every route of the API: a customer reads all that is its own, and neither reads nor changes
anything of the other, by a key, as a contact, or as one of the company's people who looks at its portal."""

import asyncio
import copy
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import pytest_asyncio

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.stack import LocalStack
from tests.kit.two_customers import ByToken, Things, contact_of, rows_of, strangers, things

# The stream never ends, so the tests of the gateway read it. The others are about the caller, whom they sign out.
NOT_ASKED = {
    "GET /v1/events/stream",
    "DELETE /v1/session",
    "PUT /v1/password",
    "POST /v1/session/step-up",
}

# The bodies of requests. `<name>` stands for an id of the customer whose things are asked for.
BODIES: dict[str, Any] = {
    "POST /v1/api-keys": {"name": "mine", "scopes": ["*"], "customer_id": "<customer_id>"},
    "POST /v1/bank-statements": {},
    "POST /v1/files": {},
    "POST /v1/customers": {"external_id": "<external_id>", "name": "Mine now"},
    "PATCH /v1/customers/{customer_id}": {"name": "Mine now"},
    "PUT /v1/customers/{customer_id}/autopay": {"enabled": True, "method_id": "<method_id>", "surcharge_consent": True},
    "POST /v1/customers/{customer_id}/payment-methods": {"provider_token": "pm_card_visa", "accept_terms": True},
    "POST /v1/customers/{customer_id}/payment-methods/setup": {
        "return_url": "https://portal.example/methods", "accept_terms": True,
    },
    "PATCH /v1/customers/{customer_id}/payment-methods/{method_id}": {"is_default": True},
    "POST /v1/customers/{customer_id}/payment-methods/{method_id}/verify": {"amounts_minor": [32, 45]},
    "POST /v1/invoices": {
        "customer_id": "<customer_id>", "number": "<invoice_number>", "currency": "USD", "issued_on": "2026-01-05",
        "due_on": "2026-02-04", "lines": [{"description": "Mine", "quantity": 1, "unit_price_minor": 10_000}],
    },
    "PATCH /v1/invoices/{invoice_id}": {"metadata": {"whose": "mine"}},
    "POST /v1/payments": {"quote_id": "<quote_id>", "accept_surcharge": True},
    "POST /v1/payments/offline": {
        "customer_id": "<customer_id>", "amount_minor": 10_000, "currency": "USD", "received_on": "2026-03-01",
        "invoices": [{"invoice_id": "<invoice_id>"}],
    },
    "POST /v1/payments/offline/preview": {"customer_id": "<customer_id>", "amount_minor": 10_000, "currency": "USD"},
    "POST /v1/payments/{payment_id}/refunds": {"reason": "mine"},
    "POST /v1/invoices/{invoice_id}/void": {"reason": "mine"},
    "POST /v1/payments/{payment_id}/void": {"reason": "mine"},
    "POST /v1/quotes": {
        "customer_id": "<customer_id>", "method_id": "<method_id>", "invoices": [{"invoice_id": "<invoice_id>"}],
    },
    "POST /v1/quotes/options": {"customer_id": "<customer_id>", "invoices": [{"invoice_id": "<invoice_id>"}]},
    "POST /v1/tickets": {
        "customer_id": "<customer_id>", "subject": "mine", "details": "mine", "invoice_id": "<invoice_id>",
    },
    "POST /v1/tickets/{ticket_id}/replies": {"text": "mine"},
    "POST /v1/tickets/{ticket_id}/assign": {"assignee": "me"},
    "POST /v1/tickets/{ticket_id}/escalate": {"reason": "mine"},
    "POST /v1/tickets/{ticket_id}/merge": {"into": "<ticket_id>"},
    "POST /v1/saved-replies": {"title": "mine", "text": "mine"},
    "PUT /v1/saved-replies/{saved_reply_id}": {"title": "mine", "text": "mine"},
    "POST /v1/invoices/{invoice_id}/questions": {"text": "mine"},
    "POST /v1/invoices/{invoice_id}/disputes": {"text": "mine"},
    "POST /v1/disputes/{dispute_id}/review": {"text": "mine"},
    "POST /v1/disputes/{dispute_id}/accept": {"text": "mine"},
    "POST /v1/disputes/{dispute_id}/reject": {"text": "mine"},
    "POST /v1/disputes/{dispute_id}/withdraw": {"text": "mine"},
    "PUT /v1/company": {
        "name": "Mine", "brand_colour": "#0e5358", "time_zone": "America/New_York", "languages": ["en", "es"],
    },
    "POST /v1/contacts": {"customer_id": "<customer_id>", "email": "mine@example.com"},
    "PATCH /v1/contacts/{contact_id}": {"name": "Mine"},
    "POST /v1/mail-bounces": {"address": "<email>", "message_id": "<mail_id>"},
    "PUT /v1/mail-preferences": {"invoices": True, "receipts": True, "methods": True},
    "POST /v1/payer-links": {"customer_id": "<customer_id>", "invoice_id": "<invoice_id>"},
    "POST /v1/session/switch": {"contact_id": "<contact_id>"},
    "POST /v1/staff": {"email": "mine@example.com", "role": "administrator"},
    "PATCH /v1/staff/{staff_id}": {"role": "administrator"},
    "POST /v1/visits": {"customer_id": "<customer_id>", "reason": "mine now"},
    "POST /v1/reconciliation/exceptions/{exception_id}/assign": {"assigned_to": "me"},
    "POST /v1/reconciliation/exceptions/{exception_id}/resolve": {
        "action": "post", "reason": "mine", "customer_id": "<customer_id>",
    },
}  # fmt: skip
# What names something of a customer in a query, by the name of the parameter.
QUERIES = {
    "customer_id": "<customer_id>", "external_id": "<external_id>", "invoice_id": "<paid_invoice_id>",
    "method": "<method_id>", "number": "<number>", "q": "<invoice_number>",
}  # fmt: skip
OF_ITSELF = {"PUT /v1/mail-preferences"}  # of the contact who asks
# Ids in paths that no customer has: of the company's own things.
COMPANYS = {"exception_id", "run_id", "saved_reply_id", "staff_id"}


@dataclass(frozen=True)
class Request:
    """A request with its ids left open."""

    name: str
    method: str
    path: str
    body: Any = None

    def with_ids(self, ids: Mapping[str, str]) -> tuple[str, str, Any]:
        path = re.sub("{(\\w+)}", lambda found: ids.get(found[1]) or new_id(), self.path)
        return self.method, _filled(path, ids), _filled(copy.deepcopy(self.body), ids)

    @property
    def names(self) -> set[str]:
        """Those of the ids that it has."""
        return set(re.findall("[{<](\\w+)[}>]", self.path + json.dumps(self.body)))


def _filled(part: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {name: _filled(value, ids) for name, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, ids) for value in part]
    return re.sub("<(\\w+)>", lambda found: ids[found[1]], part) if isinstance(part, str) else part


def requests(document: Any, known: set[str]) -> Iterator[Request]:
    """Every request of the document: each query that names something of a customer is one of its own."""
    for path, item in document["paths"].items():
        for method in item.keys() & {"get", "post", "put", "patch", "delete"}:
            name = f"{method.upper()} {path}"
            if name in NOT_ASKED or item[method].get("security") == []:  # the latter know nobody who asks
                continue
            unknown = set(re.findall("{(\\w+)}", path)) - known - COMPANYS
            assert not unknown, f"{name}: say in tests/kit/two_customers.py how a customer gets {unknown}."
            has_body = "requestBody" in item[method]
            assert not has_body or name in BODIES, f"{name}: add a body to BODIES, with <name> where an id stands."
            yield Request(name, method.upper(), path, BODIES.get(name))
            for each in item.get("parameters", []) + item[method].get("parameters", []):
                if each.get("name") in QUERIES and each["in"] == "query":
                    yield Request(name, method.upper(), f"{path}?{each['name']}={QUERIES[each['name']]}")


def said(answer: tuple[int, Any], ids: Mapping[str, str]) -> tuple[int, str]:
    """An answer with the ids that were sent taken out, so that two answers can be compared."""
    status, body = answer
    text = json.dumps({name: value for name, value in body.items() if name != "request_id"} if body else {})
    for name, value in ids.items():
        text = text.replace(value, f"<{name}>")
    return status, text


class Caller(Protocol):
    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]: ...


@dataclass
class World:
    """Two customers, and who may ask for the first, by the name of the way."""

    own: Things
    other: Things
    callers: dict[str, Caller]
    requests: list[Request]


@pytest_asyncio.fixture(scope="module")
async def world(stack: LocalStack) -> AsyncIterator[World]:
    async with aiohttp.ClientSession() as session, Client(stack.url, stack.api_key) as client:
        (own, people), (other, _) = await things(client, stack, session), await things(client, stack, session)
        document = await client.get("/openapi.json")
        async with Client(stack.url, own.key) as by_key:
            callers = {"key": by_key, "contact": people.contact, "visit": people.visitor}
            yield World(own, other, callers, list(requests(document, set(own.ids))))


async def patiently(caller: Caller, method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
    """Slower than the gateway's limit of a customer."""
    while True:
        status, answer = await caller.ask(method, path, body, headers=headers)
        if status != 429:
            return status, answer
        await asyncio.sleep(1)


class TestOwnThings:
    async def test_are_read_on_every_route(self, world: World) -> None:
        for way, caller in world.callers.items():
            read = []
            for request in world.requests:
                if request.method == "GET":
                    status, _ = await patiently(caller, *request.with_ids(world.own.ids), {})
                    assert status in (200, 403, 422), (way, request)  # the company's; or a filter is needed
                    read += [request.name] if status == 200 else []
            assert len(set(read)) >= (10 if way == "visit" else 14), (way, read)


class TestThingsOfAnother:
    async def test_are_neither_read_nor_changed(self, world: World, stack: LocalStack) -> None:
        """The answer is the one for an id that nothing has."""
        before = await rows_of(stack, world.other.customer_id)
        nobody = strangers(world.other)
        for (way, caller), request, mixed in itertools.product(world.callers.items(), world.requests, (False, True)):
            if mixed and "customer_id" not in request.names:
                continue
            own = {"customer_id": world.own.customer_id} if mixed else {}
            answers = []
            for ids in (dict(world.other.ids) | own, dict(nobody.ids) | own):
                headers = {"Idempotency-Key": new_id()} if request.method == "POST" else {}
                answers.append(said(await patiently(caller, *request.with_ids(ids), headers), ids))
            (status, text), stranger = answers
            where = (way, request, mixed, text)
            assert status < 500, where
            assert not [each for each in world.other.secrets if each in text], where
            if request.names - COMPANYS - set(own) and not (status == 200 and request.method == "GET"):
                assert status in (204, 403, 404, 422), where
                assert (status, text) == stranger, where
            elif request.method != "GET" and not mixed and (way != "contact" or request.name not in OF_ITSELF):
                assert status in (403, 404, 422), where  # it names no customer: the company's own
        assert await rows_of(stack, world.other.customer_id) == before

    async def test_cursors_of_another_lead_to_own_rows(self, world: World, client: Client) -> None:
        for path in ("/v1/invoices", "/v1/payments", "/v1/tickets", "/v1/customers", "/v1/api-keys"):
            named = path in ("/v1/invoices", "/v1/payments", "/v1/tickets")
            whose = f"customer_id={world.other.customer_id}&" if named else ""
            cursor = (await client.get(f"{path}?{whose}limit=1"))["next_cursor"]
            assert cursor, path
            for way, caller in world.callers.items():
                status, body = await caller.ask("GET", f"{path}?cursor={cursor}")
                assert status in (200, 403), (way, path, body)
                assert not [each for each in world.other.secrets if each in json.dumps(body)]

    async def test_seen_of_another_never_arrives(self, world: World) -> None:
        for way, caller in world.callers.items():
            for seen in (world.other.invoice_id, new_id()):
                status, body = await caller.ask("GET", "/v1/payments", None, headers={"Paidup-Seen": f"{seen}:1"})
                assert (status, body["type"].rpartition(":")[2]) == (503, "not-yet-here"), way


class TestIdempotencyKeys:
    async def test_of_two_customers_never_meet(self, world: World, client: Client) -> None:
        key = new_id()
        invoice = await client.invoice(world.other.customer_id)
        quote = await client.quote(world.other.customer_id, world.other.method_id, invoice)
        paid = await client.pay(quote, key=key)
        await client.paid(invoice)
        for way in ("key", "contact"):
            asked = {"quote_id": quote["id"], "accept_surcharge": True}
            status, answer = await world.callers[way].ask(
                "POST", "/v1/payments", asked, headers={"Idempotency-Key": key}
            )
            assert status == 422
            assert paid["id"] not in json.dumps(answer)

    async def test_of_two_contacts_never_meet(self, world: World, client: Client, stack: LocalStack) -> None:
        key, own = new_id(), world.own
        invoices = [await client.invoice(own.customer_id) for _ in range(2)]
        quotes = [await client.quote(own.customer_id, own.method_id, invoice) for invoice in invoices]
        paid = []
        async with aiohttp.ClientSession() as session:
            for quote in quotes:
                contact = ByToken(stack, session, contact_of(own.customer_id, int(time.time())))
                asked = {"quote_id": quote["id"], "accept_surcharge": True}
                for _ in range(2):
                    status, answer = await contact.ask("POST", "/v1/payments", asked, {"Idempotency-Key": key})
                    assert status == 202, answer
                    paid.append(answer["id"])
        assert paid[0] == paid[1] != paid[2] == paid[3]
        for invoice in invoices:
            await client.paid(invoice)
