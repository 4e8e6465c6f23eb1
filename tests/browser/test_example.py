"""`paidup try`: what a newcomer looks at first."""

import pytest
from playwright.async_api import BrowserContext, expect

from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")


class TestExample:
    async def test_its_people_sign_in(self, stack: LocalStack, own_context: BrowserContext) -> None:
        said = stack.paidup("try").stdout
        assert stack.paidup("try").stdout == said  # a second time adds nothing
        assert stack.url in said
        assert stack.settings.mail_url in said
        async with Client(stack.url, stack.api_key) as client:
            found = await client.get("/v1/customers?q=Harbour")
            await client.until(f"/v1/contacts?customer_id={found['items'][0]['id']}", lambda page: page["items"])
        catcher, page = Catcher(stack.settings.mail_url), await own_context.new_page()
        await sign_in(page, stack.url, "ana@harbour.example", catcher)
        await expect(page.get_by_role("heading", name="Harbour & Sons")).to_be_visible()
        await page.goto(f"{stack.url}/invoices")
        await expect(page.get_by_role("link", name="All 5")).to_be_visible()
        await own_context.clear_cookies()
        await sign_in(page, stack.url, "max@company.example", catcher)
        await page.goto(f"{stack.url}/desk?q=Harbour")
        await expect(page.get_by_role("link", name="Harbour & Sons")).to_be_visible()
