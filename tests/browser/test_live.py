"""What changes elsewhere is on the screen within a second, also after a cut and after a restart of the gateway."""

import asyncio
import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.conftest import Payer
from tests.kit.looks import each_look
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOON = 1_500  # ms, on a machine that runs the whole stack and other tests


async def issue(payer: Payer) -> str:
    """A new invoice, issued by a program; its number."""
    invoice = await payer.client.invoice(payer.customer, 5_000)
    return str((await payer.client.get(f"/v1/invoices/{invoice}"))["number"])


async def shows(page: Page, number: str, within: int = SOON) -> None:
    await expect(page.get_by_role("link", name=number, exact=True)).to_be_visible(timeout=within)


class TestLive:
    async def test_a_new_invoice_appears(self, payer: Payer) -> None:
        await payer.page.goto(f"{payer.url}/invoices")
        await expect(payer.page.get_by_role("heading", name="No invoices here")).to_be_visible()
        await payer.page.wait_for_timeout(500)  # until the stream is open
        await shows(payer.page, await issue(payer))

    async def test_a_second_tab_hears_it_too(self, payer: Payer, context: BrowserContext) -> None:
        await payer.page.goto(f"{payer.url}/invoices")
        second = await context.new_page()
        await second.goto(f"{payer.url}/invoices")
        await expect(second.get_by_role("heading", name="No invoices here")).to_be_visible()
        await second.wait_for_timeout(500)
        number = await issue(payer)
        for page in (payer.page, second):
            await shows(page, number)
        await payer.page.close()  # the tab that read the stream
        await second.wait_for_timeout(500)
        await shows(second, await issue(payer))
        await second.close()

    async def test_a_restarted_gateway_is_heard_again(self, payer: Payer, stack: LocalStack) -> None:
        await payer.page.goto(f"{payer.url}/invoices")
        await expect(payer.page.get_by_role("heading", name="No invoices here")).to_be_visible()
        before = stack.kill("gateway")
        await asyncio.to_thread(stack.wait_successor, "gateway", before)
        await asyncio.to_thread(stack.wait_ready, "gateway")
        number = await issue(payer)
        await shows(payer.page, number, within=6_000)


class TestOffline:
    async def test_what_changes_meanwhile_appears(self, payer: Payer, context: BrowserContext) -> None:
        page, first = payer.page, await issue(payer)
        await page.goto(f"{payer.url}/pay")
        await page.get_by_role("checkbox", name=f"Pay {first}").check()
        cut = asyncio.get_running_loop().time()
        await context.set_offline(True)
        banner = page.get_by_text(re.compile("You are offline. This is what was known at \\d+:\\d+"))
        await expect(page.locator("#main").filter(has=banner)).to_be_visible()
        await page.get_by_role("button", name="PAY SELECTED").click()
        await expect(page.get_by_role("alert")).to_contain_text("You are offline: nothing can be paid just now.")
        assert await each_look(page) == []
        number = await issue(payer)
        await asyncio.sleep(max(0, 30 - (asyncio.get_running_loop().time() - cut)))
        await expect(page.get_by_role("checkbox", name=f"Pay {first}")).to_be_checked()
        await expect(page.get_by_role("link", name=number, exact=True)).to_have_count(0)
        await context.set_offline(False)
        await shows(page, number)
        await expect(page.locator("#main").get_by_text("Connected again.")).to_be_visible()
        await expect(page.get_by_role("checkbox", name=f"Pay {first}")).to_be_checked()
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).wait_for()

    async def test_nothing_is_sent_from_the_review(self, payer: Payer, context: BrowserContext) -> None:
        page, client = payer.page, payer.client
        invoice = await client.invoice(payer.customer, 5_000)
        await page.goto(f"{payer.url}/pay?invoice={invoice}")
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        await context.set_offline(True)
        await page.get_by_role("button", name="Accept and Continue").click()
        await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent")
        await context.set_offline(False)
        await expect(page.get_by_role("alert")).to_have_count(0)
        assert (await client.get(f"/v1/payments?customer_id={payer.customer}"))["items"] == []
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        await page.get_by_role("button", name="Accept and Continue").click()
        assert (await client.paid(invoice))["settled_minor"] == 5_000
        assert len((await client.get(f"/v1/payments?customer_id={payer.customer}"))["items"]) == 1


class TestBank:
    async def test_out_to_the_bank_and_back(self, payer: Payer) -> None:
        page, client = payer.page, payer.client
        invoice = await client.invoice(payer.customer, 7_000)
        await client.method(payer.customer, "pm_card_authenticationRequired")
        await page.goto(f"{payer.url}/pay?currency=USD&invoice={invoice}")
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("radio", name=re.compile("3184")).check()
        await page.get_by_role("button", name=re.compile(r"^Pay \$7")).click()
        await page.get_by_role("button", name="Accept and Continue").click()
        complete = page.get_by_role("button", name=re.compile("Complete|Confirm"))
        await complete.wait_for(timeout=20_000)
        await client.receive(payer.customer, 1_000, on_account=True)  # another payment, newer than this one
        await complete.click()
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("$72.10")
        assert (await client.paid(invoice))["settled_minor"] == 7_000

    async def test_who_comes_back_elsewhere_sees_all(self, payer: Payer) -> None:
        made = await payer.client.receive(payer.customer, 1_000, on_account=True)
        await payer.page.goto(f"{payer.url}/pay/return?redirect_status=succeeded")
        await expect(payer.page.get_by_role("heading", level=1, name="Payments")).to_be_visible()
        await expect(payer.page.get_by_role("link", name=made["number"])).to_be_visible()

    async def test_who_leaves_the_bank_can_cancel(self, payer: Payer) -> None:
        page, client = payer.page, payer.client
        invoice = await client.invoice(payer.customer, 7_000)
        method = await client.method(payer.customer, "pm_card_authenticationRequired")
        quote = await client.quote(payer.customer, method, invoice)
        body = {"quote_id": quote["id"], "accept_surcharge": True, "return_url": f"{payer.url}/pay/return"}
        payment = await client.make("/v1/payments", body, key=quote["id"])
        await page.goto(f"{payer.url}/payments/{payment['id']}")
        await expect(page.get_by_text("Your bank still waits for you")).to_be_visible(timeout=20_000)
        assert await each_look(page) == []
        await page.get_by_role("button", name="Cancel this payment").click()
        await expect(page.get_by_text("Nothing was charged").first).to_be_visible(timeout=20_000)
        await client.until(f"/v1/invoices/{invoice}", lambda one: one["payable_now_minor"] == 7_000)
