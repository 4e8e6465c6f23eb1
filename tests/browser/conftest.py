"""One stack and one browser for all browser tests."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from contracts.ids import new_id
from tests.kit import browser
from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import LocalStack, local_stack


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
