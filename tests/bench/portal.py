"""The portal in a real Chromium, for a contact whose customer has many invoices."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Locator, Page, expect

from contracts.ids import new_id
from tests.bench import loading, meter
from tests.kit import browser
from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import LocalStack

PAGES = {"home": "/", "invoices": "/invoices", "to pay": "/pay", "payments": "/payments", "methods": "/account/methods"}
TIMES, PAYMENTS = 7, 15
SETTLED_SECONDS = 0.7  # by then, the page has answered and is drawn
FREE = "pm_card_visa_debit"  # no surcharge, charged at once

# When the page's own heading and what it shows stand there, in ms since the navigation began.
USABLE = """() => new Promise(done => {
    const look = () => document.querySelector("#main h1") && !document.querySelector("[aria-busy=true]")
        ? done(performance.now()) : requestAnimationFrame(look);
    look();
})"""
# Chromium reports each frame that took more than 50 ms.
WATCH = """() => {
    window.slow = [];
    new PerformanceObserver(found => slow.push(...found.getEntries().map(one => one.duration)))
        .observe({ type: "long-animation-frame" });
}"""


@dataclass(frozen=True)
class Figures:
    """Milliseconds. `usable`: p50 by page. `slow_frames`: those over 50 ms while a list is used. `paid`: p50."""

    usable: dict[str, float]
    slow_frames: list[float]
    paid: float


async def measure(stack: LocalStack, invoices: int) -> Figures | str:
    """The figures of a customer with so many invoices; or why there are none."""
    program = browser.chromium()
    if isinstance(program, str):
        return program
    async with Client(stack.url, stack.api_key) as client, browser.browsing(program) as context:
        email, name = f"{new_id()}@example.com", f"PORTAL-{new_id()}"
        customer = await client.customer(name="Blue Fern Ltd", external_id=name)
        await client.method(customer, FREE)
        await loading.load(stack, [name] * invoices, name)
        await meter.at_rest(stack)
        await client.make("/v1/contacts", {"customer_id": customer, "email": email})  # whom no invoice was mailed to
        page = await context.new_page()
        await sign_in(page, stack.url, email, Catcher(stack.settings.mail_url))
        await page.get_by_role("heading", name="Blue Fern Ltd").wait_for()
        usable = {shown: await until_usable(page, stack.url + path) for shown, path in PAGES.items()}
        return Figures(
            usable, await slow_frames(page, stack.url, name), await until_paid(page, stack.url, client, customer)
        )


async def until_usable(page: Page, address: str) -> float:
    taken = []
    for _ in range(TIMES):
        await page.goto(address, wait_until="commit")
        taken.append(await page.evaluate(USABLE))
    return round(statistics.median(taken))


async def slow_frames(page: Page, url: str, number: str) -> list[float]:
    """Page, filter, sort and search, as somebody does who looks for an invoice."""
    await page.goto(f"{url}/invoices")
    rows, found = page.get_by_role("row"), list[float]()
    await expect(rows).to_have_count(26)
    await page.evaluate(WATCH)
    for _ in range(5):
        found += await after(page, page.get_by_role("button", name="Next"))
        await expect(rows).to_have_count(26)
    for tab in ("Open", "Paid", "All"):
        link = page.get_by_role("navigation", name="Invoices").get_by_role("link", name=tab)
        found += await after(page, link)
        await expect(link).to_have_attribute("aria-current", "page")
    for column in ("Balance", "Due"):
        header = page.get_by_role("columnheader", name=column)
        found += await after(page, header.get_by_role("button"))
        await expect(header).to_have_attribute("aria-sort", re.compile("ending"))
    found += await after(page, page.get_by_label("Search"), f"{number}-1234")
    await expect(rows).to_have_count(2)
    return [round(one) for one in found]


async def after(page: Page, at: Locator, text: str = "") -> list[float]:
    """
    The slow frames that a click and some typing make. Nobody looks at the page meanwhile: to find something by its
    role takes whole frames itself.
    """
    await at.scroll_into_view_if_needed()
    box = await at.bounding_box()
    assert box, "it is not on the page"
    await asyncio.sleep(SETTLED_SECONDS)
    await page.evaluate("slow.length = 0")
    await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.keyboard.type(text, delay=30)
    await asyncio.sleep(SETTLED_SECONDS)
    found: list[float] = await page.evaluate("slow")
    return found


async def until_paid(page: Page, url: str, client: Client, customer: str) -> float:
    """From the click on Pay until the page shows that the invoice is Paid."""
    taken = []
    for _ in range(PAYMENTS):
        invoice = await client.invoice(customer, 2_500)
        await page.goto(f"{url}/pay?currency=USD&invoice={invoice}")
        await page.get_by_role("button", name="Edit Amount").wait_for()
        await page.get_by_role("button", name="PAY SELECTED").click()
        button = page.get_by_role("button", name=re.compile(r"^Pay \$"))
        await button.wait_for()
        began = time.monotonic()
        await button.click()
        await page.locator("#main").get_by_text("Confirmed", exact=True).wait_for()
        taken.append((time.monotonic() - began) * 1000)
    return round(statistics.median(taken))


def said(figures: Figures) -> dict[str, Any]:
    return {
        "portal_usable_ms_p50": figures.usable,
        "portal_slow_frames_ms": figures.slow_frames,
        "portal_paid_ms_p50": figures.paid,
    }
