"""My account in a real browser: methods by the provider's page, autopay, password, sessions, who looked, staying in."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Locator, Page, Route, expect

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.hearing import issued
from tests.kit.looks import each_look
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.portal import Browser, codes_in, newest_code
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class Owner:
    """Somebody of a customer who is signed in."""

    page: Page
    client: Client
    catcher: Catcher
    stack: LocalStack
    customer: str
    email: str

    async def open(self, path: str, heading: str) -> None:
        await self.page.goto(f"{self.stack.url}{path}")
        await expect(self.page.get_by_role("heading", level=1, name=heading)).to_be_visible()

    async def prove(self, before: int) -> None:
        """Type the code that the step-up mailed; there were so many mails with codes before."""
        code = await self.code(before)
        dialog = self.page.get_by_role("dialog", name="First, prove that it is you")
        await dialog.get_by_label("Code from the e-mail").fill(code)
        await dialog.get_by_role("button", name="Go on").click()

    async def codes(self) -> int:
        return len(codes_in(await self.catcher.mails(self.email)))

    async def come_by_link(self) -> None:
        """Sign in anew by a payer link, which may have been passed on: it proves too little for methods."""
        await self.page.context.clear_cookies()
        made = await self.client.make("/v1/payer-links", {"customer_id": self.customer})
        before = await self.codes()
        await self.page.goto(made["url"])
        await self.page.get_by_label("E-mail address").fill(self.email)
        await self.page.get_by_role("button", name="Send me a code").click()
        await self.page.get_by_label("Code from the e-mail").fill(await self.code(before))
        await self.page.get_by_role("button", name="Log in").click()
        await expect(self.page.get_by_role("heading", level=1, name="Blue Fern Ltd")).to_be_visible()

    async def code(self, before: int) -> str:
        """The code of the newest mail, once there are more of them than before."""
        return await newest_code(self.catcher, self.email, before)

    async def execute(self, service: str, sql: str, *values: Any) -> None:
        database = await asyncpg.connect(self.stack.database_url(service, "WORK"))
        try:
            await database.execute(sql, *values)
        finally:
            await database.close()

    async def begin_adding(self) -> None:
        await self.page.get_by_role("link", name="Add Payment Method").first.click()
        await self.page.get_by_label("I agree to these terms").check()
        await self.page.get_by_role("button", name="Continue").click()

    async def at_the_provider(self) -> None:
        """Agree on the provider's page, on which a test card is filled in already, and come back."""
        await self.page.get_by_label("I agree that this way to pay is kept").check()
        await self.page.get_by_role("button", name="Save").click()

    def method(self, name: str) -> Locator:
        return self.page.get_by_role("listitem").filter(has_text=name)

    @property
    def autopay(self) -> Locator:
        return self.page.get_by_role("switch", name="Autopay Future Invoices")


@pytest_asyncio.fixture(loop_scope="session")
async def owner(own_context: BrowserContext, stack: LocalStack) -> AsyncIterator[Owner]:
    async with Client(stack.url, stack.api_key) as client:
        email = f"{new_id()}@example.com"
        customer = await client.customer_with_contact("Blue Fern Ltd", email)
        page, catcher = await own_context.new_page(), Catcher(stack.settings.mail_url)
        await sign_in(page, stack.url, email, catcher)
        await expect(page.get_by_role("heading", level=1, name="Blue Fern Ltd")).to_be_visible()
        yield Owner(page, client, catcher, stack, customer, email)


class TestMethods:
    async def test_card_is_added_by_the_provider(self, owner: Owner) -> None:
        """Guide 003: Click Add Payment Method. Enter the required information and click Save."""
        page = owner.page
        await page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="My account").click()
        await page.get_by_role("link", name="Payment methods").click()
        await page.get_by_role("link", name="Add Payment Method").click()
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_text("Agree to the terms to go on")).to_be_visible()
        await page.get_by_label("I agree to these terms").check()
        await page.get_by_role("button", name="Continue").click()
        await owner.at_the_provider()
        await expect(page.get_by_role("switch", name="Set As Default: Credit card •••• 4242")).to_be_checked()
        await expect(owner.method("4242")).to_contain_text("Visa · expires 12/2034")

    async def test_one_for_this_payment_alone(self, owner: Owner) -> None:
        page, client = owner.page, owner.client
        invoice = await issued(client, owner.customer, 4_200)
        await client.method(owner.customer, "pm_usBankAccount_success")
        await owner.open(f"/pay?invoice={invoice}", "To pay")
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("link", name="New payment method").click()
        await page.get_by_label("for this payment only").check()
        await page.get_by_label("I agree to these terms").check()
        await page.get_by_role("button", name="Continue").click()
        await owner.at_the_provider()
        await expect(page.get_by_role("radio", name="New payment method, used once")).to_be_checked()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        await page.get_by_role("button", name="Accept and Continue").click()
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        assert (await client.paid(invoice))["settled_minor"] == 4_200
        listed = await client.get(f"/v1/customers/{owner.customer}/payment-methods")
        assert [one["kind"] for one in listed["items"]] == ["bank_account"]

    async def test_cancelled_visit_keeps_nothing(self, owner: Owner) -> None:
        await owner.open("/account/methods", "Payment methods")
        await owner.begin_adding()
        await expect(owner.page.get_by_role("heading", level=1, name="Add a way to pay")).to_be_visible()
        await owner.page.get_by_role("link", name="Cancel").click()
        await expect(owner.page.get_by_text("You came back before it was saved")).to_be_visible()
        await owner.page.get_by_role("link", name="Go back").click()
        await expect(owner.page.get_by_text("No payment method is saved yet")).to_be_visible()

    async def test_who_cancels_first_stays_here(self, owner: Owner) -> None:
        page, answering = owner.page, asyncio.Event()

        async def late(route: Route) -> None:
            answer = await route.fetch()
            await answering.wait()
            await route.fulfill(response=answer)

        await page.route("**/v1/customers/*/payment-methods/setup", late)
        await owner.open("/account/methods", "Payment methods")
        await owner.begin_adding()
        await page.get_by_role("link", name="Cancel").click()
        await expect(page.get_by_text("No payment method is saved yet")).to_be_visible()
        async with page.expect_response("**/v1/customers/*/payment-methods/setup"):
            answering.set()
        await page.wait_for_timeout(500)
        await expect(page.get_by_text("No payment method is saved yet")).to_be_visible()

    async def test_account_is_verified_by_deposits(self, owner: Owner) -> None:
        page = owner.page
        await owner.open("/account/methods", "Payment methods")
        await owner.begin_adding()
        await page.get_by_label("US bank account").check()
        await page.get_by_label("Verified by two small deposits").check()
        await owner.at_the_provider()
        await page.get_by_role("button", name="Enter the deposits").click()
        assert await each_look(page) == []
        dialog = page.get_by_role("dialog", name=re.compile("^Verify Bank account"))
        await dialog.get_by_label("First amount").fill("0.01")
        await dialog.get_by_label("Second amount").fill("0.02")
        await dialog.get_by_role("button", name="Verify").click()
        await expect(dialog.get_by_text("That is not what was deposited")).to_be_visible()
        await dialog.get_by_label("First amount").fill("0.32")
        await dialog.get_by_label("Second amount").fill("0.45")
        await dialog.get_by_role("button", name="Verify").click()
        await expect(owner.method("Bank account")).to_contain_text("verified")

    async def test_default_is_set_and_one_deleted(self, owner: Owner) -> None:
        """Guide 003: Set As Default toggle ON; Click Delete next to the desired payment method."""
        page = owner.page
        for token in ("pm_card_visa", "pm_card_mastercard"):
            await owner.client.method(owner.customer, token)
        await owner.open("/account/methods", "Payment methods")
        visa, master = (page.get_by_role("switch", name=re.compile(f"^Set As Default.*{n}$")) for n in ("4242", "4444"))
        await expect(visa).to_be_checked()
        await master.click()
        await expect(master).to_be_checked()
        await expect(visa).not_to_be_checked()
        await page.get_by_role("button", name=re.compile("^Delete.*4242$")).click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(owner.method("4242")).to_have_count(0)
        await expect(owner.method("4444")).to_have_count(1)

    async def test_code_is_asked_for_where_needed(self, owner: Owner) -> None:
        await owner.come_by_link()
        await owner.open("/account/methods", "Payment methods")
        before = await owner.codes()
        await owner.begin_adding()
        await owner.prove(before)
        await owner.at_the_provider()
        await expect(owner.method("4242")).to_be_visible()

    async def test_comes_back_to_the_review(self, owner: Owner) -> None:
        """Guide 000: Opt for either an "Existing Payment Profile" or "New Payment Method"."""
        page = owner.page
        await owner.client.method(owner.customer)
        invoice = await issued(owner.client, owner.customer)
        await page.goto(f"{owner.stack.url}/pay?currency=USD&invoice={invoice}")
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("link", name="New Payment Method").click()
        await page.get_by_label("I agree to these terms").check()
        await page.get_by_role("button", name="Continue").click()
        await page.get_by_label("Test card").select_option("4000056655665556")
        await owner.at_the_provider()
        await expect(page.get_by_role("radio", name=re.compile("5556"))).to_be_checked()
        await page.get_by_role("button", name=re.compile(r"^Pay \$100")).click()
        await owner.client.paid(invoice)


class TestAutopay:
    async def test_is_switched_on_with_consent_and_off(self, owner: Owner) -> None:
        page = owner.page
        await owner.client.method(owner.customer)
        await owner.open("/account/methods", "Payment methods")
        await owner.autopay.click()
        await page.get_by_label("the day of issue").check()
        await expect(owner.autopay).not_to_be_checked()
        await page.get_by_role("button", name="Agree and switch on").click()
        await expect(page.get_by_text("This card carries a surcharge")).to_be_visible()
        await page.get_by_label("I accept the surcharge of credit cards").check()
        await page.get_by_role("button", name="Agree and switch on").click()
        await expect(page.get_by_text("On since")).to_be_visible()
        await expect(owner.autopay).to_be_checked()
        now = await owner.client.get(f"/v1/customers/{owner.customer}/autopay")
        assert (now["enabled"], now["day"], now["surcharge_consent"]) == (True, "issue", True)
        await page.get_by_role("button", name=re.compile("^Delete")).click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("alert").filter(has_text="autopay uses it")).to_be_visible()
        await owner.autopay.click()
        await expect(page.get_by_text("Off. Switched on")).to_be_visible()
        await expect(owner.autopay).not_to_be_checked()
        assert not (await owner.client.get(f"/v1/customers/{owner.customer}/autopay"))["enabled"]

    async def test_shows_what_comes_and_is_left(self, owner: Owner) -> None:
        client, path = owner.client, f"/v1/customers/{owner.customer}/autopay"
        before = await client.get(f"/v1/invoices/{await client.invoice(owner.customer)}")
        method = await client.method(owner.customer, "pm_card_visa_debit")
        await client.quote(owner.customer, method, before["id"])
        status, _ = await client.ask("PUT", path, {"enabled": True, "method_id": method})
        assert status == 200
        after = await client.invoice(owner.customer)
        await client.until(path, lambda now: now["upcoming"] and now["left_by_hand"])
        await owner.open("/account/methods", "Payment methods")
        await expect(owner.page.get_by_role("table", name="Announced").get_by_role("row")).to_have_count(2)
        number = (await client.get(f"/v1/invoices/{after}"))["number"]
        await expect(owner.page.get_by_role("rowheader")).to_contain_text(number)
        left = owner.method(before["number"])
        await expect(left).to_contain_text("issued before autopay was switched on")
        await expect(left.get_by_role("link", name=f"Pay {before['number']}")).to_be_visible()

    async def test_held_says_why_and_goes_on(self, owner: Owner) -> None:
        method = await owner.client.method(owner.customer, "pm_card_visa_debit")
        path = f"/v1/customers/{owner.customer}/autopay"
        assert (await owner.client.ask("PUT", path, {"enabled": True, "method_id": method}))[0] == 200
        held = "UPDATE autopay SET held_reason = 'stolen_card', held_at = now() WHERE customer_id = $1"
        await owner.execute("payments", held, owner.customer)
        await owner.open("/account/methods", "Payment methods")
        await expect(owner.page.get_by_text("The card was reported stolen")).to_be_visible()
        await owner.page.get_by_role("button", name="Switch on again").click()
        await owner.page.get_by_role("button", name="Agree and switch on").click()
        await expect(owner.page.get_by_text("The card was reported stolen")).not_to_be_visible()


class TestPassword:
    async def test_is_changed_after_a_code(self, owner: Owner) -> None:
        """Guide 003: Click Change Password. Enter a new password and click Save."""
        page = owner.page
        await owner.come_by_link()
        await owner.open("/account", "My details")
        await page.get_by_role("link", name="Change Password").click()
        before = await owner.codes()
        await page.get_by_label("New password").fill("correct horse battery staple rides")
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("dialog").wait_for()
        assert await each_look(page) == []
        await owner.prove(before)
        await expect(page.get_by_text("Your new password counts from now on")).to_be_visible()


class TestDetails:
    async def test_language_and_mails_are_kept(self, owner: Owner) -> None:
        page = owner.page
        await owner.open("/account", "My details")
        await page.get_by_role("switch", name="Payments received and refunded").click()
        await expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_attached()
        await page.get_by_label("Language").select_option("es")
        await expect(page.get_by_role("heading", level=1, name="Mis datos")).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("switch", name="Pagos recibidos y devueltos")).not_to_be_checked()
        contacts = await owner.client.get(f"/v1/contacts?customer_id={owner.customer}")
        assert contacts["items"][0]["language"] == "es"


class TestSessions:
    async def test_another_one_is_ended(self, owner: Owner) -> None:
        async with aiohttp.ClientSession() as session:
            other = Browser(owner.stack.url, session)
            await other.sign_in(owner.email, owner.catcher)
            await owner.open("/account/sessions", "Where I am logged in")
            await expect(owner.page.get_by_text("this browser")).to_be_visible()
            await owner.page.get_by_role("button", name=re.compile("^End")).click()
            await expect(owner.page.get_by_role("button", name=re.compile("^End"))).to_have_count(0)
            assert (await other.ask("GET", "/v1/session"))[0] == 401


class TestViewers:
    async def test_shows_who_looked_and_why(self, owner: Owner) -> None:
        await owner.open("/account/viewers", "Who viewed my account")
        await expect(owner.page.get_by_text("Nobody has looked")).to_be_visible()
        staff = f"{new_id()}@paidup.example"
        await owner.client.make("/v1/staff", {"email": staff, "name": "Ann Lee", "role": "account_manager"})
        async with aiohttp.ClientSession() as session:
            manager = Browser(owner.stack.url, session)
            await manager.sign_in(staff, owner.catcher)
            await manager.look_as(owner.customer)
        await owner.page.reload()
        row = owner.page.get_by_role("row").filter(has_text="Ann Lee")
        await expect(row).to_contain_text("They asked about an invoice")


async def later(route: Route) -> None:
    """The session by the clock of a page that has leapt: the server's own clock did not."""
    if route.request.method != "GET":
        return await route.fallback()
    answer = await route.fetch()
    session = await answer.json()
    for name in ("expires_at", "ends_at"):
        session[name] = (datetime.fromisoformat(session[name]) + timedelta(minutes=28, seconds=30)).isoformat()
    await route.fulfill(response=answer, json=session)


class TestIdle:
    async def test_warns_stays_and_ends(self, owner: Owner) -> None:
        page = owner.page
        await page.clock.install()
        await owner.open("/account/sessions", "Where I am logged in")
        await page.wait_for_load_state("networkidle")  # an answer after the leap would count as use
        await page.clock.fast_forward("28:30")
        warning = page.get_by_role("dialog", name="You will be logged out")
        await warning.wait_for()
        assert await each_look(page) == []
        await page.route("**/v1/session", later)
        await warning.get_by_role("button", name="Stay logged in").click()
        await expect(warning).not_to_be_visible()
        await page.clock.fast_forward("31:00")
        await expect(page.get_by_text("You were logged out")).to_be_visible()
        await expect(page.get_by_label("E-mail address")).to_have_value(owner.email)
        before = await owner.codes()
        await page.get_by_role("button", name="Send me a code").click()
        await page.get_by_label("Code from the e-mail").fill(await owner.code(before))
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", level=1, name="Where I am logged in")).to_be_visible()
