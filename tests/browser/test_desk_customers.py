"""One of the company's people makes a customer, looks after its contacts, and issues its invoices."""

import re

import pytest
from playwright.async_api import expect

from contracts.ids import new_id
from tests.browser.conftest import Manager
from tests.kit.looks import each_look
from tests.kit.mails import Mail

pytestmark = pytest.mark.asyncio(loop_scope="session")


def about(number: str, mails: list[Mail]) -> list[Mail]:
    return [one for one in mails if number in one["subject"]]


class TestCustomer:
    async def test_new_one_is_made_and_changed(self, manager: Manager) -> None:
        page, number, email = manager.page, new_id()[-12:], f"{new_id()}@example.com"
        await page.get_by_role("link", name="New customer").click()
        await expect(page.get_by_role("heading", level=1, name="New customer")).to_be_visible()
        await page.get_by_label("Name of the company").fill(f"Harbour {number}")
        await page.get_by_label("Number in your own system").fill(number)
        await page.get_by_label("E-mail of the first contact").fill(email)
        await page.get_by_label("Postal address").fill("1 Quay Street\nNantes")
        await page.get_by_role("button", name="Create the customer").dblclick()
        await expect(page.get_by_role("heading", level=1, name=f"Harbour {number}")).to_be_visible()
        await expect(page.get_by_role("row").filter(has_text=email)).to_be_visible()
        await page.get_by_role("main").get_by_role("link", name="Change").click()
        await page.get_by_label("Name of the company").fill(f"Haven {number}")
        await page.get_by_label("Account manager").select_option(label=f"Maren Ostby, {manager.staff}")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", level=1, name=f"Haven {number}")).to_be_visible()
        record = page.get_by_role("region", name="Customer data")
        await expect(record).to_contain_text("1 Quay Street")
        await expect(record).to_contain_text("Maren Ostby")
        found = (await manager.client.get(f"/v1/customers?external_id={number}"))["items"]
        assert [(one["name"], one["account_manager"]) for one in found] == [(f"Haven {number}", manager.staff)]

    async def test_number_that_is_taken_is_said(self, manager: Manager) -> None:
        page = manager.page
        taken = (await manager.client.get(f"/v1/customers/{manager.customer}"))["external_id"]
        await page.goto(f"{manager.url}/desk/customers/new")
        await page.get_by_label("Name of the company").fill("Another")
        await page.get_by_label("Number in your own system").fill(taken)
        await page.get_by_role("button", name="Create the customer").click()
        await expect(page.get_by_role("alert").filter(has_text=taken)).to_be_visible()


class TestContact:
    async def test_is_changed_and_deleted(self, manager: Manager) -> None:
        page, email = manager.page, f"{new_id()}@example.com"
        await page.goto(f"{manager.url}/desk/customers/{manager.customer}")
        row = page.get_by_role("row").filter(has_text=manager.email)
        await row.get_by_role("button", name="Change").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("Ana Díaz")
        await dialog.get_by_label("E-mail address").fill(email)
        await dialog.get_by_role("button", name="Save").click()
        row = page.get_by_role("row").filter(has_text=email)
        await expect(row).to_contain_text("Ana Díaz")
        await row.get_by_role("button", name="Invite").click()
        await expect(page.get_by_role("status").filter(has_text="It works until")).to_be_visible()
        await manager.catcher.until(email, lambda found: bool(found))
        await row.get_by_role("button", name="Change").click()
        await dialog.get_by_role("button", name="Delete …").click()
        await expect(dialog).to_contain_text("Invoices and payments stay")
        await dialog.get_by_role("button", name="Delete for good").click()
        await expect(page.get_by_text("Nobody of this customer can log in yet.")).to_be_visible()


class TestInvoices:
    async def test_one_is_drafted_issued_mailed_and_voided(self, manager: Manager) -> None:
        page, number = manager.page, f"INV-{new_id()[-10:]}"
        await page.goto(f"{manager.url}/desk/customers/{manager.customer}/invoices")
        await page.get_by_role("link", name="New invoice").click()
        await page.get_by_label("Number", exact=True).fill(number)
        await page.get_by_label("Description").fill("Cold room, March")
        await page.get_by_label("Quantity").fill("2.5")
        await page.get_by_label("Price of one, USD").fill("12,34")
        await page.get_by_label("Tax, %").fill("8.25")
        await page.get_by_role("button", name="Keep as a draft").click()
        await expect(page.get_by_text("Write an amount, as 12.50.")).to_be_visible()
        await page.get_by_label("Price of one, USD").fill("1,234.00")
        await page.get_by_role("button", name="Keep as a draft").dblclick()
        await expect(page.get_by_role("heading", level=1, name=number)).to_be_visible()
        await expect(page.get_by_role("region", name="Lines")).to_contain_text("3,339.51")
        await page.get_by_role("button", name="Issue").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Issue").dblclick()
        await expect(page.get_by_text(re.compile("^Due"))).to_be_visible()
        await manager.catcher.newest(manager.email, number)
        await page.get_by_role("button", name="Mail again").click()
        await expect(page.get_by_role("status").filter(has_text="with a fresh link")).to_be_visible()
        await manager.catcher.until(manager.email, lambda found: len(about(number, found)) == 2)
        await page.get_by_role("button", name="Void").click()
        await dialog.get_by_label("Reason, which the customer reads").fill("Made twice")
        await dialog.get_by_role("button", name="Void").click()
        await expect(page.get_by_text("The invoice was voided: Made twice")).to_be_visible()
        await expect(page.get_by_role("button", name="Void")).to_have_count(0)
        made = (await manager.client.get(f"/v1/invoices?q={number}"))["items"]
        assert [(one["status"], one["total_minor"]) for one in made] == [("void", 333_951)]

    async def test_escape_goes_back_to_the_button(self, manager: Manager) -> None:
        page = manager.page
        invoice = (await manager.client.get(f"/v1/invoices?q={manager.number}"))["items"][0]
        await page.goto(f"{manager.url}/desk/invoices/{invoice['id']}")
        void = page.get_by_role("button", name="Void")
        await void.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=f"Void {manager.number}?")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(void).to_be_focused()

    async def test_list_has_counts_and_opens_one(self, manager: Manager) -> None:
        page = manager.page
        await page.goto(f"{manager.url}/desk/customers/{manager.customer}")
        await page.get_by_role("link", name="Invoices", exact=True).click()
        tabs = page.get_by_role("group", name="Which invoices")
        await expect(tabs.get_by_role("link", name="Open")).to_contain_text("1")
        await tabs.get_by_role("link", name="Paid").click()
        await expect(page.get_by_role("heading", name="No invoices here")).to_be_visible()
        await tabs.get_by_role("link", name="Open").click()
        await page.get_by_role("link", name=manager.number).click()
        await expect(page.get_by_role("heading", level=1, name=manager.number)).to_be_visible()


class TestPages:
    async def test_have_no_violation(self, manager: Manager) -> None:
        page, found, one = manager.page, {}, f"/desk/customers/{manager.customer}"
        invoice = (await manager.client.get(f"/v1/invoices?customer_id={manager.customer}"))["items"][0]["id"]
        paths = ["/desk/customers/new", one, f"{one}/change", f"{one}/invoices", f"{one}/invoices/new", f"{one}/visits"]
        for path in [*paths, f"/desk/invoices/{invoice}"]:
            await page.goto(manager.url + path)
            await page.get_by_role("heading", level=1).wait_for()
            await page.wait_for_load_state("networkidle")
            found[path] = await each_look(page)
        assert {path: some for path, some in found.items() if some} == {}

    async def test_menu_of_a_phone_closes_after_a_choice(self, manager: Manager) -> None:
        page = manager.page
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.get_by_role("button", name="Menu").click()
        menu = page.get_by_role("navigation", name="More")
        await menu.get_by_role("link", name="E-mails sent").click()
        await expect(page.get_by_role("heading", level=1, name="E-mails sent")).to_be_visible()
        await expect(menu).to_be_hidden()
