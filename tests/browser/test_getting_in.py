"""All ways into the portal in a real browser, with the mails that people get: code, password, invitation, links."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.looks import each_look
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.portal import CODE, newest_code
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD, ANOTHER = "correct horse battery staple rides", "nine purple umbrellas beside a tractor"


@dataclass
class Person:
    """Somebody of a customer, at a page of the portal, not yet signed in."""

    page: Page
    client: Client
    catcher: Catcher
    url: str
    customer: str
    contact: str
    email: str

    async def link(self, words: str, path: str) -> str:
        """The address in the newest mail with these words in its subject."""
        text = (await self.catcher.newest(self.email, words))["text"]
        found = re.search(rf"{re.escape(self.url)}{path}[\w-]+", text)
        assert found, text
        return found[0]

    async def code(self, before: int = 0) -> str:
        """The code of the newest mail, once there are more of them than before."""
        return await newest_code(self.catcher, self.email, before)

    async def become_spanish(self) -> None:
        """Another contact of the customer, whose language is Spanish from the beginning."""
        self.email = f"{new_id()}@example.com"
        wish = {"customer_id": self.customer, "email": self.email, "language": "es"}
        self.contact = (await self.client.make("/v1/contacts", wish))["id"]

    async def spanish_code(self) -> str:
        code = CODE.search((await self.catcher.newest(self.email, "código"))["text"])
        assert code
        return code[0]

    async def inside(self) -> None:
        await expect(self.page.get_by_role("heading", level=1, name="Blue Fern Ltd")).to_be_visible()

    async def invite(self) -> str:
        await self.client.make(f"/v1/contacts/{self.contact}/invitations", {}, expect=(202,))
        return await self.link("invit", "/invite/")

    async def choose(self, password: str) -> None:
        await self.page.get_by_label("New password").fill(password)
        await self.page.get_by_role("button", name="Save").click()

    async def enter(self, password: str) -> None:
        await self.page.get_by_label("E-mail address").fill(self.email)
        await self.page.get_by_label("Password", exact=True).fill(password)
        await self.page.get_by_role("button", name="Log in").click()


@pytest_asyncio.fixture(loop_scope="session")
async def person(own_context: BrowserContext, stack: LocalStack) -> AsyncIterator[Person]:
    async with Client(stack.url, stack.api_key) as client:
        email = f"{new_id()}@example.com"
        customer = await client.customer(name="Blue Fern Ltd", email=email)
        found = await client.until(f"/v1/contacts?customer_id={customer}", lambda page: page["items"])
        catcher = Catcher(stack.settings.mail_url)
        yield Person(await own_context.new_page(), client, catcher, stack.url, customer, found["items"][0]["id"], email)


class TestByCode:
    async def test_wrong_code_can_be_mended(self, person: Person) -> None:
        page = person.page
        await page.goto(f"{person.url}/invoices?tab=open")
        await page.get_by_label("E-mail address").fill(person.email)
        await page.get_by_role("button", name="Send me a code").click()
        right = await person.code()
        field = page.get_by_label("Code from the e-mail")
        await field.fill("000000" if right != "000000" else "111111")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert").filter(has_text="4 tries are left")).to_be_visible()
        await expect(field).to_have_attribute("aria-invalid", "true")
        await field.fill(right)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", level=1, name="Invoices")).to_be_visible()
        assert page.url == f"{person.url}/invoices?tab=open"

    async def test_double_click_sends_one(self, person: Person) -> None:
        page, asked = person.page, list[str]()
        page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/v1/sign-in/codes") else None)
        await page.goto(person.url)
        await page.get_by_label("E-mail address").fill(person.email)
        await page.get_by_role("button", name="Send me a code").dblclick()
        await expect(page.get_by_label("Code from the e-mail")).to_be_visible()
        assert len(asked) == 1

    async def test_new_one_after_a_pause(self, person: Person) -> None:
        page = person.page
        await page.clock.install()
        await page.goto(person.url)
        await page.get_by_label("E-mail address").fill(person.email)
        await page.get_by_role("button", name="Send me a code").click()
        await expect(page.get_by_text("from 0:")).to_be_visible()
        await expect(page.get_by_role("button", name="send a new code")).not_to_be_visible()
        await person.code()
        await page.clock.run_for(31_000)
        await page.get_by_role("button", name="send a new code").click()
        await expect(page.get_by_text("A new code is on its way").first).to_be_attached()
        await page.get_by_label("Code from the e-mail").fill(await person.code(1))
        await page.get_by_role("button", name="Log in").click()
        await person.inside()

    async def test_link_of_the_mail_signs_in(self, person: Person) -> None:
        page = person.page
        await page.goto(f"{person.url}/pay")
        await page.get_by_label("E-mail address").fill(person.email)
        await page.get_by_role("button", name="Send me a code").click()
        await expect(page.get_by_label("Code from the e-mail")).to_be_visible()
        link = await person.link("code", r"/login/code\?language=en#")
        tab = await page.context.new_page()
        await tab.goto(link)
        await expect(tab.get_by_role("heading", level=1, name="To pay")).to_be_visible()
        await tab.close()
        await page.context.clear_cookies()
        await page.goto("about:blank")
        await page.goto(link)
        await expect(page.get_by_text("That code is not right")).to_be_visible()


class TestByPassword:
    async def test_invited_confirmed_forgotten_and_reset(self, person: Person) -> None:
        """Guide 003: the link of the mail, a password, Confirm in the second mail, then log in; Forgot Password."""
        page = person.page
        await page.goto(await person.invite())
        await person.choose("password password")
        await expect(page.get_by_role("alert").filter(has_text="password")).to_be_visible()
        await expect(page.get_by_label("New password")).to_have_value("password password")
        await person.choose(PASSWORD)
        await expect(page.get_by_role("heading", name="Look into your e-mails")).to_be_visible()
        await page.goto(await person.link("onfirm", "/confirm/"))
        await page.get_by_role("button", name="Confirm").click()
        await person.enter(ANOTHER)
        await expect(page.get_by_role("alert").filter(has_text="do not fit")).to_be_visible()
        await expect(page.get_by_label("E-mail address")).to_have_value(person.email)
        await page.get_by_role("link", name="Forgot password?").click()
        await page.get_by_role("button", name="Send me a link").click()
        await expect(page.get_by_text(f"If {person.email} can log in here")).to_be_visible()
        await page.goto(await person.link("assword", "/reset/"))
        await person.choose(ANOTHER)
        await person.enter(ANOTHER)
        await person.inside()

    async def test_code_page_offers_the_password(self, person: Person) -> None:
        page = person.page
        await page.goto(person.url)
        await page.get_by_label("E-mail address").fill(person.email)
        await page.get_by_role("link", name="Use my password").click()
        await expect(page.get_by_label("E-mail address")).to_have_value(person.email)


class TestEndedLinks:
    async def test_invitation_says_how_to_go_on(self, person: Person, stack: LocalStack) -> None:
        link = await person.invite()
        database = await asyncpg.connect(stack.database_url("auth", "WORK"))
        try:
            await database.execute(
                "UPDATE mail_tokens SET expires_at = made_at WHERE person_id = $1 AND purpose = 'invitation'",
                person.contact,
            )
        finally:
            await database.close()
        await person.page.goto(link)
        await person.choose(PASSWORD)
        await expect(person.page.get_by_text("valid for 72 hours")).to_be_visible()
        await expect(person.page.get_by_text("send the invitation again")).to_be_visible()

    @pytest.mark.parametrize(
        ("path", "says"), [("/i/", "until 30 days after its invoice was paid"), ("/confirm/", "older than 24 hours")]
    )
    async def test_unknown_ones_say_why(self, person: Person, path: str, says: str) -> None:
        await person.page.goto(f"{person.url}{path}{'x' * 22}")
        if path == "/confirm/":
            await person.page.get_by_role("button", name="Confirm").click()
        await expect(person.page.get_by_text(says)).to_be_visible()


class TestByPayerLink:
    async def test_opens_its_invoice_after_a_code(self, person: Person) -> None:
        """Guide 001: the customer receives a link to the payer portal."""
        page = person.page
        invoice = await person.client.invoice(person.customer)
        number = (await person.client.get(f"/v1/invoices/{invoice}"))["number"]
        await page.goto(await person.link(number, "/i/"))
        await page.get_by_label("E-mail address").fill(person.email)
        assert await each_look(page) == []
        await page.get_by_role("button", name="Send me a code").click()
        await page.get_by_label("Code from the e-mail").fill(await person.code())
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", level=1).filter(has_text=number)).to_be_visible()
        assert page.url == f"{person.url}/invoices/{invoice}"
        await page.goto(await person.link(number, "/i/"))
        await expect(page.get_by_role("heading", level=1).filter(has_text=number)).to_be_visible()


class TestLanguage:
    async def test_is_the_persons_after_signing_in(self, person: Person) -> None:
        page = person.page
        await person.become_spanish()
        await page.goto(person.url)
        await page.get_by_label("E-mail address").fill(person.email)
        await page.get_by_role("button", name="Send me a code").click()
        await page.get_by_label("Code from the e-mail").fill(await person.spanish_code())
        await page.get_by_role("button", name="Log in").click()
        main = page.get_by_role("navigation", name="Principal", exact=True)
        await expect(main.get_by_role("link", name="Facturas")).to_be_visible()
        await page.reload()
        await expect(main.get_by_role("link", name="Facturas")).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "es"

    async def test_chosen_in_this_browser_stays(self, person: Person) -> None:
        page = person.page
        await person.become_spanish()
        await page.goto(person.url)
        await page.get_by_role("button", name="English").click()
        await page.get_by_label("E-mail address").fill(person.email)
        await page.get_by_role("button", name="Send me a code").click()
        await page.get_by_label("Code from the e-mail").fill(await person.spanish_code())
        await page.get_by_role("button", name="Log in").click()
        await person.inside()
        main = page.get_by_role("navigation", name="Main", exact=True)
        await expect(main.get_by_role("link", name="Invoices")).to_be_visible()

    async def test_of_an_invitation_is_the_mails(self, person: Person) -> None:
        page = person.page
        await person.become_spanish()
        await person.client.make(f"/v1/contacts/{person.contact}/invitations", {}, expect=(202,))
        await page.goto(await person.link("invita", r"/invite/[\w-]+\?language="))
        await expect(page.get_by_label("Contraseña nueva")).to_be_visible()


class TestHeading:
    async def test_has_the_focus_on_a_new_page(self, person: Person) -> None:
        page = person.page
        await sign_in(page, person.url, person.email, person.catcher)
        await person.inside()
        main = page.get_by_role("navigation", name="Main", exact=True)
        await main.get_by_role("link", name="Invoices").click()
        await expect(page.get_by_role("heading", level=1, name="Invoices")).to_be_focused()

    async def test_has_no_box_drawn_around_it(self, person: Person) -> None:
        await sign_in(person.page, person.url, person.email, person.catcher)
        heading = person.page.get_by_role("heading", level=1, name="Blue Fern Ltd")
        await expect(heading).to_be_focused()
        assert await heading.evaluate("one => getComputedStyle(one).outlineStyle") == "none"
