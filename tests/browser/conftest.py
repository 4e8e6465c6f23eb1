"""One stack and one browser for all browser tests."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from contracts.ids import new_id
from tests.kit import browser
from tests.kit.client import Client
from tests.kit.hearing import issued
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import LocalStack, local_stack

expect.set_options(timeout=15_000)  # on a machine that runs other tests; what must be quick says so itself


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with local_stack() as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def context() -> AsyncIterator[BrowserContext]:
    program = browser.chromium()
    if isinstance(program, str):
        pytest.skip(program)
    async with browser.browsing(program) as context:
        yield context


@pytest_asyncio.fixture(loop_scope="session")
async def own_context(context: BrowserContext) -> AsyncIterator[BrowserContext]:
    """A profile of the test's own: its clock can be moved, and others sign in there."""
    assert context.browser is not None
    own = await context.browser.new_context(viewport=browser.VIEW)
    yield own
    await own.close()


@dataclass
class Payer:
    """Somebody of a customer who is signed in, with a card, at a page of the portal."""

    url: str
    page: Page
    client: Client
    customer: str
    email: str


@pytest_asyncio.fixture(loop_scope="session")
async def payer(context: BrowserContext, stack: LocalStack) -> AsyncIterator[Payer]:
    async with Client(stack.url, stack.api_key) as client:
        email = f"{new_id()}@example.com"
        customer = await client.customer_with_contact("Blue Fern Ltd", email)
        await client.method(customer)
        page = await context.new_page()
        await sign_in(page, stack.url, email, Catcher(stack.settings.mail_url))
        await page.get_by_role("heading", name="Blue Fern Ltd").wait_for()
        yield Payer(stack.url, page, client, customer, email)
        await page.close()
        await context.clear_cookies()


@dataclass
class Manager:
    """One of the company's people, signed in, and a customer with an open invoice."""

    url: str
    page: Page
    client: Client
    catcher: Catcher
    customer: str
    name: str
    email: str
    number: str
    staff: str  # the address by which the one at the desk signs in

    async def find(self) -> None:
        await self.page.get_by_label("Search name, number or e-mail").fill(self.name)
        await expect(self.page.get_by_role("link", name=self.name)).to_be_visible()


@pytest_asyncio.fixture(loop_scope="session")
async def manager(own_context: BrowserContext, stack: LocalStack) -> AsyncIterator[Manager]:
    catcher, tag = Catcher(stack.settings.mail_url), new_id()
    async with Client(stack.url, stack.api_key) as client:
        email, name = f"{tag}@example.com", f"Fern {tag[-8:]} Ltd"
        customer = await client.customer_with_contact(name, email)
        number = f"INV-{tag[-8:]}"
        await issued(client, customer, 7_000, number=number)
        staff = f"{tag}@paidup.example"
        await client.make("/v1/staff", {"email": staff, "name": "Maren Ostby", "role": "account_manager"})
        page = await own_context.new_page()
        await sign_in(page, stack.url, staff, catcher)
        await expect(page.get_by_role("heading", level=1, name="Customers")).to_be_visible()
        yield Manager(stack.url, page, client, catcher, customer, name, email, number, staff)
