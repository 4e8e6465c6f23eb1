"""Until others have heard of something: services of each other, and pages of what services do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import BrowserContext, Page

from tests.kit.client import Client

STREAM = "**/v1/events/stream"
PAYMENTS, SUPPORT = "/v1/payments", "/v1/tickets"


async def issued(client: Client, customer_id: str, minor: int = 10_000, **more: Any) -> str:
    """A new invoice of which payments and support have heard: it can be paid and disputed at once."""
    invoice = await client.invoice(customer_id, minor, **more)
    for path in (PAYMENTS, SUPPORT):
        await client.heard(path, invoice)
    return invoice


async def open_and_hear(page: Page, url: str) -> None:
    """Go to a page, and return once its event stream is open: from then on it hears of every change."""
    async with page.expect_response(STREAM):
        await page.goto(url)


@asynccontextmanager
async def offline(context: BrowserContext) -> AsyncIterator[None]:
    """The browser has no network within the block."""
    await context.set_offline(True)
    try:
        yield
    finally:
        await context.set_offline(False)
