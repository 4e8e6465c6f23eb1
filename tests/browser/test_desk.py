"""The staff's desk in a real browser: find a customer, look as that customer, let its people in."""

import re

import pytest
from playwright.async_api import Page, expect

from contracts.ids import new_id
from tests.browser.conftest import Manager
from tests.kit.looks import each_look
from tests.kit.pages import sign_in

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def look_as(manager: Manager) -> Page:
    """The customer's portal, which opens in a new tab."""
    page = manager.page
    await manager.find()
    await page.get_by_role("button", name=f"Open the portal as {manager.name}").click()
    await page.get_by_label("Reason").fill("They asked about an invoice")
    async with page.context.expect_page() as opened:
        await page.get_by_role("dialog").get_by_role("button", name="Open the portal").click()
    return await opened.value


class TestLooking:
    async def test_as_a_customer_in_a_new_tab(self, manager: Manager) -> None:
        visit = await look_as(manager)
        banner = visit.get_by_role("region", name="You are looking as a customer")
        await expect(banner).to_contain_text(manager.name)
        await expect(banner).to_contain_text("They asked about an invoice")
        await expect(banner).to_contain_text(re.compile(r"Ends in \d+ minutes"))
        await visit.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Invoices").click()
        await expect(visit.get_by_role("link", name=manager.number)).to_be_visible()
        for name in ("Pay", "TO PAY", "Make a Payment", "My account"):
            await expect(visit.get_by_role("link", name=name, exact=True)).to_have_count(0)
        assert await each_look(visit) == []
        there = visit.url
        await banner.get_by_role("button", name="Stop looking").click()
        await expect(visit.get_by_role("heading", level=1, name="Customers")).to_be_visible()
        await visit.goto(there)
        await expect(visit.get_by_role("heading", name="This visit is over")).to_be_visible()
        seen = await manager.client.get(f"/v1/customers/{manager.customer}/visits")
        assert [(one["reason"], one["ended_at"] is None) for one in seen["items"]] == [
            ("They asked about an invoice", False)
        ]

    async def test_opens_an_invoice_and_its_payment(self, manager: Manager) -> None:
        found = await manager.client.get(f"/v1/invoices?customer_id={manager.customer}")
        await manager.client.receive(manager.customer, 2_000, found["items"][0]["id"])
        visit = await look_as(manager)
        rail = visit.get_by_role("navigation", name="Main", exact=True)
        await expect(rail.get_by_role("link", name="Home")).to_have_attribute("aria-current", "page")
        await rail.get_by_role("link", name="Invoices").click()
        await visit.get_by_role("link", name=manager.number).click()
        title = visit.get_by_role("heading", level=1)
        await expect(title).to_contain_text(manager.number)
        await visit.reload()
        await expect(title).to_contain_text(manager.number)
        await expect(rail.get_by_role("link", name="Invoices")).to_have_attribute("aria-current", "page")
        await rail.get_by_role("link", name="Payments").click()
        await visit.get_by_role("main").locator("a.rowlink").click()
        await expect(title).to_contain_text("$20.00")
        await visit.reload()
        await expect(title).to_contain_text("$20.00")

    async def test_has_no_page_that_changes_anything(self, manager: Manager) -> None:
        visit = await look_as(manager)
        banner = visit.get_by_role("region", name="You are looking as a customer")
        await expect(banner).to_be_visible()
        top = re.sub(r"/$", "", visit.url)
        for path in ("/pay", "/pay/review", "/account/password", "/account/methods/add", "/desk", "/desk/mails"):
            await visit.goto(top + path)
            await expect(visit.get_by_role("heading", level=1, name="There is nothing here")).to_be_visible()
            await expect(banner).to_be_visible()
        assert await each_look(visit) == []
        await visit.get_by_role("main").get_by_role("link", name="Home").click()
        await expect(visit.get_by_role("heading", level=1, name=manager.name)).to_be_visible()

    async def test_has_the_companys_look(self, manager: Manager) -> None:
        look, answers = await manager.client.get("/v1/company/look"), dict[str, int]()
        manager.page.context.on("response", lambda one: answers.update({one.url: one.status}))
        visit = await look_as(manager)
        await expect(visit.get_by_role("banner").locator(".brand").first).to_have_text(look["name"])
        assert answers[f"{manager.url}/v1/company/look"] == 200  # without a look the pages have their own name


class TestContacts:
    async def test_one_is_added_and_invited(self, manager: Manager) -> None:
        page, email = manager.page, f"{new_id()}@example.com"
        await manager.find()
        await page.get_by_role("link", name=manager.name).click()
        await page.get_by_label("E-mail address").fill(email)
        await page.get_by_label("Name", exact=True).fill("Ana Díaz")
        await page.get_by_role("button", name="Add", exact=True).click()
        row = page.get_by_role("row").filter(has_text=email)
        await row.get_by_role("button", name="Invite").click()
        await expect(page.get_by_role("status").filter(has_text="The invitation is on its way")).to_be_visible()
        await manager.catcher.until(email, lambda found: bool(found))
        await row.get_by_role("button", name="Shut out").click()
        await expect(row).to_contain_text("can’t log in")


class TestDeskPages:
    @pytest.mark.parametrize(
        ("typed", "heading"),
        [
            ("customers", "Customers"),
            ("contacts", "Customers"),
            ("invoices", "Customers"),
            ("receipts", "Payments"),
            ("files", "Bank files"),
            ("dead-letters", "Dead letters"),
        ],
    )
    async def test_plain_word_opens_its_page(self, manager: Manager, typed: str, heading: str) -> None:
        await manager.page.goto(f"{manager.url}/desk/{typed}")
        await expect(manager.page.get_by_role("heading", level=1, name=heading)).to_be_visible()

    async def test_have_no_violation(self, manager: Manager) -> None:
        page, found = manager.page, {}
        for path in ("/desk", f"/desk/customers/{manager.customer}", "/desk/mails"):
            await page.goto(manager.url + path)
            await page.get_by_role("heading", level=1).wait_for()
            await page.wait_for_load_state("networkidle")
            found[path] = await each_look(page)
        await page.goto(f"{manager.url}/desk")
        await manager.find()
        await page.get_by_role("button", name=f"Open the portal as {manager.name}").click()
        await page.get_by_role("dialog").wait_for()
        found["look as"] = await each_look(page)
        assert {path: some for path, some in found.items() if some} == {}

    async def test_a_customers_contact_is_sent_home(self, manager: Manager) -> None:
        await manager.page.context.clear_cookies()
        await sign_in(manager.page, f"{manager.url}/desk", manager.email, manager.catcher)
        await expect(manager.page.get_by_role("heading", level=1, name=manager.name)).to_be_visible()
        assert manager.page.url == f"{manager.url}/"
