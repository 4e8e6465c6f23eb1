"""What changes elsewhere is on the screen within a second, also after a cut and after a restart of the gateway."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from contracts.ids import new_id
from tests.browser.conftest import Payer
from tests.kit.hearing import STREAM, issued, offline, open_and_hear
from tests.kit.looks import each_look
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOON = 1.0  # seconds from the gateway's event to the screen, the best of some tries: other tests run beside


async def issue(payer: Payer) -> str:
    """A new invoice, issued by a program; its number."""
    invoice = await payer.client.invoice(payer.customer, 5_000)
    return str((await payer.client.get(f"/v1/invoices/{invoice}"))["number"])


async def shows(page: Page, number: str) -> None:
    await expect(page.get_by_role("link", name=number, exact=True)).to_be_visible()


@asynccontextmanager
async def events(stack: LocalStack) -> AsyncIterator[aiohttp.StreamReader]:
    """The gateway's stream, from now on."""
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{stack.url}/v1/events/stream") as all_:
        await all_.content.readline()
        yield all_.content


async def told(stream: aiohttp.StreamReader, number: str) -> float:
    """When the gateway said something about the invoice."""
    async with asyncio.timeout(60):
        while number.encode() not in await stream.readline():
            pass
    return time.monotonic()


class TestLive:
    async def test_a_new_invoice_appears(self, payer: Payer, stack: LocalStack) -> None:
        await open_and_hear(payer.page, f"{payer.url}/invoices")
        await expect(payer.page.get_by_role("heading", name="No invoices here")).to_be_visible()
        took = list[float]()
        async with events(stack) as stream:
            while not took or (min(took) > SOON and len(took) < 8):
                number = await issue(payer)
                at = await told(stream, number)
                await shows(payer.page, number)
                took.append(time.monotonic() - at)
        assert min(took) <= SOON

    async def test_a_second_tab_hears_it_too(self, payer: Payer, context: BrowserContext, stack: LocalStack) -> None:
        await open_and_hear(payer.page, f"{payer.url}/invoices")
        second, held, opens = await context.new_page(), asyncio.Event(), asyncio.Event()
        await second.clock.install()
        await second.goto(f"{payer.url}/invoices")
        await expect(second.get_by_role("heading", name="No invoices here")).to_be_visible()
        number = await issue(payer)
        for page in (payer.page, second):
            await shows(page, number)

        async def later(route: Route) -> None:
            held.set()
            await opens.wait()
            await route.continue_()

        await second.route(STREAM, later)
        await second.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))  # by its clock, the stream opens at once
        async with events(stack) as stream:
            await payer.page.close()  # the tab that read the stream
            await asyncio.wait_for(held.wait(), 20)
            number = await issue(payer)
            await told(stream, number)  # nobody heard it in this browser
        async with second.expect_response(STREAM):
            opens.set()
        await second.clock.resume()
        await shows(second, number)
        await shows(second, await issue(payer))
        await second.close()

    async def test_a_restarted_gateway_is_heard_again(self, payer: Payer, stack: LocalStack) -> None:
        await open_and_hear(payer.page, f"{payer.url}/invoices")
        await expect(payer.page.get_by_role("heading", name="No invoices here")).to_be_visible()
        before = stack.kill("gateway")
        await asyncio.to_thread(stack.wait_successor, "gateway", before)
        await shows(payer.page, await issue(payer))


class TestOffline:
    async def test_what_changes_meanwhile_appears(self, payer: Payer, context: BrowserContext) -> None:
        page, first = payer.page, f"INV-{new_id()}"
        await issued(payer.client, payer.customer, 5_000, number=first)
        await page.goto(f"{payer.url}/pay")
        await page.get_by_role("checkbox", name=f"Pay {first}").check()
        cut = time.monotonic()
        async with offline(context):
            banner = page.get_by_text(re.compile("You are offline. This is what was known at \\d+:\\d+"))
            await expect(page.locator("#main").filter(has=banner)).to_be_visible()
            await page.get_by_role("button", name="PAY SELECTED").click()
            await expect(page.get_by_role("alert")).to_contain_text("You are offline: nothing can be paid just now.")
            assert await each_look(page) == []
            number = await issue(payer)
            await asyncio.sleep(max(0, 30 - (time.monotonic() - cut)))
            await expect(page.get_by_role("checkbox", name=f"Pay {first}")).to_be_checked()
            await expect(page.get_by_role("link", name=number, exact=True)).to_have_count(0)
        await expect(page.locator("#main").get_by_text("Connected again.")).to_be_visible()  # for some seconds
        await shows(page, number)
        await expect(page.get_by_role("checkbox", name=f"Pay {first}")).to_be_checked()
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).wait_for()

    async def test_nothing_is_sent_from_the_review(self, payer: Payer, context: BrowserContext) -> None:
        page, client = payer.page, payer.client
        invoice = await issued(client, payer.customer, 5_000)
        await page.goto(f"{payer.url}/pay?invoice={invoice}")
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        async with offline(context):
            await page.get_by_role("button", name="Accept and Continue").click()
            await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent")
        await expect(page.get_by_role("alert")).to_have_count(0)
        assert (await client.get(f"/v1/payments?customer_id={payer.customer}"))["items"] == []
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        await page.get_by_role("button", name="Accept and Continue").click()
        assert (await client.paid(invoice))["settled_minor"] == 5_000
        assert len((await client.get(f"/v1/payments?customer_id={payer.customer}"))["items"]) == 1


class TestBank:
    async def test_out_to_the_bank_and_back(self, payer: Payer) -> None:
        page, client = payer.page, payer.client
        invoice = await issued(client, payer.customer, 7_000)
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
        invoice = await issued(client, payer.customer, 7_000)
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
