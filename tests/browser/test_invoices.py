"""The list of invoices in a real browser: filters, order, columns, and what of it is kept for whom."""

import re

import pytest
from playwright.async_api import Page, expect

from contracts.ids import new_id
from tests.browser.conftest import Payer
from tests.kit.client import Client
from tests.kit.looks import each_look
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATE = {"issued_on": "2026-01-05", "due_on": "2026-02-04"}
SOON = {"issued_on": "2026-01-05", "due_on": "2036-02-04"}


async def seed(payer: Payer) -> dict[str, str]:
    """An invoice that is overdue, one that is not, and one that is paid; their numbers."""
    tag, client = new_id()[-6:], payer.client
    numbers = {name: f"{name}-{tag}" for name in ("LATE", "SOON", "PAID")}
    await client.invoice(payer.customer, 3_000, number=numbers["LATE"], po_number="PO 77-1190", **LATE)
    await client.invoice(payer.customer, 9_000, number=numbers["SOON"], **SOON)
    paid = await client.invoice(payer.customer, 5_000, number=numbers["PAID"], **SOON)
    await client.receive(payer.customer, 5_000, paid)
    await client.paid(paid)
    return numbers


async def shown(page: Page, *numbers: str) -> None:
    """The list has these rows in this order."""
    await expect(page.locator("tbody").get_by_role("rowheader").get_by_role("link")).to_have_text(list(numbers))


class TestFilters:
    async def test_counts_and_tabs_honour_them(self, payer: Payer) -> None:
        page, numbers = payer.page, await seed(payer)
        tabs = page.get_by_role("navigation", name="Which invoices").get_by_role("link")
        await page.goto(f"{payer.url}/invoices")
        await expect(tabs).to_have_text(["All 3", "Open 2", "In Progress 0", "Paid 1"])
        status = page.get_by_role("group", name="Status")
        await expect(status.get_by_role("button", name="Unpaid 2")).to_be_visible()
        await status.get_by_role("button", name="Overdue").click()
        await shown(page, numbers["LATE"])
        await expect(page).to_have_url(re.compile("status=overdue"))
        await expect(tabs).to_have_text(["All 1", "Open 1", "In Progress 0", "Paid 0"])
        await tabs.filter(has_text="Paid").click()
        await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
        await page.get_by_role("link", name="Remove the filters").click()
        await shown(page, numbers["PAID"])
        await page.go_back()
        await page.go_back()
        await page.reload()
        await shown(page, numbers["LATE"])

    async def test_an_age_leads_to_its_invoices(self, payer: Payer) -> None:
        page, numbers = payer.page, await seed(payer)
        await page.goto(f"{payer.url}/invoices?tab=open")
        ages = page.get_by_role("table", name="What is owed, by age")
        await ages.get_by_role("link", name=re.compile("90.00")).click()
        await shown(page, numbers["SOON"])
        await expect(ages.locator("[aria-current]")).to_contain_text("90.00")
        assert await each_look(page) == []
        await page.get_by_role("button", name="remove this filter").click()
        await shown(page, *sorted([numbers["LATE"], numbers["SOON"]], reverse=True))


class TestColumns:
    async def test_are_kept_for_the_person(self, payer: Payer, stack: LocalStack) -> None:
        page, numbers = payer.page, await seed(payer)
        await page.goto(f"{payer.url}/invoices")
        await page.get_by_role("button", name="Columns").click()
        await page.get_by_label("Issued").uncheck()
        await page.get_by_label("Payable now").check()
        await page.get_by_label("Compact rows").check()
        await page.get_by_label("Sort by").select_option("Balance, falling")
        await page.reload()
        heads = page.get_by_role("columnheader")
        await expect(heads).to_have_text(["Invoice", "Due", "Status", "Total", "Payable now", "Balance", "Pay"])
        await shown(page, numbers["SOON"], numbers["LATE"], numbers["PAID"])
        await page.goto(f"{payer.url}/invoices")
        await shown(page, numbers["SOON"], numbers["LATE"], numbers["PAID"])
        await expect(page.get_by_role("table")).to_have_class(re.compile("compact"))
        await page.get_by_role("button", name="Columns").click()
        assert await each_look(page) == []
        # Somebody else in the same browser sees the usual columns.
        await page.context.clear_cookies()
        email = f"{new_id()}@example.com"
        async with Client(stack.url, stack.api_key) as client:
            await client.make("/v1/contacts", {"customer_id": payer.customer, "email": email, "name": "Ana Díaz"})
        await sign_in(page, payer.url, email, Catcher(stack.settings.mail_url))
        await page.get_by_role("heading", name="Blue Fern Ltd").wait_for()
        await page.goto(f"{payer.url}/invoices")
        await expect(heads).to_have_text(["Invoice", "Issued", "Due", "Status", "Total", "Balance", "Pay"])

    async def test_links_are_high_enough_to_touch(self, payer: Payer) -> None:
        await seed(payer)
        for width in (390, 1440):
            await payer.page.set_viewport_size({"width": width, "height": 900})
            await payer.page.goto(f"{payer.url}/invoices")
            links = payer.page.locator("tbody").get_by_role("rowheader").get_by_role("link")
            await expect(links).to_have_count(3)
            boxes = [await one.bounding_box() for one in await links.all()]
            assert all(box is not None and box["height"] >= 28 for box in boxes)


class TestSpanish:
    async def test_what_happened_is_in_spanish(self, payer: Payer) -> None:
        page = payer.page
        invoice = await payer.client.invoice(payer.customer, 3_000, **SOON)
        await page.evaluate("localStorage.setItem('paidup.language', 'es')")
        await page.goto(f"{payer.url}/invoices/{invoice}")
        happened = page.get_by_role("region", name="Lo que pasó")
        await expect(happened).to_contain_text("Se emitió la factura.")
        await expect(happened).to_contain_text("Espera su pago, hasta el lunes, 4 de febrero de 2036.")
        await page.goto(f"{payer.url}/invoices/{new_id()}")
        await expect(page.get_by_role("alert")).to_contain_text("Aquí no hay nada con este número, o no es suyo.")
        await page.evaluate("localStorage.removeItem('paidup.language')")
