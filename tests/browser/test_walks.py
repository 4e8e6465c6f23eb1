"""Random walks through paying: whatever somebody presses, loses or reloads, one payment is made."""

import os
import random
import re
from contextlib import suppress

import pytest
from playwright.async_api import BrowserContext, Error, Page, expect

from tests.browser.conftest import Payer
from tests.browser.test_paying_once import PAYMENTS, answer_too_late, copied, paid_once, review
from tests.kit.hearing import issued
from tests.kit.pages import lose_the_reply

pytestmark = pytest.mark.asyncio(loop_scope="session")

WALKS = int(os.environ.get("PAIDUP_WALKS", "6"))
STEPS = 6
PAY, AGAIN = re.compile(r"^Pay \$4"), "Try again"
ASIDE = re.compile("^(To pay|There is nothing here)$")
MOVES = ("press", "press", "press", "double", "lose", "late", "away", "reload", "back", "wait")


async def press(page: Page, times: int = 1) -> None:
    """Press what leads on, if it stands there."""
    await page.bring_to_front()
    for name in ("Accept and Continue", AGAIN, PAY):
        button = page.get_by_role("button", name=name)
        if await button.is_visible():
            return await button.click(click_count=times, timeout=1_000, no_wait_after=True)


async def move(page: Page, chance: random.Random) -> None:
    match chance.choice(MOVES):
        case "press":
            await press(page)
        case "double":
            await press(page, times=2)
        case "lose":
            await page.route(PAYMENTS, lose_the_reply, times=1)
            await press(page)
        case "late":
            await page.route(PAYMENTS, answer_too_late, times=1)
            await press(page)
        case "away":
            await page.context.set_offline(True)
            await press(page)
            await page.wait_for_timeout(chance.randrange(300))
            await page.context.set_offline(False)
        case "reload":
            await page.reload(wait_until="commit")
        case "back":
            await page.go_back(wait_until="commit")
            await page.go_forward(wait_until="commit")
        case "wait":
            await page.wait_for_timeout(chance.randrange(400))


async def arrive(page: Page, url: str) -> None:
    """Press until the payment's own page shows that it is confirmed, or until this tab has nothing to confirm."""
    confirmed = page.locator("#main").get_by_text("Confirmed", exact=True).first
    for count in range(1, 61):
        if await confirmed.is_visible():
            return
        if await page.get_by_role("heading", name=ASIDE).is_visible():
            if await page.evaluate("sessionStorage.getItem('paidup.paying')") is None:
                return
            await page.goto(f"{url}/pay/review")
        with suppress(Error):  # what stood there a moment ago is gone
            await press(page)
        await page.wait_for_timeout(500)
        if count % 10 == 0 and not await page.get_by_role("heading").first.is_visible():
            await page.reload()  # what came while it was away is an empty page
    await expect(confirmed).to_be_visible()


class TestWalks:
    @pytest.mark.parametrize("seed", range(WALKS))
    async def test_ends_with_one_payment(self, payer: Payer, context: BrowserContext, seed: int) -> None:
        chance, page = random.Random(seed), payer.page
        invoice = await issued(payer.client, payer.customer)
        await review(page, payer, invoice)
        tabs = [page, await copied(page, context, payer.url)] if chance.random() < 0.5 else [page]
        for _ in range(STEPS):
            with suppress(Error):  # the page goes away while something is pressed
                await move(chance.choice(tabs), chance)
        await context.set_offline(False)
        for tab in tabs:
            await arrive(tab, payer.url)
        await paid_once(payer.client, payer.customer, invoice)
        for tab in tabs[1:]:
            await tab.close()
