"""People get in as the guides say, by HTTP and the catcher of mails alone."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from contracts.ids import new_id
from gateway.credentials import KEEP_SECONDS
from tests.kit.client import SECONDS, Client
from tests.kit.mails import Catcher
from tests.kit.portal import Browser
from tests.kit.provider_sandbox import until
from tests.kit.searching import all_tables, all_topics, newest_of
from tests.kit.stack import LocalStack, local_stack

PASSWORD, ANOTHER = "correct horse battery staple rides", "nine purple umbrellas beside a tractor"
INVITATION_SECONDS = 259_200


@dataclass
class Portal:
    """A customer with one contact, whose address is `email`, and the means to ask as anybody."""

    stack: LocalStack
    client: Client
    session: aiohttp.ClientSession
    customer: str
    email: str
    contact: str

    @property
    def catcher(self) -> Catcher:
        return Catcher(self.stack.settings.mail_url)

    def browser(self) -> Browser:
        return Browser(self.stack.url, self.session)

    async def link(self, words: str, path: str) -> str:
        """What the link of the newest mail with these words in its subject holds after its path."""
        mail = await self.catcher.newest(self.email, words)
        found = re.search(rf"{re.escape(self.stack.url)}{path}([\w-]+)", mail["text"])
        assert found, mail["text"]
        return found[1]


async def portal_of(stack: LocalStack, client: Client, session: aiohttp.ClientSession) -> Portal:
    email = f"ana.{new_id()[-12:]}@example.com"
    customer = await client.customer(name="Blue Fern Bakery", email=email)
    contacts = await client.until(f"/v1/contacts?customer_id={customer}", lambda page: page["items"])
    return Portal(stack, client, session, customer, email, contacts["items"][0]["id"])


@pytest_asyncio.fixture
async def portal(stack: LocalStack, client: Client) -> AsyncIterator[Portal]:
    async with aiohttp.ClientSession() as session:
        yield await portal_of(stack, client, session)


@pytest_asyncio.fixture
async def moved(moving_stack: LocalStack, moving: Client) -> AsyncIterator[Portal]:
    async with aiohttp.ClientSession() as session:
        yield await portal_of(moving_stack, moving, session)


class TestByCode:
    async def test_contact_sees_its_own_invoices(self, portal: Portal) -> None:
        """Guide 000: Click "Login" and enter your email address. Input the 6 digit code sent to your email."""
        invoice, browser = await portal.client.invoice(portal.customer), portal.browser()
        view = await browser.sign_in(portal.email, portal.catcher)
        assert view["customer"] == {"id": portal.customer, "name": "Blue Fern Bakery"}
        status, page = await browser.ask("GET", "/v1/invoices")
        assert (status, [one["id"] for one in page["items"]]) == (200, [invoice])
        assert (await browser.ask("DELETE", "/v1/session"))[0] == 204
        assert (await browser.ask("GET", "/v1/invoices"))[0] == 401


class TestByInvitation:
    async def test_register_confirm_sign_in_and_forget(self, portal: Portal) -> None:
        """Guide 003: the link of the mail, a password, Confirm in the second mail, then log in."""
        browser = portal.browser()
        await portal.client.make(f"/v1/contacts/{portal.contact}/invitations", {}, expect=(202,))
        token = await portal.link("invit", "/invite/")
        assert (await browser.ask("POST", "/v1/registrations", {"token": token, "password": PASSWORD}))[0] == 202
        enter = {"email": portal.email, "password": PASSWORD}
        assert (await browser.ask("POST", "/v1/sign-in/password", enter))[0] == 401
        token = await portal.link("onfirm", "/confirm/")
        assert (await browser.ask("POST", "/v1/registrations/confirm", {"token": token}))[0] == 204
        assert (await browser.ask("POST", "/v1/sign-in/password", enter))[0] == 200
        assert (await browser.ask("POST", "/v1/password/forgot", {"email": portal.email}))[0] == 202
        token = await portal.link("assword", "/reset/")
        assert (await browser.ask("POST", "/v1/password/reset", {"token": token, "password": ANOTHER}))[0] == 204
        assert (await browser.ask("POST", "/v1/sign-in/password", enter))[0] == 401
        enter["password"] = ANOTHER
        assert (await browser.ask("POST", "/v1/sign-in/password", enter))[0] == 200

    async def test_expires_after_72_hours_and_is_resent(self, moved: Portal) -> None:
        """Guide 003: valid for 72 hours only. Once expired, an invitation must be resent."""
        browser = moved.browser()
        await moved.client.make(f"/v1/contacts/{moved.contact}/invitations", {}, expect=(202,))
        body = {"token": await moved.link("invit", "/invite/"), "password": PASSWORD}
        await asyncio.to_thread(moved.stack.paidup, "clock", "advance", f"{INVITATION_SECONDS}s")
        status, refused = await browser.ask("POST", "/v1/registrations", body)
        assert (status, refused["type"]) == (410, "urn:paidup:problem:link-ended")
        await moved.client.make(f"/v1/contacts/{moved.contact}/invitations", {}, expect=(202,))
        await moved.catcher.until(moved.email, lambda mails: sum("invit" in one["subject"] for one in mails) == 2)
        body["token"] = await moved.link("invit", "/invite/")
        assert (await browser.ask("POST", "/v1/registrations", body))[0] == 202


class TestByPayerLink:
    async def test_opens_that_invoice_after_a_code(self, portal: Portal) -> None:
        """Guide 001: when you issue an action, the customer receives a link to the payer portal."""
        invoice, browser = await portal.client.invoice(portal.customer), portal.browser()
        number = (await portal.client.get(f"/v1/invoices/{invoice}"))["number"]
        token = await portal.link(number, "/i/")
        assert await browser.ask("GET", f"/v1/payer-links/{token}") == (200, {"invoice_id": invoice})
        stranger = f"{new_id()}@example.com"
        codes = f"/v1/payer-links/{token}/codes"
        answers = [await portal.browser().ask("POST", codes, {"email": stranger})]
        answers.append(await browser.ask("POST", codes, {"email": portal.email}))
        assert answers[0] == answers[1]
        mail = await portal.catcher.newest(portal.email, "code")
        code = re.search(r"\b[0-9]{6}\b", mail["text"])
        assert code
        status, view = await browser.ask("POST", "/v1/sign-in/codes/verify", {"code": code[0]})
        assert (status, view["customer"]["id"]) == (200, portal.customer)
        assert (await browser.ask("GET", f"/v1/invoices/{invoice}"))[0] == 200
        assert await portal.catcher.mails(stranger) == []
        methods = f"/v1/customers/{portal.customer}/payment-methods"
        status, refused = await browser.ask("POST", methods, {"provider_token": "pm_card_visa", "accept_terms": True})
        assert (status, refused["type"]) == (403, "urn:paidup:problem:step-up-required")


class TestVisit:
    async def test_is_audited_and_shown_to_the_customer(self, portal: Portal) -> None:
        """Guide 001: account managers open the portal as a customer, in another tab."""
        invoice, manager, staff = (
            await portal.client.invoice(portal.customer),
            portal.browser(),
            f"{new_id()}@x.example",
        )
        await portal.client.make("/v1/staff", {"email": staff, "name": "Ann Lee", "role": "account_manager"})
        await manager.sign_in(staff, portal.catcher)
        visitor, visit = await manager.look_as(portal.customer)
        status, view = await visitor.ask("GET", "/v1/session")
        assert (status, view["grant"], view["customer"]["id"]) == (200, visit, portal.customer)
        assert (await visitor.ask("GET", f"/v1/invoices/{invoice}"))[0] == 200
        other = await portal.client.customer()
        assert (await visitor.ask("GET", f"/v1/customers/{other}/aging"))[0] == 404
        quote = {"customer_id": portal.customer, "invoices": [{"invoice_id": invoice}]}
        assert (await visitor.ask("POST", "/v1/quotes", quote))[0] == 403
        contact = portal.browser()
        await contact.sign_in(portal.email, portal.catcher)
        _, seen = await contact.ask("GET", f"/v1/customers/{portal.customer}/visits")
        kept = [(one["id"], one["by"], one["reason"]) for one in seen["items"]]
        assert kept == [(visit, "Ann Lee", "They asked about an invoice")]
        assert seen["items"][0]["requests"] == 4
        assert (await manager.ask("DELETE", f"/v1/visits/{visit}"))[0] == 204
        await _refused_soon(visitor)


async def _refused_soon(browser: Browser, path: str = "/v1/session") -> float:
    """Seconds until a session is refused: long before the gateway would ask auth again about one that it knows."""

    async def refused() -> bool:
        return (await browser.ask("GET", path))[0] == 401

    began = time.monotonic()
    await until(refused, KEEP_SECONDS / 2)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def pair() -> Iterator[LocalStack]:
    with local_stack(replicas=2) as running:
        yield running


class TestDisabled:
    async def test_is_refused_by_both_gateways_at_once(self, pair: LocalStack) -> None:
        """Within a second, the best of some tries: other tests run beside."""
        async with Client(pair.url, pair.api_key) as client, aiohttp.ClientSession() as session:
            portal, took = await portal_of(pair, client, session), list[float]()
            while not took or (min(took) > 1 and len(took) < 4):
                await _change(client, portal.contact, enabled=True)
                first = portal.browser()
                await first.sign_in(portal.email, portal.catcher)
                second = Browser(f"http://127.0.0.1:{pair.settings.replica_port('gateway', '', 2)}", session)
                second.cookies = dict(first.cookies)
                for browser in (first, second):
                    assert (await browser.ask("GET", "/v1/invoices"))[0] == 200
                await _change(client, portal.contact, enabled=False)
                took.append(max(await asyncio.gather(*(_refused_soon(one, "/v1/invoices") for one in (first, second)))))
            assert min(took) < 1, took


async def _change(client: Client, contact: str, **wish: Any) -> None:
    status, answer = await client.ask("PATCH", f"/v1/contacts/{contact}", wish)
    assert status == 200, answer


class TestSecrets:
    async def test_stand_in_no_log_topic_or_table(self, portal: Portal) -> None:
        """A code, a password, the tokens of links, a session: after whole ways in, nothing but the mails holds them."""
        browser = portal.browser()
        await portal.client.make(f"/v1/contacts/{portal.contact}/invitations", {}, expect=(202,))
        tokens = [await portal.link("invit", "/invite/")]
        body = {"token": tokens[0], "password": PASSWORD}
        assert (await browser.ask("POST", "/v1/registrations", body))[0] == 202
        tokens.append(await portal.link("onfirm", "/confirm/"))
        assert (await browser.ask("POST", "/v1/registrations/confirm", {"token": tokens[1]}))[0] == 204
        await browser.sign_in(portal.email, portal.catcher)
        text = (await portal.catcher.newest(portal.email, "code"))["text"]
        code = re.search(r"\b[0-9]{6}\b", text)
        token = re.search(r"/login/code\?language=en#([\w-]+)", text)
        assert code
        assert token
        secrets = [*tokens, token[1], PASSWORD, *browser.cookies.values()]
        await asyncio.sleep(1)  # what is under way comes to rest
        places = {
            **{f"log {path.name}": path.read_bytes() for path in portal.stack.settings.logs.glob("*.log*")},
            **await asyncio.to_thread(all_tables, portal.stack),
            **await all_topics(portal.stack),
        }
        found = [place for place, held in places.items() if any(secret.encode() in held for secret in secrets)]
        typed = re.compile(rb"(?<![\w.:-])" + code[0].encode() + rb"(?![\w-])")
        assert found + [place for place, held in places.items() if typed.search(held)] == []
        assert len(places) > 60


class TestErasure:
    async def test_reaches_tables_topics_and_sent_mails(self, portal: Portal) -> None:
        await portal.client.invoice(portal.customer)
        browser = portal.browser()
        await browser.sign_in(portal.email, portal.catcher)
        other = f"bea.{new_id()[-12:]}@example.com"
        wish = {"customer_id": portal.customer, "email": other, "name": "Beatriz Canario"}
        contact = (await portal.client.make("/v1/contacts", wish, key=new_id()))["id"]
        await portal.browser().sign_in(other, portal.catcher)
        assert (await portal.client.ask("DELETE", f"/v1/contacts/{contact}"))[0] == 204

        def kept() -> list[str]:
            tables = all_tables(portal.stack)
            return [place for place, held in tables.items() if other.encode() in held or b"Beatriz Canario" in held]

        end = time.monotonic() + SECONDS
        while found := await asyncio.to_thread(kept):
            assert time.monotonic() < end, found
            await asyncio.sleep(0.2)
        assert await newest_of(portal.stack, "auth.contact.v1", contact) is None
        topics = await all_topics(portal.stack)
        assert [topic for topic, held in topics.items() if other.encode() in held] in ([], ["topic auth.contact.v1"])
