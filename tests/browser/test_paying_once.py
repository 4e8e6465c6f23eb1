"""Paying in a real browser counts once: double clicks, lost replies, reloads, the back button, two tabs."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Error, Page, Route, expect

from contracts.ids import new_id
from tests.browser.conftest import Payer
from tests.kit.client import Client
from tests.kit.hearing import issued
from tests.kit.mails import Catcher
from tests.kit.pages import lose_the_reply, sign_in
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAYMENTS = re.compile(r"/v1/payments$")
QUOTES = re.compile(r"/v1/quotes")
PAGE = re.compile(r"/assets/Detail-")


@pytest_asyncio.fixture(loop_scope="session")
async def invoice(payer: Payer) -> AsyncIterator[str]:
    """One of 100 dollars, of which 40 are to be paid, so that a second payment could go through."""
    yield await issued(payer.client, payer.customer)


async def review(page: Page, payer: Payer, invoice: str) -> None:
    await page.goto(f"{payer.url}/pay?currency=USD&invoice={invoice}")
    await page.get_by_role("button", name="Edit Amount").click()
    await page.get_by_label("Amount for").fill("40.00")
    await page.get_by_role("button", name="PAY SELECTED").click()
    await expect(page.get_by_role("button", name=re.compile(r"^Pay \$4"))).to_be_visible()


async def confirm(page: Page) -> None:
    await page.get_by_role("button", name=re.compile(r"^Pay \$4")).click()
    await page.get_by_role("button", name="Accept and Continue").click()


async def copied(page: Page, context: BrowserContext, url: str) -> Page:
    """A second tab with what the first one keeps, as a browser duplicates a tab."""
    kept = await page.evaluate("sessionStorage.getItem('paidup.paying')")
    copy = await context.new_page()
    await copy.goto(f"{url}/nowhere")
    await copy.evaluate("kept => sessionStorage.setItem('paidup.paying', kept)", kept)
    await copy.goto(f"{url}/pay/review")
    await copy.get_by_role("button", name=re.compile(r"^Pay \$4")).wait_for()
    return copy


async def paid_once(client: Client, customer: str, invoice: str) -> None:
    found: Any = await client.until(
        f"/v1/invoices/{invoice}", lambda one: one["settled_minor"] > 0 and not one["pending_minor"]
    )
    assert (found["settled_minor"], found["balance_minor"]) == (4_000, 6_000)
    payments = await client.get(f"/v1/payments?customer_id={customer}")
    assert [one["status"] for one in payments["items"]] == ["succeeded"]


async def answer_too_late(route: Route) -> None:
    """The request arrives, and the gateway answers that the service took too long."""
    await route.fetch()
    problem = {"type": "urn:paidup:problem:timeout", "status": 504, "title": "Too late", "detail": "Ask again."}
    with suppress(Error):
        await route.fulfill(status=504, json=problem | {"request_id": "r"}, content_type="application/problem+json")


async def arrive(page: Page) -> None:
    """Pay once more where the page asks for it, as somebody would who knows no better."""
    again = page.get_by_role("button", name=re.compile(r"^Pay \$4"))
    confirmed = page.locator("#main").get_by_text("Confirmed", exact=True)
    await expect(again.or_(confirmed).first).to_be_visible(timeout=20_000)
    if await again.is_visible():
        await page.wait_for_timeout(1_500)
    with suppress(Error):  # the payment's own page came meanwhile
        if await again.is_visible():
            await again.click(timeout=2_000)
            await page.get_by_role("button", name="Accept and Continue").click(timeout=5_000)
    await expect(confirmed).to_be_visible(timeout=20_000)


class TestOnce:
    async def test_double_click(self, payer: Payer, invoice: str) -> None:
        await review(payer.page, payer, invoice)
        await payer.page.get_by_role("button", name=re.compile(r"^Pay \$4")).dblclick()
        await payer.page.get_by_role("button", name="Accept and Continue").dblclick(no_wait_after=True)
        await expect(payer.page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await paid_once(payer.client, payer.customer, invoice)

    async def test_lost_reply(self, payer: Payer, invoice: str) -> None:
        await review(payer.page, payer, invoice)
        await payer.page.route(PAYMENTS, lose_the_reply, times=1)
        await confirm(payer.page)
        await expect(payer.page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await paid_once(payer.client, payer.customer, invoice)

    async def test_reload_after_a_lost_reply(self, payer: Payer, invoice: str) -> None:
        page = payer.page
        await review(page, payer, invoice)
        await page.route(PAYMENTS, lose_the_reply)
        await confirm(page)
        await expect(page.get_by_text("We are asking whether your payment arrived.")).to_be_visible()
        await payer.client.until(f"/v1/payments?customer_id={payer.customer}", lambda found: found["items"])
        await page.unroute(PAYMENTS)
        await page.reload()
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await paid_once(payer.client, payer.customer, invoice)

    async def test_reload_on_the_way_to_the_payment(self, payer: Payer, invoice: str) -> None:
        """It was paid, and the payment's own page is not loaded yet."""
        page, held = payer.page, asyncio.Event()
        await review(page, payer, invoice)
        await page.route(PAGE, lambda _: held.set())
        await confirm(page)
        await asyncio.wait_for(held.wait(), 20)
        await page.unroute(PAGE)
        await page.reload()
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await paid_once(payer.client, payer.customer, invoice)

    async def test_reload_after_an_answer_too_late(self, payer: Payer, invoice: str) -> None:
        """504: whether the payment was made is as unknown as without an answer."""
        page = payer.page
        await review(page, payer, invoice)
        await page.route(PAYMENTS, answer_too_late)
        async with page.expect_response(PAYMENTS):
            await confirm(page)
        await page.unroute(PAYMENTS)
        await page.reload()
        await arrive(page)
        await paid_once(payer.client, payer.customer, invoice)

    async def test_reload_while_quotes_are_away(self, payer: Payer, invoice: str) -> None:
        """Whether the payment was made is not known, and no quote can be read: nothing else is quoted or sent."""
        page = payer.page
        await review(page, payer, invoice)
        await page.route(PAYMENTS, lose_the_reply)
        await confirm(page)
        await payer.client.until(f"/v1/payments?customer_id={payer.customer}", lambda found: found["items"])
        await page.route(QUOTES, lambda route: route.abort())
        await page.reload()
        await expect(page.get_by_text("We are asking whether your payment arrived.")).to_be_visible()
        await page.reload()
        await page.unroute(QUOTES)
        await page.unroute(PAYMENTS)
        await page.reload()
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await paid_once(payer.client, payer.customer, invoice)

    async def test_another_method_after_a_lost_reply(self, payer: Payer, invoice: str) -> None:
        page = payer.page
        await payer.client.method(payer.customer, "pm_usBankAccount_success")
        await review(page, payer, invoice)
        await page.route(PAYMENTS, lose_the_reply)
        await confirm(page)
        await payer.client.until(f"/v1/payments?customer_id={payer.customer}", lambda found: found["items"])
        await page.get_by_role("radio").last.click()
        await page.unroute(PAYMENTS)
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await paid_once(payer.client, payer.customer, invoice)

    async def test_back_and_forward_again(self, payer: Payer, invoice: str) -> None:
        page = payer.page
        await review(page, payer, invoice)
        await confirm(page)
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await page.go_back()
        await expect(page.get_by_role("heading", name="To pay")).to_be_visible()
        await page.go_forward()
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible()
        await paid_once(payer.client, payer.customer, invoice)

    async def test_a_copied_tab(self, payer: Payer, invoice: str, context: BrowserContext) -> None:
        page = payer.page
        await review(page, payer, invoice)
        copy = await copied(page, context, payer.url)
        await confirm(page)
        await confirm(copy)
        for one in (page, copy):
            await expect(one.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await copy.close()
        await paid_once(payer.client, payer.customer, invoice)

    async def test_a_copied_tab_quotes_anew(self, payer: Payer, invoice: str, context: BrowserContext) -> None:
        """The other tab has paid: a quote of this tab leads to that payment, whatever is pressed."""
        page = payer.page
        await payer.client.method(payer.customer, "pm_usBankAccount_success")
        await review(page, payer, invoice)
        copy = await copied(page, context, payer.url)
        await confirm(page)
        await expect(page.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await copy.get_by_role("radio").last.click()
        await expect(copy.locator("#main").get_by_text("Confirmed", exact=True)).to_be_visible(timeout=20_000)
        await copy.close()
        await paid_once(payer.client, payer.customer, invoice)


class TestLeftBehind:
    """A confirmation that never arrived is not sent by what somebody does later."""

    async def test_another_choice_is_its_own(self, payer: Payer, invoice: str) -> None:
        page = payer.page
        other = await issued(payer.client, payer.customer, 7_000)
        await review(page, payer, invoice)
        await page.route(PAYMENTS, lambda route: route.abort())
        await confirm(page)
        await expect(page.get_by_text("We are asking whether your payment arrived.")).to_be_visible()
        await page.goto(f"{payer.url}/pay?currency=USD&invoice={other}")
        await page.unroute(PAYMENTS)
        await page.get_by_role("button", name="PAY SELECTED").click()
        await expect(page.get_by_role("button", name=re.compile(r"^Pay \$72"))).to_be_visible()
        assert (await payer.client.get(f"/v1/payments?customer_id={payer.customer}"))["items"] == []

    async def test_the_same_amount_chosen_again(self, payer: Payer, invoice: str) -> None:
        """The confirmation before is still on its way: it and the new one are one payment."""
        page, client = payer.page, payer.client
        sent, both = list[Route](), asyncio.Event()

        async def late(route: Route) -> None:
            sent.append(route)
            if len(sent) == 1:
                return await route.abort()
            await both.wait()
            await route.continue_()

        await page.route(PAYMENTS, late)
        for first in (True, False):
            await page.goto(f"{payer.url}/pay") if first else await page.go_back()
            await page.get_by_label("An amount").fill("40.00")
            await page.get_by_role("button", name="Continue").click()
            await page.get_by_role("button", name=re.compile(r"^Pay \$41.20")).click()
            await page.get_by_role("button", name="Accept and Continue").click()
        both.set()
        await expect(page).to_have_url(re.compile(f"{payer.url}/payments"))
        await page.wait_for_timeout(3_000)  # longer than the page waits before it asks again
        await paid_once(client, payer.customer, invoice)

    async def test_nothing_is_sent_once_it_is_left(self, payer: Payer, invoice: str) -> None:
        """Pay was pressed before the quote of another method came."""
        page, client = payer.page, payer.client
        await client.method(payer.customer, "pm_usBankAccount_success")
        await review(page, payer, invoice)
        held = asyncio.Event()

        async def late(route: Route) -> None:
            await held.wait()
            await route.continue_()

        await page.route(re.compile(r"/v1/quotes$"), late)
        await page.get_by_role("radio").last.click()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        await page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Invoices").click()
        await expect(page.get_by_role("heading", level=1, name="Invoices")).to_be_visible()
        held.set()
        await page.wait_for_timeout(2_000)
        assert (await client.get(f"/v1/payments?customer_id={payer.customer}"))["items"] == []
        await expect(page.get_by_role("heading", level=1, name="Invoices")).to_be_visible()

    async def test_nothing_goes_on_by_another_person(self, payer: Payer, invoice: str, stack: LocalStack) -> None:
        page, other = payer.page, f"{new_id()}@example.com"
        await payer.client.make("/v1/contacts", {"customer_id": payer.customer, "email": other})
        await review(page, payer, invoice)
        await page.route(PAYMENTS, lambda route: route.abort())
        await confirm(page)
        await expect(page.get_by_text("We are asking whether your payment arrived.")).to_be_visible()
        await page.goto(payer.url)
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("E-mail address")).to_be_visible()
        await page.unroute(PAYMENTS)
        await sign_in(page, payer.url, other, Catcher(stack.settings.mail_url))
        await page.get_by_role("heading", name="Blue Fern Ltd").wait_for()
        assert await page.evaluate("sessionStorage.getItem('paidup.paying')") is None
        await page.goto(f"{payer.url}/pay/review")
        await expect(page.get_by_role("heading", name="To pay")).to_be_visible()
        assert (await payer.client.get(f"/v1/payments?customer_id={payer.customer}"))["items"] == []


class TestSurcharge:
    async def test_cancel_charges_nothing(self, payer: Payer, invoice: str) -> None:
        page = payer.page
        await review(page, payer, invoice)
        await page.get_by_role("button", name=re.compile(r"^Pay \$4")).click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("Nothing was charged").first).to_be_visible(timeout=20_000)
        found = await payer.client.get(f"/v1/invoices/{invoice}")
        assert (found["settled_minor"], found["pending_minor"]) == (0, 0)
