"""Payments at the desk in a real browser: recorded, found, refunded, voided, and each counts once."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Manager
from tests.kit.hearing import issued
from tests.kit.looks import each_look
from tests.kit.pages import lose_the_reply

pytestmark = pytest.mark.asyncio(loop_scope="session")

OFFLINE = re.compile(r"/v1/payments/offline$")
REFUNDS = re.compile(r"/refunds$")


async def fill(page: Page, manager: Manager, amount: str) -> None:
    """The form of a payment, with the customer found by name."""
    rail = page.get_by_role("navigation", name="Desk")
    await rail.get_by_role("link", name="Record a payment").click()
    await expect(page.get_by_role("heading", level=1, name="Record a payment")).to_be_visible()
    await page.get_by_role("searchbox", name="Customer").fill(manager.name)
    await page.get_by_role("button", name=manager.name).click()
    await page.get_by_label("Amount", exact=True).fill(amount)
    await page.get_by_label("Reference").fill("CHQ-1042")


async def received(manager: Manager) -> list[Any]:
    items: list[Any] = (await manager.client.get(f"/v1/payments?customer_id={manager.customer}"))["items"]
    return items


class TestRecording:
    async def test_oldest_first_says_what_it_pays(self, manager: Manager) -> None:
        page = manager.page
        await fill(page, manager, "90.00")
        before = page.get_by_role("table", name="What it will do")
        await expect(before.get_by_role("row").filter(has_text=manager.number)).to_contain_text("70.00")
        await expect(before.get_by_role("row").filter(has_text="Kept as credit")).to_contain_text("20.00")
        await page.get_by_role("button", name="Record $90.00").dblclick()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("$90.00")
        paid = page.get_by_role("table", name="What it pays")
        await expect(paid.get_by_role("row").filter(has_text=manager.number)).to_contain_text("70.00")
        await expect(page.get_by_text("CHQ-1042")).to_be_visible()
        await expect(page.get_by_text("Cheque", exact=False)).to_be_visible()
        assert [one["amount_minor"] for one in await received(manager)] == [9_000]

    async def test_chosen_invoice_from_its_customers_page(self, manager: Manager) -> None:
        page = manager.page
        late = await issued(manager.client, manager.customer, 3_000, due_on="2026-01-01", issued_on="2025-12-01")
        await manager.find()
        await page.get_by_role("link", name=manager.name).click()
        await page.get_by_role("link", name="Record a payment").and_(page.locator("main a")).click()
        await expect(page.get_by_text(manager.name)).to_be_visible()
        await page.get_by_label("Received as").select_option(label="Wire")
        await page.get_by_label("Amount", exact=True).fill("50.00")
        await page.get_by_role("radio", name="Chosen invoices").check()
        await page.get_by_role("checkbox", name=f"Pay {manager.number}").check()
        await page.get_by_role("button", name="Record $50.00").click()
        await expect(page.get_by_role("alert").filter(has_text="more than the money that came")).to_be_visible()
        await page.get_by_label(f"Amount for {manager.number}").fill("40.00")
        await expect(page.get_by_text("leaves 30.00")).to_be_visible()
        await page.get_by_role("button", name="Record $50.00").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("$50.00")
        paid = page.get_by_role("table", name="What it pays")
        await expect(paid.get_by_role("row").filter(has_text=manager.number)).to_contain_text("40.00")
        await expect(paid.get_by_role("row").filter(has_text="Kept as credit")).to_contain_text("10.00")
        assert (await manager.client.get(f"/v1/invoices/{late}"))["balance_minor"] == 3_000

    async def test_counts_once_when_the_answer_is_lost(self, manager: Manager) -> None:
        page = manager.page
        await fill(page, manager, "12.00")
        await page.route(OFFLINE, lose_the_reply)
        await page.get_by_role("button", name="Record $12.00").click()
        await expect(page.get_by_text("We are asking whether it was done")).to_be_visible()
        await page.reload()
        await page.unroute(OFFLINE)
        await expect(page.get_by_text("The answer got lost")).to_be_visible()
        await expect(page.get_by_label("Amount", exact=True)).to_be_disabled()
        await expect(page.get_by_label("Amount", exact=True)).to_have_value("12.00")
        await page.get_by_role("button", name="Send again").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("$12.00")
        assert [one["amount_minor"] for one in await received(manager)] == [1_200]

    async def test_kept_as_credit_and_errors_by_field(self, manager: Manager) -> None:
        page = manager.page
        await page.goto(f"{manager.url}/desk/receipts/new")
        await page.get_by_role("button", name="Record it").click()
        await expect(page.get_by_role("alert").filter(has_text="Choose the customer first")).to_be_visible()
        await page.goto(f"{manager.url}/desk/receipts/new?customer={manager.customer}")
        await page.get_by_role("radio", name="Nothing yet").check()
        await page.get_by_label("Amount", exact=True).fill("ten")
        await page.get_by_role("button", name="Record it").click()
        await expect(page.get_by_label("Amount", exact=True)).to_have_attribute("aria-invalid", "true")
        await page.get_by_label("Amount", exact=True).fill("10")
        await page.get_by_role("button", name="Record $10.00").click()
        await expect(page.get_by_role("row").filter(has_text="Kept as credit")).to_contain_text("10.00")


class TestPaymentsOfTheDesk:
    async def test_one_is_found_by_its_number(self, manager: Manager) -> None:
        page, client = manager.page, manager.client
        made = await client.receive(manager.customer, 2_000)
        await page.get_by_role("navigation", name="Desk").get_by_role("link", name="Payments").click()
        await page.get_by_label("Search payment number").fill(made["number"].lower())
        row = page.get_by_role("row").filter(has_text=made["number"])
        await expect(row).to_contain_text(manager.name)
        await expect(page.get_by_role("row")).to_have_count(2)
        await row.get_by_role("link").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("$20.00")

    async def test_those_of_one_customer_are_filtered(self, manager: Manager) -> None:
        page, client = manager.page, manager.client
        made = await client.receive(manager.customer, 2_000)
        await manager.find()
        await page.get_by_role("link", name=manager.name).click()
        await page.get_by_role("link", name="Payments").and_(page.locator("main a")).click()
        await expect(page.get_by_role("row").filter(has_text=made["number"])).to_be_visible()
        tabs = page.get_by_role("navigation", name="Which payments")
        await tabs.get_by_role("link", name="Received by us").click()
        await expect(page.get_by_role("row").filter(has_text=made["number"])).to_be_visible()
        await tabs.get_by_role("link", name="Unsuccessful").click()
        await expect(page.get_by_role("heading", name="No payments here")).to_be_visible()


class TestRefund:
    async def test_of_a_part_says_what_is_owed_again(self, manager: Manager) -> None:
        page, client = manager.page, manager.client
        made = await client.receive(manager.customer, 9_000)
        await page.goto(f"{manager.url}/desk/payments/{made['id']}")
        await expect(page.get_by_role("row").filter(has_text=manager.number)).to_contain_text("70.00")
        await page.get_by_role("button", name="Refund").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("radio", name="A part").check()
        await dialog.get_by_label("Amount, USD").fill("30.00")
        await expect(dialog.get_by_text("$20.00 of it is taken from the customer’s credit")).to_be_visible()
        await expect(dialog.get_by_text(manager.number)).to_be_visible()
        await dialog.get_by_role("button", name="Refund $30.00").click()
        await expect(dialog.get_by_text("Write the reason first")).to_be_visible()
        await dialog.get_by_label("Reason").fill("Goods returned")
        await page.route(REFUNDS, lose_the_reply, times=1)
        await dialog.get_by_role("button", name="Refund $30.00").dblclick()
        await expect(dialog).to_have_count(0)
        await expect(page.get_by_text("Refund, done: Goods returned")).to_be_visible()
        await expect(page.get_by_role("row").filter(has_text=manager.number)).to_contain_text("60.00")
        await expect(page.get_by_text(f"Owed again: {manager.number} $10.00.")).to_be_visible()
        found = await client.get(f"/v1/payments/{made['id']}")
        assert (found["reversed_minor"], found["credit_minor"], len(found["reversals"])) == (3_000, 0, 1)

    async def test_of_a_card_ends_at_the_provider(self, manager: Manager) -> None:
        page, client = manager.page, manager.client
        method = await client.method(manager.customer)
        invoice = await issued(client, manager.customer, 4_000)
        made = await client.pay(await client.quote(manager.customer, method, invoice))
        await client.paid(invoice)
        await page.goto(f"{manager.url}/desk/payments/{made['id']}")
        await page.get_by_role("button", name="Refund").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_text("The provider sends the money back to")).to_be_visible()
        await expect(dialog.get_by_text("The surcharge of this amount goes back, too")).to_be_visible()
        await dialog.get_by_label("Reason").fill("Charged in error")
        await dialog.get_by_role("button", name="Refund $40.00").click()
        await expect(dialog).to_have_count(0)
        await expect(page.get_by_role("heading", level=1)).to_be_focused()  # the button is gone
        await expect(page.get_by_text("Refund, done: Charged in error")).to_be_visible(timeout=20_000)
        await expect(page.get_by_role("button", name="Refund")).to_have_count(0)


class TestVoid:
    async def test_of_a_receipt_owes_its_invoice_again(self, manager: Manager) -> None:
        page, client = manager.page, manager.client
        made = await client.receive(manager.customer, 7_000)
        await page.goto(f"{manager.url}/desk/payments/{made['id']}")
        await expect(page.get_by_role("row").filter(has_text=manager.number)).to_contain_text("70.00")
        await page.get_by_role("button", name="Void").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_text("These invoices are owed again")).to_be_visible()
        await dialog.get_by_role("button", name="Leave it as it is").click()
        await expect(dialog).to_have_count(0)
        await page.get_by_role("button", name="Void").click()
        await dialog.get_by_label("Reason").fill("Recorded twice")
        await dialog.get_by_role("button", name="Void this receipt").click()
        await expect(
            page.get_by_role("paragraph").filter(has_text=re.compile("^Voided: recorded in error$"))
        ).to_be_visible()
        await expect(page.get_by_role("button", name="Void")).to_have_count(0)
        await client.until(
            f"/v1/customers/{manager.customer}/summary", lambda one: one["currencies"][0]["balance_due_minor"] == 7_000
        )


class TestPages:
    async def test_have_no_violation(self, manager: Manager) -> None:
        page, found = manager.page, {}
        made = await manager.client.receive(manager.customer, 5_000)
        await manager.client.refund(made["id"], 500)
        for path in (
            "/desk/payments",
            f"/desk/payments?customer={manager.customer}",
            f"/desk/payments/{made['id']}",
            "/desk/receipts/new",
            f"/desk/receipts/new?customer={manager.customer}",
        ):
            await page.goto(manager.url + path)
            await page.get_by_role("heading", level=1).wait_for()
            await page.wait_for_load_state("networkidle")
            found[path] = await each_look(page)
        await page.get_by_role("radio", name="Chosen invoices").check()
        await page.get_by_role("checkbox").first.check()
        found["chosen"] = await each_look(page)
        await page.goto(f"{manager.url}/desk/payments/{made['id']}")
        await page.get_by_role("button", name="Refund").click()
        found["refund"] = await each_look(page)
        assert {path: some for path, some in found.items() if some} == {}
