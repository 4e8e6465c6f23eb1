"""On paper: an invoice, the list of invoices and the payments, black on white, without what can be pressed."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Payer

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOWN = """() => [...document.querySelectorAll("nav, button:not(th button), .btn, .strip, .rail, .dock, .tools")]
    .filter(one => one.checkVisibility()).map(one => one.outerHTML.slice(0, 80))"""
STYLES = """() => {
    const style = one => getComputedStyle(document.querySelector(one));
    return [style("body").backgroundColor, style("body").color, style("thead").display, style("thead th").position,
        style("tbody tr").breakInside, style("tbody tr").display];
}"""
PAGE = re.compile(rb"/Type\s*/Page\b")


@pytest_asyncio.fixture(loop_scope="session")
async def paper(payer: Payer) -> AsyncIterator[Payer]:
    """The payer's page as it would be printed by somebody with the dark theme."""
    await payer.page.emulate_media(media="print", color_scheme="dark")
    yield payer
    await payer.page.emulate_media(media="screen", color_scheme="light")


async def is_a_clean_sheet(page: Page) -> None:
    head = page.locator(".print-head")
    await expect(head).to_be_visible()
    await expect(head).to_have_text(re.compile(r"^\s*\S.*Blue Fern Ltd.*Printed \w{3} \d+, \d{4}\s*$", re.DOTALL))
    assert await page.evaluate(SHOWN) == []
    # Heads of a table come again on each sheet of paper, and no row is cut.
    black, white = "rgb(0, 0, 0)", "rgb(255, 255, 255)"
    assert await page.evaluate(STYLES) == [white, black, "table-header-group", "static", "avoid", "table-row"]


class TestPaper:
    async def test_of_an_invoice(self, paper: Payer) -> None:
        invoice = await paper.client.invoice(paper.customer, 7_000)
        await paper.page.goto(f"{paper.url}/invoices/{invoice}")
        await expect(paper.page.get_by_role("heading", level=1)).to_be_visible()
        await is_a_clean_sheet(paper.page)
        assert len(PAGE.findall(await paper.page.pdf(format="A4"))) == 1

    async def test_of_many_invoices(self, paper: Payer) -> None:
        for number in range(25):
            await paper.client.invoice(paper.customer, 1_000 + number)
        await paper.page.set_viewport_size({"width": 390, "height": 844})  # a phone prints the same
        await paper.page.goto(f"{paper.url}/invoices")
        await expect(paper.page.locator("tbody tr")).to_have_count(25)
        await is_a_clean_sheet(paper.page)
        assert 1 <= len(PAGE.findall(await paper.page.pdf(format="A4"))) <= 2

    async def test_of_payments(self, paper: Payer) -> None:
        invoice = await paper.client.invoice(paper.customer, 7_000)
        await paper.client.receive(paper.customer, 2_000, invoice)
        await paper.page.goto(f"{paper.url}/payments")
        await expect(paper.page.locator("tbody tr")).to_have_count(1)
        await is_a_clean_sheet(paper.page)
        assert len(PAGE.findall(await paper.page.pdf(format="A4"))) == 1
