"""The history of payments and one payment in a real browser."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Payer
from tests.kit.hearing import issued

pytestmark = pytest.mark.asyncio(loop_scope="session")


class TestDeclined:
    async def test_names_its_invoices_and_pays_again(self, payer: Payer) -> None:
        page, client = payer.page, payer.client
        wanted, other = await issued(client, payer.customer, 7_000), await issued(client, payer.customer, 3_000)
        number = (await client.get(f"/v1/invoices/{wanted}"))["number"]
        method = await client.method(payer.customer, "pm_card_visa_chargeDeclined")
        payment = await client.pay(await client.quote(payer.customer, method, wanted))
        await client.until(f"/v1/payments/{payment['id']}", lambda one: one["status"] == "declined")
        await page.goto(f"{payer.url}/payments/{payment['id']}")
        was_for = page.get_by_role("region", name="What it was for")
        await expect(was_for.get_by_role("rowheader")).to_have_text([number])
        await page.get_by_role("link", name="Pay again").click()
        await expect(page.get_by_role("checkbox", name=number)).to_be_checked()
        left = (await client.get(f"/v1/invoices/{other}"))["number"]
        await expect(page.get_by_role("checkbox", name=left)).not_to_be_checked()
