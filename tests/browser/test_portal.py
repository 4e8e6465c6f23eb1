"""A customer in a real browser, by the guides' own labels: signs in, sees invoices, pays, and sees them Paid."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class Payer:
    """Somebody of a customer, at a page of the portal."""

    page: Page
    client: Client
    customer: str
    email: str


@pytest_asyncio.fixture(loop_scope="session")
async def payer(context: BrowserContext, stack: LocalStack) -> AsyncIterator[Payer]:
    async with Client(stack.url, stack.api_key) as client:
        email = f"{new_id()}@example.com"
        customer = await client.customer(name="Blue Fern Ltd", email=email)
        await client.until(f"/v1/contacts?customer_id={customer}", lambda page: page["items"])
        page = await context.new_page()
        yield Payer(page, client, customer, email)
        await page.close()
        await context.clear_cookies()


class TestGuide:
    async def test_sign_in_pay_and_see_paid(self, payer: Payer, stack: LocalStack) -> None:
        page, client = payer.page, payer.client
        invoice = await client.invoice(payer.customer, 12_345)
        number = (await client.get(f"/v1/invoices/{invoice}"))["number"]
        await client.method(payer.customer)
        await sign_in(page, stack.url, payer.email, Catcher(stack.settings.mail_url))
        await page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Invoices").click()
        await page.get_by_role("link", name=re.compile("^Open")).click()
        row = page.get_by_role("row").filter(has_text=number)
        await row.get_by_role("link", name=f"Pay {number}").click()
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        await page.get_by_role("button", name="Accept and Continue").click()
        await expect(page.get_by_text("Confirmed").first).to_be_visible(timeout=20_000)
        await page.get_by_role("link", name="Back to invoices").click()
        await page.get_by_role("link", name=re.compile("^Paid")).click()
        await expect(page.get_by_role("row").filter(has_text=number).get_by_text("Paid")).to_be_visible()
        assert (await client.paid(invoice))["settled_minor"] == 12_345
