"""A customer in a real browser, by the guides' own labels: signs in, sees invoices, pays, and sees them Paid."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Payer
from tests.kit.hearing import issued

pytestmark = pytest.mark.asyncio(loop_scope="session")


class TestHeight:
    async def test_short_page_needs_no_scroll_bar(self, payer: Payer) -> None:
        await payer.page.goto(f"{payer.url}/account/password")
        await expect(payer.page.get_by_role("heading", level=1)).to_be_visible()
        assert await payer.page.evaluate("document.documentElement.scrollHeight - innerHeight") == 0


class TestGuide:
    async def test_sign_in_pay_and_see_paid(self, payer: Payer) -> None:
        page, client = payer.page, payer.client
        invoice = await issued(client, payer.customer, 12_345)
        number = (await client.get(f"/v1/invoices/{invoice}"))["number"]
        await page.goto(payer.url)
        await page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Invoices").click()
        await page.get_by_role("link", name=re.compile("^Open")).click()
        row = page.get_by_role("row").filter(has_text=number)
        await row.get_by_role("link", name=f"Pay {number}").click()
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        await page.get_by_role("button", name="Accept and Continue").click()
        await expect(page.get_by_text("Confirmed").first).to_be_visible(timeout=20_000)
        await page.get_by_role("link", name="Back to invoices").click()
        await page.get_by_role("link", name=re.compile("^Paid [0-9]")).click()
        await expect(page.get_by_role("row").filter(has_text=number).get_by_text("Paid")).to_be_visible()
        assert (await client.paid(invoice))["settled_minor"] == 12_345
