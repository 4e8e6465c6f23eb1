"""What a contact may do, what it proves first, and what neither it nor a visitor ever does."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer

from chassis.clock import Clock
from chassis.http.identity import Identity
from contracts.ids import new_id
from gateway.routes import find_route
from tests.e2e.test_two_customers import BODIES
from tests.kit.client import SECONDS, Client
from tests.kit.stack import LocalStack
from tests.kit.two_customers import ByToken, contact_of, visitor_of
from tests.unit.test_who_may_use_routes import CONTACTS, EVERYBODY, FOR_CUSTOMERS

HALF_AN_HOUR = 1800


@dataclass
class World:
    stack: LocalStack
    session: aiohttp.ClientSession
    customer_id: str

    def contact(self, signed_in: int = 0) -> ByToken:
        """Who signed in so many seconds ago."""
        return self.by(contact_of(self.customer_id, int(time.time()) - signed_in))

    def by(self, who: Identity) -> ByToken:
        return ByToken(self.stack, self.session, who)


@pytest_asyncio.fixture
async def world(client: Client, stack: LocalStack) -> AsyncIterator[World]:
    customer = await client.customer()
    await client.heard("/v1/payments", customer)
    async with aiohttp.ClientSession() as session:
        yield World(stack, session, customer)


def slug(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    return status, body["type"].rpartition(":")[2]


async def header_of(stack: LocalStack, topic: str, aggregate: str, kind: str) -> dict[str, str]:
    """The headers of an event, as other services get them."""
    async with (
        AIOKafkaConsumer(topic, auto_offset_reset="earliest", **stack.kafka()) as events,
        asyncio.timeout(SECONDS),
    ):
        async for record in events:
            headers = {name: value.decode() for name, value in record.headers}
            if record.key.decode() == aggregate and headers["ce_type"] == kind:
                return headers
    raise AssertionError("there is no such event")


class TestPaying:
    async def test_contact_pays_and_is_named_as_payer(self, world: World, client: Client) -> None:
        who = contact_of(world.customer_id, int(time.time()))
        contact, invoice = world.by(who), await client.invoice(world.customer_id)
        methods = f"/v1/customers/{world.customer_id}/payment-methods"
        _, method = await contact.ask("POST", methods, {"provider_token": "pm_card_visa", "accept_terms": True})
        wish = {"customer_id": world.customer_id, "method_id": method["id"], "invoices": [{"invoice_id": invoice}]}
        await client.heard("/v1/payments", invoice)
        _, quote = await contact.ask("POST", "/v1/quotes", wish)
        asked = {"quote_id": quote["id"], "accept_surcharge": True}
        status, payment = await contact.ask("POST", "/v1/payments", asked, {"Idempotency-Key": new_id()})
        assert status == 202
        await client.paid(invoice)
        _, consent = await contact.ask("GET", f"/v1/payments/{payment['id']}/consent")
        assert {each["actor"] for each in consent["consents"]} == {f"contact:{who.subject}"}
        submitted = await header_of(world.stack, "payments.payment.v1", payment["id"], "PaymentSubmitted")
        assert submitted["actor"] == f"contact:{who.subject}"

    async def test_contact_cancels_what_waits_for_it(self, world: World, client: Client) -> None:
        contact, invoice = world.contact(), await client.invoice(world.customer_id)
        method = await client.method(world.customer_id, "pm_card_authenticationRequired")
        quote = await client.quote(world.customer_id, method, invoice)
        body = {"quote_id": quote["id"], "accept_surcharge": True, "return_url": "https://portal.example/paid"}
        payment = await client.make("/v1/payments", body, key=quote["id"])
        await client.until(f"/v1/payments/{payment['id']}", lambda one: one["status"] == "requires_action")
        status, _ = await contact.ask("POST", f"/v1/payments/{payment['id']}/cancel")
        assert status == 202


class TestProofAnew:
    @pytest.mark.parametrize("proved", ["long ago", "never"])
    async def test_is_needed_for_methods_and_autopay(self, world: World, client: Client, proved: str) -> None:
        """Never: who came by a payer's link."""
        late = int(time.time()) - HALF_AN_HOUR - 60 if proved == "long ago" else 0
        method, contact = await client.method(world.customer_id), world.by(contact_of(world.customer_id, late))
        path = f"/v1/customers/{world.customer_id}"
        for verb, where, body in (
            ("POST", "/payment-methods", {"provider_token": "pm_card_mastercard", "accept_terms": True}),
            ("POST", "/payment-methods/setup", {"return_url": "https://portal.example/back", "accept_terms": True}),
            ("PUT", "/autopay", {"enabled": True, "method_id": method, "surcharge_consent": True}),
        ):
            assert slug(await contact.ask(verb, path + where, body)) == (403, "step-up-required")
            status, _ = await world.contact(HALF_AN_HOUR - 60).ask(verb, path + where, body)
            assert status in (200, 201)

    async def test_is_not_needed_for_less(self, world: World, client: Client) -> None:
        method, contact = await client.method(world.customer_id), world.contact(10 * HALF_AN_HOUR)
        path, invoice = f"/v1/customers/{world.customer_id}", await client.invoice(world.customer_id)
        wish = {"customer_id": world.customer_id, "method_id": method, "invoices": [{"invoice_id": invoice}]}
        await client.heard("/v1/payments", invoice)
        for verb, where, body in (
            ("PUT", f"{path}/autopay", {"enabled": False}),
            ("POST", "/v1/quotes", wish),
            ("DELETE", f"{path}/payment-methods/{method}", None),
        ):
            status, answer = await contact.ask(verb, where, body)
            assert status in (200, 201, 204), answer

    async def test_follows_the_business_clock(self, moving: Client, moving_stack: LocalStack) -> None:
        customer = await moving.customer()
        setup = {"return_url": "https://portal.example/back", "accept_terms": True}
        path = f"/v1/customers/{customer}/payment-methods/setup"
        await moving.heard("/v1/payments", customer)
        async with aiohttp.ClientSession() as session:
            now = Clock("UTC", moving_stack.settings.clock_file).now()
            who = contact_of(customer, int(now.timestamp()))
            contact = ByToken(moving_stack, session, who)
            assert (await contact.ask("POST", path, setup))[0] == 201
            moving_stack.paidup("clock", "advance", "31m")
            assert slug(await contact.ask("POST", path, setup)) == (403, "step-up-required")
            await moving.make(path, setup)  # a program proves who it is with each request


class TestWhatTheCompanyDoes:
    @pytest.mark.parametrize("kind", ["contact", "visit"])
    async def test_is_refused_whatever_the_scopes(self, world: World, client: Client, kind: str) -> None:
        make = contact_of if kind == "contact" else visitor_of
        who = world.by(replace(make(world.customer_id, int(time.time())), scopes=frozenset({"*"})))
        allowed = EVERYBODY | FOR_CUSTOMERS | (CONTACTS if kind == "contact" else set())
        refused = 0
        for path, item in (await client.get("/openapi.json"))["paths"].items():
            for method in item.keys() & {"get", "post", "put", "patch", "delete"}:
                name, route = f"{method.upper()} {path}", find_route(path)
                if route is None or route.keyless or route.owner == "auth" or name in allowed:
                    continue
                ids = {"customer_id": world.customer_id}
                filled = path.replace("{customer_id}", ids["customer_id"])
                answer = await who.ask(method.upper(), filled, BODIES.get(name), {"Idempotency-Key": new_id()})
                assert slug(answer) == (403, "forbidden"), name
                refused += 1
        assert refused >= (19 if kind == "contact" else 32), refused
