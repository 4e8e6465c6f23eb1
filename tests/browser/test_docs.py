"""/docs in a real browser: what a developer tries first works at the first click."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

# In this order: an invoice needs its customer.
OPERATIONS = (
    ("customers", "create_customer"),
    ("customers", "list_customers"),
    ("invoices", "issue_invoice"),
    ("invoices", "list_invoices"),
    ("api keys", "create_api_key"),
    ("api keys", "list_api_keys"),
    ("payments", "list_payments"),
    ("payments", "list_surcharge_rules"),
    ("reconciliation", "list_exceptions"),
    ("reconciliation", "list_runs"),
    ("reconciliation", "daily_reconciliation"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def docs(context: BrowserContext, stack: LocalStack) -> AsyncIterator[Page]:
    page = await context.new_page()
    await page.goto(f"{stack.url}/docs")
    await page.get_by_role("button", name="Authorize").first.click()
    by_key = page.locator("form").filter(has_text="apiKey (http, Bearer)")
    await by_key.get_by_role("textbox").fill(stack.api_key)
    await by_key.get_by_label("Apply credentials").click()
    await by_key.get_by_role("button", name="Close").click()
    yield page
    await page.close()


class TestDocs:
    @pytest.mark.parametrize(("tag", "operation"), OPERATIONS, ids=lambda text: text)
    async def test_first_click_works(self, docs: Page, tag: str, operation: str) -> None:
        block = docs.locator(f"#operations-{tag.replace(' ', '_')}-{operation}")
        await block.locator(".opblock-summary-control").click()
        await block.get_by_role("button", name="Try it out").click()
        await block.get_by_role("button", name="Execute").click()
        status = block.locator(".live-responses-table .response-col_status").last
        await expect(status).to_contain_text("20")
        body = await block.locator(".live-responses-table .response-col_description pre").first.inner_text()
        assert json.loads(body)
        await block.locator(".opblock-summary-control").click()

    async def test_nothing_is_asked_of_other_hosts(self, context: BrowserContext, stack: LocalStack) -> None:
        page, asked, complaints = await context.new_page(), list[str](), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto(f"{stack.url}/docs", wait_until="networkidle")
        assert [url for url in asked if not url.startswith((stack.url, "data:"))] == []
        assert complaints == []
        await page.close()
